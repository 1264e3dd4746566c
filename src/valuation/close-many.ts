// Closes a month in every warehouse of a region or of the network. A run is rows: one per warehouse, pending until it is settled.
//
// What a worker does: claims a pending row, closes that warehouse, and settles the row, all in one transaction. So a row is settled
// if and only if what it says has happened, and a crash leaves it pending. Rows that another worker holds are skipped: any number of
// workers share a run, and none does what another does.
// - closed: by this run. already-closed: before it. refused: something is missing, which is listed; the run goes on with the next.
//   failed: an error nobody foresaw, which is logged; another run tries again.
// - It acts as the person who asked, by the duties they hold when a warehouse has its turn.
// What it does not do: wait for what is missing. A new run closes what has become closable since; what is closed costs it nothing.
// A second worker, or a second call for a run that is done, finds no pending row and changes nothing.
import { grantsToday, requireDutyEverywhere, type Actor, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { actingAs, actorOf, SYSTEM_PERSON_ID, systemActor } from '../identity/directory.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { instant } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, notFound, problemType, Refusal } from '../platform/errors.ts'
import { publish } from '../platform/outbox.ts'
import { closePeriod, makeRoom, notClosable, requireLikelyPeriod } from './close-period.ts'
import { notOver } from './closing-checklist.ts'
import type { ClosingRunSummary, ClosingRunView, UnclosedWarehouse } from './closing.schemas.ts'
import { firstDay } from './depreciation.ts'

/** The event that puts a worker to a run. */
export const RUN_STARTED = 'closing-run.started'

export const RUN_STATES = ['queued', 'running', 'done'] as const

/** Warehouses that one worker closes at a time, each on a connection of its own. */
export const LANES = 3
/** A run in which nothing was settled for so long has no worker. */
const ABANDONED_AFTER = { seconds: 60 }

// A warehouse that stood closed all month had nothing in it.
const START = statement<{ id: string; total: number }>(`
with started as (
  insert into closing_run (period, region_id, requested_by, requested_at) values ($1::date, $2, $3, $4) returning id
), warehouses as (
  insert into closing_run_warehouse (run_id, warehouse_id)
  select started.id, w.id from started cross join warehouse w
   where ($2::int is null or w.region_id = $2) and (w.closed_on is null or w.closed_on > $1::date)
  returning 1
)
select started.id::text as id, (select count(*)::int from warehouses) as total from started`)
const UNDER_WAY = statement<{ id: string }>(
  `select id::text as id from closing_run where period = $1::date and coalesce(region_id, 0) = coalesce($2::int, 0) and finished_at is null`
)

/**
 * Writes a run down; a worker takes it from there. Duty: hq-finance in the region, or everywhere for the whole network.
 * @param period the month, `2026-10`
 * @param region code of a region; the whole network if left away
 * @throws Refusal 403, 404, 409 `ClosingRunUnderWay` with its `run`, 409 `PeriodNotClosable`, 422 `PeriodTooEarly`
 */
export async function startClosingRun(
  ctx: Context,
  { period, region }: { period: string; region?: string | undefined }
): Promise<{ id: string; period: string; region: string | null; total: number }> {
  const regionId = await requireFinanceOf(ctx, region)
  requireLikelyPeriod(period)
  const early = notOver(ctx, period)
  if (early !== undefined) throw notClosable(period, [early])
  try {
    return await inTransaction(ctx, async (inner) => {
      const [started] = await run(inner, START, [
        firstDay(period),
        regionId,
        ctx.actor.personId,
        ctx.clock.now().toString()
      ])
      if (started === undefined) throw new Error('a run that is written has a number')
      await recordAudit(inner, 'closing-run.started', `closing-run:${started.id}`, { period, region: region ?? null })
      await publish(inner, [{ subject: `closing-run:${started.id}`, event: RUN_STARTED, payload: { run: started.id } }])
      return { ...started, period, region: region ?? null }
    })
  } catch (error) {
    if (constraintOf(error) !== 'closing_run_one_at_a_time') throw error
    const [underWay] = await run(ctx, UNDER_WAY, [firstDay(period), regionId])
    throw new Refusal(
      'ClosingRunUnderWay',
      409,
      underWay === undefined
        ? `a run that closes ${period} there has ended this moment; read its outcome before you start another`
        : `run ${underWay.id} is closing ${period} there; read its progress, and start another when it is done`,
      { extra: { run: underWay?.id ?? null } }
    )
  }
}

/** The id of the region, null for the whole network. */
async function requireFinanceOf(ctx: Context, code: string | undefined): Promise<number | null> {
  if (code === undefined) {
    requireDutyEverywhere(ctx, 'hq-finance')
    return null
  }
  const id = await findRegion(ctx, code)
  const holdsItThere = grantsToday(ctx).some(
    ({ duty, warehouseId, regionId }) => duty === 'hq-finance' && warehouseId === null && regionId === id
  )
  if (!holdsItThere || ctx.actor.readOnly) requireDutyEverywhere(ctx, 'hq-finance')
  return id
}

interface Claimed {
  warehouseId: number
  warehouse: string
}

const BEGIN = statement<{ period: string; username: string; personId: number }>(`
update closing_run r set started_at = coalesce(started_at, $2)
  from person
 where r.id = $1::bigint and r.finished_at is null and person.id = r.requested_by
returning to_char(r.period, 'YYYY-MM') as period, person.username, person.id as "personId"`)
const CLAIM = statement<Claimed>(`
select rw.warehouse_id as "warehouseId", w.code as warehouse
  from closing_run_warehouse rw join warehouse w on w.id = rw.warehouse_id
 where rw.run_id = $1::bigint and rw.state = 'pending'
 order by rw.run_id, rw.warehouse_id limit 1
   for update of rw skip locked`)
const SETTLE = statement<never>(
  `update closing_run_warehouse set state = $3, missing = $4::jsonb, settled_at = $5 where run_id = $1::bigint and warehouse_id = $2`
)
const FINISH = statement<{ id: string }>(`
update closing_run set finished_at = $2
 where id = $1::bigint and finished_at is null
   and not exists (select 1 from closing_run_warehouse where run_id = $1::bigint and state = 'pending')
returning id::text as id`)

interface Outcome {
  state: 'closed' | 'already-closed' | 'refused' | 'failed'
  missing: UnclosedWarehouse['missing'] | null
}

/**
 * Closes what is pending in a run, a few warehouses at a time, until nothing is left that no other worker has.
 * @param onSettled called after each warehouse, for whoever watches
 * @returns how many this call settled; nothing if the run is done, or not written
 */
export async function continueClosingRun(
  ctx: Context,
  { run: id, onSettled = () => undefined }: { run: string; onSettled?: (state: Outcome['state']) => void }
): Promise<{ settled: number }> {
  const [begun] = await run(ctx, BEGIN, [id, ctx.clock.now().toString()])
  if (begun === undefined) return { settled: 0 }
  // Beforehand, or the lanes would wait for the first of them.
  await makeRoom(ctx, begun.period)
  let settled = 0
  const lane = async () => {
    for (;;) {
      const outcome = await settleNext(ctx, { id, ...begun })
      if (outcome === undefined) return
      settled++
      onSettled(outcome.state)
    }
  }
  // One that breaks off does not leave the others running behind the back of whoever called.
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, () => lane()))
  for (const ended of lanes) if (ended.status === 'rejected') throw ended.reason
  await run(ctx, FINISH, [id, ctx.clock.now().toString()])
  return { settled }
}

