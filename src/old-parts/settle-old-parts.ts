// What follows when slips that old parts go by were posted: their history, what turned up after it had been compensated, and whether
// anything is left outstanding.
//
// - What came back is added up from posted slips each time (`old_part_position`); nothing here counts up or down. So it does not
//   matter in which order events come, or how often: a second run writes nothing.
// - Turned up is what came back beyond what was still owed, at most what was compensated: returned + come back of the new part +
//   compensated − issued. The newest write-offs are given back first; a return that is reversed is charged again.
// It holds the old parts in the order of their keys, then the deposits of their outlets.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { chargeDeposit } from '../deposits/charge-deposit.ts'
import { returnToDeposit } from '../deposits/return-to-deposit.ts'
import { noteOldPart } from './old-part.ts'
import type { DocumentKey } from './open-old-parts.ts'

const LOCK = statement<never>(`
select 1 from old_part o join unnest($1::int[], $2::bigint[]) as k (warehouse_id, id) on o.warehouse_id = k.warehouse_id and o.id = k.id
 order by o.warehouse_id, o.id for no key update of o`)

// A line of history per slip and old part, as of the posting; what is written already is not written again.
const NOTE = statement<never>(`
with asked as materialized (
  select o.* from old_part o join unnest($1::int[], $2::bigint[]) as k (warehouse_id, id) on o.warehouse_id = k.warehouse_id and o.id = k.id
), happened as (
  select o.warehouse_id, o.id, s.posted_at, s.posted_by, s.id as slip_id, 'old-part-returned' as event, s.number as slip,
         jsonb_build_object('quantity', trim_scale(sum(b.quantity))::text, 'grades', jsonb_agg(distinct b.grade), 'serials', jsonb_agg(b.serial order by b.line_no) filter (where b.serial is not null)) as said
    from asked o
    join old_part_return b on b.outlet_id = o.warehouse_id and b.old_part_id = o.id
    join slip s on s.warehouse_id = b.warehouse_id and s.id = b.slip_id and s.state = 'posted'
   group by o.warehouse_id, o.id, s.warehouse_id, s.id
  union all
  select o.warehouse_id, o.id, r.posted_at, r.posted_by, r.id, 'old-part-return-reversed', r.number,
         jsonb_build_object('quantity', trim_scale(sum(b.quantity))::text, 'of', s.number)
    from asked o
    join old_part_return b on b.outlet_id = o.warehouse_id and b.old_part_id = o.id
    join slip s on s.warehouse_id = b.warehouse_id and s.id = b.slip_id
    join slip r on r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted'
   group by o.warehouse_id, o.id, r.warehouse_id, r.id, s.warehouse_id, s.id
  union all
  select o.warehouse_id, o.id, r.posted_at, r.posted_by, r.id, 'old-part-not-due', r.number,
         jsonb_build_object('quantity', trim_scale(case when r.kind = 'reversal' then o.quantity else l.quantity end)::text)
    from asked o
    join slip r on r.warehouse_id = o.issued_by and r.source_slip_id = o.slip_id and r.kind in ('return', 'reversal') and r.state = 'posted'
    left join slip_line l on r.kind = 'return' and l.warehouse_id = r.warehouse_id and l.slip_id = r.id and l.source_line = o.line_no
   where r.kind = 'reversal' or l.quantity is not null
  union all
  select o.warehouse_id, o.id, u.posted_at, u.posted_by, u.id, 'old-part-due-again', u.number, jsonb_build_object('quantity', trim_scale(l.quantity)::text, 'of', r.number)
    from asked o
    join slip r on r.warehouse_id = o.issued_by and r.source_slip_id = o.slip_id and r.kind = 'return' and r.state = 'posted'
    join slip_line l on l.warehouse_id = r.warehouse_id and l.slip_id = r.id and l.source_line = o.line_no
    join slip u on u.warehouse_id = r.warehouse_id and u.source_slip_id = r.id and u.kind = 'reversal' and u.state = 'posted'
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select h.warehouse_id, h.id, h.posted_at, h.posted_by, h.event, jsonb_strip_nulls(jsonb_build_object('slip', h.slip, 'number', o.number, 'part', part.number) || h.said)
  from happened h
  join asked o on o.warehouse_id = h.warehouse_id and o.id = h.id
  join part on part.id = o.part_id
 where not exists (select 1 from document_event e where e.warehouse_id = h.warehouse_id and e.document_id = h.id and e.event = h.event and e.details ->> 'slip' = h.slip)
 order by h.warehouse_id, h.id, h.posted_at, h.slip_id`)

