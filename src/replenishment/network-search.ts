// Before anything is ordered, the network is searched (R-AGE-8). Pure: what is short and what lies where go in, what to move and what to
// order come out, each with the search as proof. All quantities are whole thousandths of a stock unit.
//
// What it does, for the positions that are furthest below their point first:
// 1. what lies or is on its way in the same warehouse of parts that replace the one that is short, beyond their own reorder point, is taken off;
// 2. lots past the holding period in other warehouses are taken, of the part itself or what replaces it: same region first, oldest lots first;
//    never more than a warehouse has beyond its own order-up-to level and what it promised to others;
// 3. the shortfall is ordered, in whole packs, of the part that replaces it one way where there is one (R-CAT-4).
import { decimal } from '../platform/decimal.ts'

/** A position that is short. */
export interface Need {
  warehouseId: number
  warehouse: string
  regionId: number
  partId: number
  part: string
  available: bigint
  onOrder: bigint
  reorderPoint: bigint
  orderUpTo: bigint
  /** Warehouses from which somebody refused to take it lately. */
  notFrom: readonly number[]
}

/** `successors` of it replace `replaced` of the part that is short. */
export interface Option {
  partId: number
  part: string
  successors: bigint
  replaced: bigint
  /** 0 for the part itself. */
  steps: number
}

/** Own and qualified stock of a part in a warehouse. */
export interface Stock {
  warehouseId: number
  warehouse: string
  regionId: number
  region: string
  partId: number
  part: string
  available: bigint
  /** What it needs itself: its order-up-to level. */
  ownNeed: bigint
  promised: bigint
  /** What it could give: beyond its own need, past the holding period, not promised. */
  left: bigint
  /** Past the holding period, oldest first, without what is promised. */
  lots: { receivedOn: string; left: bigint }[]
  aged: bigint
}

/** What a part that replaces another has in the warehouse that is short of that one, beyond its own reorder point. */
export interface Here {
  available: bigint
  onOrder: bigint
  reorderPoint: bigint
  left: bigint
}

export interface Terms {
  partId: number
  part: string
  /** Null: any quantity. */
  packSize: bigint | null
  suppliers: { id: number; code: string }[]
  /** The authorised one that delivered it here last. */
  lastSupplier: number | null
}

export interface Search {
  needs: Need[]
  /** By the part that is short: itself first, then what replaces it, nearest first. */
  optionsOf: (partId: number) => readonly Option[]
  /** Where lots past the holding period lie. */
  stocks: readonly Stock[]
  /** Warehouses that hold the part, but nothing past the holding period. */
  othersHolding: (partId: number) => number
  hereOf: (warehouseId: number, partId: number) => Here | undefined
  /** What is ordered for a part that is short: how many of it stand for one. */
  orderOf: (partId: number) => Option
  termsOf: (warehouseId: number, partId: number) => Terms
  searchedOn: string
  holdingMonths: number
}

export interface FoundProposal {
  need: Need
  kind: 'transfer' | 'order'
  partId: number
  quantity: bigint
  fromWarehouseId: number | null
  supplierId: number | null
  evidence: Evidence
}

/** Why a warehouse with stock past the holding period was taken from, or not. */
export type Outcome = 'taken' | 'needs-it-itself' | 'promised' | 'rejected' | 'covered-before'

/** The search as it is kept on the proposal. */
export interface Evidence {
  searchedOn: string
  holdingMonths: number
  need: string
  fromSubstitutesHere: string
  fromNetwork: string
  toOrder: string
  substitutesHere: { part: string; available: string; onOrder: string; ownNeed: string; counted: string }[]
  /** Warehouses with stock past the holding period, those taken first, in the order they were asked. */
  asked: {
    warehouse: string
    region: string
    sameRegion: boolean
    part: string
    oldestReceivedOn: string
    aged: string
    available: string
    ownNeed: string
    promised: string
    spare: string
    taken: string
    outcome: Outcome
  }[]
  /** Asked beyond those that are listed. */
  notListed: number
  /** Warehouses that hold it, but nothing past the holding period: their stock is for their own customers. */
  othersHolding: number
  packSize: string | null
  supplier: {
    chosen: string | null
    because: 'only-one' | 'delivered-last' | 'to-choose' | 'none-authorised'
    authorised: string[]
  } | null
}

/** Warehouses named in the evidence: those taken from, and so many of the others. */
const LISTED = 30
const UNIT = 1000n