/** Claims one warehouse, closes it and settles its row; undefined if none is left to claim. */
function settleNext(
  ctx: Context,
  { id, period, username, personId }: { id: string; period: string; username: string; personId: number }
): Promise<Outcome | undefined> {
  // A unit of work of its own: each lane has its transaction.
  const alone = Object.create(ctx, { em: { value: ctx.em.fork(), enumerable: true } }) as Context
  return inTransaction(alone, async (inner) => {
    const [claimed] = await run(inner, CLAIM, [id])
    if (claimed === undefined) return undefined
    const outcome = await closeOne(inner, { ...claimed, period, username, personId })
    await run(inner, SETTLE, [
      id,
      claimed.warehouseId,
      outcome.state,
      outcome.missing === null ? null : JSON.stringify(outcome.missing),
      ctx.clock.now().toString()
    ])
    return outcome
  })
}

async function closeOne(
  ctx: Context,
  { warehouse, period, username, personId }: Claimed & { period: string; username: string; personId: number }
): Promise<Outcome> {
  try {
    const actor = await requester(ctx, { username, personId })
    // A savepoint: what is refused half-way leaves nothing behind, and its locks are given back.
    await inTransaction(ctx, (inner) => closePeriod(actingAs(inner, actor), { warehouse, period }))
    return { state: 'closed', missing: null }
  } catch (error) {
    if (error instanceof Refusal) {
      if (error.code === 'PeriodAlreadyClosed') return { state: 'already-closed', missing: null }
      return { state: 'refused', missing: reasons(error, username) }
    }
    ctx.log.error({ err: error, warehouse, period }, 'a warehouse could not be closed')
    return {
      state: 'failed',
      missing: [
        { kind: 'failed', detail: 'something unexpected happened; it is in the log of the worker', documents: [] }
      ]
    }
  }
}

/** Commands at the machine itself are recorded under the service. */
const requester = async (
  ctx: Context,
  { username, personId }: { username: string; personId: number }
): Promise<Actor> => (personId === SYSTEM_PERSON_ID ? closingSystem : actorOf(ctx.em, username))

/** The service itself, as finance of the head office: whoever may run commands on the database. */
export const closingSystem: Actor = {
  ...systemActor,
  grants: systemActor.grants.map((grant) => ({ ...grant, duty: 'hq-finance' as const }))
}

