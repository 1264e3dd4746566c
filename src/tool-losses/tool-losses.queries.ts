import { DUTY_NAMES, grantsToday, requireDutyToRead, type Context } from '../identity/actor.ts'
import { rowsOf } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { historyOf, type DocumentEvent } from '../signing/document-history.ts'
import { CLAIM_READERS, inRegisterSight, registerSight } from '../tools/tool-rights.ts'
import { toolBySerial } from '../tools/tool.ts'
import { seesClaim } from './claims.ts'
import { toolWorth, type ToolWorth } from './tool-depreciation.ts'
import { loadLoss, LOSS_FROM, LOSS_SUMMARY, lossSummary, type LossRow } from './tool-loss.ts'
import type {
  CompensationLine,
  CompensationPage,
  CompensationQuery,
  LossEvents,
  LossQuery,
  LossSummary
} from './tool-losses.schemas.ts'
import { toolPolicyOf } from './tool-policies.ts'

function lossesOf(
  ctx: Context,
  { warehouse, technician, serial, state }: Omit<LossQuery, 'limit' | 'cursor'>,
  after: string | null,
  rows: number | null
): { text: string; values: unknown[] } {
  const [everywhere, warehouses, regions, own] = registerSight(ctx)
  const values: unknown[] = [everywhere, warehouses, regions, own]
  const value = (given: unknown) => `$${values.push(given)}`
  const conditions = [
    `(${inRegisterSight('w', 1)} or ${inRegisterSight('found_in', 1)} or l.technician_id = $4)`,
    ...(warehouse === undefined ? [] : [`w.code = ${value(warehouse)}`]),
    ...(technician === undefined ? [] : [`technician.username = ${value(technician)}`]),
    ...(serial === undefined ? [] : [`upper(t.serial) = upper(${value(serial)})`]),
    ...(state === undefined ? [] : [`l.state = ${value(state)}`]),
    ...(after === null ? [] : [`l.id < ${value(after)}::bigint`])
  ]
  return {
    text: `select ${LOSS_SUMMARY} from ${LOSS_FROM} where ${conditions.join(' and ')} order by l.id desc${rows === null ? '' : ` limit ${value(rows)}`}`,
    values
  }
}

/** Reports of loss and damage one sees, the newest first: of registers one reads, and about oneself. */
export async function listToolLosses(
  ctx: Context,
  { limit = 50, cursor, ...filter }: LossQuery
): Promise<{ items: LossSummary[]; nextCursor: string | null }> {
  const after = readCursor(cursor, ['id'])
  const { text, values } = lossesOf(ctx, filter, after === null ? null : String(after[0]), limit + 1)
  const { items, nextCursor } = pageFrom(await run<LossRow>(ctx, { text }, values), limit, ({ id }) => [id])
  return { items: items.map((loss) => lossSummary(ctx, loss)), nextCursor }
}

export const LOSS_HEADINGS = {
  number: '报告单号 report',
  warehouse: '仓库 warehouse',
  serial: '工具编号 serial',
  name: '名称 name',
  technician: '保管人 technician',
  kind: '类别 kind',
  occurredOn: '发生日期 occurred',
  outcome: '处理 outcome',
  netValue: '净值 net value',
  compensation: '赔偿金额 compensation',
  state: '状态 state',
  reportedBy: '报告人 reported by',
  decidedOn: '审批日期 decided'
} as const

/** The same as rows of a file, all of them. */
export async function* lossStream(ctx: Context, { limit: _limit, cursor: _cursor, ...filter }: LossQuery) {
  const { text, values } = lossesOf(ctx, filter, null, null)
  for await (const row of rowsOf<LossRow>(ctx, text, values)) {
    const { nameZh, name, ...loss } = lossSummary(ctx, row)
    yield { ...loss, name: nameZh ?? name }
  }
}

const withoutClaim = ({ details, ...event }: DocumentEvent): DocumentEvent => {
  const { compensation: _compensation, compensationReason: _because, ...rest } = details ?? {}
  return { ...event, details: rest }
}

/** What happened to a report, the oldest first; without what is compensated for who is not told it. */
export async function listToolLossEvents(ctx: Context, { number }: { number: string }): Promise<LossEvents> {
  const { loss, warehouse } = await loadLoss(ctx, number)
  const events = await historyOf(ctx, { warehouseId: warehouse.id, id: loss.id })
  if (seesClaim(ctx, loss)) return { items: events }
  return { items: events.map((one) => (one.event === 'loss-assessed' ? withoutClaim(one) : one)) }
}

/** What a tool is worth on a day, with the steps that lead to it. */
export async function readToolWorth(
  ctx: Context,
  { serial, on }: { serial: string; on?: string | undefined }
): Promise<ToolWorth> {
  const tool = await toolBySerial(ctx, serial)
  return toolWorth(tool, await toolPolicyOf(ctx, tool.purchasedOn), on ?? ctx.clock.today())
}

