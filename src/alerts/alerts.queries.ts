import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { findRegion } from '../identity/identity.queries.ts'
import { instant } from '../platform/clock.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { isNamed, isTold, isToldByDuty, namedAs, names, toldBy } from './addressees.ts'
import { ALERT_KIND_NAMES, ALERT_KINDS, type AlertEventName, type AlertKind } from './alert-kinds.ts'
import { alertKindName } from './alert-texts.ts'
import { ALERT_COLUMNS, alertJoins, alertView, type AlertRow } from './alert-view.ts'
import type { AlertQuery, AlertSummary, AlertSummaryQuery, AlertView, AlertWithHistory } from './alerts.schemas.ts'

/** Alerts of one warehouse, or of those in sight and perhaps of a region, and those that name somebody wherever they are. */
interface Scope {
  everywhere: boolean
  warehouseIds: number[]
  regionIds: number[]
  regionId: number | null
  personId: number | null
}

/** @throws Refusal 404 for a warehouse or region that does not exist or is not seen */
async function scopeOf(ctx: Context, { warehouse: code, region }: AlertSummaryQuery): Promise<Scope> {
  const regionId = region === undefined ? null : await findRegion(ctx, region)
  if (code === undefined) return { ...sightOf(ctx), regionId, personId: namedAs(ctx) }
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return { everywhere: false, warehouseIds: [warehouse.id], regionIds: [], regionId, personId: null }
}

/** Condition on warehouse `w`: that it is in sight. */
const inSight = ({ warehouseIds, regionIds }: Scope, value: (given: unknown) => string): string =>
  `(w.id = any (${value(warehouseIds)}::int[]) or w.region_id = any (${value(regionIds)}::int[]))`

/** Conditions on alert `a` in warehouse `w`: that it is in the scope. */
function placeOf(scope: Scope, value: (given: unknown) => string): string[] {
  const { everywhere, regionId, personId } = scope
  return [
    ...(everywhere
      ? []
      : [personId === null ? inSight(scope, value) : `(${inSight(scope, value)} or ${names(value(personId))})`]),
    ...(regionId === null ? [] : [`w.region_id = ${value(regionId)}::int`])
  ]
}

/** Conditions on alert `a` in warehouse `w` under policy `p`. */
function filterOf(
  ctx: Context,
  { kind, state, mine }: Pick<AlertQuery, 'kind' | 'state' | 'mine'>,
  value: (given: unknown) => string
): string[] {
  return [
    ...(kind === undefined ? [] : [`a.kind = ${value(kind)}`]),
    ...(state === undefined ? [] : [`a.state = ${value(state)}`]),
    // Follows from the state; the indexes of what is not resolved need it said.
    ...(state === undefined || state === 'resolved' ? [] : ['a.resolved_at is null']),
    ...(mine === true ? [isTold(...(toldBy(ctx).map(value) as [string, string, string, string]))] : [])
  ]
}

const where = (conditions: readonly string[]): string =>
  conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`

const IN_PLACE = `alert a
  join warehouse w on w.id = a.warehouse_id
  join alert_policy p on p.kind = a.kind`

function listed(
  ctx: Context,
  scope: Scope,
  { mine, ...filter }: AlertQuery,
  { after, limit }: { after: string | number | null; limit: number | null }
) {
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const conditions = [
    ...filterOf(ctx, filter, value),
    ...(scope.regionId === null ? [] : [`w.region_id = ${value(scope.regionId)}::int`]),
    ...(after === null ? [] : [`a.id < ${value(after)}::bigint`])
  ]
  const sight = scope.everywhere ? [] : [inSight(scope, value)]
  const [me, ...grants] = toldBy(ctx)
  const told = mine === true ? [isToldByDuty(...(grants.map(value) as [string, string, string]))] : []
  const newest = `order by a.id desc ${limit === null ? '' : `limit ${value(limit)}`}`
  // A page of some warehouses is the newest of the newest of each, by its own index, however many alerts others have.
  // Of a region, which has many, it is sooner found among the newest of all.
  const isOfRegion = scope.regionId !== null || scope.regionIds.length > 0
  const seen =
    scope.everywhere || isOfRegion || limit === null
      ? `select a.* from ${IN_PLACE} ${where([...sight, ...told, ...conditions])} ${newest}`
      : `
select a.*
  from (select id from warehouse w ${where(sight)}) seen
 cross join lateral (select a.* from ${IN_PLACE} ${where(['a.warehouse_id = seen.id', ...told, ...conditions])} ${newest}) a
 ${newest}`
  // Those that name the actor are few and have an index of their own. One condition with "or" would have every alert looked at for them.
  const others = [...sight, ...told]
  const named =
    me === null || others.length === 0 || (scope.personId === null && told.length === 0)
      ? ''
      : `union all (select a.* from ${IN_PLACE}
         ${where([names(value(me)), ...(scope.personId === null ? sight : []), `not (${others.join(' and ')})`, ...conditions])} ${newest})`
  const text = `
