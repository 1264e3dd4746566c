import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { requireParts } from '../catalogue/parts.queries.ts'
import { ensureOwn } from '../ledger/ensure-balances.ts'
import { FIRST_OPEN_MONTH } from '../ledger/open-months.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { dutiesFor } from '../slips/create-slip.ts'
import { requireLikelyDay } from '../slips/draft-slip.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { countersOf, viewOfCount } from './count.ts'
import type { CountKind, CountView, OpenCount } from './counts.schemas.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'

export const OPENING_DUTIES: readonly Duty[] = ['keeper', 'department-head', 'finance-supervisor', 'stock-controller']

/**
 * The position of the ledger, as SQL: the id that the last movement drew. Movements of a balance draw theirs while they hold
 * it, so whoever holds a balance and then reads the position knows: all its movements up to there are in what it has on
 * hand, and later ones are not.
 */
export const POSITION = '(select case when is_called then last_value else 0 end from movement_id_seq)'

// The row of the counter is held until the commit: counts of a warehouse are opened one after the other.
const CREATE = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber("'CNT'", '$2')}
), created as (
  insert into stock_count (warehouse_id, number, kind, state, period, scope, position, opened_at, opened_by, duties, note, follows_count_id)
  select $1, ${documentNumber('$3', "'CNT'", '$2')},
         $4, 'counting', $5::date, $6::jsonb, 0, $7::timestamptz, $8, ${dutiesFor(`'count'`)}, $9, $10
    from numbered
  returning id, number
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, id, $7, $8, 'opened', nullif(jsonb_strip_nulls(jsonb_build_object('period', to_char($5::date, 'YYYY-MM'), 'follows', $11::text)), '{}') from created
)
select id, number from created`)

/** Balances `b` that a count takes, as SQL: the choice is $3 to $7. */
const CHOSEN = `
  balance b join part on part.id = b.part_id
 where b.warehouse_id = $1
   and case when $6::boolean then b.on_hand = 0 when $5::int[] is not null then true else b.on_hand > 0 end
   and ($3::text is null or part.criticality = $3) and ($4::text is null or part.category = $4) and ($5::int[] is null or b.part_id = any ($5))
   and ($7::timestamptz is null or not exists (
         select 1 from count_line seen join stock_count done on done.warehouse_id = seen.warehouse_id and done.id = seen.count_id and done.state = 'approved'
          where seen.warehouse_id = b.warehouse_id and seen.part_id = b.part_id and seen.ownership = b.ownership and seen.condition = b.condition
            and seen.state = 'settled' and seen.counted_at >= $7))`

/** The same without what another count has. */
const FREE = `${CHOSEN}
   and not exists (
         select 1 from count_line taken
          where taken.warehouse_id = b.warehouse_id and taken.part_id = b.part_id and taken.ownership = b.ownership and taken.condition = b.condition and taken.active)`

/** Lines that another count left over, `old`: those of count $3 that were set aside or could not be adjusted. */
const LEFT_OVER = `
  count_line old
  join balance b on b.warehouse_id = old.warehouse_id and b.part_id = old.part_id and b.ownership = old.ownership and b.condition = old.condition
 where old.warehouse_id = $1 and old.count_id = $3 and (old.state = 'set-aside' or old.adjustment_problem is not null)`

// The balances are locked in key order, as postings lock them, and what is read is what is locked: a posting under way is
// waited for and is in the snapshot, and none begins before the position is read. Lines are numbered by part number, as the
// shelves are walked.
const lines = (from: string, { countedBefore, mustVerify }: { countedBefore: string; mustVerify: boolean }) =>
  statement<{ lines: number }>(`
