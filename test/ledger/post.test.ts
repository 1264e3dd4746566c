import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { post, type Entry } from '../../src/ledger/post.ts'
import { ensureMonth } from '../../src/ledger/movement-partitions.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { Refusal } from '../../src/platform/errors.ts'
import type { Context } from '../../src/identity/actor.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel } from '../support/kernel.ts'

let h: Harness
let ledger: Kernel
let ctx: Context

beforeAll(async () => {
  h = await openHarness()
  ledger = await kernel(h)
  ctx = ledger.ctx
})
afterAll(async () => {
  expect(await verifyLedger(ctx, {})).toMatchObject({ ok: true, findings: [] })
  await h.close()
})

describe('what goes out', () => {
  test('takes the oldest lot first and moves the cost of that lot (R-STK-5)', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '3', '10.00', { on: '2026-11-02' })
    await ledger.receive(shelf, '3', '12.00', { on: '2026-11-01' })

    const [first, second] = await ledger.issue(shelf, '4', { on: '2026-11-20' })

    expect([first, second]).toMatchObject([
      { quantity: '-3', cost: '-36.00', onHandAfter: '3' },
      { quantity: '-1', cost: '-10.00', onHandAfter: '2' }
    ])
  })

  test('never takes more than is on hand, however many ask at once (R-STK-4)', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '10.00')

    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => ledger.issue(shelf, '2')))

    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
    expect(
      outcomes
        .flatMap((outcome) => (outcome.status === 'rejected' ? [(outcome.reason as Refusal).code] : []))
        .every((code) => code === 'InsufficientStock')
    ).toBe(true)
    expect(await ledger.onHand(shelf)).toBe('1')
  })

  test('slips over the same parts in opposite order queue and never deadlock', async () => {
    const [a, b] = [await ledger.shelf(), await ledger.shelf()]
    await ledger.receive(a, '100', '1.00')
    await ledger.receive(b, '100', '1.00')

    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, (_, index) => {
        const lines = index % 2 === 0 ? [a, b] : [b, a]
        return ledger.post(lines.map((shelf, line) => ledger.entry(shelf, '-1', { line: line + 1 })))
      })
    )

    expect(outcomes.every(({ status }) => status === 'fulfilled')).toBe(true)
    expect([await ledger.onHand(a), await ledger.onHand(b)]).toEqual(['70', '70'])
  })

  test('two lines of the same part share what is there, and a refusal names what is short', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00')

    const refusal = await ledger.refusal(
      ledger.post([ledger.entry(shelf, '-3', { line: 1 }), ledger.entry(shelf, '-3', { line: 2 })])
    )

    expect(refusal).toMatchObject({
      code: 'InsufficientStock',
      status: 409,
      extra: { lines: [{ line: 2, part: shelf.part, wanted: '3', available: '5' }] }
    })
    expect(await ledger.onHand(shelf)).toBe('5')
  })

  test('nonconforming and consigned goods are stock of their own (R-STK-1, R-STK-6)', async () => {
    const shelf = await ledger.shelf()
    const faulty = { ...shelf, condition: 'nonconforming' as const }
    const consigned = { ...shelf, ownership: 'consigned' as const }
    await ledger.receive(faulty, '4', '9.00')
    await ledger.receive(consigned, '6', null)

    expect(await ledger.refusal(ledger.issue(shelf, '1'))).toMatchObject({ code: 'InsufficientStock' })
    expect(await ledger.issue(consigned, '2')).toMatchObject([
      { quantity: '-2', cost: '0.00', charge: '0.00', onHandAfter: '4' }
    ])
    expect(await ledger.onHand(faulty)).toBe('4')
  })

  test('cents telescope: what leaves in pieces adds up to what came in', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '7', '0.3333')

    const costs: number[] = []
    for (let piece = 0; piece < 7; piece++)
      costs.push(...(await ledger.issue(shelf, '1')).map(({ cost }) => Math.round(Number(cost) * -100)))

    expect(costs.reduce((sum, cents) => sum + cents, 0)).toBe(233)
    expect(await ledger.onHand(shelf)).toBe('0')
  })
})

