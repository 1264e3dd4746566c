import { maySee, requireSight, sightOf, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type { TransferState, TransferSummary, TransferView } from './transfers.schemas.ts'

interface Found {
  id: string
  number: string
  state: TransferState
  version: number
  to: string
  directTo: string | null
}

const FIND = statement<Found>(`
select t.id::text as id, t.number, t.state, t.version, receiver.code as "to", direct.code as "directTo"
  from transfer t join warehouse receiver on receiver.id = t.to_warehouse_id left join warehouse direct on direct.id = t.direct_to_warehouse_id
 where t.warehouse_id = $1 and t.number = $2`)

/**
 * A transfer with its two warehouses, for whoever sees one of them, or the one the goods go straight to.
 * @throws Refusal 404, 412
 */
export async function loadTransfer(
  ctx: Context,
  number: string,
  { ifMatch }: { ifMatch?: string | undefined } = {}
): Promise<{ transfer: Found; from: Warehouse; to: Warehouse }> {
  const from = await warehouseByCode(ctx, number.replace(/-TRF-\d{6}-\d+$/, '')).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('transfer', number) : error
  })
  const [transfer] = await run(ctx, FIND, [from.id, number])
  if (transfer === undefined) throw notFound('transfer', number)
  const to = await warehouseByCode(ctx, transfer.to)
  const direct = transfer.directTo === null ? [] : [await warehouseByCode(ctx, transfer.directTo)]
  if (![from, to, ...direct].some((warehouse) => maySee(ctx, warehouse))) throw notFound('transfer', number)
  requireMatch(ifMatch, transfer.version)
  return { transfer, from, to }
}

const valueOf = (kind: string, sign = ''): string =>
  `(select json_build_object('cost', ${sign}coalesce(sum(f.cost), 0)::numeric(18,2)::text, 'accumulatedDepreciation', ${sign}coalesce(sum(f.charge), 0)::numeric(18,2)::text,
             'netBookValue', ${sign}coalesce(sum(f.cost - f.charge), 0)::numeric(18,2)::text) from flow f ${kind === '' ? '' : `where f.kind = '${kind}'`})`
// A minus sign before nothing is nothing.
const leaving = (kind: string): string =>
  `(select json_build_object('cost', coalesce(sum(-f.cost), 0)::numeric(18,2)::text, 'accumulatedDepreciation', coalesce(sum(-f.charge), 0)::numeric(18,2)::text,
             'netBookValue', coalesce(sum(f.charge - f.cost), 0)::numeric(18,2)::text) from flow f where f.kind = '${kind}')`

const HEAD = `
       t.number, t.state, t.version, giver.code as "from", receiver.code as "to", direct.code as "directTo", t.carriage, t.carrier, t.reference, t.because,
       t.ordered_at as "orderedAt", orderer.username as "orderedBy"`
const JOINS = `
  join warehouse giver on giver.id = t.warehouse_id
  join warehouse receiver on receiver.id = t.to_warehouse_id
  join person orderer on orderer.id = t.ordered_by
  left join warehouse direct on direct.id = t.direct_to_warehouse_id`

/** What has become of the claim `c` of the slip `s`. */
export const CLAIM_STATE = `
  case when s.state = 'cancelled' or exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted') then 'void'
       when s.state <> 'posted' then 'announced' else c.state end`

