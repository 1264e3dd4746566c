// What an issue makes due back (R-REQ-6).
//
// - An old part is due for a line if and only if its slip is a posted issue or sale, an emergency release too, and its part was an exchange
//   part when the slip was posted. What becomes of the goods afterwards changes what is outstanding, not that it was opened.
// - The outlet that an issue went to owes it, where the slip names one (by its code, or by a request of it); else who issued it.
// - The centre is who issued it to another one; what a warehouse issued itself is taken in by its own centre.
// - A new part makes one old part due, not one at every hand it goes through: what was issued to an outlet is owed by it from then on, so
//   its own issues and sales of that part open only what they come to beyond what was issued to it, less what of either came back. By
//   quantity, not by lot: goods that were issued left the ledger, and what an outlet books in again has no thread to them. Within a run the
//   newest lines open.
// A second run opens nothing: a line has one old part, by a unique key, and whoever opens waits for others who do.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { documentNumber } from '../signing/document-number.ts'

/** A document by its key. */
export interface DocumentKey {
  warehouseId: number
  id: string
}

const LOCK = statement<never>(`select pg_advisory_xact_lock(7305021)`)

// $1, $2 the slips, $3 the month of today, $4 now, $5 who.
const OPEN = statement<DocumentKey>(`
with due as materialized (
  select coalesce(outlet.id, s.warehouse_id) as warehouse_id, coalesce(outlet.kind, issuer.kind) as kind, l.warehouse_id as issued_by, l.slip_id, l.line_no, l.part_id,
         part.number as part, -l.quantity as quantity, coalesce(part.old_part_value, part.list_price, round(part.standard_cost, 2), 0) as unit_value,
         part.serialised, s.number as slip, s.reference, s.occurred_on + part.exchange_due_days as due_on, part.exchange_since,
         outlet.id is null and s.purpose is distinct from 'outlet' as is_own_use
    from unnest($1::int[], $2::bigint[]) as posted (warehouse_id, id)
    join slip s on s.warehouse_id = posted.warehouse_id and s.id = posted.id
    join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id
    join part on part.id = l.part_id
    join warehouse issuer on issuer.id = s.warehouse_id
    left join lateral (
      select w.id, w.kind from warehouse w
       where s.purpose = 'outlet' and w.code in (s.counterparty, substring(s.reference from '^(.+)-REQ-[0-9]{6}-[0-9]+$'))
       order by w.code = s.counterparty desc nulls last limit 1) outlet on true
   where s.kind in ('issue', 'sale') and s.state = 'posted' and l.quantity < 0 and part.exchange_since <= s.posted_at
     and not exists (select 1 from old_part o where o.issued_by = l.warehouse_id and o.slip_id = l.slip_id and o.line_no = l.line_no)
), own_use as materialized (
  select d.warehouse_id, d.part_id, greatest(0, used.quantity - owed.given) - owed.own as beyond
    from (select distinct warehouse_id, part_id, exchange_since from due where is_own_use) d
   cross join lateral (select coalesce(sum(p.quantity - p.came_back) filter (where p.issued_by <> p.warehouse_id), 0) as given,
                              coalesce(sum(p.quantity - p.came_back) filter (where p.issued_by = p.warehouse_id), 0) as own
                         from old_part_position p where p.warehouse_id = d.warehouse_id and p.part_id = d.part_id) owed
   -- What comes back stands at the issue it comes from.
   cross join lateral (select coalesce(-sum(m.quantity), 0) as quantity
                         from movement m
                         join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
                         left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
                         left join slip origin on origin.warehouse_id = source.warehouse_id and origin.id = source.source_slip_id
                        where m.warehouse_id = d.warehouse_id and m.part_id = d.part_id and coalesce(origin.kind, source.kind, s.kind) in ('issue', 'sale')
                          and coalesce(origin.purpose, source.purpose, s.purpose) is distinct from 'outlet'
                          and coalesce(origin.posted_at, source.posted_at, s.posted_at) >= d.exchange_since) used
   where owed.given > 0
), shared as (
  select d.warehouse_id, d.kind, d.issued_by, d.slip_id, d.line_no, d.part_id, d.part, d.unit_value, d.serialised, d.slip, d.reference, d.due_on,
         case when d.is_own_use and u.beyond is not null
              then least(d.quantity, u.beyond - coalesce(sum(d.quantity) over (partition by d.warehouse_id, d.part_id, d.is_own_use order by d.slip_id desc, d.line_no desc
                                                                                rows between unbounded preceding and 1 preceding), 0))
              else d.quantity end as quantity
    from due d left join own_use u on u.warehouse_id = d.warehouse_id and u.part_id = d.part_id
), owing as materialized (
  select * from shared where quantity > 0
), numbered as (
  insert into document_number (warehouse_id, series, period, last)
  select warehouse_id, 'OLP', $3::date, count(*)::int from owing group by warehouse_id order by warehouse_id
  on conflict (warehouse_id, series, period) do update set last = document_number.last + excluded.last
  returning warehouse_id, last
), placed as (
  select owing.*, numbered.last + 1 - row_number() over (partition by owing.warehouse_id order by issued_by desc, slip_id desc, line_no desc) as place
    from owing join numbered using (warehouse_id)
), opened as (
  insert into old_part (warehouse_id, number, centre_id, part_id, quantity, unit_value, serialised, issued_by, slip_id, line_no, reference, opened_at, due_on)
  select p.warehouse_id, ${documentNumber('w.code', "'OLP'", '$3', 'p.place')},
         case when p.warehouse_id <> p.issued_by then p.issued_by
              when p.kind in ('regional-centre', 'head-office') then p.warehouse_id
              else coalesce(centre_of(p.warehouse_id), p.warehouse_id) end,
         p.part_id, p.quantity, p.unit_value, p.serialised, p.issued_by, p.slip_id, p.line_no, p.reference, $4, p.due_on
    from placed p join warehouse w on w.id = p.warehouse_id
   order by p.warehouse_id, p.place
  returning warehouse_id, id, number, quantity, due_on, unit_value, issued_by, slip_id, line_no
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select o.warehouse_id, o.id, $4, $5, 'old-part-opened',
         jsonb_strip_nulls(jsonb_build_object('number', o.number, 'part', p.part, 'quantity', trim_scale(o.quantity)::text, 'dueOn', o.due_on,
                                              'slip', p.slip, 'line', o.line_no, 'reference', p.reference))
    from opened o join placed p on p.issued_by = o.issued_by and p.slip_id = o.slip_id and p.line_no = o.line_no
   order by o.warehouse_id, o.id
)
select warehouse_id as "warehouseId", id::text as id from opened order by warehouse_id, id`)

const OWES = statement<{ owes: boolean }>(`
select exists (
  select 1 from unnest($1::int[], $2::bigint[]) as posted (warehouse_id, id)
    join slip_line l on l.warehouse_id = posted.warehouse_id and l.slip_id = posted.id
    join part on part.id = l.part_id and part.exchange_due_days is not null) as owes`)

/** Opens what the lines of posted slips make due back, inside a transaction; answers what was opened. */
export async function openOldParts(ctx: Context, slips: readonly DocumentKey[]): Promise<DocumentKey[]> {
  const keys = [slips.map(({ warehouseId }) => warehouseId), slips.map(({ id }) => id)]
  const [{ owes } = { owes: false }] = slips.length === 0 ? [] : await run(ctx, OWES, keys)
  if (!owes) return []
  await run(ctx, LOCK, [])
  const month = `${ctx.clock.today().slice(0, 7)}-01`
  return run(ctx, OPEN, [...keys, month, ctx.clock.now().toString(), ctx.actor.personId])
}
