import { requireDuty, type Context } from '../identity/actor.ts'
import type { Ownership } from '../ledger/post.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal, type FieldProblem } from '../platform/errors.ts'
import { writeSlip } from '../slips/create-slip.ts'
import { slipView } from '../slips/slip.ts'
import type { SlipView } from '../slips/slips.schemas.ts'
import { lockRequest, noteOnRequest } from './locked-request.ts'
import { findRequest } from './requests.queries.ts'
import { MAX_LINES, type IssueSlip } from './requests.schemas.ts'

interface Ready {
  line: number
  part: string
  ownership: Ownership
  reservation: string
  /** Ready and on no slip. */
  open: string
  slip: string | null
}

// Quantities are those of the part that is handed out. What a slip that is not posted has, no second one gets.
const READY = statement<Ready>(`
select a.line_no as line, part.number as part, a.ownership, a.centre_reservation_id::text as reservation,
       trim_scale(greatest(0, a.quantity - a.issued - coalesce(written.quantity, 0)))::text as open, written.slip
  from request_allocation a
  join part on part.id = a.part_id
  left join lateral (select -sum(l.quantity) as quantity, min(s.number) as slip
                       from slip_line l join slip s on s.warehouse_id = l.warehouse_id and s.id = l.slip_id and s.state not in ('posted', 'cancelled')
                      where l.warehouse_id = $3 and l.reservation_id = a.centre_reservation_id) written on true
 where a.warehouse_id = $1 and a.request_id = $2 and a.state = 'ready'
 order by a.line_no, a.allocation_no
   for update of a`)

/**
 * Writes the issue slip for what is ready at the centre (R-REQ-1, R-OUT-4): purpose outlet, the request as reference, lines that name what is
 * reserved. It is signed and posted as any slip. What nobody confirmed yet is not ready. At most 500 lines; call it again for more.
 * @throws Refusal 409 `NothingReady`, `NotReady`, those of a slip, 403 without the duty keeper at the centre, 404
 */
export async function writeIssueSlip(
  ctx: Context,
  { number, lines, note }: IssueSlip & { number: string }
): Promise<SlipView> {
  const { id, outlet, centre } = await findRequest(ctx, number)
  requireDuty(ctx, 'keeper', centre)
  return inTransaction(ctx, async (inner) => {
    await lockRequest(inner, outlet.id, id)
    const ready = await run(inner, READY, [outlet.id, id, centre.id])
    const taken =
      lines === undefined ? ready.map((one) => ({ ...one, quantity: one.open })) : chosen(number, ready, lines)
    const some = taken.filter(({ quantity }) => quantity !== '0').slice(0, MAX_LINES)
    if (some.length === 0) throw nothingReady(number, ready)
    const slip = await writeSlip(inner, centre, {
      kind: 'issue',
      purpose: 'outlet',
      reference: number,
      counterparty: outlet.code,
      ...(note !== undefined && { note }),
      lines: some.map(({ part, quantity, ownership, reservation }) => ({ part, quantity, ownership, reservation }))
    })
    await noteOnRequest(inner, { outletId: outlet.id, requestId: id }, [
      {
        event: 'issue-slip-written',
        details: { slip: slip.number, lines: some.map(({ line, part, quantity }) => ({ line, part, quantity })) }
      }
    ])
    return slipView(inner, slip, centre)
  })
}

/** So much of what is ready as the keeper chose, what was allocated first first. */
function chosen(
  number: string,
  ready: readonly Ready[],
  lines: NonNullable<IssueSlip['lines']>
): (Ready & { quantity: string })[] {
  const left = new Map(ready.map((one) => [one.reservation, thousandths(one.open)]))
  const taken: (Ready & { quantity: string })[] = []
  const wrong: FieldProblem[] = []
  for (const [place, { line, quantity }] of lines.entries()) {
    const here = ready.filter((one) => one.line === line)
    const all = here.reduce((sum, { reservation }) => sum + (left.get(reservation) ?? 0n), 0n)
    let open = quantity === undefined ? all : thousandths(quantity)
    if (open > all || open === 0n) {
      wrong.push({
        pointer: `/lines/${place}/${quantity === undefined ? 'line' : 'quantity'}`,
        detail: `line ${line}: ${decimal(all, 3)} are ready and on no slip${slipsOf(here)}`,
        sent: quantity ?? line,
        accepted: `at most ${decimal(all, 3)}`
      })
      continue
    }
    for (const one of here) {
      const most = left.get(one.reservation) ?? 0n
      const some = most < open ? most : open
      if (some === 0n) continue
      open -= some
      left.set(one.reservation, most - some)
      const before = taken.find(({ reservation }) => reservation === one.reservation)
      if (before === undefined) taken.push({ ...one, quantity: decimal(some, 3) })
      else before.quantity = decimal(thousandths(before.quantity) + some, 3)
    }
  }
  if (wrong.length > 0)
    throw new Refusal(
      'NotReady',
      409,
      `more is wanted of request ${number} than is ready: ${wrong.map(({ detail }) => detail).join('; ')}`,
      { errors: wrong }
    )
  return taken
}

const slipsOf = (ready: readonly Ready[]): string => {
  const slips = [...new Set(ready.flatMap(({ slip }) => slip ?? []))]
  return slips.length === 0 ? '' : ` (${slips.join(', ')} has some)`
}

const nothingReady = (number: string, ready: readonly Ready[]): Refusal =>
  new Refusal(
    'NothingReady',
    409,
    ready.length > 0
      ? `all that is ready of request ${number} is on a slip already${slipsOf(ready)}; post or cancel that`
      : `nothing of request ${number} is ready to be handed out; read it to see what it waits for`,
    { extra: { slips: [...new Set(ready.flatMap(({ slip }) => slip ?? []))] } }
  )
