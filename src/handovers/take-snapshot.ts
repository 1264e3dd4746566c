import type { Context } from '../identity/actor.ts'
import { POSITION } from '../counts/open-count.ts'
import { run, statement } from '../platform/database.ts'
import { LOCK_WAREHOUSE } from './handover.ts'

const FORGET = statement<never>('delete from handover_open where warehouse_id = $1 and handover_id = $2')

const HELD = `
select b.warehouse_id, b.part_id, b.ownership, b.condition, b.part_number, b.on_hand, b.reserved, b.blocked, coalesce(value.cost, 0)::numeric(18,2) as cost
  from balance b
  left join (select part_id, ownership, condition, sum(lot_cost(unit_cost, on_hand, cost_residue)) as cost
               from lot where warehouse_id = $1 and not exhausted group by 1, 2, 3) value
    on (value.part_id, value.ownership, value.condition) = (b.part_id, b.ownership, b.condition)
 where b.warehouse_id = $1 and b.on_hand > 0`

// Of a hundred thousand balances a few moved since they were frozen last; only those are written.
const FREEZE = statement<never>(`
insert into handover_balance (warehouse_id, handover_id, part_id, ownership, condition, part_number, on_hand, reserved, blocked, cost)
select warehouse_id, $2, part_id, ownership, condition, part_number, on_hand, reserved, blocked, cost
  from (${HELD}) held
except
select warehouse_id, handover_id, part_id, ownership, condition, part_number, on_hand, reserved, blocked, cost
  from handover_balance where warehouse_id = $1 and handover_id = $2
on conflict on constraint handover_balance_pkey do update
   set on_hand = excluded.on_hand, reserved = excluded.reserved, blocked = excluded.blocked, cost = excluded.cost`)

const DROP_GONE = statement<never>(`
delete from handover_balance f
 where f.warehouse_id = $1 and f.handover_id = $2
   and not exists (select 1 from balance b where b.warehouse_id = f.warehouse_id and b.part_id = f.part_id
                      and b.ownership = f.ownership and b.condition = f.condition and b.on_hand > 0)`)

// The papers of other rooms as they stand, and nothing of customers.
const LIST_OPEN = statement<never>(`
insert into handover_open (warehouse_id, handover_id, line_no, kind, reference, details)
select $1, $2, row_number() over (order by place, reference), kind, reference, jsonb_strip_nulls(details)
  from (
    select 1 as place, 'slip' as kind, s.number as reference,
           jsonb_build_object('kind', s.kind, 'state', s.state, 'day', s.occurred_on, 'reference', s.reference, 'counterparty', s.counterparty,
                              'preparedBy', (select username from person where id = s.preparers[cardinality(s.preparers)])) as details
      from slip s where s.warehouse_id = $1 and s.state in ('draft', 'awaiting-signatures', 'approved', 'refused')
     union all
    select 2, 'late-signature', s.number, jsonb_build_object('kind', s.kind, 'duty', s.late_duty, 'dueAt', s.late_due_at)
      from slip s where s.warehouse_id = $1 and s.late_duty is not null and s.late_settled_at is null
     union all
    select 3, 'count', c.number, jsonb_build_object('kind', c.kind, 'state', c.state, 'period', to_char(c.period, 'YYYY-MM'))
      from stock_count c where c.warehouse_id = $1 and c.state in ('counting', 'awaiting-signatures')
     union all
    select 4, 'transfer', t.number, jsonb_build_object('state', t.state, 'from', giver.code, 'to', receiver.code)
      from transfer t join warehouse giver on giver.id = t.warehouse_id join warehouse receiver on receiver.id = t.to_warehouse_id
     where (t.warehouse_id = $1 or t.to_warehouse_id = $1) and t.state in ('ordered', 'awaiting-dispatch', 'in-transit')
     union all
    select 5, 'request', r.number, jsonb_build_object('outlet', outlet.code, 'centre', centre.code, 'urgency', r.urgency, 'needBy', r.need_by)
      from request r join warehouse outlet on outlet.id = r.warehouse_id join warehouse centre on centre.id = r.centre_id
     where (r.centre_id = $1 or r.warehouse_id = $1) and r.state = 'open'
     union all
    select 6, 'loan', l.number, jsonb_build_object('serial', u.serial, 'model', part.number, 'state', l.state, 'repairOrder', l.repair_order, 'dueOn', l.due_on)
      from loan l join loaner_unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id join part on part.id = u.part_id
     where l.warehouse_id = $1 and l.state in ('awaiting-release', 'out')
     union all
    select 7, 'loaner-reserved', u.serial, jsonb_build_object('model', part.number, 'repairOrder', r.repair_order, 'until', r.until_on)
      from loaner_reservation r join loaner_unit u on u.warehouse_id = r.unit_warehouse_id and u.id = r.unit_id join part on part.id = u.part_id
     where r.warehouse_id = $1 and r.ended_at is null and r.until_on >= $3::date
     union all
    select 8, 'tool', t.serial, jsonb_build_object('name', t.name, 'nameZh', t.name_zh, 'model', t.model, 'place', t.state, 'holder', holder.username, 'value', t.value::text)
      from tool t left join person holder on holder.id = t.holder_id
     where t.warehouse_id = $1 and t.state in ('shelf', 'custody')
     union all
    select 9, 'tool-document', d.number, jsonb_build_object('kind', d.kind, 'state', d.state)
      from tool_document d where d.warehouse_id = $1 and d.state = 'awaiting-signatures'
  ) papers`)

const NOTE = statement<never>(`
update handover set snapshot_position = ${POSITION}, snapshot_at = $3 where warehouse_id = $1 and id = $2`)

/**
 * Freezes what the ledger holds at one position, and what is open, in place of what was frozen before. Whoever writes in the warehouse is waited for
 * and waits meanwhile, so that the position is exact also of goods that come in for the first time; what moves later has a later position. Nothing
 * was written before it in this transaction.
 */
export async function takeSnapshot(ctx: Context, warehouse: { id: number }, handover: { id: string }): Promise<void> {
  await run(ctx, LOCK_WAREHOUSE, [warehouse.id])
  await run(ctx, FREEZE, [warehouse.id, handover.id])
  await run(ctx, DROP_GONE, [warehouse.id, handover.id])
  await run(ctx, FORGET, [warehouse.id, handover.id])
  await run(ctx, LIST_OPEN, [warehouse.id, handover.id, ctx.clock.today()])
  await run(ctx, NOTE, [warehouse.id, handover.id, ctx.clock.now().toString()])
}
