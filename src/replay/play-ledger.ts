// Plays a ledger of days through the verbs that the API calls: opening slips, then per day one receipt and one issue, each
// written by the keeper, signed by three people and posted. A day of more than 500 lines takes several slips.
//
// A shortage is played as a warehouse would play it. The day's issue is submitted with everything that is asked for; the
// service finds out that it is short when the keeper posts it, and refuses the whole slip. The keeper then amends that same
// slip to what is there (or cancels it, if nothing is), has it signed anew and posts it; what is missing is owed. When goods of
// the part come in, what is owed is handed out that day, after the receipt and before the issues of the day, oldest first, by a
// slip of its own. So nothing is ever predicted here, and at every moment: on hand = balance of the source + owed.
import { createPart } from '../catalogue/create-part.ts'
import type { Context } from '../identity/actor.ts'
import { assignDuty } from '../identity/assign-duty.ts'
import { createPerson } from '../identity/create-person.ts'
import { actingAs, actorOf, systemActor } from '../identity/directory.ts'
import { inTransaction, openContext, type Runtime } from '../platform/context.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { amendSlip } from '../slips/amend-slip.ts'
import { createSlip } from '../slips/create-slip.ts'
import { postSlip } from '../slips/post-slip.ts'
import { signSlip } from '../slips/sign-slip.ts'
import { MAX_LINES, type AmendSlip, type CreateSlip, type NewSlipLine } from '../slips/slips.schemas.ts'
import { cancelSlip } from '../slips/withdraw-slip.ts'
import { createRegion } from '../warehouses/create-region.ts'
import { createWarehouse } from '../warehouses/create-warehouse.ts'
import { listWarehouses } from '../warehouses/warehouses.queries.ts'
import type { FastifyBaseLogger } from 'fastify'
import { closeMonth, COUNT_SIGNERS, CountDiffers, type ClosedMonth } from './close-months.ts'
import { monthEndBalance, monthOf, nextMonth, type Expectation } from './expectation.ts'
import { ledgerDays, type LedgerSource, type MovementRow, type Product } from './ledger-folder.ts'
import type { ReplayClock } from './replay-clock.ts'

export type ReplayRuntime = Runtime & { readonly clock: ReplayClock }

/** One line that the service refused because stock was short, and what became of it. */
export interface RefusedPosting {
  product: Product
  day: string
  slip: string
  wanted: bigint
  available: bigint
  /** What was handed out later, and when. */
  later: { day: string; slip: string; quantity: bigint }[]
  /** Still owed. */
  owed: bigint
}

export interface Played {
  warehouse: string
  keeper: Context
  slips: number
  lines: number
  refusedSlips: number
  refusals: RefusedPosting[]
  /** What was owed of a product, by its key: one entry for every day on which that changed. */
  owedSince: Map<string, { day: string; owed: bigint }[]>
  /** With `closeMonths`, in their order. */
  closed: ClosedMonth[]
  /** The count that did not come out; from its month on none is closed. */
  countFault: CountDiffers | undefined
}

export interface PlayLedger {
  source: LedgerSource
  /** Code of the warehouse that is made for it. */
  warehouse: string
  log: FastifyBaseLogger
  /** Count and close every month up to `until` on the way, by the balances of `expectation`. */
  closeMonths?: { expectation: Expectation; until: string } | undefined
  /** Called after each day. */
  onDay?: ((played: Played, rows: number) => void) | undefined
  signal?: AbortSignal | undefined
}

/** One person each. */
const DUTIES = [
  'keeper',
  'department-head',
  'operations-supervisor',
  'finance-supervisor',
  'stock-controller',
  'hq-finance'
] as const
const SIGNERS = ['department-head', 'operations-supervisor', 'finance-supervisor'] as const

/**
 * Plays a ledger into a warehouse of its own, with people and parts of its own.
 * @throws Refusal `RegionCodeTaken`, `WarehouseCodeTaken`, `PartNumberTaken` in a database that has been played into; whatever else
 *   the service refuses but a shortage
 */
