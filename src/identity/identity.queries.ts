import type { Context, WarehouseRef } from './actor.ts'
import { grantsToday, requireDutyEverywhere, requireSight } from './actor.ts'
import type { ApiKeyView, AuditEventView, DelegationView, DutyView, MeView, PersonView } from './identity.schemas.ts'
import { readCursor, pageFrom } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { directoryOf } from './directory.ts'

interface Page {
  limit?: number | undefined
  cursor?: string | undefined
}

/** A page, cut from rows that were asked for with one more than the limit. */
const LIMIT = 50

/** An instant as the API writes it. */
export const instant = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

// People

const PERSON = `
select username, name, language, email, active, password_hash is not null as "hasPassword", ${instant('locked_at')} as "lockedAt", locked_because as "lockedBecause", ${instant('created_at')} as "createdAt"
  from person`

const PERSON_VIEW = statement<PersonView>(`${PERSON} where username = $1 and id <> 0`)

const PEOPLE = statement<PersonView>(`${PERSON}
 where id <> 0
   and ($1::text is null or username > $1)
   and ($2::text is null or username ilike $2 or name ilike $2 or email ilike $2)
   and ($3::boolean is null or active = $3)
 order by username
 limit $4`)

/** Anybody reads what is known of themselves; others are an administrator's. */
export async function readPerson(ctx: Context, { username }: { username: string }): Promise<PersonView> {
  if (username !== ctx.actor.username) requireAdministratorToRead(ctx)
  return personView(ctx, username)
}

/** @throws Refusal 404 for an unknown person */
export async function personView(ctx: Context, username: string): Promise<PersonView> {
  const [person] = await run(ctx.em, PERSON_VIEW, [username])
  if (person === undefined) throw notFound('person', username)
  return person
}

/** People by user name; `search` finds any part of user name, name or e-mail address. */
export async function listPeople(
  ctx: Context,
  { search, active, limit = LIMIT, cursor }: { search?: string | undefined; active?: boolean | undefined } & Page
) {
  requireAdministratorToRead(ctx)
  const after = readCursor(cursor, 1)
  const pattern = search === undefined ? null : `%${search.replaceAll(/[\\%_]/g, '\\$&')}%`
  const rows = await run(ctx.em, PEOPLE, [after?.[0] ?? null, pattern, active ?? null, limit + 1])
  return pageFrom(rows, limit, ({ username }) => [username])
}

/** Reading what only administrators see; a read-only key may. */
export function requireAdministratorToRead(ctx: Context): void {
  requireDutyEverywhere(
    ctx.actor.readOnly ? (Object.create(ctx, { actor: { value: { ...ctx.actor, readOnly: false } } }) as Context) : ctx,
    'administrator'
  )
}

// Places. The tables belong to a room above this one; only their keys are read here.

const WAREHOUSE = statement<WarehouseRef>(`select id, code, region_id as "regionId" from warehouse where code = $1`)
const REGION = statement<{ id: number }>(`select id from region where code = $1`)

/** @throws Refusal 404 for an unknown warehouse */
export async function findWarehouse(ctx: Context, code: string): Promise<WarehouseRef> {
  const [warehouse] = await run(ctx.em, WAREHOUSE, [code])
  if (warehouse === undefined) throw notFound('warehouse', code)
  return warehouse
}

/** @throws Refusal 404 for an unknown region */
export async function findRegion(ctx: Context, code: string): Promise<number> {
  const [region] = await run(ctx.em, REGION, [code])
  if (region === undefined) throw notFound('region', code)
  return region.id
}

// Duties

const DUTY = `
select duty_assignment.id, person.username, person.name, duty, warehouse.code as warehouse, region.code as region,
       valid_from::text as "validFrom", valid_to::text as "validTo", ${instant('ended_at')} as "endedAt", assigner.username as "assignedBy"
  from duty_assignment
  join person on person.id = duty_assignment.person_id
  join person assigner on assigner.id = duty_assignment.assigned_by
  left join warehouse on warehouse.id = duty_assignment.warehouse_id
  left join region on region.id = duty_assignment.region_id`

const DUTY_VIEW = statement<DutyView>(`${DUTY} where duty_assignment.id = $1`)

const DUTIES_OF_PERSON = statement<DutyView>(`${DUTY}
 where person.username = $1
   and ($2::date is null or (valid_from <= $2 and (valid_to is null or valid_to >= $2) and (ended_at is null or (ended_at at time zone $5)::date >= $2)))
   and duty_assignment.id > $3
 order by duty_assignment.id
 limit $4`)

