// Who gets an alert follows duties: whoever holds today, by themselves or in somebody's stead, a duty of the rungs it has reached, for its
// warehouse, the region of it or everywhere; whoever holds the duty that the cause itself names; and the people it names.
import { grantCovers, grantsToday, type Context, type Duty, type Grant } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'

/** The duties of alert `a` under its policy `p`. */
export const DUTIES_TOLD = `alert_duties(p.ladder, a.level, a.duty)`

/** Whether row `holder` of `duty_holder` is told of alert `a` in warehouse `w` under policy `p`. */
export const holds = (holder: string, today: string): string => `
${holder}.duty = any (${DUTIES_TOLD}) and ${holder}.valid_from <= ${today} and (${holder}.valid_to is null or ${holder}.valid_to >= ${today})
       and ${grantCovers(holder, 'a.warehouse_id', 'w.region_id')}`

/** Whether alert `a` names somebody, by the parameter that is their id, or null. Said so that the index of those who are named is used. */
export const names = (person: string): string => `(a.people <> '{}' and a.people @> array[${person}::int])`

/** As whom alerts may name the actor: in person, while an API key goes by its duties and warehouses. */
export const namedAs = ({ actor }: Context): number | null => (actor.isMachine ? null : actor.personId)

/** Whether an alert names the actor. */
export const isNamed = (ctx: Context, { people }: { people: readonly number[] }): boolean => {
  const me = namedAs(ctx)
  return me !== null && people.includes(me)
}

/** Somebody who is told of an alert. */
export interface Addressee {
  /** Id of the alert. */
  alert: string
  personId: number
  username: string
  name: string
  language: 'zh' | 'en'
  email: string | null
}

const ADDRESSEES = statement<Addressee>(`
select distinct a.id::text as alert, person.id as "personId", person.username, person.name, person.language, person.email
  from alert a
  join alert_policy p on p.kind = a.kind
  join warehouse w on w.id = a.warehouse_id
 cross join lateral (
   select h.person_id from duty_holder h where ${holds('h', '$2::date')}
    union all
   select unnest(a.people)) told
  join person on person.id = told.person_id and person.active
 where a.id = any ($1::bigint[])
 order by 1, person.username`)

/** Who is told of these alerts today, by alert and user name. */
export const addresseesOf = (ctx: Context, alerts: readonly string[]): Promise<Addressee[]> =>
  run(ctx, ADDRESSEES, [alerts, ctx.clock.today()])

/**
 * Whether the actor is told of alert `a` in warehouse `w` under policy `p` by a duty, by the last three parameters that `toldBy` gives. Goes by the
 * actor's grants, so that an API key is told of what it was issued for.
 */
export const isToldByDuty = (duties: string, warehouses: string, regions: string): string => `
exists (select from unnest(${duties}::text[], ${warehouses}::int[], ${regions}::int[]) as g (duty, warehouse_id, region_id)
         where g.duty = any (${DUTIES_TOLD})
           and ${grantCovers('g', 'a.warehouse_id', 'w.region_id')})`

/** The same, or by name: by the four parameters that `toldBy` gives. */
export const isTold = (person: string, ...grants: [duties: string, warehouses: string, regions: string]): string =>
  `(${names(person)} or ${isToldByDuty(...grants)})`

export function toldBy(ctx: Context): [number | null, Duty[], (number | null)[], (number | null)[]] {
  const grants: Grant[] = grantsToday(ctx)
  return [
    namedAs(ctx),
    grants.map(({ duty }) => duty),
    grants.map(({ warehouseId }) => warehouseId),
    grants.map(({ regionId }) => regionId)
  ]
}
