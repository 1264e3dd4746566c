import { Type, type Static } from 'typebox'
import { requireSight, sightOf, type Context } from '../identity/actor.ts'
import { Condition, Ownership } from '../ledger/ledger.schemas.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { rowsOf } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import {
  Day,
  Instant,
  Money,
  named,
  nullable,
  oneOf,
  pageOf,
  PartNumber,
  Quantity,
  ref,
  SignedQuantity,
  WarehouseCode
} from '../platform/schemas.ts'
import { historyOf } from '../signing/document-history.ts'
import { SlipEvent } from '../slips/slips.schemas.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { handoverView, loadHandover, type Handover } from './handover.ts'
import {
  HANDOVER_PARTIES,
  HANDOVER_STATES,
  HandoverNumber,
  HandoverView,
  OPEN_KINDS,
  type HandoverParty,
  type HandoverState,
  type OpenKind
} from './handovers.schemas.ts'

// Handovers

export const HandoverSummary = named(
  'HandoverSummary',
  Type.Object({
    number: HandoverNumber,
    warehouse: WarehouseCode,
    state: oneOf(HANDOVER_STATES, 'State (状态)'),
    version: Type.Integer(),
    outgoing: Type.String({ description: 'User name of the outgoing keeper (移交人)' }),
    outgoingName: Type.String(),
    incoming: Type.String({ description: 'User name of the incoming keeper (接收人)' }),
    incomingName: Type.String(),
    because: Type.String({ description: 'Why the post changes hands (移交原因)' }),
    absentBecause: nullable(Type.String({ description: 'Why the outgoing keeper does not sign (缺席原因)' })),
    drawnUpAt: Instant,
    submittedAt: nullable(Instant),
    awaiting: Type.Array(oneOf(HANDOVER_PARTIES, 'Party'), { description: 'Who has not signed yet' }),
    cutOffAt: nullable(Instant),
    cutOffPosition: nullable(Type.String({ description: 'Position of the ledger at the cut-off (账面位置)' })),
    cancelledAt: nullable(Instant)
  })
)
export type HandoverSummary = Static<typeof HandoverSummary>
export const HandoverSummaryPage = pageOf(HandoverSummary)

export interface HandoverFilter {
  warehouse?: string | undefined
  state?: HandoverState | undefined
  /** Where somebody is one of the two keepers. */
  person?: string | undefined
  /** Submitted, and not signed by this one yet. */
  awaiting?: HandoverParty | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

// Both keepers see theirs, whatever duties they hold there on that day.
const LIST = `
select h.id::text as id, h.number, w.code as warehouse, h.state, h.version, outgoing.username as outgoing, outgoing.name as "outgoingName",
       incoming.username as incoming, incoming.name as "incomingName", h.because, h.absent_because as "absentBecause", h.drawn_up_at as "drawnUpAt",
       h.submitted_at as "submittedAt", h.cut_off_at as "cutOffAt", h.cut_off_position::text as "cutOffPosition", h.cancelled_at as "cancelledAt",
       asked.awaiting
  from handover h
  join warehouse w on w.id = h.warehouse_id
  join person outgoing on outgoing.id = h.outgoing_id
  join person incoming on incoming.id = h.incoming_id
 cross join lateral (
   select case when h.state = 'awaiting-signatures' then array(
            select party from unnest('{${HANDOVER_PARTIES.join(',')}}'::text[]) with ordinality as signing (party, place)
             where not (party = 'outgoing-keeper' and h.absent_because is not null)
               and not exists (select 1 from signature g where g.warehouse_id = h.warehouse_id and g.document_id = h.id and g.voided_at is null and g.duty = party)
             order by place)
          else '{}' end as awaiting) asked
 where ($1::boolean or w.id = any ($2::int[]) or w.region_id = any ($3::int[]) or $4::int in (h.outgoing_id, h.incoming_id))
   and ($5::int is null or h.warehouse_id = $5) and ($6::text is null or h.state = $6) and ($7::text is null or $7 in (outgoing.username, incoming.username))
   and ($8::bigint is null or h.id < $8) and ($10::text is null or $10 = any (asked.awaiting))
 order by h.id desc limit $9`
type SummaryRow = HandoverSummary & { id: string }
const LIST_PAGE = statement<SummaryRow>(LIST)

async function listValues(ctx: Context, { warehouse: code, state, person, awaiting, limit, cursor }: HandoverFilter) {
  const after = readCursor(cursor, ['id'])
  const warehouse = code === undefined ? undefined : await warehouseByCode(ctx, code)
  if (warehouse !== undefined) requireSight(ctx, warehouse)
  const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
  const party = ctx.actor.isMachine ? null : ctx.actor.personId
  const of = [everywhere, warehouseIds, regionIds, party, warehouse?.id ?? null]
  const rows = limit === undefined ? null : limit + 1
  return [...of, state ?? null, person ?? null, after?.[0] ?? null, rows, awaiting ?? null]
}

const summaryOf = ({ id: _id, ...row }: SummaryRow): HandoverSummary => ({
  ...row,
  drawnUpAt: instant(row.drawnUpAt),
  submittedAt: instantOrNull(row.submittedAt),
  cutOffAt: instantOrNull(row.cutOffAt),
  cancelledAt: instantOrNull(row.cancelledAt)
})

/** Handovers of every warehouse the actor sees, and those in which the actor is one of the two keepers; newest first. */
export async function listHandovers(ctx: Context, { limit = 50, ...filter }: HandoverFilter) {
  const rows = await run(ctx, LIST_PAGE, await listValues(ctx, { ...filter, limit }))
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(summaryOf), nextCursor }
}

