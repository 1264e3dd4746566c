import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { findBackorder, viewOfBackorder, type FoundBackorder } from './backorders.queries.ts'
import type { AnswerBody, BackorderState, BackorderView } from './backorders.schemas.ts'
import { lockRequest, type LockedRequest } from './locked-request.ts'

/** Who says for a centre when something comes. */
export const ANSWERING_DUTIES: readonly Duty[] = ['stock-controller', 'purchaser', 'operations-supervisor', 'keeper']

export interface LockedBackorder {
  id: string
  number: string
  line: number
  state: BackorderState
  version: number
  waiting: string
  endedBecause: string | null
}

const LOCK = statement<LockedBackorder>(`
select id::text as id, number, line_no as line, state, version, trim_scale(waiting)::text as waiting, ended_because as "endedBecause"
  from backorder where warehouse_id = $1 and id = $2 for no key update`)

/**
 * Takes a backorder, after its request, for the rest of the transaction.
 * @throws Refusal 412 `VersionStale`, 409 `BackorderEnded`
 */
export async function lockBackorder(
  ctx: Context,
  { id, requestId, outlet }: FoundBackorder,
  ifMatch: string | undefined
): Promise<{ backorder: LockedBackorder; request: LockedRequest }> {
  const request = await lockRequest(ctx, outlet.id, requestId)
  const [backorder] = await run(ctx, LOCK, [outlet.id, id])
  if (backorder === undefined) throw new Error(`there is no backorder ${id} of ${outlet.code}`)
  requireMatch(ifMatch, backorder.version)
  if (backorder.endedBecause !== null)
    throw new Refusal(
      'BackorderEnded',
      409,
      backorder.state === 'fulfilled'
        ? `backorder ${backorder.number} was fulfilled: its goods were issued`
        : `backorder ${backorder.number} was cancelled: ${backorder.endedBecause}`,
      { extra: { state: backorder.state, because: backorder.endedBecause } }
    )
  return { backorder, request }
}

// The request is told as well: whoever looks at it sees what was said.
const ANSWER = statement<never>(`
with before as (
  select promised_on, promise_basis from backorder where warehouse_id = $1 and id = $2
), answered as (
  update backorder b set answered_at = coalesce(answered_at, $3), answered_by = coalesce(answered_by, $4), version = version + 1,
         promised_on = coalesce($5::date, promised_on), promise_basis = case when $5::date is null then promise_basis else 'person' end,
         promise_document = case when $5::date is null then promise_document end
   where b.warehouse_id = $1 and b.id = $2
  returning b.id, b.number, b.request_id, b.line_no
), changed as (
  update request r set version = r.version + 1 from answered a where r.warehouse_id = $1 and r.id = a.request_id
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, d.id, $3, $4, d.event, jsonb_strip_nulls(d.details)
  from answered a cross join before
 cross join lateral (values
   (1, a.id, 'answered', jsonb_build_object('text', $6::text)),
   (2, a.id, 'promised', jsonb_build_object('promisedOn', $5::date, 'was', before.promised_on, 'wasBasis', before.promise_basis, 'because', $6::text)),
   (3, a.request_id, 'backorder-answered', jsonb_build_object('line', a.line_no, 'backorder', a.number, 'text', $6::text, 'promisedOn', $5::date))
 ) as d (place, id, event, details)
 where d.event <> 'promised' or $5::date is not null
 order by d.place`)

/**
 * Answers whoever waits (R-REQ-3), perhaps with another day than was promised; what was promised before stays in the history. Later
 * answers may follow. By the stock controller, a purchaser, the operations supervisor or the keeper of the centre.
 * @throws Refusal 403, 404, 409 `BackorderEnded`, 412, 422 `PromisePast`
 */
export async function answerBackorder(
  ctx: Context,
  { number, promisedOn, text, ifMatch }: AnswerBody & { number: string; ifMatch?: string | undefined }
): Promise<BackorderView> {
  const found = await findBackorder(ctx, number)
  requireDuty(ctx, ANSWERING_DUTIES, found.centre)
  const today = ctx.clock.today()
  if (promisedOn !== undefined && promisedOn < today)
    throw new Refusal('PromisePast', 422, `${promisedOn} is over; promise ${today} or a later day`, {
      errors: [{ pointer: '/promisedOn', detail: 'lies in the past', sent: promisedOn, accepted: `${today} or later` }]
    })
  return inTransaction(ctx, async (inner) => {
    await lockBackorder(inner, found, ifMatch)
    await run(inner, ANSWER, [
      found.outlet.id,
      found.id,
      inner.clock.now().toString(),
      inner.actor.personId,
      promisedOn ?? null,
      text
    ])
    return viewOfBackorder(inner, found)
  })
}
