// Old parts come back to the centre: a slip takes them into nonconforming own stock at no cost, with its three signatures. Nothing is returned
// before it is posted; until then the slip holds what it is about, so that nothing is taken in twice.
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, normalQuantity, thousandths } from '../platform/decimal.ts'
import { Refusal, type FieldProblem } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { MAX_LINES } from '../slips/slips.schemas.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { lockOldParts, noteOldPart, type OldPartPosition } from './old-part.ts'
import type { Grade, OldPartReturnView, ReturnOldParts } from './old-parts.schemas.ts'

type NewLine = ReturnOldParts['lines'][number]

/** A piece of what comes back: what of a line is of one old part. */
interface Piece {
  oldPart: OldPartPosition
  part: string
  quantity: string
  serial: string | null
  grade: Grade
  note: string | null
  position: number
}

// What the outlet may still bring to this warehouse: the centre of the old part, who issued it, or the head office. What is settled
// counts only while something of it was compensated and did not turn up.
const CANDIDATES = statement<{ id: string }>(`
select o.id::text as id
  from old_part o
 where o.warehouse_id = $1 and (o.centre_id = $2 or o.issued_by = $2 or $3)
   and (o.number = any ($4::text[])
        or (o.part_id in (select id from part where number = any ($5::text[]))
            and (o.settled_at is null or exists (
              select 1 from old_part_write_off w
               where w.warehouse_id = o.warehouse_id and w.old_part_id = o.id and w.state = 'approved' and w.turned_up < w.quantity))))`)

const SERIAL_LOCK = statement<never>(`select pg_advisory_xact_lock(7305022, hashtext($1))`)

// A serial that came in stays in until its lot was refurbished: only then can the unit have gone out and come back once more.
const SERIALS = statement<{ serial: string; slip: string; state: string }>(`
select distinct on (b.serial) b.serial, s.number as slip, s.state
  from old_part_return b
  join old_part o on o.warehouse_id = b.outlet_id and o.id = b.old_part_id
  join part on part.id = o.part_id
  join unnest($1::text[], $2::text[]) as given (part, serial) on given.part = part.number and given.serial = b.serial
  join slip s on s.warehouse_id = b.warehouse_id and s.id = b.slip_id
 where s.state <> 'cancelled'
   and not exists (select 1 from slip r where r.warehouse_id = s.warehouse_id and r.source_slip_id = s.id and r.kind = 'reversal' and r.state = 'posted')
   and not exists (
     select 1 from movement m
       join lot gone on (gone.warehouse_id = m.warehouse_id and gone.id = m.lot_id) or (gone.origin_warehouse_id = m.warehouse_id and gone.origin_lot_id = m.lot_id)
       join slip_line taken on taken.warehouse_id = gone.warehouse_id and taken.lot_id = gone.id
       join slip f on f.warehouse_id = taken.warehouse_id and f.id = taken.slip_id and f.kind = 'refurbishment' and f.state = 'posted'
      where m.warehouse_id = b.warehouse_id and m.occurred_on = s.occurred_on and m.slip_id = b.slip_id and m.line_no = b.line_no
        and not exists (select 1 from slip r where r.warehouse_id = f.warehouse_id and r.source_slip_id = f.id and r.kind = 'reversal' and r.state = 'posted'))
 order by b.serial, s.id desc`)

const KEEP = statement<never>(`
insert into old_part_return (warehouse_id, slip_id, line_no, outlet_id, old_part_id, quantity, serial, grade, note)
select $1, $2, line_no, $3, old_part_id, quantity, serial, grade, note
  from unnest($4::int[], $5::bigint[], $6::numeric[], $7::text[], $8::text[], $9::text[]) as line (line_no, old_part_id, quantity, serial, grade, note)`)

/**
 * Writes the slip by which old parts come back (旧件入库单, R-REQ-6). A line names the old part, or the part: then what the outlet has owed
 * longest. What is no old part of the outlet (`wrong-part`) is noted and not taken in. What was compensated may still come back.
 * @throws Refusal 422 `OldPartUnknown`, `OldPartOrPart`, `SerialMissing`, `SerialOfOne`, 409 `MoreThanOutstanding`, `SerialReturnedAlready`,
 *   those of `writeSlip`, 403 without the duty keeper of the warehouse that takes them in
 */
