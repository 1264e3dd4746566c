import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { Refusal } from '../../src/platform/errors.ts'
import { depreciationRows } from '../../src/valuation/depreciation.ts'
import { readStatement } from '../../src/valuation/statement.ts'
import { verifyStatement } from '../../src/valuation/verify-statement.ts'
import { stockReportRows } from '../../src/valuation/stock-report.ts'
import { decimal } from '../../src/platform/decimal.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel, type Shelf } from '../support/kernel.ts'
import type { MadePerson } from '../support/make.ts'
import { closeMonth, monthsFrom } from '../support/month-end.ts'
import { acts, playerOf, quantity, unitCost, type Player } from '../support/random-months.ts'

// Random months of two warehouses, counted and closed in order, held against the rules in whole numbers: money in cents, quantities
// in thousandths, unit costs and rates in ten-thousandths. `PROPERTY_RUNS` says how many runs of each property; a longer campaign is
// `PROPERTY_RUNS=2000 PROPERTY_MINUTES=60 npx vitest run test/valuation/month-end.property.test.ts`.

const runs = (otherwise: number) => Number(process.env['PROPERTY_RUNS'] ?? otherwise)
const TIMEOUT = Number(process.env['PROPERTY_MINUTES'] ?? 3) * 60_000

let h: Harness
let closer: MadePerson
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2028-06-15T10:00')
  closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
})
afterAll(() => h.close())

const MONTHS = monthsFrom('2026-01', '2026-10')
/** Months in which anything happens; those after it are only closed. */
const BUSY = 8
const monthOf = (day: string): string => day.slice(0, 7)
const indexOf = (day: string): number => Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7))

/** A decimal as a whole number of 10^-places. */
function whole(amount: string, places: number): bigint {
  const [, sign = '', units = '', part = ''] = /^(-?)(\d+)(?:\.(\d*?)0*)?$/.exec(amount) ?? []
  if (part.length > places) throw new Error(`${amount} has more than ${places} places`)
  return BigInt(`${sign}${units}${part.padEnd(places, '0')}`)
}
const cents = (amount: string): bigint => whole(amount, 2)
const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((total, amount) => total + amount, 0n)

/** Half up; only for what is not negative. */
const rounded = (value: bigint, unit: bigint): bigint => (value + unit / 2n) / unit
const CENT = 1_000_000_000n

/** In a month the policy of that month charges a lot whose grace by it is over and whose charges by it are not all taken (R-AGE-2). */
interface Policy {
  from: string
  grace: number
  rate: bigint
  count: number
}
const STANDARD: Policy = { from: '0001-01', grace: 3, rate: 800n, count: 12 }
const POLICIES = {
  'under one policy': [STANDARD],
  'under policies that change on the way': [
    STANDARD,
    { from: '2026-04', grace: 2, rate: 1250n, count: 8 },
    { from: '2026-08', grace: 5, rate: 333n, count: 30 }
  ]
}
let policies: Policy[] = POLICIES['under one policy']

/** Summed rates of a lot aged from a month up to and including another one. */
function ratesUntil(aged: number, until: number): bigint {
  let rates = 0n
  for (let month = aged; month <= until; month++) {
    const policy = policies.findLast(({ from }) => indexOf(from) <= month)
    const charges = month - aged - (policy?.grace ?? 0)
    if (policy !== undefined && charges >= 0 && charges < policy.count) rates += policy.rate
  }
  return rates > 10_000n ? 10_000n : rates
}

async function setPolicies(chosen: Policy[]): Promise<void> {
  policies = chosen
  await h.sql('delete from depreciation_policy')
  for (const [place, { from, grace, rate, count }] of chosen.entries())
    await h.sql(
      'insert into depreciation_policy (effective_from, effective_until, grace_months, rate, charge_count) values ($1, $2, $3, $4::numeric / 10000, $5)',
      [`${from}-01`, place + 1 < chosen.length ? `${chosen[place + 1].from}-01` : null, grace, String(rate), count]
    )
}

// Acts are dated from the first month that is still open in their warehouse, so that many are late and few are refused.
const day = fc.record({ ahead: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4), day: fc.constantFrom('01', '15', '28') })
const age = fc.constantFrom('2024-08-31', '2024-12-01', '2025-08-31', '2025-10-15', '2025-11-30', '2025-12-01')
const ofOne = acts(day, age)
const here = fc.nat(1)
/** What lies on the five shelves of the two warehouses from the start. */
const stock = fc.array(ofOne.receive, { minLength: 10, maxLength: 10 })
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.receive }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.issue }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.return }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.reverse }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.adjust }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.transfer }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.promise }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.release }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.recall }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('act' as const), here, act: ofOne.lift }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('close' as const), here }) }
)

