import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { decideLines, EACH_LINE_OF, lineResults, NOTED, requireIndependent, requirePerson } from './count-lines.ts'
import { lockCount, requireCounting } from './count.ts'
import type { LineResults } from './counts.schemas.ts'

const SET_ASIDE = statement<{ version: number }>(`
with given as (
  select * from jsonb_to_recordset($7::jsonb) as e (line int, reason text)
), left_over as (
  update count_line l set state = 'set-aside', set_aside_because = g.reason, set_aside_by = $4${EACH_LINE_OF('given')}
  returning 1
), ${NOTED('left_over')}
select version from versioned`)

/**
 * Sets lines aside that would hold up the others: they are adjusted by nothing, are blind, and are counted again by a count that
 * is opened when this one is approved. Nobody sets aside what they counted or explained.
 * @throws Refusal `CountNotOpen`, `PersonMustSign`, 403, 404, 412
 */
export function setAsideLines(
  ctx: Context,
  {
    number,
    lines,
    ifMatch
  }: { number: string; lines: readonly { line: number; reason: string }[]; ifMatch?: string | undefined }
): Promise<LineResults> {
  return inTransaction(ctx, async (inner) => {
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place) => requireDuty(inner, 'finance-supervisor', place),
      ifMatch
    })
    requirePerson(inner, 'sets lines aside')
    requireCounting(count)
    const { accepted, results } = await decideLines(
      inner,
      { count, warehouseId: warehouse.id, asked: lines },
      (facts) => {
        if (facts.state === 'set-aside')
          throw new Refusal(
            'LineSetAside',
            409,
            `line ${facts.line} (${facts.part}) is set aside already; leave it away`
          )
        requireIndependent(inner, facts, { warehouse, instead: 'sets it aside' })
      }
    )
    const [setAside] =
      accepted.length === 0
        ? []
        : await run(inner, SET_ASIDE, [
            warehouse.id,
            count.id,
            inner.clock.now().toString(),
            inner.actor.personId,
            'set-aside',
            JSON.stringify({ lines: accepted.map(({ asked }) => asked) }),
            JSON.stringify(accepted.map(({ asked }) => asked))
          ])
    return lineResults(number, setAside?.version ?? count.version, results)
  })
}
