// What is on its way to a warehouse: lines of approved purchase plans, and transfers that were accepted. Rows are opened by the rooms
// above; here they are read, and ended by a person. What arrived is never stored: posted lines that name one say so, a reversal
// with the opposite sign, so that nothing has to be kept right.
import { readPart } from '../catalogue/parts.queries.ts'
import { requireDuty, requireSight, type Context, type Duty } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { ExpectedReceiptState, ExpectedReceiptView } from './expected-receipts.schemas.ts'

/** Who says that something will not come any more. */
export const ENDING_DUTIES: readonly Duty[] = ['purchaser', 'stock-controller', 'operations-supervisor']

type Row = ExpectedReceiptView & { id: string }

const STATE = `case when e.ended_at is not null then 'ended' when arrived.quantity >= e.quantity then 'received' else 'open' end`
const COLUMNS = `
       e.id::text as id, e.document || '/' || e.line_no as "expectedReceipt", e.document, e.line_no as line, e.kind, part.number as part, part.name, part.name_zh as "nameZh", part.unit,
       trim_scale(e.quantity)::text as quantity, trim_scale(arrived.quantity)::text as received,
       trim_scale(case when e.ended_at is null then greatest(0, e.quantity - arrived.quantity) else 0 end)::text as outstanding,
       trim_scale(greatest(0, arrived.quantity - e.quantity))::text as over, e.expected_on as "expectedOn", supplier.code as supplier, giver.code as "fromWarehouse",
       ${STATE} as state, e.opened_at as "openedAt", opener.username as "openedBy", e.ended_at as "endedAt", e.ended_because as "endedBecause", arrived.slips`
const FROM = `
  join part on part.id = e.part_id
  join person opener on opener.id = e.opened_by
  left join supplier on supplier.id = e.supplier_id
  left join warehouse giver on giver.id = e.from_warehouse_id
 cross join lateral (select coalesce(sum(l.quantity), 0) as quantity, coalesce(array_agg(distinct s.number order by s.number) filter (where s.number is not null), '{}') as slips
                       from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state = 'posted'
                      where l.warehouse_id = e.warehouse_id and l.expected_receipt_id = e.id) arrived`

// What is still open is looked for among what is not ended, by the index of these.
const PAGE = statement<Row>(`
select ${COLUMNS}
  from expected_receipt e ${FROM}
 where e.warehouse_id = $1 and ($2::text is null or part.number = $2) and ($3::text is null or ${STATE} = $3) and ($3::text is distinct from 'open' or e.ended_at is null)
   and ($4::text is null or (part.number, e.id) > ($4, $5::bigint))
 order by part.number, e.id
 limit $6`)

const ONE = statement<Row>(`
select ${COLUMNS} from expected_receipt e ${FROM} where e.warehouse_id = $1 and e.document = $2 and e.line_no = $3`)

const view = ({ id: _id, ...row }: Row): ExpectedReceiptView => ({
  ...row,
  openedAt: instant(row.openedAt),
  endedAt: instantOrNull(row.endedAt)
})

/** What is on its way to a warehouse, by part number; what has arrived or was ended as well if asked for. */
export async function listExpectedReceipts(
  ctx: Context,
  {
    warehouse: code,
    part,
    state,
    limit = 50,
    cursor
  }: {
    warehouse: string
    part?: string | undefined
    state?: ExpectedReceiptState | undefined
    limit?: number | undefined
    cursor?: string | undefined
  }
) {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  const after = readCursor(cursor, ['text', 'id'])
  const rows = await run(ctx, PAGE, [
    warehouse.id,
    part ?? null,
    state ?? null,
    after?.[0] ?? null,
    after?.[1] ?? null,
    limit + 1
  ])
  if (rows.length === 0 && part !== undefined) await readPart(ctx, { number: part })
  const { items, nextCursor } = pageFrom(rows, limit, (row) => [row.part, row.id])
  return { items: items.map(view), nextCursor }
}

const LOCK = statement<{ id: string }>(
  `select id::text as id from expected_receipt where warehouse_id = $1 and document = $2 and line_no = $3 for update`
)
const END = statement<never>(
  `update expected_receipt set ended_at = $3, ended_because = $4 where warehouse_id = $1 and id = $2`
)

/**
 * Says that what is still outstanding will not come: it no longer counts as on order. What has arrived stays received.
 * @throws Refusal 403, 404, 409 `ExpectedReceiptEnded` or `NothingOutstanding`
 */
export async function endExpectedReceipt(
  ctx: Context,
  { warehouse: code, document, line, reason }: { warehouse: string; document: string; line: number; reason: string }
): Promise<ExpectedReceiptView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, ENDING_DUTIES, warehouse)
  return inTransaction(ctx, async (inner) => {
    const name = `${document}/${line}`
    const [locked] = await run(inner, LOCK, [warehouse.id, document, line])
    if (locked === undefined) throw notFound('expected receipt', name)
    const { state, received, quantity, endedBecause } = await readExpectedReceipt(inner, warehouse, { document, line })
    if (state === 'ended') throw new Refusal('ExpectedReceiptEnded', 409, `${name} was ended already: ${endedBecause}`)
    if (state === 'received')
      throw new Refusal(
        'NothingOutstanding',
        409,
        `${name} has arrived, ${received} of ${quantity}; there is nothing left to end`
      )
    await run(inner, END, [warehouse.id, locked.id, inner.clock.now().toString(), reason])
    await recordAudit(inner, 'expected-receipt.ended', `warehouse:${code}`, { expectedReceipt: name, reason })
    return readExpectedReceipt(inner, warehouse, { document, line })
  })
}

/** @throws Refusal 404 */
async function readExpectedReceipt(
  ctx: Context,
  warehouse: Warehouse,
  { document, line }: { document: string; line: number }
): Promise<ExpectedReceiptView> {
  const [row] = await run(ctx, ONE, [warehouse.id, document, line])
  if (row === undefined) throw notFound('expected receipt', `${document}/${line}`)
  return view(row)
}
