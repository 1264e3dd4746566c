import { requireDutyEverywhere, type Context, type Duty } from './actor.ts'
import { requireAnotherAdministrator } from './administrators.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { publishDuties } from './duty-events.ts'
import { dutyView, instant } from './identity.queries.ts'
import type { DutyView } from './identity.schemas.ts'
import { throughLeavingGate } from './leaving-gate.ts'
import { lockPerson } from './lock-person.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'

const HELD = statement<{
  duty: Duty
  warehouseId: number | null
  regionId: number | null
  validFrom: string
  validTo: string | null
  endedAt: string | null
}>(`
select duty, warehouse_id as "warehouseId", region_id as "regionId", valid_from::text as "validFrom", valid_to::text as "validTo", ${instant('ended_at')} as "endedAt"
  from duty_assignment where id = $1 and person_id = $2`)

const SHORTEN = statement<never>(`update duty_assignment set valid_to = $2 where id = $1`)

// The days stay: it was held until this moment, and what was done by it today was done by right.
const END = statement<never>(`update duty_assignment set ended_by = $2, ended_at = $3 where id = $1`)

/**
 * Ends a duty: `validTo` is its last day; left away, it ends at once, and `endedAt` says when. A duty is only ever shortened. For administrators everywhere.
 * @throws Refusal 404, 403 `PersonRequired`, 409 `DutyEnded`, `LastAdministrator`, or what the leaving gate says (R-ORG-3, R-TOOL-3), 422 `EndInThePast`, `EndOnlyEarlier`, `EndBeforeStart`
 */
export async function endDuty(
  ctx: Context,
  { username, id, validTo }: { username: string; id: number; validTo?: string | undefined }
): Promise<DutyView> {
  requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  return inTransaction(ctx, async (ctx) => {
    const person = await lockPerson(ctx, username)
    const [held] = await run(ctx.em, HELD, [id, person.id])
    if (held === undefined) throw notFound(`duty of ${username}`, String(id))
    requireEndable(ctx, held, validTo, 'DutyEnded')
    if (validTo !== undefined) await throughLeavingGate(ctx, () => run(ctx.em, SHORTEN, [id, validTo]))
    else {
      await throughLeavingGate(ctx, () => run(ctx.em, END, [id, ctx.actor.personId, ctx.clock.now().toString()]))
      if (held.duty === 'administrator') await requireAnotherAdministrator(ctx)
    }
    const view = await dutyView(ctx, id)
    await recordAudit(ctx, 'duty.ended', `person:${username}`, {
      dutyId: id,
      duty: view.duty,
      warehouse: view.warehouse,
      region: view.region,
      validTo: view.validTo,
      endedAt: view.endedAt
    })
    const { duty, warehouseId, regionId } = held
    await publishDuties(ctx, 'duty.ended', [{ id, personId: person.id, username, duty, warehouseId, regionId }])
    await identityChanged(ctx)
    return view
  })
}

/**
 * Refuses to end what is over, or to end it on a day that is past or later than it ends anyway.
 * @param wanted the new last day; undefined to end it at once
 * @throws Refusal 409 `endedCode`, 422 `EndInThePast`, `EndOnlyEarlier`, `EndBeforeStart`
 */
export function requireEndable(
  ctx: Context,
  { validFrom, validTo, endedAt }: { validFrom: string; validTo: string | null; endedAt: string | null },
  wanted: string | undefined,
  endedCode: string
): void {
  const today = ctx.clock.today()
  if (endedAt !== null) throw new Refusal(endedCode, 409, `this was ended at ${endedAt} already`)
  if (validTo !== null && validTo < today) throw new Refusal(endedCode, 409, `this ended on ${validTo} already`)
  if (wanted === undefined) return
  if (wanted < today)
    throw new Refusal(
      'EndInThePast',
      422,
      `the last day ${wanted} is past; give today (${today}) or later, or leave it away to end it at once`
    )
  if (wanted < validFrom)
    throw new Refusal(
      'EndBeforeStart',
      422,
      `this begins on ${validFrom}; give that day or later, or leave it away to take it back at once`
    )
  if (validTo !== null && wanted > validTo)
    throw new Refusal(
      'EndOnlyEarlier',
      422,
      `this ends on ${validTo}; it can only be ended earlier, assign it anew to prolong it`
    )
}