const text = (quantity: bigint): string => decimal(quantity, 3)
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const upTo = (quantity: bigint, step: bigint): bigint => ((quantity + step - 1n) / step) * step

/** How many of an option stand for a quantity, rounded up: to whole units where what was needed is whole. */
function inOption(quantity: bigint, { successors, replaced }: Option, isWhole: boolean): bigint {
  const exact = (quantity * successors + replaced - 1n) / replaced
  return isWhole ? upTo(exact, UNIT) : exact
}

/** The quantity that so many of an option stand for. */
const ofOption = (quantity: bigint, { successors, replaced }: Option): bigint => (quantity * replaced) / successors

interface Offer {
  stock: Stock
  lot: Stock['lots'][number]
  option: Option
}

/** What may be taken for one part, oldest lots first: of each region, and of all. */
interface Offers {
  byRegion: Map<number, { stocks: Stock[]; offers: Offer[] }>
  everywhere: { stocks: Stock[]; offers: Offer[] }
}

/** What is to be moved and ordered; the same need is met once, and no stock is given twice. */
export function searchNetwork(search: Search): FoundProposal[] {
  const stocks = Map.groupBy(search.stocks, ({ partId }) => partId)
  const offers = new Map<number, Offers>()
  const offersFor = (partId: number): Offers => {
    let found = offers.get(partId)
    if (found === undefined) offers.set(partId, (found = offersOf(search.optionsOf(partId), stocks)))
    return found
  }
  return search.needs
    .toSorted((a, b) => byUrgency(a, b) || compare(a.warehouse, b.warehouse) || compare(a.part, b.part))
    .flatMap((need) => proposalsFor(need, offersFor(need.partId), search))
}

function offersOf(options: readonly Option[], stocks: ReadonlyMap<number, Stock[]>): Offers {
  const all = options
    .flatMap((option) =>
      (stocks.get(option.partId) ?? []).flatMap((stock) => stock.lots.map((lot): Offer => ({ stock, lot, option })))
    )
    .toSorted(
      (a, b) =>
        compare(a.lot.receivedOn, b.lot.receivedOn) ||
        a.option.steps - b.option.steps ||
        compare(a.stock.warehouse, b.stock.warehouse)
    )
  const withStocks = (of: Offer[]) => ({ offers: of, stocks: [...new Set(of.map(({ stock }) => stock))] })
  return {
    everywhere: withStocks(all),
    byRegion: new Map(
      [...Map.groupBy(all, ({ stock }) => stock.regionId)].map(([region, some]) => [region, withStocks(some)])
    )
  }
}

