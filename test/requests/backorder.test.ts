import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { run, statement } from '../../src/platform/database.ts'
import { allocateToBackorder, reduceBackorders, registerBackorders } from '../../src/requests/backorder.ts'
import { settleClocks } from '../../src/requests/clock.ts'
import { warehouseByCode } from '../../src/warehouses/directory.ts'
import { openHarness, type Harness } from '../support/harness.ts'

// What planning a line writes when nobody has the goods, on requests that are written past every rule.

let h: Harness
let centre: { id: number; code: string }
let outlet: { id: number; code: string }
beforeAll(async () => {
  h = await openHarness()
  centre = await h.make.warehouse({ kind: 'regional-centre', region: 'NORTH' })
  outlet = await h.make.warehouse({ kind: 'outlet', region: 'NORTH', parent: centre.code })
})
afterAll(() => h.close())

/** A request with a line per part, past every rule; answers its id and number. */
async function requested(
  parts: { id: number }[],
  { quantity = '5', urgency = 'normal' }: { quantity?: string; urgency?: string } = {}
) {
  const [request] = await h.sql<{ id: string; number: string }>(
    `insert into request (warehouse_id, number, centre_id, urgency, carriage, need_by, accepts_partial, accepts_substitutes, value, requested_by, requested_at)
     values ($1, 'REQ-' || nextval('document_id_seq'), $2, $3, case when $3 = 'emergency' then 'air' end, '2026-12-31', true, false, 0, 0, $4) returning id::text as id, number`,
    [outlet.id, centre.id, urgency, h.clock.now().toString()]
  )
  for (const [index, part] of parts.entries())
    await h.sql(
      `insert into request_line (warehouse_id, request_id, line_no, part_id, quantity, unit, unit_quantity, unit_price) values ($1, $2, $3, $4, $5, 'piece', $5, 0)`,
      [outlet.id, request.id, index + 1, part.id, quantity]
    )
  return request
}

const system = () => h.contextOf(systemActor)

async function register(
  request: { id: string; number: string },
  lines: { line: number; partId: number; quantity: string }[],
  { urgency = 'normal' as const, queuedAt }: { urgency?: 'normal' | 'emergency'; queuedAt?: string } = {}
) {
  const ctx = system()
  return inTransaction(ctx, async (inner) =>
    registerBackorders(inner, {
      outlet: await warehouseByCode(inner, outlet.code),
      requestId: request.id,
      requestNumber: request.number,
      urgency,
      centre,
      queuedAt,
      lines
    })
  )
}

const kept = (request: { id: string }) =>
  h.sql(
    `select line_no as line, trim_scale(quantity)::text as quantity, trim_scale(waiting)::text as waiting, state, ended_because as because from backorder where request_id = $1 order by id`,
    [request.id]
  )
const clocks = (request: { id: string }) =>
  h.sql(
    `select c.line_no as line, c.piece, c.due_on::text as due, c.ended_because as ended, (select count(*)::int from request_clock_pause p where p.request_id = c.request_id and p.line_no = c.line_no and p.to_at is null) as paused
       from request_clock c where c.request_id = $1 order by 1, 2`,
    [request.id]
  )

test('what lines are short of is registered once per line, and waits for what it is told later (R-REQ-1)', async () => {
  const [a, b] = [await h.make.part(), await h.make.part()]
  const request = await requested([a, b])
  const registered = await register(request, [
    { line: 1, partId: a.id, quantity: '5' },
    { line: 2, partId: b.id, quantity: '2' }
  ])
  expect(registered).toMatchObject([
    { line: 1, number: `${outlet.code}-BKO-202611-00001`, quantity: '5', basis: 'default', promisedOn: '2026-12-11' },
    { line: 2, number: `${outlet.code}-BKO-202611-00002`, quantity: '2', basis: 'default', promisedOn: '2026-12-11' }
  ])
  const again = await register(request, [{ line: 1, partId: a.id, quantity: '3' }])
  expect(again).toMatchObject([{ number: registered[0]?.number, quantity: '3' }])
  expect(await kept(request)).toEqual([
    { line: 1, quantity: '5', waiting: '3', state: 'waiting', because: null },
    { line: 2, quantity: '2', waiting: '2', state: 'waiting', because: null }
  ])
  expect(await clocks(request)).toMatchObject([
    { line: 1, piece: 'backordered', due: '2026-12-11', ended: null, paused: 0 },
    { line: 2, piece: 'backordered', due: '2026-12-11', ended: null, paused: 0 }
  ])
})