const DUTIES_OF_WAREHOUSE = statement<DutyView>(`${DUTY}
 where (warehouse_id = $1 or duty_assignment.region_id = $2 or (warehouse_id is null and duty_assignment.region_id is null))
   and valid_from <= $3 and (valid_to is null or valid_to >= $3)
   and (ended_at is null or $7 and (ended_at at time zone $6)::date >= $3)
   and person.active
   and duty_assignment.id > $4
 order by duty_assignment.id
 limit $5`)

export async function dutyView(ctx: Context, id: number): Promise<DutyView> {
  const [duty] = await run(ctx.em, DUTY_VIEW, [id])
  if (duty === undefined) throw notFound('duty', String(id))
  return duty
}

/** The duties of a person, past and future ones too; only those held `on` a day, if only for a part of it, if one is given. */
export async function listPersonDuties(
  ctx: Context,
  { username, on, limit = LIMIT, cursor }: { username: string; on?: string | undefined } & Page
) {
  await readPerson(ctx, { username })
  const rows = await run(ctx.em, DUTIES_OF_PERSON, [
    username,
    on ?? null,
    numberAfter(cursor),
    limit + 1,
    ctx.config.BUSINESS_TIME_ZONE
  ])
  return pageFrom(rows, limit, ({ id }) => [id])
}

/**
 * Who holds which duty for a warehouse, directly, through its region or everywhere (R-ORG-2): now, or `on` a day, if only for
 * a part of it.
 */
export async function listWarehouseDuties(
  ctx: Context,
  { warehouse: code, on, limit = LIMIT, cursor }: { warehouse: string; on?: string | undefined } & Page
) {
  const warehouse = await findWarehouse(ctx, code)
  requireSight(ctx, warehouse)
  const rows = await run(ctx.em, DUTIES_OF_WAREHOUSE, [
    warehouse.id,
    warehouse.regionId,
    on ?? ctx.clock.today(),
    numberAfter(cursor),
    limit + 1,
    ctx.config.BUSINESS_TIME_ZONE,
    on !== undefined
  ])
  return pageFrom(rows, limit, ({ id }) => [id])
}

/** Largest value of the 4-byte ids that lists go by. */
const LAST_ID = 2_147_483_647

function numberAfter(cursor: string | undefined): number {
  const [after] = readCursor(cursor, 1) ?? [0]
  if (typeof after !== 'number' || after < 0 || after > LAST_ID) throw unknownCursor()
  return after
}

const unknownCursor = () =>
  new Refusal(
    'CursorInvalid',
    400,
    'the cursor is not one this list gave out; leave it away to start at the first page'
  )

// Delegation

const DELEGATION = `
select delegation.id, absent.username as "from", deputy.username as "to", duty, valid_from::text as "validFrom", valid_to::text as "validTo",
       ${instant('ended_at')} as "endedAt", reason, delegator.username as "delegatedBy"
  from delegation
  join person absent on absent.id = delegation.from_person_id
  join person deputy on deputy.id = delegation.to_person_id
  join person delegator on delegator.id = delegation.delegated_by`

const DELEGATION_VIEW = statement<DelegationView>(`${DELEGATION} where delegation.id = $1`)

const DELEGATIONS = statement<DelegationView>(`${DELEGATION}
 where ($1::text is null or absent.username = $1 or deputy.username = $1)
   and ($2::int is null or delegation.from_person_id = $2 or delegation.to_person_id = $2)
   and delegation.id > $3
 order by delegation.id
 limit $4`)

export async function delegationView(ctx: Context, id: number): Promise<DelegationView> {
  const [delegation] = await run(ctx.em, DELEGATION_VIEW, [id])
  if (delegation === undefined) throw notFound('delegation', String(id))
  return delegation
}

/** Delegations from and to oneself; an administrator sees all. */
export async function listDelegations(
  ctx: Context,
  { person, limit = LIMIT, cursor }: { person?: string | undefined } & Page
) {
  const rows = await run(ctx.em, DELEGATIONS, [
    person ?? null,
    isAdministrator(ctx) ? null : ctx.actor.personId,
    numberAfter(cursor),
    limit + 1
  ])
  return pageFrom(rows, limit, ({ id }) => [id])
}

/** Whether the actor is administrator everywhere today. */
export const isAdministrator = (ctx: Context): boolean =>
  grantsToday(ctx).some(
    ({ duty, warehouseId, regionId }) => duty === 'administrator' && warehouseId === null && regionId === null
  )

// API keys

