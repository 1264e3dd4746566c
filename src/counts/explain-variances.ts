import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { requireLikelyDay } from '../slips/draft-slip.ts'
import {
  decideLines,
  EACH_LINE_OF,
  lineResults,
  NOTED,
  requireDifference,
  requireSettled,
  type LineFacts
} from './count-lines.ts'
import { lockCount, requireCounting } from './count.ts'
import type { LineResults, VarianceCause, VarianceExplanation } from './counts.schemas.ts'

/**
 * What is a matter of the count or of a slip still to be posted, and not of the goods: adjusting the ledger for it would correct
 * the same error twice. Where only the card is off they are causes like any other, because that adjusts nothing.
 */
const NOT_TO_BE_ADJUSTED: Partial<Record<VarianceCause, string>> = {
  'unposted-slip': 'post the slip, then have the line counted again by somebody else',
  miscount: 'have the line counted again by somebody else',
  'wrong-unit': 'have the line counted again in stock units by somebody else'
}

// A new explanation has to be verified anew. Found goods that no lot knows are worth what their paper says. A line that is
// counted again is blind again; its cause and evidence stay in the history.
const EXPLAIN = statement<{ version: number }>(`
with given as (
  select * from jsonb_to_recordset($7::jsonb) as e (line int, cause text, cause_note text, evidence text, unit_cost numeric, received_on date, cost_document text, objection text)
), explained as (
  update count_line l
     set cause = g.cause, cause_note = g.cause_note, evidence = g.evidence, explained_by = $4, explained_for = $8, explainers = l.explainers || array_remove(array[$4::int, $8::int], null), explained_at = case when g.objection is null then $3::timestamptz end,
         unit_cost = g.unit_cost, received_on = g.received_on, cost_document = g.cost_document,
         variance_value = case when g.objection is not null then null when g.unit_cost is not null then round(g.unit_cost * (l.counted - l.expected), 2) else l.variance_value end,
         state = case when g.objection is null then 'settled' else 'recount-due' end, objection = coalesce(g.objection, l.objection),
         counted = case when g.objection is null then l.counted end, card = case when g.objection is null then l.card end,
         expected = case when g.objection is null then l.expected end, lots = case when g.objection is null then l.lots end,
         verified_by = null, verified_at = null, verification_note = null${EACH_LINE_OF('given')}
  returning 1
), ${NOTED('explained')}
select version from versioned`)

/**
 * Says why ledger, card and goods do not agree, and what shows it (R-CNT-4); line by line, one refused line stops no other.
 * A cause that the ledger is not adjusted for sends the line back to be counted again by somebody else.
 * @throws Refusal `CountNotOpen`, 403, 404, 412
 */
export function explainVariances(
  ctx: Context,
  { number, lines, ifMatch }: { number: string; lines: readonly VarianceExplanation[]; ifMatch?: string | undefined }
): Promise<LineResults> {
  return inTransaction(ctx, async (inner) => {
    const duties = ['keeper', 'department-head', 'operations-supervisor'] as const
    const { count, warehouse } = await lockCount(inner, number, {
      mayWrite: (place) => requireDuty(inner, duties, place),
      ifMatch
    })
    requireCounting(count)
    const { onBehalfOf } = requireDuty(inner, duties, warehouse)
    const { accepted, results } = await decideLines(
      inner,
      { count, warehouseId: warehouse.id, asked: lines },
      (line, given) => requireExplanation(line, given, inner.clock.today())
    )
    const countedAgain = accepted.filter(({ asked, facts }) => againBecause(asked, facts) !== null)
    const [explained] =
      accepted.length === 0
        ? []
        : await run(inner, EXPLAIN, [
            warehouse.id,
            count.id,
            inner.clock.now().toString(),
            inner.actor.personId,
            'explained',
            JSON.stringify({
              lines: accepted.length,
              ...(countedAgain.length > 0 && {
                countedAgain: countedAgain.map(({ asked: { line, cause, causeNote, evidence } }) => ({
                  line,
                  cause,
                  causeNote,
                  evidence
                }))
              })
            }),
            JSON.stringify(
              accepted.map(({ asked, facts }) => {
                const objection = againBecause(asked, facts)
                if (objection !== null) return { line: asked.line, objection }
                return {
                  line: asked.line,
                  cause: asked.cause,
                  cause_note: asked.causeNote,
                  evidence: asked.evidence,
                  unit_cost: asked.unitCost,
                  received_on: asked.receivedOn,
                  cost_document: asked.costDocument
                }
              })
            ),
            onBehalfOf
          ])
    const advice = new Map(accepted.map(({ asked, facts }) => [asked.line, againBecause(asked, facts)]))
    return lineResults(
      number,
      explained?.version ?? count.version,
      results.map((result) => {
        const again = result.problem === null ? advice.get(result.line) : undefined
        return again ? { ...result, advice: again } : result
      })
    )
  })
}

/** Why a line is counted again instead of being adjusted; null for a cause that holds. */
function againBecause({ cause }: VarianceExplanation, { isAdjusted }: LineFacts): string | null {
  const instead = NOT_TO_BE_ADJUSTED[cause]
  return instead === undefined || !isAdjusted ? null : `${cause} is nothing to adjust the ledger for; ${instead}`
}

function requireExplanation(line: LineFacts, given: VarianceExplanation, today: string): void {
  requireSettled(line, 'it is explained when it is settled')
  requireDifference(line)
  if (againBecause(given, line) !== null) return
  const where = `line ${line.line} (${line.part})`
  if (given.cause === 'other' && given.causeNote === undefined)
    throw new Refusal('CauseNoteMissing', 422, `${where} has another cause than those of the list; say it in causeNote`)
  const isGain = line.variance !== null && line.variance !== '0' && !line.variance.startsWith('-')
  // Goods of a balance in which there never was any: nothing says what they cost and how old they are but their paper.
  const isUnknown = isGain && !line.isByLot && !line.hasLot
  if (isUnknown && line.ownership === 'own' && (given.unitCost === undefined || given.costDocument === undefined)) {
    throw new Refusal(
      'CostUndocumented',
      422,
      `${where} are found goods that no lot knows; say what one costs (unitCost) and by which paper (costDocument)`
    )
  }
  if (given.unitCost !== undefined && (!isUnknown || line.ownership === 'consigned')) {
    throw new Refusal(
      'CostNotAsked',
      422,
      line.ownership === 'consigned'
        ? `${where} is consigned and carries no cost; leave unitCost away`
        : `${where} is valued at the lot it concerns; leave unitCost away`
    )
  }
  if (given.unitCost !== undefined && line.variance !== null && isTooMuch(given.unitCost, line.variance)) {
    throw new Refusal(
      'NumberTooLarge',
      422,
      `${where} would be worth more than can be kept; look at unitCost again, or have it counted again`
    )
  }
  if (given.receivedOn !== undefined && !isUnknown) {
    throw new Refusal('AgeNotAsked', 422, `${where} keeps the age of the lot it concerns; leave receivedOn away`)
  }
  if (given.receivedOn !== undefined) requireLikelyDay(given.receivedOn, '/receivedOn')
  if (given.receivedOn !== undefined && given.receivedOn > today)
    throw new Refusal('FutureDay', 422, `${where} cannot have been received on ${given.receivedOn}; today is ${today}`)
}

/** Amounts have sixteen digits before the point. */
function isTooMuch(unitCost: string, quantity: string): boolean {
  const [whole = '0', places = ''] = unitCost.split('.')
  return BigInt(whole + places.padEnd(4, '0')) * thousandths(quantity) >= 10n ** 23n
}
