// What the last signature of a handover does, at one instant (R-ORG-3): the outgoing keeper's duty ends, the incoming keeper's begins, and the
// position of the ledger up to which the one and from which the other answers is on record.
//
// Everybody who writes in the warehouse shares a lock until their commit (`require_acting_keeper`, migration 0027). Taking it alone waits for what is
// under way; what comes later waits for this commit, and is refused there if it was the outgoing keeper's. Slips share it before they draw
// movements, so the position is exact. Nothing here holds a balance or a slip, which those who wait may hold.
//
// It runs within the transaction of the last signature, once: the state of the handover guards against a second run.
import type { Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { LOCK_GATE } from '../identity/leaving-gate.ts'
import { identityChanged } from '../identity/directory.ts'
import { publishDuties } from '../identity/duty-events.ts'
import { POSITION } from '../counts/open-count.ts'
import { run, statement } from '../platform/database.ts'
import { noteEvent } from '../signing/document-history.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { LOCK_WAREHOUSE, type Handover } from './handover.ts'
import { grantsToEnd, requireIncoming } from './keepers.ts'

const LOCK_PEOPLE = statement<never>('select 1 from person where id = any ($1::int[]) order by id for no key update')
// The warehouse may have been moved since it was read: who moves it holds the gate until the commit.
const REGION = statement<{ regionId: number }>('select region_id as "regionId" from warehouse where id = $1')
const CUT_OFF = statement<{ position: string }>(`select ${POSITION}::text as position`)

// Who is keeper already in their own right, without an end, needs no further grant.
const BEGIN = statement<{ id: number }>(`
insert into duty_assignment (person_id, duty, warehouse_id, valid_from, assigned_by, assigned_at)
select $1, 'keeper', $2, $4, $5, $6
 where not exists (
   select 1 from duty_assignment g
    where g.person_id = $1 and g.duty = 'keeper' and g.ended_at is null and g.valid_from <= $4 and g.valid_to is null
      and case when g.warehouse_id is not null then g.warehouse_id = $2 when g.region_id is not null then g.region_id = $3 else true end)
returning id`)

/** What took effect. */
export interface Effect {
  at: string
  position: string
  endedGrants: number[]
  begunGrant: number | null
}

/**
 * Waits for what is under way, reads the cut-off and begins the duty of the incoming keeper. Nothing was written before it in this transaction.
 * @throws Refusal 422 `PersonInactive`, `NotKeeperThere`, `KeeperOfMore`
 */
export async function beginEffect(ctx: Context, handover: Handover, { id, code }: Warehouse): Promise<Effect> {
  await run(ctx, LOCK_PEOPLE, [[handover.outgoingId, handover.incomingId]])
  await run(ctx, LOCK_GATE, [])
  await run(ctx, LOCK_WAREHOUSE, [id])
  const [place] = await run(ctx, REGION, [id])
  if (place === undefined) throw new Error('a warehouse that is handed over is there')
  await requireIncoming(ctx, { username: handover.incoming.username, outgoingId: handover.outgoingId })
  const endedGrants = await grantsToEnd(
    ctx,
    { id, code, ...place },
    {
      id: handover.outgoingId,
      username: handover.outgoing.username
    }
  )
  const [cutOff] = await run(ctx, CUT_OFF, [])
  if (cutOff === undefined) throw new Error('the ledger has a position')
  const at = ctx.clock.now().toString()
  const [begun] = await run(ctx, BEGIN, [
    handover.incomingId,
    id,
    place.regionId,
    ctx.clock.today(),
    ctx.actor.personId,
    at
  ])
  return { at, position: cutOff.position, endedGrants, begunGrant: begun?.id ?? null }
}

// Those who stood in for the outgoing keeper did so by the duty that ends.
const CUT = statement<never>(`
with lifted as (
  delete from keeper_cut_off where warehouse_id = $1 and person_id = $4
)
insert into keeper_cut_off (warehouse_id, person_id, handover_id, cut_off_at, cut_off_on)
select $1, person_id, $2, $5, $6::date
  from (select $3::int as person_id
         union
        select to_person_id from delegation where from_person_id = $3 and ended_at is null and (duty is null or duty = 'keeper') and valid_to >= $6::date) cut
 where person_id <> $4
on conflict (warehouse_id, person_id) do update set handover_id = excluded.handover_id, cut_off_at = excluded.cut_off_at, cut_off_on = excluded.cut_off_on`)

const END = statement<never>(`update duty_assignment set ended_by = $2, ended_at = $3 where id = any ($1::int[])`)

/** Ends the duty of the outgoing keeper. The handover says already that it is completed, which the leaving gate asks. */
export async function endEffect(
  ctx: Context,
  handover: Handover,
  warehouse: Warehouse,
  { at, position, endedGrants, begunGrant }: Effect
): Promise<void> {
  await noteEvent(ctx, { warehouseId: warehouse.id, id: handover.id }, 'handed-over', {
    outgoing: handover.outgoing.username,
    incoming: handover.incoming.username,
    position,
    at
  })
  // After the last line of history, which may be the outgoing keeper's own.
  await run(ctx, CUT, [warehouse.id, handover.id, handover.outgoingId, handover.incomingId, at, ctx.clock.today()])
  await run(ctx, END, [endedGrants, ctx.actor.personId, at])
  const details = { duty: 'keeper', warehouse: warehouse.code, handover: handover.number }
  for (const dutyId of endedGrants)
    await recordAudit(ctx, 'duty.ended', `person:${handover.outgoing.username}`, { dutyId, ...details, endedAt: at })
  if (begunGrant !== null)
    await recordAudit(ctx, 'duty.assigned', `person:${handover.incoming.username}`, { dutyId: begunGrant, ...details })
  const there = { duty: 'keeper', warehouseId: warehouse.id, regionId: null } as const
  const outgoing = { personId: handover.outgoingId, username: handover.outgoing.username, ...there }
  await publishDuties(
    ctx,
    'duty.ended',
    endedGrants.map((id) => ({ id, ...outgoing }))
  )
  if (begunGrant !== null) {
    const incoming = { personId: handover.incomingId, username: handover.incoming.username, ...there }
    await publishDuties(ctx, 'duty.assigned', [{ id: begunGrant, ...incoming }])
  }
  await identityChanged(ctx)
}
