import { afterAll, beforeAll, expect, test } from 'vitest'
import { controlledApprovalFor } from '../../src/catalogue/controlled-approvals.queries.ts'
import { drawOnControlledApproval } from '../../src/catalogue/draw-on-controlled-approval.ts'
import { callsAs } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

test('a controlled part has an approval for a warehouse before it is ordered there, and no more than approved (R-CAT-2)', async () => {
  const [here, elsewhere] = [await h.make.warehouse(), await h.make.warehouse()]
  const board = await h.make.part({ controlled: true })
  const person = await h.make.person({ grants: [{ duty: 'stock-controller', region: here.region }] })
  const controller = callsAs(h, person)
  const { em } = h.contextOf(person.actor)
  const approve = (body: object, part = board.number) =>
    controller.post(`/v1/parts/${part}/controlled-approvals`, {
      warehouse: here.code,
      quantity: '3',
      reason: 'machines waiting',
      validTo: '2026-12-31',
      ...body
    })
  expect(await controlledApprovalFor(em, board.id, here.id, '2026-11-20')).toEqual([])

  const approved = await approve({})
  expect([approved.status, approved.body]).toEqual([
    201,
    {
      id: expect.any(Number),
      part: board.number,
      warehouse: here.code,
      quantity: '3.000',
      used: '0.000',
      reason: 'machines waiting',
      approvedBy: person.username,
      approvedAt: '2026-11-20T02:00:00.000Z',
      validFrom: '2026-11-20',
      validTo: '2026-12-31'
    }
  ])
  expect(await controlledApprovalFor(em, board.id, here.id, '2026-12-31')).toEqual([
    { id: approved.body.id, left: '3.000', validTo: '2026-12-31' }
  ])
  expect(await controlledApprovalFor(em, board.id, here.id, '2027-01-01')).toEqual([])

  const draws = await Promise.all(
    Array.from({ length: 5 }, () =>
      drawOnControlledApproval(h.contextOf(person.actor).em, approved.body.id, '1', '2026-11-20')
    )
  )
  expect(draws.sort()).toEqual(['0.000', '1.000', '2.000', undefined, undefined])

  expect((await approve({ validTo: '2026-11-19' })).body.code).toBe('DaysReversed')
  expect((await approve({}, (await h.make.part()).number)).body.code).toBe('PartNotControlled')
  expect((await approve({ warehouse: elsewhere.code })).status).toBe(404)
  expect((await approve({}, 'NO-SUCH')).status).toBe(404)
})

test('only the stock controller approves, and approvals of foreign warehouses are not shown', async () => {
  const [here, elsewhere] = [await h.make.warehouse(), await h.make.warehouse()]
  const board = await h.make.part({ controlled: true })
  const body = (warehouse: string) => ({ warehouse, quantity: '1', reason: 'r', validTo: '2026-12-31' })
  const keeper = callsAs(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: here.code }] }))
  const refused = await keeper.post(`/v1/parts/${board.number}/controlled-approvals`, body(here.code))
  expect([refused.status, refused.body.code]).toEqual([403, 'DutyRequired'])

  const general = callsAs(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  for (const { code } of [here, elsewhere])
    await general.post(`/v1/parts/${board.number}/controlled-approvals`, body(code))
  const warehouses = (answer: { body: { items: { warehouse: string }[] } }) =>
    answer.body.items.map(({ warehouse }) => warehouse)
  expect(warehouses(await general.get(`/v1/controlled-approvals?part=${board.number}`))).toEqual([
    elsewhere.code,
    here.code
  ])
  expect(warehouses(await keeper.get(`/v1/controlled-approvals?part=${board.number}`))).toEqual([here.code])
})
