import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { cents, least, money } from './cents.ts'

/** What a request takes of a waiver. */
export interface WaiverUse {
  waiver: string
  amount: string
}

// One that is for this repair order before one that is for anything, what ends first before what ends later. Nobody's own waiver helps the
// requests he makes himself.
const USABLE = statement<{ id: string; left: string }>(`
select w.id::text as id, (w.amount - coalesce(used.amount, 0))::text as "left"
  from deposit_waiver w
  left join lateral (
    select sum(u.amount) as amount from deposit_waiver_use u where u.warehouse_id = w.warehouse_id and u.waiver_id = w.id) used on true
 where w.warehouse_id = $1 and w.ended_at is null and w.valid_to >= $2::date and (w.repair_order is null or w.repair_order = $3)
   and w.granted_by <> $4 and w.amount > coalesce(used.amount, 0)
 order by w.repair_order is null, w.valid_to, w.id`)

/** How much of which open waivers a request would take to be `short` less; the sum may be less than that. */
export async function waiversFor(
  ctx: Context,
  { outletId, repairOrder, short }: { outletId: number; repairOrder: string | null; short: bigint }
): Promise<WaiverUse[]> {
  const uses: WaiverUse[] = []
  let missing = short
  for (const { id, left } of await run(ctx, USABLE, [outletId, ctx.clock.today(), repairOrder, ctx.actor.personId])) {
    if (missing === 0n) break
    const taken = least(missing, cents(left))
    uses.push({ waiver: id, amount: money(taken) })
    missing -= taken
  }
  return uses
}

const USE = statement<never>(`
insert into deposit_waiver_use (warehouse_id, waiver_id, reference, amount, used_at)
select $1, waiver, $2, amount, $5 from unnest($3::bigint[], $4::numeric[]) as used (waiver, amount)
on conflict (warehouse_id, waiver_id, reference) do update set amount = deposit_waiver_use.amount + excluded.amount`)

/** Notes what a request took of which waivers, under the lock of the account. */
export async function takeWaivers(
  ctx: Context,
  outletId: number,
  reference: string,
  uses: readonly WaiverUse[]
): Promise<void> {
  await run(ctx, USE, [
    outletId,
    reference,
    uses.map(({ waiver }) => waiver),
    uses.map(({ amount }) => amount),
    ctx.clock.now().toString()
  ])
}

// The last waiver that was taken goes back first. A use of nothing is none.
const GIVE_BACK = statement<never>(`
with use as (
  select waiver_id, amount, least(amount, greatest(0, $3::numeric - coalesce(sum(amount) over (order by waiver_id desc rows between unbounded preceding and 1 preceding), 0))) as back
    from deposit_waiver_use where warehouse_id = $1 and reference = $2
), ended as (
  delete from deposit_waiver_use u using use where u.warehouse_id = $1 and u.reference = $2 and u.waiver_id = use.waiver_id and use.back = use.amount
)
update deposit_waiver_use u set amount = u.amount - use.back
  from use where u.warehouse_id = $1 and u.reference = $2 and u.waiver_id = use.waiver_id and use.back > 0 and use.back < use.amount`)

/** Gives back what a request no longer needs of its waivers, at most `amount`. */
export const giveBackWaivers = (ctx: Context, outletId: number, reference: string, amount: string): Promise<never[]> =>
  run(ctx, GIVE_BACK, [outletId, reference, amount])
