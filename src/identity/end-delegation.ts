import { requireDutyEverywhere, type Context } from './actor.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { lastDayOf } from './end-duty.ts'
import { delegationView, isAdministrator } from './identity.queries.ts'
import type { DelegationView } from './identity.schemas.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'

const LOCK = statement<{ fromPersonId: number; toPersonId: number; validTo: string }>(`
select from_person_id as "fromPersonId", to_person_id as "toPersonId", valid_to::text as "validTo" from delegation where id = $1 for update`)

const END = statement<never>(`
update delegation set valid_to = greatest($2::date, valid_from - 1), ended_by = $3, ended_at = $4 where id = $1`)

/**
 * Ends standing in early, at once or on a day: by the absent person, by who stands in, or by an administrator.
 * @throws Refusal 404 also for a foreign one, 409 `DelegationEnded`, 422 `EndInThePast`, `EndOnlyEarlier`
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
    await run(ctx.em, END, [
      id,
      lastDayOf(ctx, delegation, validTo, 'DelegationEnded'),
      ctx.actor.personId,
      ctx.clock.now().toString()
    ])
    const view = await delegationView(ctx, id)
    await recordAudit(ctx, 'delegation.ended', `person:${view.from}`, {
      delegationId: id,
      to: view.to,
      validTo: view.validTo
    })
    await identityChanged(ctx)
    return view
  })
}
