// The statements that finance pulls (R-FIN-2), each as one kind of list: of a warehouse, of a region or of all that the actor sees.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { agingSource, agingTotals, type AgingFilter, type AgingRow, type AgingTotals } from './aging.ts'
import {
  depreciationRows,
  depreciationStream,
  depreciationTotals,
  firstDay,
  type BookedMonths,
  type DepreciationKey,
  type DepreciationRow,
  type DepreciationTotals
} from './depreciation.ts'
import { journalRows, journalTotals, type JournalRow, type JournalTotals } from './journal.ts'
import {
  materialCostSource,
  materialCostTotals,
  type MaterialCostRow,
  type MaterialCostTotals
} from './material-cost.ts'
import {
  AGING_TABLE,
  DEPRECIATION_TABLE,
  JOURNAL_TABLE,
  MATERIAL_COST_TABLE,
  STOCK_REPORT_TABLE,
  type StatementTable
} from './statement-files.ts'
import {
  bookedMonthsOf,
  headerOf,
  inSnapshot,
  pageAcross,
  positionOf,
  type RowSource,
  type StatementHeader,
  type StatementScope
} from './statement-scope.ts'
import {
  stockReportRows,
  stockReportStream,
  stockReportTotals,
  type StockReportKey,
  type StockReportRow,
  type StockReportTotals
} from './stock-report.ts'

/** A kind of statement: its rows, their sums, how it looks as a file. */
export interface Listing<Row extends { warehouse: string }, Totals> {
  source: RowSource<Row>
  totals(ctx: Context, months: BookedMonths): Promise<Totals>
  table: StatementTable<Row>
  /** Which of the hashes in the statement is that of its CSV. */
  hashedAs?: 'depreciation' | 'stockReport'
}

interface PartFilter {
  part: StatementScope['part']
}

export const depreciationListing = ({ part }: PartFilter): Listing<DepreciationRow, DepreciationTotals> => ({
  source: {
    key: ['text', 'text', 'id'],
    keyOf: ({ part: number, condition, lot }) => [number, condition, lot],
    page: (ctx, month, { after, limit }) =>
      depreciationRows(ctx, month, { partId: part?.id, after: after as DepreciationKey | undefined, limit }),
    stream: (ctx, month) => depreciationStream(ctx, month, { partId: part?.id })
  },
  totals: depreciationTotals,
  table: DEPRECIATION_TABLE,
  hashedAs: 'depreciation'
})

export const stockReportListing = ({ part }: PartFilter): Listing<StockReportRow, StockReportTotals> => ({
  source: {
    key: ['text', 'text', 'text'],
    keyOf: ({ part: number, ownership, condition }) => [number, ownership, condition],
    page: (ctx, month, { after, limit }) =>
      stockReportRows(ctx, month, { partId: part?.id, after: after as StockReportKey | undefined, limit }),
    stream: (ctx, month) => stockReportStream(ctx, month, { partId: part?.id })
  },
  totals: stockReportTotals,
  table: STOCK_REPORT_TABLE,
  hashedAs: 'stockReport'
})

export const journalListing: Listing<JournalRow, JournalTotals> = {
  source: {
    isOfClaims: true,
    key: ['integer'],
    keyOf: ({ line }) => [line],
    page: (ctx, month, { after, limit }) =>
      journalRows(ctx, month, { after: after === undefined ? 0 : Math.max(0, Number(after[0])), limit }),
    stream: async function* (ctx, month) {
      yield* await journalRows(ctx, month)
    }
  },
  totals: journalTotals,
  table: JOURNAL_TABLE
}

export const agingListing = (filter: AgingFilter): Listing<AgingRow, AgingTotals> => ({
  source: agingSource(filter),
  totals: (ctx, months) => agingTotals(ctx, months, filter),
  table: AGING_TABLE
})

export const materialCostListing: Listing<MaterialCostRow, MaterialCostTotals> = {
  source: materialCostSource,
  totals: materialCostTotals,
  table: MATERIAL_COST_TABLE
}

const FILE_HASH = statement<{ sha256: string | null }>(
  `select content::json #>> array[$3, 'sha256'] as sha256 from period_statement where warehouse_id = $1 and period = $2::date`
)

/** SHA-256 of the CSV as the statement holds it; null unless it is the whole file of one warehouse and a closed month. */
export async function fileHashOf(
  ctx: Context,
  { warehouse, warehouses: [only], part, period }: StatementScope,
  { hashedAs }: Pick<Listing<never, unknown>, 'hashedAs'>
): Promise<string | null> {
  if (warehouse === null || only?.sha256 == null || part !== null || hashedAs === undefined) return null
  const [row] = await run(ctx, FILE_HASH, [only.id, firstDay(period), hashedAs])
  return row?.sha256 ?? null
}

/** What a page says besides its rows. Totals and position are those of the whole list, and said on its first page only. */
export interface StatementPage<Row, Totals> extends StatementHeader {
  fileSha256: string | null
  position: string | null
  totals: Totals | null
  items: Row[]
  nextCursor: string | null
}

/** A page of a statement, in one snapshot. */
export const readStatementPage = <Row extends { warehouse: string }, Totals>(
  ctx: Context,
  scope: StatementScope,
  { limit, cursor }: { limit?: number | undefined; cursor?: string | undefined },
  listing: Listing<Row, Totals>
): Promise<StatementPage<Row, Totals>> =>
  inSnapshot(ctx, async (snapshot) => ({
    ...headerOf(scope),
    fileSha256: await fileHashOf(snapshot, scope, listing),
    position: cursor === undefined ? await positionOf(snapshot, scope) : null,
    totals: cursor === undefined ? await listing.totals(snapshot, bookedMonthsOf(scope)) : null,
    ...(await pageAcross(snapshot, scope, { limit, cursor }, listing.source))
  }))
