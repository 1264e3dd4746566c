import type { EntityManager } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { LOCK_GATE, throughLeavingGate } from '../identity/leaving-gate.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import {
  importResult,
  readCsvRows,
  refuseRepeatedKeys,
  type ImportColumn,
  type ImportResult,
  type ImportRow,
  type RowOf,
  type RowOutcome
} from '../platform/csv-import.ts'
import { run, statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import { WarehouseCode } from '../platform/schemas.ts'
import { regionChanged, warehousesChanged } from './directory.ts'
import { misplacement, WAREHOUSE_DUTIES } from './tree.ts'
import type { WarehouseKind } from './warehouses.entities.ts'
import { Address, Contact, Kind, Phone, RegionCode, WarehouseTitle, WarehouseTitleZh } from './warehouses.schemas.ts'

/** The columns of a file of warehouses (R-ORG-1). Regions exist already; parents exist or are in the file, in any order. */
export const WAREHOUSE_COLUMNS = {
  code: {
    schema: WarehouseCode,
    headings: ['warehouse', 'warehouse code', '仓库代码', '代码', '编码'],
    required: true
  },
  name: { schema: WarehouseTitle, headings: ['warehouse name', '仓库名称', '名称'], required: true },
  nameZh: { schema: WarehouseTitleZh, headings: ['name zh', 'chinese name', '中文名称', '中文名'] },
  kind: {
    schema: Kind,
    headings: ['type', '类型', '级别'],
    required: true,
    words: {
      总公司备件中心: 'head-office',
      总公司: 'head-office',
      中心库: 'regional-centre',
      分公司: 'branch',
      服务网点: 'outlet',
      网点: 'outlet',
      特约维修服务站: 'outlet',
      服务车: 'van',
      'head office': 'head-office',
      'regional centre': 'regional-centre'
    }
  },
  region: { schema: RegionCode, headings: ['region code', '区域', '区域代码'], required: true },
  parent: { schema: WarehouseCode, headings: ['parent code', '上级', '上级仓库'] },
  address: { schema: Address, headings: ['地址'] },
  contact: { schema: Contact, headings: ['联系人'] },
  phone: { schema: Phone, headings: ['telephone', '电话'] }
} as const satisfies Record<string, ImportColumn>
type WarehouseRow = RowOf<typeof WAREHOUSE_COLUMNS>

interface Stored {
  code: string
  name: string
  nameZh: string | null
  kind: WarehouseKind
  region: string
  parent: string | null
  address: string | null
  contact: string | null
  phone: string | null
}

const LOCK = statement<never>(`lock table warehouse in share row exclusive mode`)

// All of them, some thousands: a row is judged by what its parent is, and by what hangs below it.
const STORED = statement<Stored & { isClosed: boolean }>(`
select warehouse.code, warehouse.name, warehouse.name_zh as "nameZh", warehouse.kind, region.code as region, parent.code as parent, warehouse.address, warehouse.contact, warehouse.phone,
       coalesce(warehouse.closed_on <= $1, false) as "isClosed"
  from warehouse
  join region on region.id = warehouse.region_id
  left join warehouse parent on parent.id = warehouse.parent_id`)

const REGIONS = statement<{ code: string }>(`select code from region`)

const GIVEN = `
  from jsonb_to_recordset($1::jsonb) as given (code text, name text, "nameZh" text, kind text, region text, parent text, address text, contact text, phone text)`

const INSERT = statement<never>(`
insert into warehouse (code, name, name_zh, kind, region_id, address, contact, phone, named_at)
select given.code, given.name, given."nameZh", given.kind, region.id, given.address, given.contact, given.phone, $2
${GIVEN}
  join region on region.code = given.region
 order by given.code`)

const KEEP_OLD_NAMES = statement<never>(`
insert into warehouse_name (warehouse_id, name, name_zh, from_at, to_at)
select warehouse.id, warehouse.name, warehouse.name_zh, least(warehouse.named_at, $2), $2
${GIVEN}
  join warehouse on warehouse.code = given.code
 where (warehouse.name, warehouse.name_zh) is distinct from (given.name, given."nameZh")`)

const UPDATE = statement<{ id: number; code: string }>(`
update warehouse
   set named_at = case when (warehouse.name, warehouse.name_zh) is distinct from (given.name, given."nameZh") then $2 else named_at end,
       name = given.name, name_zh = given."nameZh", region_id = region.id, address = given.address, contact = given.contact, phone = given.phone, version = version + 1
${GIVEN}
  join region on region.code = given.region
 where warehouse.code = given.code
returning warehouse.id, warehouse.code`)

// What the leaving gate would say to each move into another region; it says it again when rows are written.
const MOVE_FAULTS = statement<{ code: string; message: string }>(`
select warehouse.code, fault.message
  from jsonb_to_recordset($1::jsonb) as given (code text, region text)
  join warehouse on warehouse.code = given.code
  join region on region.code = given.region
 cross join lateral warehouse_move_fault(warehouse.id, warehouse.region_id, region.id, $2::date) fault`)

// Last, when every parent is there.
const HANG = statement<never>(`
update warehouse
   set parent_id = (select parent.id from warehouse parent where parent.code = given.parent)
${GIVEN}
 where warehouse.code = given.code
   and warehouse.parent_id is distinct from (select parent.id from warehouse parent where parent.code = given.parent)`)

// Statements planned while the table was small would go on as if it were: new statistics make them be planned again.
const ANALYSE = statement<never>(`analyze warehouse`)

/**
 * Imports warehouses from CSV. A dry run answers what every row would do; applied, all rows are written or, if one is refused,
 * none. Another name goes into the rename history (R-ORG-1); the kind of a warehouse never changes. A row that would take a warehouse away
 * from its keepers into another region is refused like any other (R-ORG-3).
 * @throws Refusal 422 `ImportRefused` with the outcome of every row, and what `readCsvRows` throws
 */
export async function importWarehouses(
  ctx: Context,
  { csv, apply = false }: { csv: string; apply?: boolean }
): Promise<ImportResult> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  const rows = await readCsvRows(csv, WAREHOUSE_COLUMNS, { maxRows: 20_000 })
  refuseRepeatedKeys(rows, ({ code }) => code ?? '')
  const today = ctx.clock.today()
  if (!apply) return importResult((await judge(ctx.em, rows, today)).outcomes, false)
  // Whoever changes a warehouse holds its row and then waits for the table, which this does the other way round.
  return afterDeadlock(() =>
    inTransaction(ctx, async (ctx) => {
      await run(ctx.em, LOCK, [])
      const { outcomes, created, updated, moved } = await judge(ctx.em, rows, today)
      const result = importResult(outcomes, true)
      const now = ctx.clock.now().toString()
      await run(ctx.em, INSERT, [JSON.stringify(created), now])
      await run(ctx.em, KEEP_OLD_NAMES, [JSON.stringify(updated), now])
      const written = await throughLeavingGate(ctx, () => run(ctx.em, UPDATE, [JSON.stringify(updated), now]))
      await run(ctx.em, HANG, [JSON.stringify([...created, ...updated])])
      if (created.length + updated.length >= 1_000) await run(ctx.em, ANALYSE, [])
      warehousesChanged(ctx.em)
      await recordAudit(ctx, 'warehouses.imported', 'warehouses', result.counts)
      await publish(ctx, written.filter(({ code }) => moved.has(code)).map(regionChanged))
      return result
    })
  )
}