// The accounts as they are set today; a closed month has those of its time in its statement.
const accountOf = (role: string, as: string): string => `
 cross join lateral (select a.account, coalesce(a.name_zh, a.name) as name from journal_account a
                      where a.department in (w.code, '*') and a.role = ${role} order by a.department = '*' limit 1) ${as}`
const COMPENSATION_FROM = `
  tool_compensation c
  join warehouse w on w.id = c.warehouse_id
  join tool_loss l on l.warehouse_id = c.loss_warehouse_id and l.id = c.loss_id
  join tool t on t.id = l.tool_id
  join person on person.id = c.technician_id`

async function compensationsOf(
  ctx: Context,
  { period, warehouse }: Pick<CompensationQuery, 'period' | 'warehouse'>
): Promise<{ where: string; values: unknown[] }> {
  const asked = warehouse === undefined ? undefined : await warehouseByCode(ctx, warehouse)
  if (asked !== undefined) requireDutyToRead(ctx, CLAIM_READERS, asked)
  const grants = grantsToday(ctx).filter(({ duty }) => CLAIM_READERS.includes(duty))
  if (grants.length === 0)
    throw new Refusal(
      'DutyRequired',
      403,
      `what is claimed from people is read with the duty ${CLAIM_READERS.map((duty) => `${duty} (${DUTY_NAMES[duty]})`).join(' or ')}`,
      { extra: { required: CLAIM_READERS } }
    )
  const values: unknown[] = [
    `${period}-01`,
    grants.some(({ warehouseId, regionId }) => warehouseId === null && regionId === null),
    grants.flatMap(({ warehouseId }) => warehouseId ?? []),
    grants.flatMap(({ regionId }) => regionId ?? []),
    asked?.id ?? null
  ]
  return {
    where: `c.booked_on >= $1::date and c.booked_on < $1::date + interval '1 month' and ($2::boolean or w.id = any ($3::int[]) or w.region_id = any ($4::int[]))
   and ($5::int is null or w.id = $5::int)`,
    values
  }
}

const COMPENSATION_COLUMNS = `
  w.code as warehouse, c.booked_on::text as "bookedOn", l.number as loss, c.line_no as line, t.serial, t.name, t.name_zh as "nameZh", person.username as technician,
  person.name as "technicianName", l.outcome, l.net_value::text as "netValue", c.amount::text as amount, claim.account as "debitAccount", claim.name as "debitName",
  credited.account as "creditAccount", credited.name as "creditName"`
const COMPENSATION_ROWS = `${COMPENSATION_FROM} ${accountOf(`'employee-claims'`, 'claim')} ${accountOf('c.credited', 'credited')}`
const IN_ORDER = 'order by c.loss_id, c.line_no'

/** What is claimed from technicians in a month, and taken back, by report: the journal lines for finance. */
export async function listToolCompensations(
  ctx: Context,
  { limit = 50, cursor, ...query }: CompensationQuery
): Promise<CompensationPage> {
  const { where, values } = await compensationsOf(ctx, query)
  const [loss = null, line = null] = readCursor(cursor, ['id', 'integer']) ?? []
  const rows = await run<CompensationLine & { id: string }>(
    ctx,
    {
      text: `select c.loss_id::text as id, ${COMPENSATION_COLUMNS} from ${COMPENSATION_ROWS} where ${where}
   and ($6::bigint is null or (c.loss_id, c.line_no) > ($6::bigint, $7::int)) ${IN_ORDER} limit $8`
    },
    [...values, loss, line, limit + 1]
  )
  const [{ total } = { total: '0.00' }] = await run<{ total: string }>(
    ctx,
    {
      text: `select coalesce(sum(c.amount), 0)::numeric(18,2)::text as total from ${COMPENSATION_FROM} where ${where}`
    },
    values
  )
  const { items, nextCursor } = pageFrom(rows, limit, (row) => [row.id, row.line])
  return { items: items.map(({ id: _id, ...row }) => row), nextCursor, total }
}

export const COMPENSATION_HEADINGS = {
  warehouse: '仓库 warehouse',
  bookedOn: '入账日期 booked',
  loss: '报告单号 report',
  line: '行 line',
  serial: '工具编号 serial',
  name: '名称 name',
  technician: '保管人 technician',
  technicianName: '姓名 person',
  outcome: '处理 outcome',
  netValue: '净值 net value',
  amount: '赔偿金额 amount',
  debitAccount: '借方科目 debit',
  debitName: '借方科目名称 debit account',
  creditAccount: '贷方科目 credit',
  creditName: '贷方科目名称 credit account'
} as const

/**
 * The same as rows of a file, all of them. Who may not read it is refused before the file begins.
 * @throws Refusal 403, 404
 */
export async function compensationStream(ctx: Context, query: CompensationQuery) {
  const { where, values } = await compensationsOf(ctx, query)
  return (async function* () {
    const text = `select ${COMPENSATION_COLUMNS} from ${COMPENSATION_ROWS} where ${where} ${IN_ORDER}`
    for await (const { nameZh, name, ...row } of rowsOf<CompensationLine>(ctx, text, values))
      yield { ...row, name: nameZh ?? name }
  })()
}
