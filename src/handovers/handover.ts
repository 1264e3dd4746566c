// A handover as it is kept, found, locked and shown, and the content that is signed.
//
// Both keepers are parties by name: they see it and sign it whether or not they hold a duty in the warehouse on that day. The incoming keeper
// mostly has none before, and the outgoing keeper none after.
//
// The four signatures are rows of `signature` like those of every other paper, the keepers’ under `outgoing-keeper` and `incoming-keeper` in place
// of a duty: its unique keys then say of all four at once that each signs once and that they are four different people.
//
// Lock order: the handover, its people by id, the gate (7305028), the warehouse (7305027), before anything is written.
import { maySee, requireDuty, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { aroundLines } from '../signing/content-hash.ts'
import type { Signature } from '../signing/sign.ts'
import { signaturesOf } from '../signing/signatures.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import {
  HANDOVER_PARTIES,
  type HandoverKey,
  type HandoverParty,
  type HandoverState,
  type HandoverView
} from './handovers.schemas.ts'

/** A signature of a handover: its duty is the party who signed. */
export type PartySignature = Omit<Signature, 'duty'> & { duty: HandoverParty }

export interface Handover {
  id: string
  number: string
  state: HandoverState
  version: number
  outgoingId: number
  outgoing: HandoverView['outgoing']
  incomingId: number
  incoming: HandoverView['incoming']
  because: string
  absentBecause: string | null
  drawnUpBy: string
  drawnUpAt: string
  keys: HandoverKey[]
  notes: string | null
  countId: string | null
  count: HandoverView['count']
  countHash: string | null
  snapshotPosition: string
  snapshotAt: string
  balances: number
  cost: string
  open: Record<string, number>
  submittedBy: string | null
  submittedAt: string | null
  contentHash: string | null
  signatures: PartySignature[]
  refusal: HandoverView['refusal']
  cutOffPosition: string | null
  cutOffAt: string | null
  cancelledAt: string | null
  cancelledBecause: string | null
}

/** Lines `l` of a count whose figures were known to differ. */
const DIFFERS = `(l.state = 'settled' and (l.counted <> l.expected or l.card <> l.counted))`

/** The columns of a `Handover`, from `HANDOVER_FROM`. */
export const HANDOVER_COLUMNS = `
  h.id::text as id, h.number, h.state, h.version, h.outgoing_id as "outgoingId", json_build_object('username', outgoing.username, 'name', outgoing.name) as outgoing,
  h.incoming_id as "incomingId", json_build_object('username', incoming.username, 'name', incoming.name) as incoming, h.because, h.absent_because as "absentBecause",
  drawer.username as "drawnUpBy", h.drawn_up_at as "drawnUpAt", h.keys, h.notes, h.count_id::text as "countId",
  case when c.id is not null then (
    select json_build_object('number', c.number, 'differences', count(*) filter (where ${DIFFERS}),
             'gainValue', coalesce(sum(l.variance_value) filter (where l.state = 'settled' and l.variance_value > 0), 0.00)::text,
             'lossValue', coalesce(-sum(l.variance_value) filter (where l.state = 'settled' and l.variance_value < 0), 0.00)::text,
             'adjustmentSlip', (select number from slip where warehouse_id = c.warehouse_id and id = c.adjustment_slip_id))
      from count_line l where l.warehouse_id = c.warehouse_id and l.count_id = c.id) end as count,
  c.content_hash as "countHash", h.snapshot_position::text as "snapshotPosition", h.snapshot_at as "snapshotAt",
  frozen.balances, frozen.cost, coalesce((select json_object_agg(kind, n) from (select kind, count(*) as n from handover_open o
     where o.warehouse_id = h.warehouse_id and o.handover_id = h.id group by kind order by kind) kinds), '{}') as open,
  submitter.username as "submittedBy", h.submitted_at as "submittedAt", h.content_hash as "contentHash",
  ${signaturesOf('h.warehouse_id', 'h.id')} as signatures,
  h.refusal, h.cut_off_position::text as "cutOffPosition", h.cut_off_at as "cutOffAt", h.cancelled_at as "cancelledAt", h.cancelled_because as "cancelledBecause"`

/** Handovers `h` with their people, their count and the sums of what they froze. */
export const HANDOVER_FROM = `
  handover h
  join person outgoing on outgoing.id = h.outgoing_id
  join person incoming on incoming.id = h.incoming_id
  join person drawer on drawer.id = h.drawn_up_by
  left join person submitter on submitter.id = h.submitted_by
  left join stock_count c on c.warehouse_id = h.warehouse_id and c.id = h.count_id
  cross join lateral (
    select count(*)::int as balances, coalesce(sum(b.cost), 0.00)::text as cost
      from handover_balance b where b.warehouse_id = h.warehouse_id and b.handover_id = h.id) frozen`

