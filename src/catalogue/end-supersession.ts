import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { CATALOGUE_DUTIES } from './catalogue.rights.ts'
import type { SupersessionView } from './catalogue.schemas.ts'
import { readPart } from './parts.queries.ts'
import { readSupersession } from './supersessions.queries.ts'

const END = statement<{ validFrom: string }>(`
update supersession
   set valid_to = $3
  from part old, part successor
 where old.id = supersession.part_id and successor.id = supersession.successor_id
   and old.number = $1 and successor.number = $2 and valid_from <= $3 and (valid_to is null or valid_to >= $3)
returning valid_from::text as "validFrom"`)

/**
 * Ends a supersession on a last day; the day itself is still covered.
 * @throws Refusal 404, 409 `SupersessionNotInForce`
 */
export async function endSupersession(
  ctx: Context,
  { number, successor, validTo = ctx.clock.today() }: { number: string; successor: string; validTo?: string }
): Promise<SupersessionView> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    await readPart(ctx, { number })
    const [ended] = await run(ctx.em, END, [number, successor, validTo])
    if (ended === undefined)
      throw new Refusal(
        'SupersessionNotInForce',
        409,
        `part ${successor} does not replace part ${number} on ${validTo}; GET the supersessions of the part for their days`
      )
    await recordAudit(ctx, 'supersession.ended', `part:${number}`, { successor, validTo })
    return readSupersession(ctx.em, { number, successor, validFrom: ended.validFrom })
  })
}