select ${ALERT_COLUMNS}
  from (select a.* from ((${seen}) ${named}) a ${newest}) a
  ${alertJoins}
 order by a.id desc`
  return { text, values }
}

/** Alerts in sight, newest first. */
export async function listAlerts(ctx: Context, { limit = 50, cursor, ...filter }: AlertQuery) {
  const [after] = readCursor(cursor, ['id']) ?? [null]
  const { text, values } = listed(ctx, await scopeOf(ctx, filter), filter, { after: after ?? null, limit: limit + 1 })
  const { items, nextCursor } = pageFrom(await run(ctx, statement<AlertRow>(text), values), limit, ({ id }) => [id])
  return { items: items.map((row) => alertView(ctx, row, ctx.actor.language)), nextCursor }
}

export const ALERT_CSV: CsvColumns<AlertView> = {
  id: 'id 编号',
  warehouse: 'warehouse 仓库',
  region: 'region 区域',
  kind: 'kind 类别',
  kindZh: 'kind (zh) 类别名称',
  subject: 'subject 对象',
  title: 'title 内容',
  whatToDo: 'what to do 处理办法',
  state: 'state 状态',
  level: 'level 升级次数',
  raisedAt: 'raised at 发生时间',
  updatedAt: 'updated at 更新时间',
  escalatedAt: 'escalated at 升级时间',
  acknowledgedAt: 'acknowledged at 确认时间',
  acknowledgedBy: 'acknowledged by 确认人',
  note: 'note 备注',
  remindedOn: 'reminded on 最近提醒日',
  resolvedAt: 'resolved at 解除时间'
}

/** The same as a stream of all. */
export async function alertRows(ctx: Context, filter: AlertQuery): Promise<AsyncGenerator<AlertView>> {
  const { text, values } = listed(ctx, await scopeOf(ctx, filter), filter, { after: null, limit: null })
  return (async function* () {
    for await (const row of rowsOf<AlertRow>(ctx, text, values)) yield alertView(ctx, row, ctx.actor.language)
  })()
}

const ALERT = statement<AlertRow>(`select ${ALERT_COLUMNS} from alert a
  ${alertJoins} where a.id = $1::bigint`)

/**
 * An alert in sight, or one that names the actor.
 * @throws Refusal 404
 */
export async function alertById(ctx: Context, id: string): Promise<AlertRow> {
  const [row] = await run(ctx, ALERT, [id])
  if (row === undefined) throw notFound('alert', id)
  if (isNamed(ctx, row)) return row
  try {
    requireSight(ctx, { id: row.warehouseId, code: row.warehouse, regionId: row.regionId })
  } catch {
    throw notFound('alert', id)
  }
  return row
}

const HISTORY = statement<{
  at: string
  event: AlertEventName
  by: string | null
  details: Record<string, unknown> | null
}>(`
select e.at, e.event, person.username as by, e.details
  from alert_event e left join person on person.id = e.person_id
 where e.warehouse_id = $1 and e.alert_id = $2 order by e.id`)

/**
 * An alert with everything that happened to it.
 * @throws Refusal 404
 */
export async function readAlert(ctx: Context, { id }: { id: string }): Promise<AlertWithHistory> {
  const row = await alertById(ctx, id)
  const history = await run(ctx, HISTORY, [row.warehouseId, id])
  return {
    ...alertView(ctx, row, ctx.actor.language),
    history: history.map((event) => ({ ...event, at: instant(event.at) }))
  }
}

type Counts = Omit<AlertSummary['items'][number], 'kind' | 'kindName' | 'kindZh'>

/** How many alerts there are in sight, by kind and state. */
export async function readAlertSummary(ctx: Context, filter: AlertSummaryQuery): Promise<AlertSummary> {
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const scope = await scopeOf(ctx, filter)
  const conditions = [...placeOf(scope, value), ...filterOf(ctx, filter, value)]
  // Who is told is asked once per rung, not once per alert. Only warehouses in sight are looked through, and those of alerts that name one.
  const places =
    scope.everywhere || scope.personId === null
      ? 'warehouse'
      : `(select w.id, w.region_id from warehouse w where ${inSight(scope, value)}
         union
        select w.id, w.region_id from alert a join warehouse w on w.id = a.warehouse_id where ${names(value(scope.personId))})`
  const summary = statement<Counts & { kind: AlertKind }>(`
select a.kind, coalesce(sum(a.alerts) filter (where a.state = 'open'), 0)::int as open, coalesce(sum(a.alerts) filter (where a.state = 'acknowledged'), 0)::int as acknowledged,
       coalesce(sum(a.alerts) filter (where a.state <> 'resolved' and a.level > 0), 0)::int as escalated, coalesce(sum(a.alerts) filter (where a.state = 'resolved'), 0)::int as resolved
  from ${places} w
 cross join lateral (select warehouse_id, kind, level, duty, people, state, count(*) as alerts from alert where warehouse_id = w.id group by 1, 2, 3, 4, 5, 6) a
  join alert_policy p on p.kind = a.kind
 ${where(conditions)}
 group by a.kind`)
  const found = new Map((await run(ctx, summary, values)).map(({ kind, ...counts }) => [kind, counts]))
  const none: Counts = { open: 0, acknowledged: 0, escalated: 0, resolved: 0 }
  return {
    items: ALERT_KINDS.map((kind) => ({
      kind,
      kindName: alertKindName(kind, ctx.actor.language),
      kindZh: ALERT_KIND_NAMES[kind],
      ...(found.get(kind) ?? none)
    }))
  }
}
