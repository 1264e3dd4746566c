import { requireDutyEverywhere, type Context } from './actor.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { publishDelegation } from './duty-events.ts'
import { requireEndable } from './end-duty.ts'
import { delegationView, instant, isAdministrator } from './identity.queries.ts'
import type { DelegationView } from './identity.schemas.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'

const LOCK = statement<{
  fromPersonId: number
  toPersonId: number
  validFrom: string
  validTo: string
  endedAt: string | null
}>(`
select from_person_id as "fromPersonId", to_person_id as "toPersonId", valid_from::text as "validFrom", valid_to::text as "validTo",
       ${instant('ended_at')} as "endedAt"
  from delegation where id = $1 for update`)

const SHORTEN = statement<never>(`update delegation set valid_to = $2 where id = $1`)

// The days stay: whoever stood in until this moment did so by right.
const END = statement<never>(`update delegation set ended_by = $2, ended_at = $3 where id = $1`)

/**
 * Ends standing in early, at once or on a day: by the absent person, by who stands in, or by an administrator.
 * @throws Refusal 404 also for a foreign one, 409 `DelegationEnded`, 422 `EndInThePast`, `EndOnlyEarlier`, `EndBeforeStart`
 */
export async function endDelegation(
  ctx: Context,
  { id, validTo }: { id: number; validTo?: string | undefined }
): Promise<DelegationView> {
  return inTransaction(ctx, async (ctx) => {
    const [delegation] = await run(ctx.em, LOCK, [id])
    const isTheirs =
      delegation !== undefined && [delegation.fromPersonId, delegation.toPersonId].includes(ctx.actor.personId)
    if (delegation === undefined || (!isTheirs && !isAdministrator(ctx))) throw notFound('delegation', String(id))
    if (!isTheirs) requireDutyEverywhere(ctx, 'administrator')
    requirePerson(ctx)
    requireEndable(ctx, delegation, validTo, 'DelegationEnded')
    if (validTo !== undefined) await run(ctx.em, SHORTEN, [id, validTo])
    else await run(ctx.em, END, [id, ctx.actor.personId, ctx.clock.now().toString()])
    const view = await delegationView(ctx, id)
    await recordAudit(ctx, 'delegation.ended', `person:${view.from}`, {
      delegationId: id,
      to: view.to,
      validTo: view.validTo,
      endedAt: view.endedAt
    })
    await publishDelegation(ctx, 'delegation.ended', {
      id,
      personId: delegation.fromPersonId,
      username: view.from,
      deputy: view.to,
      duty: view.duty
    })
    await identityChanged(ctx)
    return view
  })
}