const VIEW = statement<TransferView>(`
with flow as materialized (
  select * from transfer_flow where warehouse_id = $1 and transfer_id = $2
)
select ${HEAD}, t.rest_closed_because as "restClosedBecause", t.cancelled_because as "cancelledBecause",
       (select json_agg(json_build_object(
                 'line', l.line_no, 'part', part.number, 'name', part.name, 'nameZh', part.name_zh, 'unit', part.unit, 'ownership', l.ownership, 'condition', l.condition,
                 'quantity', trim_scale(l.quantity)::text, 'beingSent', trim_scale(p.being_sent)::text, 'sent', trim_scale(p.sent)::text, 'received', trim_scale(p.received)::text,
                 'damaged', trim_scale(p.damaged)::text, 'missing', trim_scale(p.missing)::text, 'calledBack', trim_scale(p.called_back)::text, 'inTransit', trim_scale(p.in_transit)::text,
                 'reservation', l.reservation_id::text, 'lot', l.lot_id::text, 'reserveFor', l.reserve_for,
                 'expectedReceipt', (select e.document || '/' || e.line_no from expected_receipt e where e.warehouse_id = t.to_warehouse_id and e.id = l.expected_receipt_id)) order by l.line_no)
          from transfer_line l
          join transfer_line_position p on p.warehouse_id = l.warehouse_id and p.transfer_id = l.transfer_id and p.line_no = l.line_no
          join part on part.id = l.part_id
         where l.warehouse_id = t.warehouse_id and l.transfer_id = t.id) as lines,
       coalesce((select json_agg(json_build_object(
                 'number', s.number, 'warehouse', w.code, 'kind', s.kind, 'state', s.state, 'occurredOn', s.occurred_on, 'postedAt', s.posted_at, 'reverses', source.number,
                 'role', case when s.kind = 'transfer-out' then 'out' when s.kind <> 'transfer-in' then 'reversal' when s.warehouse_id = t.warehouse_id then 'call-back' else 'in' end)
                 order by s.id)
          from slip s join warehouse w on w.id = s.warehouse_id
          left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
         where s.transfer_warehouse_id = t.warehouse_id and s.transfer_id = t.id), '[]') as slips,
       coalesce((select json_agg(json_build_object(
                 'claim', c.claim_no, 'line', c.line_no, 'part', part.number, 'kind', c.kind, 'responsible', c.responsible, 'quantity', trim_scale(claimed.quantity)::text,
                 'value', claimed.value::text, 'state', ${CLAIM_STATE}, 'slip', s.number, 'note', c.note, 'openedAt', c.opened_at, 'openedBy', opener.username,
                 'decidedAt', c.decided_at, 'decidedBy', decider.username, 'decision', c.decision) order by c.claim_no)
          from transfer_claim c
          join transfer_line l on l.warehouse_id = c.warehouse_id and l.transfer_id = c.transfer_id and l.line_no = c.line_no
          join part on part.id = l.part_id
          join person opener on opener.id = c.opened_by
          left join person decider on decider.id = c.decided_by
         cross join lateral (select min(a.slip_warehouse_id) as slip_warehouse_id, min(a.slip_id) as slip_id, sum(a.until_quantity - a.from_quantity) as quantity, sum(a.cost - a.charge) as value
                               from transfer_arrival a where a.warehouse_id = c.warehouse_id and a.transfer_id = c.transfer_id and a.claim_no = c.claim_no) claimed
          join slip s on s.warehouse_id = claimed.slip_warehouse_id and s.id = claimed.slip_id
         where c.warehouse_id = t.warehouse_id and c.transfer_id = t.id), '[]') as claims,
       coalesce((select json_agg(json_build_object(
                 'entry', e.entry_no, 'leg', e.leg, 'amount', e.amount::text, 'paidBy', payer.code, 'carrier', e.carrier, 'note', e.note, 'enteredOn', e.entered_on, 'enteredBy', clerk.username)
                 order by e.entry_no)
          from transfer_transport e join warehouse payer on payer.id = e.paid_by_warehouse_id join person clerk on clerk.id = e.entered_by
         where e.warehouse_id = t.warehouse_id and e.transfer_id = t.id), '[]') as transport,
       json_build_object('sent', ${valueOf('sent')}, 'received', ${leaving('received')}, 'damaged', ${leaving('damaged')}, 'missing', ${leaving('missing')},
                         'calledBack', ${leaving('called-back')}, 'inTransit', ${valueOf('')}) as value,
       coalesce((select json_agg(json_build_object('at', h.occurred_at, 'by', who.username, 'event', h.event, 'details', h.details) order by h.id)
          from document_event h join person who on who.id = h.person_id
         where h.warehouse_id = t.warehouse_id and h.document_id = t.id), '[]') as history
  from transfer t ${JOINS}
 where t.warehouse_id = $1 and t.id = $2`)

/** One transfer with its lines, slips, claims, value and history, in one statement. */
export async function readTransfer(ctx: Context, { number }: { number: string }): Promise<TransferView> {
  const { transfer, from } = await loadTransfer(ctx, number)
  return viewOfTransfer(ctx, { warehouseId: from.id, id: transfer.id })
}

/** The same of one that was loaded already. */
export async function viewOfTransfer(
  ctx: Context,
  { warehouseId, id }: { warehouseId: number; id: string }
): Promise<TransferView> {
  const [view] = await run(ctx, VIEW, [warehouseId, id])
  if (view === undefined) throw new Error(`there is no transfer ${id}`)
  return {
    ...view,
    orderedAt: instant(view.orderedAt),
    slips: view.slips.map((slip) => ({ ...slip, postedAt: instantOrNull(slip.postedAt) })),
    claims: view.claims.map((claim) => ({
      ...claim,
      openedAt: instant(claim.openedAt),
      decidedAt: instantOrNull(claim.decidedAt)
    })),
    history: view.history.map((event) => ({ ...event, at: instant(event.at) }))
  }
}

