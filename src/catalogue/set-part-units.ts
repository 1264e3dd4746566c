import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { CATALOGUE_DUTIES } from './catalogue.rights.ts'
import type { PartView } from './catalogue.schemas.ts'
import { readPart } from './parts.queries.ts'

const LOCK = statement<{ id: number; unit: string; version: number }>(
  `select id, unit, version from part where number = $1 for update`
)

const REMOVE = statement<never>(`delete from part_unit where part_id = $1 and unit <> all ($2::text[])`)

const SET = statement<never>(`
insert into part_unit (part_id, unit, factor)
select $1, unit, factor from unnest($2::text[], $3::numeric[]) as given (unit, factor)
on conflict (part_id, unit) do update set factor = excluded.factor`)

const BUMP = statement<never>(`update part set version = version + 1 where id = $1`)

/**
 * States all further units of a part: a box of 12 is `{ unit: 'box', factor: '12' }`. Slips already written keep the
 * stock units they were converted to.
 * @throws Refusal 404, 412 `VersionStale`, 422 `UnitRepeated` or `UnitIsStockUnit`
 */
export async function setPartUnits(
  ctx: Context,
  {
    number,
    ifMatch,
    units
  }: { number: string; ifMatch?: string | undefined; units: { unit: string; factor: string }[] }
): Promise<PartView> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  const names = units.map(({ unit }) => unit)
  const repeated = names.find((unit, index) => names.indexOf(unit) !== index)
  if (repeated !== undefined)
    throw new Refusal('UnitRepeated', 422, `the unit "${repeated}" is given twice; give each unit once`)
  return inTransaction(ctx, async (ctx) => {
    const [part] = await run(ctx.em, LOCK, [number])
    if (part === undefined) throw notFound('part', number)
    requireMatch(ifMatch, part.version)
    if (names.includes(part.unit))
      throw new Refusal(
        'UnitIsStockUnit',
        422,
        `"${part.unit}" is the stock unit of part ${number}, its factor is always 1; leave it away`
      )
    await run(ctx.em, REMOVE, [part.id, names])
    await run(ctx.em, SET, [part.id, names, units.map(({ factor }) => factor)])
    await run(ctx.em, BUMP, [part.id])
    await recordAudit(ctx, 'part.units-set', `part:${number}`, { units })
    return readPart(ctx, { number })
  })
}
