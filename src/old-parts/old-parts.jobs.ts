import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { defineConsumer } from '../platform/outbox.ts'
import { defineJob } from '../platform/queue.ts'
import { openOldParts, type DocumentKey } from './open-old-parts.ts'
import { settleOldParts } from './settle-old-parts.ts'

// The old parts that a slip is about: those it returns or, reversing one that did, takes back; and those whose new part it returns, or whose issue or return it reverses.
const TOUCHED = statement<DocumentKey>(`
with posted as (
  select s.warehouse_id, s.id, s.kind, s.source_slip_id, source.kind as source_kind, source.source_slip_id as origin_slip_id
    from unnest($1::int[], $2::bigint[]) as given (warehouse_id, id)
    join slip s on s.warehouse_id = given.warehouse_id and s.id = given.id
    left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
)
select distinct touched.warehouse_id as "warehouseId", touched.id::text as id
  from posted p
 cross join lateral (
   select b.outlet_id as warehouse_id, b.old_part_id as id from old_part_return b
    where b.warehouse_id = p.warehouse_id and b.slip_id = case when p.kind = 'reversal' then p.source_slip_id else p.id end
   union all
   select o.warehouse_id, o.id from old_part o
    where p.kind in ('return', 'reversal') and o.issued_by = p.warehouse_id and o.slip_id = p.source_slip_id
   union all
   select o.warehouse_id, o.id from old_part o
    where p.kind = 'reversal' and p.source_kind = 'return' and o.issued_by = p.warehouse_id and o.slip_id = p.origin_slip_id) touched
 order by 1, 2`)

// A posted slip opens what it makes due back and settles what it brings back, within seconds. The transaction is the relay's, so that what
// follows and the event that led to it go together; a second run finds it done.
export const followOldParts = defineConsumer({
  name: 'old-parts.follow-postings',
  events: ['document.posted', 'document.released-in-emergency'],
  handle: async (ctx: Context, events) => {
    const slips = events.flatMap(({ warehouseId, payload }) =>
      warehouseId === null ? [] : [{ warehouseId, id: String(payload['document']) }]
    )
    const opened = await openOldParts(ctx, slips)
    const touched = await run(ctx, TOUCHED, [slips.map(({ warehouseId }) => warehouseId), slips.map(({ id }) => id)])
    await settleOldParts(ctx, [...opened, ...touched])
  }
})

/** How far back the sweep looks for issues that opened nothing. */
const SWEPT_DAYS = 92

const UNOPENED = statement<DocumentKey>(`
select distinct s.warehouse_id as "warehouseId", s.id::text as id
  from slip s
  join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id and l.quantity < 0
  join part on part.id = l.part_id and part.exchange_since <= s.posted_at
 where s.kind in ('issue', 'sale') and s.state = 'posted' and s.occurred_on >= $1::date
   and not exists (select 1 from old_part o where o.issued_by = l.warehouse_id and o.slip_id = l.slip_id and o.line_no = l.line_no)
 order by 1, 2`)

// What is unsettled, and what is settled and should not be: its return was reversed, or more came back than was owed.
const UNSETTLED = statement<DocumentKey>(`
select o.warehouse_id as "warehouseId", o.id::text as id
  from old_part o
  left join lateral (select p.outstanding, p.returned + p.came_back + p.compensated - p.quantity as over, p.compensated, p.compensated - p.written_off as turned_up
                       from old_part_position p where p.warehouse_id = o.warehouse_id and p.id = o.id and o.settled_at is not null) p on true
 where (o.settled_at is null or p.outstanding > 0 or p.turned_up <> least(p.compensated, greatest(0, p.over)))
   and (o.warehouse_id, o.id) > ($1::int, $2::bigint)
 order by o.warehouse_id, o.id
 limit $3`)

const PORTION = 500

/** Finds what a lost event missed; answers how many old parts were opened and looked at. */
export async function sweepOldParts(ctx: Context): Promise<{ opened: number; checked: number }> {
  const since = Temporal.PlainDate.from(ctx.clock.today()).subtract({ days: SWEPT_DAYS }).toString()
  const missed = await run(ctx, UNOPENED, [since])
  let opened = 0
  for (let from = 0; from < missed.length; from += PORTION) {
    const portion = missed.slice(from, from + PORTION)
    opened += await inTransaction(ctx, async (inner) => (await openOldParts(inner, portion)).length)
  }
  let checked = 0
  for (let last: DocumentKey = { warehouseId: 0, id: '0' }; ;) {
    const portion = await run(ctx, UNSETTLED, [last.warehouseId, last.id, PORTION])
    await inTransaction(ctx, (inner) => settleOldParts(inner, portion))
    checked += portion.length
    const end = portion.at(-1)
    if (end === undefined || portion.length < PORTION) return { opened, checked }
    last = end
  }
}

// An issue of the last three months has opened its old parts, and what is settled is settled; each old part in the state that the posted
// slips say. A second run changes nothing: what is there is not opened again, and everything else is added up anew.
export const sweepOldPartsNightly = defineJob({
  name: 'old-parts.sweep',
  schedule: { pattern: '20 3 * * *' },
  lane: 'long',
  run: (ctx: Context) => sweepOldParts(ctx)
})
