// What an approved count does to the ledger: one slip that makes it agree, and a count that has again what could not be settled.
//
// - A loss leaves the lot that was counted short, else the oldest lots; what a recall blocks only where nothing else can be missing. A gain opens a new lot with the cost, the age and the origin of the
//   lot it belonged to when it was counted, so that a recall of that one finds it; found goods that no lot knew have those of their paper. Consigned goods carry no
//   cost. It is what the signers signed: nothing is looked up anew.
// - A line that cannot be posted (the goods are promised, were not there yet on the day, or would be too many), or whose goods a slip adjusted by hand
//   since they were counted, or of a loaner model of which more was found or no lot was named, is left out with its reason and counted again; it never holds up the others.
// It runs within the transaction of the last signature, once: the state of the count guards against a second run.
import type { Context } from '../identity/actor.ts'
import { ensureMonth } from '../ledger/movement-partitions.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { postAdjustment, type SignedDocument } from '../slips/post-adjustment.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { EACH_LINE_OF } from './count-lines.ts'
import { GAIN, type Count } from './count.ts'
import { holdOpening, openFollowUp } from './open-count.ts'

// In the order of opening and of the kernel: the number of counts, the month, then the balances by their key, all that this transaction will touch. Taken at once
// here, so that posting and the count that follows only take again what is held.
const LOCK_MONTH = statement<{ isClosed: boolean }>(`
select exists (select 1 from stock_period where warehouse_id = $1 and period >= date_trunc('month', $2::date::timestamp)::date and state = 'closed') as "isClosed"
  from (select pg_advisory_xact_lock_shared($1, month_index($2::date)) offset 0) held`)
const LOCK_BALANCES = statement<never>(`
select 1 from count_line l
  join balance b on b.warehouse_id = l.warehouse_id and b.part_id = l.part_id and b.ownership = l.ownership and b.condition = l.condition
 where l.warehouse_id = $1 and l.count_id = $2 and (l.state = 'set-aside' or l.counted <> l.expected or l.lots is not null)
 order by b.part_id, b.ownership, b.condition
   for no key update of b`)

interface Adjustment {
  countLine: number
  partId: number
  part: string
  unit: string
  ownership: Ownership
  condition: Condition
  quantity: string
  unitCost: string | null
  receivedOn: string | null
  lot: string | null
  /** The lot by which what was found first came into the company. */
  origin: { warehouseId: number; lotId: string } | null
  /** A slip that adjusted the same goods by hand after they were counted. */
  adjustedBy: string | null
  /** With what came in since, more than a balance holds. */
  isTooMuch: boolean
  /** Of a loaner model, whose every piece is a unit with a serial number. */
  isLoaner: boolean
  /** Counted lot by lot. */
  isByLot: boolean
}

/** Quantities are kept below this. */
const MOST_ON_HAND = '1000000000000'

/** Of a balance `b`: what is neither promised nor blocked. */
const FREE = '(b.on_hand - b.reserved - b.blocked)'
/** Whether a loss is of goods that a recall blocks, because nothing else is left to be missing: they are named by lot then, and nobody else may take them. */
const TAKES_BLOCKED = `(l.counted < l.expected and b.blocked > 0 and l.expected - l.counted > ${FREE} and l.expected - l.counted <= ${FREE} + b.blocked)`