const isUsedUp = ({ lot, stock }: Offer): boolean => lot.left <= 0n || stock.left <= 0n

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** What covers the smaller share of its reorder point comes first. */
function byUrgency(a: Need, b: Need): number {
  const difference = (a.available + a.onOrder) * b.reorderPoint - (b.available + b.onOrder) * a.reorderPoint
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

function proposalsFor(need: Need, offers: Offers, search: Search): FoundProposal[] {
  const wanted = need.orderUpTo - need.available - need.onOrder
  // What is counted in pieces stays so, also where part of it is met by what stands for a fraction of one.
  const isWhole = wanted % UNIT === 0n
  let remaining = wanted
  const substitutesHere: Evidence['substitutesHere'] = []
  for (const option of search.optionsOf(need.partId)) {
    const here = option.steps === 0 ? undefined : search.hereOf(need.warehouseId, option.partId)
    if (here === undefined || here.available + here.onOrder <= 0n) continue
    const counted = least(remaining, ofOption(here.left, option))
    here.left -= least(here.left, inOption(counted, option, false))
    remaining -= counted
    substitutesHere.push({
      part: option.part,
      available: text(here.available),
      onOrder: text(here.onOrder),
      ownNeed: text(here.reorderPoint),
      counted: text(counted)
    })
  }
  const afterHere = remaining
  if (remaining <= 0n) return []

  const taken = new Map<Stock, bigint>()
  const sameRegion = offers.byRegion.get(need.regionId)
  for (const from of sameRegion === undefined ? [offers.everywhere] : [sameRegion, offers.everywhere]) {
    let usedUp = 0
    for (const offer of from.offers) {
      if (remaining === 0n) break
      const { stock, lot, option } = offer
      if (isUsedUp(offer)) usedUp++
      else if (stock.warehouseId !== need.warehouseId && !need.notFrom.includes(stock.warehouseId)) {
        const take = least(inOption(remaining, option, isWhole), least(lot.left, stock.left))
        const stands = least(remaining, ofOption(take, option))
        // Less than one of it would help nobody.
        if (stands <= 0n) continue
        remaining -= stands
        lot.left -= take
        stock.left -= take
        taken.set(stock, (taken.get(stock) ?? 0n) + take)
      }
    }
    // The next need does not look at what is used up again.
    if (usedUp * 2 > from.offers.length) from.offers = from.offers.filter((offer) => !isUsedUp(offer))
  }

  const order = search.orderOf(need.partId)
  const terms = search.termsOf(need.warehouseId, order.partId)
  const shortfall = remaining === 0n ? 0n : inOption(remaining, order, isWhole)
  const toOrder = shortfall === 0n || terms.packSize === null ? shortfall : upTo(shortfall, terms.packSize)
  const supplier = supplierOf(terms)
  const asked = askedOf(need, offers, taken)
  const evidence: Evidence = {
    searchedOn: search.searchedOn,
    holdingMonths: search.holdingMonths,
    need: text(wanted),
    fromSubstitutesHere: text(wanted - afterHere),
    fromNetwork: text(afterHere - remaining),
    toOrder: text(toOrder),
    substitutesHere,
    asked,
    notListed:
      offers.everywhere.stocks.length -
      asked.length -
      offers.everywhere.stocks.filter(({ warehouseId }) => warehouseId === need.warehouseId).length,
    othersHolding: search.othersHolding(need.partId),
    packSize: toOrder === 0n || terms.packSize === null ? null : text(terms.packSize),
    supplier:
      toOrder === 0n
        ? null
        : {
            chosen: supplier.chosen?.code ?? null,
            because: supplier.because,
            authorised: terms.suppliers.map(({ code }) => code)
          }
  }
  const transfers = [...taken].map(([stock, quantity]): FoundProposal => ({
    need,
    kind: 'transfer',
    partId: stock.partId,
    quantity,
    fromWarehouseId: stock.warehouseId,
    supplierId: null,
    evidence
  }))
  if (toOrder === 0n) return transfers
  return [
    ...transfers,
    {
      need,
      kind: 'order',
      partId: order.partId,
      quantity: toOrder,
      fromWarehouseId: null,
      supplierId: supplier.chosen?.id ?? null,
      evidence
    }
  ]
}

/** Those taken from, then others of the same region, then others. */
function askedOf(need: Need, offers: Offers, taken: ReadonlyMap<Stock, bigint>): Evidence['asked'] {
  const listed = new Set(taken.keys())
  for (const { stocks } of [offers.byRegion.get(need.regionId) ?? { stocks: [] }, offers.everywhere]) {
    for (const stock of stocks) {
      if (listed.size >= Math.max(LISTED, taken.size)) break
      if (stock.warehouseId !== need.warehouseId) listed.add(stock)
    }
  }
  return [...listed].map((stock) => {
    const given = taken.get(stock) ?? 0n
    const spare = stock.left + given
    return {
      warehouse: stock.warehouse,
      region: stock.region,
      sameRegion: stock.regionId === need.regionId,
      part: stock.part,
      oldestReceivedOn: stock.lots[0]?.receivedOn ?? '',
      aged: text(stock.aged),
      available: text(stock.available),
      ownNeed: text(stock.ownNeed),
      promised: text(stock.promised),
      spare: text(spare),
      taken: text(given),
      outcome: outcomeOf(stock, need, { given, spare })
    }
  })
}

function outcomeOf(stock: Stock, need: Need, { given, spare }: { given: bigint; spare: bigint }): Outcome {
  if (given > 0n) return 'taken'
  if (need.notFrom.includes(stock.warehouseId)) return 'rejected'
  if (spare > 0n) return 'covered-before'
  return stock.available <= stock.ownNeed ? 'needs-it-itself' : 'promised'
}

/** The only authorised one; of several the one that delivered last; else the choice stays open (R-CAT-3). */
function supplierOf({ suppliers, lastSupplier }: Terms): {
  chosen: { id: number; code: string } | null
  because: NonNullable<Evidence['supplier']>['because']
} {
  const [only, another] = suppliers
  if (only === undefined) return { chosen: null, because: 'none-authorised' }
  if (another === undefined) return { chosen: only, because: 'only-one' }
  const last = suppliers.find(({ id }) => id === lastSupplier)
  return last === undefined ? { chosen: null, because: 'to-choose' } : { chosen: last, because: 'delivered-last' }
}
