import { createHash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { Client } from 'pg'
import type { EntityManager } from '@mikro-orm/postgresql'
import type { FastifyBaseLogger } from 'fastify'
import type { Actor, Context, Duty, Grant } from './actor.ts'
import type { Runtime } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'

// Who acts, kept in the process for a few seconds so that an ordinary request asks the database nothing about its caller.
//
// A write of this room empties the cache of its own process when it is done and tells the others by NOTIFY on commit.
// What is missed while the listening connection is away is at most CACHE_SECONDS old.

const CACHE_SECONDS = 10
const CACHED_PEOPLE = 20_000
const CHANNEL = 'identity_changed'

/** Writes without a person behind them are recorded under the person `system`, id 0 of the first migration. */
export const SYSTEM_PERSON_ID = 0

/** Acts where nobody could have signed in yet: the first administrator, loading the sample, jobs. Never signs. */
export const systemActor: Actor = {
  key: 'system',
  personId: SYSTEM_PERSON_ID,
  username: 'system',
  language: 'en',
  grants: [
    {
      duty: 'administrator',
      warehouseId: null,
      regionId: null,
      validFrom: '0001-01-01',
      validTo: null,
      onBehalfOf: null
    }
  ],
  isMachine: true,
  readOnly: false
}

/** The caller of an operation that needs no credentials. The empty key keeps it out of idempotency. */
export const anonymousActor: Actor = {
  key: '',
  personId: SYSTEM_PERSON_ID,
  username: '',
  language: 'en',
  grants: [],
  isMachine: true,
  readOnly: true
}

interface Known {
  id: number
  username: string
  name: string
  language: 'zh' | 'en'
  active: boolean
  /** By an administrator: nothing the person signs in with is taken. */
  locked: boolean
  /** Milliseconds since 1970; access tokens from before are refused. */
  tokensValidFrom: number
  grants: Grant[]
}

/** A person as the cache holds it. */
export interface CachedPerson extends Omit<Known, 'grants'> {
  actor: Actor
}

/** An API key as the cache holds it. */
export interface CachedKey {
  id: string
  secretHash: Buffer
  personId: number
  access: 'read' | 'write'
  duties: Duty[] | null
  warehouses: { id: number; regionId: number }[] | null
  rateLimitPerMinute: number | null
  expiresAt: number
  revoked: boolean
  lastUsedAt: number
  /** The actor made of `madeFor` and this key's limits. */
  actor?: Actor
  madeFor?: CachedPerson
}

// Duties of all days: which of them are in force is decided against the clock of each request. What was ended at once is
// no longer among them.
const PERSON = `
select person.id, person.username, person.name, person.language, person.active, person.locked_at is not null as locked,
       coalesce(floor(extract(epoch from person.tokens_valid_from) * 1000), 0)::float8 as "tokensValidFrom",
       coalesce((
         select json_agg(held)
           from (select own.duty, own.warehouse_id as "warehouseId", own.region_id as "regionId",
                        own.valid_from as "validFrom", own.valid_to as "validTo", null::int as "onBehalfOf"
                   from duty_assignment own
                  where own.person_id = person.id and own.ended_at is null
                  union all
                 select own.duty, own.warehouse_id, own.region_id,
                        greatest(own.valid_from, delegation.valid_from), least(own.valid_to, delegation.valid_to), delegation.from_person_id
                   from delegation
                   join person absent on absent.id = delegation.from_person_id and absent.active
                   join duty_assignment own on own.person_id = delegation.from_person_id and (delegation.duty is null or own.duty = delegation.duty)
                  where delegation.to_person_id = person.id and delegation.ended_at is null and own.ended_at is null
                    and own.valid_from <= delegation.valid_to and (own.valid_to is null or own.valid_to >= delegation.valid_from)) held
       ), '[]') as grants
  from person`

const PERSON_BY_ID = statement<Known>(`${PERSON} where person.id = $1`)
const PERSON_BY_USERNAME = statement<Known>(`${PERSON} where person.username = $1`)

const KEY_BY_ID = statement<{
  id: string
  secretHash: string
  personId: number
  access: 'read' | 'write'
  duties: Duty[] | null
  warehouses: { id: number; regionId: number }[] | null
  rateLimitPerMinute: number | null
  expiresAt: string
  revoked: boolean
  lastUsedAt: string | null
}>(`
select api_key.id, secret_hash as "secretHash", person_id as "personId", access, to_json(duties) as duties,
       case when warehouse_ids is not null then
         (select coalesce(json_agg(json_build_object('id', warehouse.id, 'regionId', warehouse.region_id)), '[]') from warehouse where warehouse.id = any (warehouse_ids))
       end as warehouses,
       rate_limit_per_minute as "rateLimitPerMinute", extract(epoch from expires_at)::text as "expiresAt",
       revoked_at is not null as revoked, extract(epoch from last_used_at)::text as "lastUsedAt"
  from api_key where api_key.id = $1`)

const KEY_USED = statement<never>(`update api_key set last_used_at = $2 where id = $1`)

const TELL = statement<never>(`select pg_notify('${CHANNEL}', '')`)

const ABSENT = Symbol('no such person or key')

/** People and API keys of one database, as this process knows them. */
export class Directory {
  // A load that was under way while something changed must not be kept: it may have read the state before.
  #generation = 0
  readonly #people = new LRUCache<number, CachedPerson>({ max: CACHED_PEOPLE, ttl: CACHE_SECONDS * 1000 })
  readonly #ids = new LRUCache<string, number>({ max: CACHED_PEOPLE, ttl: CACHE_SECONDS * 1000 })
  readonly #keys = new LRUCache<string, CachedKey | typeof ABSENT>({ max: CACHED_PEOPLE, ttl: CACHE_SECONDS * 1000 })

  /** Forgets everything: the next request of everybody reads afresh. */
  evict(): void {
    this.#generation++
    this.#people.clear()
    this.#ids.clear()
    this.#keys.clear()
  }

  /** A person without asking the database; undefined if it has to be asked. */
  cached(personId: number): CachedPerson | undefined {
    return this.#people.get(personId)
  }

  async person(em: EntityManager, personId: number): Promise<CachedPerson | undefined> {
    return this.#people.get(personId) ?? this.#keep(this.#generation, await run(em, PERSON_BY_ID, [personId]))
  }

  async personCalled(em: EntityManager, username: string): Promise<CachedPerson | undefined> {
    const id = this.#ids.get(username)
    return (
      (id === undefined ? undefined : this.#people.get(id)) ??
      this.#keep(this.#generation, await run(em, PERSON_BY_USERNAME, [username]))
    )
  }

  #keep(generation: number, [known]: Known[]): CachedPerson | undefined {
    if (known === undefined) return undefined
    const { grants, ...rest } = known
    const person = {
      ...rest,
      actor: {
        key: `person:${known.id}`,
        personId: known.id,
        username: known.username,
        language: known.language,
        grants,
        isMachine: false,
        readOnly: false
      }
    }
    if (generation === this.#generation) {
      this.#people.set(person.id, person)
      this.#ids.set(person.username, person.id)
    }
    return person
  }

  /** The API key with this id if the secret fits; neither expiry nor revocation is looked at. */
  async key(em: EntityManager, id: string, secret: string): Promise<CachedKey | undefined> {
    let key = this.#keys.get(id)
    if (key === undefined) {
      const generation = this.#generation
      const [row] = await run(em, KEY_BY_ID, [id])
      key =
        row === undefined
          ? ABSENT
          : {
              ...row,
              secretHash: Buffer.from(row.secretHash, 'hex'),
              expiresAt: Number(row.expiresAt) * 1000,
              lastUsedAt: Number(row.lastUsedAt ?? 0) * 1000
            }
      if (generation === this.#generation) this.#keys.set(id, key)
    }
    return key !== ABSENT && timingSafeEqual(hashSecret(secret), key.secretHash) ? key : undefined
  }

  /** Notes that a key is in use, at most once a minute. */
  async noteUse(em: EntityManager, key: CachedKey, now: Temporal.Instant): Promise<void> {
    if (now.epochMilliseconds - key.lastUsedAt < 60_000) return
    key.lastUsedAt = now.epochMilliseconds
    await run(em, KEY_USED, [key.id, now.toString()])
  }
}

/** High-entropy secrets need no salt and no slow hash. */
export const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** The actor of an API key: its person's grants, cut down to the key's duties and warehouses. */
export function actorOfKey(key: CachedKey, person: CachedPerson): Actor {
  if (key.actor !== undefined && key.madeFor === person) return key.actor
  const grants = person.actor.grants
    .filter(({ duty }) => key.duties?.includes(duty) ?? true)
    .flatMap((grant) => narrow(grant, key.warehouses))
  key.madeFor = person
  key.actor = {
    key: `api-key:${key.id}`,
    personId: person.id,
    username: person.username,
    language: person.language,
    grants,
    isMachine: true,
    readOnly: key.access === 'read'
  }
  return key.actor
}

function narrow(grant: Grant, warehouses: CachedKey['warehouses']): Grant[] {
  if (warehouses === null) return [grant]
  return warehouses
    .filter(({ id, regionId }) => (grant.warehouseId ?? id) === id && (grant.regionId ?? regionId) === regionId)
    .map(({ id }) => ({ ...grant, warehouseId: id, regionId: null }))
}

// One directory per database configuration: every unit of work of a process shares it, wherever it was forked.
const directories = new WeakMap<object, Directory>()

export function directoryOf(em: EntityManager): Directory {
  let directory = directories.get(em.config)
  if (directory === undefined) directories.set(em.config, (directory = new Directory()))
  return directory
}

/**
 * Called by every verb of this room inside its transaction: this process forgets at once, the others on commit.
 * The listening connection brings the notice to this process too, which covers a transaction around the verb.
 */
export async function identityChanged(ctx: Context): Promise<void> {
  await run(ctx.em, TELL, [])
  directoryOf(ctx.em).evict()
}

/**
 * The actor of a person, for calling verbs in process (command line, sample, replay, tests).
 * @throws Refusal 404 for an unknown or inactive person
 */
export async function actorOf(from: Runtime | EntityManager, username: string): Promise<Actor> {
  const em = 'database' in from ? (from.database.orm.em.fork() as EntityManager) : from
  const person = await directoryOf(em).personCalled(em, username)
  if (person === undefined || !person.active) throw notFound('active person', username)
  return person.actor
}

/** The same context in somebody else's name. */
export const actingAs = (ctx: Context, actor: Actor): Context =>
  Object.create(ctx, { actor: { value: actor, enumerable: true } }) as Context

const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000]

/**
 * Listens for changes that other processes make, on one connection outside the pool; connects again when it is lost.
 * Everything is forgotten on each connection, because notices may have been missed before it.
 * @returns what ends it
 */
export function listenForChanges({ database }: Runtime, log: FastifyBaseLogger): () => Promise<void> {
  const directory = directoryOf(database.orm.em)
  let client: Client | undefined
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  let failures = 0

  const again = () => {
    if (isOver || timer !== undefined) return
    timer = setTimeout(
      () => {
        timer = undefined
        void connect()
      },
      RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]
    )
    timer.unref()
  }
  const connect = async () => {
    const attempt = new Client({ ...connectionOptions(database), keepAlive: true })
    client = attempt
    attempt.on('error', (err) =>
      log.debug({ err }, 'the connection that listens for changes of people and duties was lost')
    )
    attempt.on('end', again)
    attempt.on('notification', () => directory.evict())
    try {
      await attempt.connect()
      await attempt.query(`listen ${CHANNEL}`)
      failures = 0
      directory.evict()
    } catch (err) {
      if (!isOver) log.warn({ err }, 'cannot listen for changes of people and duties; trying again')
      await attempt.end().catch(() => undefined)
      again()
    }
  }
  const connecting = connect()
  return async () => {
    isOver = true
    clearTimeout(timer)
    await Promise.race([connecting, client?.end().catch(() => undefined)])
    await client?.end().catch(() => undefined)
  }
}

// The pool hides the password from enumeration; a spread would lose it.
const connectionOptions = ({ pool }: Runtime['database']) => ({
  ...pool.options,
  password: pool.options.password,
  application_name: 'bincard identity'
})
