import type { Context } from '../identity/actor.ts'
import { requireDutyEverywhere } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, notFound, Refusal } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { requireOpen, warehousesChanged } from './directory.ts'
import { WAREHOUSE_DUTIES } from './tree.ts'
import { warehouseView } from './warehouses.queries.ts'
import type { WarehouseView } from './warehouses.schemas.ts'

// Whoever hangs a child under it, or writes a slip of it, holds a share lock on this row, and is waited for.
const LOCK = statement<{ id: number; code: string; version: number; closedOn: string | null }>(
  `select id, code, version, closed_on::text as "closedOn" from warehouse where code = $1 for update`
)

const OPEN_BELOW = statement<{ code: string }>(
  `select code from warehouse where parent_id = $1 and (closed_on is null or closed_on > $2) order by code`
)

// Balances, slips, movements, requests and transfers belong to rooms above this one; only whether there are any is asked here.
const LEFT = statement<{
  stocked: string[] | null
  unfinished: string[] | null
  requests: string[] | null
  transfers: string[] | null
  loaners: string[] | null
  tools: string[] | null
  lastMovedOn: string | null
  since: string
}>(`
select (select array_agg(part_number) from (select distinct part_number from balance where warehouse_id = $1 and on_hand > 0 order by part_number limit 51) shelf) as stocked,
       (select array_agg(number) from (select number from slip where warehouse_id = $1 and state not in ('posted', 'cancelled') order by number limit 51) paper) as unfinished,
       (select array_agg(number) from (select number from request where state = 'open' and (warehouse_id = $1 or centre_id = $1) order by number limit 51) asked) as requests,
       (select array_agg(number) from (select number from transfer
                                        where state in ('ordered', 'awaiting-dispatch', 'in-transit') and (warehouse_id = $1 or to_warehouse_id = $1 or direct_to_warehouse_id = $1)
                                        order by number limit 51) moving) as transfers,
       (select array_agg(serial) from (select u.serial from loan l join loaner_unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
                                        where l.warehouse_id = $1 and l.state = 'out'
                                        union
                                       select serial from loaner_unit where moving_to is not null and (moving_to = $1 or held_by = $1)
                                        union
                                       select u.serial from loaner_move m join loaner_unit u on u.warehouse_id = m.unit_warehouse_id and u.id = m.unit_id
                                        where m.other_warehouse_id = $1 and u.pending = 'transfer-out' and u.pending_warehouse_id = m.warehouse_id and u.pending_slip_id = m.slip_id
                                        order by serial limit 51) away) as loaners,
       (select array_agg(serial) from (select serial from tool where warehouse_id = $1 and state in ('shelf', 'custody')
                                        union
                                       select t.serial from tool_document d
                                         join tool_document_line l on l.warehouse_id = d.warehouse_id and l.document_id = d.id
                                         join tool t on t.id = l.tool_id
                                        where d.to_warehouse_id = $1 and d.state = 'awaiting-signatures'
                                        order by serial limit 51) kept) as tools,
       (select max(occurred_on)::text from movement where warehouse_id = $1 and occurred_on >= $2) as "lastMovedOn",
       (select (least(warehouse.named_at, min(from_at)) at time zone $3)::date::text from warehouse_name where warehouse_id = $1) as since
  from warehouse where id = $1`)

const CLOSE = statement<never>(`update warehouse set closed_on = $2, version = version + 1 where id = $1`)

/**
 * Closes a warehouse from a day on, which may be ahead; a day ahead may still be changed. Its slips, ledger and names stay
 * readable, and it may be reopened. What hangs below it must be closed or moved first, its stock moved out, its slips, the transfers from
 * and to it, its loaner units that are out or on their way and the requests that it made or answers finished: nothing could be done about them afterwards, and goods would be kept for nobody.
 * @param closedOn first day on which nothing moves there any more
 * @throws Refusal 404, 409 `WarehouseClosed`, `WarehouseHasChildren`, `WarehouseHasStock`, `WarehouseHasSlips`,
 *   `WarehouseHasTransfers`, `WarehouseHasLoaners`, `WarehouseHasRequests`, `WarehouseHasTools`, `WarehouseHasMoved`,
 *   412 `VersionStale`, 422 `ClosingBeforeOpening`
 */
