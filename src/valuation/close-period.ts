// Closes a month in one warehouse (R-FIN-1). What it does, in one transaction: takes the locks that every posting into the month and
// the months before it shares, so that a posting is either before the close, and in it, or after it, and refused; goes through the
// checklist; writes depreciation, stock report and statement; marks the month closed. From then on the database refuses movements.
// Months since the last closed one in which nothing was held or moved are closed with it, oldest first, each with a statement of its own:
// every month after the first closed one has one, and each names the one before it.
// What it does not do: reopen. Corrections go to the open month.
// A second run, at once or later, finds the month closed and changes nothing.
import { requireDuty, requireSight, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { publish } from '../platform/outbox.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { closingChecklist, notOver, type Checklist, type Missing } from './closing-checklist.ts'
import { firstDay, runDepreciation } from './depreciation.ts'
import { buildStatement, frozenStatement, sealed } from './statement.ts'
import { freezeStockReport, untiedOpenings } from './stock-report.ts'

export interface Closing extends Checklist {
  warehouse: string
  period: string
  state: 'closed' | 'open'
  closedBy: string | null
  closedAt: string | null
  /** Hash of the statement. */
  sha256: string | null
}

/** No slip is dated earlier. */
const FIRST_PERIOD = '2000-01'
// A month before anything moved anywhere has no rows, and needs no place for them.
const ENSURE = statement<never>(`
select ensure_statement_partitions($1::date)
 where exists (select from movement where occurred_on < ($1::date + interval '1 month')::date)`)
const HAS_ROOM = statement<{ is: boolean }>(
  `select to_regclass('stock_report_line_' || to_char($1::date, 'YYYY_MM')) is not null as "is"`
)
// How long a month end takes depends on the stock; requests have a limit, and this is one that may be long. For few lots planning
// its statements costs more than running them, so that a plan for any warehouse does; many lots have one of their own.
const PREPARE = statement<never>(`
select set_config('statement_timeout', '0', true),
       set_config('plan_cache_mode', case when (select count(*) from (select from lot where warehouse_id = $1 and not exhausted limit 5001) lots) <= 5000
                                          then 'force_generic_plan' else 'force_custom_plan' end, true)`)
// Months are locked oldest first, so that two closings of a warehouse queue.
const LOCK = statement<never>(`
select pg_advisory_xact_lock($1::int, month)
  from generate_series(
         least(coalesce((select month_index(max(period)) + 1 from stock_period where warehouse_id = $1 and state = 'closed'), month_index('2000-01-01')), month_index($2::date)),
         month_index($2::date)) as month`)
// The checklist has seen that nothing was held or moved in them.
const SKIPPED = statement<{ period: string }>(`
select to_char(month, 'YYYY-MM') as period
  from (select max(period) as last from stock_period where warehouse_id = $1 and state = 'closed') closed
 cross join generate_series(last + interval '1 month', $2::date - interval '1 month', interval '1 month') as month
 order by month`)
const CLOSED = statement<{ period: string }>(
  `select to_char(max(period), 'YYYY-MM') as period from stock_period where warehouse_id = $1 and state = 'closed' having max(period) >= $2::date`
)
const CLOSE = statement<never>(`
with frozen as (
  insert into period_statement (warehouse_id, period, content, sha256, position, cost, charge, accumulated, closed_by, closed_at)
  values ($1, $2::date, $3, $4, $5::bigint, $6::numeric, $7::numeric, $8::numeric, $9, $10)
)
insert into stock_period (warehouse_id, period, state, closed_at) values ($1, $2::date, 'closed', $10)`)

/**
 * Closes a month.
 * @param period the month, `2026-10`
 * @param dryRun only says what is missing
 * @throws Refusal 403, 404, 409 `PeriodAlreadyClosed`, `PeriodNotClosable` with what is `missing`, `LedgerDoesNotTie`,
 *   422 `PeriodTooEarly`
 */
export async function closePeriod(
  ctx: Context,
  { warehouse: code, period, dryRun = false }: { warehouse: string; period: string; dryRun?: boolean | undefined }
): Promise<Closing> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, ['finance-supervisor', 'hq-finance'], warehouse)
  if (dryRun) return readClosing(ctx, { warehouse: code, period })
  requireLikelyPeriod(period)
  const isOver = notOver(ctx, period) === undefined
  const [room] = isOver ? await run(ctx, HAS_ROOM, [firstDay(period)]) : []
  const isRoomMissing = !room?.is
  // Asked beforehand: what is refused leaves no table behind, and takes no locks. There is one for every month since the last closed
  // one, and for the year 9999 a server has not enough.
  if (isRoomMissing) {
    await requireClosable(ctx, warehouse, period)
    await makeRoom(ctx, period)
  }
  return inTransaction(ctx, async (inner) => {
    await run(inner, PREPARE, [warehouse.id])
    await run(inner, LOCK, [warehouse.id, firstDay(period)])
    const checklist = await requireClosable(inner, warehouse, period)
    // The first movement of all may have come since.
    if (isRoomMissing) await makeRoom(inner, period)
    for (const { period: skipped } of await run(inner, SKIPPED, [warehouse.id, firstDay(period)]))
      await freeze(inner, warehouse, skipped)
    await runDepreciation(inner, { warehouseId: warehouse.id, period })
    await freezeStockReport(inner, { warehouseId: warehouse.id, period })
    return { ...(await freeze(inner, warehouse, period)), ...checklist }
  })
}