const API_KEY = `
select api_key.id, api_key.name, holder.username as person, access, to_json(duties) as duties,
       case when warehouse_ids is not null then
         (select coalesce(json_agg(warehouse.code order by warehouse.code), '[]') from warehouse where warehouse.id = any (warehouse_ids))
       end as warehouses,
       rate_limit_per_minute as "rateLimitPerMinute", issuer.username as "issuedBy",
       ${instant('issued_at')} as "issuedAt", ${instant('expires_at')} as "expiresAt",
       ${instant('revoked_at')} as "revokedAt", ${instant('last_used_at')} as "lastUsedAt"
  from api_key
  join person holder on holder.id = api_key.person_id
  join person issuer on issuer.id = api_key.issued_by`

const API_KEY_VIEW = statement<ApiKeyView>(
  `${API_KEY} where api_key.id = $1 and ($2::int is null or api_key.person_id = $2)`
)

const API_KEYS = statement<ApiKeyView>(`${API_KEY}
 where ($1::text is null or holder.username = $1)
   and ($2::int is null or api_key.person_id = $2)
   and ($3::text is null or api_key.id > $3)
 order by api_key.id
 limit $4`)

/** One's own keys; an administrator sees all. @throws Refusal 404 for an unknown or foreign key */
export async function readApiKey(ctx: Context, { id }: { id: string }): Promise<ApiKeyView> {
  const [key] = await run(ctx.em, API_KEY_VIEW, [id, isAdministrator(ctx) ? null : ctx.actor.personId])
  if (key === undefined) throw notFound('API key', id)
  return key
}

/** One's own keys; an administrator sees all. Never with a secret. */
export async function listApiKeys(
  ctx: Context,
  { person, limit = LIMIT, cursor }: { person?: string | undefined } & Page
) {
  const after = readCursor(cursor, 1)
  const rows = await run(ctx.em, API_KEYS, [
    person ?? null,
    isAdministrator(ctx) ? null : ctx.actor.personId,
    after === null ? null : String(after[0]),
    limit + 1
  ])
  return pageFrom(rows, limit, ({ id }) => [id])
}

// Oneself

const CODES = statement<{
  warehouses: Record<string, string> | null
  regions: Record<string, string> | null
  people: Record<string, string> | null
}>(`
select (select json_object_agg(id, code) from warehouse where id = any ($1)) as warehouses,
       (select json_object_agg(id, code) from region where id = any ($2)) as regions,
       (select json_object_agg(id, username) from person where id = any ($3)) as people`)

/** Who is asking, and the duties in force today. */
export async function readMe(ctx: Context): Promise<MeView> {
  const { actor } = ctx
  const person = await directoryOf(ctx.em).person(ctx.em, actor.personId)
  if (person === undefined) throw notFound('person', actor.username)
  const grants = grantsToday(ctx)
  const idsOf = (member: 'warehouseId' | 'regionId' | 'onBehalfOf') => [
    ...new Set(grants.flatMap((grant) => grant[member] ?? []))
  ]
  const [codes] = await run(ctx.em, CODES, [idsOf('warehouseId'), idsOf('regionId'), idsOf('onBehalfOf')])
  return {
    username: actor.username,
    name: person.name,
    language: person.language,
    credential: actor.isMachine ? 'api-key' : 'token',
    access: actor.readOnly ? 'read' : 'write',
    grants: grants.map(({ duty, warehouseId, regionId, validFrom, validTo, onBehalfOf }) => ({
      duty,
      warehouse: codes?.warehouses?.[String(warehouseId)] ?? null,
      region: codes?.regions?.[String(regionId)] ?? null,
      validFrom,
      validTo,
      onBehalfOf: codes?.people?.[String(onBehalfOf)] ?? null
    }))
  }
}

// Audit

const AUDIT_EVENTS = statement<AuditEventView>(`
select audit_event.id::text as id, ${instant('at')} as at, person.username as person, actor, action, subject, details
  from audit_event
  join person on person.id = audit_event.person_id
 where ($1::text is null or subject = $1)
   and ($2::text is null or person.username = $2)
   and ($3::bigint is null or audit_event.id < $3)
 order by audit_event.id desc
 limit $4`)

/** Who did what, the latest first. */
export async function listAuditEvents(
  ctx: Context,
  { subject, person, limit = LIMIT, cursor }: { subject?: string | undefined; person?: string | undefined } & Page
) {
  requireAdministratorToRead(ctx)
  const after = readCursor(cursor, 1)?.[0]
  if (after !== undefined && !/^[0-9]{1,18}$/.test(String(after))) throw unknownCursor()
  const rows = await run(ctx.em, AUDIT_EVENTS, [subject ?? null, person ?? null, after ?? null, limit + 1])
  return pageFrom(rows, limit, ({ id }) => [id])
}
