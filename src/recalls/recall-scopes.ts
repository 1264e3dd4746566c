import { requireParts, type PartRef } from '../catalogue/parts.queries.ts'
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal, type FieldProblem } from '../platform/errors.ts'
import { MOST_LINES, type RecallScopeInput } from './recalls.schemas.ts'

/** One part that is recalled, under conditions that hold together; what is null does not narrow. */
export interface RecallLine {
  partId: number
  part: string
  receivedFrom: string | null
  receivedTo: string | null
  supplierId: number | null
  supplier: string | null
  /** The lot by which the goods first came into the company. */
  originWarehouseId: number | null
  originLotId: string | null
  /** The same by name, `HQ/4711`. */
  lot: string | null
}

interface KnownLot {
  warehouse: string
  id: string
  part: string
  partId: number
  originWarehouseId: number
  originWarehouse: string
  originLotId: string
}
const LOTS = statement<KnownLot>(`
select w.code as warehouse, l.id::text as id, part.number as part, part.id as "partId", origin.id as "originWarehouseId", origin.code as "originWarehouse",
       coalesce(l.origin_lot_id, l.id)::text as "originLotId"
  from unnest($1::text[], $2::bigint[]) as named (code, id)
  join warehouse w on w.code = named.code
  join lot l on l.warehouse_id = w.id and l.id = named.id
  join part on part.id = l.part_id
  join warehouse origin on origin.id = coalesce(l.origin_warehouse_id, l.warehouse_id)`)
const SUPPLIERS = statement<{ id: number; code: string }>(
  `select id, code from supplier where code = any (select upper(code) from unnest($1::text[]) as named (code))`
)

/**
 * What scopes name, one line per part and lot, each once.
 * @throws Refusal 422 `ScopeEmpty`, `PartUnknown`, `LotUnknown`, `LotOfOtherPart`, `SupplierUnknown`, `DaysOutOfOrder`, `RecallTooLong`, each with the scope it is about
 */
export async function recallLines(ctx: Context, scopes: readonly RecallScopeInput[]): Promise<RecallLine[]> {
  for (const [place, scope] of scopes.entries()) requireSense(scope, place)
  const [parts, lots, suppliers] = [
    await knownParts(ctx, scopes),
    await knownLots(ctx, scopes),
    await knownSuppliers(ctx, scopes)
  ]
  const lines = scopes.flatMap((scope, place): RecallLine[] => {
    const wanted = partsOf(scope)
    const supplier = scope.supplier === undefined ? undefined : suppliers.get(scope.supplier.toUpperCase())
    const common = {
      receivedFrom: scope.receivedFrom ?? null,
      receivedTo: scope.receivedTo ?? null,
      supplierId: supplier?.id ?? null,
      supplier: supplier?.code ?? null
    }
    if (scope.lots === undefined)
      return wanted.map((number) => ({
        ...common,
        part: number,
        partId: partOf(parts, number).id,
        originWarehouseId: null,
        originLotId: null,
        lot: null
      }))
    return scope.lots.map((name, index) => {
      const lot = lots.get(name)
      if (lot === undefined) throw new Error(`lot ${name} was found a moment ago`)
      if (wanted.length > 0 && !wanted.includes(lot.part))
        throw new Refusal('LotOfOtherPart', 422, `lot ${name} is of part ${lot.part}, which the scope does not name`, {
          errors: [
            {
              pointer: `/scopes/${place}/lots/${index}`,
              detail: `is of part ${lot.part}`,
              sent: name,
              accepted: wanted
            }
          ]
        })
      return {
        ...common,
        part: lot.part,
        partId: lot.partId,
        originWarehouseId: lot.originWarehouseId,
        originLotId: lot.originLotId,
        lot: `${lot.originWarehouse}/${lot.originLotId}`
      }
    })
  })
  const once = [...new Map(lines.map((line) => [JSON.stringify(line), line])).values()]
  if (once.length > MOST_LINES)
    throw new Refusal(
      'RecallTooLong',
      422,
      `a recall names at most ${MOST_LINES} parts and lots, this one ${once.length}; open several`,
      { errors: [{ pointer: '/scopes', detail: `comes to ${once.length} lines`, accepted: `at most ${MOST_LINES}` }] }
    )
  return once
}

