import { grantCovers, type Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { defineConsumer, type OutboxEvent } from '../platform/outbox.ts'
import { isAlertKind, type AlertKind } from './alert-kinds.ts'
import { lockAlerts, reconcile } from './reconcile.ts'

/** Goods moved: parts may have crossed their reorder points, lots may be empty or new. */
const MOVES = ['document.posted', 'document.released-in-emergency']
/** A late signature may be settled. */
const SETTLES = ['document.signed-late', 'document.reversed']
/** A count, or the report of it, is further or further back. */
const COUNTS = ['opened', 'submitted', 'refused', 'approved', 'reported', 'cancelled'].map(
  (event) => `document.${event}`
)

/** A request or backorder is further: its clocks, what is kept for it, and whether it is answered. */
const REQUESTS = [
  'requested',
  'backordered',
  'allocated',
  'ready',
  'displaced',
  'allocation-lost',
  'issue-slip-written',
  'issued',
  'issue-reversed',
  'confirmed',
  'declined',
  'registered',
  'requeued',
  'reduced',
  'arrived',
  'answered',
  'promised',
  'fulfilled',
  'cancelled',
  'expired',
  'done',
  'reopened',
  'ended-without-goods'
].map((event) => `document.${event}`)
/** Goods are in transit, or no longer. */
const TRANSFERS = [
  'dispatched',
  'dispatch-reversed',
  'received',
  'receipt-reversed',
  'called-back',
  'call-back-reversed',
  'claim-settled',
  'claim-withdrawn',
  'finished'
].map((event) => `document.${event}`)
/** An old part is due back, came back or was written off. */
const OLD_PARTS = [
  'old-part-opened',
  'old-part-not-due',
  'old-part-due-again',
  'old-part-returned',
  'old-part-return-reversed',
  'write-off-approved',
  'compensation-returned',
  'compensation-charged-again'
].map((event) => `document.${event}`)
/** A loan is out, is back, is due another day, or its customer was told or answered. */
const LOANS = [
  'lent',
  'lent-reversed',
  'returned',
  'returned-reversed',
  'extended',
  'notice-escalated',
  'notice-answered'
].map((event) => `document.${event}`)
/** A handover is further, or was called off. */
const HANDOVERS = ['drawn-up', 'amended', 'submitted', 'refreshed', 'refused', 'handed-over', 'cancelled'].map(
  (event) => `document.${event}`
)
/** Somebody signed, mostly something of no concern here. */
const SIGNED = ['document.signed']
/** A tool changed hands or was calibrated, a loss is further, or a custody round is. */
const TOOLS = [
  'tools-issued',
  'tools-returned',
  'tools-handed-over',
  'tools-transferred',
  'tool-calibrated',
  'tool-calibration-corrected',
  'tool-changed',
  'loss-reported',
  'loss-assessed',
  'loss-withdrawn',
  'approved',
  'refused',
  'tool-taken-in',
  'tool-repaired',
  'tool-found',
  'custody-round-opened',
  'custody-confirmed',
  'custody-round-closed'
].map((event) => `document.${event}`)
/** Somebody was given a duty or lost one, or can act no more, or again. */
const DUTIES = ['duty.assigned', 'duty.ended']
const PEOPLE = ['person.activated', 'person.deactivated', 'person.locked', 'person.unlocked']
/** Somebody stands in for a person, or no longer: what that person's duties are for. */
const DELEGATIONS = ['delegation.set', 'delegation.ended']
/** A warehouse lies in another region, and those who hold duties for that one hold them there. */
const PLACES = ['warehouse.region-changed']
const RECALLS = ['recall.started', 'recall.lifted', 'recall.closed']

/** Something is on order or no longer, or a level was set: the parts of a warehouse. */
const POSITIONS = ['reorder-position.changed']

const PARTS_MOVED = statement<{ warehouseId: number; id: string }>(`
select distinct l.warehouse_id as "warehouseId", l.part_id::text as id
  from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
  join slip_line l on l.warehouse_id = d.warehouse_id and l.slip_id = d.id`)
// By the day of the slip, so that only the movements of its month are looked through.
const LOTS_MOVED = statement<{ warehouseId: number; id: string }>(`
select distinct m.warehouse_id as "warehouseId", m.lot_id::text as id
  from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
  join slip s on s.warehouse_id = d.warehouse_id and s.id = d.id
  join movement m on m.warehouse_id = s.warehouse_id and m.slip_id = s.id and m.occurred_on = s.occurred_on`)
const COUNTED = statement<{ warehouseId: number }>(`
select distinct c.warehouse_id as "warehouseId"
  from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
  join stock_count c on c.warehouse_id = d.warehouse_id and c.id = d.id`)

const RECALLED = statement<{ warehouseId: number; id: string }>(`
select distinct b.warehouse_id as "warehouseId", b.recall_id::text as id
  from unnest($1::int[], $2::bigint[]) as moved (warehouse_id, lot_id)
  join lot_block b on b.warehouse_id = moved.warehouse_id and b.lot_id = moved.lot_id`)
const DEPOSITS = statement<{ warehouseId: number; id: string }>(`
select ends.id as "warehouseId", outlet.id::text as id
  from unnest($1::int[]) as outlet (id)
 cross join lateral (values (outlet.id), (centre_of(outlet.id))) as ends (id)
 where ends.id is not null`)

// Units, requests and old parts have events of the same names; they are no loans and drop out here.
const LENT = statement<{ warehouseId: number; id: string }>(`
select l.warehouse_id as "warehouseId", l.id::text as id
  from (select distinct warehouse_id, id from unnest($1::int[], $2::bigint[]) as e (warehouse_id, id)) d
  join loan l on l.warehouse_id = d.warehouse_id and l.id = d.id`)

// Slips and others have events of the same names; they are no handovers and drop out here.
const HANDED = statement<{ warehouseId: number; id: string }>(`
select h.warehouse_id as "warehouseId", h.id::text as id
  from (select distinct warehouse_id, id from unnest($1::int[], $2::bigint[]) as e (warehouse_id, id)) d
  join handover h on h.warehouse_id = d.warehouse_id and h.id = d.id`)

// Where the grants are for, by what each rule goes. Of duties that keep nothing depends only who is told of goods that nobody keeps.
const HELD = statement<{ kind: AlertKind; warehouseId: number }>(`
select distinct kind.name as kind, w.id as "warehouseId"
  from duty_assignment g
  join warehouse w on ${grantCovers('g', 'w.id', 'w.region_id')}
 cross join (values ('keeper-missing'), ('tool-custody-orphaned')) as kind (name)
 where (g.id = any ($1::int[]) or (g.person_id = any ($2::int[]) and g.ended_at is null))
   and case kind.name
         when 'keeper-missing' then g.duty = 'keeper'
           or exists (select from alert a where a.warehouse_id = w.id and a.kind = 'keeper-missing' and a.resolved_at is null)
         else g.duty = 'technician' end`)

/** The kinds that go by who holds a duty where. */
const HELD_THERE: readonly AlertKind[] = ['keeper-missing', 'tool-custody-orphaned']

// The tools of documents, losses and events; what they leave in wrong hands, and who has confirmed, is asked of the warehouse.
const TOOLED = statement<{ kind: AlertKind; warehouseId: number; id: string | null }>(`
with document as (
  select distinct warehouse_id, id from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
), moved as (
  select d.warehouse_id, t.id, t.warehouse_id as owner_id
    from document d
    join tool_document_line l on l.warehouse_id = d.warehouse_id and l.document_id = d.id
    join tool t on t.id = l.tool_id
   union all
  select d.warehouse_id, t.id, t.warehouse_id from document d join tool_loss l on l.warehouse_id = d.warehouse_id and l.id = d.id join tool t on t.id = l.tool_id
   union all
  select d.warehouse_id, t.id, t.warehouse_id from document d join tool t on t.id = d.id
), place as (
  select warehouse_id as id from moved union select owner_id from moved
   union
  select r.warehouse_id from document d join custody_round r on r.warehouse_id = d.warehouse_id and r.id = d.id
)
select distinct 'tool-calibration-due' as kind, ends.id as "warehouseId", moved.id::text as id
  from moved cross join lateral (values (moved.warehouse_id), (moved.owner_id)) as ends (id)
union all
select 'tool-loss-open', l.warehouse_id, l.id::text from document d join tool_loss l on l.warehouse_id = d.warehouse_id and l.id = d.id
union all
select 'tool-custody-unconfirmed', r.warehouse_id, r.id::text
  from place join custody_round r on r.warehouse_id = place.id
 where r.state = 'open' or exists (select from document d where d.warehouse_id = r.warehouse_id and d.id = r.id)
union all
select 'tool-custody-orphaned', id, null from place`)

// By what each rule is asked: clocks and answers are the centre's, reservations and old parts the outlet's, a transfer is of both ends.
const NETWORK = statement<{ kind: AlertKind; warehouseId: number; id: string }>(`
with document as (
  select distinct warehouse_id, id from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id)
), requested as (
  select r.warehouse_id, r.id, r.centre_id from document d join request r on r.warehouse_id = d.warehouse_id and r.id = d.id
   union
  select r.warehouse_id, r.id, r.centre_id
    from document d
    join backorder b on b.warehouse_id = d.warehouse_id and b.id = d.id
    join request r on r.warehouse_id = b.warehouse_id and r.id = b.request_id
)
select unnest(array['request-clock-soon', 'request-clock']) as kind, centre_id as "warehouseId", id::text as id from requested
union all
select 'reservation-expiring', warehouse_id, id::text from requested
union all
select unnest(array['backorder-answer-soon', 'backorder-answer-due']), b.centre_id, b.id::text
  from requested r join backorder b on b.warehouse_id = r.warehouse_id and b.request_id = r.id
union all
select 'transfer-in-transit', ends.id, t.id::text
  from document d
  join transfer t on t.warehouse_id = d.warehouse_id and t.id = d.id
 cross join lateral (values (t.warehouse_id), (t.to_warehouse_id)) as ends (id)
union all
select 'old-part-outstanding', o.warehouse_id, o.id::text
  from document d join old_part o on o.warehouse_id = d.warehouse_id and o.id = d.id
union all
select 'recall', r.warehouse_id, r.id::text from document d join recall r on r.warehouse_id = d.warehouse_id and r.id = d.id`)

/**
 * Looks at what events are about as soon as they are committed: only at those parts, lots, slips and warehouses, all of a batch at once.
 * What time alone brings about, and what a lost message would miss, is found by the jobs.
 */
export const followEvents = defineConsumer({
  name: 'alerts.follow-events',
  events: [
    ...POSITIONS,
    ...MOVES,
    ...SETTLES,
    ...COUNTS,
    // Some of them are those of slips and counts, too.
    ...new Set(
      [...REQUESTS, ...TRANSFERS, ...OLD_PARTS, ...LOANS, ...HANDOVERS, ...TOOLS].filter(
        (event) => ![...MOVES, ...SETTLES, ...COUNTS].includes(event)
      )
    ),
    ...SIGNED,
    ...RECALLS,
    ...DUTIES,
    ...PEOPLE,
    ...DELEGATIONS,
    ...PLACES,
    'deposit.changed',
    'period.closed',
    'reorder-levels.computed',
    'ledger.verified',
    'alert-policy.set'
  ],
  handle: async (ctx: Context, events) => {
    const of = (names: readonly string[]) => events.filter(({ event }) => names.includes(event))
    // Which of them are handovers never changes: asked first, slips that are signed wait for nobody who writes alerts.
    const handedIn = documentsOf(of([...HANDOVERS, ...SIGNED]))
    const handed = handedIn.length === 0 ? [] : await run(ctx, HANDED, arraysOf(handedIn))
    if (handed.length === 0 && of(SIGNED).length === events.length) return
    await lockAlerts(ctx)

    const moved = documentsOf(of(MOVES))
    const parts = moved.length === 0 ? [] : await run(ctx, PARTS_MOVED, arraysOf(moved))
    await reconcileThese(ctx, ['reorder-point'], [...parts, ...positionsOf(of(POSITIONS))])
    const lots = moved.length === 0 ? [] : await run(ctx, LOTS_MOVED, arraysOf(moved))
    await reconcileThese(ctx, ['lot-aging-soon', 'lot-aged'], lots)
    await reconcileThese(ctx, ['late-signature'], documentsOf(of(SETTLES)))
    const documents = documentsOf(of(COUNTS))
    const counted = documents.length === 0 ? [] : await run(ctx, COUNTED, arraysOf(documents))
    await reconcileThese(ctx, ['count-due', 'count-report-due'], counted)

    const closed = of(['period.closed']).flatMap(({ warehouseId }) => (warehouseId === null ? [] : [{ warehouseId }]))
    await reconcileThese(ctx, ['count-due', 'count-report-due', 'statement-due'], closed)

    const recalled = lots.length === 0 ? [] : await run(ctx, RECALLED, arraysOf(lots))
    await reconcileThese(ctx, ['recall'], recalled)
    const outlets = of(['deposit.changed']).flatMap(({ warehouseId }) => warehouseId ?? [])
    await reconcileThese(ctx, ['deposit-low'], outlets.length === 0 ? [] : await run(ctx, DEPOSITS, [outlets]))

    const lent = documentsOf(of(LOANS))
    await reconcileThese(
      ctx,
      ['loaner-due-soon', 'loaner-overdue', 'loaner-notice-unanswered'],
      lent.length === 0 ? [] : await run(ctx, LENT, arraysOf(lent))
    )

    await reconcileThese(ctx, ['handover-open', 'handover-signer'], handed)
    await reconcileThese(
      ctx,
      ['keeper-missing'],
      handed.map(({ warehouseId }) => ({ warehouseId }))
    )

    const grants = of(DUTIES).map(({ payload }) => payload['dutyId'])
    const people = of([...PEOPLE, ...DELEGATIONS]).map(({ payload }) => payload['personId'])
    const placed = of(PLACES).flatMap(({ warehouseId }) => warehouseId ?? [])
    const held = [
      ...(grants.length + people.length === 0 ? [] : await run(ctx, HELD, [grants, people])),
      ...placed.flatMap((warehouseId) => HELD_THERE.map((kind) => ({ kind, warehouseId })))
    ]
    for (const [kind, named] of Map.groupBy(held, (one) => one.kind))
      await reconcileThese(
        ctx,
        [kind],
        named.map(({ warehouseId }) => ({ warehouseId }))
      )

    const ofTools = documentsOf(of(TOOLS))
    const tooled = ofTools.length === 0 ? [] : await run(ctx, TOOLED, arraysOf(ofTools))
    for (const [kind, named] of Map.groupBy(tooled, (one) => one.kind))
      await reconcileThese(
        ctx,
        [kind],
        named.map(({ warehouseId, id }) => ({ warehouseId, ...(id !== null && { id }) }))
      )

    const whole = new Set<AlertKind>()
    const inNetwork = documentsOf(of([...REQUESTS, ...TRANSFERS, ...OLD_PARTS]))
    const network = inNetwork.length === 0 ? [] : await run(ctx, NETWORK, arraysOf(inNetwork))
    for (const [kind, named] of Map.groupBy(network, (one) => one.kind)) {
      // An answer changes where a recall stands in one warehouse, its beginning and end in all of them; there are few.
      if (kind === 'recall') whole.add(kind)
      else await reconcileThese(ctx, [kind], named)
    }
    if (of(RECALLS).length > 0) whole.add('recall')
    if (of(['reorder-levels.computed']).length > 0) whole.add('reorder-point')
    if (of(['ledger.verified']).length > 0) whole.add('ledger-fault')
    for (const { payload } of of(['alert-policy.set'])) if (isAlertKind(payload['kind'])) whole.add(payload['kind'])
    for (const kind of whole) await reconcile(ctx, kind)
  }
})

interface Named {
  warehouseId: number
  id?: string
}

const documentsOf = (events: readonly OutboxEvent[]): { warehouseId: number; id: string }[] =>
  events.flatMap(({ warehouseId, payload }) =>
    warehouseId === null ? [] : [{ warehouseId, id: String(payload['document']) }]
  )

const positionsOf = (events: readonly OutboxEvent[]): { warehouseId: number; id: string }[] =>
  events.flatMap(({ warehouseId, payload }) =>
    warehouseId === null ? [] : (payload['parts'] as number[]).map((part) => ({ warehouseId, id: String(part) }))
  )

const arraysOf = (named: readonly { warehouseId: number; id: string }[]) => [
  named.map(({ warehouseId }) => warehouseId),
  named.map(({ id }) => id)
]

async function reconcileThese(ctx: Context, kinds: readonly AlertKind[], named: readonly Named[]): Promise<void> {
  if (named.length === 0) return
  const ids = named.flatMap(({ id }) => id ?? [])
  const asked = { warehouseIds: named.map(({ warehouseId }) => warehouseId), ...(ids.length > 0 && { ids }) }
  for (const kind of kinds) await reconcile(ctx, kind, asked)
}
