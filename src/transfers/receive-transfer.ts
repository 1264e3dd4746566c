import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { sentLots, writeArrival, type Accounted, type NewClaim, type SentLot } from './in-transit.ts'
import { cutPieces, freeQuantity } from './pieces.ts'
import { lockTransfer, type Transfer } from './transfer.ts'
import { loadTransfer } from './transfers.queries.ts'
import type { InSlip, TransferSlip } from './transfers.schemas.ts'

type InLine = InSlip['lines'][number]

/**
 * Writes the slip by which goods of a transfer come in at the receiver, for its three signatures (R-SIG-1): whole or in part, what arrived
 * damaged as nonconforming, what is missing as a line that moves nothing. Each lot comes in as it left, age and value included (R-AGE-7).
 * Until the slip is posted, cancelled or reversed nobody else receives the same goods.
 * @throws Refusal 409 `NothingInTransit`, `MoreThanSent`, 422 `LineUnknown`, `LineTwice`, `QuantityNotPositive`, `ResponsibleMissing`, `BeforeDispatch`, 403, 404, 412
 */
export function receiveTransfer(
  ctx: Context,
  { number, lines, ifMatch, deliveredBy, ...said }: InSlip & { number: string; ifMatch?: string | undefined }
): Promise<TransferSlip> {
  return inTransaction(ctx, async (inner) => {
    const { transfer: found, from, to } = await loadTransfer(inner, number)
    requireDuty(inner, 'keeper', to)
    const transfer = await lockTransfer(inner, { warehouseId: from.id, id: found.id })
    await loadTransfer(inner, number, { ifMatch })
    const sent = await sentLots(inner, transfer)
    if (sent.length === 0)
      throw new Refusal(
        'NothingInTransit',
        409,
        transfer.state === 'cancelled'
          ? `transfer ${number} is cancelled`
          : `nothing of ${number} has left ${from.code} yet; its out slip is posted first`
      )
    const pieces: Accounted[] = []
    const claims: NewClaim[] = []
    for (const [position, line] of lines.entries()) {
      if (lines.findIndex((other) => other.line === line.line) !== position) throw twice(line, position)
      const arrived = receiveLine(line, { position, transfer, sent, claims })
      pieces.push(...arrived.pieces)
      claims.push(...arrived.claims)
    }
    return writeArrival(inner, transfer, to, {
      pieces,
      claims,
      event: 'in-slip-written',
      counterparty: deliveredBy === undefined ? from.code : `${from.code}, ${deliveredBy}`,
      ...said
    })
  })
}

/** What a line says, cut from what is in transit of it: good goods first, then damaged ones, then missing ones. */
function receiveLine(
  { line, quantity, damaged = '0', missing = '0', responsible, note: said }: InLine,
  {
    position,
    transfer,
    sent,
    claims: others
  }: { position: number; transfer: Transfer; sent: readonly SentLot[]; claims: readonly NewClaim[] }
): { pieces: Accounted[]; claims: NewClaim[] } {
  const refuse = (code: string, status: number, member: string, detail: string, extra: Record<string, unknown> = {}) =>
    new Refusal(code, status, `line ${line}: ${detail}`, {
      errors: [{ pointer: `/lines/${position}/${member}`, detail }],
      extra
    })
  const ofLine = sent.filter((lot) => lot.line === line)
  if (ofLine.length === 0)
    throw refuse(
      'LineUnknown',
      422,
      'line',
      `nothing of it was sent by ${transfer.number}; GET /v1/transfers/${transfer.number} lists its lines`
    )
  const note = said ?? null
  const wanted = [thousandths(quantity), thousandths(damaged), thousandths(missing)] as const
  const total = wanted[0] + wanted[1] + wanted[2]
  if (total === 0n)
    throw refuse('QuantityNotPositive', 422, 'quantity', 'say what arrived, arrived damaged or is missing')
  const free = ofLine.reduce((sum, lot) => sum + freeQuantity(lot), 0n)
  if (total > free) {
    const left = ofLine.reduce((sum, lot) => sum + lot.quantity, 0n)
    throw refuse(
      'MoreThanSent',
      409,
      'quantity',
      `${decimal(left, 3)} ${ofLine[0]?.part} were sent, ${decimal(left - free, 3)} of them are received, missing or called back already, also by slips that are not posted yet; at most ${decimal(free, 3)} can still be`,
      { sent: decimal(left, 3), open: decimal(free, 3) }
    )
  }
  if (responsible === undefined && total > wanted[0])
    throw refuse(
      'ResponsibleMissing',
      422,
      'responsible',
      'who answers for what is damaged or missing: carrier or giver?'
    )
  const [good = [], broken = [], lost = []] = cutPieces(ofLine, wanted)
  const claims = [
    ...(broken.length > 0 ? (['damaged'] as const) : []),
    ...(lost.length > 0 ? (['missing'] as const) : [])
  ].map((kind) => ({ line, kind, responsible: responsible ?? 'carrier', note }))
  const placeOf = (kind: 'damaged' | 'missing') => others.length + claims.findIndex((claim) => claim.kind === kind)
  return {
    pieces: [
      ...good.map((piece) => ({ ...piece, kind: 'received' as const, claim: null, note })),
      ...broken.map((piece) => ({ ...piece, kind: 'damaged' as const, claim: placeOf('damaged'), note })),
      ...lost.map((piece) => ({ ...piece, kind: 'missing' as const, claim: placeOf('missing'), note }))
    ],
    claims
  }
}

const twice = ({ line }: InLine, position: number): Refusal =>
  new Refusal('LineTwice', 422, `line ${line} stands here twice; put its quantities together`, {
    errors: [{ pointer: `/lines/${position}/line`, detail: 'stands here twice', sent: line }]
  })
