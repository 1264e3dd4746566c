import { requireDuty, type Context } from '../identity/actor.ts'
import { requireParts } from '../catalogue/parts.queries.ts'
import { ensureBalance } from '../ledger/ensure-balances.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { NOTED } from './count-lines.ts'
import { lockCount, requireCounting } from './count.ts'
import { lineOf } from './counts.queries.ts'
import type { FoundGoods, FoundGoodsLine } from './counts.schemas.ts'
import { beingCounted, isBeingCounted } from './open-count.ts'

const TAKEN = statement<{
  line: number
  part: string
  ownership: string
  condition: string
  count: string
  isHere: boolean
}>(`
select l.line_no as line, part.number as part, l.ownership, l.condition, c.number as count, c.id = $2 as "isHere"
  from count_line l join stock_count c on c.warehouse_id = l.warehouse_id and c.id = l.count_id join part on part.id = l.part_id
 where l.warehouse_id = $1 and l.part_id = $3 and l.ownership = $4 and l.condition = $5 and l.active`)

const ADD = statement<{ line: number; version: number }>(`
with added as (
  insert into count_line (warehouse_id, count_id, line_no, part_id, ownership, condition, added_by)
  select $1, $2, coalesce((select max(line_no) from count_line where warehouse_id = $1 and count_id = $2), 0) + 1, $7, $8, $9, $4
  returning line_no as line
), ${NOTED('added')}
select line, version from added cross join versioned`)

/**
 * Adds a line for goods that were found and that no line has: what is expected of it is what its balance holds when it is
 * counted, mostly nothing.
 * @returns the line, and the version that the count has with it
 * @throws Refusal `PartUnknown`, `LineAlreadyThere`, `BalanceBeingCounted`, `CountNotOpen`, 403, 404
 */
export function addFoundGoods(
  ctx: Context,
  {
    number,
    part: partNumber,
    ownership = 'own',
    condition = 'qualified',
    ifMatch
  }: FoundGoods & { number: string; ifMatch?: string | undefined }
): Promise<FoundGoodsLine> {
  return inTransaction(ctx, async (inner) => {
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place) => requireDuty(inner, ['keeper', 'department-head'], place),
      ifMatch
    })
    requireCounting(count)
    const part = (await requireParts(inner, [partNumber])).get(partNumber)
    if (part === undefined) throw new Error('a part that is required is there')
    const [taken] = await run(inner, TAKEN, [warehouse.id, count.id, part.id, ownership, condition])
    if (taken?.isHere) {
      throw new Refusal(
        'LineAlreadyThere',
        409,
        `${partNumber} ${ownership} ${condition} is line ${taken.line} of ${number}; enter what was found there`,
        { extra: { line: taken.line } }
      )
    }
    if (taken !== undefined) throw beingCounted([taken], 1)
    // Without a row nobody could hold up its postings while it is counted.
    await ensureBalance(inner, { warehouseId: warehouse.id, partId: part.id, part: partNumber, ownership, condition })
    const [added] = await run(inner, ADD, [
      warehouse.id,
      count.id,
      inner.clock.now().toString(),
      inner.actor.personId,
      'line-added',
      JSON.stringify({ part: partNumber, ownership, condition }),
      part.id,
      ownership,
      condition
    ]).catch((error: unknown) => {
      throw isBeingCounted(error) ? beingCounted([], 0) : error
    })
    const line = added === undefined ? undefined : await lineOf(inner, warehouse, count, added.line)
    if (added === undefined || line === undefined) throw new Error('no line was added')
    return { number, ...line, version: added.version }
  })
}
