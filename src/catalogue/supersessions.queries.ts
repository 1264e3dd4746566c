import type { EntityManager } from '@mikro-orm/postgresql'
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { readPart } from './parts.queries.ts'
import type { SupersessionView } from './catalogue.schemas.ts'

const OF_PART = statement<SupersessionView>(`
select old.number as part, successor.number as successor, factor::text as factor, both_ways as "bothWays", valid_from::text as "validFrom", valid_to::text as "validTo"
  from supersession
  join part old on old.id = supersession.part_id
  join part successor on successor.id = supersession.successor_id
 where (old.number = $1 or successor.number = $1) and ($2::text is null or successor.number = $2) and ($3::date is null or valid_from = $3)
 order by old.number, successor.number, valid_from`)

/** Every supersession a part has part in, as old or as new, past ones included. */
export async function listSupersessions(
  ctx: Context,
  { number }: { number: string }
): Promise<{ items: SupersessionView[] }> {
  await readPart(ctx, { number })
  return { items: await run(ctx.em, OF_PART, [number, null, null]) }
}

/** One of them, by its key. */
export async function readSupersession(
  em: EntityManager,
  { number, successor, validFrom }: { number: string; successor: string; validFrom: string }
): Promise<SupersessionView> {
  const [supersession] = await run(em, OF_PART, [number, successor, validFrom])
  if (supersession === undefined)
    throw new Error(`supersession ${number} → ${successor} of ${validFrom} vanished inside its transaction`)
  return supersession
}

export interface Successor {
  partId: number
  part: string
  name: string
  active: boolean
  /** So many of it … decimal string */
  successors: string
  /** … replace so many of the part asked for, decimal string. Two numbers, because 1 for 3 has no decimal factor. */
  replaced: string
  steps: number
}

// Each step multiplies numerator and denominator apart, which stays exact both ways. A path never returns to a part it
// has been at, and of several paths to one part the shortest counts, then the one whose numbers come first.
const SUCCESSORS = statement<Successor & { ofId: number }>(`
with recursive step (from_id, to_id, successors, replaced) as (
  select part_id, successor_id, factor, 1::numeric from supersession where valid_from <= $2 and (valid_to is null or valid_to >= $2)
  union all
  select successor_id, part_id, 1::numeric, factor from supersession where both_ways and valid_from <= $2 and (valid_to is null or valid_to >= $2)
), chain (of_id, part_id, successors, replaced, steps, been) as (
  select id, id, 1::numeric, 1::numeric, 0, array[id] from unnest($1::int[]) as asked (id)
  union all
  select chain.of_id, step.to_id, chain.successors * step.successors, chain.replaced * step.replaced, chain.steps + 1, chain.been || step.to_id
    from chain
    join step on step.from_id = chain.part_id
   where step.to_id <> all (chain.been) and chain.steps < 20
), nearest as (
  select distinct on (of_id, part_id) of_id, part_id, successors, replaced, steps, been
    from chain where steps > 0
   order by of_id, part_id, steps, been
)
select nearest.of_id as "ofId", part.id as "partId", part.number as part, part.name, part.active,
       trim_scale(successors)::text as successors, trim_scale(replaced)::text as replaced, steps
  from nearest
  join part on part.id = nearest.part_id
 order by steps, part.number`)

/**
 * What may be taken instead of parts on a day, nearest first, following chains of supersession; `successors` of it
 * replace `replaced` of the part (R-CAT-4). One statement, however many parts; those that nothing replaces are left out.
 */
export async function successorsOfParts(
  em: EntityManager,
  partIds: readonly number[],
  on: string
): Promise<Map<number, Successor[]>> {
  const found = new Map<number, Successor[]>()
  if (partIds.length === 0) return found
  for (const { ofId, ...successor } of await run(em, SUCCESSORS, [[...new Set(partIds)], on]))
    found.set(ofId, [...(found.get(ofId) ?? []), successor])
  return found
}

/** The same of one part. */
export const successorsOf = async (em: EntityManager, partId: number, on: string): Promise<Successor[]> =>
  (await successorsOfParts(em, [partId], on)).get(partId) ?? []

const PART_ID = statement<{ id: number }>(`select id from part where number = $1`)

/**
 * The same by number and for today, for the API.
 * @throws Refusal 404
 */
export async function listSuccessors(
  ctx: Context,
  { number }: { number: string }
): Promise<{ items: Omit<Successor, 'partId'>[] }> {
  const [old] = await run(ctx.em, PART_ID, [number])
  if (old === undefined) throw notFound('part', number)
  const found = await successorsOf(ctx.em, old.id, ctx.clock.today())
  return {
    items: found.map(({ part, name, active, successors, replaced, steps }) => ({
      part,
      name,
      active,
      successors,
      replaced,
      steps
    }))
  }
}