async function judge(
  em: EntityManager,
  rows: ImportRow<WarehouseRow>[],
  today: string
): Promise<{ outcomes: RowOutcome[]; created: Stored[]; updated: Stored[]; moved: Set<string> }> {
  const stored = new Map((await run(em, STORED, [today])).map((warehouse) => [warehouse.code, warehouse]))
  const regions = new Set((await run(em, REGIONS, [])).map(({ code }) => code))
  const moveFaults = await faultsOfMoves(em, rows, { stored, today })
  // What each warehouse would be when every row that is right in itself has been written: parents are looked up here.
  const afterwards = new Map<string, Pick<Stored, 'code' | 'kind'> & { isClosed: boolean }>(stored)
  for (const { values, problems } of rows) {
    if (problems.length > 0 || !values.code || !values.kind || stored.has(values.code)) continue
    afterwards.set(values.code, { code: values.code, kind: values.kind, isClosed: false })
  }
  const headOffices = new Set(
    [...stored.values()].filter(({ kind, isClosed }) => kind === 'head-office' && !isClosed).map(({ code }) => code)
  )
  const created: Stored[] = []
  const updated: Stored[] = []
  const moved = new Set<string>()
  const outcomes = rows.map(({ line, values, problems }): RowOutcome => {
    const key = values.code ?? ''
    const before = stored.get(key)
    const faults = [...problems]
    const after = merged(before, values)
    if (faults.length === 0) {
      if (!regions.has(after.region)) faults.push(`there is no region ${after.region}; enter it first`)
      if (before !== undefined && before.kind !== after.kind)
        faults.push(`warehouse ${key} is a ${before.kind} and stays one; close it and enter another one`)
      const parent = after.parent === null ? null : afterwards.get(after.parent)
      if (parent === undefined)
        faults.push(`there is no warehouse ${after.parent} to hang it under, nor a right row for it in the file`)
      else if (before === undefined || before.parent !== after.parent) {
        const fault = misplacement(key, after.kind, parent)
        if (fault !== undefined) faults.push(fault)
        if (parent?.isClosed === true) faults.push(`warehouse ${parent.code} is closed; hang it under an open one`)
      }
    }
    if (
      before?.isClosed === true &&
      (before.name !== after.name || before.nameZh !== after.nameZh || before.parent !== after.parent)
    )
      faults.push(`warehouse ${key} is closed; reopen it before it is renamed or moved`)
    const moveFault = moveFaults.get(key)
    if (moveFault !== undefined) faults.push(moveFault)
    if (before === undefined && after.kind === 'head-office' && faults.length === 0) {
      const [other] = headOffices
      if (other === undefined) headOffices.add(key)
      else faults.push(`${other} is the head office, and there is one; close it first`)
    }
    if (faults.length > 0) return { line, key, outcome: 'refused', problems: faults }
    if (before !== undefined && before.region !== after.region) moved.add(key)
    if (before === undefined) created.push(after)
    else if ((Object.keys(after) as (keyof Stored)[]).some((member) => before[member] !== after[member]))
      updated.push(after)
    else return { line, key, outcome: 'unchanged', problems: [] }
    return { line, key, outcome: before === undefined ? 'create' : 'update', problems: [] }
  })
  return { outcomes, created, updated, moved }
}

async function faultsOfMoves(
  em: EntityManager,
  rows: ImportRow<WarehouseRow>[],
  { stored, today }: { stored: ReadonlyMap<string, Stored>; today: string }
): Promise<Map<string, string>> {
  const moves = rows.flatMap(({ values: { code, region }, problems }) => {
    const before = code ? stored.get(code) : undefined
    return problems.length > 0 || !region || before === undefined || before.region === region ? [] : [{ code, region }]
  })
  if (moves.length === 0) return new Map()
  // Until the commit: no keeper leaves between the look and the writing.
  await run(em, LOCK_GATE, [])
  const faults = await run(em, MOVE_FAULTS, [JSON.stringify(moves), today])
  return new Map(faults.map(({ code, message }) => [code, message]))
}

function merged(before: (Stored & { isClosed: boolean }) | undefined, row: WarehouseRow): Stored {
  const { isClosed: _, ...base } = before ?? {
    code: '',
    name: '',
    nameZh: null,
    kind: 'outlet' as WarehouseKind,
    region: '',
    parent: null,
    address: null,
    contact: null,
    phone: null,
    isClosed: false
  }
  return { ...base, ...Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) }
}
