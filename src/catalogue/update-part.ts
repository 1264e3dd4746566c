import { LockMode } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { notFound } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { Part } from './catalogue.entities.ts'
import { CATALOGUE_DUTIES } from './catalogue.rights.ts'
import type { PartView, UpdatePart } from './catalogue.schemas.ts'
import { requireExchange } from './exchange-part.ts'
import { readPart } from './parts.queries.ts'

/**
 * Changes what is known of a part. Number and stock unit never change: slips and balances go by them.
 * @throws Refusal 404, 412 `VersionStale`, 422 `NotAnExchangePart`
 */
export async function updatePart(
  ctx: Context,
  { number, ifMatch, change }: { number: string; ifMatch?: string | undefined; change: UpdatePart }
): Promise<PartView> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const part = await ctx.em.findOne(Part, { number }, { lockMode: LockMode.PESSIMISTIC_WRITE })
    if (part === null) throw notFound('part', number)
    requireMatch(ifMatch, part.version)
    ctx.em.assign(part, { ...change, version: part.version + 1 })
    const { exchangeDueDays = null, oldPartValue = null, serialised } = part
    requireExchange(number, { exchangeDueDays, oldPartValue, serialised })
    if (exchangeDueDays === null) part.exchangeSince = null
    else part.exchangeSince ??= new Date(ctx.clock.now().epochMilliseconds)
    await ctx.em.flush()
    await recordAudit(ctx, 'part.updated', `part:${number}`, change)
    return readPart(ctx, { number })
  })
}
