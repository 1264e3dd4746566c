// What happens to the tool of a report besides its signatures: a damaged one is handed in, a repaired one is back on the shelf, a lost one is found.
import { covers, grantsToday, requireDuty, type Context } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { lockTools, moveTools, type CustodyKind, type HeldTool } from '../tools/custody.ts'
import { leaveKits } from '../tools/kits.ts'
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
    requireTaker(inner, loss, warehouse)
    await work({ inner, loss, warehouse, tool: await lockToolOf(inner, loss) })
    return readToolLoss(inner, { number })
  })

/** @throws Refusal 403, 404, 422 `OwnLoss` */
function requireTaker(ctx: Context, { number, technicianId, technician }: Loss, warehouse: Warehouse): void {
  const { onBehalfOf } = requireDuty(ctx, 'keeper', warehouse, (grant) => grant.onBehalfOf !== technicianId)
  requirePerson(ctx)
  if (technicianId !== null && (technicianId === ctx.actor.personId || technicianId === onBehalfOf))
    throw new Refusal(
      'OwnLoss',
      422,
      `${number} is about a tool that ${technician ?? ''} had in custody, who takes nothing in for themselves; another keeper has the tool in hand and says so`
    )
}

async function lockToolOf(ctx: Context, { toolId, serial }: Loss): Promise<HeldTool> {
  const [tool] = await lockTools(ctx, [toolId])
  if (tool === undefined) throw new Error(`tool ${serial} is never deleted`)
  return tool
}

const SETTLE = statement<never>(`
update tool_loss
   set state = $3, ended_at = case when $3 in ('ended', 'found') then $4::timestamptz else ended_at end, found_in_id = coalesce($5::int, found_in_id),
       version = version + 1
 where warehouse_id = $1 and id = $2`)

