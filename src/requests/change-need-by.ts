import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { REQUESTING_DUTIES, requireNotPast } from './create-request.ts'
import { lockRequest, noteOnRequest } from './locked-request.ts'
import { findRequest, viewOfRequest } from './requests.queries.ts'
import type { ChangeNeedBy, RequestView } from './requests.schemas.ts'

const CHANGE = statement<{ before: string }>(`
update request r set need_by = $3::date from request old
 where r.warehouse_id = $1 and r.id = $2 and old.warehouse_id = r.warehouse_id and old.id = r.id
returning old.need_by::text as before`)

/**
 * Says that a request is needed on another day. What it has stays as it is; the keeper's worklist goes by the new day.
 * @throws Refusal 409 `RequestNotOpen`, 422 `NeedByPast`, 403, 404, 412
 */
export async function changeNeedBy(
  ctx: Context,
  { number, needBy, reason, ifMatch }: ChangeNeedBy & { number: string; ifMatch?: string | undefined }
): Promise<RequestView> {
  const { id, outlet } = await findRequest(ctx, number)
  requireDuty(ctx, REQUESTING_DUTIES, outlet)
  requireNotPast(ctx, needBy)
  return inTransaction(ctx, async (inner) => {
    const request = await lockRequest(inner, outlet.id, id)
    requireMatch(ifMatch, request.version)
    if (request.state !== 'open')
      throw new Refusal('RequestNotOpen', 409, `request ${number} is ${request.state}; nothing of it is still to come`)
    const [changed] = await run(inner, CHANGE, [outlet.id, id, needBy])
    await noteOnRequest(inner, { outletId: outlet.id, requestId: id }, [
      { event: 'need-by-changed', details: { from: changed?.before, to: needBy, reason } }
    ])
    return viewOfRequest(inner, outlet, id)
  })
}
