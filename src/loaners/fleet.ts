import { Type } from 'typebox'
import { requireDutyEverywhere, sightOf, type Context, type Duty } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import {
  importResult,
  readCsvRows,
  refuseRepeatedKeys,
  type ImportColumn,
  type ImportResult,
  type RowOf,
  type RowOutcome
} from '../platform/csv-import.ts'
import { requireDaysInOrder } from '../platform/days.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { Day } from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'
import { Family, type InstalledBase, type LoanerFleetLine, type LoanerUse } from './loaners.schemas.ts'

/** Who says how many goods are in the hands of customers, and what fleet they ask for: everywhere. */
const FLEET_DUTIES = ['stock-controller', 'administrator'] as const satisfies Duty[]

/** Regions that the actor sees in whole or in part, as SQL over `region`; parameters everywhere, warehouses, regions. */
const SEEN_REGION = (region: string, first: number): string =>
  `($${first}::boolean or ${region} = any ($${first + 2}::int[]) or ${region} in (select region_id from warehouse where id = any ($${first + 1}::int[])))`

const sightValues = (ctx: Context): unknown[] => {
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  return [everywhere, warehouseIds, regionIds]
}

const BASE = statement<InstalledBase>(`
select region.code as region, b.family, b.units::int as units, b.counted_on::text as "countedOn"
  from installed_base b join region on region.id = b.region_id
 where ${SEEN_REGION('b.region_id', 1)} and ($4::text is null or region.code = $4)
 order by region.code, b.family`)

/** The installed base (保有量) of the regions one sees. */
export const listInstalledBase = async (
  ctx: Context,
  { region }: { region?: string | undefined }
): Promise<{ items: InstalledBase[] }> => ({ items: await run(ctx, BASE, [...sightValues(ctx), region ?? null]) })

const REGIONS = statement<{ code: string }>('select code from region where code = any ($1::text[])')
const STORED = statement<InstalledBase>(`
select region.code as region, b.family, b.units::int as units, b.counted_on::text as "countedOn"
  from installed_base b join region on region.id = b.region_id where region.code = any ($1::text[])`)
const WRITE = statement<never>(`
insert into installed_base (region_id, family, units, counted_on, set_by, set_at)
select region.id, g.family, g.units, g.counted_on, $5, $6
  from unnest($1::text[], $2::text[], $3::bigint[], $4::date[]) as g (region, family, units, counted_on)
  join region on region.code = g.region
 order by region.id, g.family
on conflict (region_id, family) do update set units = excluded.units, counted_on = excluded.counted_on, set_by = excluded.set_by, set_at = excluded.set_at`)

const writeBase = (ctx: Context, base: readonly InstalledBase[]): Promise<unknown> =>
  run(ctx, WRITE, [
    base.map(({ region }) => region),
    base.map(({ family }) => family),
    base.map(({ units }) => units),
    base.map(({ countedOn }) => countedOn),
    ctx.actor.personId,
    ctx.clock.now().toString()
  ])

/**
 * Says how many goods of a family are in the hands of customers in a region.
 * @throws Refusal 404 for a region that does not exist, 422 `FutureDay`, 403
 */
export async function setInstalledBase(ctx: Context, base: InstalledBase): Promise<{ items: InstalledBase[] }> {
  requireDutyEverywhere(ctx, FLEET_DUTIES)
  const [region] = await run(ctx, REGIONS, [[base.region]])
  if (region === undefined) throw notFound('region', base.region)
  const today = ctx.clock.today()
  if (base.countedOn > today) {
    throw new Refusal('FutureDay', 422, `a figure is of today (${today}) or earlier, not of ${base.countedOn}`, {
      errors: [
        { pointer: '/countedOn', detail: 'lies in the future', sent: base.countedOn, accepted: `at most ${today}` }
      ]
    })
  }
  return inTransaction(ctx, async (inner) => {
    await writeBase(inner, [base])
    await recordAudit(inner, 'installed-base.set', `region:${base.region}`, { ...base })
    return listInstalledBase(inner, { region: base.region })
  })
}

