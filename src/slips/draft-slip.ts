import type { Context } from '../identity/actor.ts'
import { requireParts, type PartRef } from '../catalogue/parts.queries.ts'
import { supplierAuthorised } from '../catalogue/suppliers.queries.ts'
import { toStockUnits } from '../catalogue/units.ts'
import type { Carried, Condition, Ownership } from '../ledger/post.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, normalQuantity, thousandths } from '../platform/decimal.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { requireOpen, type Warehouse } from '../warehouses/directory.ts'
import { fulfilling } from './fulfil-expected-receipts.ts'
import { SLIP_KIND_RULES, type SlipKind } from './slip-kinds.ts'
import type { Difference, Slip, SlipLine } from './slip.ts'
import { SLIP_NUMBER, type AmendSlip, type NewSlipLine } from './slips.schemas.ts'
import { loadSlip } from './slip.ts'

/** What a slip says, checked and in stock units, before it has a number. */
export interface SlipDraft {
  kind: SlipKind
  purpose: Slip['purpose']
  occurredOn: string
  reference: string | null
  counterparty: string | null
  supplier: { id: number; code: string } | null
  deliveryNote: string | null
  packagesExpected: number | null
  packagesReceived: number | null
  note: string | null
  reason: string | null
  source: Slip['source']
  lines: SlipLine[]
}

/** A line that a document of another room writes (`writeSlip`). */
export type RoomLine = NewSlipLine & {
  /** The lot that goods which leave are taken from, whatever its age, and also while a recall blocks it. */
  lot?: string | undefined
  /** The line is one unit of a loaner model, whose serial number its room keeps. */
  isLoanerUnit?: boolean | undefined
  /** What goods that come in are reserved for, in the same statement as they are posted. */
  reserveFor?: string | undefined
  /** What goods from another warehouse left it with; all of it or nothing (`Carried`). */
  costIn?: string | undefined
  chargeIn?: string | undefined
  /** A day of the month through which they were charged. */
  chargedUntil?: string | undefined
  /** `rate_skipped` of the lot they left from; nothing unless given. */
  rateSkipped?: string | undefined
  /** The lot by which they first came into the company: that of the lot they left from, else this itself. */
  origin?: { warehouseId: number; lotId: string } | null | undefined
  /** What left another warehouse and did not arrive, in `unit`, beside a quantity of 0: the line moves nothing, and is signed with the rest. */
  missing?: string | undefined
}

type RoomInput = Omit<AmendSlip, 'lines'> & { lines?: RoomLine[] | undefined }

/**
 * Checks what a slip says against the catalogue, its kind and the calendar.
 * @throws Refusal `FutureDay`, `LinesMissing`, `PartUnknown`, `UnitNotOfPart`, `QuantityNotPositive`, `UnitCostMissing`, `ConditionNotIssued`,
 *   `SupplierNotAuthorised`, `SourceSlip…` and others, each 422 with the line it is about
 */
export async function draftSlip(
  ctx: Context,
  warehouse: Warehouse,
  kind: SlipKind,
  input: RoomInput,
  amended?: string
): Promise<SlipDraft> {
  const rules = SLIP_KIND_RULES[kind]
  const occurredOn = requireDay(ctx, input.occurredOn)
  requireOpen(warehouse, occurredOn)
  if (input.purpose !== undefined && kind !== 'issue')
    throw misplaced('/purpose', `only an issue has a purpose, not a ${kind}`)
  if (input.supplier !== undefined && kind !== 'receipt' && kind !== 'supplier-return')
    throw misplaced('/supplier', `only receipts and supplier returns name a supplier, not a ${kind}`)
  const source = await requireSource(ctx, warehouse, kind, { occurredOn, reference: input.reference, amended })
  const drafted =
    kind === 'reversal'
      ? reversed(source, input.lines)
      : await draftLines(ctx, kind, requireLines(input.lines), { source, occurredOn })
  const supplier = await requireSupplier(ctx, kind, input, drafted, occurredOn)
  await requireReservations(ctx, warehouse, drafted)
  const lines = kind === 'reversal' ? drafted : await fulfilling(ctx, warehouse, { kind, supplier, lines: drafted })
  return {
    kind,
    purpose: kind === 'issue' ? (input.purpose ?? 'repair-order') : null,
    occurredOn,
    reference: input.reference ?? null,
    counterparty: input.counterparty ?? null,
    supplier,
    deliveryNote: input.deliveryNote ?? null,
    packagesExpected: input.packagesExpected ?? null,
    packagesReceived: input.packagesReceived ?? null,
    note: input.note ?? null,
    reason: input.reason ?? null,
    source:
      source === null
        ? null
        : { id: source.id, number: source.number, kind: source.kind, occurredOn: source.occurredOn },
    lines: numbered(lines, rules.direction)
  }
}