export async function returnOldParts(ctx: Context, input: ReturnOldParts): Promise<OldPartReturnView> {
  const warehouse = await warehouseByCode(ctx, input.warehouse)
  requireDuty(ctx, 'keeper', warehouse)
  input.lines.forEach(requireOneName)
  const outlet = await outletOf(ctx, input)
  return inTransaction(ctx, async (inner) => {
    const positions = await candidates(inner, { outlet, warehouse }, input.lines)
    const pieces = allotted(input, positions)
    const accepted = pieces.filter(({ grade }) => grade !== 'wrong-part')
    await refuseKnownSerials(inner, accepted)
    for (const { oldPart, quantity, serial, note } of pieces.filter(({ grade }) => grade === 'wrong-part'))
      await noteOldPart(inner, { outletId: outlet.id, id: oldPart.id }, 'old-part-not-accepted', {
        number: oldPart.number,
        part: oldPart.part,
        quantity,
        at: warehouse.code,
        ...(serial !== null && { serial }),
        ...(note !== null && { note })
      })
    const slip = accepted.length === 0 ? null : await takeIn(inner, { warehouse, outlet }, input, accepted)
    return {
      slip,
      lines: pieces.map((piece) => {
        const line = accepted.indexOf(piece)
        const { oldPart, part, quantity, serial, grade } = piece
        return { oldPart: oldPart.number, part, quantity, serial, grade, slipLine: line === -1 ? null : line + 1 }
      })
    }
  })
}

/** The outlet they come from. One that is not there owes nothing, like one that the actor knows nothing of. */
async function outletOf(ctx: Context, input: ReturnOldParts): Promise<Warehouse> {
  try {
    return await warehouseByCode(ctx, input.from)
  } catch (error) {
    const [first] = input.lines
    if (first === undefined || !(error instanceof Refusal) || error.status !== 404) throw error
    throw unknownAt(0, input, first)
  }
}

const unknownAt = (
  position: number,
  { from, warehouse }: ReturnOldParts,
  { oldPart, part }: Pick<NewLine, 'oldPart' | 'part'>
): Refusal =>
  atLine(position, {
    code: 'OldPartUnknown',
    status: 422,
    detail: `${from} owes no old part ${oldPart ?? part} to ${warehouse}; GET /v1/old-parts?outlet=${from} lists what it owes and to whom`,
    member: oldPart === undefined ? 'part' : 'oldPart',
    sent: oldPart ?? part
  })

function requireOneName({ oldPart, part }: NewLine, position: number): void {
  if ((oldPart === undefined) !== (part === undefined)) return
  throw atLine(position, {
    code: 'OldPartOrPart',
    status: 422,
    detail: 'name the old part, or the part: exactly one of the two',
    member: oldPart === undefined ? 'oldPart' : 'part'
  })
}

function atLine(
  position: number,
  {
    code,
    status,
    detail,
    member,
    ...problem
  }: { code: string; status: number; detail: string; member: string } & Partial<FieldProblem>
): Refusal {
  return new Refusal(code, status, `line ${position + 1}: ${detail}`, {
    errors: [{ ...problem, pointer: `/lines/${position}/${member}`, detail }]
  })
}

async function candidates(
  ctx: Context,
  { outlet, warehouse }: { outlet: Warehouse; warehouse: Warehouse },
  lines: readonly NewLine[]
): Promise<OldPartPosition[]> {
  const found = await run(ctx, CANDIDATES, [
    outlet.id,
    warehouse.id,
    warehouse.kind === 'head-office',
    lines.flatMap(({ oldPart }) => oldPart ?? []),
    lines.flatMap(({ part }) => part ?? [])
  ])
  return lockOldParts(
    ctx,
    outlet.id,
    found.map(({ id }) => id)
  )
}

/** The lines as pieces of old parts: what is due longest first, what was compensated already last. */
function allotted(input: ReturnOldParts, positions: readonly OldPartPosition[]): Piece[] {
  const left = new Map(
    positions.map(({ id, quantity, cameBack, returned, arriving, outstanding }) => {
      const all = thousandths(quantity) - thousandths(cameBack) - thousandths(returned) - thousandths(arriving)
      const due = thousandths(outstanding) - thousandths(arriving)
      return [id, { all: all < 0n ? 0n : all, due: due < 0n ? 0n : due }]
    })
  )
  return input.lines.flatMap((line, position) => {
    const mine = positions.filter(({ number, part }) =>
      line.oldPart === undefined ? part === line.part : number === line.oldPart
    )
    const [oldest] = mine
    if (oldest === undefined) throw unknownAt(position, input, line)
    const wanted = thousandths(normalQuantity(line.quantity ?? '1'))
    requireSerial(line, position, { oldPart: oldest, wanted })
    const said = { serial: line.serial ?? null, grade: line.grade, note: line.note ?? null, position }
    if (line.grade === 'wrong-part')
      return [{ ...said, oldPart: oldest, part: oldest.part, quantity: decimal(wanted, 3) }]

    const pieces: Piece[] = []
    let open = wanted
    const take = (oldPart: OldPartPosition, most: 'due' | 'all') => {
      const available = left.get(oldPart.id)
      if (available === undefined || open === 0n) return
      const taken = open < available[most] ? open : available[most]
      if (taken <= 0n) return
      open -= taken
      left.set(oldPart.id, { all: available.all - taken, due: available.due > taken ? available.due - taken : 0n })
      pieces.push({ ...said, oldPart, part: oldPart.part, quantity: decimal(taken, 3) })
    }
    for (const oldPart of mine) take(oldPart, 'due')
    for (const oldPart of mine) take(oldPart, 'all')
    if (open > 0n) {
      const possible = decimal(wanted - open, 3)
      const arriving = mine.filter((oldPart) => oldPart.arriving !== '0').map(({ number }) => number)
      throw atLine(position, {
        code: 'MoreThanOutstanding',
        status: 409,
        detail: `${decimal(wanted, 3)} of ${line.oldPart ?? line.part} would come back, ${possible} can${arriving.length > 0 ? `; slips that are not posted yet bring some of ${arriving.slice(0, 5).join(', ')}` : ''}`,
        member: 'quantity',
        sent: line.quantity ?? '1',
        accepted: possible
      })
    }
    return merged(pieces)
  })
}

