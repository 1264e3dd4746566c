// Which warehouses a statement is of, and whether the month is closed in each: read from its frozen rows where it is, worked out
// where it is not (R-FIN-2). Lists over many warehouses go through them by code, one after the other, so that memory stays flat
// for 4,000 of them; sums over many are one statement.
import { IsolationLevel } from '@mikro-orm/postgresql'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { within } from '../platform/context.ts'
import { pageFrom, readCursor, type KeyKind } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { readsClaims } from '../tools/tool-rights.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { firstDay, type BookedMonth, type BookedMonths } from './depreciation.ts'

export interface ScopedWarehouse {
  id: number
  code: string
  region: string
  /** Hash and position of the statement; null while the month is open. */
  sha256: string | null
  position: string | null
  /** Whether anything moved there by the end of the month, of the part that is asked for if there is one. */
  mayHold: boolean
  /** Whether anything moved in the month itself. */
  hasMoved: boolean
  /** Whether something was claimed from technicians in the month, or taken back: it is booked where nothing moves too (R-TOOL-2). */
  hasClaims: boolean
  /** Whether the actor is not told what is claimed. */
  hidesClaims: boolean
}

export interface StatementScope {
  period: string
  /** The one warehouse that was asked for. */
  warehouse: string | null
  region: string | null
  part: { id: number; number: string } | null
  /** By code. */
  warehouses: ScopedWarehouse[]
}

export interface ScopeQuery {
  period: string
  warehouse?: string | undefined
  region?: string | undefined
  part?: string | undefined
}

export type ScopeState = 'closed' | 'preview' | 'mixed'

const PART = statement<{ id: number; number: string }>('select id, number from part where number = $1')

// By bytes, as this process compares codes.
const WAREHOUSES = statement<Omit<ScopedWarehouse, 'hidesClaims'> & { regionId: number }>(`
select w.id, w.code, w.region_id as "regionId", region.code as region, s.sha256, s.position::text as position,
       exists (select 1 from balance b where b.warehouse_id = w.id and ($6::text is null or b.part_number = $6))
         and (s.sha256 is not null or exists (select 1 from movement m where m.warehouse_id = w.id and m.occurred_on < ($5::date + interval '1 month')::date)) as "mayHold",
       exists (select 1 from movement m where m.warehouse_id = w.id and m.occurred_on >= $5::date and m.occurred_on < ($5::date + interval '1 month')::date) as "hasMoved",
       exists (select 1 from tool_compensation c where c.warehouse_id = w.id and c.booked_on >= $5::date and c.booked_on < ($5::date + interval '1 month')::date) as "hasClaims"
  from warehouse w
  join region on region.id = w.region_id
  left join period_statement s on s.warehouse_id = w.id and s.period = $5::date
 where ($1 or w.id = any ($2::int[]) or w.region_id = any ($3::int[])) and ($4::text is null or region.code = $4) and ($7::int is null or w.id = $7)
 order by w.code collate "C"`)

/**
 * The warehouses that a statement is of: the one that is named, else those of a region, else all; of those the actor sees.
 * @param periodAt where the month was sent, for the refusal
 * @throws Refusal 404 for a part, a region or a warehouse that is not there or may not be seen, 422 `PeriodNotBegun`
 */
export async function openScope(
  ctx: Context,
  { period, warehouse: code, region, part: number }: ScopeQuery,
  periodAt: '{period}' | '?period' = '?period'
): Promise<StatementScope> {
  const warehouse = code === undefined ? undefined : await warehouseByCode(ctx, code)
  if (warehouse !== undefined) requireSight(ctx, warehouse)
  requireBegun(ctx, period, periodAt)
  if (region !== undefined) await findRegion(ctx, region)
  const [part] = number === undefined ? [] : await run(ctx, PART, [number])
  if (number !== undefined && part === undefined) throw notFound('part', number)
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const warehouses = await run(ctx, WAREHOUSES, [
    everywhere,
    warehouseIds,
    regionIds,
    region ?? null,
    firstDay(period),
    part?.number ?? null,
    warehouse?.id ?? null
  ])
  return {
    period,
    warehouse: code ?? null,
    region: region ?? null,
    part: part ?? null,
    warehouses: warehouses.map(({ regionId, ...one }) => ({
      ...one,
      hidesClaims: !readsClaims(ctx, { id: one.id, code: one.code, regionId })
    }))
  }
}

/** The month of today in the business time zone. */
export const currentMonth = (ctx: Pick<Context, 'clock'>): string => ctx.clock.today().slice(0, 7)

/** @throws Refusal 422 `PeriodNotBegun` */
export function requireBegun(ctx: Context, period: string, pointer: '{period}' | '?period'): void {
  const current = currentMonth(ctx)
  if (period <= current) return
  throw new Refusal(
    'PeriodNotBegun',
    422,
    `${period} has not begun; the last month there is anything to say of is ${current}, as a preview`,
    { errors: [{ pointer, detail: 'has not begun', sent: period, accepted: `${current} or earlier` }] }
  )
}

/** The ids of the warehouses, closed and open apart. */
export const bookedMonthsOf = ({ warehouses, period, part }: StatementScope): BookedMonths => ({
  closedIds: warehouses.filter(({ sha256 }) => sha256 !== null).map(({ id }) => id),
  openIds: warehouses.filter(({ sha256 }) => sha256 === null).map(({ id }) => id),
  hidingIds: warehouses.filter(({ hidesClaims }) => hidesClaims).map(({ id }) => id),
  period,
  partId: part?.id ?? null
})

