import { requireDuty, type Context } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { MAX_LINES } from '../slips/slips.schemas.ts'
import { openTransfer } from '../transfers/open-transfer.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { lockRecall } from './recall.ts'
import type { RecallReturn, RecallReturnResult } from './recalls.schemas.ts'

interface BlockedLot {
  lot: string
  partId: number
  part: string
  ownership: Ownership
  condition: Condition
  /** What no open slip or transfer of it is written for yet. */
  quantity: string
  supplier: string | null
  total: number
}
// Whoever writes such papers in a warehouse waits for others who do: goods may be blocked by several recalls, and stand on one paper only.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305024, $1)`)

// Loaner units leave by papers of their own. The supplier is that of the slip by which the goods first came in.
const BLOCKED_HERE = statement<BlockedLot>(`
with written as materialized (
  select lot_id, sum(quantity) as quantity
    from (select o.lot_id, -o.quantity as quantity
            from slip s join slip_line o on o.warehouse_id = s.warehouse_id and o.slip_id = s.id and o.lot_id is not null and o.quantity < 0
           where s.warehouse_id = $1 and s.state not in ('posted', 'cancelled') and s.transfer_id is null
          union all
          select o.lot_id, greatest(0, p.quantity - p.sent)
            from transfer t
            join transfer_line o on o.warehouse_id = t.warehouse_id and o.transfer_id = t.id and o.lot_id is not null
            join transfer_line_position p on p.warehouse_id = o.warehouse_id and p.transfer_id = o.transfer_id and p.line_no = o.line_no
           where t.warehouse_id = $1 and t.state in ('ordered', 'awaiting-dispatch', 'in-transit') and t.rest_closed_at is null) open
   group by lot_id
)
select l.id::text as lot, l.part_id as "partId", part.number as part, l.ownership, l.condition, trim_scale(l.on_hand - coalesce(written.quantity, 0))::text as quantity,
       supplier.code as supplier, count(*) over ()::int as total
  from lot_block b
  join lot l on l.warehouse_id = b.warehouse_id and l.id = b.lot_id and not l.exhausted
  join part on part.id = l.part_id and part.loaner_family is null
  left join written on written.lot_id = l.id
  left join supplier on supplier.id = lot_supplier(coalesce(l.origin_warehouse_id, l.warehouse_id), coalesce(l.origin_lot_id, l.id))
 where b.warehouse_id = $1 and b.recall_id = $2 and l.on_hand > coalesce(written.quantity, 0)
 order by l.part_id, l.ownership, l.condition, l.received_on, l.id
 limit $3`)

const NOTE = statement<never>(`
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $3, $4, 'return-written', jsonb_strip_nulls(jsonb_build_object('warehouse', $5::text, 'to', $6::text, 'slips', $7::text[], 'transfer', $8::text, 'quantity', $9::text)))`)

/**
 * Writes the papers by which blocked goods of a recall leave a warehouse: back to their suppliers, as scrap, or to another warehouse, as a rule head office.
 * Each names the very lots; it is signed by three and posted like any other, and is the only way in which blocked goods leave. Of goods that are sent
 * to a warehouse a transfer is opened, whose out slip is written next.
 * @throws Refusal 403, 404, 409 `RecallNotRunning`, `NothingBlockedHere`, 422 `SupplierMisplaced`, `SupplierUnknown`, `WarehouseUnknown`, `TransferToItself`
 */
