import { requireWriting, type Context } from '../identity/actor.ts'
import { instant } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockTools } from '../tools/custody.ts'
import { holdForLoss, lockLoss, readToolLoss, requireReported, type Loss } from './tool-loss.ts'
import type { LossView, WithdrawLoss } from './tool-losses.schemas.ts'

const WITHDRAW = statement<never>(`
update tool_loss set state = 'withdrawn', reason = $3, ended_at = $4, version = version + 1 where warehouse_id = $1 and id = $2`)

// A signature that an assessment voided was given all the same. A technician whose damaged tool was taken in is free of it by the report: what
// would be left is a tool on the shelf that nobody answers for.
const TAKEN_UP = statement<{ event: string; by: string; at: string }>(`
select e.event, person.username as by, e.occurred_at as at
  from document_event e join person on person.id = e.person_id
 where e.warehouse_id = $1 and e.document_id = $2 and (e.event in ('loss-assessed', 'signed') or e.event = 'tool-taken-in' and $3::boolean)
 order by e.id limit 1`)

/**
 * Takes a report back, by who wrote it and while nobody has assessed or signed it: its tool is free again and lies where it lay, or on the
 * shelf if it was taken in. From then on, and for the technician once the tool was taken in, it is for the signers to refuse it.
 * @throws Refusal 403 `NotYourReport`, `ReadOnlyKey`, 404, 409 `LossNotOpen`, `LossTakenUp`, 412
 */
export function withdrawToolLoss(
  ctx: Context,
  { number, reason, ifMatch }: WithdrawLoss & { number: string; ifMatch?: string | undefined }
): Promise<LossView> {
  return inTransaction(ctx, async (inner) => {
    const { loss, warehouse } = await lockLoss(inner, number, ifMatch)
    requireWriting(inner)
    requireReporter(inner, loss)
    requireReported(loss)
    await requireNotTakenUp(inner, warehouse.id, loss)
    await lockTools(inner, [loss.toolId])
    await run(inner, WITHDRAW, [warehouse.id, loss.id, reason, inner.clock.now().toString()])
    await holdForLoss(inner, loss.toolId, null)
    await noteEvent(inner, { warehouseId: warehouse.id, id: loss.id }, 'loss-withdrawn', {
      number,
      serial: loss.serial,
      reason
    })
    return readToolLoss(inner, { number })
  })
}

/** @throws Refusal 403 `NotYourReport` */
function requireReporter({ actor }: Context, { number, reportedById, reportedBy }: Loss): void {
  if (reportedById === actor.personId) return
  throw new Refusal(
    'NotYourReport',
    403,
    `${number} was reported by ${reportedBy}, who alone takes it back; what is not so the department head or the finance supervisor refuses, with the reason`
  )
}

/** @throws Refusal 409 `LossTakenUp` */
async function requireNotTakenUp(
  ctx: Context,
  warehouseId: number,
  { number, id, technicianId, reportedById }: Loss
): Promise<void> {
  const [first] = await run(ctx, TAKEN_UP, [warehouseId, id, technicianId === reportedById])
  if (first === undefined) return
  const deed = first.event === 'signed' ? 'signed' : first.event === 'tool-taken-in' ? 'taken in' : 'assessed'
  const at = instant(first.at)
  throw new Refusal(
    'LossTakenUp',
    409,
    `${deed === 'taken in' ? `the tool of ${number}` : number} was ${deed} by ${first.by} at ${at}; from then on it is not taken back, a signer refuses it with the reason`,
    { extra: { [deed === 'taken in' ? 'takenIn' : deed]: { by: first.by, at } } }
  )
}
