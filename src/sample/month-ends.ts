// The month ends of the sample company (月末): every warehouse but one counts the months that have ended, reports to head office and
// closes them. One finds two differences and counts a part lot by lot; afterwards it goes on with a cycle count that is half entered.
//
// Each warehouse has a transaction of its own: closing holds a lock for every month since 2000, and eighteen warehouses in one
// transaction would need more locks than a server has by default. A second run skips what is counted already.
import { openCount } from '../counts/open-count.ts'
import { explainVariances } from '../counts/explain-variances.ts'
import { recordCounts } from '../counts/record-counts.ts'
import { sendCountReport } from '../counts/count-reports.ts'
import { signCount } from '../counts/sign-count.ts'
import { submitCount } from '../counts/submit-count.ts'
import { verifyVariances } from '../counts/verify-variances.ts'
import type { CountEntry, VarianceExplanation } from '../counts/counts.schemas.ts'
import type { Context } from '../identity/actor.ts'
import { actingAs, actorOf } from '../identity/directory.ts'
import { listLots } from '../ledger/ledger.queries.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { closePeriod, makeRoom } from '../valuation/close-period.ts'
import { daysAgo, openHouse, OPENED_DAYS_AGO } from './some-weeks.ts'

/** It has not counted: its closing says what is missing. */
export const STILL_OPEN = 'NB11'

/** Where the count of the last month finds differences, and where the cycle count runs. */
const DIFFERING = 'SZ01'
const BY_LOT = 'FB-9873'
const DIFFERENCES: Record<string, { found: string } & Omit<VarianceExplanation, 'line'>> = {
  'PB-6109': {
    found: '-1',
    cause: 'other',
    causeNote: '维修技术员取用，未办出库',
    evidence: '技术员书面说明，班组长签字'
  },
  'SD-2342': { found: '2', cause: 'found', evidence: '复盘记录与货格照片：底层两件' }
}

/** How many warehouses are at it at the same time. */
const LANES = 2

/** The months that have ended since the opening slips, oldest first: one or two. */
export function endedMonths(ctx: Context): string[] {
  const thisMonth = ctx.clock.today().slice(0, 7)
  const months: string[] = []
  let month = Temporal.PlainYearMonth.from(daysAgo(ctx, OPENED_DAYS_AGO))
  for (; month.toString() < thisMonth; month = month.add({ months: 1 })) months.push(month.toString())
  return months
}

/**
 * Counts and closes months in every warehouse but one.
 * @param openLane a context with a unit of work of its own
 */
export async function endMonths(
  openLane: () => Context,
  { warehouses, months }: { warehouses: readonly string[]; months: readonly string[] }
): Promise<void> {
  // What tables a month needs is made beforehand; made within the transaction of one warehouse, it would hold up the others.
  for (const month of months) await makeRoom(openLane(), month)
  const waiting = warehouses.filter((code) => code !== STILL_OPEN)
  const lane = async () => {
    for (let code = waiting.shift(); code !== undefined; code = waiting.shift())
      await endMonthsOf(openLane(), code, months)
  }
  // Each lane goes on to its end, so that nothing is under way any more when this fails.
  const failed = (await Promise.allSettled(Array.from({ length: LANES }, lane))).find(
    ({ status }) => status === 'rejected'
  )
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
}

// Two processes that start together wait for each other here.
const LOCK = statement<{ id: number }>(`select id from warehouse where code = $1 for no key update`)
const IS_COUNTED = statement<{ is: boolean }>(`
select exists (select 1 from stock_count where warehouse_id = $1 and kind = 'month-end' and period = $2::date and state <> 'cancelled') as "is"`)

const endMonthsOf = (lane: Context, code: string, months: readonly string[]): Promise<void> =>
  inTransaction(lane, async (ctx) => {
    const [warehouse] = await run(ctx, LOCK, [code])
    let isNew = false
    for (const month of months) {
      const [counted] = await run(ctx, IS_COUNTED, [warehouse?.id, `${month}-01`])
      if (counted?.is) continue
      await countMonth(ctx, code, month, code === DIFFERING && month === months.at(-1) ? DIFFERENCES : {})
      await closePeriod(await openHouse(ctx, code).as('finance-supervisor'), { warehouse: code, period: month })
      isNew = true
    }
    if (code === DIFFERING && isNew) await leaveCountOpen(ctx, code)
  })

