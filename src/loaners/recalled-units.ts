// What a recall does to loaner units (R-REQ-7). The ledger blocks their lots and breaks their promises; this says so of each unit by name.
//
// A recall is about a unit if and only if it is about the lot the unit lies in, or, while it is out on loan or on its way, the lot it left last
// (view `loaner_recall`, migration 0029). `noteRecalledUnits` ends the reservations that the recall broke and writes it into the histories of the
// units and of the loans they are out on; `noteFreedUnits` writes that it is over, and promises to their repair again those that are in repair.
// Neither moves or frees anything. Whoever calls them is in the transaction in which the ledger blocked or let go, and so holds the balances of
// the parts: units come after balances. What comes onto a shelf while a recall runs is noted by the trigger that follows the slip.
import type { Context } from '../identity/actor.ts'
import { reserveAll } from '../ledger/reserve.ts'
import { run, statement } from '../platform/database.ts'
import { promisedToRepair } from './loaner.ts'

const LOCK = statement<never>(`
select count(*)
  from (select 1 from loaner_unit
         where (warehouse_id, id) in (select unit_warehouse_id, unit_id from loaner_recall where recall_id = $1)
         order by warehouse_id, id
           for no key update) held`)

// A unit that is out is noted of its loan, too: who lent it has to get it back.
const NOTE = statement<never>(`
with about as materialized (
  select unit_warehouse_id, unit_id from loaner_recall where recall_id = $1
), ended as (
  update loaner_reservation r set ended_at = $3, ended_because = 'recalled'
    from about, reservation promise
   where r.unit_warehouse_id = about.unit_warehouse_id and r.unit_id = about.unit_id and r.ended_at is null
     and promise.warehouse_id = r.warehouse_id and promise.id = r.reservation_id and promise.broken_by = $1
  returning r.unit_warehouse_id, r.unit_id, r.repair_order, r.reserved_by
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select warehouse_id, id, $3, $4, event, details
  from (select u.warehouse_id, u.id, 1 as place, 'recalled' as event, jsonb_strip_nulls(jsonb_build_object('recall', $2::text, 'loan', loan.number)) as details
          from about
          join loaner_unit u on u.warehouse_id = about.unit_warehouse_id and u.id = about.unit_id
          left join loan on loan.warehouse_id = u.loan_warehouse_id and loan.id = u.loan_id
        union all
        select loan.warehouse_id, loan.id, 1, 'recalled', jsonb_build_object('recall', $2::text, 'serial', u.serial)
          from about
          join loaner_unit u on u.warehouse_id = about.unit_warehouse_id and u.id = about.unit_id
          join loan on loan.warehouse_id = u.loan_warehouse_id and loan.id = u.loan_id
        union all
        select ended.unit_warehouse_id, ended.unit_id, 2, 'reservation-ended',
               jsonb_build_object('repairOrder', ended.repair_order, 'because', 'recalled', 'recall', $2::text, 'reservedBy', person.username)
          from ended join person on person.id = ended.reserved_by) noted
 order by warehouse_id, id, place`)

/** Says of each unit that a recall is about it, and ends the reservations that it broke. The ledger has blocked the goods already. */
export async function noteRecalledUnits(
  ctx: Context,
  { recallId, recall }: { recallId: string; recall: string }
): Promise<void> {
  await run(ctx, LOCK, [recallId])
  await run(ctx, NOTE, [recallId, recall, ctx.clock.now().toString(), ctx.actor.personId])
}

/** Units by their keys, column by column. */
export interface UnitKeys {
  warehouseIds: number[]
  ids: string[]
}

const UNDER = statement<UnitKeys>(`
select coalesce(array_agg(unit_warehouse_id), '{}') as "warehouseIds", coalesce(array_agg(unit_id::text), '{}') as ids
  from loaner_recall where recall_id = $1`)

/** The units a recall is about now, to be looked at again when it was lifted, in part or whole. */
export async function unitsUnderRecall(ctx: Context, { recallId }: { recallId: string }): Promise<UnitKeys> {
  const [under] = await run(ctx, UNDER, [recallId])
  if (under === undefined) throw new Error('an aggregate answers one row')
  return under
}

const NOTE_FREED = statement<never>(`
with freed as materialized (
  select u.*
    from unnest($1::int[], $2::bigint[]) as before (warehouse_id, id)
    join loaner_unit u on u.warehouse_id = before.warehouse_id and u.id = before.id
   where ((u.warehouse_id, u.id) in (select unit_warehouse_id, unit_id from loaner_recall where recall_id = $3)) is not true
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select warehouse_id, id, $5, $6, 'recall-lifted', details
  from (select warehouse_id, id,
               jsonb_strip_nulls(jsonb_build_object('recall', $4::text, 'stillRecalledBy',
                 to_jsonb(nullif(recalls_of_unit(freed.warehouse_id, freed.id), '{}')))) as details
          from freed
        union all
        select loan.warehouse_id, loan.id, jsonb_build_object('recall', $4::text, 'serial', freed.serial)
          from freed join loan on loan.warehouse_id = freed.loan_warehouse_id and loan.id = freed.loan_id) noted
 order by warehouse_id, id`)

interface InRepair {
  homeId: number
  id: string
  heldById: number
  partId: number
  part: string
  serial: string
}

// One that is about to be retired is taken from what is free by the slip that was written for it.
const IN_REPAIR = statement<InRepair>(`
select u.warehouse_id as "homeId", u.id::text as id, u.held_by as "heldById", u.part_id as "partId", part.number as part, u.serial
  from loaner_unit u
  join part on part.id = u.part_id
  join lot on lot.warehouse_id = u.held_by and lot.id = u.lot_id and not lot.blocked and not lot.exhausted
 where u.part_id in (select part_id from recall_scope where recall_id = $1) and u.state = 'in-repair' and u.pending is null
   and not exists (select 1 from reservation r where r.warehouse_id = u.held_by and r.id = u.repair_reservation_id and r.released_at is null and r.consumed < r.quantity)
 order by u.warehouse_id, u.id
   for no key update of u`)
const PROMISE = statement<never>(`
update loaner_unit u set repair_reservation_id = p.reservation_id, version = version + 1
  from unnest($1::int[], $2::bigint[], $3::bigint[]) as p (warehouse_id, id, reservation_id)
 where u.warehouse_id = p.warehouse_id and u.id = p.id`)

/**
 * Says of each unit that a recall was about that it is so no more; those in repair are promised to it again, so that nobody is offered them.
 * The ledger has let go of the goods already.
 */
export async function noteFreedUnits(
  ctx: Context,
  { recallId, recall, before }: { recallId: string; recall: string; before: UnitKeys }
): Promise<void> {
  const inRepair = await run(ctx, IN_REPAIR, [recallId])
  const promised = await reserveAll(
    ctx,
    inRepair.map(({ heldById, partId, part, serial }) => ({
      warehouseId: heldById,
      partId,
      part,
      ownership: 'own',
      quantity: '1',
      reservedFor: promisedToRepair(serial)
    }))
  )
  if (!('ids' in promised)) throw new Error(`units of ${recall} were freed and are not there`)
  await run(ctx, PROMISE, [inRepair.map(({ homeId }) => homeId), inRepair.map(({ id }) => id), promised.ids])
  const at = ctx.clock.now().toString()
  await run(ctx, NOTE_FREED, [before.warehouseIds, before.ids, recallId, recall, at, ctx.actor.personId])
}