const partsOf = ({ part, parts }: RecallScopeInput): string[] => [
  ...new Set([...(part === undefined ? [] : [part]), ...(parts ?? [])])
]

function partOf(parts: Map<string, PartRef>, number: string): PartRef {
  const part = parts.get(number)
  if (part === undefined) throw new Error(`${number} was required a moment ago`)
  return part
}

function requireSense(scope: RecallScopeInput, place: number): void {
  if (scope.part === undefined && scope.parts === undefined && scope.lots === undefined)
    throw new Refusal(
      'ScopeEmpty',
      422,
      `scope ${place + 1} names neither parts nor lots; a recall says what it is about`,
      {
        errors: [{ pointer: `/scopes/${place}`, detail: 'names neither part, parts nor lots' }]
      }
    )
  if (scope.receivedFrom !== undefined && scope.receivedTo !== undefined && scope.receivedFrom > scope.receivedTo)
    throw new Refusal(
      'DaysOutOfOrder',
      422,
      `scope ${place + 1} ends (${scope.receivedTo}) before it begins (${scope.receivedFrom})`,
      {
        errors: [
          {
            pointer: `/scopes/${place}/receivedTo`,
            detail: 'is before receivedFrom',
            sent: scope.receivedTo,
            accepted: `at least ${scope.receivedFrom}`
          }
        ]
      }
    )
}

async function knownParts(ctx: Context, scopes: readonly RecallScopeInput[]): Promise<Map<string, PartRef>> {
  try {
    return await requireParts(ctx, scopes.flatMap(partsOf))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const unknown = new Set(error.extra['unknown'] as string[])
    const errors = scopes.flatMap((scope, place): FieldProblem[] =>
      partsOf(scope)
        .filter((part) => unknown.has(part))
        .map((part) => ({
          pointer: `/scopes/${place}`,
          detail: `names ${part}, which is not in the catalogue`,
          sent: part
        }))
    )
    throw new Refusal(error.code, error.status, error.message, { errors: errors.slice(0, 20), extra: error.extra })
  }
}

async function knownLots(ctx: Context, scopes: readonly RecallScopeInput[]): Promise<Map<string, KnownLot>> {
  const names = [...new Set(scopes.flatMap(({ lots }) => lots ?? []))]
  if (names.length === 0) return new Map()
  const found = new Map(
    (await run(ctx, LOTS, [names.map((name) => name.split('/')[0]), names.map((name) => name.split('/')[1])])).map(
      (lot) => [`${lot.warehouse}/${lot.id}`, lot]
    )
  )
  const unknown = names.filter((name) => !found.has(name))
  if (unknown.length === 0) return found
  const more = unknown.length - NAMED_OFFENDERS
  throw new Refusal(
    'LotUnknown',
    422,
    `there is no lot ${unknown.slice(0, NAMED_OFFENDERS).join(', ')}${more > 0 ? ` and ${more} more` : ''}; lots are named by warehouse and number, as posted slips and aging lists show them`,
    {
      errors: scopes
        .flatMap(({ lots = [] }, place) =>
          lots.flatMap((name, index) =>
            unknown.includes(name)
              ? [{ pointer: `/scopes/${place}/lots/${index}`, detail: 'is no lot', sent: name }]
              : []
          )
        )
        .slice(0, 20),
      extra: { unknown: unknown.slice(0, 50) }
    }
  )
}

