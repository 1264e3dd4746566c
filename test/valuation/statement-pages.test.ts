import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Context } from '../../src/identity/actor.ts'
import { agingSource } from '../../src/valuation/aging.ts'
import { depreciationRows, type BookedMonth } from '../../src/valuation/depreciation.ts'
import { stockReportRows } from '../../src/valuation/stock-report.ts'
import { openHarness, type Harness } from '../support/harness.ts'

// A closed month of 30,000 balances with a lot each, and one balance in the middle with 20,000 lots.

const PERIOD = '2026-09'
const LIMIT = 51

let h: Harness
let month: BookedMonth

beforeAll(async () => {
  h = await openHarness()
  const warehouse = await h.make.warehouse()
  month = { warehouse, period: PERIOD, isClosed: true }
  const zeros = Array.from({ length: 16 }, () => 0).join(', ')
  const first = `${PERIOD}-01`
  await h.sql('select ensure_statement_partitions($1::date)', [first])
  await h.sql(
    `insert into stock_report_line select $1, $2, 'P-' || lpad(i::text, 6, '0'), 'own', 'qualified', i, 'n', null, null, 'piece', ${zeros} from generate_series(1, 30000) i`,
    [warehouse.id, first]
  )
  await h.sql(
    `insert into depreciation_line select $1, $2, case when i <= 30000 then i else 15000 end, i, 'qualified', '2026-01-01', 1, 1, 1, 0, 0, 0 from generate_series(1, 50000) i`,
    [warehouse.id, first]
  )
  await h.sql('analyze depreciation_line, stock_report_line')
}, 120_000)
afterAll(() => h.close())

/** The statement that a read sends, and its values. */
async function sent(read: (ctx: Context) => Promise<unknown>): Promise<[text: string, values: unknown[]]> {
  let found: [string, unknown[]] | undefined
  const pool = {
    query: (text: string, values: unknown[]) => {
      found = [text, values]
      return Promise.resolve({ rows: [] })
    }
  }
  await read({ pool } as unknown as Context)
  if (found === undefined) throw new Error('nothing was sent')
  return found
}

interface Plan {
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}
const rowsRead = (plan: Plan): number =>
  (plan['Relation Name'] === undefined
    ? 0
    : (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']) +
  (plan.Plans ?? []).reduce((sum, below) => sum + rowsRead(below), 0)

const aging = agingSource({ partId: null, ownership: 'own', age: null, bucket: null })
test.for([
  [
    'depreciation',
    'P-014999',
    (ctx, after) => depreciationRows(ctx, month, { after: [after, 'qualified', '14999'], limit: LIMIT })
  ],
  [
    'depreciation',
    'P-015000',
    (ctx, after) => depreciationRows(ctx, month, { after: [after, 'qualified', '40000'], limit: LIMIT })
  ],
  ['depreciation', '', (ctx) => depreciationRows(ctx, month, { limit: LIMIT })],
  ['aging', 'P-014999', (ctx, after) => aging.page(ctx, month, { after: [after, 'qualified', '14999'], limit: LIMIT })],
  ['aging', 'P-015000', (ctx, after) => aging.page(ctx, month, { after: [after, 'qualified', '40000'], limit: LIMIT })],
  ['aging', '', (ctx) => aging.page(ctx, month, { after: undefined, limit: LIMIT })],
  [
    'stock report',
    'P-015000',
    (ctx, after) => stockReportRows(ctx, month, { after: [after, 'own', 'qualified'], limit: LIMIT })
  ],
  ['stock report', '', (ctx) => stockReportRows(ctx, month, { limit: LIMIT })]
] as [string, string, (ctx: Context, after: string) => Promise<unknown>][])(
  'a page of the %s of a closed month after "%s" reads its own rows only',
  async ([, after, read]) => {
    const [text, values] = await sent((ctx) => read(ctx, after))
    const client = await h.runtime.database.pool.connect()
    try {
      for (const mode of ['force_custom_plan', 'force_generic_plan']) {
        await client.query(`set plan_cache_mode = ${mode}`)
        await client.query(`prepare page as ${text}`)
        const literals = values.map((value) =>
          value === null ? 'null' : Array.isArray(value) ? `'{${value.join(',')}}'` : `'${value as string | number}'`
        )
        const { rows } = await client.query(`explain (analyze, format json) execute page (${literals.join(', ')})`)
        await client.query('deallocate page')
        expect([mode, rowsRead(rows[0]['QUERY PLAN'][0].Plan) < 5 * LIMIT]).toEqual([mode, true])
      }
    } finally {
      await client.query('reset plan_cache_mode')
      client.release()
    }
  }
)
