import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { releaseReservations, shrinkReservation } from '../ledger/reserve.ts'
import type { Ownership } from '../ledger/post.ts'
import { displaceable } from './find-stocks.ts'
import type { LockedRequest } from './locked-request.ts'

interface Victim {
  outletId: number
  requestId: string
  request: string
  line: number
  allocation: number
  part: string
  reservation: string
  open: string
  /** So many stand for one of the line's. */
  factor: string
}

// Newest first: who asked first keeps it longest.
const VICTIMS = `
select a.warehouse_id as "outletId", a.request_id::text as "requestId", r.number as request, a.line_no as line, a.allocation_no as allocation, part.number as part,
       a.centre_reservation_id::text as reservation, (a.quantity - a.issued)::text as open, a.factor::text as factor
  from ${displaceable('join part on part.id = a.part_id')}
   and r.centre_id = $1 and a.part_id = $2 and a.ownership = $3
 order by a.allocated_at desc, a.request_id desc, a.line_no desc, a.allocation_no desc
   for update of a`
// What somebody is at in this moment is passed over, so that no two wait for each other; only who finds nothing else waits.
const VICTIMS_AT_REST = statement<Victim>(`${VICTIMS} skip locked`)
const ALL_VICTIMS = statement<Victim>(VICTIMS)

const LOSE = statement<never>(`
with lost as (
  update request_allocation
     set quantity = case when quantity - issued > $5::numeric or issued > 0 then quantity - $5::numeric else quantity end,
         state = case when quantity - issued > $5::numeric then state when issued > 0 then 'issued' else 'ended' end,
         ended_at = case when quantity - issued <= $5::numeric and issued = 0 then $6::timestamptz end,
         ended_because = case when quantity - issued <= $5::numeric and issued = 0 then 'displaced by ' || $8::text end
   where warehouse_id = $1 and request_id = $2 and line_no = $3 and allocation_no = $4
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
values ($1, $2, $6, $7, 'displaced',
        jsonb_build_object('line', $3::int, 'part', $9::text, 'quantity', trim_scale($5::numeric)::text, 'by', $8::text))`)

/** The next multiple. */
const upTo = (quantity: bigint, of: bigint): bigint => ((quantity + of - 1n) / of) * of

/**
 * Takes goods that are reserved at a centre for normal requests, the newest first, for an emergency (R-REQ-4). The losers are told by
 * their history, and what follows a commit plans their lines anew, at the place in the queue that their request had.
 * @param waits for those whose request somebody is at in this moment
 * @returns whether all that is wanted is free now
 */
export async function displace(
  ctx: Context,
  by: Pick<LockedRequest, 'centreId' | 'number'>,
  wanted: readonly { partId: number; ownership: Ownership; quantity: bigint }[],
  { waits }: { waits: boolean }
): Promise<boolean> {
  let isAll = true
  // In the order in which balances are locked everywhere.
  for (const { partId, ownership, quantity } of wanted.toSorted(
    (a, b) => a.partId - b.partId || (a.ownership < b.ownership ? -1 : 1)
  )) {
    let missing = quantity
    for (const victim of await run(ctx, waits ? ALL_VICTIMS : VICTIMS_AT_REST, [by.centreId, partId, ownership])) {
      if (missing === 0n) break
      const open = thousandths(victim.open)
      // What stands for something else is taken in whole numbers: a part of it is of no use to the loser.
      const whole = thousandths(victim.factor) === 1000n ? missing : upTo(missing, thousandths(victim.factor))
      const most = open < whole ? open : whole
      const key = { warehouseId: by.centreId, id: victim.reservation }
      // What a slip handed out a moment ago, and is not counted yet, cannot be taken.
      const freed =
        most === open
          ? (await releaseReservations(ctx, [key]))[0]?.quantity
          : (await shrinkReservation(ctx, { ...key, by: decimal(most, 3) })).quantity
      const lost = thousandths(freed ?? '0')
      if (lost === 0n) continue
      await run(ctx, LOSE, [
        victim.outletId,
        victim.requestId,
        victim.line,
        victim.allocation,
        decimal(lost, 3),
        ctx.clock.now().toString(),
        ctx.actor.personId,
        by.number,
        victim.part
      ])
      missing -= lost < missing ? lost : missing
    }
    if (missing > 0n) isAll = false
  }
  return isAll
}
