// Where the goods of a request are found (R-REQ-1). Pure: what is asked for and what lies where go in, what is taken from where, what is
// left and the search as proof come out. Quantities are whole thousandths of a stock unit.
//
// The order of steps is that of the rule: the centre; the other warehouses of its region; the head office; other regions. In the
// network (R-AGE-6) lots past the holding period are taken first, the oldest of all warehouses first; then what regional centres and
// branches have beyond their own need. At the centre and the head office own goods come before consigned ones (R-STK-6). What older
// backorders wait for in front is not there for a newcomer. Only after the whole network was asked for the part itself is it asked for
// what may stand for it (R-CAT-4): old parts are used up first.
import { decimal } from '../platform/decimal.ts'
import type { Ownership } from '../ledger/post.ts'

export const STEPS = ['centre', 'regional-network', 'head-office', 'other-regions'] as const
export type Step = (typeof STEPS)[number]

/** A part that may be taken for a line: the line's own, then what replaces it. */
export interface Option {
  partId: number
  part: string
  /** Thousandths: so many of it stand for one of the line's. */
  factor: bigint
}

export interface Want {
  line: number
  quantity: bigint
  /** Nothing unless all of it: the requester takes no part of a line. */
  isWhole: boolean
  options: readonly Option[]
}

/** What a warehouse has of a part in one ownership, qualified. */
export interface Stock {
  step: Step
  warehouseId: number
  warehouse: string
  partId: number
  ownership: Ownership
  available: bigint
  /** What older backorders wait for here, own and consigned goods together. */
  waiting: bigint
  /** Past the holding period, oldest first; for the centre and the head office only the oldest, to be shown. */
  lots: readonly { receivedOn: string; quantity: bigint }[]
  /** Beyond its own need: all of it at the centre and the head office. */
  spare: bigint
  /** Reserved for normal requests and not on a slip: an emergency may take it (R-REQ-4). */
  displaceable: bigint
}

/** What the warehouses of a step hold of a part altogether, also those that can give nothing. */
export interface Held {
  step: Step
  partId: number
  warehouses: number
  available: bigint
}

export interface Taken {
  line: number
  option: Option
  step: Step
  stock: Stock
  quantity: bigint
  /** Of it, what normal requests lose. */
  displaced: bigint
  receivedOn: string | null
}

/** One step of the search of a line, as it is kept and shown. */
export interface StepEvidence {
  step: Step
  part: string
  /** Warehouses that hold any of it. */
  lookedAt: number
  available: string
  /** Waited for by older backorders. */
  waitingInFront: string
  taken: string
  /** What normal requests lost to it. */
  displaced?: string
  from: { warehouse: string; ownership: Ownership; quantity: string; receivedOn: string | null }[]
  because: 'covered' | 'took-what-was-there' | 'nothing-there' | 'waited-for' | 'kept-for-own-need' | 'not-whole'
}

export interface Found {
  taken: Taken[]
  /** What of each line nobody has. */
  left: Map<number, bigint>
  evidence: Map<number, StepEvidence[]>
}

const UNIT = 1000n
const least = (...values: bigint[]): bigint => values.reduce((a, b) => (a < b ? a : b))
const text = (quantity: bigint): string => decimal(quantity, 3)

/** How many of an option stand for a quantity. */
const inOption = (quantity: bigint, { factor }: Option): bigint => (quantity * factor + UNIT - 1n) / UNIT
/** What so many of an option stand for. */
export const ofOption = (quantity: bigint, { factor }: Pick<Option, 'factor'>): bigint => (quantity * UNIT) / factor

/** What is left of a stock while lines take from it. */
interface Pool {
  free: bigint
  spare: bigint
  displaceable: bigint
  lots: bigint[]
}

export interface Asked {
  /** Of the steps that were asked so far. */
  stocks: readonly Stock[]
  /** Where more is held than stocks say, for the evidence alone. */
  held?: readonly Held[]
  /** Those steps: a line is searched no further. */
  steps?: readonly Step[]
}

