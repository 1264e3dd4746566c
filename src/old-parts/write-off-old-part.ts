// What will not come back is written off (旧件核销): the centre proposes, its finance decides, and never the same person. The compensation is
// charged to the deposit of the outlet, or claimed where it has none. What turns up afterwards is returned like any other, and given back then.
import { requireDuty, type Context, type Grant } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { chargeDeposit } from '../deposits/charge-deposit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, normalQuantity, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import {
  findOldPart,
  lockOldParts,
  noteOldPart,
  requireCentreDuty,
  type FoundOldPart,
  type OldPartPosition
} from './old-part.ts'
import { readOldPart } from './old-parts.queries.ts'
import type { OldPartView } from './old-parts.schemas.ts'

interface Proposal {
  writeOff: number
  quantity: string
  proposedBy: number
  proposedFor: number | null
  proposer: string
}

const PROPOSED = statement<Proposal>(`
select w.write_off_no as "writeOff", trim_scale(w.quantity)::text as quantity, w.proposed_by as "proposedBy", w.proposed_for as "proposedFor", proposer.username as proposer
  from old_part_write_off w join person proposer on proposer.id = w.proposed_by
 where w.warehouse_id = $1 and w.old_part_id = $2 and w.state = 'proposed'`)

const PROPOSE = statement<{ writeOff: number }>(`
insert into old_part_write_off (warehouse_id, old_part_id, write_off_no, quantity, reason, state, proposed_by, proposed_for, proposed_at)
select $1, $2, coalesce((select max(write_off_no) from old_part_write_off where warehouse_id = $1 and old_part_id = $2), 0) + 1, $3, $4, 'proposed', $5, $6, $7
returning write_off_no as "writeOff"`)

const DECIDE = statement<{ amount: string }>(`
update old_part_write_off w
   set state = $4, decided_by = $5, decided_at = $6, decided_because = $7, charged_to = $8,
       amount = case when $4 = 'approved' then (select round(o.unit_value * w.quantity, 2) from old_part o where o.warehouse_id = $1 and o.id = $2) end
 where w.warehouse_id = $1 and w.old_part_id = $2 and w.write_off_no = $3
returning amount::text as amount`)

const AMOUNT = statement<{ amount: string }>(`
select round(o.unit_value * $3::numeric, 2)::text as amount from old_part o where o.warehouse_id = $1 and o.id = $2`)

const SETTLE = statement<never>(`
update old_part o set settled_at = $3
  from old_part_position p
 where o.warehouse_id = $1 and o.id = $2 and p.warehouse_id = o.warehouse_id and p.id = o.id and p.outstanding = 0 and o.settled_at is null`)

/** What may be written off: what is outstanding and on no slip. */
const loose = ({ outstanding, arriving }: OldPartPosition): bigint => {
  const left = thousandths(outstanding) - thousandths(arriving)
  return left < 0n ? 0n : left
}

async function locked(ctx: Context, { outlet, id }: FoundOldPart): Promise<OldPartPosition> {
  const [position] = await lockOldParts(ctx, outlet.id, [id])
  if (position === undefined) throw new Error(`old part ${id} was found a moment ago`)
  return position
}

/**
 * Proposes to write off what an outlet will not bring back. One proposal at a time; nothing changes before it is approved.
 * @throws Refusal 409 `NothingOutstanding`, `WriteOffProposedAlready`, 422 `MoreThanOutstanding`, 403, 404
 */
export async function proposeOldPartWriteOff(
  ctx: Context,
  { number, quantity, reason }: { number: string; quantity?: string | undefined; reason: string }
): Promise<OldPartView> {
  const found = await findOldPart(ctx, number)
  const { onBehalfOf } = requireCentreDuty(ctx, ['keeper', 'stock-controller'], found)
  return inTransaction(ctx, async (inner) => {
    const position = await locked(inner, found)
    const [open] = await run(inner, PROPOSED, [found.outlet.id, found.id])
    if (open !== undefined)
      throw new Refusal(
        'WriteOffProposedAlready',
        409,
        `${open.proposer} proposed to write off ${open.quantity} of ${number} already; finance decides on that one first, or it is cancelled`
      )
    const most = loose(position)
    if (most === 0n)
      throw new Refusal(
        'NothingOutstanding',
        409,
        position.arriving === '0'
          ? `nothing of ${number} is outstanding: ${position.returned} of ${position.quantity} came back, ${position.writtenOff} are written off`
          : `what is outstanding of ${number} (${position.outstanding}) is on slips that are not posted yet; post or cancel those first`
      )
    const wanted = quantity === undefined ? most : thousandths(normalQuantity(quantity))
    if (wanted > most)
      throw new Refusal(
        'MoreThanOutstanding',
        422,
        `${decimal(most, 3)} of ${number} can be written off, not ${quantity}`,
        {
          errors: [
            {
              pointer: '/quantity',
              detail: 'is more than what is outstanding and on no slip',
              sent: quantity,
              accepted: `at most ${decimal(most, 3)}`
            }
          ]
        }
      )
    const [proposed] = await run(inner, PROPOSE, [
      found.outlet.id,
      found.id,
      decimal(wanted, 3),
      reason,
      inner.actor.personId,
      onBehalfOf,
      inner.clock.now().toString()
    ])
    await noteOldPart(inner, { outletId: found.outlet.id, id: found.id }, 'write-off-proposed', {
      number,
      writeOff: proposed?.writeOff,
      quantity: decimal(wanted, 3),
      reason
    })
    return readOldPart(inner, { number })
  })
}