type HandoverCsvRow = Omit<HandoverSummary, 'awaiting'> & { awaiting: string }

/** All of them, for a file. */
export async function handoverStream(ctx: Context, filter: HandoverFilter): Promise<AsyncGenerator<HandoverCsvRow>> {
  const values = await listValues(ctx, { ...filter, limit: undefined, cursor: undefined })
  return (async function* () {
    for await (const row of rowsOf<SummaryRow>(ctx, LIST, values))
      yield { ...summaryOf(row), awaiting: row.awaiting.join(', ') }
  })()
}

export const HANDOVER_HEADINGS = {
  number: 'handover 移交单号',
  warehouse: 'warehouse 仓库',
  state: 'state 状态',
  outgoing: 'outgoing 移交人',
  outgoingName: 'outgoing name 移交人姓名',
  incoming: 'incoming 接收人',
  incomingName: 'incoming name 接收人姓名',
  because: 'because 移交原因',
  absentBecause: 'absent because 缺席原因',
  drawnUpAt: 'drawn up at 起草时间',
  submittedAt: 'submitted at 提交时间',
  awaiting: 'awaiting 待签',
  cutOffAt: 'cut-off at 责任划分时间',
  cutOffPosition: 'cut-off position 账面位置',
  cancelledAt: 'cancelled at 取消时间'
} as const satisfies Partial<Record<keyof HandoverCsvRow, string>>

// What moved between snapshot and cut-off

// By position, whatever day the movements are dated: a late slip is dated before. The day of posting only narrows what is looked through;
// a posting draws its ids within the time limit of a statement, so an hour on either side is plenty.
const MOVED = `
       m.warehouse_id = $1 and m.id > $2::bigint and ($3::bigint is null or m.id <= $3::bigint)
   and m.posted_at >= $4::timestamptz - interval '1 hour' and ($5::timestamptz is null or m.posted_at <= $5::timestamptz + interval '1 hour')`

const movedValues = (handover: Handover, warehouse: { id: number }): unknown[] => [
  warehouse.id,
  handover.snapshotPosition,
  handover.cutOffPosition,
  handover.snapshotAt,
  handover.cutOffAt
]

