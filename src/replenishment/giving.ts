// What a warehouse can give away, as SQL. Said once, because what is proposed, what is accepted and what is withdrawn go by the same.
import { agedLots } from '../ledger/aged-lots.ts'

/**
 * What is promised of a transfer proposal `p` beyond what is reserved: all of an open one. An accepted one has become a transfer, which
 * reserves; of that only what came back by a reversal and is reserved no longer.
 */
export const PROMISE = `
  case when p.state = 'open' then p.quantity else coalesce((
    select sum(greatest(0, line.quantity - line.sent - coalesce(held.quantity - held.consumed, 0)))
      from transfer_line l
      join transfer t on t.warehouse_id = l.warehouse_id and t.id = l.transfer_id and t.state in ('ordered', 'awaiting-dispatch') and t.rest_closed_at is null
      join transfer_line_position line on line.warehouse_id = l.warehouse_id and line.transfer_id = l.transfer_id and line.line_no = l.line_no
      left join reservation held on held.warehouse_id = l.warehouse_id and held.id = l.reservation_id and held.released_at is null
     where l.warehouse_id = p.from_warehouse_id and l.expected_receipt_id = p.expected_receipt_id), 0) end`

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
    (select coalesce(sum(l.on_hand), 0) from ${agedLots(warehouse, part, today)})
      - (select coalesce(sum(kept.reserved), 0) from balance kept
          where kept.warehouse_id = ${warehouse} and kept.part_id = ${part} and kept.ownership = 'own' and kept.condition = 'qualified'),
    (select coalesce(sum(kept.on_hand - kept.reserved - kept.blocked), 0) from balance kept
      where kept.warehouse_id = ${warehouse} and kept.part_id = ${part} and kept.ownership = 'own' and kept.condition = 'qualified'),
    (select coalesce(sum(kept.on_hand - kept.reserved - kept.blocked), 0) from balance kept
      where kept.warehouse_id = ${warehouse} and kept.part_id = ${part} and kept.condition = 'qualified') - ${ownNeedOf(warehouse, part)}))`