const misplaced = (pointer: string, detail: string) =>
  new Refusal('FieldMisplaced', 422, detail, { errors: [{ pointer, detail }] })

/** The day on the paper: today unless given. */
function requireDay(ctx: Context, day: string | undefined): string {
  const today = ctx.clock.today()
  if (day !== undefined && day > today) {
    throw new Refusal('FutureDay', 422, `a slip is dated today (${today}) or earlier, not ${day}`, {
      errors: [{ pointer: '/occurredOn', detail: 'lies in the future', sent: day, accepted: `at most ${today}` }]
    })
  }
  return requireLikelyDay(day ?? today, '/occurredOn')
}

/** A day before this is a slip of the pen, and goods of it would count as worth nothing. */
const EARLIEST_DAY = '2000-01-01'

/** @throws Refusal `DayTooEarly` */
export function requireLikelyDay(day: string, pointer: string): string {
  if (day >= EARLIEST_DAY) return day
  throw new Refusal('DayTooEarly', 422, `${day} is before ${EARLIEST_DAY}; check the year`, {
    errors: [
      { pointer, detail: 'is before anything could have happened', sent: day, accepted: `at least ${EARLIEST_DAY}` }
    ]
  })
}

function requireLines(lines: RoomLine[] | undefined): RoomLine[] {
  if (lines !== undefined) return lines
  throw new Refusal('LinesMissing', 422, 'a slip has at least one line', {
    errors: [{ pointer: '/lines', detail: 'is missing' }]
  })
}

/** A line before it has its number; `position` is where it stood in what was sent. */
export type DraftLine = Omit<SlipLine, 'line'> & { position: number }

/** The parts that the catalogue does not know, each with its line (R-ERR-1). */
function atLines({ code, status, message, extra }: Refusal, lines: NewSlipLine[]): Refusal {
  const unknown = new Set(extra['unknown'] as string[])
  const errors = lines.flatMap(({ part }, position) =>
    unknown.has(part) ? [{ pointer: `/lines/${position}/part`, detail: 'is not in the catalogue', sent: part }] : []
  )
  return new Refusal(code, status, message, { errors: errors.slice(0, 20), extra })
}

async function draftLines(
  ctx: Context,
  kind: SlipKind,
  lines: RoomLine[],
  { source, occurredOn }: { source: Slip | null; occurredOn: string }
): Promise<DraftLine[]> {
  const parts = await requireParts(
    ctx,
    lines.map(({ part }) => part)
  ).catch((error: unknown) => {
    throw error instanceof Refusal ? atLines(error, lines) : error
  })
  return lines.flatMap((line, position) => {
    const part = parts.get(line.part)
    if (part === undefined) throw new Error(`${line.part} was required a moment ago`)
    try {
      return draftLine(kind, line, { part, position, source, occurredOn })
    } catch (error) {
      if (!(error instanceof Refusal) || error.errors.length > 0) throw error
      throw new Refusal(error.code, error.status, `line ${position + 1}: ${error.message}`, {
        errors: [{ pointer: `/lines/${position}`, detail: error.message }],
        extra: error.extra
      })
    }
  })
}

