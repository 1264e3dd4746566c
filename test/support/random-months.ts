import fc from 'fast-check'
import { blockStock, unblockStock } from '../../src/ledger/block.ts'
import type { Entry } from '../../src/ledger/post.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { decimal, thousandths } from '../../src/platform/decimal.ts'
import { Refusal } from '../../src/platform/errors.ts'
import type { SlipKind } from '../../src/slips/slip-kinds.ts'
import type { Harness } from './harness.ts'
import type { Kernel, PostedSlip, Shelf } from './kernel.ts'

/** What may happen to the stock of a warehouse on a day; which shelf, lot or slip it is about is a number modulo those there are. */
export type Act<Day> =
  | {
      kind: 'receive'
      shelf: number
      quantity: string
      unitCost: string
      day: Day
      age: string | null
      isPromised: boolean
    }
  | { kind: 'issue'; lines: { shelf: number; quantity: string }[]; day: Day }
  | { kind: 'return'; pick: number; share: number; faulty: boolean; day: Day }
  | { kind: 'reverse'; pick: number; day: Day }
  | { kind: 'adjust'; lines: Finding[]; day: Day }
  /** In one piece or in several, the last of which arrives later. */
  | { kind: 'transfer'; shelf: number; quantity: string; day: Day; arrives: Day; arrivesLast: Day; pieces: number }
  | { kind: 'promise'; shelf: number; quantity: string }
  | { kind: 'release'; pick: number }
  /** Of what was received until a day, or of all. */
  | { kind: 'recall'; shelf: number; until: string | null }
  | { kind: 'lift'; pick: number }

/** What a count found of a shelf: so much more or less than the ledger has, of a lot that was counted or of none. */
interface Finding {
  shelf: number
  lot: number | null
  gain: boolean
  quantity: string
  unitCost: string
}

// Tiny amounts are where cents are lost, so there are many of them.
export const quantity = fc
  .oneof(
    fc.integer({ min: 1, max: 5 }).map((pieces) => pieces * 1000),
    fc.integer({ min: 1, max: 9_000 })
  )
  .map((units) => decimal(BigInt(units), 3))
export const unitCost = fc
  .oneof(fc.integer({ min: 0, max: 2_500 }), fc.integer({ min: 0, max: 999_999 }))
  .map((units) => (units / 10_000).toFixed(4))

const shelf = fc.nat(99)
const pick = fc.nat()

/** The acts by kind, with days as the test counts them. */
export const acts = <Day>(day: fc.Arbitrary<Day>, age: fc.Arbitrary<string>) => ({
  receive: fc.record({
    kind: fc.constant('receive' as const),
    shelf,
    // More than one issue takes.
    quantity: quantity.map((most) => decimal(thousandths(most) * 4n, 3)),
    unitCost,
    day,
    age: fc.option(age),
    isPromised: fc.constantFrom(false, false, false, false, true)
  }),
  issue: fc.record({
    kind: fc.constant('issue' as const),
    lines: fc.array(fc.record({ shelf, quantity }), { minLength: 1, maxLength: 2 }),
    day
  }),
  return: fc.record({
    kind: fc.constant('return' as const),
    pick,
    share: fc.constantFrom(1, 2, 3),
    faulty: fc.boolean(),
    day
  }),
  reverse: fc.record({ kind: fc.constant('reverse' as const), pick, day }),
  adjust: fc.record({
    kind: fc.constant('adjust' as const),
    lines: fc.array(fc.record({ shelf, lot: fc.option(pick), gain: fc.boolean(), quantity, unitCost }), {
      minLength: 1,
      maxLength: 3
    }),
    day
  }),
  transfer: fc.record({
    kind: fc.constant('transfer' as const),
    shelf,
    quantity,
    day,
    arrives: day,
    arrivesLast: day,
    pieces: fc.constantFrom(1, 1, 2, 3)
  }),
  promise: fc.record({ kind: fc.constant('promise' as const), shelf, quantity }),
  release: fc.record({ kind: fc.constant('release' as const), pick }),
  recall: fc.record({ kind: fc.constant('recall' as const), shelf, until: fc.option(age) }),
  lift: fc.record({ kind: fc.constant('lift' as const), pick })
})