/** What is said above every statement. */
export interface StatementHeader {
  period: string
  warehouse: string | null
  region: string | null
  part: string | null
  /** `mixed` if the month is closed in some of the warehouses and open in others. */
  state: ScopeState
  warehouses: { closed: number; open: number }
  /** Hash of the statement of the one closed warehouse; null of a preview, and of several. */
  sha256: string | null
}

/** Whether the month is closed in all of these warehouses, in none or in some. */
export function scopeState(warehouses: readonly Pick<ScopedWarehouse, 'sha256'>[]): ScopeState {
  const closed = warehouses.filter(({ sha256 }) => sha256 !== null).length
  if (closed === 0) return 'preview'
  return closed === warehouses.length ? 'closed' : 'mixed'
}

export function headerOf({ period, warehouse, region, part, warehouses }: StatementScope): StatementHeader {
  const closed = warehouses.filter(({ sha256 }) => sha256 !== null).length
  const open = warehouses.length - closed
  return {
    period,
    warehouse,
    region,
    part: part?.number ?? null,
    state: scopeState(warehouses),
    warehouses: { closed, open },
    sha256: warehouse === null ? null : (warehouses[0]?.sha256 ?? null)
  }
}

// A closed month stands where its statement says; an open one where its last movement and the statement before it do.
const OPEN_POSITION = statement<{ position: string }>(`
select coalesce(max(greatest(coalesce(before.position, 0), coalesce(moved.id, 0))), 0)::text as position
  from unnest($1::int[]) as asked (id)
  left join lateral (select s.position, s.period from period_statement s where s.warehouse_id = asked.id and s.period < $2::date order by s.period desc limit 1) before on true
  left join lateral (select max(m.id) as id from movement m
                      where m.warehouse_id = asked.id and m.occurred_on >= coalesce((before.period + interval '1 month')::date, '0001-01-01')
                        and m.occurred_on < ($2::date + interval '1 month')::date) moved on true`)

/** The last movement of the month and all before it that a statement was made from; of several warehouses the latest of theirs. */
export async function positionOf(ctx: Context, scope: StatementScope): Promise<string> {
  const { openIds } = bookedMonthsOf(scope)
  const [open] = openIds.length === 0 ? [] : await run(ctx, OPEN_POSITION, [openIds, firstDay(scope.period)])
  const positions = [open?.position ?? '0', ...scope.warehouses.map(({ position }) => position ?? '0')]
  return positions.reduce((latest, position) => (BigInt(position) > BigInt(latest) ? position : latest))
}

/** Runs reads in one snapshot, so that totals and rows of an open month are of the same moment. */
export const inSnapshot = <Result>(ctx: Context, read: (ctx: Context) => Promise<Result>): Promise<Result> =>
  ctx.em.fork().transactional((em) => read(within(ctx, em)), {
    isolationLevel: IsolationLevel.REPEATABLE_READ,
    readOnly: true
  })

const monthOf = ({ id, code, sha256, hidesClaims }: ScopedWarehouse, period: string): BookedMonth => ({
  warehouse: { id, code },
  period,
  isClosed: sha256 !== null,
  hidesClaims
})

/** The rows of one warehouse, by a key that is unique in it. */
export interface RowSource<Row extends { warehouse: string }> {
  /** True if a warehouse in which nothing moved in the month has no rows. */
  isOfWhatMoved?: boolean
  /** True if what is claimed from technicians is among the rows. */
  isOfClaims?: boolean
  key: readonly KeyKind[]
  keyOf(row: Row): (string | number)[]
  /** @param after the key to go on after */
  page(
    ctx: Context,
    month: BookedMonth,
    options: { after: (string | number)[] | undefined; limit: number }
  ): Promise<Row[]>
  stream(ctx: Context, month: BookedMonth): AsyncIterable<Row>
}

/** Spares the many warehouses without any a statement each. */
const hasRows = (
  { mayHold, hasMoved, hasClaims, hidesClaims }: ScopedWarehouse,
  { isOfWhatMoved = false, isOfClaims = false }: Pick<RowSource<never>, 'isOfWhatMoved' | 'isOfClaims'>
): boolean => (mayHold && (hasMoved || !isOfWhatMoved)) || (isOfClaims && hasClaims && !hidesClaims)

/**
 * A page of the rows of all warehouses, by code and then by the key in each.
 * @throws Refusal 400 `CursorInvalid`
 */
export async function pageAcross<Row extends { warehouse: string }>(
  ctx: Context,
  { period, warehouses }: StatementScope,
  { limit = 50, cursor }: { limit?: number | undefined; cursor?: string | undefined },
  source: RowSource<Row>
): Promise<{ items: Row[]; nextCursor: string | null }> {
  const [code = '', ...key] = readCursor(cursor, ['text', ...source.key]) ?? []
  const rows: Row[] = []
  for (const warehouse of warehouses) {
    if (!hasRows(warehouse, source) || warehouse.code < String(code)) continue
    const after = warehouse.code === code ? key : undefined
    rows.push(...(await source.page(ctx, monthOf(warehouse, period), { after, limit: limit + 1 - rows.length })))
    if (rows.length > limit) break
  }
  return pageFrom(rows, limit, (row) => [row.warehouse, ...source.keyOf(row)])
}

/** All rows of all warehouses in the same order, for files. */
export async function* streamAcross<Row extends { warehouse: string }>(
  ctx: Context,
  { period, warehouses }: StatementScope,
  source: RowSource<Row>
): AsyncGenerator<Row> {
  for (const warehouse of warehouses)
    if (hasRows(warehouse, source)) yield* source.stream(ctx, monthOf(warehouse, period))
}