function draftLine(
  kind: SlipKind,
  line: RoomLine,
  { part, position, source, occurredOn }: { part: PartRef; position: number; source: Slip | null; occurredOn: string }
): DraftLine[] {
  const rules = SLIP_KIND_RULES[kind]
  const refuse = (code: string, member: string, detail: string, accepted?: unknown) =>
    new Refusal(code, 422, `line ${position + 1} (${part.number}): ${detail}`, {
      errors: [{ pointer: `/lines/${position}/${member}`, detail, sent: line[member as keyof NewSlipLine], accepted }]
    })

  const unit = line.unit ?? part.unit
  const quantity = normalQuantity(toStockUnits(part, line.quantity, unit))
  const stated = line.expectedQuantity ?? line.missing
  const expected = stated === undefined ? null : normalQuantity(toStockUnits(part, stated, unit))
  // Goods that are on the delivery note and did not arrive at all are a line too: it moves nothing and opens a report.
  const isMissing =
    quantity === '0' && (kind === 'receipt' || line.missing !== undefined) && expected !== null && expected !== '0'
  if ((quantity === '0' && !isMissing) || (quantity.startsWith('-') && rules.direction !== 'either')) {
    throw refuse(
      'QuantityNotPositive',
      'quantity',
      kind === 'receipt'
        ? 'the quantity must be more than zero, or zero beside an expected quantity of which nothing arrived'
        : 'the quantity must be more than zero',
      'a decimal string such as "5"'
    )
  }
  const incoming = rules.direction === 'in' || (rules.direction === 'either' && !quantity.startsWith('-'))
  const origin = source === null ? null : sourceLineOf(source, line, refuse)
  const ownership: Ownership = line.ownership ?? origin?.ownership ?? 'own'
  const condition: Condition = line.condition ?? 'qualified'
  if (!rules.conditions.includes(condition)) {
    throw refuse(
      'ConditionNotIssued',
      'condition',
      `${condition} goods never leave by ${kind}; scrap, return or transfer them instead`,
      rules.conditions
    )
  }
  if (origin !== null && ownership !== origin.ownership)
    throw refuse(
      'OwnershipDiffers',
      'ownership',
      `these goods left as ${origin.ownership} and come back as that`,
      origin.ownership
    )
  if (line.receivedOn !== undefined && !(rules.carriesAge ?? false))
    throw refuse('FieldMisplaced', 'receivedOn', `only opening stock and transfers in carry an age, not a ${kind}`)
  if (line.receivedOn !== undefined) requireLikelyDay(line.receivedOn, `/lines/${position}/receivedOn`)
  if (line.receivedOn !== undefined && line.receivedOn > occurredOn)
    throw refuse('FutureDay', 'receivedOn', `goods were received on the day of the slip (${occurredOn}) or earlier`)
  if (line.expectedQuantity !== undefined && kind !== 'receipt')
    throw refuse('FieldMisplaced', 'expectedQuantity', 'only a receipt is checked against a delivery note')
  if (line.difference !== undefined && kind !== 'receipt')
    throw refuse('FieldMisplaced', 'difference', 'only a receipt opens a quality report')
  if (line.expectedReceipt !== undefined && kind !== 'receipt' && kind !== 'transfer-in')
    throw refuse(
      'FieldMisplaced',
      'expectedReceipt',
      `only a receipt or a transfer in fulfils what was on its way, not a ${kind}`
    )
  if (line.expectedReceipt !== undefined && condition !== 'qualified')
    throw refuse(
      'FieldMisplaced',
      'expectedReceipt',
      'only qualified goods fulfil what was ordered; leave it away, and what is owed stays on order'
    )
  if (part.loanerFamily !== null && line.isLoanerUnit !== true)
    throw refuse(
      'LoanerModel',
      'part',
      'is a loaner model (备用机), whose units move one by one under their serial numbers: they are registered, lent, returned, transferred and retired under /v1/loaners, and such a slip is cancelled and written anew there'
    )
  if (kind === 'receipt' && !part.active)
    throw refuse('PartInactive', 'part', 'the part is no longer bought; receive its successor, or make it active again')
  if (line.reservation !== undefined && incoming)
    throw refuse('FieldMisplaced', 'reservation', 'only goods that leave take from a reservation')

  const drafted: DraftLine = {
    position,
    partId: part.id,
    part: part.number,
    name: part.name,
    nameZh: part.nameZh,
    specification: part.specification,
    colour: part.colour,
    quantity: incoming || quantity.startsWith('-') ? quantity : `-${quantity}`,
    unit,
    unitQuantity: normalQuantity(line.quantity).replace('-', ''),
    unitCost: unitCostOf(),
    ownership,
    condition,
    expectedQuantity: expected,
    receivedOn: line.receivedOn ?? null,
    sourceLine: origin?.line ?? null,
    reservation: line.reservation ?? null,
    lot: incoming ? null : (line.lot ?? null),
    reserveFor: incoming ? (line.reserveFor ?? null) : null,
    carried: incoming ? carriedBy(line) : null,
    difference: null,
    note: line.note ?? null,
    expectedReceipt: line.expectedReceipt ?? null,
    expectedReceiptId: null
  }
  return kind === 'receipt' ? checkedAgainstNote(drafted, part, line, refuse) : [drafted]

  function unitCostOf(): string | null {
    if (!incoming || origin !== null) {
      if (line.unitCost !== undefined)
        throw refuse(
          'FieldMisplaced',
          'unitCost',
          incoming ? 'goods come back at the cost they left with' : 'goods leave at the cost of their lots'
        )
      return null
    }
    if (ownership === 'consigned') {
      if (line.unitCost !== undefined && /[1-9]/.test(line.unitCost))
        throw refuse(
          'ConsignedHasNoCost',
          'unitCost',
          'consigned goods carry no cost of this department; leave the unit cost away'
        )
      return null
    }
    const cost = line.unitCost ?? part.standardCost
    if (cost === null)
      throw refuse('UnitCostMissing', 'unitCost', 'the part has no standard cost, so the line needs a unit cost')
    const [whole = '0', places = ''] = cost.split('.')
    return `${whole}.${places.padEnd(4, '0')}`
  }
}