describe('what depreciation went with it', () => {
  test('a lot before its fourth month carries no charge, one in its fourth month none of that month yet (R-AGE-1, R-AGE-2)', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '10', '25.00', { on: '2026-11-01', receivedOn: '2026-08-31' })
    await ledger.receive(shelf, '10', '25.00', { on: '2026-11-01', receivedOn: '2026-09-01' })

    expect(await ledger.issue(shelf, '20', { on: '2026-11-20' })).toMatchObject([
      { cost: '-250.00', charge: '0.00' },
      { cost: '-250.00', charge: '0.00' }
    ])
  })

  test.each([
    ['2026-07-10', '20.00'],
    ['2026-06-10', '40.00'],
    ['2025-09-10', '220.00'],
    ['2025-08-10', '240.00'],
    ['2019-01-01', '240.00']
  ])(
    'goods first received %s have %s of 250.00 charged before November 2026, and the rest always remains',
    async (receivedOn, charged) => {
      const shelf = await ledger.shelf()
      const [came] = await ledger.receive(shelf, '10', '25.00', { on: '2026-11-01', receivedOn })
      const [left] = await ledger.issue(shelf, '10', { on: '2026-11-20' })
      expect([came?.charge, left?.charge]).toEqual([charged, `-${charged}`])
    }
  )

  test('a late slip places the cents that the pending charge loses on itself (R-AGE-3)', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '10', '7.77', { on: '2026-09-01', receivedOn: '2026-06-10' })
    await ledger.issue(shelf, '3', { on: '2026-11-05' })
    // Late: dated into October, posted after a slip of November took from the same lot.
    await ledger.issue(shelf, '2', { on: '2026-10-28' })
    await ledger.issue(shelf, '1', { on: '2026-09-30' })
    expect(await verifyLedger(ctx, { warehouse: ledger.warehouse.code })).toMatchObject({ ok: true, findings: [] })
  })

  test('a late slip only takes lots that were there on its day', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00', { on: '2026-11-10' })
    expect(await ledger.refusal(ledger.issue(shelf, '1', { on: '2026-11-09' }))).toMatchObject({
      code: 'LotNotThereYet',
      status: 409
    })
  })
})