function reasons({ code, message, extra }: Refusal, username: string): UnclosedWarehouse['missing'] {
  if (Array.isArray(extra['missing'])) return extra['missing'] as UnclosedWarehouse['missing']
  // Without a duty there the warehouse, and without an account the person, is said not to be there.
  const isRight = code === 'DutyRequired' || code === 'NotFound'
  return [
    {
      kind: isRight ? 'duty-required' : (problemType(code).split(':').at(-1) ?? code),
      detail: isRight
        ? `${username}, who asked for this, holds neither finance-supervisor nor hq-finance there any more`
        : message,
      documents: []
    }
  ]
}

const ABANDONED = statement<{ id: string }>(`
select r.id::text as id
  from closing_run r
 where r.finished_at is null
   and greatest(r.requested_at, r.started_at, (select max(settled_at) from closing_run_warehouse where run_id = r.id)) < $1
 order by r.id`)

/** Goes on with runs that no worker is at: the queue was away, or a worker died. */
export async function resumeClosingRuns(ctx: Context): Promise<{ runs: string[]; settled: number }> {
  const abandoned = await run(ctx, ABANDONED, [ctx.clock.now().subtract(ABANDONED_AFTER).toString()])
  let settled = 0
  for (const { id } of abandoned) settled += (await continueClosingRun(ctx, { run: id })).settled
  return { runs: abandoned.map(({ id }) => id), settled }
}

const RUN_COLUMNS = `
       r.id::text as id, to_char(r.period, 'YYYY-MM') as period, region.code as region,
       case when r.finished_at is not null then 'done' when r.started_at is not null then 'running' else 'queued' end as state,
       person.username as "requestedBy", r.requested_at as "requestedAt", r.started_at as "startedAt", r.finished_at as "finishedAt",
       counts.*
  from closing_run r
  join person on person.id = r.requested_by
  left join region on region.id = r.region_id
 cross join lateral (
   select count(*)::int as total, count(*) filter (where state = 'pending')::int as pending, count(*) filter (where state = 'closed')::int as closed,
          count(*) filter (where state = 'already-closed')::int as "alreadyClosed", count(*) filter (where state = 'refused')::int as refused,
          count(*) filter (where state = 'failed')::int as failed
     from closing_run_warehouse where run_id = r.id) counts
 where ($1 or r.region_id = any ($2::int[]))`
const READ = statement<ClosingRunSummary>(`select ${RUN_COLUMNS} and r.id = $3::bigint`)
const LIST = statement<ClosingRunSummary>(`
select ${RUN_COLUMNS} and ($3::date is null or r.period = $3::date) and ($4::bigint is null or r.id < $4::bigint) order by r.id desc limit $5`)
const UNCLOSED = statement<UnclosedWarehouse>(`
select w.code as warehouse, w.name, w.name_zh as "nameZh", rw.state, rw.missing, rw.settled_at as "settledAt"
  from closing_run_warehouse rw join warehouse w on w.id = rw.warehouse_id
 where rw.run_id = $1::bigint and rw.state in ('refused', 'failed') and ($2::text is null or w.code > $2)
 order by w.code limit $3`)

/** Runs are finance's: those of the network for whoever holds hq-finance everywhere, those of a region for whoever holds it there. */
function financeSight(ctx: Context): [everywhere: boolean, regionIds: number[]] {
  const grants = grantsToday(ctx).filter(({ duty, warehouseId }) => duty === 'hq-finance' && warehouseId === null)
  return [grants.some(({ regionId }) => regionId === null), grants.flatMap(({ regionId }) => regionId ?? [])]
}

const shown = (row: ClosingRunSummary): ClosingRunSummary => ({
  ...row,
  requestedAt: instant(row.requestedAt),
  startedAt: row.startedAt === null ? null : instant(row.startedAt),
  finishedAt: row.finishedAt === null ? null : instant(row.finishedAt)
})

/**
 * How far a run is, with a page of the warehouses it could not close, by code.
 * @throws Refusal 404
 */
export async function readClosingRun(
  ctx: Context,
  { id, limit = 50, cursor }: { id: string; limit?: number; cursor?: string | undefined }
): Promise<ClosingRunView> {
  const after = readCursor(cursor, 1)
  const [found] = await run(ctx, READ, [...financeSight(ctx), id])
  if (found === undefined) throw notFound('closing run', id)
  const rows = await run(ctx, UNCLOSED, [id, after?.[0] ?? null, limit + 1])
  const { items, nextCursor } = pageFrom(
    rows.map((row) => ({ ...row, settledAt: instant(row.settledAt) })),
    limit,
    ({ warehouse }) => [warehouse]
  )
  return { ...shown(found), warehouses: items, nextCursor }
}

/** Runs, newest first. */
export async function listClosingRuns(
  ctx: Context,
  { period, limit = 50, cursor }: { period?: string | undefined; limit?: number; cursor?: string | undefined }
): Promise<{ items: ClosingRunSummary[]; nextCursor: string | null }> {
  const after = readCursor(cursor, 1)
  const rows = await run(ctx, LIST, [
    ...financeSight(ctx),
    period === undefined ? null : firstDay(period),
    after?.[0] ?? null,
    limit + 1
  ])
  return pageFrom(rows.map(shown), limit, ({ id }) => [id])
}