function carriedBy({ costIn, chargeIn, chargedUntil, rateSkipped = '0', origin = null }: RoomLine): Carried | null {
  if (costIn === undefined || chargeIn === undefined || chargedUntil === undefined) return null
  return { costIn, chargeIn, chargedUntil: `${chargedUntil.slice(0, 7)}-01`, rateSkipped, origin }
}

type RefuseLine = (code: string, member: string, detail: string, accepted?: unknown) => Refusal

/**
 * Expected and received, and what is faulty: faulty goods become a line of their own (R-IN-2), in stock units, because a box
 * cannot be split in boxes. Goods entered as nonconforming from the start differ in quality too; whose fault it was is then
 * found out when the report is settled.
 */
function checkedAgainstNote(drafted: DraftLine, part: PartRef, line: NewSlipLine, refuse: RefuseLine): DraftLine[] {
  const stated = line.difference?.faultyQuantity
  const faulty = stated === undefined ? null : normalQuantity(toStockUnits(part, stated, drafted.unit))
  const isFaultyWhole = faulty === null && drafted.condition === 'nonconforming' && drafted.quantity !== '0'
  const aspects = new Set<string>(line.difference?.aspects)
  if (drafted.expectedQuantity !== null && drafted.expectedQuantity !== drafted.quantity) aspects.add('quantity')
  if (faulty !== null || isFaultyWhole) aspects.add('quality')
  if (aspects.size === 0) {
    if (line.difference !== undefined)
      throw refuse('DifferenceEmpty', 'difference', 'say what differs: aspects, or a faulty quantity')
    return [drafted]
  }
  const responsibleParty = line.difference?.responsibleParty ?? null
  const difference: Difference = {
    aspects: [...aspects].sort(),
    responsibleParty,
    expectedQuantity: drafted.expectedQuantity,
    receivedQuantity: drafted.quantity,
    faultyQuantity: isFaultyWhole ? drafted.quantity : faulty,
    description: line.difference?.description ?? null
  }
  if (faulty === null) return [{ ...drafted, difference }]
  if (responsibleParty === null)
    throw refuse(
      'ResponsiblePartyMissing',
      'difference',
      'who answers for faulty goods decides whose they are; name the responsible party',
      ['production', 'carrier', 'own-department']
    )
  const good = thousandths(drafted.quantity) - thousandths(faulty)
  if (good < 0n)
    throw refuse(
      'FaultyExceedsReceived',
      'difference',
      `${stated} faulty of ${line.quantity} ${drafted.unit} received is not possible`
    )
  const ownership: Ownership = responsibleParty === 'own-department' ? drafted.ownership : 'consigned'
  const nonconforming: DraftLine = {
    ...drafted,
    quantity: faulty,
    unitQuantity: faulty,
    unit: part.unit,
    ownership,
    condition: 'nonconforming',
    // Faulty goods are not what was ordered: it stays on order until good ones arrive or somebody ends it.
    expectedReceipt: null,
    unitCost: ownership === 'consigned' ? null : drafted.unitCost,
    expectedQuantity: null,
    difference
  }
  if (good === 0n) return [{ ...nonconforming, expectedQuantity: drafted.expectedQuantity }]
  const rest = decimal(good, 3)
  return [{ ...drafted, quantity: rest, unitQuantity: rest, unit: part.unit }, nonconforming]
}

