import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
})
afterAll(() => h.close())

const upload = (csv: string, query = '') =>
  h.api
    .post(`/v1/imports/opening-stock${query}`)
    .set({ authorization: `Bearer ${counter.keeper.person.token}`, 'content-type': 'text/csv' })
    .send(csv)

test('opening stock is tried, imported as slips, signed and posted; the same file never counts twice', async () => {
  const [plain, boxed] = [await h.make.part({ standardCost: '2.5' }), await h.make.part({ units: { box: '12' } })]
  const csv = `仓库,货号,数量,单位,单价,入库日期\n${counter.warehouse},${plain.number},10,,,\n${counter.warehouse},${boxed.number},2,box,1.25,2026-05-31\n`

  const tried = await upload(csv)
  expect(tried.body).toMatchObject({ applied: false, counts: { create: 2, refused: 0 }, slips: [] })
  expect(await counter.onHand(plain.number)).toBe('0')
  const applied = await upload(csv, '?apply=true')
  expect(applied.body).toMatchObject({
    applied: true,
    rows: tried.body.rows,
    slips: [expect.stringContaining('-OPN-202611-')]
  })
  await counter.signers['department-head'].get(`/v1/slips/${applied.body.slips[0]}`)
  await counter.signAndPost(applied.body.slips[0])
  expect([await counter.onHand(plain.number), await counter.onHand(boxed.number)]).toEqual(['10', '24'])

  const again = await upload(csv, '?apply=true')
  expect(again).toMatchObject({ status: 422, body: { code: 'ImportRefused', counts: { refused: 2 } } })
  expect(await counter.verify()).toMatchObject({ ok: true })
})

test('one refused row keeps the whole file out, and every row says why', async () => {
  const other = await openCounter(h)
  const part = await h.make.part()
  const csv = `warehouse,part,quantity,unitCost,receivedOn\n${counter.warehouse},${part.number},1,2,\n${counter.warehouse},NOPE,1,2,\n${other.warehouse},${part.number},1,2,\n${counter.warehouse},${part.number},1,,\n${counter.warehouse},${part.number},1.2345,2,2099-01-01\n`
  const answer = await upload(csv, '?apply=true')
  expect(answer.status).toBe(422)
  expect(answer.body.rows.map(({ outcome }: { outcome: string }) => outcome)).toEqual([
    'create',
    'refused',
    'refused',
    'refused',
    'refused'
  ])
  expect(answer.body.rows[1].problems).toEqual(['the catalogue has no part NOPE'])
  expect(await counter.onHand(part.number)).toBe('0')
})

test('a long file becomes slips of at most 500 lines', async () => {
  const numbers: string[] = []
  await h.sql(
    `insert into part (number, name, standard_cost) select 'LONG-' || g, 'part', 1 from generate_series(1, 1001) g`
  )
  for (let count = 1; count <= 1001; count++) numbers.push(`${counter.warehouse},LONG-${count},1`)
  const answer = await upload(`warehouse,part,quantity\n${numbers.join('\n')}\n`, '?apply=true')
  expect(answer.body.slips).toHaveLength(3)
})