/** What is taken for the lines, in their order; lines that name the same part share what is there. */
export function search(wants: readonly Want[], asked: Asked): Found {
  const refused = new Set<number>()
  for (;;) {
    const found = searchOnce(wants, asked, refused)
    // Who takes all or nothing and cannot have all leaves what is there to the others, who are searched for anew.
    const failed = wants.find(({ line, isWhole }) => isWhole && !refused.has(line) && isPartly(found, line))
    if (failed === undefined) return found
    refused.add(failed.line)
  }
}

const isPartly = (found: Found, line: number): boolean =>
  (found.left.get(line) ?? 0n) > 0n && found.taken.some((taken) => taken.line === line)

function searchOnce(
  wants: readonly Want[],
  { stocks, held = [], steps = STEPS }: Asked,
  refused: ReadonlySet<number>
): Found {
  const heldOf = new Map(held.map((one) => [`${one.step} ${one.partId}`, one]))
  const pools = new Map<Stock, Pool>(stocks.map((stock) => [stock, poolOf(stock)]))
  subtractWaiting(stocks, pools)
  const byPart = Map.groupBy(stocks, ({ step, partId }) => `${step} ${partId}`)
  const found: Found = { taken: [], left: new Map(), evidence: new Map() }
  for (const want of wants) {
    let left = want.quantity
    const evidence: StepEvidence[] = []
    for (const [place, option] of want.options.entries()) {
      for (const step of steps) {
        if (left === 0n) break
        const here = byPart.get(`${step} ${option.partId}`) ?? []
        // What stands for the part is worth a line only where it is.
        if (place > 0 && here.length === 0) continue
        const taken = refused.has(want.line) ? [] : takeFrom(here, pools, { want, option, step, left })
        for (const one of taken) left -= least(left, ofOption(one.quantity, option))
        found.taken.push(...taken)
        evidence.push(
          evidenceOf({
            step,
            option,
            here,
            held: heldOf.get(`${step} ${option.partId}`),
            taken,
            isRefused: refused.has(want.line),
            isCovered: left === 0n
          })
        )
      }
    }
    found.left.set(want.line, left)
    found.evidence.set(want.line, evidence)
  }
  return found
}

const poolOf = ({ available, spare, displaceable, lots }: Stock): Pool => ({
  free: available,
  spare: least(spare, available),
  displaceable,
  lots: lots.map(({ quantity }) => quantity)
})

/** What waits in front of a warehouse takes own goods first, as everybody does. */
function subtractWaiting(stocks: readonly Stock[], pools: ReadonlyMap<Stock, Pool>): void {
  const places = Map.groupBy(stocks, ({ warehouseId, partId }) => `${warehouseId} ${partId}`)
  for (const place of places.values()) {
    let waiting = place[0]?.waiting ?? 0n
    for (const stock of place.toSorted(ownFirst)) {
      const pool = pools.get(stock)
      if (pool === undefined) continue
      const gone = least(pool.free, waiting)
      waiting -= gone
      pool.free -= gone
      pool.spare = least(pool.spare, pool.free)
    }
  }
}

const ownFirst = (a: Stock, b: Stock): number => Number(a.ownership !== 'own') - Number(b.ownership !== 'own')

interface Asking {
  want: Want
  option: Option
  step: Step
  left: bigint
}