test('what is cancelled while it waits ends the backorder and its clock', async () => {
  const part = await h.make.part()
  const request = await requested([part])
  await register(request, [{ line: 1, partId: part.id, quantity: '5' }])
  const reduce = (quantity: string | null) =>
    inTransaction(system(), (ctx) =>
      reduceBackorders(ctx, {
        outletId: outlet.id,
        requestId: request.id,
        lines: [{ line: 1, quantity }],
        because: 'repaired otherwise'
      })
    )
  expect(await reduce('2')).toEqual([{ line: 1, quantity: '2' }])
  expect(await kept(request)).toMatchObject([{ quantity: '3', waiting: '3', state: 'waiting' }])
  expect(await reduce(null)).toEqual([{ line: 1, quantity: '3' }])
  expect(await kept(request)).toEqual([
    { line: 1, quantity: '3', waiting: '0', state: 'cancelled', because: 'repaired otherwise' }
  ])
  expect(await clocks(request)).toMatchObject([{ ended: 'cancelled' }])
  expect(await reduce(null)).toEqual([])
})

const ALLOCATED = statement<never>(`
insert into request_allocation (warehouse_id, request_id, line_no, allocation_no, part_id, quantity, step, from_warehouse_id, ownership, backorder_id,
                                needs_confirmation, state, allocated_at, evidence)
values ($1, $2, 1, $3, $4, $5, 'centre', $6, 'own', $7, true, 'reserved', $8, '[]')`)

test('a clock stands while only the requester is waited for (R-REQ-2)', async () => {
  const part = await h.make.part()
  const request = await requested([part])
  const [backorder] = await register(request, [{ line: 1, partId: part.id, quantity: '5' }])
  const find = (quantity: string, no: number) =>
    inTransaction(system(), async (ctx) => {
      await allocateToBackorder(ctx, {
        outletId: outlet.id,
        backorderId: backorder?.id ?? '',
        quantity,
        from: centre.code
      })
      await run(ctx, ALLOCATED, [
        outlet.id,
        request.id,
        no,
        part.id,
        quantity,
        centre.id,
        backorder?.id,
        ctx.clock.now().toString()
      ])
      await settleClocks(ctx, { outletId: outlet.id, requestId: request.id })
    })
  await find('3', 1)
  expect(await kept(request)).toMatchObject([{ quantity: '5', waiting: '2', state: 'allocated' }])
  expect(await clocks(request)).toMatchObject([{ paused: 0 }])
  await find('2', 2)
  expect(await kept(request)).toMatchObject([{ quantity: '5', waiting: '0', state: 'allocated' }])
  expect(await clocks(request)).toMatchObject([{ paused: 1, due: '2026-12-11' }])
  await expect(find('1', 3)).rejects.toThrow('does not wait for 1')

  // Asked on Friday the 20th, answered on Wednesday the 25th: three working days that nobody could do anything in.
  h.clock.set('2026-11-25T09:00')
  await h.sql('update request_allocation set confirmed_at = now() where request_id = $1', [request.id])
  await settleClocks(system(), { outletId: outlet.id, requestId: request.id })
  expect(await kept(request)).toMatchObject([{ state: 'confirmed' }])
  expect(await clocks(request)).toMatchObject([{ paused: 0, due: '2026-12-16', ended: null }])

  await h.sql(
    `update request_allocation set state = 'ended', ended_at = now(), ended_because = 'not needed' where request_id = $1`,
    [request.id]
  )
  await settleClocks(system(), { outletId: outlet.id, requestId: request.id, because: 'the outlet needs it no more' })
  expect(await kept(request)).toMatchObject([
    { state: 'cancelled', quantity: '5', because: 'the outlet needs it no more' }
  ])
  expect(await clocks(request)).toMatchObject([{ ended: 'cancelled' }])
})