/** Recalls of the kernel, without a document. */
let lastRecall = 1_000_000

/** What a warehouse reverses alone: a transfer has its other end elsewhere, and a reversal is not reversed. */
const UNDOABLE: readonly SlipKind[] = ['receipt', 'issue', 'return', 'adjustment']

interface Lot {
  id: string
  unitCost: string
  receivedOn: string
  onHand: string
}

type Transfer<Day> = Extract<Act<Day>, { kind: 'transfer' }>

export interface Player {
  ledger: Kernel
  play(act: Exclude<Act<string>, Transfer<string>>): Promise<void>
  /** Goods go to another warehouse and come in there with their cost and age; `arrives` is not before `day`. */
  transferTo(other: Player, act: Transfer<string>): Promise<void>
  /** Goods come in; it must not be refused. */
  receive(entries: Entry[], writing: { on: string; kind: SlipKind; reference: string }): Promise<PostedSlip>
  /** By lot that came from another warehouse: the day it left there, and the rates it had not been charged before. */
  readonly arrived: Map<string, { leftOn: string; rateSkipped: string }>
  /** Balances of which on hand is not what was accepted. */
  wrongBalances(): Promise<{ balance: string; onHand: string; expected: string }[]>
}

const cents = (amount: string): bigint => BigInt(amount.replace('.', ''))
/** Of an amount in cents what falls to a part, rounded half away from zero. */
const shareOf = (total: bigint, part: bigint, whole: bigint): bigint => {
  const twice = 2n * (total < 0n ? -total : total) * part
  const share = (twice + whole) / (2n * whole)
  return total < 0n ? -share : share
}

const keyOf = ({ partId, ownership, condition }: Omit<Shelf, 'part'>): string => `${partId} ${ownership} ${condition}`

/**
 * Plays acts in one warehouse. What the kernel refuses has left nothing behind; anything else that fails, fails.
 * @param shelves the goods it is about
 */