const ADJUSTMENTS = statement<Adjustment>(`
select l.line_no as "countLine", l.part_id as "partId", part.number as part, part.unit, l.ownership, l.condition, trim_scale(a.quantity)::text as quantity,
       case when a.quantity > 0 and l.ownership = 'own' then a.unit_cost::text end as "unitCost",
       case when a.quantity > 0 then least(a.received_on, $3::date)::text end as "receivedOn",
       case when a.quantity < 0 then a.lot::text end as lot,
       case when a.quantity > 0 and a.origin_lot_id is not null then json_build_object('warehouseId', a.origin_warehouse_id, 'lotId', a.origin_lot_id::text) end as origin, by_hand.number as "adjustedBy",
       b.on_hand + sum(greatest(a.quantity, 0)) over (partition by l.line_no) >= ${MOST_ON_HAND} as "isTooMuch",
       part.loaner_family is not null as "isLoaner", l.lots is not null as "isByLot"
  from count_line l
  join part on part.id = l.part_id
  join balance b on b.warehouse_id = l.warehouse_id and b.part_id = l.part_id and b.ownership = l.ownership and b.condition = l.condition
 cross join lateral (
   select n.counted - n.expected as quantity, lot.id as lot, lot.unit_cost, lot.received_on,
          coalesce(lot.origin_warehouse_id, lot.warehouse_id) as origin_warehouse_id, coalesce(lot.origin_lot_id, lot.id) as origin_lot_id
     from jsonb_to_recordset(l.lots) as n (lot text, counted numeric, expected numeric)
     join lot on lot.warehouse_id = l.warehouse_id and lot.id = n.lot::bigint
    where n.counted <> n.expected
    union all
   select l.counted - l.expected, null, coalesce(${GAIN.unitCost}, 0), ${GAIN.receivedOn}, of_lot.origin_warehouse_id, of_lot.origin_lot_id
      from (select 1) gain
      left join lateral (select coalesce(origin_warehouse_id, warehouse_id) as origin_warehouse_id, coalesce(origin_lot_id, id) as origin_lot_id
                           from lot where warehouse_id = l.warehouse_id and id = l.gain_lot) of_lot on true
    where l.lots is null and l.counted <> l.expected and not ${TAKES_BLOCKED}
    union all
   select -least(lot.room, l.expected - l.counted - lot.room_before), lot.id, null, null, null, null
     from (select id, room, sum(room) over (order by blocked, received_on, id) - room as room_before
             from (select id, received_on, blocked,
                          case when blocked then on_hand
                               else greatest(0, least(on_hand, ${FREE} - (sum(on_hand) over (partition by blocked order by received_on, id) - on_hand))) end as room
                     from lot
                    where warehouse_id = l.warehouse_id and part_id = l.part_id and ownership = l.ownership and condition = l.condition and not exhausted and opened_on <= $3) lots) lot
    where l.lots is null and ${TAKES_BLOCKED} and lot.room > 0 and lot.room_before < l.expected - l.counted) a
  left join lateral (
    select s.number
      from (select position from count_entry e where e.warehouse_id = l.warehouse_id and e.count_id = l.count_id and e.line_no = l.line_no order by e.id desc limit 1) counted
      join movement m on m.warehouse_id = l.warehouse_id and m.part_id = l.part_id and m.ownership = l.ownership and m.condition = l.condition and m.id > counted.position
      join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id
      left join slip source on source.warehouse_id = s.warehouse_id and source.id = s.source_slip_id
     where s.kind = 'adjustment' or (s.kind = 'reversal' and source.kind = 'adjustment')
     order by m.id limit 1) by_hand on true
 where l.warehouse_id = $1 and l.count_id = $2 and l.state = 'settled'
 order by l.line_no, a.lot`)

const FINISH = statement<never>(`
with troubled as (
  select * from jsonb_to_recordset($3::jsonb) as e (line int, adjusted int, problem text)
), adjusted as (
  update count_line l set active = false, adjusted_line_no = g.adjusted, adjustment_problem = g.problem${EACH_LINE_OF('troubled')}
), freed as (
  update count_line l set active = false
   where l.warehouse_id = $1 and l.count_id = $2 and not exists (select 1 from troubled t where t.line = l.line_no)
)
update stock_count set adjustment_slip_id = $4 where warehouse_id = $1 and id = $2`)

const LEFT_OVER = statement<{ is: boolean }>(`
select exists (select 1 from count_line where warehouse_id = $1 and count_id = $2 and (state = 'set-aside' or adjustment_problem is not null)) as "is"`)

/** Adjusts the ledger by an approved count and opens the count that follows, if one is needed. */
export async function adjustStock(
  ctx: Context,
  warehouse: Warehouse,
  count: Pick<Count, 'id' | 'number' | 'kind' | 'period'>,
  signedAs: SignedDocument
): Promise<void> {
  await holdOpening(ctx, warehouse)
  const day = await adjustmentDay(ctx, warehouse, count)
  await run(ctx, LOCK_BALANCES, [warehouse.id, count.id])
  const wanted = await run(ctx, ADJUSTMENTS, [warehouse.id, count.id, day])
  const { slipId, placed, problems } = await postWhatCanBe(ctx, warehouse, { day, wanted, signedAs })
  await run(ctx, FINISH, [
    warehouse.id,
    count.id,
    JSON.stringify([
      ...[...placed].map(([line, adjusted]) => ({ line, adjusted })),
      ...[...problems].map(([line, problem]) => ({ line, problem }))
    ]),
    slipId
  ])
  const [left] = await run(ctx, LEFT_OVER, [warehouse.id, count.id])
  if (left?.is) await openFollowUp(ctx, warehouse, count)
}

