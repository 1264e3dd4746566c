import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { CATALOGUE_DUTIES } from './catalogue.rights.ts'
import type { SupersessionView } from './catalogue.schemas.ts'
import { partsByNumber, requireParts } from './parts.queries.ts'
import { readSupersession } from './supersessions.queries.ts'

// Two additions that each look harmless could close a circle together: they wait for each other.
const LOCK = statement<never>(`lock table supersession in share row exclusive mode`)

// The shortest way from one part to another along all that is in force on validFrom or will be later.
const WAY = statement<{ path: string[] }>(`
with recursive step (from_id, to_id) as (
  select part_id, successor_id from supersession where valid_to is null or valid_to >= $3
  union all
  select successor_id, part_id from supersession where both_ways and (valid_to is null or valid_to >= $3)
), walk (part_id, been) as (
  select $1::int, array[$1::int]
  union all
  select step.to_id, walk.been || step.to_id
    from walk
    join step on step.from_id = walk.part_id
   where step.to_id <> all (walk.been) and walk.part_id <> $2
)
select array(select part.number from unnest(been) with ordinality as passed (id, place) join part on part.id = passed.id order by place) as path
  from walk where part_id = $2
 order by cardinality(been), been
 limit 1`)

const INSERT = statement<never>(
  `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, $3, $4, $5)`
)

/**
 * States that `factor` successors replace one of the part, one way or both ways (R-CAT-4).
 * @throws Refusal 404, 422 `PartUnknown`, `SupersessionOfItself`, `SupersessionCircular` if requests would go in circles
 */
export async function addSupersession(
  ctx: Context,
  {
    number,
    successor,
    factor = '1',
    bothWays = false,
    validFrom = ctx.clock.today()
  }: { number: string; successor: string; factor?: string; bothWays?: boolean; validFrom?: string }
): Promise<SupersessionView> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  if (number === successor)
    throw new Refusal('SupersessionOfItself', 422, `part ${number} cannot replace itself; name another successor`)
  return inTransaction(ctx, async (ctx) => {
    const old = (await partsByNumber(ctx.em, [number])).get(number)
    if (old === undefined) throw notFound('part', number)
    const next = (await requireParts(ctx.em, [successor])).get(successor)!
    await run(ctx.em, LOCK, [])
    const [wayBack] = await run(ctx.em, WAY, [next.id, old.id, validFrom])
    // A detour that is there already may be shortened one way; both ways, the new step would lead back along it.
    const [wayThere] = await run(ctx.em, WAY, [old.id, next.id, validFrom])
    const circle = wayBack ?? (bothWays || wayThere?.path.length === 2 ? wayThere : undefined)
    if (circle !== undefined) {
      throw new Refusal(
        'SupersessionCircular',
        422,
        `part ${number} and part ${successor} are linked already (${circle.path.join(' → ')}); end that supersession first`,
        { extra: { path: circle.path } }
      )
    }
    await run(ctx.em, INSERT, [old.id, next.id, factor, bothWays, validFrom])
    await recordAudit(ctx, 'supersession.added', `part:${number}`, { successor, factor, bothWays, validFrom })
    return readSupersession(ctx.em, { number, successor, validFrom })
  })
}
