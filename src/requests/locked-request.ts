import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { instant } from '../platform/clock.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { Urgency } from './backorder.ts'

/** A request that is held until the end of the transaction: whoever changes what a request has holds it first. */
export interface LockedRequest {
  id: string
  number: string
  outletId: number
  outlet: string
  centreId: number
  centre: string
  /** Of the centre. */
  regionId: number
  /** Asked third; null where the centre is the head office. */
  headOfficeId: number | null
  urgency: Urgency
  carriage: 'road' | 'express' | 'air' | null
  acceptsPartial: boolean
  acceptsSubstitutes: boolean
  repairOrder: string | null
  state: 'open' | 'done' | 'cancelled'
  version: number
  requestedById: number
  requestedAt: string
}

const LOCK = statement<LockedRequest>(`
select r.id::text as id, r.number, r.warehouse_id as "outletId", outlet.code as outlet, r.centre_id as "centreId", centre.code as centre, centre.region_id as "regionId",
       case when centre.kind <> 'head-office' then
         (select w.id from warehouse w where w.kind = 'head-office' and (w.closed_on is null or w.closed_on > $3::date) order by w.id limit 1) end as "headOfficeId",
       r.urgency, r.carriage, r.accepts_partial as "acceptsPartial", r.accepts_substitutes as "acceptsSubstitutes", r.repair_order as "repairOrder", r.state, r.version,
       r.requested_by as "requestedById", r.requested_at as "requestedAt"
  from request r
  join warehouse outlet on outlet.id = r.warehouse_id
  join warehouse centre on centre.id = r.centre_id
 where r.warehouse_id = $1 and r.id = $2
   for no key update of r`)

/** Holds a request; two that change it come one after the other. */
export async function lockRequest(ctx: Context, outletId: number, requestId: string): Promise<LockedRequest> {
  const [request] = await run(ctx, LOCK, [outletId, requestId, ctx.clock.today()])
  if (request === undefined) throw new Error(`there is no request ${requestId} of warehouse ${outletId}`)
  return { ...request, requestedAt: instant(request.requestedAt) }
}

const CODES = statement<{ id: number; code: string }>(`select id, code from warehouse where id = any ($1::int[])`)

/** Warehouses by id. */
export async function warehousesById(ctx: Context, ids: readonly number[]): Promise<Map<number, Warehouse>> {
  const found = new Map<number, Warehouse>()
  for (const { id, code } of await run(ctx, CODES, [[...new Set(ids)]])) found.set(id, await warehouseByCode(ctx, code))
  return found
}

/** One thing that happened to a request. */
export interface RequestEvent {
  event: string
  details?: Record<string, unknown>
}

const NOTE = statement<never>(`
with changed as (
  update request set version = version + 1 where warehouse_id = $1 and id = $2
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, $2, $3, $4, e.event, nullif(e.details, '{}') from unnest($5::text[], $6::jsonb[]) with ordinality as e (event, details, place) order by place`)

/** Writes the history of a request that is held, which is published with it: so the requester is told. */
export async function noteOnRequest(
  ctx: Context,
  { outletId, requestId }: { outletId: number; requestId: string },
  events: readonly RequestEvent[]
): Promise<void> {
  if (events.length === 0) return
  await run(ctx, NOTE, [
    outletId,
    requestId,
    ctx.clock.now().toString(),
    ctx.actor.personId,
    events.map(({ event }) => event),
    events.map(({ details }) => JSON.stringify(details ?? {}))
  ])
}

const SETTLE_STATE = statement<{ state: string }>(`
update request r set state = p.state, ended_at = case when p.state = 'open' then null else $3::timestamptz end, version = version + 1
  from (select case when bool_or(quantity > cancelled + issued) then 'open' when sum(issued) > 0 then 'done' else 'cancelled' end as state
          from request_line_position where warehouse_id = $1 and request_id = $2) p
 where r.warehouse_id = $1 and r.id = $2 and r.state <> p.state
returning r.state`)
const OPEN_VALUE = statement<{ value: string }>(`
select coalesce(sum(round((quantity - cancelled - issued) * unit_price, 2)), 0)::text as value
  from request_line_position where warehouse_id = $1 and request_id = $2 and quantity > cancelled + issued
   and not exists (select 1 from deposit_account d join request r on r.warehouse_id = d.warehouse_id and r.id = $2
                    where d.warehouse_id = $1 and d.opened_at > r.requested_at)`)

/** Keeps the state of a request that is held: open while anything of it is, then done, or cancelled if nothing was issued. */
export async function settleState(
  ctx: Context,
  { outletId, id }: Pick<LockedRequest, 'outletId' | 'id'>
): Promise<void> {
  const [settled] = await run(ctx, SETTLE_STATE, [outletId, id, ctx.clock.now().toString()])
  if (settled !== undefined)
    await noteOnRequest(ctx, { outletId, requestId: id }, [
      { event: settled.state === 'open' ? 'reopened' : settled.state === 'done' ? 'done' : 'ended-without-goods' }
    ])
}

/** What the open lines of a request are worth: what is held of the deposit for it. Of one that was opened later nothing is. */
export async function openValue(ctx: Context, outletId: number, requestId: string): Promise<string> {
  const [open] = await run(ctx, OPEN_VALUE, [outletId, requestId])
  return open?.value ?? '0'
}