/**
 * A month end is adjusted on its last day, so that the month's books are right, once that day is past; everything else, and a
 * month that was closed meanwhile, today.
 */
async function adjustmentDay(ctx: Context, warehouse: Warehouse, { period }: Pick<Count, 'period'>): Promise<string> {
  const today = ctx.clock.today()
  const month = period === null ? null : Temporal.PlainYearMonth.from(period.slice(0, 7))
  const monthEnd = month?.toPlainDate({ day: month.daysInMonth }).toString() ?? today
  const day = monthEnd < today ? monthEnd : today
  await ensureMonth(ctx, day)
  const [held] = await run(ctx, LOCK_MONTH, [warehouse.id, day])
  if (!held?.isClosed) return day
  await ensureMonth(ctx, today)
  await run(ctx, LOCK_MONTH, [warehouse.id, today])
  return today
}

/** Posts one slip of all lines that can be posted; what the ledger refuses is left out and the rest tried again. */
async function postWhatCanBe(
  ctx: Context,
  warehouse: Warehouse,
  { day, wanted, signedAs }: { day: string; wanted: readonly Adjustment[]; signedAs: SignedDocument }
): Promise<{ slipId: string | null; placed: Map<number, number>; problems: Map<number, string> }> {
  const problems = new Map(
    wanted.flatMap(({ countLine, part, quantity, adjustedBy, isTooMuch, isLoaner, isByLot }): [number, string][] => {
      if (adjustedBy !== null)
        return [[countLine, `${adjustedBy} adjusted these goods after they were counted; they are counted again`]]
      // Which unit is missing says its lot only; what was found without being registered is no unit yet.
      if (isLoaner && !quantity.startsWith('-'))
        return [
          [
            countLine,
            `${part} is a loaner model, and ${quantity} more were found than its units here; register what was found under its serial number, or have the adjustment reversed by which it went missing, and count again`
          ]
        ]
      if (isLoaner && !isByLot)
        return [
          [
            countLine,
            `${part} is a loaner model: which unit is missing says its lot (GET /v1/loaners?model=${part}); it is counted again lot by lot`
          ]
        ]
      return isTooMuch
        ? [[countLine, 'with what came in since, it is more than can be kept of one part; it is counted again']]
        : []
    })
  )
  for (;;) {
    const lines = wanted
      .filter(({ countLine }) => !problems.has(countLine))
      .map((adjustment, index) => ({ ...adjustment, line: index + 1, note: `盘点行 ${adjustment.countLine}` }))
    if (lines.length === 0) return { slipId: null, placed: new Map(), problems }
    try {
      // A savepoint: what is refused leaves no slip and no number behind.
      const { id } = await inTransaction(ctx, (inner) =>
        postAdjustment(inner, warehouse, {
          occurredOn: day,
          reason: `盘点调整 ${signedAs.number}`,
          signedAs,
          lines: lines.map(
            ({ countLine: _line, adjustedBy: _slip, isTooMuch: _much, isLoaner: _loaner, isByLot: _lots, ...line }) =>
              line
          )
        })
      )
      const placed = new Map<number, number>()
      for (const { countLine, line } of lines) if (!placed.has(countLine)) placed.set(countLine, line)
      return { slipId: id, placed, problems }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const short = (error.extra['lines'] ?? []) as { line: number; wanted: string; available: string }[]
      const troubled = short.flatMap(({ line, ...stock }) => {
        const countLine = lines[line - 1]?.countLine
        return countLine === undefined ? [] : [{ countLine, ...stock }]
      })
      if (troubled.length === 0) throw error
      for (const { countLine, wanted: taken, available } of troubled) {
        problems.set(
          countLine,
          thousandths(available) < thousandths(taken)
            ? `${taken} are missing, and only ${available} are not promised to anybody; release reservations before it is counted again`
            : `${taken} are missing, and the lots they would be taken from were not there on ${day} or hold less; it is counted again`
        )
      }
    }
  }
}