/** One piece per old part, where what is due and what was compensated come together. */
const merged = (pieces: readonly Piece[]): Piece[] =>
  [...Map.groupBy(pieces, ({ oldPart }) => oldPart.id).values()].flatMap((some) => {
    const [first] = some
    if (first === undefined) return []
    return [
      {
        ...first,
        quantity: decimal(
          some.reduce((sum, { quantity }) => sum + thousandths(quantity), 0n),
          3
        )
      }
    ]
  })

function requireSerial(
  { serial, grade, quantity }: NewLine,
  position: number,
  { oldPart, wanted }: { oldPart: OldPartPosition; wanted: bigint }
): void {
  if (serial === undefined && oldPart.serialised && grade !== 'wrong-part')
    throw atLine(position, {
      code: 'SerialMissing',
      status: 422,
      detail: `${oldPart.part} comes back by serial number; give each piece a line with its serial`,
      member: 'serial'
    })
  if (serial !== undefined && wanted !== 1000n)
    throw atLine(position, {
      code: 'SerialOfOne',
      status: 422,
      detail: 'a serial number is of one piece; give each piece a line of its own',
      member: 'quantity',
      sent: quantity,
      accepted: '1'
    })
}

/** @throws Refusal 409 `SerialReturnedAlready` */
async function refuseKnownSerials(ctx: Context, pieces: readonly Piece[]): Promise<void> {
  const named = pieces.flatMap(({ serial, part, position }) => (serial === null ? [] : [{ serial, part, position }]))
  if (named.length === 0) return
  const refuse = (position: number, serial: string, where: string) =>
    atLine(position, {
      code: 'SerialReturnedAlready',
      status: 409,
      detail: `the serial ${serial} came back already ${where}; check the number`,
      member: 'serial',
      sent: serial
    })
  const seen = new Set<string>()
  for (const { serial, part, position } of named) {
    const key = JSON.stringify([part, serial])
    if (seen.has(key)) throw refuse(position, serial, 'on another line')
    seen.add(key)
  }
  // In one order, so that two deliveries that name the same serials wait for each other instead of for each other's locks.
  for (const key of [...seen].sort()) await run(ctx, SERIAL_LOCK, [key])
  const known = await run(ctx, SERIALS, [named.map(({ part }) => part), named.map(({ serial }) => serial)])
  for (const { serial, slip, state } of known) {
    const { position = 0 } = named.find((piece) => piece.serial === serial) ?? {}
    throw refuse(position, serial, state === 'posted' ? `by ${slip}` : `on ${slip}, which is ${state}`)
  }
}

/** Writes the slip and what each of its lines is about; answers its number. */
async function takeIn(
  ctx: Context,
  { warehouse, outlet }: { warehouse: Warehouse; outlet: Warehouse },
  { occurredOn, deliveryNote, note }: ReturnOldParts,
  pieces: readonly Piece[]
): Promise<string> {
  if (pieces.length > MAX_LINES)
    throw new Refusal(
      'TooManyLines',
      422,
      `these are pieces of ${pieces.length} old parts, and a slip has at most ${MAX_LINES} lines; split the delivery`
    )
  const slip = await writeSlip(ctx, warehouse, {
    kind: 'old-part-in',
    counterparty: outlet.code,
    ...(occurredOn !== undefined && { occurredOn }),
    ...(deliveryNote !== undefined && { deliveryNote }),
    ...(note !== undefined && { note }),
    lines: pieces.map(({ oldPart, part, quantity, serial, grade, note: found }) => ({
      part,
      quantity,
      ownership: 'own' as const,
      condition: 'nonconforming' as const,
      unitCost: '0',
      // On the paper, so that what three sign is this old part, with this serial, in this condition.
      note: [
        oldPart.number,
        ...(serial === null ? [] : [`serial ${serial}`]),
        grade,
        ...(found === null ? [] : [found])
      ].join('; ')
    }))
  })
  await run(ctx, KEEP, [
    warehouse.id,
    slip.id,
    outlet.id,
    pieces.map((_piece, index) => index + 1),
    pieces.map(({ oldPart }) => oldPart.id),
    pieces.map(({ quantity }) => quantity),
    pieces.map(({ serial }) => serial),
    pieces.map(({ grade }) => grade),
    pieces.map(({ note: found }) => found)
  ])
  return slip.number
}
