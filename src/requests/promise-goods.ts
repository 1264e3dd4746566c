// Finds what lines of a request want, step by step, and reserves all of it at once (R-REQ-1); says what could be had instead.
import { successorsOfParts } from '../catalogue/supersessions.queries.ts'
import type { Context } from '../identity/actor.ts'
import { reserveAll } from '../ledger/reserve.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, normalQuantity, thousandths } from '../platform/decimal.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { displace } from './displace.ts'
import { findStocks, type Seeker } from './find-stocks.ts'
import type { LockedRequest } from './locked-request.ts'
import { forbiddenTo } from './order-restrictions.ts'
import {
  ofOption,
  search,
  STEPS,
  type Found,
  type Held,
  type Option,
  type Step,
  type Stock,
  type Taken,
  type Want
} from './search.ts'

/**
 * What may stand for parts: where a whole number stands for one, of what is sold and the outlet may request. A controlled part needs a
 * request of its own (R-CAT-2).
 */
export async function optionsFor(
  ctx: Context,
  outlet: Warehouse,
  partIds: readonly number[]
): Promise<Map<number, Option[]>> {
  const successors = await successorsOfParts(ctx.em, partIds, ctx.clock.today())
  if (successors.size === 0) return new Map()
  const ids = [...new Set([...successors.values()].flatMap((some) => some.map(({ partId }) => partId)))]
  const controlled = new Set((await run(ctx, CONTROLLED, [ids])).map(({ id }) => id))
  const forbidden = await forbiddenTo(ctx, outlet, ids)
  return new Map(
    [...successors].map(([of, some]) => [
      of,
      some
        .filter(
          ({ partId, active, replaced }) =>
            active && replaced === '1' && !controlled.has(partId) && !forbidden.has(partId)
        )
        .map(({ partId, part, successors: factor }) => ({ partId, part, factor: thousandths(normalQuantity(factor)) }))
    ])
  )
}
const CONTROLLED = statement<{ id: number }>(`select id from part where id = any ($1::int[]) and controlled`)

export interface Promised extends Found {
  /** In the order of `taken`. */
  reservations: string[]
  /** The number of each allocation, in the same order. */
  numbers: number[]
  /** What replaces it could be had, where the requester did not say that it may be. */
  offers: Map<number, Offer[]>
}

interface Offer {
  part: string
  /** So many of it stand for one. */
  factor: string
  quantity: string
  from: { warehouse: string; step: Step; quantity: string }[]
}

/** So often others may be faster; after that what they took is done without. What is left waits, and the next arrival or the sweep finds it. */
const MOST_ROUNDS = 12
/** So often an emergency passes over what others are at, before it waits for them. */
const ROUNDS_IN_PASSING = 2

/** Searches and reserves all that was found at once, again if others were faster. */
export async function promiseGoods(
  ctx: Context,
  request: LockedRequest,
  { outlet, wants }: { outlet: Warehouse; wants: readonly Want[] }
): Promise<Promised> {
  const seeker: Seeker = { ...request, requestId: request.id }
  const last = new Map((await run(ctx, LAST, [request.outletId, request.id])).map(({ line, no }) => [line, no]))
  for (let round = 1; ; round++) {
    const found = await searchInSteps(ctx, seeker, wants)
    const lost = found.taken
      .filter(({ displaced }) => displaced > 0n)
      .map(({ stock, displaced }) => ({ partId: stock.partId, ownership: stock.ownership, quantity: displaced }))
    const isFree = lost.length === 0 || (await displace(ctx, request, lost, { waits: round > ROUNDS_IN_PASSING }))
    if (!isFree && round < MOST_ROUNDS) continue
    const reserved = await reserveFound(ctx, request, { found, last, isLast: round >= MOST_ROUNDS })
    if (reserved === undefined) continue
    const short = request.acceptsSubstitutes ? [] : wants.filter(({ line }) => (reserved.left.get(line) ?? 0n) > 0n)
    return { ...reserved, offers: await offersFor(ctx, seeker, { outlet, short, left: reserved.left }) }
  }
}

/**
 * Reserves all that was found.
 * @param isLast does without what others took meanwhile; else undefined is answered, and nothing is reserved
 */