const HANDOVER = statement<Handover>(
  `select ${HANDOVER_COLUMNS} from ${HANDOVER_FROM} where h.warehouse_id = $1 and h.number = $2`
)
const LOCK = statement<never>(`select 1 from handover where warehouse_id = $1 and number = $2 for no key update`)

/** Alone in the warehouse: whoever writes there shares it (`require_acting_keeper`, migration 0027), and shares it already once something was written. */
export const LOCK_WAREHOUSE = statement<never>('select pg_advisory_xact_lock(7305027, $1)')

/** Whether somebody is one of the two keepers. */
export const isKeeperOf = (
  { outgoingId, incomingId }: Pick<Handover, 'outgoingId' | 'incomingId'>,
  personId: number
): boolean => personId === outgoingId || personId === incomingId

/** Whether the actor is one of the two keepers, in person: an API key sees what its duties and warehouses let it see. */
const isParty = (ctx: Context, handover: Handover): boolean =>
  !ctx.actor.isMachine && isKeeperOf(handover, ctx.actor.personId)

const warehouseOf = (number: string): string => number.replace(/-HOV-\d{6}-\d+$/, '')

/**
 * A handover of a warehouse the actor may see, or in which the actor is one of the two keepers.
 * @throws Refusal 404
 */
export async function loadHandover(
  ctx: Context,
  number: string
): Promise<{ handover: Handover; warehouse: Warehouse }> {
  const warehouse = await warehouseByCode(ctx, warehouseOf(number)).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('handover', number) : error
  })
  const [handover] = await run(ctx, HANDOVER, [warehouse.id, number])
  if (handover === undefined || !(maySee(ctx, warehouse) || isParty(ctx, handover))) throw notFound('handover', number)
  return { handover, warehouse }
}

/**
 * The same as it is now, locked until the commit: whoever writes on one handover queues.
 * @param mayWrite refuses who may not, before the version and the state are looked at: whoever may not draw it up, unless given
 * @throws Refusal 404, 412, and what `mayWrite` refuses
 */
export async function lockHandover(
  ctx: Context,
  number: string,
  {
    mayWrite = (place, kept) => requireDrawer(ctx, place, kept),
    ifMatch
  }: { mayWrite?: (warehouse: Warehouse, handover: Handover) => unknown; ifMatch?: string | undefined }
): Promise<{ handover: Handover; warehouse: Warehouse }> {
  const { warehouse } = await loadHandover(ctx, number)
  await run(ctx, LOCK, [warehouse.id, number])
  const { handover } = await loadHandover(ctx, number)
  mayWrite(warehouse, handover)
  requireMatch(ifMatch, handover.version)
  return { handover, warehouse }
}

/**
 * Who writes on a handover before it is signed: the outgoing keeper in person, or by a key that has the duty there, else the department head. Who is
 * said to be absent does not write on it: somebody who will not leave would cancel it each time.
 * @throws Refusal 403 `ReadOnlyKey`, `DutyRequired`, `KeeperAbsent`, 404
 */
export function requireDrawer(
  ctx: Context,
  warehouse: Warehouse,
  { number, outgoingId, absentBecause }: Pick<Handover, 'number' | 'outgoingId' | 'absentBecause'>
): void {
  if (ctx.actor.personId !== outgoingId) requireDuty(ctx, 'department-head', warehouse)
  else if (absentBecause !== null) {
    throw new Refusal(
      'KeeperAbsent',
      403,
      `${number} says that you are absent, so the department head writes on it; if you are there, the department head takes absentBecause back`
    )
  } else if (ctx.actor.isMachine) requireDuty(ctx, ['keeper', 'department-head'], warehouse)
}

/** @throws Refusal 409 `HandoverNotDraft` */
export function requireDraft({ number, state }: Pick<Handover, 'number' | 'state'>): void {
  if (state === 'draft') return
  const instead = {
    'awaiting-signatures': 'a signer may refuse it, which opens it again',
    completed: 'it took effect and is never changed; hand over anew',
    cancelled: 'draw up another one'
  }[state]
  throw new Refusal(
    'HandoverNotDraft',
    409,
    `handover ${number} is ${state}; this is possible while it is a draft: ${instead}`
  )
}

/** @throws Refusal 409 `HandoverNotOpen` */
export function requireOpenHandover({ number, state }: Pick<Handover, 'number' | 'state'>): void {
  if (state === 'draft' || state === 'awaiting-signatures') return
  throw new Refusal(
    'HandoverNotOpen',
    409,
    state === 'completed'
      ? `handover ${number} took effect and is never changed; hand over anew`
      : `handover ${number} is cancelled; draw up another one`
  )
}

