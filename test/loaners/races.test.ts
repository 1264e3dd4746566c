import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { extendLoan } from '../../src/loaners/extend-loan.ts'
import { lendLoaner } from '../../src/loaners/lend-loaner.ts'
import { receiveLoaner, transferLoaner } from '../../src/loaners/transfer-loaner.ts'
import { registerLoaners } from '../../src/loaners/register-loaners.ts'
import { reportLoanerRepaired, sendLoanerToRepair } from '../../src/loaners/repair-loaner.ts'
import { endLoanerReservation, reserveLoaner } from '../../src/loaners/reserve-loaner.ts'
import { retireLoaner } from '../../src/loaners/retire-loaner.ts'
import { returnLoaner } from '../../src/loaners/return-loaner.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { reverseSlip } from '../../src/slips/create-slip.ts'
import { postSlip } from '../../src/slips/post-slip.ts'
import { signSlip } from '../../src/slips/sign-slip.ts'
import { cancelSlip } from '../../src/slips/withdraw-slip.ts'
import { SIGNERS } from '../support/counter.ts'
import { openRecalling } from '../recalls/recalling.ts'
import { outcome, tally } from '../support/outcomes.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { aLoan, LOAN, openLoaners, serialOf, type LoanerCounter } from './loaners-counter.ts'

// Through the verbs, with no HTTP in between: many at once, and many in a row.

let h: Harness
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
})
afterAll(() => h.close())

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 8)

const keeperOf = (at: LoanerCounter) => h.contextOf(at.keeper.person.actor)
const signed = async (at: LoanerCounter, number: string) => {
  for (const duty of SIGNERS)
    await signSlip(h.contextOf(at.signers[duty].person.actor), { number, duty, decision: 'approve' })
  return number
}
const settled = async (at: LoanerCounter, number: string) =>
  postSlip(keeperOf(at), { number: await signed(at, number) })

test('one unit that ten lend at once is lent once (R-LOAN-1)', async () => {
  const at = await openLoaners(h)
  const [serial] = await at.units(1)
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      outcome(lendLoaner(keeperOf(at), { serial, ...aLoan(), repairOrder: `RO-${index}` }))
    )
  )
  expect(tally(outcomes)).toEqual({ done: 1, LoanerNotAvailable: 9 })
  expect(await h.sql(`select state from loan where warehouse_id = $1`, [at.warehouseId])).toEqual([
    { state: 'awaiting-release' }
  ])
})

test('a unit that is lent, reserved, retired, sent to repair and transferred at once goes one way', async () => {
  const at = await openLoaners(h)
  const other = await openLoaners(h, { model: at.model })
  for (let round = 0; round < 5; round++) {
    const [serial] = await at.units(1)
    const ctx = keeperOf(at)
    const outcomes = await Promise.all([
      outcome(lendLoaner(ctx, { serial, ...aLoan() })),
      outcome(reserveLoaner(ctx, { serial, repairOrder: 'RO-OTHER', until: '2026-12-01' })),
      outcome(retireLoaner(ctx, { serial, reason: 'x' })),
      outcome(sendLoanerToRepair(ctx, { serial, reason: 'x' })),
      outcome(transferLoaner(ctx, { serial, to: other.warehouse, reason: 'x' }))
    ])
    expect(outcomes.filter((one) => one === 'done')).toHaveLength(
      // A unit in repair may be retired, and that is all that goes together.
      outcomes[2] === 'done' && outcomes[3] === 'done' ? 2 : 1
    )
  }
  expect((await verifyLedger(keeperOf(at), { warehouse: at.warehouse })).findings).toEqual([])
})

