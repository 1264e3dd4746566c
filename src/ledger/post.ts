// The kernel's one way to change stock.
//
// What it does: given the entries of one slip, it locks the balances, checks what is available, takes the oldest lots
// first, values what moves, writes movements and answers them, all in one round trip (`post_movements`).
// Definitions it uses:
// - Available is on hand − reserved − blocked. What a line may take from a reservation of its own counts as available.
// - Oldest first is by the day the goods were first received, which travels with them; a late slip only takes lots that
//   were already there on its day.
// - What a recall blocks is passed over, unless a line names the lot; what comes in is blocked by the posting that brings it in.
// - A lot is opened by one movement and only shrinks afterwards. So its quantity on any past day is never less than today's,
//   and a late slip cannot make the past negative. What comes back is a new lot with the old age, at the cost it left with.
// - What a movement moves is a difference of the value function of `src/ledger/value.ts` (see ARCHITECTURE.md):
//   the cents telescope, and nothing is ever re-valued.
// What it does not do: decide who may post, or whether a document is signed. That is the document's own business.
// A second run posts a second time; the document's version guards against that.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'

export const OWNERSHIPS = ['own', 'consigned'] as const
export const CONDITIONS = ['qualified', 'nonconforming'] as const
export type Ownership = (typeof OWNERSHIPS)[number]
export type Condition = (typeof CONDITIONS)[number]

/** One line that moves stock. */
export interface Entry {
  line: number
  partId: number
  /** The part's number, for refusals. */
  part: string
  ownership: Ownership
  condition: Condition
  /** Stock units; positive comes in, negative leaves. */
  quantity: string
  /** Of one stock unit, for goods that come in for the first time; consigned goods carry none. */
  unitCost?: string | null | undefined
  /** The day goods with an age were first received; today's slip day unless given. */
  receivedOn?: string | null | undefined
  /** The line of the posting's source slip that this one undoes: goods come back at the cost they left with, or the very lots a receipt opened leave again. */
  sourceLine?: number | null | undefined
  reservationId?: string | null | undefined
  /** The lot that goods which leave are taken from, whatever its age; the lines of a balance either all name their lots or none does. */
  lotId?: string | null | undefined
  /** What goods that come in are promised to at once (R-STK-4); not if a recall blocks them. */
  reserveFor?: string | null | undefined
  /** What goods from another warehouse left it with: their lot opens with just that, and the months between are nobody's. */
  carried?: Carried | null | undefined
  /** The lot by which goods that come in first came into the company, where nothing is carried: found goods of a known lot. */
  origin?: Carried['origin'] | undefined
}

/** What goods that come from another warehouse left it with (R-AGE-7). */
export interface Carried {
  /** Original cost and accumulated depreciation of the whole line, to the cent. */
  costIn: string
  chargeIn: string
  /** First day of the month through which they were charged: the month before they left. */
  chargedUntil: string
  /** Summed rates that their lot had never been charged before it left, because it was away: its `rate_skipped`. */
  rateSkipped: string
  /** The lot by which they first came into the company. */
  origin: { warehouseId: number; lotId: string } | null
}

/** What was posted: one row per line and lot. `cost` and `charge` have the sign of `quantity`. */
export interface Movement {
  line: number
  lotId: string
  quantity: string
  cost: string
  charge: string
  onHandAfter: string
}

/**
 * The call as SQL, so that a document can change its own state in the same statement.
 * @param first number of the first of its parameters; `postingParameters` gives their values in this order
 * @param after a column of the row that must be there first: the call then depends on it, and no plan runs it without
 */
export const postMovements = (first: number, after?: string): string => {
  const types = [
    'int',
    'bigint',
    'date',
    'timestamptz',
    'int[]',
    'int[]',
    'text[]',
    'text[]',
    'numeric[]',
    'numeric[]',
    'date[]',
    'bigint',
    'date',
    'int[]',
    'bigint[]',
    'bigint[]',
    'text[]',
    'numeric[]',
    'numeric[]',
    'date[]',
    'numeric[]',
    'int[]',
    'bigint[]',
    'int'
  ]
  const parameters = types.map((type, index) => `$${first + index}::${type}`)
  if (after !== undefined) parameters[0] = `case when ${after} is not null then ${parameters[0]} end`
  return `post_movements(${parameters.join(', ')})`
}

/** The columns of `postMovements` as a `Movement`. */
export const MOVEMENT_COLUMNS = `moved.line_no as line, moved.lot_id as "lotId", trim_scale(moved.quantity)::text as quantity,
  moved.cost::text as cost, moved.charge::text as charge, trim_scale(moved.on_hand_after)::text as "onHandAfter"`

