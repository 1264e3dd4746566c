// Sends what is due to one endpoint.
//
// A delivery is due if and only if it waits, its next attempt is not in the future, and no earlier one of the same subject waits for a
// later attempt: what happens to one slip arrives in the order in which it happened. The endpoint is on and does not rest.
// - One pump per endpoint at a time, by a lease on its row; one that was killed loses it after a minute, and what it had sent and not
//   yet written down is sent again under the same webhook-id, by which receivers drop it.
// - Several subjects are sent at once, the events of one after each other. The bookkeeping of a batch is one statement.
// - A pump ends after ten seconds and has itself started anew, so that nobody waits behind an endpoint with much to be sent.
// - After five failures in a row the endpoint rests, and then gets a single one until something arrives: what is down is not hammered,
//   and the rest of its deliveries keep their attempts.
// What it does not do: start itself when something becomes due later. The sweep does, and the retries of the next minute are announced.
// A second pump finds the lease taken, or nothing due, and changes nothing.
import { randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { senderOf, type Sender } from './agent.ts'
import { sendMessage, type Answer } from './send-message.ts'
import { endpointsDue } from './webhook-due.ts'

/** Seconds until the next attempt after the first failure, the second, …; about a day in all. */
export const RETRY_SECONDS = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800] as const
/** A receiver may ask for more by Retry-After, so much at most. */
const MOST_RETRY_AFTER_SECONDS = 3_600
/** So many failures in a row make an endpoint rest. */
export const FAILURES_UNTIL_REST = 5
const REST_SECONDS = { least: 10, most: 300 }
/** An endpoint is disabled when a delivery is given up and nothing has arrived for so long. */
export const DISABLED_AFTER = { hours: 72 }

const BATCH = 100
const AT_ONCE = 16
/** Nothing is begun later than this after the start of its batch, so that a batch ends well before the lease does. */
const BATCH_MS = 10_000
const PUMP_MS = 10_000
const LEASE = `clock_timestamp() + interval '60 seconds'`

const CLAIM = statement<{ id: string }>(`
update webhook_endpoint set lease = $2, leased_until = ${LEASE}
 where id = $1::bigint and active and (rest_until is null or rest_until <= $3) and (leased_until is null or leased_until < clock_timestamp())
returning id::text as id`)
const RELEASE = statement<never>(
  `update webhook_endpoint set lease = null, leased_until = null where id = $1::bigint and lease = $2`
)

/** Of deliveries `d` to an endpoint `e`, at an instant. */
const isDue = (at: string): string => `d.endpoint_id = e.id and d.state = 'waiting' and d.next_attempt_at <= ${at}
   and not exists (select 1 from webhook_delivery ahead
                    where ahead.endpoint_id = d.endpoint_id and ahead.state = 'waiting' and ahead.subject = d.subject
                      and ahead.message_id < d.message_id and ahead.next_attempt_at > ${at})`
const isReady = (at: string): string => `e.active and (e.rest_until is null or e.rest_until <= ${at})`

const IS_DUE = statement<{ isDue: boolean }>(`
select exists (select 1 from webhook_endpoint e join webhook_delivery d on ${isDue('$2')} where e.id = $1::bigint and ${isReady('$2')}) as "isDue"`)

interface Due {
  url: string
  secret: string
  oldSecret: string | null
  failures: number
  failingSince: string | null
  /** Null in the one row of an endpoint for which nothing is due. */
  message: string | null
  subject: string
  attempts: number
  key: string
  body: string
}

const TAKE = statement<Due>(`
with e as (
  update webhook_endpoint e set leased_until = ${LEASE}
   where e.id = $1::bigint and e.lease = $2 and ${isReady('$3')}
  returning e.id, e.url, e.secret, case when e.old_secret_until > $3 then e.old_secret end as old_secret, e.failures, e.failing_since
)
select e.url, e.secret, e.old_secret as "oldSecret", e.failures, e.failing_since as "failingSince",
       d.message_id::text as message, d.subject, d.attempts, m.key, m.body
  from e
  left join lateral (
    select d.message_id, d.subject, d.attempts from webhook_delivery d where ${isDue('$3')}
     order by d.message_id limit case when e.failures >= ${FAILURES_UNTIL_REST} then 1 else $4::int end
  ) d on true
  left join webhook_message m on m.id = d.message_id
 order by d.message_id`)