async function knownSuppliers(ctx: Context, scopes: readonly RecallScopeInput[]) {
  const codes = [...new Set(scopes.flatMap(({ supplier }) => supplier?.toUpperCase() ?? []))]
  const found = new Map(
    codes.length === 0 ? [] : (await run(ctx, SUPPLIERS, [codes])).map((supplier) => [supplier.code, supplier])
  )
  for (const [place, { supplier }] of scopes.entries()) {
    if (supplier === undefined || found.has(supplier.toUpperCase())) continue
    throw new Refusal('SupplierUnknown', 422, `there is no supplier ${supplier}; GET /v1/suppliers lists them`, {
      errors: [{ pointer: `/scopes/${place}/supplier`, detail: 'is unknown', sent: supplier }]
    })
  }
  return found
}

/** The columns of lines as arrays, for `unnest`, after their numbers. */
export const lineParameters = (lines: readonly RecallLine[]): unknown[] => [
  lines.map((_line, place) => place + 1),
  lines.map(({ partId }) => partId),
  lines.map(({ receivedFrom }) => receivedFrom),
  lines.map(({ receivedTo }) => receivedTo),
  lines.map(({ supplierId }) => supplierId),
  lines.map(({ originWarehouseId }) => originWarehouseId),
  lines.map(({ originLotId }) => originLotId)
]

export const LINE_COLUMNS =
  'line_no, part_id, received_from, received_to, supplier_id, origin_warehouse_id, origin_lot_id'

/** Lines that were not written yet as a relation with `LINE_COLUMNS`; `lineParameters` gives the values. */
export const linesFrom = (first: number): string => {
  const types = ['int', 'int', 'date', 'date', 'int', 'int', 'bigint']
  return `unnest(${types.map((type, index) => `$${first + index}::${type}[]`).join(', ')}) as named (${LINE_COLUMNS})`
}

/**
 * Whether a lot `l` is what a line `n` is about, as SQL. The day is that on which the goods were first received and the supplier that of the slip
 * by which they first came in: neither changes when goods are moved, split or come back (R-REQ-7). The ledger blocks by the same (`recalled_lot`).
 */
const MATCHES = `
       l.part_id = n.part_id
   and (n.received_from is null or l.received_on >= n.received_from)
   and (n.received_to is null or l.received_on <= n.received_to)
   and (n.origin_lot_id is null
        or coalesce(l.origin_warehouse_id, l.warehouse_id) = n.origin_warehouse_id and coalesce(l.origin_lot_id, l.id) = n.origin_lot_id)
   and (n.supplier_id is null
        or n.supplier_id = lot_supplier(coalesce(l.origin_warehouse_id, l.warehouse_id), coalesce(l.origin_lot_id, l.id)))`

/** The lots that the lines of a relation `named` are about, each once, as a relation `matched`; also those of which nothing is left. */
export const MATCHED = `matched as materialized (
  select l.* from lot l
   where l.part_id = any (array(select part_id from named))
     and exists (select 1 from named n where ${MATCHES})
)`

/** The lines of recall $2 of head office $1; further conditions may follow. */
export const NAMED_BY_RECALL = `select * from recall_line where warehouse_id = $1 and recall_id = $2`

/**
 * What of the lines of `named` is between two warehouses now, by transfer and the lot it left, as a relation `in_transit`. Goods that are sent direct to an
 * outlet are there or on the way there, while the papers run through its centre. Loaner units are sent one by one, by slips without a transfer.
 */