describe('what is undone', () => {
  test('comes back at the cost and charge it left with, in a new lot of the old age (R-IN-3, R-AGE-7)', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '3', '0.3350', { on: '2026-09-01', receivedOn: '2026-03-10' })
    const issued = await ledger.postSlip([ledger.entry(shelf, '-2')], { on: '2026-10-05' })
    await ledger.issue(shelf, '1', { on: '2026-10-06' })
    const [out] = issued.movements

    const [back] = await ledger.undo(issued, [ledger.entry(shelf, '2', { sourceLine: 1 })], { on: '2026-11-20' })

    expect([back?.cost, back?.charge]).toEqual([out?.cost.replace('-', ''), out?.charge.replace('-', '')])
    const [lot] = await h.sql<{ received_on: string }>('select received_on::text from lot where id = $1', [back?.lotId])
    expect(lot?.received_on).toBe('2026-03-10')
  })

  test('in parts adds up to what left, and never to more', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '3', '0.3350')
    const issued = await ledger.postSlip([ledger.entry(shelf, '-3')])

    const parts = [
      await ledger.undo(issued, [ledger.entry(shelf, '1', { sourceLine: 1 })]),
      await ledger.undo(issued, [ledger.entry(shelf, '2', { sourceLine: 1 })])
    ].flat()

    expect(parts.reduce((sum, { cost }) => sum + Math.round(Number(cost) * 100), 0)).toBe(101)
    expect(await ledger.refusal(ledger.undo(issued, [ledger.entry(shelf, '1', { sourceLine: 1 })]))).toMatchObject({
      code: 'ReturnExceedsIssue',
      extra: { lines: [{ wanted: '1', returnable: '0' }] }
    })
  })

  test('a receipt takes its own lots back, however many are older', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00', { on: '2026-10-01' })
    const wrong = await ledger.postSlip([ledger.entry(shelf, '7', { unitCost: '2.00' })])

    expect(await ledger.undo(wrong, [ledger.entry(shelf, '-7', { sourceLine: 1 })])).toMatchObject([
      { quantity: '-7', cost: '-14.00' }
    ])
    expect(await ledger.onHand(shelf)).toBe('5')
  })

  test('a receipt whose goods partly left is refused, until they came back', async () => {
    const shelf = await ledger.shelf()
    const receipt = await ledger.postSlip([ledger.entry(shelf, '5', { unitCost: '2.00' })])
    const issue = await ledger.postSlip([ledger.entry(shelf, '-2')])

    expect(await ledger.refusal(ledger.undo(receipt, [ledger.entry(shelf, '-5', { sourceLine: 1 })]))).toMatchObject({
      code: 'GoodsAlreadyGone'
    })
    await ledger.undo(issue, [ledger.entry(shelf, '2', { sourceLine: 1 })])
    await ledger.undo(receipt, [ledger.entry(shelf, '-5', { sourceLine: 1 })])
    expect(await ledger.onHand(shelf)).toBe('0')
  })

  test('a return that is reversed can be made again', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '2.00')
    const issue = await ledger.postSlip([ledger.entry(shelf, '-5')])
    const wrong = await ledger.undoSlip(issue, [ledger.entry(shelf, '3', { sourceLine: 1 })])
    await ledger.undo(wrong, [ledger.entry(shelf, '-3', { sourceLine: 1 })])

    await ledger.undo(issue, [ledger.entry(shelf, '5', { sourceLine: 1 })])
    expect(await ledger.onHand(shelf)).toBe('5')
  })

  test('a return reversed again and again neither makes nor loses a cent', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '3', '3.3333')
    const issue = await ledger.postSlip([ledger.entry(shelf, '-3')])
    const back = () => ledger.undoSlip(issue, [ledger.entry(shelf, '1', { sourceLine: 1 })])
    const first = await back()
    await back()
    await ledger.undo(first, [ledger.entry(shelf, '-1', { sourceLine: 1 })])
    await back()
    await back()
    const [worth] = await h.sql<{ cost: string }>(
      'select sum(lot_cost(unit_cost, on_hand, cost_residue))::text as cost from lot where part_id = $1',
      [shelf.partId]
    )
    expect(worth?.cost).toBe('10.00')
  })

  test('what was returned, issued and came back again can still be reversed', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '10', '1.00')
    const first = await ledger.postSlip([ledger.entry(shelf, '-4')])
    const returned = await ledger.undoSlip(first, [ledger.entry(shelf, '4', { sourceLine: 1 })])
    const second = await ledger.postSlip([ledger.entry(shelf, '-10')])
    await ledger.undo(second, [ledger.entry(shelf, '10', { sourceLine: 1 })])

    await ledger.undo(returned, [ledger.entry(shelf, '-4', { sourceLine: 1 })])
    expect(await ledger.onHand(shelf)).toBe('6')
  })

  test('returns of the same line at once never bring back more than left', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '2.00')
    const issue = await ledger.postSlip([ledger.entry(shelf, '-5')])
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) =>
        ledger.undo(issue, [
          ledger.entry(index % 2 === 0 ? shelf : { ...shelf, condition: 'nonconforming' }, '2', { sourceLine: 1 })
        ])
      )
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
  })
})

describe('reservations', () => {
  test('goods promised stay on hand but are no longer available; their own slip may take them (R-STK-4)', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00')
    const id = await ledger.reserve(shelf, '4')

    expect(await ledger.refusal(ledger.issue(shelf, '2'))).toMatchObject({
      code: 'InsufficientStock',
      extra: { lines: [{ available: '1' }] }
    })
    await ledger.post([ledger.entry(shelf, '-3', { reservationId: id })])
    expect(await ledger.refusal(ledger.post([ledger.entry(shelf, '-2', { reservationId: id })]))).toMatchObject({
      code: 'ReservationDoesNotCover'
    })
    expect(await ledger.release(id)).toBe('1')
    expect(await ledger.release(id)).toBe('0')
    await ledger.issue(shelf, '2')
    expect(await ledger.onHand(shelf)).toBe('0')
  })

  test('many reserve at once: only what is there is promised', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '5', '1.00')
    const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => ledger.reserve(shelf, '2')))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
  })
})

