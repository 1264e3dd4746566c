import { controlledApprovalFor } from '../catalogue/controlled-approvals.queries.ts'
import { drawOnControlledApproval, giveBackToControlledApproval } from '../catalogue/draw-on-controlled-approval.ts'
import { supplierAuthorised } from '../catalogue/suppliers.queries.ts'
import { requireDuty, type Context, type Duty } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { normalQuantity, thousandths } from '../platform/decimal.ts'
import { requireMatch } from '../platform/etag.ts'
import { Refusal } from '../platform/errors.ts'
import { openTransfer } from '../transfers/open-transfer.ts'
import { requireOpen, warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { ableToGive, promisedBy } from './giving.ts'
import { loadProposal, readProposal, type Proposal } from './proposals.queries.ts'
import type { AcceptProposal, ProposalView, RejectProposal } from './proposals.schemas.ts'
import { proposeReorders, SOLE } from './propose-reorders.ts'

/** Who decides what becomes of a proposal, in the warehouse that is short. */
export const DECIDING_DUTIES: readonly Duty[] = ['purchaser', 'stock-controller', 'operations-supervisor']

const LOCK = statement<never>(`select 1 from reorder_proposal where warehouse_id = $1 and id = $2 for update`)

/**
 * A proposal, held until the end of the transaction: of two who decide at once, the second finds it decided.
 * @param isSole for whoever promises more than was proposed, or has it searched anew; taken before the row, as runs take it
 */
async function lockProposal(
  ctx: Context,
  number: string,
  ifMatch: string | undefined,
  isSole: (proposal: Proposal) => boolean
): Promise<{ proposal: Proposal; warehouse: Warehouse }> {
  const { proposal: seen, warehouse } = await loadProposal(ctx, number)
  requireDuty(ctx, DECIDING_DUTIES, warehouse)
  if (ctx.actor.isMachine)
    throw new Refusal('PersonMustDecide', 403, 'an API key never decides on a proposal; sign in as a person')
  if (isSole(seen)) await run(ctx, SOLE, [])
  await run(ctx, LOCK, [warehouse.id, seen.id])
  const { proposal } = await loadProposal(ctx, number)
  requireMatch(ifMatch, proposal.version)
  return { proposal, warehouse }
}

const ACCEPT = statement<never>(`
update reorder_proposal
   set state = 'accepted', version = version + 1, decided_at = $3::timestamptz, decided_by = $4, decided_quantity = $5::numeric, decision_reason = $6,
       supplier_id = $7, approval_id = $8, expected_receipt_id = $9,
       quiet_until = case when $5::numeric < quantity then $3::timestamptz + make_interval(days => $10) end
 where warehouse_id = $1 and id = $2`)

const EXPECT = statement<{ id: string }>(`
insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, from_warehouse_id, opened_at, opened_by)
values ($1, $2, 'transfer', $3, 1, $4, $5, $6, $7)
returning id::text as id`)

interface AcceptedProposal extends AcceptProposal {
  number: string
  ifMatch?: string | undefined
}

/**
 * Accepts a proposal, as it is or changed with a reason (R-ORD-2). A transfer is opened with the number of the
 * proposal as reference: its goods are reserved at the giver, and on their way from then on; an order waits for the next purchase plan. What was
 * proposed beyond an accepted quantity is not proposed again for `REORDER_REPEAT_DAYS` unless the position recovers.
 * @throws Refusal 409 `ProposalNotOpen`, `GiverShort`, `WarehouseClosed`, `PartInactive`, 422 `ReasonMissing`, `SupplierUnknown`, `SupplierNotAuthorised`,
 *   `ControlledApprovalMissing`, 403, 404, 412
 */
export function acceptProposal(ctx: Context, { number, ifMatch, ...said }: AcceptedProposal): Promise<ProposalView> {
  return inTransaction(ctx, async (inner) => {
    // Open proposals are promises already; only more than that must be asked one at a time.
    const { proposal, warehouse } = await lockProposal(
      inner,
      number,
      ifMatch,
      ({ kind, quantity }) =>
        kind === 'transfer' && said.quantity !== undefined && thousandths(said.quantity) > thousandths(quantity)
    )
    if (proposal.state !== 'open')
      throw new Refusal('ProposalNotOpen', 409, `proposal ${number} is ${proposal.state}; only an open one is accepted`)
    const today = inner.clock.today()
    requireOpen(warehouse, today)
    if (!proposal.isActive)
      throw new Refusal('PartInactive', 409, `part ${proposal.part} is no longer bought; reject the proposal`)
    const quantity = said.quantity === undefined ? proposal.quantity : normalQuantity(said.quantity)
    const supplierId = await supplierFor(inner, proposal, said.supplier)
    const isChanged =
      quantity !== proposal.quantity || (proposal.supplierId !== null && supplierId !== proposal.supplierId)
    if (isChanged && said.reason === undefined) {
      throw new Refusal('ReasonMissing', 422, 'who accepts something else than was proposed says why', {
        errors: [{ pointer: '/reason', detail: 'is missing' }]
      })
    }
    if (proposal.kind === 'transfer') await requireSpare(inner, proposal, quantity)
    const approvalId = proposal.isControlled ? await draw(inner, proposal, warehouse, quantity) : null
    const at = inner.clock.now().toString()
    const [expected] =
      proposal.kind === 'transfer'
        ? await run(inner, EXPECT, [
            warehouse.id,
            proposal.partId,
            number,
            quantity,
            proposal.fromWarehouseId,
            at,
            inner.actor.personId
          ])
        : []
    if (expected !== undefined) await transfer(inner, proposal, warehouse, { quantity, expectedReceiptId: expected.id })
    await run(inner, ACCEPT, [
      warehouse.id,
      proposal.id,
      at,
      inner.actor.personId,
      quantity,
      said.reason ?? null,
      supplierId,
      approvalId,
      expected?.id ?? null,
      inner.config.REORDER_REPEAT_DAYS
    ])
    return readProposal(inner, { number })
  })
}

/** What was proposed becomes a transfer. */
async function transfer(
  ctx: Context,
  { number, partId, part, fromWarehouse }: Proposal,
  to: Warehouse,
  { quantity, expectedReceiptId }: { quantity: string; expectedReceiptId: string }
): Promise<void> {
  if (fromWarehouse === null) throw new Error(`${number} comes from nowhere`)
  await openTransfer(ctx, {
    from: await warehouseByCode(ctx, fromWarehouse),
    to,
    lines: [{ partId, part, ownership: 'own', quantity, expectedReceiptId }],
    reference: number,
    because: `补货建议 proposal ${number}`
  })
}

const SUPPLIER = statement<{ id: number }>(`select id from supplier where code = upper($1)`)

/** The supplier that an order goes to: the one that is named, else the one that was proposed. */
async function supplierFor(ctx: Context, proposal: Proposal, code: string | undefined): Promise<number | null> {
  if (code === undefined) return proposal.supplierId
  if (proposal.kind === 'transfer')
    throw new Refusal('FieldMisplaced', 422, 'a transfer comes from a warehouse, not from a supplier', {
      errors: [{ pointer: '/supplier', detail: 'has no place in a transfer', sent: code }]
    })
  return requireAuthorised(ctx, { code, partId: proposal.partId, part: proposal.part, pointer: '/supplier' })
}

/**
 * A supplier that may deliver a part today (R-CAT-3).
 * @throws Refusal 422 `SupplierUnknown`, `SupplierNotAuthorised`
 */
export async function requireAuthorised(
  ctx: Context,
  { code, partId, part, pointer }: { code: string; partId: number; part: string; pointer: string }
): Promise<number> {
  const [supplier] = await run(ctx, SUPPLIER, [code])
  if (supplier === undefined)
    throw new Refusal('SupplierUnknown', 422, `there is no supplier ${code}; GET /v1/suppliers lists them`, {
      errors: [{ pointer, detail: 'is unknown', sent: code }]
    })
  const authorised = await supplierAuthorised(ctx, supplier.id, [partId], ctx.clock.today())
  if (!authorised.has(partId))
    throw new Refusal(
      'SupplierNotAuthorised',
      422,
      `supplier ${code} is not authorised for ${part}; parts come only from authorised suppliers`,
      { errors: [{ pointer, detail: 'is not authorised for the part', sent: code }] }
    )
  return supplier.id
}

const SPARE = statement<{ spare: string }>(`
select greatest(0, ${ableToGive('$1', '$2', '$3::date')} - ${promisedBy('$1', '$2')} + $4::numeric)::text as spare`)

/** The giver must still be able to give it, beyond its own need and what it promised to others. */
async function requireSpare(ctx: Context, proposal: Proposal, quantity: string): Promise<void> {
  const [found] = await run(ctx, SPARE, [
    proposal.fromWarehouseId,
    proposal.partId,
    ctx.clock.today(),
    proposal.quantity
  ])
  const spare = normalQuantity(found?.spare ?? '0')
  if (thousandths(spare) >= thousandths(quantity)) return
  throw new Refusal(
    'GiverShort',
    409,
    `${proposal.fromWarehouse} can give ${spare} of ${proposal.part} beyond its own need and what it promised to others; accept at most that with a reason, or reject with other-source, and it is searched anew`,
    { extra: { spare } }
  )
}

/** Takes the quantity from an approval of the warehouse, the first to end first (R-CAT-2). */
async function draw(ctx: Context, { partId, part }: Proposal, warehouse: Warehouse, quantity: string): Promise<number> {
  const today = ctx.clock.today()
  const approvals = await controlledApprovalFor(ctx.em, partId, warehouse.id, today)
  for (const { id } of approvals)
    if ((await drawOnControlledApproval(ctx.em, id, quantity, today)) !== undefined) return id
  const left = approvals.map((approval) => normalQuantity(approval.left))
  throw new Refusal(
    'ControlledApprovalMissing',
    422,
    `${part} is a controlled part (监控件), and no approval of ${warehouse.code} in force covers ${quantity}${left.length > 0 ? ` (left: ${left.join(', ')})` : ''}; have the stock controller approve it by POST /v1/parts/${part}/controlled-approvals, or accept less`,
    { extra: { part, left } }
  )
}

const REJECT = statement<never>(`
update reorder_proposal
   set state = 'rejected', version = version + 1, decided_at = $3::timestamptz, decided_by = $4, decided_quantity = null, rejection = $5, decision_reason = $6,
       approval_id = null, quiet_until = $3::timestamptz + make_interval(days => $7)
 where warehouse_id = $1 and id = $2`)

const WITHDRAW_OTHERS = statement<never>(`
update reorder_proposal set state = 'withdrawn', version = version + 1, decided_at = $3, withdrawn_because = 'searched-again'
 where warehouse_id = $1 and short_part_id = $2 and state = 'open'`)

/**
 * Rejects a proposal with a coded reason; the same need is not proposed again for `REORDER_REPEAT_DAYS` unless the position recovers.
 * With `other-source` the need stands: what else was proposed for it is withdrawn, and it is searched anew without that giver. An accepted
 * order may be rejected as well until it is in a purchase plan; what it drew on a controlled approval is given back.
 * @throws Refusal 409 `ProposalNotOpen`, 422 `ReasonMissing`, `NotATransfer`, 403, 404, 412
 */
export function rejectProposal(
  ctx: Context,
  { number, rejection, note, ifMatch }: RejectProposal & { number: string; ifMatch?: string | undefined }
): Promise<ProposalView> {
  return inTransaction(ctx, async (inner) => {
    const { proposal, warehouse } = await lockProposal(inner, number, ifMatch, () => rejection === 'other-source')
    const isWaiting = proposal.state === 'accepted' && proposal.expectedReceipt === null && proposal.plan === null
    if (proposal.state !== 'open' && !isWaiting)
      throw new Refusal('ProposalNotOpen', 409, `proposal ${number} is ${proposal.state}${wayOut(proposal)}`)
    if (rejection === 'other-source' && proposal.kind !== 'transfer')
      throw new Refusal('NotATransfer', 422, 'an order from another source is accepted with another supplier', {
        errors: [{ pointer: '/rejection', detail: 'is for transfers', sent: rejection }]
      })
    if ((rejection === 'other' || rejection === 'other-source') && note === undefined)
      throw new Refusal('ReasonMissing', 422, `${rejection} says nothing by itself; say why in words`, {
        errors: [{ pointer: '/note', detail: 'is missing' }]
      })
    if (proposal.approvalId !== null && proposal.decidedQuantity !== null)
      await giveBackToControlledApproval(inner.em, proposal.approvalId, proposal.decidedQuantity)
    const at = inner.clock.now().toString()
    await run(inner, REJECT, [
      warehouse.id,
      proposal.id,
      at,
      inner.actor.personId,
      rejection,
      note ?? null,
      inner.config.REORDER_REPEAT_DAYS
    ])
    if (rejection === 'other-source') {
      await run(inner, WITHDRAW_OTHERS, [warehouse.id, proposal.shortPartId, at])
      await proposeReorders(inner, { positions: [{ warehouseId: warehouse.id, partId: proposal.shortPartId }] })
    }
    return readProposal(inner, { number })
  })
}

const wayOut = ({ state, plan, expectedReceipt, warehouse }: Proposal): string => {
  if (state !== 'accepted') return ''
  if (expectedReceipt !== null)
    return ` and on its way; end it by POST /v1/warehouses/${warehouse}/expected-receipts/${expectedReceipt.replace('/', '/lines/')}/ending`
  return ` and in ${plan}; have it taken out of the plan first`
}