function sourceLineOf(source: Slip, line: NewSlipLine, refuse: RefuseLine): SlipLine {
  const candidates = source.lines.filter(
    (candidate) => candidate.part === line.part && (line.sourceLine === undefined || candidate.line === line.sourceLine)
  )
  const [only, another] = candidates
  if (only === undefined)
    throw refuse(
      'SourceLineUnknown',
      'part',
      `${source.number} has no ${line.sourceLine === undefined ? 'line' : `line ${line.sourceLine}`} with this part`,
      source.lines.map((candidate) => candidate.part)
    )
  if (another !== undefined)
    throw refuse(
      'SourceLineAmbiguous',
      'sourceLine',
      `${source.number} has this part on lines ${candidates.map((candidate) => candidate.line).join(', ')}; say which by sourceLine`,
      candidates.map((candidate) => candidate.line)
    )
  return only
}

/** The posted slip that goods return from, or that is reversed. */
async function requireSource(
  ctx: Context,
  warehouse: Warehouse,
  kind: SlipKind,
  { occurredOn, reference, amended }: { occurredOn: string; reference: string | undefined; amended: string | undefined }
): Promise<Slip | null> {
  const { returnsFrom } = SLIP_KIND_RULES[kind]
  if (returnsFrom === undefined && kind !== 'reversal') return null
  const wanted =
    kind === 'reversal' ? 'the posted slip it reverses' : `the posted ${returnsFrom?.join(' or ')} its goods left by`
  const refuse = (detail: string) =>
    new Refusal('SourceSlipRequired', 422, `a ${kind} names ${wanted} as its reference: ${detail}`, {
      errors: [
        { pointer: '/reference', detail, sent: reference, accepted: 'a slip number such as HQ-OUT-202611-00017' }
      ]
    })
  if (reference === undefined) throw refuse('the reference is missing')
  if (!new RegExp(SLIP_NUMBER).test(reference)) throw refuse(`"${reference}" is not a slip number`)
  const { slip, warehouse: home } = await loadSlip(ctx, reference).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? refuse(`there is no slip ${reference} here`) : error
  })
  if (home.id !== warehouse.id)
    throw refuse(`${reference} belongs to warehouse ${home.code}; goods go back where they left`)
  if (slip.state !== 'posted')
    throw new Refusal(
      'SourceSlipNotPosted',
      409,
      `${reference} is ${slip.state}, so nothing of it has moved; cancel it instead`
    )
  if (returnsFrom !== undefined && !returnsFrom.includes(slip.kind)) throw refuse(`${reference} is a ${slip.kind}`)
  if (kind === 'reversal' && slip.kind === 'reversal')
    throw new Refusal('ReversalNotReversed', 422, `${reference} is a reversal itself; write a new slip instead`)
  if (kind === 'reversal') await refuseSecondReversal(ctx, warehouse, slip, amended)
  if (kind === 'reversal' && slip.kind === 'transfer-out') await refuseIfArrived(ctx, warehouse, slip)
  if (occurredOn < slip.occurredOn)
    throw new Refusal(
      'BeforeSourceSlip',
      422,
      `a ${kind} is dated on or after ${slip.occurredOn}, the day of ${reference}`,
      {
        errors: [
          {
            pointer: '/occurredOn',
            detail: 'is before the day of the slip it refers to',
            sent: occurredOn,
            accepted: `at least ${slip.occurredOn}`
          }
        ]
      }
    )
  return slip
}

