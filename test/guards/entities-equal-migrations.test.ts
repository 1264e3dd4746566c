import { defineEntity, MikroORM, p } from '@mikro-orm/postgresql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { entities } from '../../src/orm.ts'
import { cloneDatabase } from '../support/harness.ts'

const CREDENTIALS = 'credentials and rights are read into one row per person or key and written by single statements'
const KERNEL = 'stock moves by the stored functions of the ledger alone'
const HOT = 'written in one round trip per slip, whatever its lines'
const COUNTED = 'counted, settled and adjusted by single statements on many lines at once'
const PROPOSED = 'proposed, gathered and signed by single statements on many lines at once'
const MONTH_END = 'written by one set-based statement per month end and frozen then'
const SETTING = 'a handful of rows of settings, read and replaced whole'
const REORDER = 'computed for a million positions at once by set-based statements, or read together with them'
const ALERTS = 'raised, escalated and resolved by single statements on many rows at once'
const WEBHOOKS = 'written for many events and endpoints at once by single statements'
const DEPOSITS = 'summed by single statements under the lock of the account'
const QUEUED = 'registered, asked, timed and served by single statements on all lines of a request at once'
const RECALLED = 'written for every warehouse at once, signed and listed by single statements'
const REQUESTED = 'allocated, displaced and issued by single statements on many lines at once'
const OLD_PARTS = 'opened, settled and added up by single statements on many slip lines at once'
const IN_TRANSIT = 'follows slips of two warehouses through single statements and a trigger'
const LOANERS = 'moved, lent and counted by single statements, together with the slips that move them'
const TOOLS = 'issued, returned and listed by single statements on all tools of a document at once'
const HANDED_OVER =
  'frozen by one statement for a whole warehouse, and signed in the transaction in which it takes effect'
const PLATFORM = 'the platform writes it by prepared statements and knows no entities'

/** Tables that SQL alone writes and reads, and why. Every other table has an entity that equals it. */
const SQL_ONLY: Record<string, string> = {
  idempotency_key: PLATFORM,
  handover: HANDED_OVER,
  handover_balance: HANDED_OVER,
  handover_open: HANDED_OVER,
  keeper_cut_off: HANDED_OVER,
  warehouse_in_region: 'written by a trigger and read by SQL',
  setting: PLATFORM,
  outbox: PLATFORM,
  job_run: PLATFORM,
  calendar_year: SETTING,
  migration: 'kept by the migrator itself',
  duty_assignment: CREDENTIALS,
  delegation: CREDENTIALS,
  refresh_token: CREDENTIALS,
  api_key: CREDENTIALS,
  audit_event: 'append-only, written by one statement in the transaction of the deed',
  balance: KERNEL,
  lot: KERNEL,
  movement: KERNEL,
  reservation: KERNEL,
  recall_scope: KERNEL,
  lot_block: KERNEL,
  stock_period: KERNEL,
  depreciation_policy: KERNEL,
  slip: HOT,
  slip_line: HOT,
  document_number: HOT,
  document_event: HOT,
  signature: HOT,
  signing_policy: HOT,
  quality_report: HOT,
  stock_count: COUNTED,
  count_line: COUNTED,
  count_entry: COUNTED,
  count_tolerance: SETTING,
  reorder_proposal: PROPOSED,
  purchase_plan: PROPOSED,
  purchase_plan_budget: PROPOSED,
  purchase_plan_line: PROPOSED,
  depreciation_line: MONTH_END,
  stock_report_line: MONTH_END,
  period_statement: MONTH_END,
  aging_bucket: SETTING,
  journal_account: SETTING,
  closing_run: MONTH_END,
  alert: ALERTS,
  alert_event: ALERTS,
  alert_policy: SETTING,
  ledger_finding: 'replaced whole by each nightly self-check',
  closing_run_warehouse: MONTH_END,
  demand: REORDER,
  demand_recorded: REORDER,
  service_target: SETTING,
  reorder_policy: REORDER,
  reorder_level: REORDER,
  expected_receipt: HOT,
  transfer: IN_TRANSIT,
  transfer_line: IN_TRANSIT,
  transfer_claim: IN_TRANSIT,
  transfer_arrival: IN_TRANSIT,
  transfer_transport: IN_TRANSIT,
  backorder: QUEUED,
  request_clock: QUEUED,
  request_clock_pause: QUEUED,
  deposit_account: DEPOSITS,
  deposit_entry: DEPOSITS,
  deposit_hold: DEPOSITS,
  deposit_waiver: DEPOSITS,
  deposit_waiver_use: DEPOSITS,
  old_part: OLD_PARTS,
  old_part_return: OLD_PARTS,
  old_part_write_off: OLD_PARTS,
  mail: ALERTS,
  recall: RECALLED,
  recall_line: RECALLED,
  recall_warehouse: RECALLED,
  recall_answer: RECALLED,
  recall_ending: RECALLED,
  webhook_endpoint: WEBHOOKS,
  webhook_message: WEBHOOKS,
  webhook_delivery: WEBHOOKS,
  request: REQUESTED,
  request_line: REQUESTED,
  request_allocation: REQUESTED,
  order_restriction: SETTING,
  loaner_unit: LOANERS,
  loaner_move: LOANERS,
  loan: LOANERS,
  loaner_reservation: LOANERS,
  loaner_target: SETTING,
  tool: TOOLS,
  tool_policy: SETTING,
  tool_document: TOOLS,
  tool_document_line: TOOLS,
  tool_signature: TOOLS,
  tool_kit: TOOLS,
  tool_kit_tool: TOOLS,
  tool_calibration: TOOLS,
  custody_entry: TOOLS,
  tool_loss: TOOLS,
  tool_compensation: TOOLS,
  custody_round: TOOLS,
  custody_round_line: TOOLS,
  custody_round_tool: TOOLS,
  installed_base: SETTING,
  webhook_attempt: WEBHOOKS
}
/** Views that lists and jobs read; they hold nothing. */
const SQL_ONLY_VIEWS = [
  'custody_round_position',
  'recalled_lot',
  'duty_holder',
  'loaner_fleet',
  'loaner_movement',
  'loaner_recall',
  'old_part_outstanding',
  'old_part_position',
  'on_order',
  'reorder_position',
  'request_line_position',
  'transfer_flow',
  'transfer_hold',
  'transfer_in_transit',
  'transfer_line_position'
]
/** Whole schemas that belong to somebody else. */
const FOREIGN_SCHEMAS = { bullmq: 'made and migrated by BullMQ' }