/** The columns of a file of the installed base. */
export const INSTALLED_BASE_COLUMNS = {
  region: { schema: RegionCode, headings: ['区域', '区域代码'], required: true },
  family: { schema: Family, headings: ['系列', '机型系列'], required: true },
  units: {
    schema: Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: 'a whole number of goods (保有量)' }),
    headings: ['installed', '保有量', '数量'],
    required: true
  },
  countedOn: { schema: Type.String({ ...Day }), headings: ['counted on', '统计日期', '日期'], required: true }
} as const satisfies Record<string, ImportColumn>
type BaseRow = RowOf<typeof INSTALLED_BASE_COLUMNS>

/**
 * Imports the installed base from CSV, a region and family a row; what the file does not name stays as it is.
 * @throws Refusal 422 `ImportRefused` with the outcome of every row, and what `readCsvRows` throws
 */
export async function importInstalledBase(
  ctx: Context,
  { csv, apply = false }: { csv: string; apply?: boolean }
): Promise<ImportResult> {
  requireDutyEverywhere(ctx, FLEET_DUTIES)
  const rows = await readCsvRows(csv, INSTALLED_BASE_COLUMNS)
  const keyOf = ({ region, family }: BaseRow): string => (region && family ? `${region} ${family}` : '')
  refuseRepeatedKeys(rows, keyOf)
  const codes = [...new Set(rows.map(({ values }) => values.region ?? ''))]
  const known = new Set((await run(ctx, REGIONS, [codes])).map(({ code }) => code))
  const stored = new Map((await run(ctx, STORED, [codes])).map((base) => [`${base.region} ${base.family}`, base]))
  const today = ctx.clock.today()
  const outcomes = rows.map(({ line, values, problems }): RowOutcome => {
    const key = keyOf(values)
    const faults = [...problems]
    if (values.region != null && !known.has(values.region)) faults.push(`there is no region ${values.region}`)
    if (values.countedOn != null && values.countedOn > today)
      faults.push(`countedOn is ${values.countedOn}; a figure is of ${today} or earlier`)
    if (faults.length > 0) return { line, key, outcome: 'refused', problems: faults }
    const before = stored.get(key)
    const isSame = before !== undefined && before.units === values.units && before.countedOn === values.countedOn
    return { line, key, outcome: before === undefined ? 'create' : isSame ? 'unchanged' : 'update', problems: [] }
  })
  const result = importResult(outcomes, apply)
  if (!apply) return result
  return inTransaction(ctx, async (inner) => {
    await writeBase(
      inner,
      rows.map(({ values: { region, family, units, countedOn } }) => ({
        region: region ?? '',
        family: family ?? '',
        units: units ?? 0,
        countedOn: countedOn ?? ''
      }))
    )
    await recordAudit(inner, 'installed-base.imported', 'installed-base', result.counts)
    return result
  })
}

const TARGETS = statement<{ family: string; perMille: string }>(
  `select family, trim_scale(per_mille)::text as "perMille" from loaner_target order by family = '*' desc, family`
)

/** Loaners per thousand installed, by family (R-LOAN-2). */
export const listLoanerTargets = async (ctx: Context) => ({ items: await run(ctx, TARGETS, []) })

const SET_TARGET = statement<never>(`
insert into loaner_target values ($1, $2) on conflict (family) do update set per_mille = excluded.per_mille`)
const DROP_TARGET = statement<never>(`delete from loaner_target where family = $1`)

/**
 * Sets the target of a family, or of all that have none of their own (`*`).
 * @throws Refusal 422 `CommonTargetStays`, 403
 */
export async function setLoanerTarget(
  ctx: Context,
  { family, perMille }: { family: string; perMille: string | null }
): Promise<{ items: { family: string; perMille: string }[] }> {
  requireDutyEverywhere(ctx, FLEET_DUTIES)
  if (family === '*' && perMille === null)
    throw new Refusal(
      'CommonTargetStays',
      422,
      'families without a target of their own need the common one; set it to 0'
    )
  return inTransaction(ctx, async (inner) => {
    await (perMille === null ? run(inner, DROP_TARGET, [family]) : run(inner, SET_TARGET, [family, perMille]))
    await recordAudit(inner, 'loaner-target.set', `family:${family}`, { perMille })
    return listLoanerTargets(inner)
  })
}

