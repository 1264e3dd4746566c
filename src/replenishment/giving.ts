// What a warehouse can give away, as SQL. Said once, because what is proposed, what is accepted and what is withdrawn go by the same.
import { agedLots } from '../ledger/aged-lots.ts'

/**
 * What is promised of a transfer proposal `p`: all of an open one; of an accepted one what has neither left nor arrived yet. It has
 * left by a posted transfer-out that names the proposal as its reference and was not reversed.
 */
export const PROMISE = `
  case when p.state = 'open' then p.quantity else coalesce((
    select greatest(0, e.quantity - greatest(
             coalesce((select sum(l.quantity) from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state = 'posted'
                        where l.warehouse_id = e.warehouse_id and l.expected_receipt_id = e.id), 0),
             coalesce((select -sum(l.quantity) from slip s join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id and l.part_id = p.part_id
                        where s.reference = p.number and s.warehouse_id = p.from_warehouse_id and s.kind = 'transfer-out' and s.state = 'posted'
                          and not exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted')), 0)))
      from expected_receipt e where e.warehouse_id = p.warehouse_id and e.id = p.expected_receipt_id and e.ended_at is null), 0) end`

/** What is promised of a part by a warehouse, both as SQL. */
export const promisedBy = (warehouse: string, part: string): string => `
  (select coalesce(sum(${PROMISE}), 0) from reorder_proposal p
    where p.from_warehouse_id = ${warehouse} and p.part_id = ${part} and p.kind = 'transfer' and p.state in ('open', 'accepted'))`

/** The reorder point of a part in a warehouse, as SQL. */
export const reorderPointOf = (warehouse: string, part: string): string => `
  coalesce((select level.reorder_point from reorder_level level where level.warehouse_id = ${warehouse} and level.part_id = ${part}), 0)`

/**
 * What a warehouse needs itself of a part: what it would order up to. Who gave all beyond the reorder point would be short by giving, and
 * two warehouses would move the same goods to and fro for ever.
 */
export const ownNeedOf = (warehouse: string, part: string): string => `
  coalesce((select level.order_up_to from reorder_level level where level.warehouse_id = ${warehouse} and level.part_id = ${part}), 0)`

/**
 * What a warehouse can give of a part, promised or not: past the holding period, neither reserved nor blocked, and beyond its own need (R-AGE-8).
 * Consigned goods serve its own need as well, and are never given.
 */
export const ableToGive = (warehouse: string, part: string, today: string): string => `
  greatest(0, least(
    (select coalesce(sum(l.on_hand), 0) from ${agedLots(warehouse, part, today)}),
    (select coalesce(sum(kept.on_hand - kept.reserved - kept.blocked), 0) from balance kept
      where kept.warehouse_id = ${warehouse} and kept.part_id = ${part} and kept.ownership = 'own' and kept.condition = 'qualified'),
    (select coalesce(sum(kept.on_hand - kept.reserved - kept.blocked), 0) from balance kept
      where kept.warehouse_id = ${warehouse} and kept.part_id = ${part} and kept.condition = 'qualified') - ${ownNeedOf(warehouse, part)}))`