async function requireProposal(ctx: Context, { number, outlet, id }: FoundOldPart): Promise<Proposal> {
  const [proposal] = await run(ctx, PROPOSED, [outlet.id, id])
  if (proposal === undefined)
    throw new Refusal(
      'WriteOffNotProposed',
      409,
      `nothing of ${number} is proposed to be written off; POST /v1/old-parts/${number}/write-off proposes it`
    )
  return proposal
}

/**
 * Approves the proposed write-off: the outlet compensates, from its deposit where it has one.
 * @throws Refusal 403 without the duty finance-supervisor of the centre and for an API key, 422 `ProposerMayNotApprove`,
 *   409 `WriteOffNotProposed`, `OldPartCameMeanwhile`
 */
export async function approveOldPartWriteOff(
  ctx: Context,
  { number, comment }: { number: string; comment?: string | undefined }
): Promise<OldPartView> {
  const found = await findOldPart(ctx, number)
  requireCentreDuty(ctx, ['finance-supervisor'], found)
  requirePerson(ctx)
  return inTransaction(ctx, async (inner) => {
    const position = await locked(inner, found)
    const proposal = await requireProposal(inner, found)
    requireAnother(inner, found, proposal)
    const most = loose(position)
    if (thousandths(proposal.quantity) > most)
      throw new Refusal(
        'OldPartCameMeanwhile',
        409,
        `${proposal.quantity} of ${number} would be written off, but only ${decimal(most, 3)} is outstanding and on no slip any more; cancel the proposal and propose what is left`
      )
    const [{ amount } = { amount: '0.00' }] = await run(inner, AMOUNT, [found.outlet.id, found.id, proposal.quantity])
    const { account } = await chargeDeposit(inner, {
      outletId: found.outlet.id,
      reference: number,
      amount,
      because: `write-off ${proposal.writeOff}: ${proposal.quantity} of ${position.part} never came back`
    })
    const chargedTo = account ? 'deposit' : 'claim'
    await decide(inner, found, proposal, { state: 'approved', because: comment ?? null, chargedTo })
    await run(inner, SETTLE, [found.outlet.id, found.id, inner.clock.now().toString()])
    await noteOldPart(inner, { outletId: found.outlet.id, id: found.id }, 'write-off-approved', {
      number,
      writeOff: proposal.writeOff,
      quantity: proposal.quantity,
      amount,
      chargedTo
    })
    return readOldPart(inner, { number })
  })
}

/** Who proposed it, or was stood in for, does not approve it, nor does who stands in for one of them. */
function requireAnother(ctx: Context, found: FoundOldPart, { proposedBy, proposedFor, proposer }: Proposal): void {
  const isProposer = (person: number | null) => person !== null && (person === proposedBy || person === proposedFor)
  const grant: Grant = requireDuty(ctx, 'finance-supervisor', found.centre, ({ onBehalfOf }) => !isProposer(onBehalfOf))
  if (!isProposer(ctx.actor.personId) && !isProposer(grant.onBehalfOf)) return
  throw new Refusal(
    'ProposerMayNotApprove',
    422,
    `${proposer} proposed it; another finance-supervisor of ${found.centre.code} approves it`
  )
}

/**
 * Drops the proposed write-off; what is outstanding stays due.
 * @throws Refusal 403, 404, 409 `WriteOffNotProposed`
 */
export async function cancelOldPartWriteOff(
  ctx: Context,
  { number, reason }: { number: string; reason: string }
): Promise<OldPartView> {
  const found = await findOldPart(ctx, number)
  requireCentreDuty(ctx, ['keeper', 'stock-controller', 'finance-supervisor'], found)
  return inTransaction(ctx, async (inner) => {
    await locked(inner, found)
    const proposal = await requireProposal(inner, found)
    await decide(inner, found, proposal, { state: 'cancelled', because: reason, chargedTo: null })
    await noteOldPart(inner, { outletId: found.outlet.id, id: found.id }, 'write-off-cancelled', {
      number,
      writeOff: proposal.writeOff,
      quantity: proposal.quantity,
      reason
    })
    return readOldPart(inner, { number })
  })
}

const decide = (
  ctx: Context,
  { outlet, id }: FoundOldPart,
  { writeOff }: Proposal,
  { state, because, chargedTo }: { state: 'approved' | 'cancelled'; because: string | null; chargedTo: string | null }
) =>
  run(ctx, DECIDE, [outlet.id, id, writeOff, state, ctx.actor.personId, ctx.clock.now().toString(), because, chargedTo])