export async function closeWarehouse(
  ctx: Context,
  {
    warehouse: code,
    ifMatch,
    closedOn = ctx.clock.today()
  }: { warehouse: string; ifMatch?: string | undefined; closedOn?: string }
): Promise<WarehouseView> {
  requireDutyEverywhere(ctx, WAREHOUSE_DUTIES)
  return inTransaction(ctx, async (ctx) => {
    const [warehouse] = await run(ctx.em, LOCK, [code])
    if (warehouse === undefined) throw notFound('warehouse', code)
    requireMatch(ifMatch, warehouse.version)
    requireOpen(warehouse, ctx.clock.today())
    const children = (await run(ctx.em, OPEN_BELOW, [warehouse.id, closedOn])).map((child) => child.code)
    if (children.length > 0) {
      throw new Refusal(
        'WarehouseHasChildren',
        409,
        `${someOf(children)} hang below warehouse ${code} and are open on ${closedOn}; close or move them first`,
        { extra: { children: children.slice(0, 50) } }
      )
    }
    await requireNothingLeft(ctx, warehouse, closedOn)
    await run(ctx.em, CLOSE, [warehouse.id, closedOn])
    warehousesChanged(ctx.em, [code])
    await recordAudit(ctx, 'warehouse.closed', `warehouse:${code}`, { closedOn })
    return warehouseView(ctx.em, code)
  })
}

async function requireNothingLeft(
  ctx: Context,
  { id, code }: { id: number; code: string },
  closedOn: string
): Promise<void> {
  const [left] = await run(ctx.em, LEFT, [id, closedOn, ctx.config.BUSINESS_TIME_ZONE])
  if (left === undefined) throw notFound('warehouse', code)
  const { stocked, unfinished, requests, transfers, loaners, tools, lastMovedOn, since } = left
  if (closedOn < since)
    throw new Refusal(
      'ClosingBeforeOpening',
      422,
      `warehouse ${code} is there since ${since}; it is closed on that day or later`,
      { errors: [{ pointer: '/closedOn', detail: 'lies before the warehouse was there', sent: closedOn }] }
    )
  if (lastMovedOn !== null)
    throw new Refusal(
      'WarehouseHasMoved',
      409,
      `something moved in warehouse ${code} on ${lastMovedOn}; the first day on which nothing moves is ${Temporal.PlainDate.from(lastMovedOn).add({ days: 1 }).toString()} at the earliest`,
      { extra: { lastMovedOn } }
    )
  if (unfinished !== null)
    throw new Refusal(
      'WarehouseHasSlips',
      409,
      `slips of warehouse ${code} are unfinished: ${someOf(unfinished)}; post or cancel them first`,
      { extra: { slips: unfinished.slice(0, 50) } }
    )
  if (transfers !== null)
    throw new Refusal(
      'WarehouseHasTransfers',
      409,
      `transfers from or to warehouse ${code} are unfinished: ${someOf(transfers)}; receive, call back or cancel them first`,
      { extra: { transfers: transfers.slice(0, 50) } }
    )
  if (loaners !== null)
    throw new Refusal(
      'WarehouseHasLoaners',
      409,
      `loaner units of warehouse ${code} are lent, or on their way from it or to it: ${someOf(loaners)}; take them back or in first: GET /v1/loaners?warehouse=${code}`,
      { extra: { serials: loaners.slice(0, 50) } }
    )
  if (requests !== null)
    throw new Refusal(
      'WarehouseHasRequests',
      409,
      `requests that warehouse ${code} made or answers are open: ${someOf(requests)}; issue what they ask for, or cancel them first`,
      { extra: { requests: requests.slice(0, 50) } }
    )
  if (tools !== null)
    throw new Refusal(
      'WarehouseHasTools',
      409,
      `tools stand in the register of warehouse ${code}, or are about to: ${someOf(tools)}; take them back and transfer them to another warehouse first`,
      { extra: { tools: tools.slice(0, 50) } }
    )
  if (stocked !== null)
    throw new Refusal(
      'WarehouseHasStock',
      409,
      `warehouse ${code} has stock of ${someOf(stocked)}; transfer it out or scrap it first`,
      { extra: { parts: stocked.slice(0, 50) } }
    )
}

/** The first few; the last of 51 only says that there are more. */
const someOf = (all: string[]): string => {
  const more = all.length - NAMED_OFFENDERS
  return `${all.slice(0, NAMED_OFFENDERS).join(', ')}${more > 0 ? ` and ${all.length > 50 ? 'many' : more} more` : ''}`
}
