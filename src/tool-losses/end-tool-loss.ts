// What happens to the tool of a report besides its signatures: a damaged one is handed in, a repaired one is back on the shelf, a lost one is found.
import { requireDuty, type Context } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { lockTools, moveTools, type CustodyKind, type HeldTool } from '../tools/custody.ts'
import { holdOpen } from '../tools/register-tools.ts'
import { bookCompensation } from './book-compensation.ts'
import { holdForLoss, lockLoss, readToolLoss, type Loss } from './tool-loss.ts'
import type { LossState, LossView } from './tool-losses.schemas.ts'

interface Settling {
  number: string
  note?: string | undefined
  ifMatch?: string | undefined
}

interface Settled {
  inner: Context
  loss: Loss
  warehouse: Warehouse
  tool: HeldTool
}

/**
 * Does `work` with the report and its tool held, as a keeper of its warehouse in person, and answers the report. Each of these lets somebody go
 * free of a tool or of what it costs, so nobody does it for themselves, as nobody takes their own return.
 */
const byKeeper = (
  ctx: Context,
  { number, ifMatch }: Settling,
  work: (settled: Settled) => Promise<void>
): Promise<LossView> =>
  inTransaction(ctx, async (inner) => {
    const { loss, warehouse } = await lockLoss(inner, number, ifMatch)
    const { technicianId } = loss
    const { onBehalfOf } = requireDuty(inner, 'keeper', warehouse, (grant) => grant.onBehalfOf !== technicianId)
    requirePerson(inner)
    if (technicianId !== null && (technicianId === inner.actor.personId || technicianId === onBehalfOf))
      throw new Refusal(
        'OwnLoss',
        422,
        `${number} is about a tool that ${loss.technician ?? ''} had in custody, who takes nothing in for themselves; another keeper has the tool in hand and says so`
      )
    const [tool] = await lockTools(inner, [loss.toolId])
    if (tool === undefined) throw new Error(`tool ${loss.serial} is never deleted`)
    await work({ inner, loss, warehouse, tool })
    return readToolLoss(inner, { number })
  })

const SETTLE = statement<never>(`
update tool_loss set state = $3, ended_at = case when $3 in ('ended', 'found') then $4::timestamptz else ended_at end, version = version + 1
 where warehouse_id = $1 and id = $2`)

async function settle(
  { inner, loss, warehouse, tool }: Settled,
  {
    state,
    moves,
    event,
    note
  }: { state: LossState; moves: CustodyKind | null; event: string; note: string | undefined }
): Promise<void> {
  await run(inner, SETTLE, [warehouse.id, loss.id, state, inner.clock.now().toString()])
  if (moves !== null)
    await moveTools(inner, { tools: [tool], to: { place: 'shelf' }, kind: moves, documentId: loss.id })
  await noteEvent(inner, { warehouseId: warehouse.id, id: loss.id }, event, {
    number: loss.number,
    serial: loss.serial,
    ...(note !== undefined && { note })
  })
}

/**
 * Takes a damaged tool in from its technician: it lies on the shelf, and is held until it is decided and repaired or scrapped. Its report goes on.
 * @throws Refusal 403, 404, 409 `NothingToTakeIn`, 412, 422 `OwnLoss`
 */
export const takeInDamagedTool = (ctx: Context, settling: Settling): Promise<LossView> =>
  byKeeper(ctx, settling, async (settled) => {
    const { loss, tool } = settled
    if (loss.kind !== 'damaged' || tool.lossId !== loss.id || tool.state !== 'custody')
      throw new Refusal(
        'NothingToTakeIn',
        409,
        loss.kind === 'lost' && (loss.state === 'reported' || loss.state === 'ended')
          ? `tool ${loss.serial} was lost; if it turns up before the report is decided, whoever reported it withdraws the report or a signer refuses it, else POST /v1/tool-losses/${loss.number}/found`
          : tool.lossId === loss.id
            ? `tool ${loss.serial} is on the shelf already`
            : `${loss.number} is ${loss.state}; a tool that nothing is reported of is returned by a return document`
      )
    await settle(settled, { state: loss.state, moves: 'returned', event: 'tool-taken-in', note: settling.note })
  })

/**
 * Says that a damaged tool is repaired and on the shelf: it can be issued again.
 * @throws Refusal 403, 404, 409 `NotInRepair`, 412, 422 `OwnLoss`
 */
export const reportToolRepaired = (ctx: Context, settling: Settling): Promise<LossView> =>
  byKeeper(ctx, settling, async (settled) => {
    const { inner, loss, tool } = settled
    if (loss.state !== 'approved')
      throw new Refusal(
        'NotInRepair',
        409,
        loss.state === 'reported'
          ? `${loss.number} is not decided yet; it awaits its signatures`
          : `${loss.number} is ${loss.state}; nothing of it is being repaired`
      )
    await holdForLoss(inner, tool.id, null)
    await settle(settled, { state: 'ended', moves: 'repaired', event: 'tool-repaired', note: settling.note })
  })

/**
 * Says that a lost tool was found: it is back on the shelf of its warehouse, and what was compensated is taken back by a second line on today; the
 * first one stays.
 * @throws Refusal 403, 404, 409 `NotLost`, `WarehouseClosed`, `PeriodClosed`, 412, 422 `OwnLoss`
 */
export const reportToolFound = (ctx: Context, settling: Settling): Promise<LossView> =>
  byKeeper(ctx, settling, async (settled) => {
    const { inner, loss, warehouse, tool } = settled
    if (loss.state !== 'ended' || loss.outcome !== 'lost' || tool.state !== 'lost')
      throw new Refusal(
        'NotLost',
        409,
        loss.state === 'reported'
          ? `${loss.number} is not decided yet; whoever reported it withdraws it, or a signer refuses it, and says that the tool was found`
          : `by ${loss.number} tool ${loss.serial} is not lost: the report is ${loss.state}, the tool is ${tool.state}`
      )
    // It would lie on a shelf that nothing leaves, and be booked in a month that is never closed.
    await holdOpen(inner, [warehouse.id])
    await bookCompensation(inner, { warehouseId: warehouse.id, loss, amount: `-${loss.compensation}` })
    await settle(settled, { state: 'found', moves: 'found', event: 'tool-found', note: settling.note })
  })
