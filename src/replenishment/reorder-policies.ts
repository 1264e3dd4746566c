// How the level of a part in a warehouse is set where the catalogue does not say it all (R-ORD-1): fixed minimum and maximum, with a
// reason and a last day, or computed with a target, lead time or pack size of its own. One policy holds per position. What it changes
// is in force at once: the level is computed anew in the same transaction. A policy that expires gives its position back in the night
// after its last day.
import { requireDuty, requireSight, sightOf, type Context, type Duty } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { instant } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { rowsOf, type CsvColumns } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, normalQuantity, thousandths } from '../platform/decimal.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { publish } from '../platform/outbox.ts'
import { computeLevel } from './compute-levels.ts'
import type { ReorderPolicyQuery, ReorderPolicyView, SetReorderPolicyBody } from './reorder.schemas.ts'
import { requireLeadTime, requireServiceLevel } from './service-targets.ts'
import { replacedParts } from './supersession.ts'

/** Who says how much of a part a warehouse keeps: head office and purchasing for it, or whoever runs it. */
export const POLICY_DUTIES: readonly Duty[] = ['stock-controller', 'purchaser', 'operations-supervisor']

const COLUMNS = `w.code as warehouse, part.number as part, p.kind, case when p.expires_on < $1::date then 'expired' else 'in-force' end as state,
       trim_scale(p.minimum)::text as minimum, trim_scale(p.maximum)::text as maximum,
       case when p.measure is not null then json_build_object('measure', p.measure, 'level', trim_scale(p.level)::text) end as target,
       p.lead_time_days as "leadTimeDays", trim_scale(p.pack_size)::text as "packSize", p.reason, p.expires_on::text as "expiresOn",
       setter.username as "setBy", p.set_at as "setAt",
       case when l.part_id is not null then json_build_object('reorderPoint', trim_scale(l.reorder_point)::text, 'orderUpTo', trim_scale(l.order_up_to)::text, 'basis', l.basis) end as level`
const JOINS = `
  from reorder_policy p
  join warehouse w on w.id = p.warehouse_id
  join part on part.id = p.part_id
  join person setter on setter.id = p.set_by
  left join reorder_level l on l.warehouse_id = p.warehouse_id and l.part_id = p.part_id`

const ONE = statement<ReorderPolicyView>(`select ${COLUMNS} ${JOINS} where p.warehouse_id = $2 and p.part_id = $3`)

const LIST = `
select ${COLUMNS} ${JOINS}
 where ($2 or w.id = any ($3::int[]) or w.region_id = any ($4::int[])) and ($5::int is null or w.id = $5) and ($6::int is null or part.id = $6)
   and (w.code, part.number) > ($7, $8)
 order by w.code, part.number limit $9`
const PAGE = statement<ReorderPolicyView>(LIST)

const viewOf = (row: ReorderPolicyView): ReorderPolicyView => ({ ...row, setAt: instant(row.setAt) })

/** Computes the level of a position anew, and says that it may stand elsewhere now. */
async function levelAnew(ctx: Context, warehouseId: number, partId: number): Promise<void> {
  await computeLevel(ctx, { warehouseId, partId })
  await publish(ctx, [
    {
      subject: `positions:${warehouseId}`,
      event: 'reorder-position.changed',
      warehouseId,
      payload: { parts: [partId] }
    }
  ])
}

interface ReplaceablePart {
  id: number
  active: boolean
  packSize: string | null
  replacedBy: string | null
}
const PART = statement<ReplaceablePart>(`
with recursive ${replacedParts('$2::date')}
select part.id, part.active, trim_scale(part.pack_size)::text as "packSize",
       (select target.number from replaced join part target on target.id = replaced.target_id where replaced.part_id = part.id) as "replacedBy"
  from part where part.number = $1`)

async function partFor(ctx: Context, number: string): Promise<ReplaceablePart> {
  const [part] = await run(ctx, PART, [number, ctx.clock.today()])
  if (part === undefined) throw notFound('part', number)
  return part
}

const SET = statement<never>(`
insert into reorder_policy (warehouse_id, part_id, kind, minimum, maximum, measure, level, lead_time_days, pack_size, reason, expires_on, set_by, set_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (warehouse_id, part_id) do update
   set kind = excluded.kind, minimum = excluded.minimum, maximum = excluded.maximum, measure = excluded.measure, level = excluded.level,
       lead_time_days = excluded.lead_time_days, pack_size = excluded.pack_size, reason = excluded.reason, expires_on = excluded.expires_on,
       set_by = excluded.set_by, set_at = excluded.set_at`)

/**
 * Sets the policy of a part in a warehouse, in the place of the one that was there.
 * @throws Refusal 403, 404, 409 `WarehouseClosed`, 422 `MaximumNotAboveMinimum`, `MaximumNotInPacks`, `ServiceLevelOutOfRange`, `LeadTimeOutOfRange`,
 *   `ExpiryInThePast`, `PolicyIncomplete`, `FieldMisplaced`, `PolicyEmpty`, `PartInactive`, `PartSuperseded`
 */