with opened as (
  insert into count_line (warehouse_id, count_id, line_no, part_id, ownership, condition, snapshot, counted_before, must_verify)
  select $1, $2, row_number() over (order by part_number, ownership desc, condition desc), part_id, ownership, condition, on_hand, counted_before, ${mustVerify}
    from (select b.part_id, b.ownership, b.condition, b.part_number, b.on_hand, ${countedBefore} as counted_before from ${from}
           order by b.part_id, b.ownership, b.condition for share of b) held
  returning 1
)
select count(*)::int as lines from opened`)
const CHOSEN_ANEW = { countedBefore: `'{}'::int[]`, mustVerify: false }
const OPEN_CHOSEN = lines(CHOSEN, CHOSEN_ANEW)
const OPEN_FREE = lines(FREE, CHOSEN_ANEW)
// Whoever counted them may know by now what is expected: they are counted by others, and verified whatever is found.
const OPEN_LEFT_OVER = lines(LEFT_OVER, { countedBefore: countersOf('old'), mustVerify: true })

const SET_POSITION = statement<never>(
  `update stock_count set position = ${POSITION} where warehouse_id = $1 and id = $2`
)

const BEING_COUNTED = statement<{ part: string; ownership: string; condition: string; count: string; total: number }>(`
select b.part_number as part, b.ownership, b.condition, c.number as count, count(*) over ()::int as total
  from (select b.* from ${CHOSEN}) b
  join count_line l on l.warehouse_id = b.warehouse_id and l.part_id = b.part_id and l.ownership = b.ownership and l.condition = b.condition and l.active
  join stock_count c on c.warehouse_id = l.warehouse_id and c.id = l.count_id
 where c.id <> $2
 order by b.part_number, b.ownership, b.condition limit ${NAMED_OFFENDERS}`)

const NOTE_ELSEWHERE = statement<never>(`
update stock_count set counted_elsewhere = (
         select json_agg(json_build_object('count', count, 'lines', lines) order by count)
           from (select c.number as count, count(*) as lines
                   from (select b.* from ${CHOSEN}) b
                   join count_line l on l.warehouse_id = b.warehouse_id and l.part_id = b.part_id and l.ownership = b.ownership and l.condition = b.condition and l.active
                   join stock_count c on c.warehouse_id = l.warehouse_id and c.id = l.count_id
                  where c.id <> $2
                  group by c.number) elsewhere)
 where warehouse_id = $1 and id = $2`)

const MONTH_END = statement<{
  same: string | null
  later: string | null
  isClosed: boolean
  firstOpen: string | null
}>(`
select (select number from stock_count where warehouse_id = $1 and kind = 'month-end' and state <> 'cancelled' and period = $2::date) as same,
       (select number from stock_count where warehouse_id = $1 and kind = 'month-end' and state = 'approved' and period > $2::date order by period limit 1) as later,
       exists (select 1 from stock_period where warehouse_id = $1 and period >= $2::date and state = 'closed') as "isClosed",
       ${FIRST_OPEN_MONTH} as "firstOpen"`)

/**
 * Opens a count: of all stock for a month end, or of a part of it between (R-CNT-1, R-CNT-5). It takes a snapshot of the chosen
 * balances and a position in the ledger; work goes on.
 * @throws Refusal `BalanceBeingCounted`, `CountTooEarly`, `PeriodBeforeStock`, `PeriodClosed`, `MonthEndAlreadyCounted`, `ScopeMissing`, `NothingToCount`, `DayTooEarly`, 403
 */
export async function openCount(
  ctx: Context,
  { warehouse: code, kind, period, note, ...chosen }: OpenCount & { warehouse: string }
): Promise<CountView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, OPENING_DUTIES, warehouse)
  const scope = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined)) as typeof chosen
  requireShape(kind, period, Object.keys(scope))
  if (period !== undefined) requireTime(ctx, period)
  if (scope.notCountedSince !== undefined) requireLikelyDay(scope.notCountedSince, '/notCountedSince')
  const parts = scope.parts === undefined ? undefined : [...(await requireParts(ctx, scope.parts)).values()]
  return inTransaction(ctx, async (inner) => {
    const month = period === undefined ? null : `${period}-01`
    if (month !== null) await requireMonth(inner, warehouse, month)
    const { id, number } = await createCount(inner, warehouse, { kind, month, scope, note: note ?? null })
    // Of a part that was never here the counter confirms just that.
    if (parts !== undefined) await ensureOwn(inner, warehouse.id, parts)
    const choice = [
      warehouse.id,
      id,
      scope.criticality ?? null,
      scope.category ?? null,
      parts?.map((part) => part.id) ?? null,
      scope.zeroStock ?? false,
      scope.notCountedSince === undefined ? null : startOf(inner, scope.notCountedSince)
    ]
    const taken = await run(inner, BEING_COUNTED, choice)
    const total = taken[0]?.total ?? 0
    // A month end does not wait for a count that goes on: it takes the rest, and says which count has what it does not.
    if (kind === 'cycle' && total > 0) throw beingCounted(taken, total)
    const [opened] = await run(inner, kind === 'cycle' ? OPEN_CHOSEN : OPEN_FREE, choice).catch((error: unknown) => {
      throw isBeingCounted(error) ? beingCounted([], 0) : error
    })
    if (kind === 'cycle' && (opened?.lines ?? 0) === 0) {
      throw new Refusal(
        'NothingToCount',
        422,
        `no balance of ${code} is what was chosen; choose others. Goods that no balance knows are added to a count that is open`
      )
    }
    if (total > 0 && opened?.lines === 0) throw beingCounted(taken, total)
    // Always: goods may have been found in another count a moment ago.
    if (kind === 'month-end') await run(inner, NOTE_ELSEWHERE, choice)
    await run(inner, SET_POSITION, [warehouse.id, id])
    return viewOfCount(inner, number)
  })
}

/** Opens the count that has again what `of` left over; undefined if it left nothing. Its balances are locked and free. */
export async function openFollowUp(
  ctx: Context,
  warehouse: Warehouse,
  of: { id: string; number: string }
): Promise<string> {
  const { id, number } = await createCount(ctx, warehouse, {
    kind: 'cycle',
    month: null,
    scope: { followUp: true },
    note: null,
    follows: of
  })
  await run(ctx, OPEN_LEFT_OVER, [warehouse.id, id, of.id])
  await run(ctx, SET_POSITION, [warehouse.id, id])
  return number
}

const HOLD_NUMBERS = statement<never>(`
insert into document_number (warehouse_id, series, period, last) values ($1, 'CNT', date_trunc('month', $2::date::timestamp)::date, 0)
on conflict (warehouse_id, series, period) do update set last = document_number.last`)

/**
 * Waits until no other count is being opened in a warehouse, and lets none be until the commit. Opening takes the number
 * first and the balances then; whoever holds balances and may open a count later takes the number before them, too.
 */
export const holdOpening = async (ctx: Context, warehouse: Warehouse): Promise<void> => {
  await run(ctx, HOLD_NUMBERS, [warehouse.id, ctx.clock.today()])
}

async function createCount(
  ctx: Context,
  warehouse: Warehouse,
  {
    kind,
    month,
    scope,
    note,
    follows
  }: {
    kind: CountKind
    month: string | null
    scope: CountView['scope']
    note: string | null
    follows?: { id: string; number: string }
  }
): Promise<{ id: string; number: string }> {
  const [created] = await run(ctx, CREATE, [
    warehouse.id,
    ctx.clock.today(),
    warehouse.code,
    kind,
    month,
    JSON.stringify(scope),
    ctx.clock.now().toString(),
    ctx.actor.personId,
    note,
    follows?.id ?? null,
    follows?.number ?? null
  ]).catch((error: unknown) => {
    throw constraintOf(error) === 'stock_count_one_month_end' ? alreadyCounted(warehouse, month ?? '') : error
  })
  if (created === undefined) throw new Error('no count was written')
  return created
}

function requireShape(kind: CountKind, period: string | undefined, scope: string[]): void {
  if (kind === 'month-end' && period === undefined) {
    throw new Refusal('PeriodMissing', 422, 'a month-end count is of a month; name it', {
      errors: [{ pointer: '/period', detail: 'is missing', accepted: 'a month such as 2026-11' }]
    })
  }
  if (kind === 'month-end' && scope.length > 0) {
    throw new Refusal('ScopeNotAsked', 422, 'a month-end count takes all stock; a cycle count chooses', {
      errors: scope.map((name) => ({ pointer: `/${name}`, detail: 'belongs to a cycle count' }))
    })
  }
  if (kind === 'cycle' && period !== undefined) {
    throw new Refusal('PeriodNotAsked', 422, 'only a month-end count is of a month; leave period away', {
      errors: [{ pointer: '/period', detail: 'belongs to a month-end count', sent: period }]
    })
  }
  if (kind === 'cycle' && scope.length === 0) {
    throw new Refusal(
      'ScopeMissing',
      422,
      'a cycle count says what it takes: criticality, category, parts, zeroStock or notCountedSince; several narrow each other'
    )
  }
}

/** A month is counted when it has nearly or really ended: what is counted earlier says little about its end. */
function requireTime(ctx: Context, period: string): void {
  const today = Temporal.PlainDate.from(ctx.clock.today())
  const month = Temporal.PlainYearMonth.from(period)
  const [begins, nearlyEnds] = [
    month.toPlainDate({ day: 1 }),
    month.toPlainDate({ day: month.daysInMonth }).subtract({ days: ctx.config.COUNT_DAYS_BEFORE_MONTH_END })
  ]
  const earliest = Temporal.PlainDate.compare(begins, nearlyEnds) > 0 ? begins : nearlyEnds
  if (Temporal.PlainDate.compare(today, earliest) >= 0) return
  throw new Refusal(
    'CountTooEarly',
    422,
    `the month-end count of ${period} may be opened from ${earliest.toString()} on; until then open a cycle count`,
    { errors: [{ pointer: '/period', detail: 'has not nearly ended', sent: period }] }
  )
}

async function requireMonth(ctx: Context, warehouse: Warehouse, month: string): Promise<void> {
  const [found] = await run(ctx, MONTH_END, [warehouse.id, month])
  const period = month.slice(0, 7)
  if (found?.isClosed) {
    throw new Refusal(
      'PeriodClosed',
      409,
      `the period ${period} is closed for ${warehouse.code}; count an open one, or open a cycle count`,
      { errors: [{ pointer: '/period', detail: 'is closed', sent: period }] }
    )
  }
  if (found?.same != null) throw alreadyCounted(warehouse, month, found.same)
  if (found?.later != null) {
    throw new Refusal(
      'LaterMonthCounted',
      409,
      `${found.later} of a later month is approved already; what differs now is counted in a later month, or by a cycle count`
    )
  }
  const thisMonth = ctx.clock.today().slice(0, 7)
  const first = found?.firstOpen != null && found.firstOpen < thisMonth ? found.firstOpen : thisMonth
  if (period < first) {
    throw new Refusal(
      'PeriodBeforeStock',
      422,
      `nothing was held or moved in ${warehouse.code} up to the end of ${period}; its first month to count is ${first}`,
      {
        errors: [
          { pointer: '/period', detail: 'is before anything was there', sent: period, accepted: `${first} or later` }
        ]
      }
    )
  }
}

const alreadyCounted = (warehouse: Warehouse, month: string, number?: string): Refusal =>
  new Refusal(
    'MonthEndAlreadyCounted',
    409,
    `${warehouse.code} has a month-end count of ${month.slice(0, 7)}${number === undefined ? '' : `, ${number}`}; go on with it, or have it cancelled`,
    number === undefined ? {} : { extra: { count: number } }
  )

const startOf = (ctx: Context, day: string): string =>
  Temporal.PlainDate.from(day).toZonedDateTime(ctx.config.BUSINESS_TIME_ZONE).toInstant().toString()

/** Whether the database found that another count has the balance. */
export const isBeingCounted = (error: unknown): boolean => constraintOf(error) === 'count_line_one_count_per_balance'

/** Never two counts of one balance: whichever is adjusted second would undo what the first one found. */
export const beingCounted = (
  taken: { part: string; ownership: string; condition: string; count: string }[],
  total: number
): Refusal =>
  new Refusal(
    'BalanceBeingCounted',
    409,
    taken.length === 0
      ? 'another count of the same goods was opened a moment ago; finish or cancel it first'
      : `these are being counted already: ${taken
          .map(({ part, ownership, condition, count }) => `${part} ${ownership} ${condition} in ${count}`)
          .join(
            '; '
          )}${total > taken.length ? ` and ${total - taken.length} more` : ''}. Finish or cancel that count first`,
    {
      extra: { balances: taken.map(({ part, ownership, condition, count }) => ({ part, ownership, condition, count })) }
    }
  )
