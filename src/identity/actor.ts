import type { Context as PlatformContext } from '../platform/context.ts'
import { notFound, Refusal } from '../platform/errors.ts'

/** The duties of R-ORG-2, in the order the rule book names them. */
export const DUTIES = [
  'keeper',
  'department-head',
  'operations-supervisor',
  'finance-supervisor',
  'technician',
  'outlet-clerk',
  'stock-controller',
  'hq-finance',
  'purchaser',
  'administrator'
] as const
export type Duty = (typeof DUTIES)[number]

/** The Chinese name of each duty, for documents and descriptions. */
export const DUTY_NAMES: Record<Duty, string> = {
  keeper: '仓管员',
  'department-head': '售后服务部负责人',
  'operations-supervisor': '运作主管',
  'finance-supervisor': '财务主管',
  technician: '维修技术员',
  'outlet-clerk': '网点文员',
  'stock-controller': '总公司分管部',
  'hq-finance': '总公司财务',
  purchaser: '采购员',
  administrator: '系统管理员'
}

/** One duty somebody holds: in one warehouse, in one region, or everywhere (both null). Days are inclusive. */
export interface Grant {
  duty: Duty
  warehouseId: number | null
  regionId: number | null
  validFrom: string
  validTo: string | null
  /** Set while standing in for somebody on leave: that person's id. */
  onBehalfOf: number | null
}

/** Who acts. An API key acts for the person it was issued to, with at most that person's rights. */
export interface Actor {
  /** `person:7`, `api-key:3` or `system`: what idempotency keys, rate limits and logs go by. */
  key: string
  /** The person every write is recorded under. */
  personId: number
  username: string
  /** Of documents and messages for the person. */
  language: 'zh' | 'en'
  grants: Grant[]
  /** Signing needs a person; a machine never signs. */
  isMachine: boolean
  /** Access of an API key; people always may write what their duties allow. */
  readOnly: boolean
}

export type Context = PlatformContext<Actor>

declare module 'fastify' {
  interface FastifyRequest {
    ctx: Context
  }
}

/** What rights need to know of a warehouse. */
export interface WarehouseRef {
  id: number
  code: string
  regionId: number
}

/** Whether a grant is for a warehouse: held there, in its region or everywhere. */
export const covers = (grant: Grant, warehouse: WarehouseRef): boolean =>
  (grant.warehouseId === null && grant.regionId === null) ||
  grant.warehouseId === warehouse.id ||
  (grant.regionId !== null && grant.regionId === warehouse.regionId)

/** The same as SQL: whether the row `grant` of `duty_assignment` is for a warehouse, given by its id and region. */
export const grantCovers = (grant: string, warehouse: string, region: string): string =>
  `(${grant}.warehouse_id = ${warehouse} or ${grant}.region_id = ${region} or (${grant}.warehouse_id is null and ${grant}.region_id is null))`

const isValid = (grant: Grant, today: string): boolean =>
  grant.validFrom <= today && (grant.validTo === null || today <= grant.validTo)

/** The grants in force today. */
export const grantsToday = (ctx: Context): Grant[] => {
  const today = ctx.clock.today()
  return ctx.actor.grants.filter((grant) => isValid(grant, today))
}

/** Whether the actor may see a warehouse at all: any duty there, in its region or everywhere. */
export const maySee = (ctx: Context, warehouse: WarehouseRef): boolean =>
  grantsToday(ctx).some((grant) => covers(grant, warehouse))

/** Refuses a warehouse the actor may not see exactly as one that does not exist. */
export function requireSight(ctx: Context, warehouse: WarehouseRef): void {
  if (!maySee(ctx, warehouse)) throw notFound('warehouse', warehouse.code)
}

/**
 * The grant by which the actor holds one of `duties` for a warehouse today, the own one before a delegated one.
 * @param isPreferred which grant to take where several would do, e.g. standing in for one person rather than another
 * @throws Refusal 404 for a warehouse the actor may not see, 403 `DutyRequired` for a visible one
 */
export function requireDuty(
  ctx: Context,
  duties: Duty | readonly Duty[],
  warehouse: WarehouseRef,
  isPreferred: (grant: Grant) => boolean = () => true
): Grant {
  const grant = requireDutyToRead(ctx, duties, warehouse, isPreferred)
  requireWriting(ctx)
  return grant
}

/** The same for what changes nothing: a key that may only read will do. */
export function requireDutyToRead(
  ctx: Context,
  duties: Duty | readonly Duty[],
  warehouse: WarehouseRef,
  isPreferred: (grant: Grant) => boolean = () => true
): Grant {
  const wanted: readonly Duty[] = typeof duties === 'string' ? [duties] : duties
  const here = grantsToday(ctx).filter((grant) => covers(grant, warehouse))
  if (here.length === 0) throw notFound('warehouse', warehouse.code)
  return (
    choose(here.filter(isPreferred), wanted) ??
    choose(here, wanted) ??
    missingDuty(wanted, `for warehouse ${warehouse.code}`, here)
  )
}

/**
 * The same for what belongs to no warehouse (parts, suppliers, people): the duty must be held everywhere.
 * @throws Refusal 403 `DutyRequired`
 */
export function requireDutyEverywhere(ctx: Context, duties: Duty | readonly Duty[]): Grant {
  const wanted: readonly Duty[] = typeof duties === 'string' ? [duties] : duties
  const all = grantsToday(ctx)
  const everywhere = all.filter(({ warehouseId, regionId }) => warehouseId === null && regionId === null)
  const grant = choose(everywhere, wanted) ?? missingDuty(wanted, 'everywhere', all)
  requireWriting(ctx)
  return grant
}

const choose = (grants: Grant[], wanted: readonly Duty[]): Grant | undefined =>
  grants
    .filter(({ duty }) => wanted.includes(duty))
    .toSorted((a, b) => Number(a.onBehalfOf !== null) - Number(b.onBehalfOf !== null))[0]

function missingDuty(wanted: readonly Duty[], where: string, held: Grant[]): never {
  const own = [...new Set(held.map(({ duty }) => duty))]
  throw new Refusal(
    'DutyRequired',
    403,
    `this needs the duty ${wanted.map((duty) => `${duty} (${DUTY_NAMES[duty]})`).join(' or ')} ${where}; you hold ${own.join(', ') || 'none'}`,
    { extra: { required: wanted, held: own } }
  )
}

/** For what needs no duty, such as what is one's own. @throws Refusal 403 `ReadOnlyKey` */
export function requireWriting({ actor }: Context): void {
  if (actor.readOnly) throw new Refusal('ReadOnlyKey', 403, 'this API key may only read; issue one with access "write"')
}

/**
 * What the actor may see, as SQL parameters: `$everywhere or warehouse.id = any($warehouseIds) or warehouse.region_id = any($regionIds)`.
 */
export function sightOf(ctx: Context): { everywhere: boolean; warehouseIds: number[]; regionIds: number[] } {
  const grants = grantsToday(ctx)
  return {
    everywhere: grants.some(({ warehouseId, regionId }) => warehouseId === null && regionId === null),
    warehouseIds: grants.flatMap(({ warehouseId }) => warehouseId ?? []),
    regionIds: grants.flatMap(({ regionId }) => regionId ?? [])
  }
}