/** Takes for one line in one step, and takes it off the pools. */
function takeFrom(
  here: readonly Stock[],
  pools: ReadonlyMap<Stock, Pool>,
  { want, option, step, left }: Asking
): Taken[] {
  const taken: Taken[] = []
  let open = left
  const take = (stock: Stock, most: bigint, receivedOn: string | null, displaced = false): bigint => {
    const quantity = wholeOf(least(most, inOption(open, option)), option)
    if (quantity <= 0n) return 0n
    open -= least(open, ofOption(quantity, option))
    const before = taken.find((one) => one.stock === stock)
    if (before === undefined)
      taken.push({ line: want.line, option, step, stock, quantity, displaced: displaced ? quantity : 0n, receivedOn })
    else {
      before.quantity += quantity
      if (displaced) before.displaced += quantity
    }
    return quantity
  }
  const isNetwork = step === 'regional-network' || step === 'other-regions'
  if (isNetwork) {
    for (const { stock, place, receivedOn } of agedFirst(here)) {
      const pool = pools.get(stock)
      if (pool === undefined || open === 0n) continue
      const quantity = take(stock, least(pool.lots[place] ?? 0n, pool.free), receivedOn)
      pool.lots[place] = (pool.lots[place] ?? 0n) - quantity
      pool.free -= quantity
      pool.spare -= least(pool.spare, quantity)
    }
  }
  for (const stock of isNetwork ? here.toSorted(byCode) : here.toSorted(ownFirst)) {
    const pool = pools.get(stock)
    if (pool === undefined || open === 0n) continue
    const quantity = take(stock, isNetwork ? least(pool.spare, pool.free) : pool.free, oldestOf(stock))
    pool.spare -= least(pool.spare, quantity)
    pool.free -= quantity
  }
  for (const stock of here.toSorted(ownFirst)) {
    const pool = pools.get(stock)
    if (pool === undefined || open === 0n || pool.displaceable === 0n) continue
    pool.displaceable -= take(stock, pool.displaceable, oldestOf(stock), true)
  }
  return taken
}

/** Of what stands for something else in whole numbers, whole ones are taken. */
const wholeOf = (quantity: bigint, { factor }: Option): bigint =>
  factor === UNIT ? quantity : quantity - (quantity % factor)

const oldestOf = ({ lots }: Stock): string | null => lots[0]?.receivedOn ?? null
const byCode = (a: Stock, b: Stock): number => (a.warehouse < b.warehouse ? -1 : a.warehouse > b.warehouse ? 1 : 0)

const agedFirst = (here: readonly Stock[]) =>
  here
    .flatMap((stock) => stock.lots.map(({ receivedOn }, place) => ({ stock, place, receivedOn })))
    .toSorted((a, b) => (a.receivedOn < b.receivedOn ? -1 : a.receivedOn > b.receivedOn ? 1 : byCode(a.stock, b.stock)))

/** Warehouses named in the evidence of a step. */
const NAMED = 20

function evidenceOf({
  step,
  option,
  here,
  held,
  taken,
  isRefused,
  isCovered
}: {
  step: Step
  option: Option
  here: readonly Stock[]
  held: Held | undefined
  taken: readonly Taken[]
  isRefused: boolean
  isCovered: boolean
}): StepEvidence {
  const sum = (values: bigint[]): bigint => values.reduce((all, value) => all + value, 0n)
  const available = held?.available ?? sum(here.map((stock) => stock.available))
  const waiting = sum([...new Map(here.map((stock) => [stock.warehouseId, stock.waiting])).values()])
  const quantity = sum(taken.map((one) => one.quantity))
  const displaced = sum(taken.map((one) => one.displaced))
  const because = () => {
    if (isRefused) return 'not-whole'
    if (isCovered) return 'covered'
    if (quantity > 0n) return 'took-what-was-there'
    if (available === 0n) return 'nothing-there'
    return waiting >= available ? 'waited-for' : 'kept-for-own-need'
  }
  return {
    step,
    part: option.part,
    lookedAt: held?.warehouses ?? new Set(here.map(({ warehouseId }) => warehouseId)).size,
    available: text(available),
    waitingInFront: text(waiting),
    taken: text(quantity),
    ...(displaced > 0n && { displaced: text(displaced) }),
    from: taken.slice(0, NAMED).map((one) => ({
      warehouse: one.stock.warehouse,
      ownership: one.stock.ownership,
      quantity: text(one.quantity),
      receivedOn: one.receivedOn
    })),
    because: because()
  }
}
