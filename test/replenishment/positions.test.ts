import { afterAll, beforeAll, expect, test } from 'vitest'
import { seriesOf } from '../../src/replenishment/compute-levels.ts'
import { openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
})
afterAll(() => h.close())

const level = (part: { id: number }, point: string, upTo: string) =>
  h.sql(
    `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, computed_at) values ($1, $2, $3, $4, 'computed', now())
     on conflict (warehouse_id, part_id) do update set reorder_point = excluded.reorder_point, order_up_to = excluded.order_up_to`,
    [counter.warehouseId, part.id, point, upTo]
  )
const position = async (part: { id: number }) =>
  (
    await h.sql(
      `select trim_scale(available)::text as available, trim_scale(on_order)::text as "onOrder", is_short as "isShort"
         from reorder_position where warehouse_id = $1 and part_id = $2`,
      [counter.warehouseId, part.id]
    )
  )[0]
let lines = 0
/** Answers what a slip names it by. */
const expected = async (part: { id: number }, quantity: string) => {
  await h.sql(
    `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, opened_at, opened_by)
     values ($1, $2, 'purchase', 'HQ-PLN-202611-00001', $3, $4, now(), 0)`,
    [counter.warehouseId, part.id, ++lines, quantity]
  )
  return `HQ-PLN-202611-00001/${lines}`
}

test('available is what is qualified, own and consigned, less what is reserved (R-STK-4, R-ORD-2)', async () => {
  const part = await counter.stocked({ quantity: '5' })
  await counter.posted({
    kind: 'receipt',
    lines: [
      { part: part.number, quantity: '2', ownership: 'consigned' },
      { part: part.number, quantity: '9', unitCost: '1', condition: 'nonconforming' }
    ]
  })
  await h.sql(
    `update balance set reserved = 1 where warehouse_id = $1 and part_id = $2 and ownership = 'own' and condition = 'qualified'`,
    [counter.warehouseId, part.id]
  )
  await level(part, '5', '9')
  expect(await position(part)).toEqual({ available: '6', onOrder: '0', isShort: false })
})

test('a position is short from its reorder point on, also at 0, unless nothing is to be kept (R-ORD-2)', async () => {
  const stocked = await counter.stocked({ quantity: '5' })
  for (const [point, isShort] of [
    ['4', false],
    ['5', true],
    ['6', true]
  ] as const) {
    await level(stocked, point, '9')
    expect(await position(stocked)).toMatchObject({ isShort })
  }
  const never = await h.make.part()
  await level(never, '0', '0')
  expect(await position(never)).toEqual({ available: '0', onOrder: '0', isShort: false })
  await level(never, '0', '1')
  expect(await position(never)).toMatchObject({ isShort: true })
})

test('what is on order counts until it is received, in parts, and comes back when a receipt is reversed (R-ORD-2)', async () => {
  const part = await counter.stocked({ quantity: '1' })
  const [first] = [await expected(part, '10'), await expected(part, '3')]
  await level(part, '5', '9')
  expect(await position(part)).toEqual({ available: '1', onOrder: '13', isShort: false })

  const receive = (quantity: string) => ({
    kind: 'receipt',
    lines: [{ part: part.number, quantity, unitCost: '1', expectedReceipt: first }]
  })
  // Nothing has arrived by a slip that is not posted.
  const some = await counter.slip(receive('4'))
  expect(await position(part)).toMatchObject({ available: '1', onOrder: '13' })
  await counter.signAndPost(some.number)
  expect(await position(part)).toMatchObject({ available: '5', onOrder: '9' })

  // More than was ordered leaves nothing of it on order, and takes nothing from another.
  const rest = await counter.posted(receive('8'))
  expect(await position(part)).toMatchObject({ available: '13', onOrder: '3' })

  await counter.posted({ kind: 'reversal', reference: rest.number, reason: 'not ours' })
  expect(await position(part)).toMatchObject({ available: '5', onOrder: '9' })

  await h.sql(
    `update expected_receipt set ended_at = now(), ended_because = 'out of production' where warehouse_id = $1 and line_no = 1`,
    [counter.warehouseId]
  )
  expect(await position(part)).toEqual({ available: '5', onOrder: '3', isShort: false })
})

test('a series has each month in its place, whatever month it begins in', () => {
  for (let start = 0; start < 48; start++) {
    const from = Temporal.PlainDate.from('2023-01-01').add({ months: start })
    const days = Array.from(
      { length: 60 },
      (_, place) => from.until(from.add({ months: place }), { largestUnit: 'days' }).days
    )
    const demand = days.map((day, place) => `${day}:${place + 1}`).join(',')
    expect(seriesOf({ months: 60, demand })).toEqual(days.map((_, place) => place + 1))
  }
  expect(seriesOf({ months: 3, demand: null })).toEqual([0, 0, 0])
})
