import { sightOf, type Context } from '../identity/actor.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { rowsOf } from '../platform/csv.ts'
import { run, statement } from '../platform/database.ts'
import { historyOf } from '../signing/document-history.ts'
import { LOAN_COLUMNS, LOAN_FROM, loadLoan, loanView, type Loan } from './loan.ts'
import { LOANER_COLUMNS, LOANER_FROM, LOANER_STATE, loanerBySerial, loanerSummary, type Loaner } from './loaner.ts'
import type { LoanerHistory, LoanerState, LoanerSummary, LoanState, LoanView } from './loaners.schemas.ts'

export interface LoanerFilter {
  warehouse?: string | undefined
  model?: string | undefined
  family?: string | undefined
  state?: LoanerState | undefined
  /** Out, and due before this day. */
  dueBefore?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

const PLACES = statement<{ id: number }>(`
select id from warehouse
 where ($1::boolean or id = any ($2::int[]) or region_id = any ($3::int[])) and ($4::text is null or code = $4)`)

/** The warehouses whose units are listed; null for all. Looked up first: given their ids the database finds the units of few places by an index. */
async function placesOf(ctx: Context, warehouse: string | undefined): Promise<number[] | null> {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  if (everywhere && warehouse === undefined) return null
  return (await run(ctx, PLACES, [everywhere, warehouseIds, regionIds, warehouse ?? null])).map(({ id }) => id)
}

// Only of models that a recall in force is about: what is blocked is rare, and all the rest is on some shelf, too.
const BY_RECALLS = ` and u.part_id in (select part_id from recall_scope where lifted_at is null)`

/** What a unit that is in a state is kept as, as SQL over its own row: most others are passed over before their lot and loan are looked up. */
function keptAs(state: LoanerState): string {
  if (state === 'registered' || state === 'withdrawn' || state === 'retired' || state === 'in-transit')
    return `u.state = '${state}'`
  return state === 'out' || state === 'being-returned'
    ? 'u.loan_id is not null'
    : `u.loan_id is null and u.state in ('in-service', 'in-repair')${state === 'blocked' ? BY_RECALLS : ''}`
}

async function loanersOf(
  ctx: Context,
  { warehouse, model, family, state, dueBefore }: LoanerFilter,
  after: string | null,
  rows: number | null
): Promise<{ text: string; values: unknown[] }> {
  const values: unknown[] = [ctx.clock.today()]
  const value = (given: unknown) => `$${values.push(given)}`
  const places = await placesOf(ctx, warehouse)
  const at = places === null ? null : `any (${value(places)}::int[])`
  const conditions = [
    ...(at === null ? [] : [`(u.held_by = ${at} or u.moving_to = ${at})`]),
    ...(model === undefined ? [] : [`part.number = ${value(model)}`]),
    ...(family === undefined ? [] : [`part.loaner_family = ${value(family)}`]),
    ...(state === undefined ? [`u.state <> 'withdrawn'`] : [keptAs(state), `(${LOANER_STATE}) = ${value(state)}`]),
    ...(dueBefore === undefined ? [] : [`loan.state = 'out' and loan.due_on < ${value(dueBefore)}`]),
    ...(after === null ? [] : [`u.id < ${value(after)}::bigint`])
  ]
  const text = `select ${LOANER_COLUMNS} from ${LOANER_FROM} where ${conditions.join(' and ')} order by u.id desc${rows === null ? '' : ` limit ${value(rows)}`}`
  return { text, values }
}

/** Units one sees, also those that are on their way there, those registered last first. */
export async function listLoaners(
  ctx: Context,
  { limit = 50, cursor, ...filter }: LoanerFilter
): Promise<{ items: LoanerSummary[]; nextCursor: string | null }> {
  const after = readCursor(cursor, ['id'])
  const { text, values } = await loanersOf(ctx, filter, after === null ? null : String(after[0]), limit + 1)
  const { items, nextCursor } = pageFrom(await run<Loaner>(ctx, { text }, values), limit, ({ id }) => [id])
  return { items: items.map(loanerSummary), nextCursor }
}

export const LOANER_HEADINGS = {
  serial: '机身编号 serial',
  model: '货号 model',
  name: '货名 name',
  family: '系列 family',
  state: '状态 state',
  warehouse: '仓库 warehouse',
  grade: '成色 grade',
  condition: '质量状态 condition',
  accessories: '附件 accessories',
  recalls: '召回 recalls',
  loan: '借用单号 loan',
  repairOrder: '维修单号 repair order',
  dueOn: '应还日期 due',
  note: '备注 note'
} as const

/** The same as rows of a file, all of them. */
export async function* loanerStream(ctx: Context, filter: LoanerFilter) {
  const { text, values } = await loanersOf(ctx, filter, null, null)
  for await (const unit of rowsOf<Loaner>(ctx, text, values)) {
    const { loan, accessories, nameZh, name, ...rest } = unit
    yield {
      serial: rest.serial,
      model: rest.model,
      name: nameZh ?? name,
      family: rest.family,
      state: rest.state,
      warehouse: rest.warehouse,
      grade: rest.grade,
      condition: rest.condition,
      accessories: accessories.join('; '),
      recalls: rest.recalls.join('; '),
      loan: loan?.number ?? null,
      repairOrder: loan?.repairOrder ?? null,
      dueOn: loan?.dueOn ?? null,
      note: rest.note
    }
  }
}

const MOVEMENTS = statement<LoanerHistory['movements'][number]>(`
select m.number as slip, m.kind, w.code as warehouse, m.occurred_on::text as "occurredOn", case when m.quantity > 0 then 'in' else 'out' end as direction,
       m.lot_id::text as lot, m.movement_id::text as movement
  from loaner_movement m join warehouse w on w.id = m.warehouse_id
 where m.unit_warehouse_id = $1 and m.unit_id = $2 order by m.movement_id`)
const LOANS = statement<LoanerHistory['loans'][number]>(`
select l.number, w.code as warehouse, l.state, l.repair_order as "repairOrder", l.lent_on::text as "lentOn", l.due_on::text as "dueOn", l.returned_on::text as "returnedOn", l.outcome
  from loan l join warehouse w on w.id = l.warehouse_id
 where l.unit_warehouse_id = $1 and l.unit_id = $2 order by l.id`)

/** The whole life of a unit, over all warehouses: what happened, what moved, whom it was lent for. */
export async function readLoanerHistory(ctx: Context, { serial }: { serial: string }): Promise<LoanerHistory> {
  const { unit } = await loanerBySerial(ctx, serial)
  const key = [unit.homeId, unit.id]
  const [events, movements, loans] = await Promise.all([
    historyOf(ctx, { warehouseId: unit.homeId, id: unit.id }),
    run(ctx, MOVEMENTS, key),
    run(ctx, LOANS, key)
  ])
  return { events, movements, loans }
}

export interface LoanFilter {
  warehouse?: string | undefined
  state?: LoanState | undefined
  serial?: string | undefined
  repairOrder?: string | undefined
  dueBefore?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

function loansOf(
  ctx: Context,
  { warehouse, state, serial, repairOrder, dueBefore }: LoanFilter,
  after: string | null,
  rows: number | null
): { text: string; values: unknown[] } {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const conditions = [
    'true',
    ...(everywhere
      ? []
      : [`(w.id = any (${value(warehouseIds)}::int[]) or w.region_id = any (${value(regionIds)}::int[]))`]),
    ...(warehouse === undefined ? [] : [`w.code = ${value(warehouse)}`]),
    ...(state === undefined ? [] : [`l.state = ${value(state)}`]),
    ...(serial === undefined ? [] : [`upper(u.serial) = upper(${value(serial)})`]),
    ...(repairOrder === undefined ? [] : [`l.repair_order = ${value(repairOrder)}`]),
    ...(dueBefore === undefined ? [] : [`l.state = 'out' and l.due_on < ${value(dueBefore)}`]),
    ...(after === null ? [] : [`l.id < ${value(after)}::bigint`])
  ]
  const text = `select ${LOAN_COLUMNS} from ${LOAN_FROM} where ${conditions.join(' and ')} order by l.id desc${rows === null ? '' : ` limit ${value(rows)}`}`
  return { text, values }
}

/** Loans of the warehouses one sees, the newest first. */
export async function listLoans(
  ctx: Context,
  { limit = 50, cursor, ...filter }: LoanFilter
): Promise<{ items: LoanView[]; nextCursor: string | null }> {
  const after = readCursor(cursor, ['id'])
  const { text, values } = loansOf(ctx, filter, after === null ? null : String(after[0]), limit + 1)
  const { items, nextCursor } = pageFrom(await run<Loan>(ctx, { text }, values), limit, ({ id }) => [id])
  const today = ctx.clock.today()
  return { items: items.map((loan) => loanView(loan, today)), nextCursor }
}

// Without the customer: a file is copied and kept.
export const LOAN_HEADINGS = {
  number: '借用单号 loan',
  state: '状态 state',
  warehouse: '仓库 warehouse',
  serial: '机身编号 serial',
  model: '货号 model',
  repairOrder: '维修单号 repair order',
  receiptNumber: '借条编号 receipt',
  recalls: '召回 recalls',
  lentOn: '借出日期 lent',
  dueOn: '应还日期 due',
  returnedOn: '归还日期 returned',
  extensions: '延期次数 extensions',
  outcome: '归还结果 outcome',
  damageAmount: '赔偿金额 damage claim',
  notices: '通知次数 notices'
} as const

/** The same as rows of a file, all of them. */
export async function* loanStream(ctx: Context, filter: LoanFilter) {
  const { text, values } = loansOf(ctx, filter, null, null)
  for await (const { unit, recalls, ...loan } of rowsOf<Loan>(ctx, text, values))
    yield { ...loan, serial: unit.serial, recalls: recalls.join('; ') }
}

/** What happened to a loan, oldest first. */
export async function readLoanHistory(
  ctx: Context,
  { number }: { number: string }
): Promise<{ items: LoanerHistory['events'] }> {
  const { loan, warehouse } = await loadLoan(ctx, number)
  return { items: await historyOf(ctx, { warehouseId: warehouse.id, id: loan.id }) }
}