// The delivery is what it was when it was taken, or it was sent anew meanwhile and waits for that. What an endpoint is judged by was said
// at its URL: one that was sent elsewhere meanwhile begins anew.
const RECORD = statement<never>(`
with done as (
  select * from unnest($2::bigint[], $3::timestamptz[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
                as done (message_id, at, milliseconds, status, problem, response, state, next_attempt_at)
), logged as (
  insert into webhook_attempt (endpoint_id, message_id, at, milliseconds, status, problem, response)
  select d.endpoint_id, done.message_id, done.at, done.milliseconds, done.status, done.problem, done.response
    from done join webhook_delivery d on d.endpoint_id = $1::bigint and d.message_id = done.message_id
), settled as (
  update webhook_delivery d
     set state = done.state, attempts = d.attempts + 1, next_attempt_at = done.next_attempt_at,
         settled_at = case when done.state <> 'waiting' then done.at end
    from done where d.endpoint_id = $1::bigint and d.message_id = done.message_id and d.state = 'waiting'
)
update webhook_endpoint e
   set failures = $10, failing_since = $11, rest_until = $12, active = e.active and $13::text is null,
       disabled_because = coalesce($13::text, e.disabled_because), disabled_at = case when $13::text is null then e.disabled_at else $14::timestamptz end
 where e.id = $1::bigint and e.url = $15 and ((e.failures, e.failing_since, e.rest_until) is distinct from ($10::int, $11::timestamptz, $12::timestamptz) or $13::text is not null)`)

interface Sent {
  delivery: Due & { message: string }
  at: Temporal.Instant
  answer: Answer
}

/** What a pump did. */
export interface Delivered {
  delivered: number
  failed: number
}

/**
 * Sends what is due to an endpoint, until nothing is or ten seconds are over.
 * @param sender only tests give another than that of the configuration
 * @returns undefined where there was nothing to do: the endpoint is off, rests, or has its pump
 */
export async function deliverDue(
  ctx: Context,
  { endpoint }: { endpoint: string },
  sender: Sender = senderOf(ctx.config)
): Promise<Delivered | undefined> {
  const started = performance.now()
  const total = { delivered: 0, failed: 0 }
  let retryAt: Temporal.Instant | undefined
  let isOver = false
  do {
    const lease = randomUUID()
    const claimed = await run(ctx, CLAIM, [endpoint, lease, ctx.clock.now().toString()])
    if (claimed.length === 0) break
    try {
      for (;;) {
        const round = await deliverBatch(ctx, { endpoint, lease, sender })
        if (round === undefined) break
        total.delivered += round.delivered
        total.failed += round.failed
        if (round.retryAt !== undefined) retryAt = earlier(retryAt, round.retryAt)
        if (round.rests) break
        isOver = performance.now() - started > PUMP_MS
        if (isOver) break
      }
    } finally {
      await run(ctx, RELEASE, [endpoint, lease])
    }
    // What became due after the last look found the lease taken, and relies on whoever held it.
  } while (!isOver && (await isSomethingDue(ctx, endpoint)))
  if (isOver && (await isSomethingDue(ctx, endpoint))) await endpointsDue(ctx, [endpoint])
  else if (retryAt !== undefined) {
    const delayMs = retryAt.since(ctx.clock.now()).total('milliseconds')
    // The sweep of each minute finds what is due later.
    if (delayMs < 60_000) await endpointsDue(ctx, [endpoint], Math.max(0, Math.ceil(delayMs)))
  }
  return total.delivered + total.failed === 0 ? undefined : total
}

const earlier = (a: Temporal.Instant | undefined, b: Temporal.Instant): Temporal.Instant =>
  a === undefined || Temporal.Instant.compare(b, a) < 0 ? b : a

async function isSomethingDue(ctx: Context, endpoint: string): Promise<boolean> {
  const [found] = await run(ctx, IS_DUE, [endpoint, ctx.clock.now().toString()])
  return found?.isDue ?? false
}

interface Round extends Delivered {
  /** When the first of those that failed is tried again. */
  retryAt: Temporal.Instant | undefined
  rests: boolean
}

/** Sends one batch and writes down how it went; undefined if nothing is due. */
async function deliverBatch(
  ctx: Context,
  { endpoint, lease, sender }: { endpoint: string; lease: string; sender: Sender }
): Promise<Round | undefined> {
  const rows = await run(ctx, TAKE, [endpoint, lease, ctx.clock.now().toString(), BATCH])
  const due = rows.filter((row): row is Sent['delivery'] => row.message !== null)
  const [first] = due
  if (first === undefined) return undefined
  const health = { failures: first.failures, failingSince: first.failingSince }
  const sent = await sendAll(ctx, due, health, sender)
  const outcomes = sent.map((one) => ({ ...one, ...outcomeOf(one) }))
  const now = ctx.clock.now()
  const restUntil = restOf(outcomes, health.failures, now)
  await run(ctx, RECORD, [
    endpoint,
    outcomes.map(({ delivery }) => delivery.message),
    outcomes.map(({ at }) => at.toString()),
    outcomes.map(({ answer }) => answer.milliseconds),
    outcomes.map(({ answer }) => answer.status),
    outcomes.map(({ answer }) => answer.problem),
    outcomes.map(({ answer }) => answer.response),
    outcomes.map(({ state }) => state),
    outcomes.map(({ nextAt }) => nextAt.toString()),
    health.failures,
    health.failingSince,
    restUntil?.toString() ?? null,
    disabledBecause(outcomes, health.failingSince, now),
    now.toString(),
    first.url
  ])
  const failed = outcomes.filter(({ state }) => state !== 'delivered').length
  const retries = outcomes.flatMap(({ state, nextAt }) => (state === 'waiting' ? [nextAt] : []))
  const [retry] = retries.toSorted((a, b) => Temporal.Instant.compare(a, b))
  return {
    delivered: outcomes.length - failed,
    failed,
    retryAt: retry !== undefined && restUntil !== undefined ? later(retry, restUntil) : (retry ?? restUntil),
    rests: restUntil !== undefined
  }
}