test('a recall that opens, and is lifted, while units are reserved, lent, repaired and reported back leaves each promised once or not at all (R-REQ-7)', async () => {
  const network = await openRecalling(h)
  for (let round = 0; round < 3; round++) {
    const at = await openLoaners(h)
    const ctx = keeperOf(at)
    const [kept, repair, fixed, lending, late, ...others] = await at.units(7)
    await sendLoanerToRepair(ctx, { serial: fixed, reason: 'x' })
    const { outSlip } = await at.lend(lending)
    await signed(at, outSlip)
    const [recall, reserved, ...rest] = await Promise.all([
      network.recallPart(at.model),
      outcome(reserveLoaner(ctx, { serial: kept, repairOrder: 'RO-1', until: '2026-12-01' })),
      outcome(sendLoanerToRepair(ctx, { serial: repair, reason: 'x' })),
      outcome(reportLoanerRepaired(ctx, { serial: fixed, note: 'x' })),
      outcome(postSlip(ctx, { number: outSlip }))
    ])
    expect(['done', 'LoanerNotAvailable']).toContain(reserved)
    for (const one of rest) expect(['done', 'LoanerNotAvailable', 'GoodsBlocked']).toContain(one)
    for (const serial of [kept, repair, fixed, lending, late, ...others])
      expect(await at.unit(serial)).toMatchObject({ recalls: [recall.number], reservation: null })
    expect(
      await h.sql(`select 1 from loaner_reservation where warehouse_id = $1 and ended_at is null`, [at.warehouseId])
    ).toEqual([])

    const path = `/v1/recalls/${recall.number}`
    await network.controller.post(`${path}/lifting`, { reason: 'x' })
    const [, ...afterwards] = await Promise.all([
      network.signEnd(recall.number),
      ...[repair, late, ...others].map((serial) => outcome(sendLoanerToRepair(ctx, { serial, reason: 'x' }))),
      outcome(reportLoanerRepaired(ctx, { serial: repair, note: 'x' }))
    ])
    for (const one of afterwards) expect(['done', 'LoanerNotAvailable']).toContain(one)
    // What is in repair is promised to it, and nothing else is promised.
    const [promises] = await h.sql(
      `select (select count(*)::int from loaner_unit u join reservation r on r.warehouse_id = u.held_by and r.id = u.repair_reservation_id
                where u.held_by = $1 and u.state = 'in-repair' and r.released_at is null and r.consumed < r.quantity) as promised,
              (select count(*)::int from loaner_unit where held_by = $1 and state = 'in-repair') as "inRepair",
              (select sum(reserved)::int from balance where warehouse_id = $1) as reserved, (select sum(blocked)::int from balance where warehouse_id = $1) as blocked`,
      [at.warehouseId]
    )
    expect(promises).toEqual({
      promised: promises.inRepair,
      inRepair: promises.inRepair,
      reserved: promises.inRepair,
      blocked: 0
    })
    expect((await verifyLedger(ctx, { warehouse: at.warehouse })).findings).toEqual([])
  }
})

test('of an extension and a return at once both are done in some order, or the extension comes too late', async () => {
  const at = await openLoaners(h)
  for (let round = 0; round < 6; round++) {
    const [serial] = await at.units(1)
    const { number } = await at.lent(serial)
    const ctx = keeperOf(at)
    const [extended, returned] = await Promise.all([
      outcome(extendLoan(ctx, { number, dueOn: '2026-12-15', because: 'x' })),
      outcome(returnLoaner(ctx, { number, outcome: 'usable', condition: 'x' }))
    ])
    expect(returned).toBe('done')
    expect(['done', 'LoanerNotAvailable']).toContain(extended)
    const [loan] = await h.sql<{ due: string; extensions: number; returning: boolean }>(
      `select due_on::text as due, extensions, in_slip_id is not null as returning from loan where number = $1`,
      [number]
    )
    expect(loan).toEqual(
      extended === 'done'
        ? { due: '2026-12-15', extensions: 1, returning: true }
        : { due: '2026-12-04', extensions: 0, returning: true }
    )
  }
})

test('the same serial number that five warehouses register at once is one unit', async () => {
  const at = await openLoaners(h)
  const shops = [at, ...(await Promise.all([1, 2, 3, 4].map(() => openLoaners(h, { model: at.model }))))]
  const [one, two] = [serialOf(), serialOf()]
  const outcomes = await Promise.all(
    shops.map((shop, index) =>
      outcome(
        registerLoaners(keeperOf(shop), {
          warehouse: shop.warehouse,
          kind: 'opening',
          units: (index % 2 === 0 ? [one, two] : [two.toLowerCase(), one]).map((serial) => ({
            serial,
            model: at.model
          }))
        })
      )
    )
  )
  expect(tally(outcomes)).toEqual({ done: 1, SerialTaken: 4 })
})