export const HandoverMovement = named(
  'HandoverMovement',
  Type.Object({
    movement: Type.String({ description: 'Position of the ledger (账面位置)' }),
    slip: Type.String(),
    kind: Type.String({ description: 'Kind of the slip' }),
    line: Type.Integer(),
    occurredOn: Day,
    postedAt: Instant,
    postedBy: nullable(Type.String({ description: 'User name' })),
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    unit: Type.String(),
    ownership: Ownership,
    condition: Condition,
    lot: Type.String(),
    quantity: SignedQuantity,
    onHandAfter: Quantity,
    cost: Money
  })
)
export type HandoverMovement = Static<typeof HandoverMovement>
export const HandoverMovementPage = pageOf(HandoverMovement)

const MOVEMENTS = `
select m.id::text as movement, s.number as slip, s.kind, m.line_no as line, m.occurred_on as "occurredOn", m.posted_at as "postedAt", poster.username as "postedBy",
       part.number as part, part.name, part.name_zh as "nameZh", part.unit, m.ownership, m.condition, m.lot_id::text as lot,
       trim_scale(m.quantity)::text as quantity, trim_scale(m.on_hand_after)::text as "onHandAfter", m.cost::text as cost
  from movement m
  join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
  join part on part.id = m.part_id
  left join person poster on poster.id = s.posted_by
 where ${MOVED} and m.id > $6::bigint
 order by m.id limit $7`
const MOVEMENT_PAGE = statement<HandoverMovement>(MOVEMENTS)

const movementOf = (row: HandoverMovement): HandoverMovement => ({ ...row, postedAt: instant(row.postedAt) })

interface Paged {
  number: string
  limit?: number | undefined
  cursor?: string | undefined
}

/** What moved after the snapshot, up to the cut-off or, while there is none, up to now; in the order of the ledger. */
export async function listHandoverMovements(ctx: Context, { number, limit = 50, cursor }: Paged) {
  const { handover, warehouse } = await loadHandover(ctx, number)
  const [after] = readCursor(cursor, ['id']) ?? ['0']
  const rows = await run(ctx, MOVEMENT_PAGE, [...movedValues(handover, warehouse), after, limit + 1])
  return pageFrom(rows.map(movementOf), limit, ({ movement }) => [movement])
}

/** All movements of a handover that was read. */
export async function* handoverMovements(
  ctx: Context,
  handover: Handover,
  warehouse: { id: number }
): AsyncGenerator<HandoverMovement> {
  for await (const row of rowsOf<HandoverMovement>(ctx, MOVEMENTS, [...movedValues(handover, warehouse), '0', null]))
    yield movementOf(row)
}

/** The same for a file. */
export async function handoverMovementStream(
  ctx: Context,
  { number }: { number: string }
): Promise<AsyncGenerator<HandoverMovement>> {
  const { handover, warehouse } = await loadHandover(ctx, number)
  return handoverMovements(ctx, handover, warehouse)
}

export const HANDOVER_MOVEMENT_HEADINGS = {
  movement: 'position 账面位置',
  slip: 'slip 单号',
  kind: 'kind 类别',
  line: 'line 行号',
  occurredOn: 'day 日期',
  postedAt: 'posted at 过账时间',
  postedBy: 'posted by 过账人',
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  unit: 'unit 单位',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  lot: 'lot 批次',
  quantity: 'quantity 数量',
  onHandAfter: 'on hand after 结存',
  cost: 'cost 金额'
} as const satisfies Record<keyof HandoverMovement, string>

// Balances

export const HandoverBalance = named(
  'HandoverBalance',
  Type.Object({
    part: PartNumber,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    specification: nullable(Type.String()),
    colour: nullable(Type.String()),
    unit: Type.String(),
    ownership: Ownership,
    condition: Condition,
    onHand: Quantity,
    reserved: Quantity,
    blocked: Quantity,
    cost: Money,
    moved: Type.String({ ...SignedQuantity, description: 'What moved after the snapshot, up to the cut-off or now' }),
    handedOver: Type.String({
      ...Quantity,
      description: 'On hand at the cut-off, or now: what is taken over (移交数量)'
    })
  })
)
export type HandoverBalance = Static<typeof HandoverBalance>
export const HandoverBalancePage = pageOf(HandoverBalance)

