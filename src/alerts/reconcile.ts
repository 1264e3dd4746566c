// Makes the open alerts of a kind equal to its causes: raises what is missing, brings details up to date in place, resolves what is no
// longer caused (R-ALR-1). One statement, whatever the number; a second run changes nothing (R-ALR-2). What it does not do: decide who is
// told, or escalate.
//
// Whoever writes alerts does so one after the other (`lockAlerts`). So each looks at what is true after the one before has committed, and
// none resolves by an older look what another has just raised; and alert_event.id grows in the order of commits, which the stream
// goes by.
import { setTimeout as sleep } from 'node:timers/promises'
import { IsolationLevel } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { inTransaction, within } from '../platform/context.ts'
import { NO_TIME_LIMIT, run, statement, type Database, type Statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { calendarOf } from '../platform/working-days.ts'
import { ALERT_KINDS, type AlertKind } from './alert-kinds.ts'
import type { AlertRule } from './alert-rule.ts'
import { ALERT_RULES } from './alert-rules.ts'

// Locking a table takes no snapshot: in a repeatable-read transaction that begins with it, all that follows sees what is there once the
// lock is held.
const WAIT_MS = 5_000
const LOCK = statement<never>(`lock table alert_policy in share row exclusive mode`)

/** Called by everything that writes alerts, before it looks. Held until the transaction ends. */
export const lockAlerts = (ctx: Context): Promise<never[]> => run(ctx, LOCK, [])

const BRIEFLY = statement<never>(`set local lock_timeout = '${WAIT_MS}'`)
const AS_EVER = statement<never>(`set local lock_timeout to default`)
/** By database: the last of the requests of this process that write alerts. */
const turns = new WeakMap<Database, Promise<void>>()

/**
 * For requests: a transaction that writes alerts. They wait a few seconds for a sweep or each other, and all of a process together hold one
 * connection while they do: however many there are, what has nothing to do with alerts is answered.
 * @throws Refusal 503 `AlertsBusy`; an error of SQLSTATE 55P03 that is answered 503
 */
export async function writingAlerts<C extends Context, Result>(
  ctx: C,
  work: (ctx: C) => Promise<Result>
): Promise<Result> {
  const locked = () =>
    inTransaction(ctx, async (inner) => {
      await run(inner, BRIEFLY, [])
      await lockAlerts(inner)
      await run(inner, AS_EVER, [])
      return work(inner)
    })
  // Inside a transaction already, it holds a connection whatever it waits for.
  if (ctx.pool === undefined) return locked()
  const before = turns.get(ctx.database) ?? Promise.resolve()
  const { promise: isOver, resolve: pass } = Promise.withResolvers<void>()
  turns.set(
    ctx.database,
    before.then(() => isOver)
  )
  const waited = new AbortController()
  try {
    const isMyTurn = await Promise.race([
      before.then(() => true),
      sleep(WAIT_MS, false, { signal: waited.signal, ref: false })
    ])
    if (!isMyTurn)
      throw new Refusal(
        'AlertsBusy',
        503,
        'alerts are being gone through; nothing was changed, try again in a moment',
        {
          retryAfterSeconds: 5
        }
      )
    return await locked()
  } finally {
    waited.abort()
    pass()
  }
}

/** Only of these: warehouses, or the parts, lots, documents or deposits of `ids` in the warehouses at the same places, as the rule is about. */
export interface Asked {
  warehouseIds: readonly number[]
  ids?: readonly string[]
}

export interface Reconciled {
  raised: number
  updated: number
  resolved: number
}

const CAUSES = ({ causes, kind, about }: AlertRule, isSome: boolean): string => `
given (today, at, zone, next, after_next, in_transit) as (select $1::date, $2::timestamptz, $3::text, $4::date, $5::date, $6::int),
${isSome ? 'asked (warehouse_id, about_id) as materialized (select distinct * from unnest($7::int[], $8::bigint[])),' : ''}
cause as materialized (
  select * from (${causes(isSome)}) cause where (select enabled from alert_policy where kind = '${kind}')
), held as materialized (
  select a.warehouse_id, a.id, a.subject, a.details
    from ${isSome ? `asked join alert a on a.warehouse_id = asked.warehouse_id ${about === 'warehouse' ? '' : 'and a.about_id = asked.about_id'}` : 'alert a'}
   where a.kind = '${kind}' and a.resolved_at is null
)`

const members = (names: readonly string[]): string =>
  ['warehouse', ...names]
    .map((name) => `'${name}', ${name === 'warehouse' ? 'w.code' : `t.details -> '${name}'`}`)
    .join(', ')

const reconciling = (rule: AlertRule, isSome: boolean): Statement<Reconciled> =>
  statement(`
with ${CAUSES(rule, isSome)}, raised as (
  insert into alert (warehouse_id, kind, subject, about_id, duty, people, details, raised_at, updated_at)
  select c.warehouse_id, '${rule.kind}', c.subject, c.about_id, c.duty, ${rule.namesPeople === true ? 'c.people' : `'{}'`}, c.details, $2, $2
    from cause c
   where not exists (select from held h where h.warehouse_id = c.warehouse_id and h.subject = c.subject)
   order by c.warehouse_id, c.about_id, c.subject
  on conflict (warehouse_id, kind, subject) where resolved_at is null do nothing
  returning warehouse_id, id, subject, details
), updated as (
  update alert a set details = c.details, duty = c.duty, updated_at = $2
    from held h join cause c on c.warehouse_id = h.warehouse_id and c.subject = h.subject
   where a.warehouse_id = h.warehouse_id and a.id = h.id and h.details is distinct from c.details
  returning a.id
), resolved as (
  update alert a set state = 'resolved', resolved_at = $2, updated_at = $2
    from held h
   where a.warehouse_id = h.warehouse_id and a.id = h.id
     and not exists (select from cause c where c.warehouse_id = h.warehouse_id and c.subject = h.subject)
  returning a.warehouse_id, a.id, a.subject, a.details
), turned as (
  select 'raised' as event, * from raised union all select 'resolved', * from resolved
), noted as (
  insert into alert_event (warehouse_id, alert_id, event, at) select warehouse_id, id, event, $2 from turned order by warehouse_id, id
), told as (
  insert into outbox (subject, event, warehouse_id, payload, occurred_at)
  select subject, event, warehouse_id, payload, $2
    from (select 'alert:' || t.id as subject, 'alert.' || t.event as event, t.warehouse_id, t.id, 1 as place,
                 jsonb_build_object('alert', t.id::text, 'kind', '${rule.kind}', 'subject', t.subject, 'warehouse', w.code) as payload
            from turned t join warehouse w on w.id = t.warehouse_id
          ${
            rule.publishes === undefined
              ? ''
              : `union all
          select 'alert:' || t.id, '${rule.publishes.event}', t.warehouse_id, t.id, 2, jsonb_build_object(${members(rule.publishes.members)})
            from raised t join warehouse w on w.id = t.warehouse_id`
          }) event
   order by warehouse_id, id, place
)
select (select count(*) from raised)::int as raised, (select count(*) from updated)::int as updated, (select count(*) from resolved)::int as resolved`)

const checking = (rule: AlertRule): Statement<{ missing: number; extra: number }> =>
  statement(`
with ${CAUSES(rule, false)}
select count(*) filter (where h.id is null)::int as missing, count(*) filter (where c.subject is null)::int as extra
  from cause c full join held h on h.warehouse_id = c.warehouse_id and h.subject = c.subject`)

const byKind = <Made>(make: (rule: AlertRule) => Made): Record<AlertKind, Made> =>
  Object.fromEntries(ALERT_KINDS.map((kind) => [kind, make(ALERT_RULES[kind])])) as Record<AlertKind, Made>

const ALL = byKind((rule) => reconciling(rule, false))
const SOME = byKind((rule) => reconciling(rule, true))
const CHECK = byKind(checking)

async function given(ctx: Context): Promise<unknown[]> {
  const today = ctx.clock.today()
  const calendar = await calendarOf(ctx)
  const { BUSINESS_TIME_ZONE, TRANSIT_ALERT_DAYS } = ctx.config
  return [
    today,
    ctx.clock.now().toString(),
    BUSINESS_TIME_ZONE,
    calendar.addWorkingDays(today, 1),
    calendar.addWorkingDays(today, 2),
    TRANSIT_ALERT_DAYS
  ]
}

/**
 * Reconciles the alerts of one kind, in the transaction of `ctx`, which has locked them.
 * @param asked only those; all of every warehouse if left away
 */
export async function reconcile(ctx: Context, kind: AlertKind, asked?: Asked): Promise<Reconciled> {
  const isByWarehouse = ALERT_RULES[kind].about === 'warehouse'
  if (asked !== undefined && isByWarehouse !== (asked.ids === undefined))
    throw new Error(`alerts of kind ${kind} are asked for by ${ALERT_RULES[kind].about}`)
  const values =
    asked === undefined
      ? []
      : [asked.warehouseIds, asked.ids === undefined ? asked.warehouseIds.map(() => null) : asked.ids]
  const [counts] = await run(ctx, (asked === undefined ? ALL : SOME)[kind], [...(await given(ctx)), ...values])
  if (counts === undefined) throw new Error('an aggregate always answers one row')
  return counts
}

/** The same in a transaction of its own that may take as long as it takes, kind by kind. */
export async function reconcileAll(
  ctx: Context,
  kinds: readonly AlertKind[]
): Promise<Partial<Record<AlertKind, Reconciled>>> {
  const result: Partial<Record<AlertKind, Reconciled>> = {}
  for (const kind of kinds) result[kind] = await alone(ctx, (inner) => reconcile(inner, kind))
  return result
}

/** What a sweep did to the alerts of a kind, and what it then found by comparing them with their causes once more. */
export interface Swept extends Reconciled {
  /** Causes without an open alert: 0. */
  missing: number
  /** Open alerts without a cause: 0. */
  extra: number
}

/**
 * Finds everything that a lost message would have missed, and proves that it found nothing else: after each kind was reconciled, the open
 * alerts are held against the causes again, in the snapshot in which it was done.
 * @throws Error if they are not the same, which would be a bug; that kind is then left as it was
 */
export async function sweepAlerts(ctx: Context): Promise<Partial<Record<AlertKind, Swept>>> {
  const result: Partial<Record<AlertKind, Swept>> = {}
  for (const kind of ALERT_KINDS) {
    result[kind] = await alone(ctx, async (inner) => {
      const done = await reconcile(inner, kind)
      const [check] = await run(inner, CHECK[kind], await given(inner))
      if (check === undefined || check.missing + check.extra > 0)
        throw new Error(`open alerts of kind ${kind} are not its causes: ${JSON.stringify(check)}`)
      return { ...done, ...check }
    })
  }
  return result
}

/** One snapshot, taken when no other writer of alerts is left. */
const alone = <Result>(ctx: Context, work: (ctx: Context) => Promise<Result>): Promise<Result> =>
  ctx.em.fork().transactional(
    async (em) => {
      const inner = within(ctx, em)
      await lockAlerts(inner)
      await run(inner, NO_TIME_LIMIT, [])
      return work(inner)
    },
    { isolationLevel: IsolationLevel.REPEATABLE_READ }
  )
