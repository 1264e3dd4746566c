import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { CATALOGUE_DUTIES } from './catalogue.rights.ts'
import type { CreatePart, PartView } from './catalogue.schemas.ts'
import { requireExchange } from './exchange-part.ts'
import { readPart } from './parts.queries.ts'

const INSERT = statement<{ id: number }>(`
insert into part (number, name, name_zh, specification, colour, unit, category, standard_cost, list_price, criticality, lead_time_days, pack_size, controlled, active, exchange_due_days, old_part_value,
                  serialised, exchange_since)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, case when $15::int is not null then $18::timestamptz end)
on conflict do nothing
returning id`)

const TAKEN = statement<{ number: string }>(`select number from part where upper(number) = upper($1)`)

/**
 * Adds a part to the catalogue (R-CAT-1).
 * @throws Refusal 409 `PartNumberTaken`, 422 `NotAnExchangePart`
 */
export async function createPart(ctx: Context, part: CreatePart): Promise<PartView> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  const exchange = {
    exchangeDueDays: part.exchangeDueDays ?? null,
    oldPartValue: part.oldPartValue ?? null,
    serialised: part.serialised ?? false
  }
  requireExchange(part.number, exchange)
  return inTransaction(ctx, async (ctx) => {
    const [created] = await run(ctx.em, INSERT, [
      part.number,
      part.name,
      part.nameZh ?? null,
      part.specification ?? null,
      part.colour ?? null,
      part.unit ?? 'piece',
      part.category ?? null,
      part.standardCost ?? null,
      part.listPrice ?? null,
      part.criticality ?? null,
      part.leadTimeDays ?? null,
      part.packSize ?? null,
      part.controlled ?? false,
      part.active ?? true,
      exchange.exchangeDueDays,
      exchange.oldPartValue,
      exchange.serialised,
      ctx.clock.now().toString()
    ])
    if (created === undefined) {
      const [taken] = await run(ctx.em, TAKEN, [part.number])
      throw new Refusal(
        'PartNumberTaken',
        409,
        `part ${taken?.number ?? part.number} exists already${taken === undefined || taken.number === part.number ? '' : ', and numbers differ by more than upper and lower case'}; change it with PATCH or choose another number`
      )
    }
    await recordAudit(ctx, 'part.created', `part:${part.number}`, part)
    return readPart(ctx, part)
  })
}