interface Books {
  player: Player
  k: Kernel
  /** The first month that is not closed, as a place in MONTHS. */
  open: number
  /** What was frozen, hashed when it was. */
  frozen: Map<string, string>
}

test.for(Object.keys(POLICIES) as (keyof typeof POLICIES)[])(
  'any months of slips, late slips, transfers, adjustments and closes keep the books of the lots to the cent, %s (R-AGE-2, R-AGE-3, R-AGE-7, R-FIN-1, R-FIN-2)',
  { timeout: TIMEOUT },
  async (chosen) => {
    await setPolicies(POLICIES[chosen])
    await fc.assert(
      fc.asyncProperty(stock, fc.array(step, { minLength: 30, maxLength: 60 }), async (received, steps) => {
        const shelves = await shelvesOf(await kernel(h))
        const books = [await openBooks(shelves), await openBooks(shelves)]
        for (const [index, receipt] of received.entries())
          await books[index % 2].player.play({ ...receipt, shelf: index >> 1, day: `${MONTHS[0]}-01` })
        for (const each of steps) {
          const at = books[each.here]
          if (each.kind === 'close') {
            if (at.open < BUSY) await closeNext(at)
            continue
          }
          const when = (place: Books, { ahead, day: of }: { ahead: number; day: string }): string =>
            `${MONTHS[Math.min(place.open + ahead, BUSY)]}-${of}`
          if (each.act.kind === 'transfer') {
            const other = books[1 - each.here]
            const [left, arrived] = [when(at, each.act.day), when(other, each.act.arrives)]
            await at.player.transferTo(other.player, {
              ...each.act,
              day: left,
              arrives: arrived < left ? left : arrived,
              arrivesLast: [left, arrived, when(other, each.act.arrivesLast)].toSorted().at(-1) ?? left
            })
          } else if ('day' in each.act) {
            await at.player.play({ ...each.act, day: when(at, each.act.day) })
          } else {
            await at.player.play(each.act)
          }
        }
        for (const at of books) while (at.open < MONTHS.length) await closeNext(at)

        for (const { k, player, frozen } of books) {
          expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
          expect(await player.wrongBalances()).toEqual([])
          expect(await faultsOf(k, player)).toEqual([])
          // Whatever happened in later months and was tried in closed ones, the frozen rows are the same.
          expect(await frozenHashes(k)).toEqual(frozen)
          for (const period of MONTHS)
            expect((await verifyStatement(k.ctx, { warehouse: k.warehouse.code, period })).findings).toEqual([])
        }
        expect(await agesThatChangedOnTheWay(books.map(({ k }) => k.warehouse.id))).toEqual([])
      }),
      { numRuns: runs(5), endOnFailure: true, interruptAfterTimeLimit: TIMEOUT - 20_000 }
    )
  }
)

/** Own goods, own faulty goods, consigned goods of one part, and own goods of two others. */
async function shelvesOf(k: Kernel): Promise<Shelf[]> {
  const part = await k.shelf()
  return [
    part,
    { ...part, condition: 'nonconforming' },
    { ...part, ownership: 'consigned' },
    await k.shelf(),
    await k.shelf()
  ]
}

async function openBooks(shelves: Shelf[]): Promise<Books> {
  const k = await kernel(h)
  return { player: playerOf(h, k, shelves), k, open: 0, frozen: new Map() }
}

/** Closes the next month and holds against it what the preview said just before. */
async function closeNext(at: Books): Promise<void> {
  const { k } = at
  const period = MONTHS[at.open]
  const shown = async (isClosed: boolean) => {
    const month = { warehouse: k.warehouse, period, isClosed }
    const { text } = await readStatement(k.ctx, { warehouse: k.warehouse.code, period })
    const {
      closedBy: _by,
      closedAt: _at,
      state: _state,
      count: _count,
      depreciation,
      stockReport,
      ...statement
    } = JSON.parse(text)
    const bare = ({ state: _preview, ...row }: { state: string }) => row
    return {
      depreciation: (await depreciationRows(k.ctx, month)).map(bare),
      stockReport: (await stockReportRows(k.ctx, month)).map(bare),
      statement,
      totals: [depreciation, stockReport].map(({ sha256: _hash, ...totals }) => totals)
    }
  }
  const preview = await shown(false)
  await closeMonth(h, closer.actor, k.warehouse, period)
  expect(await shown(true)).toEqual(preview)
  at.frozen.set(period, (await frozenHashes(k)).get(period) ?? '')
  at.open += 1
}