test('posting, cancelling and lending anew at once leave a unit in one place', async () => {
  const at = await openLoaners(h)
  for (let round = 0; round < 6; round++) {
    const [serial] = await at.units(1)
    const { outSlip } = await at.lend(serial)
    await signed(at, outSlip)
    const ctx = keeperOf(at)
    const outcomes = await Promise.all([
      outcome(postSlip(ctx, { number: outSlip })),
      outcome(cancelSlip(ctx, { number: outSlip, reason: 'x' })),
      outcome(lendLoaner(ctx, { serial, ...aLoan(), repairOrder: 'RO-NEXT' })),
      outcome(retireLoaner(ctx, { serial, reason: 'x' }))
    ])
    expect(outcomes.slice(0, 2).filter((one) => one === 'done')).toHaveLength(1)
    await expectOnePlaceEach(at.model)
  }
})

/**
 * At every position of the ledger a unit is in at most one place, what is on hand of a model is the units that are registered on that shelf,
 * and what is kept of a unit says the same as its movements.
 */
async function expectOnePlaceEach(model: string): Promise<void> {
  const steps = await h.sql<{ unit: string; warehouse: number; quantity: string; on_shelves: string; here: string }>(
    `select m.unit_warehouse_id || '/' || m.unit_id as unit, m.warehouse_id as warehouse, m.quantity::int::text as quantity,
            sum(m.quantity) over (partition by m.unit_warehouse_id, m.unit_id order by m.movement_id)::int::text as on_shelves,
            sum(m.quantity) over (partition by m.unit_warehouse_id, m.unit_id, m.warehouse_id order by m.movement_id)::int::text as here
       from loaner_movement m
       join loaner_unit u on u.warehouse_id = m.unit_warehouse_id and u.id = m.unit_id
       join part on part.id = u.part_id where part.number = $1`,
    [model]
  )
  for (const { on_shelves: shelves, here } of steps) {
    expect(['0', '1']).toContain(shelves)
    expect(['0', '1']).toContain(here)
  }
  const faults = await h.sql(
    `with unit as (
       select u.*, part.number as model, l.on_hand,
              (select sum(m.quantity) from loaner_movement m where m.unit_warehouse_id = u.warehouse_id and m.unit_id = u.id) as shelved,
              (select m.lot_id from loaner_movement m where m.unit_warehouse_id = u.warehouse_id and m.unit_id = u.id order by m.movement_id desc limit 1) as last_lot
         from loaner_unit u join part on part.id = u.part_id left join lot l on l.warehouse_id = u.held_by and l.id = u.lot_id
        where part.number = $1)
     select serial, state, lot_id, shelved from unit
      where (lot_id is not null) <> (coalesce(shelved, 0) = 1)
         or (lot_id is not null and (on_hand <> 1 or lot_id <> last_lot))
         or (state in ('registered', 'withdrawn', 'retired') and lot_id is not null)
         or (state = 'in-service' and (lot_id is null) <> (loan_id is not null))
         or (state = 'in-transit') <> (moving_to is not null)
         or (loan_id is not null and not exists (select 1 from loan where loan.warehouse_id = loan_warehouse_id and loan.id = loan_id and loan.state = 'out'))
     union all
     select w.code, b.condition, null, b.on_hand - (select count(*) from unit u where u.held_by = b.warehouse_id and u.condition = b.condition and u.lot_id is not null)
       from balance b join warehouse w on w.id = b.warehouse_id
      where b.part_number = $1
        and b.on_hand <> (select count(*) from unit u where u.held_by = b.warehouse_id and u.condition = b.condition and u.lot_id is not null)
     union all
     select l.number, l.state, null, null from loan l
       join unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
      where (l.state = 'out') <> (u.loan_id is not distinct from l.id and u.loan_warehouse_id is not distinct from l.warehouse_id)`,
    [model]
  )
  expect(faults).toEqual([])
}

const STEPS = [
  'lend',
  'post',
  'cancel',
  'return',
  'break',
  'ruin',
  'reverse',
  'transfer',
  'arrive',
  'reserve',
  'free',
  'repair',
  'repaired',
  'retire',
  'register'
] as const