export interface TransferFilter {
  from?: string | undefined
  to?: string | undefined
  /** Either end, or where the goods go straight to. */
  warehouse?: string | undefined
  state?: TransferState | undefined
  reference?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

type Row = TransferSummary & { id: string }

const UNFINISHED: readonly TransferState[] = ['ordered', 'awaiting-dispatch', 'in-transit']

/** What is told of each transfer of a page, once the page is known. */
const listed = (page: string) => `
select t.id::text as id, ${HEAD},
       (select count(*)::int from transfer_line l where l.warehouse_id = t.warehouse_id and l.transfer_id = t.id) as "lineCount",
       json_build_object('cost', way.cost::numeric(18,2)::text, 'accumulatedDepreciation', way.charge::numeric(18,2)::text, 'netBookValue', (way.cost - way.charge)::numeric(18,2)::text) as "inTransit",
       way.sent_on as "sentOn"
  from (${page}) t ${JOINS}
 cross join lateral (select coalesce(sum(f.cost), 0) as cost, coalesce(sum(f.charge), 0) as charge, min(f.day) filter (where f.kind = 'sent' and not f.undone) as sent_on
                       from transfer_flow f where f.warehouse_id = t.warehouse_id and f.transfer_id = t.id) way
 order by t.id desc`

/** Only what was asked for stands in the statement, so that an index serves it. */
async function pageOf(
  ctx: Context,
  { from, to, warehouse, state, reference, cursor }: TransferFilter,
  limit: number | null
): Promise<{ text: string; values: unknown[] }> {
  const after = readCursor(cursor, ['id'])
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const idOf = async (code: string) => (await warehouseByCode(ctx, code)).id
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const conditions = [
    ...(from === undefined ? [] : [`t.warehouse_id = ${value(await idOf(from))}`]),
    ...(to === undefined ? [] : [`t.to_warehouse_id = ${value(await idOf(to))}`]),
    ...(state === undefined ? [] : [`t.state = ${value(state)}`]),
    ...(state === undefined || !UNFINISHED.includes(state)
      ? []
      : [`t.state in (${UNFINISHED.map((unfinished) => `'${unfinished}'`).join(', ')})`]),
    ...(reference === undefined ? [] : [`t.reference = ${value(reference)}`]),
    ...(after === null ? [] : [`t.id < ${value(after[0])}::bigint`])
  ]
  if (warehouse !== undefined) {
    const place = await warehouseByCode(ctx, warehouse)
    requireSight(ctx, place)
    const here = value(place.id)
    conditions.push(`(t.warehouse_id = ${here} or t.to_warehouse_id = ${here} or t.direct_to_warehouse_id = ${here})`)
  } else if (!everywhere) {
    const seen = `any (array(select id from warehouse where id = any (${value(warehouseIds)}::int[]) or region_id = any (${value(regionIds)}::int[])))`
    conditions.push(`(t.warehouse_id = ${seen} or t.to_warehouse_id = ${seen} or t.direct_to_warehouse_id = ${seen})`)
  }
  const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`
  return {
    text: listed(
      `select t.* from transfer t ${where} order by t.id desc ${limit === null ? '' : `limit ${value(limit)}`}`
    ),
    values
  }
}

const summary = ({ id: _id, ...row }: Row): TransferSummary => ({ ...row, orderedAt: instant(row.orderedAt) })

/** Transfers of which one sees either end, newest first. */
export async function listTransfers(ctx: Context, filter: TransferFilter) {
  const limit = filter.limit ?? 50
  const { text, values } = await pageOf(ctx, filter, limit + 1)
  const rows = await run(ctx, statement<Row>(text), values)
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(summary), nextCursor }
}

interface TransferRow extends Omit<TransferSummary, 'inTransit'> {
  cost: string
  accumulatedDepreciation: string
  netBookValue: string
}

export const TRANSFER_COLUMNS = {
  number: 'number 调拨单号',
  state: 'state 状态',
  from: 'from 调出仓库',
  to: 'to 调入仓库',
  directTo: 'direct to 直送',
  carriage: 'carriage 运输方式',
  carrier: 'carrier 承运人',
  reference: 'reference 依据',
  because: 'because 原因',
  orderedAt: 'ordered at 开单时间',
  orderedBy: 'ordered by 开单人',
  lineCount: 'line count 行数',
  sentOn: 'sent on 发出日期',
  cost: 'in transit cost 在途原值',
  accumulatedDepreciation: 'in transit depreciation 在途累计折旧',
  netBookValue: 'in transit net book value 在途净值'
} as const satisfies Partial<Record<keyof TransferRow, string>>

/** The same, all of them, as rows of a file. */
export async function transferStream(ctx: Context, filter: TransferFilter): Promise<AsyncIterable<TransferRow>> {
  const { text, values } = await pageOf(ctx, filter, null)
  return (async function* () {
    for await (const { inTransit, ...row } of rowsOf<Row>(ctx, text, values))
      yield { ...summary({ ...row, inTransit }), ...inTransit }
  })()
}