const FLEET = statement<Omit<LoanerFleetLine, 'proposal'> & { newest: string | null }>(`
select region.code as region, f.family, f.installed::int as installed, f.counted_on::text as "countedOn", trim_scale(f.per_mille)::text as "perMille",
       f.target::int as target, f.units::int as units, f.shortfall::int as shortfall,
       (select part.number from part
          left join loaner_unit u on u.part_id = part.id and u.in_service_on is not null
         where part.loaner_family = f.family and part.active
           and not exists (select 1 from supersession s where s.part_id = part.id and not s.both_ways and s.valid_from <= $6::date and (s.valid_to is null or s.valid_to >= $6::date))
         group by part.id, part.number order by max(u.in_service_on) desc nulls last, part.id desc limit 1) as newest
  from loaner_fleet f join region on region.id = f.region_id
 where ${SEEN_REGION('f.region_id', 1)} and ($4::text is null or region.code = $4) and ($5::text is null or f.family = $5)
 order by region.code, f.family`)

/**
 * The fleet against its target, by region and family (R-LOAN-2): installed base × target per mille, rounded up, less the units that are in
 * service, out, in repair or on their way; what is missing is proposed of the model that came into use last and is
 * still bought and not superseded. What a count found missing is not there.
 */
export async function readLoanerFleet(
  ctx: Context,
  { region, family }: { region?: string | undefined; family?: string | undefined }
): Promise<{ items: LoanerFleetLine[] }> {
  const lines = await run(ctx, FLEET, [...sightValues(ctx), region ?? null, family ?? null, ctx.clock.today()])
  return {
    items: lines.map(({ newest, ...line }) => ({
      ...line,
      proposal: line.shortfall > 0 && newest !== null ? { model: newest, units: line.shortfall } : null
    }))
  }
}

// A unit is owned from the day its slip is dated to the day before it is scrapped; a loan is out from its day to the day before the return.
const USE = statement<LoanerUse>(`
with owned as (
  select u.warehouse_id, u.id, u.part_id, least($2::date + 1, coalesce(u.out_of_service_on, $2::date + 1)) - greatest($1::date, u.in_service_on) as days
    from loaner_unit u join warehouse w on w.id = u.held_by
   where u.state in ('in-service', 'in-repair', 'in-transit', 'retired') and u.in_service_on <= $2::date and coalesce(u.out_of_service_on, $2::date + 1) > $1::date
     and ($3::boolean or w.id = any ($4::int[]) or w.region_id = any ($5::int[])) and ($6::text is null or w.region_id = (select id from region where code = $6))
), used as (
  select o.part_id, count(*) as loans, sum(least($2::date + 1, coalesce(l.returned_on, $2::date + 1)) - greatest($1::date, l.lent_on)) as days,
         count(*) filter (where l.due_on < $2::date and coalesce(l.returned_on, $2::date + 1) > $2::date) as overdue
    from owned o
    join loan l on l.unit_warehouse_id = o.warehouse_id and l.unit_id = o.id
   where l.state in ('out', 'returned') and l.lent_on <= $2::date and (coalesce(l.returned_on, $2::date + 1) > $1::date or l.lent_on >= $1::date)
   group by o.part_id
)
select part.number as model, part.name, part.loaner_family as family, count(*)::int as units, coalesce(max(used.loans), 0)::int as loans, sum(o.days)::int as "daysOwned",
       coalesce(max(used.days), 0)::int as "daysOut", case when sum(o.days) = 0 then '0' else trim_scale(round(100.0 * coalesce(max(used.days), 0) / sum(o.days), 1))::text end as utilisation,
       coalesce(max(used.overdue), 0)::int as overdue
  from owned o
  join part on part.id = o.part_id
  left join used on used.part_id = o.part_id
 group by part.number, part.name, part.loaner_family
 order by part.number`)

/**
 * How much the fleet is used: unit-days on loan by unit-days in service, per model, of the units one sees; both days are in it. Days that
 * are still to come are not counted.
 * @throws Refusal 422 `DaysReversed`, `FutureDay`
 */
export async function readLoanerUtilisation(
  ctx: Context,
  { from, to, region }: { from: string; to: string; region?: string | undefined }
): Promise<{ from: string; to: string; items: LoanerUse[] }> {
  requireDaysInOrder({ from, to })
  const today = ctx.clock.today()
  if (from > today) {
    throw new Refusal('FutureDay', 422, `nothing was used yet after today (${today})`, {
      errors: [{ pointer: '?from', detail: 'lies in the future', sent: from, accepted: `at most ${today}` }]
    })
  }
  const until = to > today ? today : to
  return { from, to: until, items: await run(ctx, USE, [from, until, ...sightValues(ctx), region ?? null]) }
}
