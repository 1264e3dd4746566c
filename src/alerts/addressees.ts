// Who gets an alert follows duties: whoever holds today, by themselves or in somebody's stead, a duty of the rungs it has reached, for its
// warehouse, the region of it or everywhere; and whoever holds the duty that the cause itself names.
import { grantCovers, grantsToday, type Context, type Duty, type Grant } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'

/** The duties of alert `a` under its policy `p`. */
export const DUTIES_TOLD = `alert_duties(p.ladder, a.level, a.duty)`

/** Whether row `holder` of `duty_holder` is told of alert `a` in warehouse `w` under policy `p`. */
export const holds = (holder: string, today: string): string => `
${holder}.duty = any (${DUTIES_TOLD}) and ${holder}.valid_from <= ${today} and (${holder}.valid_to is null or ${holder}.valid_to >= ${today})
       and ${grantCovers(holder, 'a.warehouse_id', 'w.region_id')}`

/**
 * Everybody who is told of alerts that are not resolved: rows (warehouse_id, kind, level, duty, person_id) to be joined with `alert` by the
 * first four (`duty` by `is not distinct from`). Worked out once per place, kind and rung, however many alerts there are.
 * @param today parameter that is the day
 */
export const toldOf = (today: string): string => `
select distinct a.warehouse_id, a.kind, a.level, a.duty, h.person_id
  from (select distinct warehouse_id, kind, level, duty from alert where resolved_at is null) a
  join alert_policy p on p.kind = a.kind
  join warehouse w on w.id = a.warehouse_id
  join duty_holder h on ${holds('h', today)}`

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
  join duty_holder h on ${holds('h', '$2::date')}
  join person on person.id = h.person_id
 where a.id = any ($1::bigint[])
 order by 1, person.username`)

/** Who is told of these alerts today, by alert and user name. */
export const addresseesOf = (ctx: Context, alerts: readonly string[]): Promise<Addressee[]> =>
  run(ctx, ADDRESSEES, [alerts, ctx.clock.today()])

/**
 * Whether the actor is told of alert `a` in warehouse `w` under policy `p`, by three parameters that `grantArrays` gives. Goes by the
 * actor's grants, so that an API key is told of what it was issued for.
 */
export const isTold = (duties: string, warehouses: string, regions: string): string => `
exists (select from unnest(${duties}::text[], ${warehouses}::int[], ${regions}::int[]) as g (duty, warehouse_id, region_id)
         where g.duty = any (${DUTIES_TOLD})
           and ${grantCovers('g', 'a.warehouse_id', 'w.region_id')})`

export function grantArrays(ctx: Context): [Duty[], (number | null)[], (number | null)[]] {
  const grants: Grant[] = grantsToday(ctx)
  return [
    grants.map(({ duty }) => duty),
    grants.map(({ warehouseId }) => warehouseId),
    grants.map(({ regionId }) => regionId)
  ]
}