export async function setReorderPolicy(
  ctx: Context,
  { warehouse: code, part: number, ...policy }: SetReorderPolicyBody & { warehouse: string; part: string }
): Promise<ReorderPolicyView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, POLICY_DUTIES, warehouse)
  const today = ctx.clock.today()
  requireOpen(warehouse, today)
  const part = await partFor(ctx, number)
  requireBought(number, part)
  requireSense(policy, { today, packSize: policy.packSize ?? part.packSize })
  return inTransaction(ctx, async (inner) => {
    await run(inner, SET, [
      warehouse.id,
      part.id,
      policy.kind,
      policy.minimum ?? null,
      policy.maximum ?? null,
      policy.target?.measure ?? null,
      policy.target?.level ?? null,
      policy.leadTimeDays ?? null,
      policy.packSize ?? null,
      policy.reason ?? null,
      policy.expiresOn ?? null,
      ctx.actor.personId,
      ctx.clock.now().toString()
    ])
    await levelAnew(inner, warehouse.id, part.id)
    await recordAudit(inner, 'reorder-policy.set', `reorder-policy:${code}/${number}`, policy)
    return readPolicy(inner, warehouse, { id: part.id, number })
  })
}

/** @throws Refusal 422 `PartInactive`, `PartSuperseded` */
function requireBought(number: string, { active, replacedBy }: ReplaceablePart): void {
  if (replacedBy !== null) {
    throw new Refusal(
      'PartSuperseded',
      422,
      `part ${number} is replaced by ${replacedBy}, where its demand counts and which is ordered instead; set the policy of ${replacedBy}`,
      {
        errors: [{ pointer: '{part}', detail: 'is replaced', sent: number, accepted: replacedBy }],
        extra: { replacedBy }
      }
    )
  }
  if (!active) {
    throw new Refusal(
      'PartInactive',
      422,
      `part ${number} is no longer bought, so nothing of it is ordered; make it active again first`,
      { errors: [{ pointer: '{part}', detail: 'is no longer bought', sent: number }] }
    )
  }
}

type Policy = SetReorderPolicyBody

/** Whether a policy says what its kind needs, and nothing that makes no sense. */
function requireSense(policy: Policy, { today, packSize }: { today: string; packSize: string | null }): void {
  const { kind, minimum, maximum, expiresOn } = policy
  for (const member of kind === 'fixed' ? (['target', 'leadTimeDays'] as const) : (['minimum', 'maximum'] as const)) {
    if (policy[member] === undefined) continue
    const detail =
      kind === 'fixed'
        ? `a fixed policy goes by its minimum and maximum and has no ${member}`
        : `a computed policy has no ${member}; it is worked out from demand`
    throw new Refusal('FieldMisplaced', 422, detail, { errors: [{ pointer: `/${member}`, detail }] })
  }
  if (policy.target !== undefined) requireServiceLevel(policy.target.level, '/target/level')
  if (policy.leadTimeDays !== undefined) requireLeadTime(policy.leadTimeDays, '/leadTimeDays')
  if (expiresOn !== undefined && expiresOn < today) {
    throw new Refusal('ExpiryInThePast', 422, `${expiresOn} is over; a policy is in force today (${today}) at least`, {
      errors: [{ pointer: '/expiresOn', detail: 'lies in the past', sent: expiresOn, accepted: `${today} or later` }]
    })
  }
  if (kind === 'computed') {
    if (policy.target === undefined && policy.leadTimeDays === undefined && policy.packSize === undefined)
      throw new Refusal(
        'PolicyEmpty',
        422,
        'the policy says nothing of its own: give a target, leadTimeDays or packSize, or withdraw it to go by the catalogue'
      )
    return
  }
  const missing = (['minimum', 'maximum', 'reason', 'expiresOn'] as const).filter(
    (member) => policy[member] === undefined
  )
  if (missing.length > 0 || minimum === undefined || maximum === undefined) {
    throw new Refusal(
      'PolicyIncomplete',
      422,
      `a fixed policy goes before what demand says, so it has minimum, maximum, a reason and a last day; missing: ${missing.join(', ')}`,
      { errors: missing.map((member) => ({ pointer: `/${member}`, detail: 'is missing' })) }
    )
  }
  requireRoom({ minimum, maximum, packSize })
}

