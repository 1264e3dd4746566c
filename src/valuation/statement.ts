// The statement of a warehouse and month: what a finance department keeps of a month end. Closing builds it once and stores its
// RFC 8785 text with the SHA-256 of exactly these bytes; every later read sends the stored text. It holds the hashes of the two
// files that go with it (depreciation by lot, stock report) and of the statement before it, so that one hash proves them all.
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { requireSight, type Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { csvHash } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { readsClaims } from '../tools/tool-rights.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { agedBuckets, type AgedBucket } from './aging.ts'
import {
  bookedMonths,
  DEPRECIATION_COLUMNS,
  depreciationStream,
  depreciationTotals,
  firstDay,
  type BookedMonth,
  type DepreciationTotals
} from './depreciation.ts'
import { isOfClaim, journalLines, type JournalLine } from './journal.ts'
import { materialCostTotals, type MaterialCostTotals } from './material-cost.ts'
import { inSnapshot, requireBegun } from './statement-scope.ts'
import { STOCK_REPORT_COLUMNS, stockReportStream, stockReportTotals, type StockReportTotals } from './stock-report.ts'

const FORMAT = 'bincard-statement/1'

export interface Statement {
  format: typeof FORMAT
  state: 'closed' | 'preview'
  warehouse: { code: string; name: string; nameZh: string | null; region: string }
  period: string
  /** The last movement of the month and all months before it that this was made from; "0" if nothing ever moved. */
  position: string
  /** The policies that any charge of the month follows. */
  policies: { effectiveFrom: string; graceMonths: number; rate: string; chargeCount: number }[]
  /** The approved month-end count. */
  count: string | null
  depreciation: DepreciationTotals & { sha256: string | null }
  stockReport: StockReportTotals & { sha256: string | null }
  journal: JournalLine[]
  /** Own goods by the classes of age as they were set at that time. */
  aging: AgedBucket[]
  materialCost: MaterialCostTotals
  closedBy: string | null
  closedAt: string | null
  /** Hash of the statement of the month before. */
  previousSha256: string | null
}

type Facts = Pick<Statement, 'position' | 'policies' | 'count' | 'previousSha256'> & {
  region: string
  name: string
  nameZh: string | null
}
const FACTS = statement<Facts>(`
select greatest(coalesce(before.position, 0), coalesce((
         select max(m.id) from movement m
          where m.warehouse_id = $1 and m.occurred_on >= coalesce((before.period + interval '1 month')::date, '0001-01-01')
            and m.occurred_on < ($2::date + interval '1 month')::date), 0))::text as position,
       (select json_agg(json_build_object('effectiveFrom', to_char(effective_from, 'YYYY-MM'), 'graceMonths', grace_months, 'rate', trim_scale(rate)::text, 'chargeCount', charge_count) order by effective_from)
          from depreciation_policy where effective_from <= $2::date) as policies,
       (select number from stock_count where warehouse_id = $1 and kind = 'month-end' and period = $2::date and state = 'approved') as count,
       case when before.period = ($2::date - interval '1 month')::date then before.sha256 end as "previousSha256",
       region.code as region, w.name, w.name_zh as "nameZh"
  from warehouse w
  join region on region.id = w.region_id
  left join lateral (select * from period_statement where warehouse_id = $1 and period < $2::date order by period desc limit 1) before on true
 where w.id = $1`)

/** What a statement says besides figures, as it is now. */
export async function statementFacts(
  ctx: Context,
  { warehouseId, period }: { warehouseId: number; period: string }
): Promise<Facts> {
  const [facts] = await run(ctx, FACTS, [warehouseId, firstDay(period)])
  if (facts === undefined) throw new Error(`there is no warehouse ${warehouseId}`)
  return facts
}

/**
 * Works the statement of a month out: of one that is being closed from the rows just frozen, with their hashes; of an open one as a
 * preview, without.
 */
export async function buildStatement(
  ctx: Context,
  { warehouse, period, isClosed }: BookedMonth & { warehouse: Warehouse },
  closing?: { by: string; at: string }
): Promise<Statement> {
  const month = { warehouse, period, isClosed }
  const booked = bookedMonths(month)
  const { region, name, nameZh, ...said } = await statementFacts(ctx, { warehouseId: warehouse.id, period })
  const depreciation = await depreciationTotals(ctx, booked)
  return {
    format: FORMAT,
    state: isClosed ? 'closed' : 'preview',
    warehouse: { code: warehouse.code, name, nameZh, region },
    period,
    ...said,
    depreciation: {
      ...depreciation,
      sha256: isClosed ? await csvHash(DEPRECIATION_COLUMNS, depreciationStream(ctx, month)) : null
    },
    stockReport: {
      ...(await stockReportTotals(ctx, booked)),
      sha256: isClosed ? await csvHash(STOCK_REPORT_COLUMNS, stockReportStream(ctx, month)) : null
    },
    journal: await journalLines(ctx, { warehouseId: warehouse.id, period, charge: depreciation.charge }),
    aging: (await agedBuckets(ctx, booked, { groups: [[warehouse.id]], ownership: 'own' }))[0] ?? [],
    materialCost: await materialCostTotals(ctx, booked),
    closedBy: closing?.by ?? null,
    closedAt: closing?.at ?? null
  }
}

/** The text that is stored and hashed. */
export function sealed(content: Statement): { text: string; sha256: string } {
  const text = canonicalize(content)
  if (text === undefined) throw new Error('a statement has content')
  return { text, sha256: createHash('sha256').update(text).digest('hex') }
}

export interface FrozenStatement {
  content: string
  sha256: string
  closedBy: string
  closedAt: string
}

const FROZEN = statement<FrozenStatement>(`
select s.content, s.sha256, person.username as "closedBy", s.closed_at as "closedAt"
  from period_statement s join person on person.id = s.closed_by
 where s.warehouse_id = $1 and s.period = $2::date`)

/** The stored statement; undefined while the month is open. */
export async function frozenStatement(
  ctx: Context,
  { warehouseId, period }: { warehouseId: number; period: string }
): Promise<FrozenStatement | undefined> {
  const [frozen] = await run(ctx, FROZEN, [warehouseId, firstDay(period)])
  return frozen && { ...frozen, closedAt: instant(frozen.closedAt) }
}

/**
 * The statement of a month as text: of a closed one the stored bytes, of an open one a preview marked as such. Who is not told what is claimed
 * from people gets either without it, and so not the stored bytes of a month in which there is something.
 * @returns `sha256` is that of the text, also of one of which nothing is stored; `isStored` if it is the stored one
 * @throws Refusal 404, 422 `PeriodNotBegun`
 */
export async function readStatement(
  ctx: Context,
  { warehouse: code, period }: { warehouse: string; period: string }
): Promise<{ text: string; sha256: string; isStored: boolean }> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  requireBegun(ctx, period, '{period}')
  const frozen = await frozenStatement(ctx, { warehouseId: warehouse.id, period })
  const isTold = readsClaims(ctx, warehouse)
  const stored = frozen && { text: frozen.content, sha256: frozen.sha256, isStored: true }
  if (isTold && stored !== undefined) return stored
  const content =
    frozen === undefined
      ? await inSnapshot(ctx, (snapshot) => buildStatement(snapshot, { warehouse, period, isClosed: false }))
      : (JSON.parse(frozen.content) as Statement)
  if (!isTold && content.journal.some(isOfClaim))
    return { ...sealed({ ...content, journal: content.journal.filter((line) => !isOfClaim(line)) }), isStored: false }
  return stored ?? { ...sealed(content), isStored: false }
}