export const IN_TRANSIT = `in_transit as materialized (
  select t.warehouse_id, t.id as transfer_id, t.number, t.to_warehouse_id, t.direct_to_warehouse_id, l.id as lot_id, f.quantity, null::text as serial
    from (select f.warehouse_id, f.transfer_id, f.out_lot_id, sum(f.quantity) as quantity
            from transfer t
            join transfer_line line on line.warehouse_id = t.warehouse_id and line.transfer_id = t.id and line.part_id = any (array(select part_id from named))
            join transfer_flow f on f.warehouse_id = t.warehouse_id and f.transfer_id = t.id and f.line_no = line.line_no
           where t.state = 'in-transit'
           group by 1, 2, 3 having sum(f.quantity) > 0) f
    join transfer t on t.warehouse_id = f.warehouse_id and t.id = f.transfer_id
    join lot l on l.warehouse_id = f.warehouse_id and l.id = f.out_lot_id
   where exists (select 1 from named n where ${MATCHES})
   union all
  select l.warehouse_id, null, sent.number, u.moving_to, null, l.id, 1, u.serial
    from loaner_unit u
   cross join lateral (select m.warehouse_id, m.lot_id, m.number
                         from loaner_movement m
                        where m.unit_warehouse_id = u.warehouse_id and m.unit_id = u.id and m.quantity < 0
                        order by m.movement_id desc limit 1) sent
    join lot l on l.warehouse_id = sent.warehouse_id and l.id = sent.lot_id
   where u.part_id = any (array(select part_id from named)) and u.state = 'in-transit'
     and exists (select 1 from named n where ${MATCHES})
)`

/**
 * What of `matched` left for good, or may come back: one row per movement, less what did come back by returns and reversals, as a relation
 * `gone`. What is moved by a transfer left only where it went missing on the way, and a loaner unit that is sent elsewhere did not leave at all; a
 * receipt that was taken back never came.
 *
 * The movements of a part in a warehouse are read once for all its lots, of which there may be thousands. The planner knows nothing of what a CTE
 * holds: `is true` has it look a lot up among those of `matched` by a hash, and `offset 0` a slip by its key, instead of looking through all of them
 * once per movement.
 */
export const GONE = `gone as materialized (
  select m.id, m.warehouse_id, m.lot_id, m.slip_id, m.line_no, m.occurred_on, s.kind, s.purpose, s.number, s.reference, s.counterparty, s.handed_to, outlet.id as outlet_id,
         case when s.transfer_id is null then -m.quantity else lost.quantity end as issued,
         case when s.transfer_id is null then coalesce((select sum(b.quantity_in) from lot b where b.warehouse_id = m.warehouse_id and b.source_movement_id = m.id and not b.undone), 0)
              else 0 end as returned
    from (select warehouse_id, part_id, min(opened_on) as opened_on, max(last_moved_on) as last_moved_on from matched group by 1, 2) place
   cross join lateral (
      select * from movement
       where warehouse_id = place.warehouse_id and part_id = place.part_id and quantity < 0
         and occurred_on >= place.opened_on and occurred_on <= place.last_moved_on
         and ((warehouse_id, lot_id) in (select warehouse_id, id from matched)) is true offset 0) m
   cross join lateral (select * from slip where warehouse_id = m.warehouse_id and id = m.slip_id and kind <> 'reversal' offset 0) s
    left join warehouse outlet on s.purpose = 'outlet' and outlet.code = s.counterparty
    left join lateral (
      select -sum(f.quantity) as quantity from transfer_flow f
       where s.transfer_id is not null and f.warehouse_id = s.transfer_warehouse_id and f.transfer_id = s.transfer_id and f.kind = 'missing'
         and f.out_slip_id = m.slip_id and f.out_line_no = m.line_no and f.out_lot_id = m.lot_id) lost on true
   where lost.quantity > 0
      or (s.transfer_id is null
          and not (s.kind = 'transfer-out' and exists (
                select 1 from loaner_move mv
                 where mv.warehouse_id = m.warehouse_id and mv.slip_id = m.slip_id and mv.line_no = m.line_no and mv.purpose = 'transfer-out')))
)`

/** Who has to answer a recall, as SQL: who was concerned when it began, wherever goods of it came to lie since, and whoever answered. */
export const concerned = (recall: string): string => `
  select warehouse_id from recall_warehouse where recall_id = ${recall}
  union select b.warehouse_id from lot_block b join lot l on l.warehouse_id = b.warehouse_id and l.id = b.lot_id and not l.exhausted where b.recall_id = ${recall}
  union select warehouse_id from recall_answer where recall_id = ${recall}`