function reversed(source: Slip | null, lines: NewSlipLine[] | undefined): DraftLine[] {
  if (source === null) throw new Error('a reversal has a source')
  if (lines !== undefined)
    throw misplaced('/lines', 'a reversal takes the lines of the slip it reverses, all of them; leave lines away')
  // What a transfer-in says is missing moved nothing, and is taken back all the same: its line stands in the reversal with it.
  const isMissing = ({ quantity }: { quantity: string }) => source.kind === 'transfer-in' && quantity === '0'
  const taken = source.lines.filter((line) => line.quantity !== '0' || isMissing(line))
  if (taken.length === 0)
    throw new Refusal(
      'NothingToReverse',
      422,
      `${source.number} moved nothing: all of its goods were missing, and its quality report says so; there is nothing to take back`
    )
  return taken.map((line, position) => ({
    ...line,
    position,
    quantity: isMissing(line) ? '0' : line.quantity.startsWith('-') ? line.quantity.slice(1) : `-${line.quantity}`,
    unitCost: null,
    expectedQuantity: isMissing(line) ? line.expectedQuantity : null,
    receivedOn: null,
    sourceLine: line.line,
    reservation: null,
    lot: null,
    reserveFor: null,
    carried: null,
    difference: null
  }))
}

const REVERSAL = statement<{ id: string; number: string; state: string }>(`
select id, number, state from slip where warehouse_id = $1 and source_slip_id = $2 and kind = 'reversal' and state <> 'cancelled'`)

async function refuseSecondReversal(ctx: Context, warehouse: Warehouse, slip: Slip, amended: string | undefined) {
  const [reversal] = await run(ctx, REVERSAL, [warehouse.id, slip.id])
  if (reversal === undefined || reversal.id === amended) return
  const wayOut = reversal.state === 'posted' ? '' : '; sign and post that one, amend it, or cancel it first'
  throw new Refusal(
    'AlreadyReversed',
    409,
    `${slip.number} is reversed by ${reversal.number}, which is ${reversal.state}; a slip is reversed once${wayOut}`,
    { extra: { reversal: reversal.number, state: reversal.state } }
  )
}

const ARRIVED = statement<{ slips: string | null }>(
  `select string_agg(distinct slip, ', ') as slips from transfer_hold where warehouse_id = $1 and out_slip_id = $2`
)

