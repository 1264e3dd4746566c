// Goods came, or are free again: who waits for them gets them, the oldest first (R-REQ-3).
//
// What it does: goes through the queue of each part, emergency before normal, then by the place in the queue, and plans one line after the
// other, each in a transaction of its own that holds its request. What is found is reserved and the requester is asked; nothing moves.
// A queue is left at the first that gets nothing: what is there stands first to that one, and the search gives none of it to those behind.
// What it does not do: look for parts that nobody waits for, or take anything from anybody.
// A second run finds the same lines waiting and nothing for them. What a lost message would miss is found by the sweep.
import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { warehousesById } from './locked-request.ts'
import { planLines } from './plan-lines.ts'

interface Waiting {
  outletId: number
  requestId: string
  line: number
  centreId: number
  partId: number
}

const QUEUE = statement<Waiting>(`
select b.warehouse_id as "outletId", b.request_id::text as "requestId", b.line_no as line, b.centre_id as "centreId", b.part_id as "partId"
  from backorder b
 where b.waiting > 0 and b.part_id = any ($1::int[])
 order by b.part_id, b.urgency, b.queued_at, b.request_id, b.line_no`)

/** Serves those who wait for these parts. Answers how many lines got something. */
export async function serveBackorders(ctx: Context, { parts }: { parts: readonly number[] }): Promise<number> {
  const queue = await run(ctx, QUEUE, [parts])
  const left = new Set<string>()
  let served = 0
  for (const { outletId, requestId, line, centreId, partId } of queue) {
    const place = `${partId} ${centreId}`
    if (left.has(place)) continue
    const outlet = (await warehousesById(ctx, [outletId])).get(outletId)
    if (outlet === undefined) throw new Error(`outlet ${outletId} is not known`)
    const { allocated } = await afterDeadlock(() =>
      inTransaction(ctx, (inner) => planLines(inner, { outlet, requestId, lines: [line] }))
    )
    if (allocated.length > 0) served++
    else left.add(place)
  }
  return served
}

/** What may be taken for whom today, one step of supersession (R-CAT-4), as SQL rows (old, new). */
const STEPS = `
  select part_id as old, successor_id as new from supersession where valid_from <= $1::date and (valid_to is null or valid_to >= $1::date)
  union
  select successor_id, part_id from supersession where both_ways and valid_from <= $1::date and (valid_to is null or valid_to >= $1::date)`

// Parts that came, and whatever they may stand for, if anybody waits for it.
const WAITED_FOR = statement<{ id: number }>(`
with recursive step as (${STEPS}), wanted (id) as (
  select unnest($2::int[])
  union
  select step.old from wanted join step on step.new = wanted.id
)
select distinct wanted.id from wanted
 where exists (select 1 from backorder b where b.part_id = wanted.id and b.waiting > 0)
 order by 1`)

/** Of these parts and those that they replace, the ones that somebody waits for. */
export const partsWaitedFor = async (ctx: Context, partIds: readonly number[]): Promise<number[]> =>
  (await run(ctx, WAITED_FOR, [ctx.clock.today(), partIds])).map(({ id }) => id)

// What any of these documents may have set free or brought: slips that are posted by what comes in; requests, backorders and transfers by
// what they held.
const CONCERNED = statement<{ id: number }>(`
with d as (select * from unnest($1::int[], $2::bigint[]) as d (warehouse_id, id))
select l.part_id as id
  from d join slip s on s.warehouse_id = d.warehouse_id and s.id = d.id and s.state = 'posted'
  join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id and l.quantity > 0
union
select a.part_id from d join request_allocation a on a.warehouse_id = d.warehouse_id and a.request_id = d.id
union
select l.part_id from d join request_line l on l.warehouse_id = d.warehouse_id and l.request_id = d.id
union
select a.part_id
  from d join backorder b on b.warehouse_id = d.warehouse_id and b.id = d.id
  join request_allocation a on a.warehouse_id = b.warehouse_id and a.request_id = b.request_id and a.line_no = b.line_no
union
select b.part_id from d join backorder b on b.warehouse_id = d.warehouse_id and b.id = d.id
union
select l.part_id from d join transfer_line l on l.warehouse_id = d.warehouse_id and l.transfer_id = d.id`)

/** The parts of which these documents may have brought or set free some. */
export const partsConcerned = async (
  ctx: Context,
  documents: readonly { warehouseId: number; id: string }[]
): Promise<number[]> =>
  (await run(ctx, CONCERNED, [documents.map(({ warehouseId }) => warehouseId), documents.map(({ id }) => id)])).map(
    ({ id }) => id
  )

// Those of which there is any to be had somewhere, or of what may stand for them.
const SERVABLE = statement<{ id: number }>(`
with recursive step as (${STEPS}), wanted (id, option) as (
  select distinct b.part_id, b.part_id from backorder b where b.waiting > 0
  union
  select wanted.id, step.new from wanted join step on step.old = wanted.option
)
select distinct wanted.id
  from wanted join part on part.id = wanted.option
 where exists (select 1 from balance b
                where b.part_number = part.number and b.condition = 'qualified' and b.on_hand - b.reserved - b.blocked > 0)
 order by 1`)

/** Every part that somebody waits for and anybody has. */
export const partsServable = async (ctx: Context): Promise<number[]> =>
  (await run(ctx, SERVABLE, [ctx.clock.today()])).map(({ id }) => id)
