import type { Context, Duty } from '../identity/actor.ts'
import { ensureMonth } from '../ledger/movement-partitions.ts'
import { post, type Entry, type Movement } from '../ledger/post.ts'
import { run, statement } from '../platform/database.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { LINE_COLUMNS, lineParameters, linesFrom } from './create-slip.ts'
import { SLIP_KIND_RULES } from './slip-kinds.ts'
import type { SlipLine } from './slip.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'

// Born posted: what it does was signed on the document it adjusts for. The row of the counter is held until the commit, as
// for every slip, so that numbers have no gap.
const CREATE = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber('$2', '$3')}
), created as (
  insert into slip (warehouse_id, number, kind, state, occurred_on, reference, reason, signed_as, duties, preparers,
                    prepared_at, submitted_at, approved_at, posted_by, posted_at)
  select $1, ${documentNumber('$4', '$2', '$3')},
         'adjustment', 'posted', $3::date, $5::text, $6, $7, $8, $9, $10::timestamptz, $11::timestamptz, $10::timestamptz, $12::int, $10::timestamptz
    from numbered
  returning id, number
), lines as (
  insert into slip_line (warehouse_id, slip_id, ${LINE_COLUMNS})
  select $1, created.id, line.* from created, ${linesFrom(13)} as line
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, created.id, $10, $12, 'posted', jsonb_build_object('signedAs', $5::text) from created
)
select id, number from created`)

export type AdjustmentLine = Pick<
  SlipLine,
  | 'line'
  | 'partId'
  | 'part'
  | 'quantity'
  | 'unit'
  | 'unitCost'
  | 'ownership'
  | 'condition'
  | 'receivedOn'
  | 'lot'
  | 'note'
> &
  Pick<Entry, 'origin'>

/** The document that was signed in the slip's stead. */
export interface SignedDocument {
  id: string
  number: string
  duties: Duty[]
  preparers: number[]
  submittedAt: string
}

/**
 * Writes and posts the slip that makes the ledger agree with what was counted (R-CNT-4): losses leave the lot they name, else
 * the oldest; gains open lots with the cost, the age and the origin they are given. Whoever calls it has seen to the signatures, and does so
 * within a transaction.
 * @param lines quantities in stock units with sign, at least one line
 * @throws Refusal those of `post`, with the lines that could not be posted
 */
export async function postAdjustment(
  ctx: Context,
  warehouse: Warehouse,
  {
    occurredOn,
    reason,
    signedAs,
    lines
  }: { occurredOn: string; reason: string; signedAs: SignedDocument; lines: readonly AdjustmentLine[] }
): Promise<{ id: string; number: string; movements: Movement[] }> {
  await ensureMonth(ctx, occurredOn)
  const at = ctx.clock.now().toString()
  const [created] = await run(ctx, CREATE, [
    warehouse.id,
    SLIP_KIND_RULES.adjustment.series,
    occurredOn,
    warehouse.code,
    signedAs.number,
    reason,
    signedAs.id,
    signedAs.duties,
    signedAs.preparers,
    at,
    signedAs.submittedAt,
    ctx.actor.personId,
    ...lineParameters(lines.map(slipLine))
  ])
  if (created === undefined) throw new Error('no adjustment was written')
  const movements = await post(ctx, {
    warehouseId: warehouse.id,
    slipId: created.id,
    occurredOn,
    postedAt: at,
    entries: lines.map(({ lot, ...line }) => ({ ...line, lotId: lot }))
  })
  return { ...created, movements }
}

const slipLine = ({ origin: _origin, ...line }: AdjustmentLine): SlipLine => ({
  name: '',
  nameZh: null,
  specification: null,
  colour: null,
  unitQuantity: line.quantity.replace('-', ''),
  expectedQuantity: null,
  sourceLine: null,
  reservation: null,
  difference: null,
  expectedReceipt: null,
  expectedReceiptId: null,
  reserveFor: null,
  carried: null,
  ...line
})
