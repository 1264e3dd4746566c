import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DUTIES } from '../../src/identity/actor.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let finance: Caller
beforeAll(async () => {
  h = await openHarness()
  finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
})
afterAll(() => h.close())

const bucket = (fromMonths: number, toMonths: number | null, name = `from ${fromMonths}`) => ({
  fromMonths,
  toMonths,
  name,
  nameZh: `${fromMonths}个月起`
})
const set = (...buckets: object[]) => finance.put('/v1/aging-buckets', { buckets })
const list = async (caller = finance) => (await caller.get('/v1/aging-buckets')).body.items

test('goods are classed 0–3, 4–6, 7–12, 13–15 and over, as long as nobody says otherwise (R-FIN-2)', async () => {
  const everybody = callerFor(h, await h.make.person())
  expect(
    (await list(everybody)).map(({ fromMonths, toMonths }: { fromMonths: number; toMonths: number | null }) => [
      fromMonths,
      toMonths
    ])
  ).toEqual([
    [0, 3],
    [4, 6],
    [7, 12],
    [13, 15],
    [16, null]
  ])
})

describe('the list', () => {
  test('is replaced as a whole, and noted with who did', async () => {
    const buckets = [bucket(1, 3), bucket(4, 4), bucket(5, null)]
    const { status, body } = await set(...buckets)
    expect([status, body.items]).toEqual([200, buckets])
    expect(await list()).toEqual(buckets)
    expect(
      await h.sql(`select person_id as "personId", details from audit_event where action = 'aging-buckets.set'`)
    ).toEqual([{ personId: finance.person.id, details: { buckets } }])

    expect((await set(bucket(0, null))).status).toBe(200)
    expect(await list()).toEqual([bucket(0, null)])
  })

  test('replaced by many at once is what one of them sent', async () => {
    const lists = Array.from({ length: 6 }, (_, index) => [bucket(0, index + 1), bucket(index + 2, null)])
    const outcomes = await Promise.all(lists.map((buckets) => set(...buckets)))
    expect(outcomes.map(({ status }) => status)).toEqual(lists.map(() => 200))
    expect(lists).toContainEqual(await list())
  })
})

describe('refused is', () => {
  test.for([
    ['that begins later', [bucket(2, null)], '/buckets/0/fromMonths'],
    ['with a gap', [bucket(0, 3), bucket(5, null)], '/buckets/1/fromMonths'],
    ['that overlaps', [bucket(0, 3), bucket(3, null)], '/buckets/1/fromMonths'],
    ['out of order', [bucket(4, null), bucket(0, 3)], '/buckets/0/fromMonths'],
    ['without an open end', [bucket(0, 3), bucket(4, 6)], '/buckets/1/toMonths'],
    ['open in the middle', [bucket(0, null), bucket(4, null)], '/buckets/0/toMonths'],
    ['of a bucket that ends before it begins', [bucket(0, 3), bucket(4, 2), bucket(3, null)], '/buckets/1/toMonths']
  ] as const)('a list %s', async ([, buckets, pointer]) => {
    const before = await list()
    expect((await set(...buckets)).body).toMatchObject({
      status: 422,
      code: 'BucketsNotContiguous',
      errors: [{ pointer }]
    })
    expect(await list()).toEqual(before)
  })

  test('one name for two', async () => {
    expect((await set(bucket(0, 3, 'young'), bucket(4, null, 'young'))).body).toMatchObject({
      status: 422,
      code: 'BucketNameRepeated',
      errors: [{ pointer: '/buckets/1/name', sent: 'young' }]
    })
  })

  test.for([
    [],
    [{ ...bucket(0, null), fromMonths: '0' }],
    [{ ...bucket(0, null), fromMonths: 0.5 }],
    [bucket(-1, null)],
    [{ fromMonths: 0, toMonths: null, name: 'x' }],
    [{ ...bucket(0, null), colour: 'red' }]
  ])('what is no list of buckets: %o', async (buckets) => {
    expect((await set(...(buckets as object[]))).status).toBe(400)
  })

  test('everybody but the finance of the head office', async () => {
    const { code } = await h.make.warehouse()
    for (const grant of [
      ...DUTIES.filter((duty) => duty !== 'hq-finance').map((duty) => ({ duty })),
      { duty: 'hq-finance' as const, warehouse: code }
    ]) {
      const caller = callerFor(h, await h.make.person({ grants: [grant] }))
      expect((await caller.put('/v1/aging-buckets', { buckets: [bucket(0, null)] })).body).toMatchObject({
        status: 403,
        code: 'DutyRequired'
      })
    }
  })
})