export interface Posting {
  warehouseId: number
  slipId: string
  occurredOn: string
  postedAt: string
  entries: readonly Entry[]
  /** The posted slip of this warehouse that every entry undoes a line of. */
  source?: { slipId: string; day: string } | undefined
}

/** The twenty-four values of `postMovements`; `personId` is who promises goods that are reserved as they arrive. */
export function postingParameters(
  { warehouseId, slipId, occurredOn, postedAt, entries, source }: Posting,
  personId: number
): unknown[] {
  const isReserved = entries.some(({ reservationId }) => reservationId != null)
  const namesLots = entries.some(({ lotId }) => lotId != null)
  const isPromised = entries.some(({ reserveFor }) => reserveFor != null)
  const isCarried = entries.some(({ carried }) => carried != null)
  const carriedAs = (value: (carried: Carried) => unknown) =>
    isCarried ? entries.map(({ carried }) => (carried == null ? null : value(carried))) : null
  const origins = entries.map(({ carried, origin }) => carried?.origin ?? origin ?? null)
  const isOfOrigin = origins.some((origin) => origin !== null)
  return [
    warehouseId,
    slipId,
    occurredOn,
    postedAt,
    entries.map(({ line }) => line),
    entries.map(({ partId }) => partId),
    entries.map(({ ownership }) => ownership),
    entries.map(({ condition }) => condition),
    entries.map(({ quantity }) => quantity),
    entries.map(({ unitCost, ownership }) => (ownership === 'consigned' ? null : (unitCost ?? null))),
    entries.map(({ receivedOn }) => receivedOn ?? null),
    source?.slipId ?? null,
    source?.day ?? null,
    entries.map(({ sourceLine }) => sourceLine ?? null),
    isReserved ? entries.map(({ reservationId }) => reservationId ?? null) : null,
    namesLots ? entries.map(({ lotId }) => lotId ?? null) : null,
    isPromised ? entries.map(({ reserveFor }) => reserveFor ?? null) : null,
    carriedAs(({ costIn }) => costIn),
    carriedAs(({ chargeIn }) => chargeIn),
    carriedAs(({ chargedUntil }) => chargedUntil),
    carriedAs(({ rateSkipped }) => rateSkipped),
    isOfOrigin ? origins.map((origin) => origin?.warehouseId ?? null) : null,
    isOfOrigin ? origins.map((origin) => origin?.lotId ?? null) : null,
    isPromised ? personId : null
  ]
}

const POST = statement<Movement>(`select ${MOVEMENT_COLUMNS} from ${postMovements(1)} as moved`)

/**
 * Posts entries of one warehouse.
 * @throws Refusal `InsufficientStock`, `LotNotThereYet`, `PeriodClosed`, `ReturnExceedsIssue`, `GoodsAlreadyGone`, `GoodsBlocked`, `ReservationDoesNotCover`
 */
export async function post(ctx: Context, posting: Posting): Promise<Movement[]> {
  try {
    return await run(ctx, POST, postingParameters(posting, ctx.actor.personId))
  } catch (error) {
    throw postingRefusal(error, posting)
  }
}

interface ShortLine {
  line: number
  wanted: number
  available: number
  /** There is enough today, but not yet on the day of the slip. */
  later: boolean
  blocked: number
}

interface Shortage {
  lines: ShortLine[]
  /** The recalls that hold goods of the parts back. */
  recalls: string[]
  /** What goods of the slip that is reversed are promised to. */
  promised: string[] | null
}

