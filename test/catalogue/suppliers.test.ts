import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Context } from '../../src/identity/actor.ts'
import { supplierAuthorised } from '../../src/catalogue/suppliers.queries.ts'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let purchaser: Caller
let keeper: Caller
let ctx: Context
beforeAll(async () => {
  h = await openHarness()
  const person = await h.make.person({ grants: [{ duty: 'purchaser' }] })
  purchaser = callsAs(h, person)
  keeper = callsAs(h, await h.make.person({ grants: [{ duty: 'keeper' }] }))
  ctx = h.contextOf(person.actor)
})
afterAll(() => h.close())

test('a supplier is entered, changed, listed and found', async () => {
  const created = await purchaser.post('/v1/suppliers', {
    code: 'SUZHOU-1',
    name: 'Suzhou Brakes',
    nameZh: '苏州制动器厂'
  })
  expect([created.status, created.body]).toEqual([
    201,
    { code: 'SUZHOU-1', name: 'Suzhou Brakes', nameZh: '苏州制动器厂', active: true }
  ])
  expect((await purchaser.post('/v1/suppliers', { code: 'SUZHOU-1', name: 'x' })).body.code).toBe('SupplierCodeTaken')

  const changed = await purchaser.patch('/v1/suppliers/SUZHOU-1', { active: false, nameZh: null })
  expect([changed.status, changed.body]).toEqual([
    200,
    { code: 'SUZHOU-1', name: 'Suzhou Brakes', nameZh: null, active: false }
  ])
  expect((await keeper.get('/v1/suppliers/SUZHOU-1')).body).toEqual(changed.body)
  expect((await keeper.get('/v1/suppliers?q=suzhou&active=false')).body).toEqual({
    items: [changed.body],
    nextCursor: null
  })
  expect((await purchaser.patch('/v1/suppliers/NOBODY', { name: 'x' })).status).toBe(404)
})

test('parts come only from suppliers authorised for them on that day (R-CAT-3)', async () => {
  const [pad, belt] = [await h.make.part(), await h.make.part()]
  const supplier = await h.make.supplier()
  const authorised = async (on: string) => [...(await supplierAuthorised(ctx.em, supplier.id, [pad.id, belt.id], on))]
  expect(await authorised('2026-11-20')).toEqual([])

  const granted = await purchaser.post(`/v1/suppliers/${supplier.code}/authorisations`, {
    part: pad.number,
    validFrom: '2026-11-01'
  })
  expect([granted.status, granted.body]).toEqual([
    201,
    {
      supplier: supplier.code,
      part: pad.number,
      partName: `part ${pad.number}`,
      validFrom: '2026-11-01',
      validTo: null
    }
  ])
  expect([await authorised('2026-10-31'), await authorised('2026-11-01')]).toEqual([[], [pad.id]])

  const again = await purchaser.post(`/v1/suppliers/${supplier.code}/authorisations`, { part: pad.number })
  expect([again.status, again.body.code]).toEqual([409, 'AuthorisationOverlaps'])

  const withdrawn = await purchaser.post(`/v1/suppliers/${supplier.code}/authorisations/withdrawal`, {
    part: pad.number,
    validTo: '2026-11-20'
  })
  expect([withdrawn.status, withdrawn.body.validTo]).toEqual([200, '2026-11-20'])
  expect([await authorised('2026-11-20'), await authorised('2026-11-21')]).toEqual([[pad.id], []])
  expect(
    (
      await purchaser.post(`/v1/suppliers/${supplier.code}/authorisations/withdrawal`, {
        part: pad.number,
        validTo: '2026-11-25'
      })
    ).body.code
  ).toBe('AuthorisationNotInForce')

  await purchaser.post(`/v1/suppliers/${supplier.code}/authorisations`, {
    part: pad.number,
    validFrom: '2026-12-01',
    validTo: '2026-12-31'
  })
  const listed = await keeper.get(`/v1/suppliers/${supplier.code}/authorisations?limit=1`)
  expect(listed.body.items).toEqual([
    {
      supplier: supplier.code,
      part: pad.number,
      partName: `part ${pad.number}`,
      validFrom: '2026-11-01',
      validTo: '2026-11-20'
    }
  ])
  const next = await keeper.get(
    `/v1/suppliers/${supplier.code}/authorisations?limit=1&cursor=${listed.body.nextCursor}`
  )
  expect([next.body.items[0].validFrom, next.body.nextCursor]).toEqual(['2026-12-01', null])
  expect((await keeper.get(`/v1/suppliers/${supplier.code}/authorisations?on=2026-12-05`)).body.items).toHaveLength(1)

  await purchaser.patch(`/v1/suppliers/${supplier.code}`, { active: false })
  expect(await authorised('2026-12-05')).toEqual([])
})

test('two authorisations of the same days at once: one is there', async () => {
  const part = await h.make.part()
  const supplier = await h.make.supplier()
  const outcomes = await Promise.all(
    Array.from({ length: 5 }, () =>
      purchaser.post(`/v1/suppliers/${supplier.code}/authorisations`, { part: part.number })
    )
  )
  expect(outcomes.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409])
})

test('suppliers are kept by purchaser, stock controller or administrator', async () => {
  const part = await h.make.part()
  const supplier = await h.make.supplier()
  const refused = [
    await keeper.post('/v1/suppliers', { code: 'X', name: 'x' }),
    await keeper.patch(`/v1/suppliers/${supplier.code}`, { name: 'x' }),
    await keeper.post(`/v1/suppliers/${supplier.code}/authorisations`, { part: part.number }),
    await keeper.post(`/v1/suppliers/${supplier.code}/authorisations/withdrawal`, { part: part.number })
  ]
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'DutyRequired']))
  expect((await purchaser.post(`/v1/suppliers/${supplier.code}/authorisations`, { part: 'NO-SUCH' })).body.code).toBe(
    'PartUnknown'
  )
  expect(
    (
      await purchaser.post(`/v1/suppliers/${supplier.code}/authorisations`, {
        part: part.number,
        validFrom: '2026-11-20',
        validTo: '2026-11-19'
      })
    ).body.code
  ).toBe('DaysReversed')
})