// What came in after the snapshot and was not there before is a row of its own.
const BALANCES = `
with moved as (
  select m.part_id, m.ownership, m.condition, sum(m.quantity) as quantity from movement m where ${MOVED} group by 1, 2, 3
), frozen as (
  select part_id, ownership, condition, part_number, on_hand, reserved, blocked, cost from handover_balance where warehouse_id = $1 and handover_id = $6::bigint
), listed as (
  select part.id, coalesce(f.part_number, part.number) as part, ownership, condition, coalesce(f.on_hand, 0) as on_hand, coalesce(f.reserved, 0) as reserved,
         coalesce(f.blocked, 0) as blocked, coalesce(f.cost, 0) as cost, coalesce(m.quantity, 0) as moved
    from frozen f
    full join moved m using (part_id, ownership, condition)
    join part on part.id = part_id
)
select l.part, part.name, part.name_zh as "nameZh", part.specification, part.colour, part.unit, l.ownership, l.condition, trim_scale(l.on_hand)::text as "onHand",
       trim_scale(l.reserved)::text as reserved, trim_scale(l.blocked)::text as blocked, l.cost::numeric(18,2)::text as cost, trim_scale(l.moved)::text as moved,
       trim_scale(l.on_hand + l.moved)::text as "handedOver"
  from listed l
  join part on part.id = l.id
 where (l.part, l.ownership, l.condition) > ($7::text, $8::text, $9::text)
 order by l.part, l.ownership, l.condition limit $10`
const BALANCE_PAGE = statement<HandoverBalance>(BALANCES)

/** What the ledger held at the snapshot of a handover, with what moved since. */
export async function listHandoverBalances(ctx: Context, { number, limit = 50, cursor }: Paged) {
  const { handover, warehouse } = await loadHandover(ctx, number)
  const after = readCursor(cursor, ['text', 'text', 'text']) ?? ['', '', '']
  const values = [...movedValues(handover, warehouse), handover.id, ...after, limit + 1]
  return pageFrom(await run(ctx, BALANCE_PAGE, values), limit, ({ part, ownership, condition }) => [
    part,
    ownership,
    condition
  ])
}

/** All balances of a handover that was read. */
export const handoverBalances = (
  ctx: Context,
  handover: Handover,
  warehouse: { id: number }
): AsyncGenerator<HandoverBalance> =>
  rowsOf<HandoverBalance>(ctx, BALANCES, [...movedValues(handover, warehouse), handover.id, '', '', '', null])

/** The same for a file. */
export async function handoverBalanceStream(
  ctx: Context,
  { number }: { number: string }
): Promise<AsyncGenerator<HandoverBalance>> {
  const { handover, warehouse } = await loadHandover(ctx, number)
  return handoverBalances(ctx, handover, warehouse)
}

export const HANDOVER_BALANCE_HEADINGS = {
  part: 'part 货号',
  name: 'name 英文名',
  nameZh: 'name 货名',
  specification: 'specification 规格',
  colour: 'colour 颜色',
  unit: 'unit 单位',
  ownership: 'ownership 所有权',
  condition: 'condition 质量状态',
  onHand: 'on hand 清单数量',
  reserved: 'reserved 预留',
  blocked: 'blocked 冻结',
  cost: 'cost 金额',
  moved: 'moved 其后变动',
  handedOver: 'handed over 移交数量'
} as const satisfies Record<keyof HandoverBalance, string>

// Papers, loaners and tools

export const HandoverOpen = named(
  'HandoverOpen',
  Type.Object({
    line: Type.Integer(),
    kind: oneOf(OPEN_KINDS, 'What it is'),
    reference: Type.String({ description: 'Number of the paper, or serial of the unit or tool' }),
    details: Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      additionalProperties: true,
      description: 'As it stood at the snapshot; differs by kind'
    })
  })
)
export type HandoverOpen = Static<typeof HandoverOpen>
export const HandoverOpenPage = pageOf(HandoverOpen)

const OPEN = `
select line_no as line, kind, reference, details from handover_open
 where warehouse_id = $1 and handover_id = $2::bigint and ($3::text is null or kind = $3) and line_no > $4 order by line_no limit $5`