/** What was sent and is accounted for elsewhere is not taken back here: the posting would refuse it. */
async function refuseIfArrived(ctx: Context, warehouse: Warehouse, { id, number }: Slip): Promise<void> {
  const [found] = await run(ctx, ARRIVED, [warehouse.id, id])
  if (found?.slips != null) throw sentOnwards(number, found.slips)
}

export const sentOnwards = (number: string, slips: string): Refusal =>
  new Refusal(
    'GoodsArrived',
    409,
    `goods of ${number} are received, missing or called back by ${slips}; cancel or reverse that first, or call back what is still on its way`
  )

const RESERVATIONS = statement<{ id: string; partId: number; ownership: string; condition: string; open: string }>(`
select id::text as id, part_id as "partId", ownership, condition, trim_scale(quantity - consumed)::text as open
  from reservation where warehouse_id = $1 and id = any ($2::bigint[]) and released_at is null`)

/** A line that takes from a reservation names an open one for the same goods; whether it is large enough is seen when it is posted. */
async function requireReservations(ctx: Context, warehouse: Warehouse, lines: DraftLine[]): Promise<void> {
  const named = lines.filter(({ reservation }) => reservation !== null)
  if (named.length === 0) return
  const open = await run(ctx, RESERVATIONS, [warehouse.id, named.map(({ reservation }) => reservation)])
  for (const { position, part, partId, ownership, condition, reservation } of named) {
    const found = open.find(({ id }) => id === reservation)
    if (found?.partId === partId && found.ownership === ownership && found.condition === condition) continue
    throw new Refusal(
      'ReservationUnknown',
      422,
      `line ${position + 1}: there is no open reservation ${reservation} for ${ownership}, ${condition} ${part} here; leave it away or name an open one`,
      {
        errors: [
          { pointer: `/lines/${position}/reservation`, detail: 'is not an open one for these goods', sent: reservation }
        ]
      }
    )
  }
}

function numbered(lines: DraftLine[], direction: 'in' | 'out' | 'either'): SlipLine[] {
  if (lines.length === 0) throw new Error(`a slip (${direction}) has lines`)
  return lines.map(({ position: _position, ...line }, index) => ({ ...line, line: index + 1 }))
}

const SUPPLIER = statement<{ id: number; code: string; active: boolean }>(
  `select id, code, active from supplier where code = upper($1)`
)

/** The supplier of a receipt: the one named, or the counterparty if it is a supplier's code (R-CAT-3). */
async function requireSupplier(
  ctx: Context,
  kind: SlipKind,
  input: AmendSlip,
  lines: DraftLine[],
  occurredOn: string
): Promise<SlipDraft['supplier']> {
  const code = input.supplier ?? (kind === 'receipt' || kind === 'supplier-return' ? input.counterparty : undefined)
  if (code === undefined) return null
  const [supplier] = await run(ctx, SUPPLIER, [code])
  if (supplier === undefined) {
    if (input.supplier === undefined) return null
    throw new Refusal('SupplierUnknown', 422, `there is no supplier ${code}; GET /v1/suppliers lists them`, {
      errors: [{ pointer: '/supplier', detail: 'is unknown', sent: code }]
    })
  }
  if (kind === 'receipt') {
    const authorised = supplier.active
      ? await supplierAuthorised(
          ctx,
          supplier.id,
          lines.map(({ partId }) => partId),
          occurredOn
        )
      : new Set<number>()
    const refused = [...new Set(lines.filter(({ partId }) => !authorised.has(partId)).map(({ part }) => part))]
    if (refused.length > 0) {
      const more = refused.length - NAMED_OFFENDERS
      throw new Refusal(
        'SupplierNotAuthorised',
        422,
        `supplier ${code} is not authorised for ${refused.slice(0, NAMED_OFFENDERS).join(', ')}${more > 0 ? ` and ${more} more` : ''} on ${occurredOn}; parts come only from authorised suppliers`,
        { extra: { supplier: code, parts: refused.slice(0, 50) } }
      )
    }
  }
  return { id: supplier.id, code: supplier.code }
}
