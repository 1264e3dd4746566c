import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import type { DraftLine, SlipDraft } from './draft-slip.ts'

interface Expected {
  name: string
  id: string
  partId: number
  part: string
  kind: 'purchase' | 'transfer'
  supplier: string | null
  supplierId: number | null
  endedBecause: string | null
  /** The transfer that brings it. */
  transfer: string | null
}

const EXPECTED = statement<Expected>(`
select named.name, e.id::text as id, e.part_id as "partId", part.number as part, e.kind, supplier.code as supplier, e.supplier_id as "supplierId",
       e.ended_because as "endedBecause",
       (select t.number from transfer_line l join transfer t on t.warehouse_id = l.warehouse_id and t.id = l.transfer_id
         where l.expected_receipt_id = e.id and t.to_warehouse_id = e.warehouse_id limit 1) as transfer
  from unnest($2::text[], $3::text[], $4::int[]) as named (name, document, line_no)
  join expected_receipt e on e.warehouse_id = $1 and e.document = named.document and e.line_no = named.line_no
  join part on part.id = e.part_id
  left join supplier on supplier.id = e.supplier_id`)

/** What each kind of slip fulfils. */
const FULFILS = { receipt: 'purchase', 'transfer-in': 'transfer' } as const

/**
 * The lines with the expected receipts that they name, looked up in one statement; a slip that names none pays nothing. A line may
 * bring less than what is expected, or more: what is on order is what is left, never less than nothing.
 * @throws Refusal 422 `ExpectedReceiptUnknown`, `ExpectedReceiptOfOtherPart`, `ExpectedReceiptOfOtherKind`, `ExpectedReceiptOfOtherSupplier`, `ExpectedReceiptOfTransfer`,
 *   409 `ExpectedReceiptEnded`, each with the line it is about
 */
export async function fulfilling(
  ctx: Context,
  warehouse: Warehouse,
  { kind, supplier, lines }: { kind: SlipDraft['kind']; supplier: SlipDraft['supplier']; lines: DraftLine[] }
): Promise<DraftLine[]> {
  const names = [...new Set(lines.flatMap(({ expectedReceipt }) => expectedReceipt ?? []))]
  if (names.length === 0) return lines
  const parsed = names.map((name) => {
    const [document = '', line = ''] = name.split('/')
    return { document, line: Number(line) }
  })
  const found = await run(ctx, EXPECTED, [
    warehouse.id,
    names,
    parsed.map(({ document }) => document),
    parsed.map(({ line }) => line)
  ])
  const byName = new Map(found.map((expected) => [expected.name, expected]))
  return lines.map((line) => {
    if (line.expectedReceipt === null) return line
    const { expectedReceipt: name, position, part, partId } = line
    const refuse = (code: string, status: number, detail: string, accepted?: unknown) =>
      new Refusal(code, status, `line ${position + 1} (${part}): ${detail}`, {
        errors: [{ pointer: `/lines/${position}/expectedReceipt`, detail, sent: name, accepted }]
      })
    const expected = byName.get(name)
    if (expected === undefined)
      throw refuse(
        'ExpectedReceiptUnknown',
        422,
        `${name} is not on its way to ${warehouse.code}; GET /v1/warehouses/${warehouse.code}/expected-receipts lists what is`
      )
    if (expected.partId !== partId)
      throw refuse('ExpectedReceiptOfOtherPart', 422, `${name} is of ${expected.part}`, expected.part)
    if (kind !== 'receipt' && kind !== 'transfer-in') throw new Error(`a ${kind} fulfils nothing`)
    if (expected.kind !== FULFILS[kind])
      throw refuse(
        'ExpectedReceiptOfOtherKind',
        422,
        expected.kind === 'purchase'
          ? `${name} is a purchase; it arrives by a receipt`
          : `${name} is a transfer; it arrives by a transfer-in`,
        expected.kind === 'purchase' ? 'receipt' : 'transfer-in'
      )
    if (expected.transfer !== null)
      throw refuse(
        'ExpectedReceiptOfTransfer',
        422,
        `${name} arrives by the transfer ${expected.transfer}; receive that by POST /v1/transfers/${expected.transfer}/in-slip`
      )
    if (expected.endedBecause !== null)
      throw refuse(
        'ExpectedReceiptEnded',
        409,
        `${name} is no longer expected (${expected.endedBecause}); leave it away, or name another`
      )
    if (expected.supplierId !== null && expected.supplierId !== supplier?.id)
      throw refuse(
        'ExpectedReceiptOfOtherSupplier',
        422,
        `${name} was ordered from ${expected.supplier}; ${supplier === null ? 'name that supplier on the slip' : `the slip names ${supplier.code}`}`,
        expected.supplier
      )
    return { ...line, expectedReceiptId: expected.id }
  })
}