interface Changed {
  warehouseId: number
  oldPartId: string
  number: string
  writeOff: number
  chargedTo: 'deposit' | 'claim'
  /** With sign: turned up, or gone again. */
  quantity: string
  /** Without sign. */
  amount: string
  isGivenBack: boolean
  changes: number
}

// What turned up is spread over the write-offs, the newest first.
const TURNED_UP = statement<Changed>(`
with position as materialized (
  select p.* from old_part_position p join unnest($1::int[], $2::bigint[]) as k (warehouse_id, id) on p.warehouse_id = k.warehouse_id and p.id = k.id
   where p.compensated > 0
), spread as (
  select w.warehouse_id, w.old_part_id, w.write_off_no, p.number, p.unit_value, w.turned_up as before,
         greatest(0, least(w.quantity, least(p.compensated, greatest(0, p.returned + p.came_back + p.compensated - p.quantity))
           - (sum(w.quantity) over (partition by w.warehouse_id, w.old_part_id order by w.write_off_no desc) - w.quantity))) as now
    from position p join old_part_write_off w on w.warehouse_id = p.warehouse_id and w.old_part_id = p.id and w.state = 'approved'
), changed as (
  update old_part_write_off w set turned_up = s.now, changes = w.changes + 1
    from spread s
   where w.warehouse_id = s.warehouse_id and w.old_part_id = s.old_part_id and w.write_off_no = s.write_off_no and s.now <> s.before
  returning w.warehouse_id, w.old_part_id, w.write_off_no, w.charged_to, w.changes, s.number, s.unit_value, s.before, s.now
)
select warehouse_id as "warehouseId", old_part_id::text as "oldPartId", number, write_off_no as "writeOff", charged_to as "chargedTo", trim_scale(now - before)::text as quantity,
       abs(round(unit_value * now, 2) - round(unit_value * before, 2))::text as amount, now > before as "isGivenBack", changes
  from changed order by warehouse_id, old_part_id, write_off_no`)

const SETTLE = statement<never>(`
update old_part o set settled_at = case when p.outstanding = 0 then $3::timestamptz end
  from unnest($1::int[], $2::bigint[]) as k (warehouse_id, id)
  join old_part_position p on p.warehouse_id = k.warehouse_id and p.id = k.id
 where o.warehouse_id = p.warehouse_id and o.id = p.id and (o.settled_at is null) <> (p.outstanding > 0)`)

/** Brings old parts up to the slips that were posted, inside a transaction. */
export async function settleOldParts(ctx: Context, oldParts: readonly DocumentKey[]): Promise<void> {
  if (oldParts.length === 0) return
  const keys = [oldParts.map(({ warehouseId }) => warehouseId), oldParts.map(({ id }) => id)]
  await run(ctx, LOCK, keys)
  await run(ctx, NOTE, keys)
  for (const changed of await run(ctx, TURNED_UP, keys)) await compensateAnew(ctx, changed)
  await run(ctx, SETTLE, [...keys, ctx.clock.now().toString()])
}

async function compensateAnew(
  ctx: Context,
  { warehouseId: outletId, oldPartId: id, number, writeOff, chargedTo, quantity, amount, isGivenBack, changes }: Changed
): Promise<void> {
  const because = isGivenBack
    ? `write-off ${writeOff}: ${quantity} came back after all (${changes})`
    : `write-off ${writeOff}: the return of ${quantity.replace('-', '')} was reversed (${changes})`
  if (chargedTo === 'deposit')
    await (isGivenBack ? returnToDeposit : chargeDeposit)(ctx, { outletId, reference: number, amount, because })
  await noteOldPart(ctx, { outletId, id }, isGivenBack ? 'compensation-returned' : 'compensation-charged-again', {
    number,
    writeOff,
    quantity: quantity.replace('-', ''),
    amount,
    chargedTo
  })
}