/** Who signs it: nobody in the place of an outgoing keeper who is gone or ill. */
export const partiesOf = ({ absentBecause }: Pick<Handover, 'absentBecause'>): HandoverParty[] =>
  HANDOVER_PARTIES.filter((party) => party !== 'outgoing-keeper' || absentBecause === null)

/** Who has not signed yet. */
export const partiesAwaited = (handover: Pick<Handover, 'absentBecause' | 'signatures'>): HandoverParty[] =>
  partiesOf(handover).filter((party) => !handover.signatures.some((signature) => signature.duty === party))

/** A handover as it is shown. */
export const handoverView = (handover: Handover, warehouse: { code: string }): HandoverView => ({
  number: handover.number,
  warehouse: warehouse.code,
  state: handover.state,
  version: handover.version,
  outgoing: handover.outgoing,
  incoming: handover.incoming,
  because: handover.because,
  absentBecause: handover.absentBecause,
  drawnUpBy: handover.drawnUpBy,
  drawnUpAt: instant(handover.drawnUpAt),
  keys: handover.keys,
  notes: handover.notes,
  count: handover.count,
  snapshot: {
    position: handover.snapshotPosition,
    at: instant(handover.snapshotAt),
    balances: handover.balances,
    cost: handover.cost,
    open: handover.open
  },
  submittedBy: handover.submittedBy,
  submittedAt: instantOrNull(handover.submittedAt),
  contentHash: handover.contentHash,
  parties: partiesOf(handover),
  signatures: handover.signatures.map(({ duty, username, onBehalfOf, comment, contentHash, signedAt }) => ({
    party: duty,
    signedBy: username,
    onBehalfOf,
    comment,
    contentHash,
    signedAt: instant(signedAt)
  })),
  awaiting: handover.state === 'awaiting-signatures' ? partiesAwaited(handover) : [],
  refusal: handover.refusal === null ? null : { ...handover.refusal, at: instant(handover.refusal.at) },
  cutOff:
    handover.cutOffPosition === null || handover.cutOffAt === null
      ? null
      : { position: handover.cutOffPosition, at: instant(handover.cutOffAt) },
  cancelledAt: instantOrNull(handover.cancelledAt),
  cancelledBecause: handover.cancelledBecause
})

/** One handover as it is shown. */
export async function viewOfHandover(ctx: Context, number: string): Promise<HandoverView> {
  const { handover, warehouse } = await loadHandover(ctx, number)
  return handoverView(handover, warehouse)
}

// A hundred thousand balances are hashed where they lie: the lines are written as RFC 8785 does, members by name, and JSON strings as it writes them.
const HASH = statement<{ hash: string }>(`
select encode(sha256(convert_to($3::text || coalesce(string_agg(
         '{"blocked":"' || trim_scale(blocked)::text || '","condition":' || to_json(condition)::text || ',"cost":"' || cost::text || '","onHand":"' || trim_scale(on_hand)::text
           || '","ownership":' || to_json(ownership)::text || ',"part":' || to_json(part_number)::text || ',"reserved":"' || trim_scale(reserved)::text || '"}',
         ',' order by part_number collate "C", ownership collate "C", condition collate "C"), '') || $4::text, 'UTF8')), 'hex') as hash
  from handover_balance where warehouse_id = $1 and handover_id = $2`)

const OPEN = statement<{ content: object }>(`
select jsonb_build_object('kind', kind, 'reference', reference, 'details', details) as content
  from handover_open where warehouse_id = $1 and handover_id = $2 order by line_no`)

/**
 * SHA-256 of what signatures bind to (R-SIG-2), as RFC 8785 canonical JSON: who, why, every balance, every open paper, the keys, the count. Worked out
 * from the rows each time.
 */
export async function handoverHash(ctx: Context, handover: Handover, warehouse: Warehouse): Promise<string> {
  const open = await run(ctx, OPEN, [warehouse.id, handover.id])
  const { before, after } = aroundLines({
    number: handover.number,
    warehouse: warehouse.code,
    outgoing: handover.outgoing.username,
    incoming: handover.incoming.username,
    because: handover.because,
    absentBecause: handover.absentBecause,
    position: handover.snapshotPosition,
    keys: handover.keys,
    notes: handover.notes,
    count: handover.count === null ? null : { number: handover.count.number, contentHash: handover.countHash },
    open: open.map(({ content }) => content)
  })
  const [hashed] = await run(ctx, HASH, [warehouse.id, handover.id, before, after])
  if (hashed === undefined) throw new Error('an aggregate answers one row')
  return hashed.hash
}
