import { Refusal } from '../platform/errors.ts'
import { SLIP_KIND_RULES, type SlipKind } from './slip-kinds.ts'
import type { Slip } from './slip.ts'

/**
 * Refuses a kind of slip that a document of another room writes: by hand it would move goods that the document does not know of.
 * @throws Refusal 422 `SlipNotWrittenByHand`, 409 `SlipNotAmendable` where one is amended
 */
export function refuseByHand(kind: SlipKind, amended?: string): void {
  const { nameZh, writtenBy } = SLIP_KIND_RULES[kind]
  if (writtenBy === undefined) return
  if (amended !== undefined)
    throw new Refusal(
      'SlipNotAmendable',
      409,
      `${amended} is a ${kind} (${nameZh}), whose lines are those of another document; cancel it and write a new one by ${writtenBy}`
    )
  throw new Refusal('SlipNotWrittenByHand', 422, `a ${kind} (${nameZh}) is written by ${writtenBy}`, {
    errors: [{ pointer: '/kind', detail: 'is not written by hand', sent: kind, accepted: writtenBy }]
  })
}

/**
 * Refuses to change a slip whose lines say what no request by HTTP can: they would lose it.
 * @throws Refusal 409 `SlipNotAmendable`
 */
export function refuseLinesOfDocument({
  number,
  reference,
  lines
}: Pick<Slip, 'number' | 'reference' | 'lines'>): void {
  if (lines.every(({ lot, reserveFor, carried }) => lot === null && reserveFor === null && carried === null)) return
  throw new Refusal(
    'SlipNotAmendable',
    409,
    `the lines of ${number} name lots, or what goods are reserved for or left with elsewhere, and were written for ${reference ?? 'another document'}; cancel it and have a new one written there`
  )
}

const TRANSFER_NUMBER = /-TRF-\d{6}-\d{5,}$/

/**
 * Refuses a slip that names a transfer as its reference: its lines are the transfer's, cut from what was promised or is in transit.
 * @param amended the number of the slip that is changed to say so, or says so already
 * @throws Refusal 422 `SlipOfTransfer`, 409 `SlipNotAmendable`
 */
export function refuseTransferByHand(kind: SlipKind, reference: string | null | undefined, amended?: string): void {
  if (reference == null || !TRANSFER_NUMBER.test(reference)) return
  if (kind !== 'transfer-out' && kind !== 'transfer-in') return
  const way =
    kind === 'transfer-out'
      ? `POST /v1/transfers/${reference}/out-slip`
      : `POST /v1/transfers/${reference}/in-slip, or /call-back at the giver`
  if (amended !== undefined)
    throw new Refusal(
      'SlipNotAmendable',
      409,
      `${amended} is a slip of the transfer ${reference}; cancel it and write a new one by ${way}`
    )
  throw new Refusal('SlipOfTransfer', 422, `a ${kind} of the transfer ${reference} is written by ${way}`, {
    errors: [{ pointer: '/reference', detail: 'is a transfer', sent: reference, accepted: way }]
  })
}
