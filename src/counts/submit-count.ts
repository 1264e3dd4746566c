import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { dutiesFor } from '../slips/create-slip.ts'
import { countHash, DIFFERS, loadCount, lockCount, requireCounting, TO_VERIFY, viewOfCount } from './count.ts'
import type { CountView } from './counts.schemas.ts'

const isMissing = (where: string) => `
  (select json_agg(json_build_object('line', line_no, 'part', part.number, 'state', m.state) order by line_no)
     from (select l.* from count_line l where l.warehouse_id = $1 and l.count_id = $2 and ${where} order by l.line_no limit ${NAMED_OFFENDERS}) m
     join part on part.id = m.part_id)`

interface Offender {
  line: number
  part: string
  state: string
}
// Goods that were looked for and not found are no stock that was counted.
const MISSING = statement<{
  duties: Duty[]
  unsettled: Offender[] | null
  unexplained: Offender[] | null
  unverified: Offender[] | null
  isCounted: boolean
}>(`
select ${dutiesFor(`'count'`)} as duties,
       ${isMissing(`l.state in ('open', 'recount-due')`)} as unsettled,
       ${isMissing(`l.state = 'settled' and ${DIFFERS} and l.cause is null`)} as unexplained,
       ${isMissing(`l.state = 'settled' and ${TO_VERIFY} and l.verified_at is null`)} as unverified,
       (select count(*) = 0 or count(*) filter (where state = 'settled') > 0
          from count_line where warehouse_id = $1 and count_id = $2 and not (state = 'settled' and snapshot is null and counted = 0)) as "isCounted"`)

const SUBMIT = statement<{ version: number }>(`
with submitted as (
  update stock_count set version = version + 1, state = 'awaiting-signatures', submitted_at = $3, submitted_by = $4, duties = $5, content_hash = $6, refusal = null
   where warehouse_id = $1 and id = $2
  returning version
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  select $1, $2, $3, $4, 'submitted', jsonb_build_object('contentHash', $6::text) from submitted
)
select version from submitted`)

/**
 * Hands a count in for its signatures: every line is settled or set aside, every difference is explained and verified, and what was disputed is verified
 * (R-CNT-4). From here on its lines stand still.
 * @throws Refusal `LinesNotSettled`, `VariancesNotExplained`, `VariancesNotVerified`, `NothingCounted`, `CountNotOpen`, 403, 404, 412
 */
export function submitCount(
  ctx: Context,
  { number, ifMatch }: { number: string; ifMatch?: string | undefined }
): Promise<CountView> {
  return inTransaction(ctx, async (inner) => {
    const { count: locked, warehouse } = await lockCount(inner, number, {
      mayWrite: (place) => requireDuty(inner, 'keeper', place),
      ifMatch
    })
    requireCounting(locked)
    const { count } = await loadCount(inner, number)
    const [missing] = await run(inner, MISSING, [warehouse.id, count.id])
    if (missing === undefined) throw new Error('a count has lines or none')
    const { lines, settled, setAside, differences, explained, toVerify } = count.progress
    if (missing.unsettled !== null)
      throw unready('LinesNotSettled', lines - settled - setAside, missing.unsettled, {
        are: 'not settled',
        instead: 'count them, also what is zero, or have the finance supervisor set them aside'
      })
    if (missing.unexplained !== null)
      throw unready('VariancesNotExplained', differences - explained, missing.unexplained, {
        are: 'not explained',
        instead: 'say the cause and the evidence of each difference'
      })
    if (missing.unverified !== null)
      throw unready('VariancesNotVerified', toVerify, missing.unverified, {
        are: 'not verified',
        instead: 'the finance supervisor verifies each difference, and each line that was disputed'
      })
    if (!missing.isCounted) {
      throw new Refusal(
        'NothingCounted',
        409,
        `all stock of ${number} is set aside; count at least one, or cancel the count`
      )
    }
    const { duties } = missing
    const hash = await countHash(inner, { ...count, duties }, warehouse)
    await run(inner, SUBMIT, [warehouse.id, count.id, inner.clock.now().toString(), inner.actor.personId, duties, hash])
    return viewOfCount(inner, number)
  })
}

const unready = (
  code: string,
  total: number,
  offenders: Offender[],
  { are, instead }: { are: string; instead: string }
): Refusal =>
  new Refusal(
    code,
    409,
    `${total} ${total === 1 ? 'line is' : 'lines are'} ${are}: ${offenders
      .map(
        ({ line, part, state }) => `line ${line} (${part})${state === 'recount-due' ? ' is to be counted again' : ''}`
      )
      .join('; ')}${total > offenders.length ? ` and ${total - offenders.length} more` : ''}; ${instead}`,
    { extra: { total, lines: offenders } }
  )