/** Translates what `post_movements` raised; any other error is handed back as it is. */
export function postingRefusal(error: unknown, { entries, source }: Pick<Posting, 'entries' | 'source'>): unknown {
  const { code, detail } = (error ?? {}) as { code?: unknown; detail?: string }
  const partOf = (line: number): string => entries.find((entry) => entry.line === line)?.part ?? ''
  switch (code) {
    case 'BC001':
      return new Refusal(
        'PeriodClosed',
        409,
        `the period ${detail} is closed for this warehouse; date the slip into an open period`,
        {
          errors: [{ pointer: '/occurredOn', detail: 'lies in a closed period' }]
        }
      )
    case 'BC002':
      return shortage(JSON.parse(detail ?? '{}'), { isUndoing: source !== undefined, entries })
    case 'BC003': {
      const lines: { line: number; wanted: number; returnable: number }[] = JSON.parse(detail ?? '[]')
      return new Refusal(
        'ReturnExceedsIssue',
        409,
        `more would come back than left: ${lines
          .slice(0, NAMED_OFFENDERS)
          .map(
            ({ line, wanted, returnable }) =>
              `line ${line} (${partOf(line)}) returns ${wanted}, ${returnable} can still come back`
          )
          .join(
            '; '
          )}. What came back by other slips is listed in the slip it left by; reverse those first if this is to undo the whole`,
        {
          extra: {
            lines: lines.map(({ line, wanted, returnable }) => ({
              line,
              part: partOf(line),
              wanted: String(wanted),
              returnable: String(returnable)
            }))
          }
        }
      )
    }
    case 'BC004': {
      const broken = (JSON.parse(detail ?? '[]') as { recall: string | null }[]).flatMap(({ recall }) => recall ?? [])
      return new Refusal(
        'ReservationDoesNotCover',
        409,
        broken.length > 0
          ? `recall ${[...new Set(broken)].join(', ')} ended the reservation named by a line; cancel the slip: a request is planned anew by itself, and anything else is written anew once the goods are free`
          : 'a reservation named by a line is released, used up or for other goods; leave it away or name an open one',
        { extra: { recalls: [...new Set(broken)] } }
      )
    }
    case 'BC005': {
      const recalls: string[] = JSON.parse(detail ?? '[]')
      return new Refusal(
        'GoodsBlocked',
        409,
        `recall ${recalls.join(', ')} blocks goods that this slip would take out; they leave by a return slip of the recall, or when it is lifted`,
        { extra: { recalls } }
      )
    }
    // Raised by what follows the slip in the same statement, in words for people.
    case 'BC030':
      return new Refusal(
        'UnitElsewhere',
        409,
        `${(error as Error).message}; cancel the slip and look where the unit is: GET /v1/loaners/{serial}`
      )
    case 'BC032':
      return new Refusal(
        'LoanerModel',
        409,
        `${(error as Error).message}; cancel the slip and register the units: POST /v1/warehouses/{warehouse}/loaners`
      )
    default:
      return error
  }
}

function shortage(
  { lines, recalls, promised }: Shortage,
  { isUndoing, entries }: { isUndoing: boolean; entries: readonly Entry[] }
): Refusal {
  const entryOf = (line: number): Entry | undefined => entries.find((entry) => entry.line === line)
  const partOf = (line: number): string => entryOf(line)?.part ?? ''
  const named = lines.slice(0, NAMED_OFFENDERS)
  const more = lines.length > named.length ? ` and ${lines.length - named.length} more` : ''
  const extra = {
    lines: lines.map(({ line, wanted, available, blocked }) => ({
      line,
      part: partOf(line),
      wanted: String(wanted),
      available: String(available),
      ...(blocked > 0 && { blocked: String(blocked) })
    })),
    ...(recalls.length > 0 && { recalls })
  }
  if (isUndoing && promised !== null) {
    return new Refusal(
      'GoodsAlreadyGone',
      409,
      `what was brought in is promised to ${promised.join(', ')}; release that first, then reverse the slip`,
      { extra: { ...extra, promisedTo: promised } }
    )
  }
  if (isUndoing) {
    return new Refusal(
      'GoodsAlreadyGone',
      409,
      `what was brought in is no longer there whole on that day (${named.map(({ line }) => `line ${line}, ${partOf(line)}`).join('; ')}${more}); reverse the slips by which it left first, and date this one on or after them`,
      { extra }
    )
  }
  if (lines.every(({ line }) => entryOf(line)?.lotId != null)) {
    return new Refusal(
      'LotShort',
      409,
      `the lot does not hold so much, or was not there yet on that day: ${named.map(({ line, wanted }) => `line ${line} (${partOf(line)}) takes ${wanted} from lot ${entryOf(line)?.lotId}`).join('; ')}${more}`,
      { extra }
    )
  }
  if (lines.every(({ later }) => later)) {
    return new Refusal(
      'LotNotThereYet',
      409,
      `on the day of the slip the goods had not been received yet (${named.map(({ line }) => `line ${line}, ${partOf(line)}`).join('; ')}${more}); date the slip on or after the day they came in`,
      { extra }
    )
  }
  return new Refusal(
    'InsufficientStock',
    409,
    `stock is short: ${named.map(({ line, wanted, available, blocked }) => `line ${line} (${partOf(line)}) wants ${wanted}, ${available} available${blocked > 0 ? ` and ${blocked} blocked` : ''}`).join('; ')}${more}${recalls.length > 0 ? `. Recall ${recalls.join(', ')} holds goods back` : ''}`,
    { extra }
  )
}