let database: Awaited<ReturnType<typeof cloneDatabase>>
beforeAll(async () => {
  database = await cloneDatabase()
})
afterAll(() => database.drop())

async function withOrm<Result>(known: typeof entities, work: (orm: MikroORM) => Promise<Result>): Promise<Result> {
  const orm = await MikroORM.init({
    clientUrl: database.url,
    entities: known,
    schemaGenerator: {
      ignoreRoutines: true,
      ignoreTriggers: true,
      skipTables: Object.keys(SQL_ONLY),
      skipViews: SQL_ONLY_VIEWS,
      ignoreSchema: Object.keys(FOREIGN_SCHEMAS)
    },
    allowGlobalContext: true
  })
  try {
    return await work(orm)
  } finally {
    await orm.close(true)
  }
}

/** What would have to be done to the database to make it what the entities say. */
const differences = (known: typeof entities = entities) =>
  withOrm(known, async (orm) => (await orm.schema.getUpdateSchemaSQL({ wrap: false })).trim())

test('the entities equal the migrated schema', async () => {
  expect(await differences()).toBe('')
})

test('every table of SQL alone is there and has no entity', async () => {
  const [tables, mapped] = await withOrm(entities, async (orm) => [
    await orm.em
      .getConnection()
      .execute<{ name: string }[]>(
        `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`
      ),
    [...orm.getMetadata().getAll().values()].map(({ tableName }) => tableName)
  ])
  expect(Object.keys(SQL_ONLY).filter((table) => !tables.some(({ name }) => name === table))).toEqual([])
  expect(Object.keys(SQL_ONLY).filter((table) => mapped.includes(table))).toEqual([])
})

test('a column or a table on one side only is noticed', async () => {
  const Lonely = defineEntity({ name: 'Lonely', tableName: 'lonely', properties: { id: p.integer().primary() } })
  expect(await differences([...(entities as never[]), Lonely as never])).toContain('create table "lonely"')

  const execute = (text: string) => withOrm(entities, (orm) => orm.em.getConnection().execute(text))
  await execute('alter table region add column climate text')
  expect(await differences()).toContain('drop column "climate"')
  await execute('alter table region drop column climate')
  await execute('alter table supplier drop column name_zh')
  expect(await differences()).toContain('add "name_zh" text null')
  await execute('alter table supplier add column name_zh text')
  await execute('create table stranger (id int)')
  expect(await differences()).toContain('drop table if exists "stranger"')
  await execute('drop table stranger')
  expect(await differences()).toBe('')
})
