import { requireDutyEverywhere, type Context } from './actor.ts'
import { requireAnotherAdministrator } from './administrators.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { dutyView } from './identity.queries.ts'
import type { DutyView } from './identity.schemas.ts'
import { lockPerson } from './lock-person.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'

const HELD = statement<{ duty: string; validFrom: string; validTo: string | null }>(`
select duty, valid_from::text as "validFrom", valid_to::text as "validTo" from duty_assignment where id = $1 and person_id = $2`)

const END = statement<never>(`
update duty_assignment set valid_to = greatest($2::date, valid_from - 1), ended_by = $3, ended_at = $4 where id = $1`)

/**
 * Ends a duty: `validTo` is its last day; left away, it ends at once. A duty is only ever shortened. For administrators everywhere.
 * @throws Refusal 404, 409 `DutyEnded`, `LastAdministrator`, 422 `EndInThePast`, `EndOnlyEarlier`
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
    const lastDay = lastDayOf(ctx, held, validTo, 'DutyEnded')
    await run(ctx.em, END, [id, lastDay, ctx.actor.personId, ctx.clock.now().toString()])
    if (held.duty === 'administrator' && lastDay < ctx.clock.today()) await requireAnotherAdministrator(ctx)
    const view = await dutyView(ctx, id)
    await recordAudit(ctx, 'duty.ended', `person:${username}`, {
      dutyId: id,
      duty: view.duty,
      warehouse: view.warehouse,
      region: view.region,
      validTo: view.validTo
    })
    await identityChanged(ctx)
    return view
  })
}

/**
 * The new last day of something held over days: yesterday if none is wanted, never in the past, never later than it is.
 * @throws Refusal 409 `endedCode`, 422 `EndInThePast`, `EndOnlyEarlier`
 */
export function lastDayOf(
  ctx: Context,
  { validTo: current }: { validTo: string | null },
  wanted: string | undefined,
  endedCode: string
): string {
  const today = ctx.clock.today()
  const yesterday = Temporal.PlainDate.from(today).subtract({ days: 1 }).toString()
  if (current !== null && current < today) throw new Refusal(endedCode, 409, `this ended on ${current} already`)
  if (wanted === undefined) return yesterday
  if (wanted < today)
    throw new Refusal(
      'EndInThePast',
      422,
      `the last day ${wanted} is past; give today (${today}) or later, or leave it away to end it at once`
    )
  if (current !== null && wanted > current)
    throw new Refusal(
      'EndOnlyEarlier',
      422,
      `this ends on ${current}; it can only be ended earlier, assign it anew to prolong it`
    )
  return wanted
}