describe('the database itself', () => {
  test('refuses to edit, delete or empty movements (R-STK-2)', async () => {
    const shelf = await ledger.shelf()
    await ledger.receive(shelf, '1', '1.00', { on: '2026-11-20' })
    await expect(h.sql('update movement set quantity = 2')).rejects.toThrow(/never edited/)
    await expect(h.sql('delete from movement')).rejects.toThrow(/never edited/)
    await expect(h.sql('update movement_2026_11 set quantity = 2')).rejects.toThrow(/never edited/)
    await expect(h.sql('truncate movement_2026_11')).rejects.toThrow(/never edited/)
  })

  test('refuses movements into a closed period, by the kernel and past it, and never reopens one', async () => {
    const other = await kernel(h)
    const shelf = await other.shelf()
    await other.receive(shelf, '5', '1.00', { on: '2026-09-10' })
    await h.sql(`insert into stock_period values ($1, '2026-09-01', 'closed', now())`, [other.warehouse.id])

    expect(await other.refusal(other.issue(shelf, '1', { on: '2026-09-30' }))).toMatchObject({
      code: 'PeriodClosed',
      status: 409
    })
    await expect(
      h.sql(
        `insert into movement select warehouse_id, nextval('movement_id_seq'), slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, now(), cost, charge, on_hand_after from movement where warehouse_id = $1 limit 1`,
        [other.warehouse.id]
      )
    ).rejects.toThrow(/closed/)
    await expect(
      h.sql(`update stock_period set state = 'open' where warehouse_id = $1`, [other.warehouse.id])
    ).rejects.toThrow(/never reopened/)
  })

  test('leads every key of a stock table with the warehouse, so that the ledger can be sharded by it', async () => {
    const tables = [
      'balance',
      'lot',
      'movement',
      'reservation',
      'stock_period',
      'slip',
      'slip_line',
      'signature',
      'document_event',
      'document_number',
      'quality_report',
      'stock_count',
      'count_line',
      'count_entry',
      'depreciation_line',
      'stock_report_line',
      'period_statement',
      'expected_receipt',
      'reorder_proposal',
      'purchase_plan',
      'purchase_plan_budget',
      'lot_block',
      'purchase_plan_line',
      'recall',
      'recall_line',
      'recall_warehouse',
      'recall_answer',
      'recall_ending'
    ]
    const keys = await h.sql<{ table: string; key: string; first: string }>(
      `select c.relname as table, i.relname as key, a.attname as first
         from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid join pg_attribute a on a.attrelid = c.oid and a.attnum = x.indkey[0]
        where c.relname = any ($1) and (x.indisprimary or x.indisunique)`,
      [tables]
    )
    expect(new Set(keys.map(({ table }) => table))).toEqual(new Set(tables))
    expect(keys.filter(({ first }) => first !== 'warehouse_id')).toEqual([])
  })
})

test('partitions are made on demand, by many at once, and only once', async () => {
  await Promise.all(Array.from({ length: 5 }, () => ensureMonth(h.contextOf(ctx.actor), '2031-05-17')))
  const [made] = await h.sql(`select count(*)::int as count from pg_class where relname = 'movement_2031_05'`)
  expect(made).toEqual({ count: 1 })
})

test('one call is one round trip, whatever the number of lines', async () => {
  const shelves = []
  for (let index = 0; index < 40; index++) shelves.push(await ledger.shelf())
  const entries: Entry[] = shelves.map((shelf, index) =>
    ledger.entry(shelf, '1', { line: index + 1, unitCost: '1.00' })
  )
  const slip = await ledger.slip(entries)
  let statements = 0
  const count = () => statements++
  h.runtime.database.pool.on('acquire', count)
  await post(ctx, {
    warehouseId: ledger.warehouse.id,
    slipId: slip,
    occurredOn: h.clock.today(),
    postedAt: h.clock.now().toString(),
    entries
  })
  h.runtime.database.pool.off('acquire', count)
  await h.sql(`update slip set state = 'posted', posted_at = now(), posted_by = 0 where id = $1`, [slip])
  expect(statements).toBe(1)
})
