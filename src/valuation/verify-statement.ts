// Holds the stored statement of a closed month against what it was made from (R-FIN-1): its own hash, the hashes of its files worked out
// anew from the frozen rows, its sums, what lies in its classes of age, the policies and the count, the movements behind journal, material
// cost and position, and the statement before it. Names, accounts and the bounds of the classes of age are those of their time: nothing
// but the hash, and the hash of it in the statement after, speaks for them. What it does not do: go through the ledger itself;
// `verifyLedger` does.
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { requireDutyToRead, type Context } from '../identity/actor.ts'
import { csvHash } from '../platform/csv.ts'
import { NO_TIME_LIMIT, run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { agedBuckets } from './aging.ts'
import {
  DEPRECIATION_COLUMNS,
  depreciationStream,
  depreciationTotals,
  firstDay,
  type BookedMonth
} from './depreciation.ts'
import { journalLines } from './journal.ts'
import { materialCostTotals } from './material-cost.ts'
import { inSnapshot, requireBegun } from './statement-scope.ts'
import { sealed, statementFacts, type Statement } from './statement.ts'
import { STOCK_REPORT_COLUMNS, stockReportStream, stockReportTotals, untiedOpenings } from './stock-report.ts'

export interface StatementFinding {
  check: string
  expected: string
  found: string
}

export interface StatementVerification {
  warehouse: string
  period: string
  sha256: string
  ok: boolean
  checkedAt: string
  findings: StatementFinding[]
}

interface Stored {
  content: string
  sha256: string
  cost: string
  charge: string
  accumulated: string
  lastMovement: string
  previousContent: string | null
}

const STORED = statement<Stored>(`
select s.content, s.sha256, s.cost::text as cost, s.charge::text as charge, s.accumulated::text as accumulated,
       (select coalesce(max(m.id), 0)::text from movement m
         where m.warehouse_id = s.warehouse_id and m.occurred_on < (s.period + interval '1 month')::date) as "lastMovement",
       before.content as "previousContent"
  from period_statement s
  left join period_statement before on before.warehouse_id = s.warehouse_id and before.period = (s.period - interval '1 month')::date
 where s.warehouse_id = $1 and s.period = $2::date`)

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')
const said = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null))
/** Members in any order: what was stored was sorted, what is worked out is not. */
const plain = (value: unknown): string => canonicalize(value) ?? 'nothing'

/**
 * Verifies the statement of a closed month. For finance and stock control: it reads every row of the month, however long that takes.
 * @throws Refusal 403 `DutyRequired`, 404, 409 `PeriodOpen` while there is nothing stored, 422 `PeriodNotBegun`
 */
export async function verifyStatement(
  ctx: Context,
  { warehouse: code, period }: { warehouse: string; period: string }
): Promise<StatementVerification> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDutyToRead(ctx, ['finance-supervisor', 'hq-finance', 'stock-controller'], warehouse)
  requireBegun(ctx, period, '{period}')
  const { stored, findings } = await inSnapshot(ctx, async (snapshot) => {
    await run(snapshot, NO_TIME_LIMIT, [])
    const [row] = await run(snapshot, STORED, [warehouse.id, firstDay(period)])
    if (row === undefined)
      throw new Refusal(
        'PeriodOpen',
        409,
        `${period} of warehouse ${code} is not closed: there is only a preview, and nothing stored to verify; close the month first`
      )
    return { stored: row, findings: await findingsOf(snapshot, row, { warehouse, period, isClosed: true }) }
  })
  const checkedAt = ctx.clock.now().toString()
  return { warehouse: code, period, sha256: stored.sha256, ok: findings.length === 0, checkedAt, findings }
}

