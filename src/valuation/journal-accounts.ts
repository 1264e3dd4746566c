// Which accounts of the general ledger the journal lines of a month name. A role is what the service books for; its account is the
// department's own, else the default (department `*`). The default has every role, so that no line is ever without an account.
import { requireDuty, requireDutyEverywhere, requireSight, sightOf, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import type {
  DepartmentAccountsView,
  JournalAccountQuery,
  JournalAccountView,
  SetJournalAccountsBody
} from './valuation-settings.schemas.ts'

/** What is booked for, and the name of that in the trade. */
export const JOURNAL_ROLE_NAMES = {
  inventory: '备件存货',
  'accumulated-depreciation': '备件跌价准备',
  'depreciation-expense': '营业费用—备件折旧',
  'material-cost': '售后材料成本',
  'cost-of-sales': '备件销售成本',
  'goods-received': '暂估应付款',
  'goods-in-transit': '在途物资',
  'carrier-claims': '应收承运人赔款',
  'scrap-loss': '报废损失',
  'count-gain': '盘盈',
  'count-loss': '盘亏',
  'loaner-goods': '替补商品',
  'opening-balance': '期初',
  refurbishment: '旧件翻新成本',
  'employee-claims': '应收员工赔偿',
  'tool-disposal': '工具清理',
  'tool-repair': '工具修理'
} as const
export type JournalRole = keyof typeof JOURNAL_ROLE_NAMES
export const JOURNAL_ROLES = Object.keys(JOURNAL_ROLE_NAMES) as JournalRole[]

/** The department that stands for all without an account of their own. */
export const ALL_DEPARTMENTS = '*'

export interface JournalAccount {
  account: string
  name: string
  nameZh: string | null
}

const OF_WAREHOUSES = statement<JournalAccount & { warehouseId: number; role: JournalRole }>(`
select distinct on (warehouse.id, booked.role) warehouse.id as "warehouseId", booked.role, booked.account, booked.name, booked.name_zh as "nameZh"
  from warehouse
  join journal_account booked on booked.department in (warehouse.code, '*')
 where warehouse.id = any ($1::int[])
 order by warehouse.id, booked.role, booked.department = '*'`)

/** The account of every role, per warehouse: its own, else the default. */
export async function accountsOf(
  ctx: Context,
  warehouseIds: readonly number[]
): Promise<Map<number, Partial<Record<JournalRole, JournalAccount>>>> {
  const accounts = new Map<number, Partial<Record<JournalRole, JournalAccount>>>()
  for (const { warehouseId, role, ...account } of await run(ctx, OF_WAREHOUSES, [warehouseIds])) {
    const known = accounts.get(warehouseId) ?? {}
    known[role] = account
    accounts.set(warehouseId, known)
  }
  return accounts
}

const LIST = statement<JournalAccountView>(`
select booked.department, booked.role, booked.account, booked.name, booked.name_zh as "nameZh"
  from journal_account booked
  left join warehouse on warehouse.code = booked.department
 where ($1::text is null or booked.department = $1)
   and (booked.department = '*' or $2 or warehouse.id = any ($3::int[]) or warehouse.region_id = any ($4::int[]))
   and ($5::text is null or (booked.department, booked.role) > ($5, $6::text))
 order by booked.department, booked.role
 limit $7`)

/** The accounts as they were set: the default ones and those of departments one may see, by department and role. */
export async function listJournalAccounts(ctx: Context, { department, limit = 50, cursor }: JournalAccountQuery) {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const [afterDepartment = null, afterRole = null] = readCursor(cursor, 2) ?? []
  const rows = await run(ctx, LIST, [
    department ?? null,
    everywhere,
    warehouseIds,
    regionIds,
    afterDepartment,
    afterRole,
    limit + 1
  ])
  return pageFrom(rows, limit, (row) => [row.department, row.role])
}

const EFFECTIVE = statement<JournalAccountView>(`
select distinct on (role) department, role, account, name, name_zh as "nameZh"
  from journal_account where department in ($1, '*') order by role, department = '*'`)

async function effective(ctx: Context, department: string): Promise<DepartmentAccountsView> {
  const rows = new Map((await run(ctx, EFFECTIVE, [department])).map((row) => [row.role, row]))
  return {
    department,
    accounts: JOURNAL_ROLES.flatMap((role) => {
      const row = rows.get(role)
      if (row === undefined) return []
      const { account, name, nameZh } = row
      return { role, roleNameZh: JOURNAL_ROLE_NAMES[role], account, name, nameZh, own: row.department === department }
    })
  }
}

/**
 * The accounts a department books to, its own and the default ones.
 * @throws Refusal 404
 */
export async function readJournalAccounts(
  ctx: Context,
  { department }: { department: string }
): Promise<DepartmentAccountsView> {
  if (department !== ALL_DEPARTMENTS) requireSight(ctx, await warehouseByCode(ctx, department))
  return effective(ctx, department)
}

// Two who set the accounts of a department at once wait for each other: the second list replaces the first.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305008, hashtext($1))`)
const CLEAR = statement<never>(`delete from journal_account where department = $1`)
const INSERT = statement<never>(`
insert into journal_account (department, role, account, name, name_zh)
select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[])`)

/**
 * Replaces the accounts of a department: of a warehouse its own ones, which go before the default (none: the default alone), of `*`
 * the default, which has every role. Statements of closed months keep the accounts they were made with.
 * @throws Refusal 404, 422 `RoleRepeated` or `AccountMissing`
 */
export async function setJournalAccounts(
  ctx: Context,
  { department, accounts }: { department: string } & SetJournalAccountsBody
): Promise<DepartmentAccountsView> {
  if (department === ALL_DEPARTMENTS) requireDutyEverywhere(ctx, 'hq-finance')
  else requireDuty(ctx, ['hq-finance', 'finance-supervisor'], await warehouseByCode(ctx, department))
  const roles = accounts.map(({ role }) => role)
  const repeated = roles.findIndex((role, index) => roles.indexOf(role) < index)
  if (repeated !== -1) {
    throw new Refusal('RoleRepeated', 422, `the role ${roles[repeated]} is given twice; give each role one account`, {
      errors: [{ pointer: `/accounts/${repeated}/role`, detail: 'is given twice', sent: roles[repeated] }]
    })
  }
  const missing = JOURNAL_ROLES.filter((role) => !roles.includes(role))
  if (department === ALL_DEPARTMENTS && missing.length > 0) {
    throw new Refusal(
      'AccountMissing',
      422,
      `the default has an account for every role; missing: ${missing.map((role) => `${role} (${JOURNAL_ROLE_NAMES[role]})`).join(', ')}`,
      { errors: [{ pointer: '/accounts', detail: 'roles are missing', accepted: missing }], extra: { missing } }
    )
  }
  return inTransaction(ctx, async (ctx) => {
    await run(ctx, LOCK, [department])
    await run(ctx, CLEAR, [department])
    await run(ctx, INSERT, [
      department,
      roles,
      accounts.map(({ account }) => account),
      accounts.map(({ name }) => name),
      accounts.map(({ nameZh }) => nameZh ?? null)
    ])
    await recordAudit(
      ctx,
      'journal-accounts.set',
      department === ALL_DEPARTMENTS ? 'journal-accounts:*' : `warehouse:${department}`,
      { accounts }
    )
    return effective(ctx, department)
  })
}
