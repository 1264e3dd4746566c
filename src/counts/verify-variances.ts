import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import {
  decideLines,
  EACH_LINE_OF,
  lineResults,
  NOTED,
  requireDifference,
  requireIndependent,
  requirePerson,
  requireSettled
} from './count-lines.ts'
import { lockCount, requireCounting } from './count.ts'
import type { LineResults, VarianceVerification } from './counts.schemas.ts'

// What is not accepted is blind again and is counted by somebody else; what was entered stays among the entries. The objection
// stays with the line, which is verified from now on whatever is found.
const VERIFY = statement<{ version: number }>(`
with given as (
  select * from jsonb_to_recordset($7::jsonb) as e (line int, accepted boolean, comment text)
), verified as (
  update count_line l
     set state = case when g.accepted then 'settled' else 'recount-due' end,
         verified_by = case when g.accepted then $4::int end, verified_at = case when g.accepted then $3::timestamptz end,
         verification_note = case when g.accepted then g.comment end, objection = case when g.accepted then l.objection else g.comment end,
         must_verify = l.must_verify or not g.accepted,
         counted = case when g.accepted then l.counted end, card = case when g.accepted then l.card end, expected = case when g.accepted then l.expected end,
         lots = case when g.accepted then l.lots end, variance_value = case when g.accepted then l.variance_value end,
         cause = case when g.accepted then l.cause end, cause_note = case when g.accepted then l.cause_note end, evidence = case when g.accepted then l.evidence end,
         explained_at = case when g.accepted then l.explained_at end,
         unit_cost = case when g.accepted then l.unit_cost end, received_on = case when g.accepted then l.received_on end, cost_document = case when g.accepted then l.cost_document end${EACH_LINE_OF('given')}
  returning 1
), ${NOTED('verified')}
select version from versioned`)

/**
 * The finance supervisor verifies the cause of each difference (R-CNT-4), line by line, and what was once disputed although it
 * agrees now. What is not accepted is counted again, also where nothing differs. Nobody verifies what they ever counted or explained.
 * @throws Refusal `CountNotOpen`, `PersonMustSign`, 403, 404, 412
 */
export function verifyVariances(
  ctx: Context,
  { number, lines, ifMatch }: { number: string; lines: readonly VarianceVerification[]; ifMatch?: string | undefined }
): Promise<LineResults> {
  return inTransaction(ctx, async (inner) => {
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place) => requireDuty(inner, 'finance-supervisor', place),
      ifMatch
    })
    requirePerson(inner, 'verifies a count')
    requireCounting(count)
    const { accepted, results } = await decideLines(
      inner,
      { count, warehouseId: warehouse.id, asked: lines },
      (line, given) => {
        requireSettled(line, 'it is verified when it is settled')
        if (given.accepted && !line.needsVerification) requireDifference(line)
        requireIndependent(inner, line, { warehouse, instead: 'verifies it' })
        if (given.accepted && line.differs && line.cause === null) {
          throw new Refusal(
            'VarianceNotExplained',
            409,
            `line ${line.line} (${line.part}) has no cause yet; have it explained first, or do not accept it`
          )
        }
        if (!given.accepted && given.comment === undefined)
          throw new Refusal('ReasonMissing', 422, `say why line ${line.line} (${line.part}) is counted again`)
      }
    )
    const [verified] =
      accepted.length === 0
        ? []
        : await run(inner, VERIFY, [
            warehouse.id,
            count.id,
            inner.clock.now().toString(),
            inner.actor.personId,
            'verified',
            JSON.stringify({
              accepted: accepted.filter(({ asked }) => asked.accepted).map(({ asked }) => asked.line),
              countedAgain: accepted
                .filter(({ asked }) => !asked.accepted)
                .map(({ asked: { line, comment } }) => ({ line, comment }))
            }),
            JSON.stringify(accepted.map(({ asked }) => asked))
          ])
    return lineResults(number, verified?.version ?? count.version, results)
  })
}