const later = (a: Temporal.Instant, b: Temporal.Instant): Temporal.Instant =>
  Temporal.Instant.compare(a, b) > 0 ? a : b

/** Sends a batch, several subjects at once, and keeps the count of failures in a row. */
async function sendAll(
  ctx: Context,
  due: readonly Sent['delivery'][],
  health: { failures: number; failingSince: string | null },
  sender: Sender
): Promise<Sent[]> {
  const [{ url, secret, oldSecret }] = due as [Sent['delivery']]
  const signers = [secret, ...(oldSecret === null ? [] : [oldSecret])].map((one) => new Webhook(one))
  const subjects = [...Map.groupBy(due, ({ subject }) => subject).values()]
  const begun = performance.now()
  const isProbe = health.failures >= FAILURES_UNTIL_REST
  const mayBegin = () => (isProbe || health.failures < FAILURES_UNTIL_REST) && performance.now() - begun < BATCH_MS
  const sent: Sent[] = []
  const lane = async () => {
    for (let subject = subjects.shift(); subject !== undefined; subject = subjects.shift()) {
      for (const delivery of subject) {
        if (!mayBegin()) return
        const at = ctx.clock.now()
        const answer = await sendMessage(sender, { url, key: delivery.key, body: delivery.body, signers, at })
        sent.push({ delivery, at, answer })
        if (answer.problem === null) {
          health.failures = 0
          health.failingSince = null
        } else {
          health.failures++
          health.failingSince ??= at.toString()
          break
        }
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  return sent
}

function outcomeOf({ delivery, at, answer }: Sent): {
  state: 'delivered' | 'waiting' | 'dead'
  nextAt: Temporal.Instant
} {
  if (answer.problem === null) return { state: 'delivered', nextAt: at }
  const seconds = RETRY_SECONDS[delivery.attempts]
  if (seconds === undefined || answer.status === 410) return { state: 'dead', nextAt: at }
  // A tenth more or less, so that what failed together does not come again together.
  const jittered = seconds * (0.9 + 0.2 * Math.random())
  const wait = Math.max(jittered, askedSeconds(answer))
  return { state: 'waiting', nextAt: at.add({ milliseconds: Math.round(wait * 1000) }) }
}

const askedSeconds = ({ retryAfterSeconds }: Answer): number =>
  Math.min(retryAfterSeconds ?? 0, MOST_RETRY_AFTER_SECONDS)

/** Until when nothing is sent to an endpoint that fails in a row or asked to be left alone; undefined if it goes on at once. */
function restOf(sent: readonly Sent[], failures: number, now: Temporal.Instant): Temporal.Instant | undefined {
  const asked = Math.max(0, ...sent.map(({ answer }) => (answer.problem === null ? 0 : askedSeconds(answer))))
  const rest =
    failures < FAILURES_UNTIL_REST
      ? 0
      : Math.min(REST_SECONDS.most, REST_SECONDS.least * 2 ** Math.min(10, failures - FAILURES_UNTIL_REST))
  const seconds = Math.max(asked, rest)
  return seconds === 0 ? undefined : now.add({ seconds })
}

function disabledBecause(
  sent: readonly (Sent & { state: string })[],
  failingSince: string | null,
  now: Temporal.Instant
): string | null {
  if (sent.some(({ answer }) => answer.status === 410)) return 'the receiver answered 410: it is gone for good'
  const hasGivenUp = sent.some(({ state }) => state === 'dead')
  if (!hasGivenUp || failingSince === null) return null
  const since = Temporal.Instant.from(instant(failingSince))
  if (Temporal.Instant.compare(since.add(DISABLED_AFTER), now) > 0) return null
  return `nothing has arrived for ${DISABLED_AFTER.hours} hours, and a delivery was given up`
}

const READY = statement<{ endpoint: string }>(`
select e.id::text as endpoint from webhook_endpoint e
 where ${isReady('$1')} and (e.leased_until is null or e.leased_until < clock_timestamp())
   and exists (select 1 from webhook_delivery d where ${isDue('$1')})`)

/** Starts the pumps of endpoints for which something is due and nobody is at it: a retry, a lost job, a pump that was killed. */
export async function sweepDueDeliveries(ctx: Context): Promise<{ endpoints: number } | undefined> {
  const endpoints = (await run(ctx, READY, [ctx.clock.now().toString()])).map(({ endpoint }) => endpoint)
  await endpointsDue(ctx, endpoints)
  return endpoints.length === 0 ? undefined : { endpoints: endpoints.length }
}