interface OnShelf {
  line: number
  part: string
  ownership: Ownership
  condition: Condition
  onHand: string
}

/** What lies on the shelves, line by line of a count: the ledger is right but where the sample says otherwise. */
const ON_SHELF = statement<OnShelf>(`
select l.line_no as line, b.part_number as part, l.ownership, l.condition, trim_scale(b.on_hand)::text as "onHand"
  from stock_count c
  join count_line l on l.warehouse_id = c.warehouse_id and l.count_id = c.id
  join balance b on b.warehouse_id = l.warehouse_id and b.part_id = l.part_id and b.ownership = l.ownership and b.condition = l.condition
 where c.warehouse_id = (select id from warehouse where code = $1) and c.number = $2
 order by l.line_no`)

const plus = (quantity: string, more: string): string => decimal(thousandths(quantity) + thousandths(more), 3)

async function countMonth(ctx: Context, code: string, period: string, differences: typeof DIFFERENCES): Promise<void> {
  const house = openHouse(ctx, code)
  const keeper = await house.as('keeper')
  const { number } = await openCount(keeper, { warehouse: code, kind: 'month-end', period })
  const shelf = await run(ctx, ON_SHELF, [code, number])
  const differing = shelf.flatMap(({ line, part, ownership, condition }) => {
    const difference = ownership === 'own' && condition === 'qualified' ? differences[part] : undefined
    return difference === undefined ? [] : [{ line, ...difference }]
  })
  const lots = code === DIFFERING ? (await listLots(keeper, { warehouse: code, part: BY_LOT })).items : []
  const entries = shelf.map(({ line, part, onHand }): CountEntry => {
    const counted = plus(onHand, differing.find((difference) => difference.line === line)?.found ?? '0')
    return {
      line,
      counted,
      card: onHand,
      ...(part === BY_LOT && lots.length > 0 && { lots: lots.map((lot) => ({ lot: lot.lot, counted: lot.onHand })) })
    }
  })
  await enter(keeper, number, entries)
  if (differing.length > 0) {
    const again = entries.filter((entry) => differing.some(({ line }) => line === entry.line))
    await enter(await house.as('technician'), number, again)
    await explainVariances(keeper, { number, lines: differing.map(({ found: _found, ...explanation }) => explanation) })
    await verifyVariances(await house.as('finance-supervisor'), {
      number,
      lines: differing.map(({ line }) => ({ line, accepted: true }))
    })
  }
  await submitCount(keeper, { number })
  for (const duty of ['finance-supervisor', 'department-head'] as const)
    await signCount(await house.as(duty), { number, duty, decision: 'approve' })
  await sendCountReport(keeper, { number })
  await signCount(actingAs(ctx, await actorOf(ctx.em, 'stock-controller@hq')), {
    number,
    duty: 'stock-controller',
    decision: 'approve'
  })
}

async function enter(counter: Context, number: string, entries: readonly CountEntry[]): Promise<void> {
  const { refused, results } = await recordCounts(counter, { number, entries })
  if (refused > 0)
    throw new Error(
      `${number} was counted wrongly: ${JSON.stringify(results.filter(({ problem }) => problem !== null))}`
    )
}

/** A cycle count of the critical parts: half of it is entered, and one line somebody else has to count again. */
async function leaveCountOpen(ctx: Context, code: string): Promise<void> {
  const keeper = await openHouse(ctx, code).as('keeper')
  const { number } = await openCount(keeper, {
    warehouse: code,
    kind: 'cycle',
    criticality: 'A',
    note: '重点件循环盘点'
  })
  const shelf = await run(ctx, ON_SHELF, [code, number])
  await enter(
    keeper,
    number,
    shelf.slice(0, Math.ceil(shelf.length / 2)).map(({ line, onHand }, index) => ({
      line,
      counted: index === 0 ? plus(onHand, '-1') : onHand,
      card: onHand
    }))
  )
}