/** Between minimum and maximum lie whole packs, so that an order from the one reaches the other. */
function requireRoom({
  minimum,
  maximum,
  packSize
}: {
  minimum: string
  maximum: string
  packSize: string | null
}): void {
  const room = thousandths(maximum) - thousandths(minimum)
  if (room < 0n || (room === 0n && thousandths(maximum) > 0n)) {
    throw new Refusal(
      'MaximumNotAboveMinimum',
      422,
      room < 0n
        ? `the minimum ${minimum} is above the maximum ${maximum}; it is below it`
        : `minimum and maximum are both ${maximum}, so nothing would be ordered at the minimum; to keep ${maximum} and order each one that leaves, set the minimum one lower, and to keep nothing set both to 0`,
      {
        errors: [
          { pointer: '/maximum', detail: 'is not above the minimum', sent: maximum, accepted: `more than ${minimum}` }
        ]
      }
    )
  }
  const pack = packSize === null ? 0n : thousandths(packSize)
  if (pack === 0n || room % pack === 0n) return
  const below = thousandths(minimum) + (room / pack) * pack
  const nearest = [below, below + pack]
    .filter((level) => level > thousandths(minimum))
    .map((level) => decimal(level, 3))
  throw new Refusal(
    'MaximumNotInPacks',
    422,
    `the part comes in packs of ${normalQuantity(packSize ?? '')}, and ${normalQuantity(maximum)} is no whole number of packs above ${normalQuantity(minimum)}; the nearest maximum is ${nearest.join(' or ')}`,
    { errors: [{ pointer: '/maximum', detail: 'is not reached by whole packs', sent: maximum, accepted: nearest }] }
  )
}

const WITHDRAW = statement<{ kind: string }>(
  `delete from reorder_policy where warehouse_id = $1 and part_id = $2 returning kind`
)

/**
 * Takes the policy of a position away; it goes by demand and the catalogue again, at once.
 * @throws Refusal 403, 404
 */
export async function withdrawReorderPolicy(
  ctx: Context,
  { warehouse: code, part: number, reason }: { warehouse: string; part: string; reason: string }
): Promise<ReorderPolicyView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, POLICY_DUTIES, warehouse)
  const part = await partFor(ctx, number)
  return inTransaction(ctx, async (inner) => {
    const withdrawn = await readPolicy(inner, warehouse, { id: part.id, number })
    if ((await run(inner, WITHDRAW, [warehouse.id, part.id])).length === 0)
      throw notFound('reorder policy', `${code}/${number}`)
    await levelAnew(inner, warehouse.id, part.id)
    await recordAudit(inner, 'reorder-policy.withdrawn', `reorder-policy:${code}/${number}`, {
      reason,
      policy: withdrawn
    })
    return withdrawn
  })
}

async function readPolicy(
  ctx: Context,
  warehouse: Warehouse,
  part: { id: number; number: string }
): Promise<ReorderPolicyView> {
  const [policy] = await run(ctx, ONE, [ctx.clock.today(), warehouse.id, part.id])
  if (policy === undefined) throw notFound('reorder policy', `${warehouse.code}/${part.number}`)
  return viewOf(policy)
}

/**
 * The policy of one position.
 * @throws Refusal 404
 */
export async function readReorderPolicy(
  ctx: Context,
  { warehouse: code, part: number }: { warehouse: string; part: string }
): Promise<ReorderPolicyView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  return readPolicy(ctx, warehouse, { id: (await partFor(ctx, number)).id, number })
}

async function filterOf(ctx: Context, { warehouse: code, part }: ReorderPolicyQuery): Promise<unknown[]> {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const warehouse = code === undefined ? undefined : await warehouseByCode(ctx, code)
  if (warehouse !== undefined) requireSight(ctx, warehouse)
  return [
    ctx.clock.today(),
    everywhere,
    warehouseIds,
    regionIds,
    warehouse?.id ?? null,
    part === undefined ? null : (await partFor(ctx, part)).id
  ]
}

/** Policies of the warehouses the actor sees, by warehouse and part; expired ones are among them. */
export async function listReorderPolicies(
  ctx: Context,
  query: ReorderPolicyQuery
): Promise<{ items: ReorderPolicyView[]; nextCursor: string | null }> {
  const { limit = 50, cursor } = query
  const after = readCursor(cursor, ['text', 'text']) ?? ['', '']
  const rows = await run(ctx, PAGE, [...(await filterOf(ctx, query)), ...after, limit + 1])
  return pageFrom(rows.map(viewOf), limit, ({ warehouse, part }) => [warehouse, part])
}

type PolicyRow = Omit<ReorderPolicyView, 'target' | 'level'> & { measure: string | null; serviceLevel: string | null }

/** The same as a file. */
export async function reorderPolicyStream(ctx: Context, query: ReorderPolicyQuery): Promise<AsyncGenerator<PolicyRow>> {
  const values = [...(await filterOf(ctx, query)), '', '', null]
  return (async function* () {
    for await (const row of rowsOf<ReorderPolicyView>(ctx, LIST, values)) {
      const { target, level: _level, ...policy } = viewOf(row)
      yield { ...policy, measure: target?.measure ?? null, serviceLevel: target?.level ?? null }
    }
  })()
}

export const REORDER_POLICY_COLUMNS: CsvColumns<PolicyRow> = {
  warehouse: 'warehouse 仓库',
  part: 'part 货号',
  kind: 'kind 类型',
  state: 'state 状态',
  minimum: 'minimum 下限',
  maximum: 'maximum 上限',
  measure: 'measure 服务指标',
  serviceLevel: 'service level 服务水平',
  leadTimeDays: 'lead time in days 提前期(天)',
  packSize: 'pack size 包装数量',
  reason: 'reason 原因',
  expiresOn: 'expires on 有效期至',
  setBy: 'set by 设定人',
  setAt: 'set at 设定时间'
}