async function findingsOf(ctx: Context, stored: Stored, month: BookedMonth): Promise<StatementFinding[]> {
  const findings: StatementFinding[] = []
  const hold = (check: string, expected: unknown, found: unknown) => {
    if (said(expected) !== said(found)) findings.push({ check, expected: said(expected), found: said(found) })
  }
  const { warehouse, period } = month
  hold('sha256-of-content', stored.sha256, hashOf(stored.content))
  let content: Statement
  try {
    content = JSON.parse(stored.content) as Statement
  } catch (error) {
    return [...findings, { check: 'content-is-json', expected: 'JSON', found: (error as Error).message }]
  }
  hold('content-is-canonical', sealed(content).sha256, hashOf(stored.content))
  hold(
    'content-is-of-this-month',
    [warehouse.code, period, 'closed'],
    [content.warehouse.code, content.period, content.state]
  )

  const { sha256: depreciationHash, ...depreciation } = content.depreciation
  const { sha256: stockReportHash, ...stockReport } = content.stockReport
  hold('sha256-of-depreciation', depreciationHash, await csvHash(DEPRECIATION_COLUMNS, depreciationStream(ctx, month)))
  hold('sha256-of-stock-report', stockReportHash, await csvHash(STOCK_REPORT_COLUMNS, stockReportStream(ctx, month)))

  const closed = { closedIds: [warehouse.id], openIds: [], period }
  hold('totals-of-depreciation', plain(depreciation), plain(await depreciationTotals(ctx, closed)))
  hold('totals-of-stock-report', plain(stockReport), plain(await stockReportTotals(ctx, closed)))
  hold(
    'totals-beside-the-content',
    [depreciation.cost, depreciation.charge, depreciation.accumulatedDepreciation],
    [stored.cost, stored.charge, stored.accumulated]
  )
  hold('depreciation-ties-to-stock-report', stockReport.closingNetBookValue, depreciation.netBookValue)
  // Worked out from lots and movements as they are today, and yet the same.
  const ledger = await depreciationTotals(ctx, { closedIds: [], openIds: [warehouse.id], period })
  hold('depreciation-ties-to-ledger', plain(ledger), plain(depreciation))

  const amounts = (lines: Statement['journal']) =>
    lines.map(({ entry, role, debit, credit }) => [entry, role, debit, credit])
  const movements = await journalLines(ctx, { warehouseId: warehouse.id, period, charge: depreciation.charge })
  hold('journal-ties-to-movements', amounts(movements), amounts(content.journal))
  const sum = (side: 'debit' | 'credit') => content.journal.reduce((cents, line) => cents + inCents(line[side]), 0n)
  hold('journal-balances', String(sum('debit')), String(sum('credit')))
  // By the classes that are in it.
  const [aging = []] = await agedBuckets(ctx, closed, { groups: [[warehouse.id]], ownership: 'own' })
  hold('aging-ties-to-depreciation-lines', plain(aging), plain(content.aging))
  const total = (of: (bucket: Statement['aging'][number]) => bigint) =>
    String(content.aging.reduce((all, bucket) => all + of(bucket), 0n))
  hold(
    'totals-of-aging',
    [String(depreciation.lots), String(inCents(depreciation.cost)), String(inCents(depreciation.netBookValue))],
    [total(({ lots }) => BigInt(lots)), total(({ cost }) => inCents(cost)), total((row) => inCents(row.netBookValue))]
  )
  const { policies, count } = await statementFacts(ctx, { warehouseId: warehouse.id, period })
  hold('policies-of-the-month', plain(policies), plain(content.policies))
  hold('count-of-the-month', count, content.count)
  hold('material-cost-ties-to-movements', plain(await materialCostTotals(ctx, closed)), plain(content.materialCost))

  hold('position-is-the-last-movement', stored.lastMovement, content.position)
  hold(
    'follows-the-statement-before',
    stored.previousContent === null ? null : hashOf(stored.previousContent),
    content.previousSha256
  )
  for (const { part, ownership, condition, opening, closing } of stored.previousContent === null
    ? []
    : await untiedOpenings(ctx, { warehouseId: warehouse.id, period }))
    hold(`opens-with-what-the-month-before-closed-with: ${part} ${ownership} ${condition}`, closing, opening)
  return findings
}

/** An amount with two places as an integer count of cents. */
const inCents = (amount: string): bigint => BigInt(amount.replace('.', ''))