async function frozenHashes({ warehouse }: Kernel): Promise<Map<string, string>> {
  const rows = await h.sql<{ period: string; hash: string }>(
    `select to_char(period, 'YYYY-MM') as period, md5(string_agg(line, '|' order by line)) as hash
       from (select period, l::text as line from depreciation_line l where warehouse_id = $1
             union all select period, l::text from stock_report_line l where warehouse_id = $1
             union all select period, s::text from period_statement s where warehouse_id = $1
             union all select period, p::text from stock_period p where warehouse_id = $1) frozen
      group by period`,
    [warehouse.id]
  )
  return new Map(rows.map(({ period, hash }) => [period, hash]))
}

interface LotRow {
  id: string
  partId: number
  ownership: string
  condition: string
  receivedOn: string
  openedOn: string
  unitCost: string
  quantityIn: string
  chargeIn: string
  chargeResidue: string
  rateSkipped: string
  parent: string | null
  source: string | null
}
interface MovementRow {
  id: string
  lot: string
  on: string
  quantity: string
  cost: string
  charge: string
  kind: string
}
interface LineRow {
  period: string
  lot: string
  quantity: string
  cost: string
  charge: string
  accumulated: string
}

/**
 * What is wrong with the frozen months of a warehouse, worked out from its movements alone. For every own lot and month: quantity
 * and cost are what the movements left, the charge is the rule's on that quantity, accumulated is what came in with movements and
 * charges. For every balance: the report says the same, by kind. For every lot: charges end at 96 %.
 */
