import { randomBytes } from 'node:crypto'
import { DUTY_NAMES, requireDutyEverywhere, type Context, type Duty, type Grant, type WarehouseRef } from './actor.ts'
import { recordAudit } from './audit.ts'
import { directoryOf, hashSecret, identityChanged } from './directory.ts'
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
 * A key for what the person does not hold would do nothing, and is refused.
 * @throws Refusal 403 `PersonRequired`, 422 `ExpiryInThePast`, `ExpiryTooFar`, `DutyNotHeld`, `WarehouseNotHeld`
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
    const places: WarehouseRef[] = []
    for (const code of warehouses ?? []) places.push(await findWarehouse(ctx, code))
    const grants = (await directoryOf(ctx.em).person(ctx.em, person.id))?.actor.grants ?? []
    requireHeld(
      username,
      grants.filter(({ validTo }) => validTo === null || validTo >= today.toString()),
      duties,
      warehouses && places
    )
    const id = randomBytes(6).toString('hex')
    const secret = randomBytes(32).toString('base64url')
    await run(ctx.em, ISSUE, [
      id,
      hashSecret(secret).toString('hex'),
      name,
      person.id,
      access,
      duties ?? null,
      warehouses === undefined ? null : places.map((place) => place.id),
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

/**
 * Refuses duties and warehouses that the key would name in vain, today and later.
 * @param grants what the person holds now or will hold, delegated duties too
 * @throws Refusal 422 `DutyNotHeld`, `WarehouseNotHeld`
 */
function requireHeld(
  username: string,
  grants: Grant[],
  duties: Duty[] | undefined,
  warehouses: WarehouseRef[] | undefined
): void {
  const inPlace = ({ warehouseId, regionId }: Grant, { id, regionId: region }: WarehouseRef) =>
    (warehouseId ?? id) === id && (regionId ?? region) === region
  const usable = grants.filter(
    (grant) =>
      (duties?.includes(grant.duty) ?? true) && (warehouses?.some((warehouse) => inPlace(grant, warehouse)) ?? true)
  )
  for (const duty of duties ?? []) {
    if (usable.some((grant) => grant.duty === duty)) continue
    const held = [...new Set(grants.map((grant) => grant.duty))]
    throw new Refusal(
      'DutyNotHeld',
      422,
      `${username} does not hold the duty ${duty} (${DUTY_NAMES[duty]})${warehouses === undefined ? '' : ' in any of these warehouses'}; the person holds ${held.join(', ') || 'none'}`,
      { errors: [{ pointer: '/duties', detail: 'is not held by the person', sent: duty, accepted: held }] }
    )
  }
  for (const warehouse of warehouses ?? []) {
    if (usable.some((grant) => inPlace(grant, warehouse))) continue
    throw new Refusal(
      'WarehouseNotHeld',
      422,
      `${username} holds ${duties === undefined ? 'no duty' : `none of the duties ${duties.join(', ')}`} for warehouse ${warehouse.code}; leave it away, or have the duty assigned first`,
      { errors: [{ pointer: '/warehouses', detail: 'the person holds no such duty there', sent: warehouse.code }] }
    )
  }
}
