import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'
import { requireOpen, warehouseByCode } from '../warehouses/directory.ts'
import { LOCK_WAREHOUSE, viewOfHandover } from './handover.ts'
import type { DrawUpHandover, HandoverView } from './handovers.schemas.ts'
import { grantsToEnd, personCalled, requireIncoming } from './keepers.ts'
import { takeSnapshot } from './take-snapshot.ts'

const CREATE = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber("'HOV'", '$2')}
), created as (
  insert into handover (warehouse_id, number, outgoing_id, incoming_id, because, absent_because, keys, notes, drawn_up_by, drawn_up_at, snapshot_at)
  select $1, ${documentNumber('$3', "'HOV'", '$2')}, $4, $5, $6::text, $7::text, $8::jsonb, $9::text, $10, $11, $11
    from numbered
  returning id, number
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, id, $11, $10, 'drawn-up', jsonb_strip_nulls(jsonb_build_object(
           'outgoing', (select username from person where id = $4), 'incoming', (select username from person where id = $5), 'because', $6::text, 'absentBecause', $7::text))
    from created
)
select id::text as id, number from created`)

/**
 * Draws up the handover of a warehouse from keeper to keeper (R-ORG-3): the outgoing keeper in person, or the department head where that keeper
 * is gone or ill, with the reason. What the ledger holds and what is open is frozen for a first look, and frozen anew at the submission.
 * @throws Refusal 422 `HandoverToOneself`, `PersonInactive`, `NotKeeperThere`, `KeeperOfMore`, `AbsenceReasonMissing`, `AbsenceNotAsked`,
 * 409 `HandoverUnderWay`, `WarehouseClosed`, 403 `DutyRequired`, `KeeperMustHandOver`, 404
 */
export async function drawUpHandover(
  ctx: Context,
  {
    warehouse: code,
    outgoing: username = ctx.actor.username,
    incoming,
    because,
    absentBecause,
    keys = [],
    notes
  }: DrawUpHandover & { warehouse: string }
): Promise<HandoverView> {
  const warehouse = await warehouseByCode(ctx, code)
  const isOwn = username === ctx.actor.username
  const grant = requireDuty(ctx, isOwn ? 'keeper' : 'department-head', warehouse)
  if (isOwn && grant.onBehalfOf !== null) {
    throw new Refusal(
      'KeeperMustHandOver',
      403,
      `you stand in for the keeper of ${code}; the keeper hands over in person, or the department head draws it up`
    )
  }
  if (isOwn && absentBecause !== undefined) {
    throw new Refusal('AbsenceNotAsked', 422, 'who draws up their own handover is not absent; leave the reason away', {
      errors: [{ pointer: '/absentBecause', detail: 'belongs to a handover of somebody who is gone or ill' }]
    })
  }
  if (!isOwn && absentBecause === undefined) {
    throw new Refusal(
      'AbsenceReasonMissing',
      422,
      `${username} hands over in person; if that cannot be, say why not in absentBecause`,
      { errors: [{ pointer: '/absentBecause', detail: 'is missing' }] }
    )
  }
  requireOpen(warehouse, ctx.clock.today())
  return inTransaction(ctx, async (inner) => {
    const { id: outgoingId } = await personCalled(inner, username)
    const incomingId = await requireIncoming(inner, { username: incoming, outgoingId })
    await grantsToEnd(inner, warehouse, { id: outgoingId, username })
    await run(inner, LOCK_WAREHOUSE, [warehouse.id])
    const [created] = await run(inner, CREATE, [
      warehouse.id,
      inner.clock.today(),
      warehouse.code,
      outgoingId,
      incomingId,
      because,
      absentBecause ?? null,
      JSON.stringify(keys),
      notes ?? null,
      inner.actor.personId,
      inner.clock.now().toString()
    ]).catch((error: unknown) => {
      throw constraintOf(error) === 'handover_one_open_per_keeper'
        ? new Refusal(
            'HandoverUnderWay',
            409,
            `a handover of ${code} by ${username} is open already; go on with that one, or cancel it`
          )
        : error
    })
    if (created === undefined) throw new Error('no handover was written')
    await takeSnapshot(inner, warehouse, created)
    return viewOfHandover(inner, created.number)
  })
}