async function faultsOf({ warehouse }: Kernel, { arrived }: Player): Promise<string[]> {
  const faults: string[] = []
  const hold = (what: string, found: unknown, expected: unknown) => {
    if (found !== expected) faults.push(`${what} is ${String(found)}, not ${String(expected)}`)
  }
  const lots = await h.sql<LotRow>(
    `select id, part_id as "partId", ownership, condition, received_on::text as "receivedOn", opened_on::text as "openedOn", unit_cost::text as "unitCost",
            quantity_in::text as "quantityIn", charge_in::text as "chargeIn", charge_residue::text as "chargeResidue", rate_skipped::text as "rateSkipped",
            parent_lot_id as parent, source_movement_id as source from lot where warehouse_id = $1 order by id`,
    [warehouse.id]
  )
  const movements = await h.sql<MovementRow>(
    `select m.id, m.lot_id as lot, m.occurred_on::text as on, m.quantity::text, m.cost::text, m.charge::text, case when s.kind = 'reversal' then source.kind else s.kind end as kind
       from movement m join slip s on (s.warehouse_id, s.id) = (m.warehouse_id, m.slip_id)
       left join slip source on (source.warehouse_id, source.id) = (s.warehouse_id, s.source_slip_id)
      where m.warehouse_id = $1 order by m.id`,
    [warehouse.id]
  )
  const lines = await h.sql<LineRow>(
    `select to_char(period, 'YYYY-MM') as period, lot_id as lot, quantity::text, cost::text, charge::text, accumulated::text from depreciation_line where warehouse_id = $1`,
    [warehouse.id]
  )
  const lotOf = new Map(lots.map((lot) => [lot.id, lot]))
  const movementsOf = Map.groupBy(movements, ({ lot }) => lot)
  const lineOf = new Map(lines.map((line) => [`${line.period} ${line.lot}`, line]))
  /** Σ at the end of each month by balance: quantity, cost, accumulated. */
  const closings = new Map<string, [bigint, bigint, bigint]>()
  const add = (key: string, amounts: [bigint, bigint, bigint]) => {
    const before = closings.get(key) ?? [0n, 0n, 0n]
    closings.set(key, [before[0] + amounts[0], before[1] + amounts[1], before[2] + amounts[2]])
  }

  /** What of its months a lot was not here to be charged: for goods that came back or from elsewhere, the months they were away. */
  const skipped = (lot: LotRow): bigint => {
    const came = arrived.get(lot.id)
    if (came !== undefined) {
      const taken = ratesUntil(indexOf(lot.receivedOn), indexOf(came.leftOn) - 1) - whole(came.rateSkipped, 4)
      return ratesUntil(indexOf(lot.receivedOn), indexOf(lot.openedOn) - 1) - taken
    }
    const parent = lot.parent === null ? undefined : lotOf.get(lot.parent)
    const left = movements.find(({ id }) => id === lot.source)
    if (parent === undefined || left === undefined) return 0n
    const aged = indexOf(lot.receivedOn)
    return ratesUntil(aged, indexOf(lot.openedOn) - 1) - (ratesUntil(aged, indexOf(left.on) - 1) - skipped(parent))
  }
  /** Accumulated depreciation of a quantity of a lot at the end of a month by the rule. */
  const chargeOf = (lot: LotRow, held: bigint, until: number): bigint => {
    if (held === 0n) return 0n
    const rates = ratesUntil(indexOf(lot.receivedOn), until) - skipped(lot)
    const charge = rounded(whole(lot.unitCost, 4) * held * rates, CENT) + cents(lot.chargeResidue)
    const floor = cents(lot.chargeIn) < 0n ? cents(lot.chargeIn) : 0n
    return charge < floor ? floor : charge
  }

  for (const lot of lots) {
    const moved = movementsOf.get(lot.id) ?? []
    const key = `${lot.partId} ${lot.ownership} ${lot.condition}`
    hold(
      `rate not charged to lot ${lot.id}`,
      whole(lot.rateSkipped, 4),
      lot.ownership === 'own' && whole(lot.unitCost, 4) > 0n ? skipped(lot) : whole(lot.rateSkipped, 4)
    )
    if (arrived.has(lot.id)) hold(`residue of lot ${lot.id} in cents`, cents(lot.chargeResidue) ** 2n <= 9n, true)
    else if (lot.parent === null) hold(`residue of lot ${lot.id}`, cents(lot.chargeResidue), 0n)
    else hold(`age of lot ${lot.id}`, lot.receivedOn, lotOf.get(lot.parent)?.receivedOn)
    let charged = 0n
    let changes = 0n
    let heldBefore = whole(lot.quantityIn, 3)
    for (const period of MONTHS) {
      const until = moved.filter(({ on }) => monthOf(on) <= period)
      if (until.length === 0) continue
      const held = sum(until.map((m) => whole(m.quantity, 3)))
      const cost = sum(until.map((m) => cents(m.cost)))
      const line = lineOf.get(`${period} ${lot.id}`)
      const name = `${period} lot ${lot.id}`
      hold(`${name} in the statement`, line !== undefined, held > 0n && lot.ownership === 'own')
      if (line !== undefined) {
        charged += cents(line.charge)
        hold(`${name}: quantity`, whole(line.quantity, 3), held)
        hold(`${name}: cost`, cents(line.cost), cost)
        hold(
          `${name}: charge`,
          cents(line.charge),
          chargeOf(lot, held, indexOf(period)) - chargeOf(lot, held, indexOf(period) - 1)
        )
        hold(`${name}: accumulated`, cents(line.accumulated), sum(until.map((m) => cents(m.charge))) + charged)
      } else {
        hold(`${name}: cost`, cost, 0n)
        hold(`${name}: charges not relieved`, sum(until.map((m) => cents(m.charge))) + charged, 0n)
      }
      if (held > 0n && held !== heldBefore) changes += 1n
      heldBefore = held
      add(`${period} ${key}`, [held, cost, line === undefined ? 0n : cents(line.accumulated)])
    }
    // By the standard policy 96 % in all. Half a cent for the rounding; and of each part that left, the rounding stays with the rest.
    const most =
      ratesUntil(indexOf(lot.receivedOn), indexOf(MONTHS[MONTHS.length - 1])) *
        whole(lot.unitCost, 4) *
        whole(lot.quantityIn, 3) +
      CENT / 2n +
      CENT * (changes + cents(lot.chargeResidue))
    if ((cents(lot.chargeIn) + charged) * CENT > most)
      faults.push(
        `lot ${lot.id} of ${lot.quantityIn} at ${lot.unitCost} was charged ${lot.chargeIn} and ${charged} cents`
      )
  }

  const reports = await h.sql<Record<string, string>>(
    `select to_char(period, 'YYYY-MM') as period, part_id || ' ' || ownership || ' ' || condition as key, opening_quantity, opening_cost, opening_accumulated,
            in_quantity, in_cost, out_quantity, out_cost, adjustment_quantity, adjustment_cost, closing_quantity, closing_cost, closing_accumulated
       from stock_report_line where warehouse_id = $1`,
    [warehouse.id]
  )
  const reportOf = new Map(reports.map((report) => [`${report['period']} ${report['key']}`, report]))
  const flows = Map.groupBy(movements, ({ lot, on }) => {
    const of = lotOf.get(lot)
    return `${monthOf(on)} ${of?.partId} ${of?.ownership} ${of?.condition}`
  })
  const keys = new Set(lots.map(({ partId, ownership, condition }) => `${partId} ${ownership} ${condition}`))
  for (const [place, period] of MONTHS.entries())
    for (const key of keys) {
      const name = `${period} ${key}`
      const closing = closings.get(name) ?? [0n, 0n, 0n]
      const opening = closings.get(`${MONTHS[place - 1]} ${key}`) ?? [0n, 0n, 0n]
      const report = reportOf.get(name)
      const flow = flows.get(name) ?? []
      if (report === undefined) {
        hold(`${name} has no report, and its closing`, `${closing.join(' ')} ${flow.length}`, '0 0 0 0')
        continue
      }
      const column = (figure: string) =>
        [whole(report[`${figure}_quantity`], 3), cents(report[`${figure}_cost`])].join(' ')
      const said = (amounts: readonly bigint[]) => amounts.slice(0, 2).join(' ')
      const through = (sign: bigint, kinds: string[]) => {
        const some = flow.filter(({ kind }) => kinds.includes(kind))
        return said([sign * sum(some.map((m) => whole(m.quantity, 3))), sign * sum(some.map((m) => cents(m.cost)))])
      }
      hold(`${name}: opening`, `${column('opening')} ${cents(report['opening_accumulated'])}`, opening.join(' '))
      hold(`${name}: closing`, `${column('closing')} ${cents(report['closing_accumulated'])}`, closing.join(' '))
      hold(`${name}: in`, column('in'), through(1n, ['receipt', 'return', 'transfer-in']))
      hold(`${name}: out`, column('out'), through(-1n, ['issue', 'transfer-out']))
      hold(`${name}: adjustment`, column('adjustment'), through(1n, ['adjustment']))
    }

  const statements = await h.sql<{ period: string; content: string }>(
    `select to_char(period, 'YYYY-MM') as period, content from period_statement where warehouse_id = $1 order by period`,
    [warehouse.id]
  )
  hold('months closed', statements.map(({ period }) => period).join(' '), MONTHS.join(' '))
  let closingBefore: string | undefined
  for (const { period, content } of statements) {
    const { stockReport } = JSON.parse(content)
    const totals = (figure: string): string =>
      ['Quantity', 'Cost', 'AccumulatedDepreciation', 'NetBookValue']
        .map((of) => stockReport[`${figure}${of}`])
        .join(' ')
    if (closingBefore !== undefined) hold(`${period} opens with`, totals('opening'), closingBefore)
    closingBefore = totals('closing')
  }
  return faults
}