export async function playLedger(
  runtime: ReplayRuntime,
  { source, warehouse, log, closeMonths, onDay, signal }: PlayLedger
): Promise<Played> {
  const { clock } = runtime
  const openings = Map.groupBy(
    [...source.products.values()].filter(({ openingBalance }) => openingBalance > 0n),
    ({ openingDate }) => openingDate
  )
  const system = openContext(runtime, systemActor, log)
  clock.set([...source.products.values()].map(({ openingDate }) => openingDate).sort()[0] ?? clock.today())
  await makeCompany(system, warehouse, source)
  const as = async (duty: string) => actingAs(system, await actorOf(runtime, `${duty}@${warehouse.toLowerCase()}`))
  const keeper = await as('keeper')
  const signers = await Promise.all(SIGNERS.map(async (duty) => ({ duty, ctx: await as(duty) })))
  const people = {
    keeper,
    signers: await Promise.all(COUNT_SIGNERS.map(async (duty) => ({ duty, ctx: await as(duty) }))),
    recounter: await as('operations-supervisor'),
    finance: await as('hq-finance')
  }
  const played: Played = {
    warehouse,
    keeper,
    slips: 0,
    lines: 0,
    refusedSlips: 0,
    refusals: [],
    owedSince: new Map(),
    closed: [],
    countFault: undefined
  }
  const owed = new Map<Product, RefusedPosting[]>()

  const sign = async (number: string) => {
    for (const { duty, ctx } of signers) await signSlip(ctx, { number, duty, decision: 'approve' })
  }
  const prepare = async (slip: CreateSlip): Promise<string> => {
    const { number } = await createSlip(keeper, { warehouse, ...slip })
    await sign(number)
    return number
  }
  const post = async (number: string, lines: number) => {
    await postSlip(keeper, { number })
    played.slips++
    played.lines += lines
  }
  const bringIn = async (head: Omit<CreateSlip, 'lines'>, lines: NewSlipLine[]) => {
    for (const some of chunks(lines)) await post(await prepare({ ...head, lines: some }), some.length)
  }

  let month = monthOf(clock.today())
  if (closeMonths !== undefined && [...openings.keys()].some((day) => monthOf(day) !== month))
    throw new Error(`months are closed on the way only where all goods were there in the first, ${month}`)
  for (const [day, products] of [...openings].sort(([a], [b]) => (a < b ? -1 : 1))) {
    clock.set(day)
    await bringIn(
      { kind: 'opening', occurredOn: day },
      products.map(({ part, openingBalance, openingUnitCost }) => ({
        part,
        quantity: decimal(openingBalance, 3),
        unitCost: openingUnitCost
      }))
    )
  }
  for await (const { day, rows } of ledgerDays(source)) {
    signal?.throwIfAborted()
    await endMonthsBefore(monthOf(day))
    clock.set(day)
    const incoming = rows.filter(({ unitsIn }) => unitsIn > 0n)
    await bringIn(
      { kind: 'receipt', occurredOn: day, deliveryNote: `IN-${day}` },
      incoming.map(({ product, unitsIn, unitCost }) => ({
        part: product.part,
        quantity: decimal(unitsIn, 3),
        unitCost
      }))
    )
    await handOutOwed(day, incoming)
    for (const some of chunks(rows.filter(({ unitsOut }) => unitsOut > 0n))) await handOut(day, some)
    onDay?.(played, rows.length)
  }
  if (closeMonths !== undefined) await endMonthsBefore(nextMonth(closeMonths.until))
  return played

  /** Counts and closes the months that are over before another one is begun, on the first day after each. */
  async function endMonthsBefore(begun: string): Promise<void> {
    for (; month < begun; month = nextMonth(month)) {
      if (closeMonths === undefined || played.countFault !== undefined) continue
      signal?.throwIfAborted()
      clock.set(`${nextMonth(month)}-01`)
      const there = new Map(
        [...source.products.values()].map((product) => [
          product,
          monthEndBalance(closeMonths.expectation, product, month) + owedOf(product)
        ])
      )
      try {
        played.closed.push(await closeMonth(people, { warehouse, month, there }))
      } catch (error) {
        if (!(error instanceof CountDiffers)) throw error
        played.countFault = error
      }
    }
  }

  /** The day's issue: what is asked for, or what is there of it. */
  async function handOut(day: string, rows: MovementRow[]): Promise<void> {
    const head: AmendSlip = { occurredOn: day, reference: `OUT-${day}` }
    const lines = rows.map(({ product, unitsOut }) => ({ part: product.part, quantity: decimal(unitsOut, 3) }))
    const number = await prepare({ kind: 'issue', ...head, lines })
    try {
      await post(number, lines.length)
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'InsufficientStock') throw error
      const available = new Map(
        (error.extra['lines'] as { line: number; available: string }[]).map(({ line, available: there }) => [
          line,
          thousandths(there)
        ])
      )
      played.refusedSlips++
      for (const [line, there] of available) {
        const row = rows[line - 1]
        if (row === undefined)
          throw new Error(`the refusal of ${number} names line ${line}, which it does not have`, { cause: error })
        owe({
          product: row.product,
          day,
          slip: number,
          wanted: row.unitsOut,
          available: there,
          later: [],
          owed: row.unitsOut - there
        })
      }
      const left = rows.flatMap(({ product, unitsOut }, index) => {
        const quantity = available.get(index + 1) ?? unitsOut
        return quantity > 0n ? [{ part: product.part, quantity: decimal(quantity, 3) }] : []
      })
      if (left.length === 0) {
        await cancelSlip(keeper, { number, reason: 'nothing of it is there (缺货)' })
        return
      }
      await amendSlip(keeper, {
        number,
        ...head,
        note: `${available.size} of ${rows.length} lines are short (缺货)`,
        lines: left
      })
      await sign(number)
      await post(number, left.length)
    }
  }

  /** What is owed of the parts that came in, as far as it reaches, the oldest first. */
  async function handOutOwed(day: string, incoming: MovementRow[]): Promise<void> {
    const due = incoming.flatMap(({ product, unitsIn }) => {
      const total = owedOf(product)
      return total === 0n ? [] : [{ product, quantity: total < unitsIn ? total : unitsIn }]
    })
    for (const some of chunks(due)) {
      const lines = some.map(({ product, quantity }) => ({ part: product.part, quantity: decimal(quantity, 3) }))
      const number = await prepare({
        kind: 'issue',
        occurredOn: day,
        reference: `OWED-${day}`,
        note: '缺货补发',
        lines
      })
      await post(number, lines.length)
      for (const { product, quantity } of some) settle(product, quantity, day, number)
    }
  }

  function owe(refused: RefusedPosting): void {
    played.refusals.push(refused)
    const open = owed.get(refused.product) ?? []
    open.push(refused)
    owed.set(refused.product, open)
    noteOwed(refused.product, refused.day)
  }

  function settle(product: Product, quantity: bigint, day: string, slip: string): void {
    const open = owed.get(product) ?? []
    for (let left = quantity; left > 0n;) {
      const [oldest] = open
      if (oldest === undefined) throw new Error(`more of ${product.part} was handed out than was owed`)
      const taken = oldest.owed < left ? oldest.owed : left
      oldest.later.push({ day, slip, quantity: taken })
      oldest.owed -= taken
      left -= taken
      if (oldest.owed === 0n) open.shift()
    }
    noteOwed(product, day)
  }

  function owedOf(product: Product): bigint {
    return (owed.get(product) ?? []).reduce((sum, refused) => sum + refused.owed, 0n)
  }

  function noteOwed(product: Product, day: string): void {
    const history = played.owedSince.get(product.key) ?? []
    history.push({ day, owed: owedOf(product) })
    played.owedSince.set(product.key, history)
  }
}

function* chunks<Item>(items: Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += MAX_LINES) yield items.slice(start, start + MAX_LINES)
}

/** Region, warehouse, its people and the parts, all or nothing. */
function makeCompany(system: Context, warehouse: string, { products }: LedgerSource): Promise<void> {
  return inTransaction(system, async (ctx) => {
    await createRegion(ctx, { code: warehouse, name: `Replay ${warehouse}` })
    // There is one head office. Where another replay or a company is in the store already, this one hangs under it.
    const [headOffice] = (await listWarehouses(ctx, { kind: 'head-office', open: true, limit: 1 })).items
    await createWarehouse(ctx, {
      code: warehouse,
      name: `Replay ${warehouse}`,
      region: warehouse,
      ...(headOffice === undefined ? { kind: 'head-office' } : { kind: 'regional-centre', parent: headOffice.code })
    })
    for (const duty of DUTIES) {
      const username = `${duty}@${warehouse.toLowerCase()}`
      await createPerson(ctx, { username, name: username })
      await assignDuty(ctx, { username, duty, warehouse })
    }
    for (const { part, name, category, standardCost, listPrice } of products.values()) {
      await createPart(ctx, { number: part, name, category, standardCost, listPrice })
    }
  })
}