export async function returnRecalledGoods(
  ctx: Context,
  { number, warehouse: code, to, supplier, carrier, note }: RecallReturn & { number: string }
): Promise<RecallReturnResult> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, 'keeper', warehouse)
  if (supplier !== undefined && to !== 'supplier')
    throw new Refusal('SupplierMisplaced', 422, 'only goods that go back to a supplier name one', {
      errors: [{ pointer: '/supplier', detail: 'is only for `to`: "supplier"', sent: supplier }]
    })
  return inTransaction(ctx, async (inner) => {
    const { recall, office } = await lockRecall(inner, number)
    if (recall.state !== 'running' && recall.state !== 'closed')
      throw new Refusal(
        'RecallNotRunning',
        409,
        `recall ${number} is ${recall.state}; goods that no recall blocks leave by ordinary slips`
      )
    await run(inner, LOCK, [warehouse.id])
    const lots = await run(inner, BLOCKED_HERE, [warehouse.id, recall.id, MAX_LINES])
    const [first] = lots
    if (first === undefined)
      throw new Refusal(
        'NothingBlockedHere',
        409,
        `nothing of ${number} lies blocked in ${code} for which no paper is written yet; GET /v1/recalls/${number}/goods?warehouse=${code} says what lies there. Loaner units are retired under their serial numbers: POST /v1/loaners/{serial}/retirement`
      )
    const reason = `${number} ${recall.title}`.slice(0, 500)
    const saying = { reason, note, ...(carrier !== undefined && { counterparty: carrier }) }
    const written =
      to === 'supplier'
        ? { slips: await toSuppliers(inner, warehouse, { number, lots, supplier, saying }), transfer: null }
        : to === 'scrap'
          ? { slips: [await writtenSlip(inner, warehouse, 'scrap', number, lots, saying)], transfer: null }
          : { slips: [], transfer: await toWarehouse(inner, warehouse, { number, to, lots, because: reason }) }
    const quantity = decimal(
      lots.reduce((sum, lot) => sum + thousandths(lot.quantity), 0n),
      3
    )
    await run(inner, NOTE, [
      office.id,
      recall.id,
      inner.clock.now().toString(),
      inner.actor.personId,
      code,
      to,
      written.slips,
      written.transfer,
      quantity
    ])
    return { ...written, lots: lots.length, quantity, left: first.total - lots.length }
  })
}

interface Saying {
  reason: string
  note: string | undefined
  counterparty?: string
}

async function writtenSlip(
  ctx: Context,
  warehouse: Warehouse,
  kind: 'supplier-return' | 'scrap',
  reference: string,
  lots: readonly BlockedLot[],
  { reason, note, counterparty }: Saying,
  supplier?: string
): Promise<string> {
  const slip = await writeSlip(ctx, warehouse, {
    kind,
    reference,
    reason,
    ...(note !== undefined && { note }),
    ...(counterparty !== undefined && { counterparty }),
    ...(supplier !== undefined && { supplier }),
    lines: lots.map(({ part, ownership, condition, quantity, lot }) => ({ part, ownership, condition, quantity, lot }))
  })
  return slip.number
}

/** One slip per supplier: each gets back what came from it. Goods of unknown origin stand on one without a supplier. */
async function toSuppliers(
  ctx: Context,
  warehouse: Warehouse,
  {
    number,
    lots,
    supplier,
    saying
  }: { number: string; lots: readonly BlockedLot[]; supplier: string | undefined; saying: Saying }
): Promise<string[]> {
  const slips: string[] = []
  for (const [from, theirs] of Map.groupBy(lots, (lot) => supplier ?? lot.supplier ?? undefined))
    slips.push(await writtenSlip(ctx, warehouse, 'supplier-return', number, theirs, saying, from))
  return slips
}

async function toWarehouse(
  ctx: Context,
  from: Warehouse,
  { number, to: code, lots, because }: { number: string; to: string; lots: readonly BlockedLot[]; because: string }
): Promise<string> {
  const to = await warehouseByCode(ctx, code).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404
      ? new Refusal(
          'WarehouseUnknown',
          422,
          `there is no warehouse ${code}; goods go to "supplier", "scrap" or a warehouse`,
          {
            errors: [{ pointer: '/to', detail: 'is unknown', sent: code }]
          }
        )
      : error
  })
  const transfer = await openTransfer(ctx, { from, to, lines: lots, reference: number, because })
  return transfer.number
}