/** Lots that came in by a transfer with another age, quantity, cost or accumulated depreciation than left (R-AGE-7). */
const agesThatChangedOnTheWay = (warehouseIds: number[]) =>
  h.sql(
    `with moved as (
       select coalesce(s.reference, s.number) as transfer, s.kind, l.received_on, l.unit_cost, l.ownership, l.condition, l.part_id,
              abs(sum(m.quantity)) as quantity, sum(m.cost) as cost, sum(m.charge) as charge
         from movement m
         join slip s on (s.warehouse_id, s.id) = (m.warehouse_id, m.slip_id)
         join lot l on (l.warehouse_id, l.id) = (m.warehouse_id, m.lot_id)
        where m.warehouse_id = any ($1::int[]) and s.kind in ('transfer-out', 'transfer-in')
        group by 1, 2, 3, 4, 5, 6, 7)
     select * from (select * from moved where kind = 'transfer-out') gone
       full join (select * from moved where kind = 'transfer-in') come using (transfer, received_on, unit_cost, ownership, condition, part_id)
      where gone.quantity is distinct from come.quantity or gone.cost is distinct from -come.cost or gone.charge is distinct from -come.charge`,
    [warehouseIds]
  )

/** Months that are counted by the verbs; the others are closed with a count that is only a row. */
const COUNTED = 4
const finding = fc.record({ off: fc.constantFrom(0, 0, 0, -1, 1), by: quantity, lots: fc.boolean(), share: fc.nat() })
const countedMonth = fc.record({
  acts: fc.array(fc.oneof(ofOne.receive, ofOne.issue, ofOne.return, ofOne.reverse, ofOne.adjust), { maxLength: 8 }),
  found: fc.array(finding, { minLength: 5, maxLength: 5 })
})