/** What a month that is refused for is `missing`, in the words of the checklist. */
export const notClosable = (what: string, missing: readonly Missing[]): Refusal =>
  new Refusal(
    'PeriodNotClosable',
    409,
    `${what} cannot be closed yet: ${missing.map(({ detail }) => detail).join('; ')}`,
    { extra: { missing } }
  )

async function requireClosable(ctx: Context, warehouse: Warehouse, period: string): Promise<Checklist> {
  await refuseClosed(ctx, warehouse, period)
  const checklist = await closingChecklist(ctx, warehouse, period)
  if (checklist.missing.length > 0) throw notClosable(`${period} of warehouse ${warehouse.code}`, checklist.missing)
  return checklist
}

/** @throws Refusal 422 `PeriodTooEarly` */
export function requireLikelyPeriod(period: string): void {
  if (period >= FIRST_PERIOD) return
  throw new Refusal('PeriodTooEarly', 422, `no goods here are older than ${FIRST_PERIOD}; check the year of ${period}`)
}

/**
 * Makes sure that the rows of a month have their place; a month that is not over, or of no goods, is given none. Others who want the
 * same wait until the transaction ends: it is best one of its own, before the one that closes.
 */
export async function makeRoom(ctx: Context, period: string): Promise<void> {
  if (notOver(ctx, period) === undefined) await run(ctx, ENSURE, [firstDay(period)])
}

async function refuseClosed(ctx: Context, warehouse: Warehouse, period: string): Promise<void> {
  const [last] = await run(ctx, CLOSED, [warehouse.id, firstDay(period)])
  if (last === undefined) return
  const frozen = await frozenStatement(ctx, { warehouseId: warehouse.id, period })
  throw new Refusal(
    'PeriodAlreadyClosed',
    409,
    frozen === undefined
      ? `${period} of warehouse ${warehouse.code} lies before ${last.period}, which is closed; nothing is closed or reopened before it`
      : `${period} of warehouse ${warehouse.code} was closed by ${frozen.closedBy} at ${frozen.closedAt}; read its statement, and correct in the open month`,
    {
      extra: frozen === undefined ? {} : { closedBy: frozen.closedBy, closedAt: frozen.closedAt, sha256: frozen.sha256 }
    }
  )
}

/** Writes the statement of a month from the rows that were written of it, if there were any. */
async function freeze(ctx: Context, warehouse: Warehouse, period: string): Promise<Omit<Closing, keyof Checklist>> {
  const untied = await untiedOpenings(ctx, { warehouseId: warehouse.id, period })
  if (untied.length > 0)
    throw new Refusal(
      'LedgerDoesNotTie',
      409,
      `the month would not open with what the month before closed with: ${untied
        .slice(0, 5)
        .map(({ part, opening, closing }) => `${part} opens with ${opening}, was closed with ${closing}`)
        .join('; ')}. The books were changed past the service; verify the ledger`,
      { extra: { untied } }
    )
  const at = ctx.clock.now().toString()
  const content = await buildStatement(ctx, { warehouse, period, isClosed: true }, { by: ctx.actor.username, at })
  const { text, sha256 } = sealed(content)
  const { cost, charge, accumulatedDepreciation } = content.depreciation
  await run(ctx, CLOSE, [
    warehouse.id,
    firstDay(period),
    text,
    sha256,
    content.position,
    cost,
    charge,
    accumulatedDepreciation,
    ctx.actor.personId,
    at
  ])
  await recordAudit(ctx, 'period.closed', `warehouse:${warehouse.code}`, { period, sha256, charge })
  await publish(ctx, [
    {
      subject: `warehouse:${warehouse.code}`,
      event: 'period.closed',
      warehouseId: warehouse.id,
      payload: { warehouse: warehouse.code, period, sha256, charge }
    }
  ])
  return { warehouse: warehouse.code, period, state: 'closed', closedBy: ctx.actor.username, closedAt: at, sha256 }
}

/**
 * Whether a month is closed, and if not, what is missing. For whoever sees the warehouse: most of it is not finance's to mend.
 * @throws Refusal 404, 422 `PeriodTooEarly`
 */
export async function readClosing(
  ctx: Context,
  { warehouse: code, period }: { warehouse: string; period: string }
): Promise<Closing> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  requireLikelyPeriod(period)
  const frozen = await frozenStatement(ctx, { warehouseId: warehouse.id, period })
  if (frozen !== undefined) {
    const { closedBy, closedAt, sha256 } = frozen
    return { warehouse: code, period, state: 'closed', closedBy, closedAt, sha256, missing: [], warnings: [] }
  }
  const nothing = { closedBy: null, closedAt: null, sha256: null }
  // Before the first month that was closed nothing was held or moved.
  const [later] = await run(ctx, CLOSED, [warehouse.id, firstDay(period)])
  if (later !== undefined) return { warehouse: code, period, state: 'closed', ...nothing, missing: [], warnings: [] }
  const checklist = await closingChecklist(ctx, warehouse, period)
  return { warehouse: code, period, state: 'open', ...nothing, ...checklist }
}