const OPEN_PAGE = statement<HandoverOpen>(OPEN)

/** What was open at the snapshot: papers, loaners, tools. */
export async function listHandoverOpen(
  ctx: Context,
  { number, kind, limit = 50, cursor }: Paged & { kind?: OpenKind | undefined }
) {
  const { handover, warehouse } = await loadHandover(ctx, number)
  const [after] = readCursor(cursor, ['integer']) ?? [0]
  const rows = await run(ctx, OPEN_PAGE, [warehouse.id, handover.id, kind ?? null, after, limit + 1])
  return pageFrom(rows, limit, ({ line }) => [line])
}

/** All of it, of a handover that was read. */
export const handoverOpen = (
  ctx: Context,
  handover: Handover,
  warehouse: { id: number },
  kind: OpenKind | null = null
): AsyncGenerator<HandoverOpen> => rowsOf<HandoverOpen>(ctx, OPEN, [warehouse.id, handover.id, kind, 0, null])

type OpenCsvRow = Omit<HandoverOpen, 'details'> & { details: string }

/** What is known of an open paper, in words. */
const detailsText = (details: Record<string, unknown>): string =>
  Object.entries(details)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('; ')

/** The same for a file. */
export async function handoverOpenStream(
  ctx: Context,
  { number, kind }: { number: string; kind?: OpenKind | undefined }
): Promise<AsyncGenerator<OpenCsvRow>> {
  const { handover, warehouse } = await loadHandover(ctx, number)
  return (async function* () {
    for await (const { details, ...row } of handoverOpen(ctx, handover, warehouse, kind ?? null))
      yield { ...row, details: detailsText(details) }
  })()
}

export const HANDOVER_OPEN_HEADINGS = {
  line: 'line 行号',
  kind: 'kind 类别',
  reference: 'reference 单号、序列号',
  details: 'details 说明'
} as const satisfies Record<keyof OpenCsvRow, string>

// One handover

/** So many open papers are shown with the document; the list has all of them. */
const PAPERS_SHOWN = 200

export const HandoverWithPapers = named(
  'HandoverWithPapers',
  Type.Object({
    ...HandoverView.properties,
    papers: Type.Array(ref(HandoverOpen), {
      description: `What was open at the snapshot: slips, counts, transfers, requests, loaners, tools; the first ${PAPERS_SHOWN}, all of them in the list \`open\``
    }),
    moved: Type.Object(
      { movements: Type.Integer(), slips: Type.Integer(), balances: Type.Integer() },
      { description: 'How much moved after the snapshot, up to the cut-off or now; see the list `movements`' }
    )
  })
)
export type HandoverWithPapers = Static<typeof HandoverWithPapers>

const MOVED_SUMMARY = statement<HandoverWithPapers['moved']>(`
select count(*)::int as movements, count(distinct m.slip_id)::int as slips, count(distinct (m.part_id, m.ownership, m.condition))::int as balances
  from movement m where ${MOVED}`)

/**
 * One handover with its papers.
 * @throws Refusal 404
 */
export async function readHandover(ctx: Context, { number }: { number: string }): Promise<HandoverWithPapers> {
  const { handover, warehouse } = await loadHandover(ctx, number)
  const papers = await run(ctx, OPEN_PAGE, [warehouse.id, handover.id, null, 0, PAPERS_SHOWN])
  const [moved] = await run(ctx, MOVED_SUMMARY, movedValues(handover, warehouse))
  if (moved === undefined) throw new Error('an aggregate always answers one row')
  return { ...handoverView(handover, warehouse), papers, moved }
}

// History

export const HandoverEvents = named('HandoverEvents', Type.Object({ items: Type.Array(ref(SlipEvent)) }))

/** Everything that happened to a handover, oldest first. */
export async function listHandoverEvents(ctx: Context, { number }: { number: string }) {
  const { handover, warehouse } = await loadHandover(ctx, number)
  return { items: await historyOf(ctx, { warehouseId: warehouse.id, id: handover.id }) }
}