/**
 * Months that are really counted, by balance or lot by lot, right or wrong, while slips of later months are posted already: what is
 * adjusted is what was found, and the books keep.
 */
test(
  'any months that are really counted end with what was found, and keep the books (R-CNT-4, R-FIN-1)',
  { timeout: TIMEOUT },
  async () => {
    await setPolicies([STANDARD])
    await fc.assert(
      fc.asyncProperty(
        stock,
        fc.array(countedMonth, { minLength: COUNTED, maxLength: COUNTED }),
        async (received, months) => {
          const c = await openCounting(h)
          const k = await kernel(h, { id: c.warehouseId, code: c.warehouse })
          const player = playerOf(h, k, await shelvesOf(k))
          const at: Books = { player, k, open: 0, frozen: new Map() }
          for (const [index, receipt] of received.entries())
            await player.play({ ...receipt, shelf: index, day: `${MONTHS[0]}-01` })
          for (const { acts: some, found } of months) {
            for (const { day: on, ...act } of some)
              await player.play({ ...act, day: `${MONTHS[Math.min(at.open + on.ahead, BUSY)]}-${on.day}` })
            await countMonth(c, MONTHS[at.open], found)
            const closing = await c.signers['finance-supervisor'].post(
              `/v1/warehouses/${c.warehouse}/periods/${MONTHS[at.open]}/closing`
            )
            expect(closing).toMatchObject({ status: 201 })
            at.open += 1
          }
          while (at.open < MONTHS.length) await closeNext(at)
          expect((await verifyLedger(k.ctx, { warehouse: c.warehouse })).findings).toEqual([])
          expect(await faultsOf(k, player)).toEqual([])
        }
      ),
      { numRuns: runs(3), endOnFailure: true, interruptAfterTimeLimit: TIMEOUT - 20_000 }
    )
  }
)

async function countMonth(
  c: Counting,
  period: string,
  findings: readonly { off: number; by: string; lots: boolean; share: number }[]
) {
  const { number } = await c.open({ kind: 'month-end', period })
  const lots = await h.sql<{ line: number; id: string; onHand: string }>(
    `select l.line_no as line, lot.id, trim_scale(lot.on_hand)::text as "onHand"
       from stock_count n
       join count_line l on l.warehouse_id = n.warehouse_id and l.count_id = n.id
       join lot on (lot.warehouse_id, lot.part_id, lot.ownership, lot.condition) = (l.warehouse_id, l.part_id, l.ownership, l.condition) and not lot.exhausted
      where n.warehouse_id = $1 and n.number = $2 order by l.line_no, lot.received_on, lot.id`,
    [c.warehouseId, number]
  )
  const entries = [...Map.groupBy(lots, ({ line }) => line)].map(([line, of], index) => {
    const { off, by, lots: isByLot, share } = findings[index % findings.length]
    const wrong = share % of.length
    const counted = of.map(({ onHand }, place) => {
      const units = whole(onHand, 3) + (place === wrong ? BigInt(off) * whole(by, 3) : 0n)
      return units < 0n ? 0n : units
    })
    const named = isByLot ? of.map(({ id }, place) => ({ lot: id, counted: decimal(counted[place], 3) })) : undefined
    return { line, counted: decimal(sum(counted), 3), ...(named !== undefined && { lots: named }) }
  })
  if (entries.length > 0) await c.count(number, entries)
  const { followedBy } = await c.settle(number)
  // What could not be adjusted, because it has left since or was not there yet, is counted again: here, next month.
  if (followedBy !== null) {
    const cancelled = await c.controller.post(`/v1/counts/${followedBy}/cancellation`, { reason: '下月再盘' })
    if (cancelled.status !== 200) throw new Error(cancelled.text)
  }
  const differing = await h.sql(
    `select l.line_no, trim_scale(l.counted)::text as counted, trim_scale(b.on_hand)::text as "onHand" from stock_count n
       join count_line l on l.warehouse_id = n.warehouse_id and l.count_id = n.id
       join balance b on (b.warehouse_id, b.part_id, b.ownership, b.condition) = (l.warehouse_id, l.part_id, l.ownership, l.condition)
      where n.warehouse_id = $1 and n.number = $2 and l.adjustment_problem is null and l.counted <> b.on_hand`,
    [c.warehouseId, number]
  )
  expect(differing).toEqual([])
}

