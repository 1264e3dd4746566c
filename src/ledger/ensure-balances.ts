import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import type { BalanceKey } from './reserve.ts'

const ENSURE = statement<never>(`
insert into balance (warehouse_id, part_id, ownership, condition, part_number) values ($1, $2, $3, $4, $5) on conflict do nothing`)

/**
 * Makes sure that there is a row for a balance, with nothing on hand if it is new: what does not exist cannot be locked, and
 * who counts it must be able to hold up its postings. A second run changes nothing.
 */
export const ensureBalance = async (
  ctx: Context,
  { warehouseId, partId, ownership, condition, part }: BalanceKey
): Promise<void> => {
  await run(ctx, ENSURE, [warehouseId, partId, ownership, condition, part])
}

const ENSURE_OWN = statement<never>(`
insert into balance (warehouse_id, part_id, ownership, condition, part_number)
select $1, part.id, 'own', 'qualified', part.number
  from unnest($2::int[], $3::text[]) as part (id, number)
 where not exists (select 1 from balance b where b.warehouse_id = $1 and b.part_id = part.id)
 order by part.id
on conflict do nothing`)

/** Makes sure that each part has some row, the own and qualified one if it never had any. A second run changes nothing. */
export const ensureOwn = async (
  ctx: Context,
  warehouseId: number,
  parts: readonly { id: number; number: string }[]
): Promise<void> => {
  await run(ctx, ENSURE_OWN, [warehouseId, parts.map(({ id }) => id), parts.map(({ number }) => number)])
}