test('whatever is done to units in whatever order, each is in exactly one place at every position of the ledger, and the shelves hold those that are registered there', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(), fc.nat()), { minLength: 10, maxLength: 30 }),
      async (steps) => {
        h.clock.set(DEFAULT_TIME)
        const a = await openLoaners(h)
        const b = await openLoaners(h, { model: a.model })
        const serials = await a.units(3)
        const pick = <One>(from: readonly One[], at: number): One | undefined => from[at % Math.max(1, from.length)]
        for (const [step, which, where] of steps) {
          const serial = pick(serials, which) ?? ''
          const at = where % 2 === 0 ? a : b
          const ctx = keeperOf(at)
          const [unit] = await h.sql<{ slip: string | null; warehouse: number | null; loan: string | null }>(
            `select s.number as slip, s.warehouse_id as warehouse,
                    (select number from loan l where l.unit_warehouse_id = u.warehouse_id and l.unit_id = u.id and l.state = 'out') as loan
               from loaner_unit u left join slip s on s.warehouse_id = u.pending_warehouse_id and s.id = u.pending_slip_id
              where u.serial = $1 order by u.id desc limit 1`,
            [serial]
          )
          const place = unit?.warehouse === b.warehouseId ? b : a
          const work: Record<(typeof STEPS)[number], () => Promise<unknown>> = {
            lend: () => lendLoaner(ctx, { serial, ...aLoan() }),
            post: async () => (unit?.slip == null ? undefined : settled(place, unit.slip)),
            cancel: async () =>
              unit?.slip == null ? undefined : cancelSlip(keeperOf(place), { number: unit.slip, reason: 'x' }),
            return: async () => give('usable'),
            break: async () => give('needs-repair'),
            ruin: async () => give('beyond-repair'),
            reverse: async () => {
              const [slip] = await h.sql<{ number: string; warehouse: number }>(
                `select s.number, s.warehouse_id as warehouse from loaner_move mv
                   join loaner_unit u on u.warehouse_id = mv.unit_warehouse_id and u.id = mv.unit_id
                   join slip s on s.warehouse_id = mv.warehouse_id and s.id = mv.slip_id
                  where u.serial = $1 and s.state = 'posted' order by s.id desc limit 1`,
                [serial]
              )
              if (slip === undefined) return
              const reverser = slip.warehouse === b.warehouseId ? b : a
              const { number } = await reverseSlip(keeperOf(reverser), { number: slip.number, reason: 'x' })
              const done = await outcome(settled(reverser, number))
              if (done !== 'done') await cancelSlip(keeperOf(reverser), { number, reason: done })
            },
            transfer: () => transferLoaner(ctx, { serial, to: at === a ? b.warehouse : a.warehouse, reason: 'x' }),
            arrive: () => receiveLoaner(ctx, { serial }),
            reserve: () => reserveLoaner(ctx, { serial, repairOrder: LOAN.repairOrder, until: '2026-12-01' }),
            free: () => endLoanerReservation(ctx, { serial }),
            repair: () => sendLoanerToRepair(ctx, { serial, reason: 'x' }),
            repaired: () => reportLoanerRepaired(ctx, { serial, note: 'x' }),
            retire: () => retireLoaner(ctx, { serial, reason: 'x' }),
            register: async () => {
              const fresh = serialOf()
              serials.push(fresh)
              await registerLoaners(ctx, {
                warehouse: at.warehouse,
                kind: 'opening',
                units: [{ serial: fresh, model: a.model }]
              })
            }
          }
          const give = async (how: 'usable' | 'needs-repair' | 'beyond-repair') =>
            unit?.loan == null
              ? undefined
              : returnLoaner(keeperOf(unit.loan.startsWith(`${b.warehouse}-`) ? b : a), {
                  number: unit.loan,
                  outcome: how,
                  condition: 'x'
                })
          await outcome(work[step]())
        }
        await expectOnePlaceEach(a.model)
        for (const at of [a, b])
          expect((await verifyLedger(keeperOf(at), { warehouse: at.warehouse })).findings).toEqual([])
      }
    ),
    { numRuns: RUNS }
  )
}, 300_000)