const lifeOfLot = fc.record({
  older: fc.constantFrom(0, 0, 0, 1, 2, 3, 7, 12, 14),
  unitCost,
  left: quantity,
  issues: fc.array(fc.record({ month: fc.nat(BUSY - 1), quantity }), { minLength: 1, maxLength: 7 })
})

/**
 * The same slips, posted in the order of their days in one warehouse and in any other order in the other one: at the ends of all
 * months from the last one in which a lot moved its books are the same to the cent. Before it they differ by the cents that late
 * slips place on themselves: of cost by at most one per slip that was late, of accumulated depreciation by at most one per such slip
 * and month in which the lot had already moved later. The charges of the months never differ, nor do quantities.
 */
test(
  'a late slip leaves the same books as the same slip in time, up to the cents it places on itself (R-AGE-3)',
  { timeout: TIMEOUT },
  async () => {
    await setPolicies([STANDARD])
    await fc.assert(
      fc.asyncProperty(
        fc.array(lifeOfLot, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        async (lives, order) => {
          const [inTime, late] = [await kernel(h), await kernel(h)]
          const lots = await Promise.all(lives.map(async (life) => ({ ...life, shelf: await inTime.shelf() })))
          const slips = lots.flatMap(({ shelf, issues }) => issues.map((issue) => ({ shelf, ...issue })))
          const key: Record<
            string,
            { most: Record<string, { cost: bigint; accumulated: bigint }>; moved: Set<number> }
          > = {}
          for (const k of [inTime, late])
            for (const { shelf, unitCost: cost, left, issues, older } of lots) {
              const units = whole(left, 3) + sum(issues.map((issue) => whole(issue.quantity, 3)))
              const on = `${MONTHS[0]}-01`
              const receivedOn = Temporal.PlainDate.from(on).subtract({ months: older }).toString()
              await k.receive(shelf, `${units / 1000n}.${String(units % 1000n).padStart(3, '0')}`, cost, {
                on,
                receivedOn
              })
              key[shelf.part] = {
                most: Object.fromEntries(MONTHS.map((month) => [month, { cost: 0n, accumulated: 0n }])),
                moved: new Set()
              }
            }
          const onDay = (month: number) => ({ on: `${MONTHS[month]}-20` })
          for (const { shelf, month, quantity: x } of slips.toSorted((a, b) => a.month - b.month))
            await inTime.issue(shelf, x, onDay(month))
          const shuffled = slips
            .map((slip) => ({ slip, place: order.next().value as number }))
            .toSorted((a, b) => a.place - b.place)
          for (const {
            slip: { shelf, month, quantity: x }
          } of shuffled) {
            await late.issue(shelf, x, onDay(month))
            const { most, moved } = key[shelf.part]
            for (let end = month; end < MONTHS.length; end++) {
              const later = BigInt([...moved].filter((other) => other > end).length)
              most[MONTHS[end]].accumulated += later
              if (later > 0n) most[MONTHS[end]].cost += 1n
            }
            moved.add(month)
          }

          const faults: string[] = []
          for (const period of MONTHS) {
            const rowsOf = (k: Kernel, isClosed: boolean) =>
              depreciationRows(k.ctx, { warehouse: k.warehouse, period, isClosed })
            const expected = await rowsOf(inTime, false)
            const preview = await rowsOf(late, false)
            await closeMonth(h, closer.actor, late.warehouse, period)
            const found = await rowsOf(late, true)
            expect(found.map(({ state: _state, ...row }) => row)).toEqual(
              preview.map(({ state: _state, ...row }) => row)
            )
            const same = ({
              part,
              receivedOn,
              ageMonths,
              quantity: held,
              monthsCharged,
              charge
            }: (typeof found)[number]) => ({ part, receivedOn, ageMonths, held, monthsCharged, charge })
            expect(found.map(same)).toEqual(expected.map(same))
            for (const [index, row] of found.entries()) {
              const off = (column: 'cost' | 'accumulatedDepreciation') => {
                const by = cents(row[column]) - cents(expected[index][column])
                return by < 0n ? -by : by
              }
              const { cost, accumulated } = key[row.part].most[period]
              if (off('cost') > cost) faults.push(`${period} ${row.part}: cost off by ${off('cost')} of ${cost}`)
              if (off('accumulatedDepreciation') > accumulated)
                faults.push(
                  `${period} ${row.part}: accumulated off by ${off('accumulatedDepreciation')} of ${accumulated}`
                )
            }
          }
          expect(faults).toEqual([])
          for (const k of [inTime, late])
            expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
        }
      ),
      { numRuns: runs(15), endOnFailure: true, interruptAfterTimeLimit: TIMEOUT - 20_000 }
    )
  }
)

const shelfOfLots = fc.record({
  receipts: fc.array(fc.record({ month: fc.nat(BUSY), quantity, unitCost }), { minLength: 1, maxLength: 4 }),
  issues: fc.array(fc.record({ month: fc.nat(BUSY), quantity }), { minLength: 1, maxLength: 6 })
})

/**
 * The same slips in the order of their days and in any other: where the oldest lot is gone meanwhile, a late slip takes the next
 * one that was there, and what is left is the same lots, at the same cost and depreciation, to the cent. In between every month
 * end holds as much of every part.
 */
test(
  'late or in time, the oldest lots are gone and the same ones are left (R-STK-5, R-AGE-3)',
  { timeout: TIMEOUT },
  async () => {
    await setPolicies([STANDARD])
    await fc.assert(
      fc.asyncProperty(
        fc.array(shelfOfLots, { minLength: 1, maxLength: 3 }),
        fc.infiniteStream(fc.nat()),
        async (places, order) => {
          const [inTime, late] = [await kernel(h), await kernel(h)]
          const shelves = await Promise.all(places.map(async (place) => ({ ...place, shelf: await inTime.shelf() })))
          const receipts = shelves.flatMap(({ shelf, receipts: some }) =>
            some.map((receipt) => ({ shelf, ...receipt, quantity: decimal(whole(receipt.quantity, 3) * 3n, 3) }))
          )
          const issues = shelves.flatMap(({ shelf, issues: some }) => some.map((each) => ({ shelf, ...each })))
          const isAccepted = async (attempt: Promise<unknown>): Promise<boolean> => {
            try {
              await attempt
              return true
            } catch (error) {
              if (!(error instanceof Refusal)) throw error
              return false
            }
          }
          const accepted: typeof issues = []
          for (const [month, name] of MONTHS.entries()) {
            for (const receipt of receipts.filter((each) => each.month === month))
              for (const k of [inTime, late])
                await k.receive(receipt.shelf, receipt.quantity, receipt.unitCost, { on: `${name}-01` })
            for (const each of issues.filter((candidate) => candidate.month === month))
              if (await isAccepted(inTime.issue(each.shelf, each.quantity, { on: `${name}-20` }))) accepted.push(each)
          }
          const shuffled = accepted
            .map((each) => ({ ...each, place: order.next().value as number }))
            .toSorted((a, b) => a.place - b.place)
          for (const { shelf, month, quantity: x } of shuffled)
            // What a slip of a later month took first may be missing now; such a slip is not of these days.
            fc.pre(await isAccepted(late.issue(shelf, x, { on: `${MONTHS[month]}-20` })))

          const held = async (k: Kernel, period: string) =>
            depreciationRows(k.ctx, { warehouse: k.warehouse, period, isClosed: false })
          const byPart = async (k: Kernel, period: string) =>
            [...Map.groupBy(await held(k, period), ({ part }) => part)].map(([part, lots]) => [
              part,
              sum(lots.map((lot) => whole(lot.quantity, 3)))
            ])
          for (const period of MONTHS) expect(await byPart(late, period)).toEqual(await byPart(inTime, period))
          for (const period of MONTHS.slice(BUSY)) {
            const bare = ({ warehouse: _warehouse, lot: _lot, ...row }: Awaited<ReturnType<typeof held>>[number]) => row
            expect((await held(late, period)).map(bare)).toEqual((await held(inTime, period)).map(bare))
          }
        }
      ),
      { numRuns: runs(8), endOnFailure: true, interruptAfterTimeLimit: TIMEOUT - 20_000 }
    )
  }
)
