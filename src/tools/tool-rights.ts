import { covers, grantsToday, type Context, type Duty, type WarehouseRef } from '../identity/actor.ts'

/** Who reads the register of a warehouse as a whole. A technician sees what is in their own custody, and the documents they are part of. */
const READERS: readonly Duty[] = [
  'keeper',
  'department-head',
  'operations-supervisor',
  'finance-supervisor',
  'stock-controller',
  'hq-finance',
  'administrator'
]

/** Who reads what is claimed from people: who decides it and who books it. */
export const CLAIM_READERS: readonly Duty[] = ['finance-supervisor', 'department-head', 'hq-finance']

/**
 * Whether the actor is told by duty what is claimed from technicians of a warehouse. Keepers and colleagues do their work without knowing what
 * somebody owes.
 */
export const readsClaims = (ctx: Context, warehouse: WarehouseRef): boolean =>
  grantsToday(ctx).some((grant) => CLAIM_READERS.includes(grant.duty) && covers(grant, warehouse))

/** Whose custody counts as one's own: a key has it only with the duty technician. */
const ownCustody = (ctx: Context): number =>
  ctx.actor.isMachine && !grantsToday(ctx).some(({ duty }) => duty === 'technician') ? -1 : ctx.actor.personId

/** Whether the actor reads the register of a warehouse. */
export const readsRegister = (ctx: Context, warehouse: WarehouseRef): boolean =>
  grantsToday(ctx).some((grant) => READERS.includes(grant.duty) && covers(grant, warehouse))

/** Whether something in somebody's custody is in the actor's own. */
export const isOwn = (ctx: Context, personId: number | null): boolean =>
  personId !== null && personId === ownCustody(ctx)

/** Whether the actor may know a tool: by the register it stands in, or because it is in their custody. */
export const seesTool = (ctx: Context, warehouse: WarehouseRef, holderId: number | null): boolean =>
  readsRegister(ctx, warehouse) || isOwn(ctx, holderId)

/**
 * What of the register the actor sees, as four SQL parameters: everywhere, warehouses, regions, own person.
 */
export function registerSight(
  ctx: Context
): [everywhere: boolean, warehouses: number[], regions: number[], own: number] {
  const grants = grantsToday(ctx).filter(({ duty }) => READERS.includes(duty))
  return [
    grants.some(({ warehouseId, regionId }) => warehouseId === null && regionId === null),
    grants.flatMap(({ warehouseId }) => warehouseId ?? []),
    grants.flatMap(({ regionId }) => regionId ?? []),
    ownCustody(ctx)
  ]
}

/** The same as a condition over a warehouse; the parameters begin at `$first`. */
export const inRegisterSight = (warehouse: string, first: number): string =>
  `($${first}::boolean or ${warehouse}.id = any ($${first + 1}::int[]) or ${warehouse}.region_id = any ($${first + 2}::int[]))`

/**
 * What of a list the actor sees, as a condition that asks no more than it must: who reads every register is asked nothing, who reads none
 * only for what is their own. It is over the listed table alone, and so comes before its joins.
 * @param value takes a value and answers its parameter
 * @param owners the columns that name the warehouses by whose register a row is seen
 * @param own the condition that a row is the person's own
 */
export function seen(
  ctx: Context,
  value: (given: unknown) => string,
  owners: readonly string[],
  own: (person: string) => string
): string {
  const [everywhere, warehouseIds, regionIds, person] = registerSight(ctx)
  if (everywhere) return 'true'
  const personal = own(`${value(person)}::int`)
  if (warehouseIds.length === 0 && regionIds.length === 0) return personal
  const registers = `(array(select id from warehouse where id = any (${value(warehouseIds)}::int[]) or region_id = any (${value(regionIds)}::int[])))`
  return `(${[...owners.map((owner) => `${owner} = any ${registers}`), personal].join(' or ')})`
}