export function playerOf(h: Harness, ledger: Kernel, shelves: readonly Shelf[]): Player {
  const posted: { slip: PostedSlip; entries: Entry[]; kind: SlipKind; reverses?: string | undefined }[] = []
  const expected = new Map<string, bigint>()
  const arrived: Player['arrived'] = new Map()
  const promises: string[] = []
  const recalls: string[] = []
  const shelfAt = (index: number): Shelf => shelves[index % shelves.length]

  const attempt = async (
    entries: Entry[],
    writing: { on: string; kind: SlipKind; reference?: string; counterparty?: string },
    source?: PostedSlip
  ): Promise<PostedSlip | undefined> => {
    try {
      const slip =
        source === undefined ? await ledger.postSlip(entries, writing) : await ledger.undoSlip(source, entries, writing)
      posted.push({ slip, entries, kind: writing.kind, reverses: writing.kind === 'reversal' ? source?.id : undefined })
      for (const entry of entries)
        expected.set(keyOf(entry), (expected.get(keyOf(entry)) ?? 0n) + thousandths(entry.quantity))
      return slip
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return undefined
    }
  }

  const lotsOf = ({ partId, ownership, condition }: Shelf): Promise<Lot[]> =>
    h.sql<Lot>(
      `select id, unit_cost::text as "unitCost", received_on::text as "receivedOn", trim_scale(on_hand)::text as "onHand" from lot
        where warehouse_id = $1 and part_id = $2 and ownership = $3 and condition = $4 and not exhausted order by received_on, id`,
      [ledger.warehouse.id, partId, ownership, condition]
    )

  /** A loss takes at most what there is; a gain has cost and age of the lot it concerns. */
  const adjustment = async (lines: readonly Finding[], day: string): Promise<Entry[]> => {
    const entries: Entry[] = []
    const seen = new Set<string>()
    for (const finding of lines) {
      const place = shelfAt(finding.shelf)
      if (seen.has(keyOf(place))) continue
      seen.add(keyOf(place))
      const lots = await lotsOf(place)
      const named = finding.lot === null ? undefined : lots[finding.lot % lots.length]
      const like = named ?? lots[0]
      const line = entries.length + 1
      if (finding.gain) {
        const receivedOn = like !== undefined && like.receivedOn < day ? like.receivedOn : day
        const cost = place.ownership === 'own' ? (like?.unitCost ?? finding.unitCost) : null
        entries.push(ledger.entry(place, finding.quantity, { line, receivedOn, unitCost: cost }))
      } else {
        const most = named?.onHand ?? finding.quantity
        const less = thousandths(most) < thousandths(finding.quantity) ? most : finding.quantity
        entries.push(ledger.entry(place, `-${less}`, { line, lotId: named?.id }))
      }
    }
    return entries
  }

  const undone = (entries: readonly Entry[], share: number): Entry[] =>
    entries.map((entry) => {
      const units = -thousandths(entry.quantity)
      const part = share === 1 ? units : (units + BigInt(share) - 1n) / BigInt(share)
      return {
        ...entry,
        quantity: decimal(part, 3),
        unitCost: null,
        receivedOn: null,
        lotId: null,
        sourceLine: entry.line
      }
    })

  const play = async (act: Exclude<Act<string>, Transfer<string>>): Promise<void> => {
    switch (act.kind) {
      case 'receive': {
        const place = shelfAt(act.shelf)
        const receivedOn = act.age !== null && act.age <= act.day ? act.age : undefined
        const cost = place.ownership === 'own' ? act.unitCost : null
        const reserveFor = act.isPromised ? 'REQ-1' : undefined
        await attempt([ledger.entry(place, act.quantity, { unitCost: cost, receivedOn, reserveFor })], {
          on: act.day,
          kind: 'receipt'
        })
        return
      }
      case 'issue':
        await attempt(
          act.lines.map((line, index) => ledger.entry(shelfAt(line.shelf), `-${line.quantity}`, { line: index + 1 })),
          { on: act.day, kind: 'issue' }
        )
        return
      case 'promise':
        try {
          promises.push(await ledger.reserve(shelfAt(act.shelf), act.quantity))
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
        }
        return
      case 'release': {
        const [first] = promises.splice(act.pick % (promises.length + 1), 1)
        if (first !== undefined) await ledger.release(first)
        return
      }
      case 'recall': {
        const recallId = String(++lastRecall)
        recalls.push(recallId)
        const { partId } = shelfAt(act.shelf)
        await inTransaction(ledger.ctx, (ctx) =>
          blockStock(ctx, {
            recallId,
            recall: `RCL-${recallId}`,
            scopes: [{ scopeNo: 1, partId, receivedTo: act.until }]
          })
        )
        return
      }
      case 'lift': {
        const [recallId] = recalls.splice(act.pick % (recalls.length + 1), 1)
        if (recallId !== undefined) await inTransaction(ledger.ctx, (ctx) => unblockStock(ctx, { recallId }))
        return
      }
      case 'adjust': {
        const entries = await adjustment(act.lines, act.day)
        await attempt(entries, { on: act.day, kind: 'adjustment' })
        return
      }
      default: {
        const isWanted = ({ kind, slip }: (typeof posted)[number]) =>
          act.kind === 'return'
            ? kind === 'issue'
            : UNDOABLE.includes(kind) && !posted.some(({ reverses }) => reverses === slip.id)
        const sources = posted.filter(isWanted)
        const source = sources[sources.length === 0 ? 0 : act.pick % sources.length]
        if (source === undefined) return
        // Nothing comes back before it left.
        const on = act.day < source.slip.on ? source.slip.on : act.day
        const back = undone(source.entries, act.kind === 'return' ? act.share : 1)
        const isFaulty = act.kind === 'return' && act.faulty
        await attempt(
          isFaulty ? back.map((entry) => ({ ...entry, condition: 'nonconforming' as const })) : back,
          { on, kind: act.kind === 'return' ? 'return' : 'reversal' },
          source.slip
        )
      }
    }
  }

  return {
    ledger,
    play,
    transferTo: async (other, act) => {
      const place = shelfAt(act.shelf)
      const out = await attempt([ledger.entry(place, `-${act.quantity}`)], {
        on: act.day,
        kind: 'transfer-out',
        counterparty: other.ledger.warehouse.code
      })
      if (out === undefined) return
      const lots = await h.sql<Lot & { rateSkipped: string; originWarehouse: number; originLot: string }>(
        `select id, unit_cost::text as "unitCost", received_on::text as "receivedOn", '0' as "onHand", rate_skipped::text as "rateSkipped",
                coalesce(origin_warehouse_id, warehouse_id) as "originWarehouse", coalesce(origin_lot_id, id) as "originLot"
           from lot where warehouse_id = $1 and id = any ($2::bigint[])`,
        [ledger.warehouse.id, out.movements.map(({ lotId }) => lotId)]
      )
      const chargedUntil = Temporal.PlainDate.from(out.on).with({ day: 1 }).subtract({ months: 1 }).toString()
      for (let piece = 0; piece < act.pieces; piece++) {
        const arriving = out.movements.flatMap(({ lotId, quantity: left, cost, charge }, index) => {
          const lot = lots.find(({ id }) => id === lotId)
          if (lot === undefined) throw new Error(`lot ${lotId} is gone`)
          const sent = -thousandths(left)
          const upto = (n: number): bigint => (sent * BigInt(n)) / BigInt(act.pieces)
          const [from, until] = [upto(piece), upto(piece + 1)]
          if (from === until) return []
          // The share of what left, so that the pieces add up to the cent.
          const share = (amount: string): string => {
            const total = -cents(amount)
            return decimal(shareOf(total, until, sent) - shareOf(total, from, sent), 2)
          }
          const own = place.ownership === 'own'
          return [
            {
              from: lot,
              entry: other.ledger.entry(place, decimal(until - from, 3), {
                line: index + 1,
                receivedOn: lot.receivedOn,
                unitCost: own ? lot.unitCost : null,
                carried: {
                  costIn: share(cost),
                  chargeIn: share(charge),
                  chargedUntil,
                  rateSkipped: lot.rateSkipped,
                  origin: { warehouseId: lot.originWarehouse, lotId: lot.originLot }
                }
              })
            }
          ]
        })
        if (arriving.length === 0) continue
        const { movements } = await other.receive(
          arriving.map(({ entry }) => entry),
          {
            on: piece === act.pieces - 1 ? act.arrivesLast : act.arrives,
            kind: 'transfer-in',
            reference: out.number
          }
        )
        for (const { lotId, line } of movements) {
          const lot = arriving.find(({ entry }) => entry.line === line)?.from
          other.arrived.set(lotId, { leftOn: out.on, rateSkipped: lot?.rateSkipped ?? '0' })
        }
      }
    },
    receive: async (entries, writing) => {
      const slip = await attempt(entries, writing)
      if (slip === undefined) throw new Error(`${writing.reference} could not come in`)
      return slip
    },
    arrived,
    wrongBalances: async () => {
      const rows = await h.sql<{ partId: number; ownership: 'own'; condition: 'qualified'; onHand: string }>(
        `select part_id as "partId", ownership, condition, trim_scale(on_hand)::text as "onHand" from balance where warehouse_id = $1`,
        [ledger.warehouse.id]
      )
      const found = new Map(rows.map((row) => [keyOf(row), row.onHand]))
      return [...new Set([...found.keys(), ...expected.keys()])]
        .map((balance) => ({
          balance,
          onHand: found.get(balance) ?? '0',
          expected: decimal(expected.get(balance) ?? 0n, 3)
        }))
        .filter(({ onHand, expected: wanted }) => onHand !== wanted)
    }
  }
}