async function reserveFound(
  ctx: Context,
  { number }: LockedRequest,
  { found, last, isLast }: { found: Found; last: ReadonlyMap<number, number>; isLast: boolean }
): Promise<Omit<Promised, 'offers'> | undefined> {
  let { taken } = found
  const left = new Map(found.left)
  for (;;) {
    const numbers = numbersOf(taken, last)
    const reserved = await reserveAll(
      ctx,
      taken.map(({ line, option, stock, quantity }, place) => ({
        warehouseId: stock.warehouseId,
        partId: option.partId,
        part: option.part,
        ownership: stock.ownership,
        quantity: decimal(quantity, 3),
        reservedFor: `${number}/${line}.${numbers[place]}`
      }))
    )
    if ('ids' in reserved) return { ...found, taken, left, reservations: reserved.ids, numbers }
    if (!isLast) return undefined
    const lines = new Set(reserved.short.map(({ index }) => taken[index]?.line))
    for (const { line, quantity, option } of taken)
      if (lines.has(line)) left.set(line, (left.get(line) ?? 0n) + ofOption(quantity, option))
    taken = taken.filter(({ line }) => !lines.has(line))
  }
}

const LAST = statement<{ line: number; no: number }>(`
select line_no as line, max(allocation_no) as no from request_allocation where warehouse_id = $1 and request_id = $2 group by line_no`)

function numbersOf(taken: readonly Taken[], before: ReadonlyMap<number, number>): number[] {
  const last = new Map(before)
  return taken.map(({ line }) => {
    const number = (last.get(line) ?? 0) + 1
    last.set(line, number)
    return number
  })
}

/** Asks the next step only for what the steps before it left over: most requests never leave their centre. */
async function searchInSteps(ctx: Context, seeker: Seeker, wants: readonly Want[]): Promise<Found> {
  const stocks: Stock[] = []
  const held: Held[] = []
  const steps: Step[] = []
  let found = search(wants, { stocks, steps })
  for (const step of STEPS) {
    if (step === 'head-office' && seeker.headOfficeId === null) continue
    const asking = wants.filter(({ line }) => (found.left.get(line) ?? 0n) > 0n)
    if (asking.length === 0) break
    const answer = await findStocks(
      ctx,
      step,
      asking.flatMap(({ options }) => options.map(({ partId }) => partId)),
      seeker
    )
    stocks.push(...answer.stocks)
    held.push(...answer.held)
    steps.push(step)
    found = search(wants, { stocks, held, steps })
  }
  return found
}

/** What could be had instead, for lines that are short of the part itself (R-CAT-4): each as if it alone were asked for. */
async function offersFor(
  ctx: Context,
  seeker: Seeker,
  { outlet, short, left }: { outlet: Warehouse; short: readonly Want[]; left: ReadonlyMap<number, bigint> }
): Promise<Map<number, Offer[]>> {
  const options = await optionsFor(
    ctx,
    outlet,
    short.flatMap(({ options: [itself] }) => itself?.partId ?? [])
  )
  const wants = short.flatMap(({ line, options: [itself] }) =>
    (itself === undefined ? [] : (options.get(itself.partId) ?? [])).map((option) => ({
      line,
      quantity: left.get(line) ?? 0n,
      isWhole: false,
      options: [option],
      option
    }))
  )
  const stocks = new Map<number, Stock[]>()
  const found = (want: (typeof wants)[number]) => search([want], { stocks: stocks.get(want.option.partId) ?? [] })
  for (const step of STEPS) {
    if (step === 'head-office' && seeker.headOfficeId === null) continue
    const asking = wants.filter((want) => (found(want).left.get(want.line) ?? 0n) > 0n)
    if (asking.length === 0) break
    const answer = await findStocks(
      ctx,
      step,
      asking.map(({ option: { partId } }) => partId),
      seeker
    )
    for (const stock of answer.stocks) stocks.set(stock.partId, [...(stocks.get(stock.partId) ?? []), stock])
  }
  const offers = new Map<number, Offer[]>()
  for (const want of wants) {
    const { taken } = found(want)
    if (taken.length === 0) continue
    const offer = {
      part: want.option.part,
      factor: decimal(want.option.factor, 3),
      quantity: decimal(
        taken.reduce((sum, { quantity }) => sum + quantity, 0n),
        3
      ),
      from: taken.map(({ stock, step, quantity }) => ({
        warehouse: stock.warehouse,
        step,
        quantity: decimal(quantity, 3)
      }))
    }
    offers.set(want.line, [...(offers.get(want.line) ?? []), offer])
  }
  return offers
}
