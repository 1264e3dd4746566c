import { randomBytes } from 'node:crypto'
import { requireDutyEverywhere, type Context, type Duty } from './actor.ts'
import { recordAudit } from './audit.ts'
import { hashSecret, identityChanged } from './directory.ts'
import { findWarehouse, readApiKey } from './identity.queries.ts'
import type { IssuedApiKeyView } from './identity.schemas.ts'
import { lockPerson } from './lock-person.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

export interface IssueApiKey {
  name: string
  /** For whom the key acts; oneself if left away. */
  person?: string | undefined
  access?: 'read' | 'write' | undefined
  duties?: Duty[] | undefined
  /** Codes. */
  warehouses?: string[] | undefined
  /** Last day of use in the business time zone. */
  expiresOn: string
  rateLimitPerMinute?: number | undefined
}

const LONGEST_YEARS = 2

const ISSUE = statement<never>(`
insert into api_key (id, secret_hash, name, person_id, access, duties, warehouse_ids, rate_limit_per_minute, issued_by, issued_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, ($11::date + 1)::timestamp at time zone $12)`)

/**
 * Issues a key for a machine. It acts for one person with at most that person's rights on the day, cut down to the duties and warehouses
 * named here; it never signs. The secret is in this answer only. People issue keys for themselves, an administrator for others.
 * @throws Refusal 403 `PersonRequired`, 422 `ExpiryInThePast`, `ExpiryTooFar`
 */
export async function issueApiKey(
  ctx: Context,
  {
    name,
    person: username = ctx.actor.username,
    access = 'read',
    duties,
    warehouses,
    expiresOn,
    rateLimitPerMinute
  }: IssueApiKey
): Promise<IssuedApiKeyView> {
  requirePerson(ctx)
  if (username !== ctx.actor.username) requireDutyEverywhere(ctx, 'administrator')
  const today = Temporal.PlainDate.from(ctx.clock.today())
  const latest = today.add({ years: LONGEST_YEARS }).toString()
  if (expiresOn < today.toString())
    throw new Refusal(
      'ExpiryInThePast',
      422,
      `${expiresOn} is past; the last day of a key is today (${today.toString()}) or later`
    )
  if (expiresOn > latest)
    throw new Refusal(
      'ExpiryTooFar',
      422,
      `a key lasts at most ${LONGEST_YEARS} years, to ${latest}; issue a new one before it ends`
    )
  return inTransaction(ctx, async (ctx) => {
    const person = await lockPerson(ctx, username)
    if (!person.active) throw new Refusal('PersonInactive', 422, `${username} is inactive; no key acts for them`)
    const warehouseIds: number[] = []
    for (const code of warehouses ?? []) warehouseIds.push((await findWarehouse(ctx, code)).id)
    const id = randomBytes(6).toString('hex')
    const secret = randomBytes(32).toString('base64url')
    await run(ctx.em, ISSUE, [
      id,
      hashSecret(secret).toString('hex'),
      name,
      person.id,
      access,
      duties ?? null,
      warehouses === undefined ? null : warehouseIds,
      rateLimitPerMinute ?? null,
      ctx.actor.personId,
      ctx.clock.now().toString(),
      expiresOn,
      ctx.config.BUSINESS_TIME_ZONE
    ])
    await recordAudit(ctx, 'api-key.issued', `api-key:${id}`, {
      name,
      person: username,
      access,
      duties: duties ?? null,
      warehouses: warehouses ?? null,
      expiresOn
    })
    await identityChanged(ctx)
    return { ...(await readApiKey(ctx, { id })), key: `bck_${id}_${secret}` }
  })
}