async function settle(
  { inner, loss, warehouse, tool }: Settled,
  {
    state,
    moves,
    event,
    note,
    into
  }: {
    state: LossState
    moves: CustodyKind | null
    event: string
    note: string | undefined
    /** The warehouse whose shelf it goes on, if not its own. */
    into?: Warehouse
  }
): Promise<void> {
  await run(inner, SETTLE, [warehouse.id, loss.id, state, inner.clock.now().toString(), into?.id ?? null])
  const to = { place: 'shelf', ...(into !== undefined && { warehouseId: into.id }) } as const
  if (moves !== null) await moveTools(inner, { tools: [tool], to, kind: moves, documentId: loss.id })
  await noteEvent(inner, { warehouseId: warehouse.id, id: loss.id }, event, {
    number: loss.number,
    serial: loss.serial,
    ...(into !== undefined && { warehouse: into.code }),
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

// Whoever closes or reopens it waits for this one.
const CLOSED = statement<{ closedOn: string | null }>(
  `select closed_on::text as "closedOn" from warehouse where id = $1 for key share`
)
const OPEN_NEARBY = statement<{ id: number; code: string; regionId: number }>(`
select id, code, region_id as "regionId" from warehouse where region_id = $1 and (closed_on is null or closed_on > $2::date) order by code`)

const isClosed = (closedOn: string | null, today: string): boolean => closedOn !== null && closedOn <= today

/** Warehouses the actor could name instead. */
const NAMED_NEARBY = 5

/**
 * Says that a lost tool was found: it is back on the shelf of its warehouse, and what was compensated is taken back by a second line on today; the
 * first one stays. If its warehouse is closed, whoever found it names an open one of which they are keeper: nothing leaves a shelf of a closed
 * warehouse, and its months are not closed any more. The tool and the second line are that warehouse’s then. So that it comes back at all, a
 * keeper of the same region needs no other right to the report.
 * @throws Refusal 403, 404, 409 `NotLost`, `WarehouseClosed`, `WarehouseOpen`, `PeriodClosed`, 412, 422 `OwnLoss`
 */
export const reportToolFound = (
  ctx: Context,
  { warehouse, ...settling }: Settling & { warehouse?: string | undefined }
): Promise<LossView> =>
  warehouse === undefined || settling.number.startsWith(`${warehouse}-TLR-`)
    ? byKeeper(ctx, settling, async (settled) => {
        requireLost(settled)
        await requireStillOpen(settled.inner, settled.warehouse)
        await takeBack(settled, settling.note)
      })
    : foundElsewhere(ctx, settling, warehouse)

const foundElsewhere = (ctx: Context, { number, note, ifMatch }: Settling, code: string): Promise<LossView> =>
  inTransaction(ctx, async (inner) => {
    const into = await warehouseByCode(inner, code)
    requireDuty(inner, 'keeper', into)
    const { loss, warehouse } = await lockLoss(
      inner,
      number,
      ifMatch,
      ({ outcome }, { regionId, closedOn }) =>
        regionId === into.regionId && outcome === 'lost' && isClosed(closedOn, inner.clock.today())
    )
    requireTaker(inner, loss, into)
    const [{ closedOn } = { closedOn: null }] = await run(inner, CLOSED, [warehouse.id])
    if (!isClosed(closedOn, inner.clock.today()))
      throw new Refusal(
        'WarehouseOpen',
        409,
        `${warehouse.code} is open, and tool ${loss.serial} goes back on its shelf: leave warehouse away; POST /v1/warehouses/${warehouse.code}/tool-transfers moves it on from there`,
        { errors: [{ pointer: '/warehouse', detail: 'is not needed', sent: code, accepted: warehouse.code }] }
      )
    // Before the tool: it leaves the kit of the register that it leaves.
    await leaveKits(inner, [loss.toolId])
    const settled = { inner, loss, warehouse, tool: await lockToolOf(inner, loss) }
    requireLost(settled)
    await holdOpen(inner, [into.id])
    await takeBack(settled, note, into)
    await noteEvent(inner, { warehouseId: into.id, id: loss.toolId }, 'tool-found', {
      serial: loss.serial,
      loss: number,
      from: warehouse.code
    })
    return readToolLoss(inner, { number })
  })

async function takeBack(settled: Settled, note: string | undefined, into?: Warehouse): Promise<void> {
  const { inner, loss, warehouse } = settled
  await bookCompensation(inner, { warehouseId: (into ?? warehouse).id, loss, amount: `-${loss.compensation}` })
  await settle(settled, {
    state: 'found',
    moves: 'found',
    event: 'tool-found',
    note,
    ...(into !== undefined && { into })
  })
}

/** @throws Refusal 409 `NotLost` */
function requireLost({ loss, tool }: Settled): void {
  if (loss.state === 'ended' && loss.outcome === 'lost' && tool.state === 'lost') return
  throw new Refusal(
    'NotLost',
    409,
    loss.state === 'reported'
      ? `${loss.number} is not decided yet; whoever reported it withdraws it, or a signer refuses it, and says that the tool was found`
      : `by ${loss.number} tool ${loss.serial} is not lost: the report is ${loss.state}, the tool is ${tool.state}`
  )
}

/** @throws Refusal 409 `WarehouseClosed`, which names the warehouses to which the tool can go */
async function requireStillOpen(ctx: Context, { id, code, regionId }: Warehouse): Promise<void> {
  const today = ctx.clock.today()
  const [{ closedOn } = { closedOn: null }] = await run(ctx, CLOSED, [id])
  if (!isClosed(closedOn, today)) return
  const keeping = grantsToday(ctx).filter(({ duty }) => duty === 'keeper')
  const nearby = (await run(ctx, OPEN_NEARBY, [regionId, today]))
    .filter((warehouse) => keeping.some((grant) => covers(grant, warehouse)))
    .slice(0, NAMED_NEARBY)
    .map((warehouse) => warehouse.code)
  const whose =
    nearby.length === 0
      ? 'its keeper names that as "warehouse"'
      : `name one of which you are keeper as "warehouse", e.g. ${nearby.join(' or ')}`
  throw new Refusal(
    'WarehouseClosed',
    409,
    `warehouse ${code} is closed from ${closedOn} on, and nothing leaves its shelf any more; the tool goes on the shelf of an open warehouse, best of the same region: ${whose}`,
    {
      errors: [{ pointer: '/warehouse', detail: 'is missing', ...(nearby.length > 0 && { accepted: nearby }) }],
      extra: { warehouse: code, closedOn }
    }
  )
}
