// A loan as it is kept and shown. Whatever changes a loan holds its unit first, so that no two decide about it at once.
import { maySee, type Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { lockLoaner, recallsOf, type Loaner } from './loaner.ts'
import type { Grade, LoanState, LoanView, Outcome } from './loaners.schemas.ts'

export interface Loan {
  id: string
  number: string
  state: LoanState
  warehouse: string
  unit: { homeId: number; id: string; serial: string }
  model: string
  name: string
  nameZh: string | null
  family: string | null
  /** Recalls in force that are about the unit while the customer has it. */
  recalls: string[]
  repairOrder: string
  receiptNumber: string
  customerName: string | null
  customerContact: string | null
  customerForgottenAt: string | null
  dueOn: string
  extensions: number
  outSlip: string
  lentOn: string | null
  conditionOut: string
  gradeOut: Grade
  accessoriesOut: string[]
  inSlip: string | null
  returnedOn: string | null
  outcome: Outcome | null
  conditionIn: string | null
  gradeIn: Grade | null
  accessoriesIn: string[] | null
  damage: string | null
  damageAmount: string | null
  readyAt: string | null
  notices: number
  noticedOn: string | null
  answer: 'will-collect' | 'needs-longer' | 'declines' | null
  answeredAt: string | null
  escalatedAt: string | null
  drawnUpBy: string
  drawnUpAt: string
  version: number
}

/** Columns of a `Loan`, from `LOAN_FROM`. */
export const LOAN_COLUMNS = `
  l.id::text as id, l.number, l.state, w.code as warehouse, json_build_object('homeId', l.unit_warehouse_id, 'id', l.unit_id::text, 'serial', u.serial) as unit,
  part.number as model, part.name, part.name_zh as "nameZh", part.loaner_family as family,
  case when l.state = 'out' then ${recallsOf('l.unit_warehouse_id', 'l.unit_id', 'u.part_id')} else '{}' end as recalls, l.repair_order as "repairOrder", l.receipt_number as "receiptNumber",
  l.customer_name as "customerName", l.customer_contact as "customerContact", l.customer_forgotten_at as "customerForgottenAt", l.due_on::text as "dueOn", l.extensions,
  (select number from slip where warehouse_id = l.warehouse_id and id = l.out_slip_id) as "outSlip", l.lent_on::text as "lentOn",
  l.condition_out as "conditionOut", l.grade_out as "gradeOut", l.accessories_out as "accessoriesOut",
  (select number from slip where warehouse_id = l.warehouse_id and id = l.in_slip_id) as "inSlip", l.returned_on::text as "returnedOn",
  l.outcome, l.condition_in as "conditionIn", l.grade_in as "gradeIn", l.accessories_in as "accessoriesIn", l.damage, l.damage_amount::text as "damageAmount",
  l.ready_at as "readyAt", l.notices, l.noticed_on::text as "noticedOn", l.answer, l.answered_at as "answeredAt", l.escalated_at as "escalatedAt",
  person.username as "drawnUpBy", l.drawn_up_at as "drawnUpAt", l.version`

/** Loans `l` with their unit and model. */
export const LOAN_FROM = `
  loan l
  join warehouse w on w.id = l.warehouse_id
  join loaner_unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
  join part on part.id = u.part_id
  join person on person.id = l.drawn_up_by`

const LOAN = statement<Loan>(`select ${LOAN_COLUMNS} from ${LOAN_FROM} where l.warehouse_id = $1 and l.number = $2`)

/**
 * A loan the actor may see, with its warehouse.
 * @throws Refusal 404
 */
export async function loadLoan(ctx: Context, number: string): Promise<{ loan: Loan; warehouse: Warehouse }> {
  const code = number.replace(/-LON-\d{6}-\d+$/, '')
  const warehouse = await warehouseByCode(ctx, code).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('loan', number) : error
  })
  if (!maySee(ctx, warehouse)) throw notFound('loan', number)
  const [loan] = await run(ctx, LOAN, [warehouse.id, number])
  if (loan === undefined) throw notFound('loan', number)
  return { loan, warehouse }
}

/**
 * The loan and its unit as they are now, the unit locked until the commit.
 * @throws Refusal 404, 412
 */
export async function lockLoan(
  ctx: Context,
  number: string,
  ifMatch?: string
): Promise<{ loan: Loan; unit: Loaner; warehouse: Warehouse }> {
  const read = await loadLoan(ctx, number)
  const unit = await lockLoaner(ctx, read.loan.unit)
  const { loan, warehouse } = await loadLoan(ctx, number)
  requireMatch(ifMatch, loan.version)
  return { loan, unit, warehouse }
}

const IN_WORDS: Record<LoanState, string> = {
  'awaiting-release': 'waits for its slip to be posted',
  out: 'is out',
  returned: 'is back',
  cancelled: 'never took effect'
}

/** @throws Refusal 409 `LoanNotOut` */
export function requireOut(loan: Loan): void {
  if (loan.state === 'out') return
  throw new Refusal(
    'LoanNotOut',
    409,
    `loan ${loan.number} ${IN_WORDS[loan.state]}; this is done while the unit is out`,
    {
      extra: { loan: loan.number, state: loan.state, outSlip: loan.outSlip, inSlip: loan.inSlip }
    }
  )
}

export function loanView(loan: Loan, today: string): LoanView {
  const { unit, damage, damageAmount, readyAt, customerName, customerContact, ...rest } = loan
  return {
    number: rest.number,
    state: rest.state,
    warehouse: rest.warehouse,
    serial: unit.serial,
    model: rest.model,
    name: rest.name,
    nameZh: rest.nameZh,
    family: rest.family,
    recalls: rest.recalls,
    repairOrder: rest.repairOrder,
    receiptNumber: rest.receiptNumber,
    customer: rest.customerForgottenAt === null ? { name: customerName, contact: customerContact } : null,
    customerForgottenAt: instantOrNull(rest.customerForgottenAt),
    dueOn: rest.dueOn,
    overdue: rest.state === 'out' && rest.dueOn < today,
    extensions: rest.extensions,
    outSlip: rest.outSlip,
    lentOn: rest.lentOn,
    conditionOut: rest.conditionOut,
    gradeOut: rest.gradeOut,
    accessoriesOut: rest.accessoriesOut,
    inSlip: rest.inSlip,
    returnedOn: rest.returnedOn,
    outcome: rest.outcome,
    conditionIn: rest.conditionIn,
    gradeIn: rest.gradeIn,
    accessoriesIn: rest.accessoriesIn,
    accessoriesMissing:
      rest.accessoriesIn === null
        ? []
        : rest.accessoriesOut.filter((accessory) => rest.accessoriesIn?.includes(accessory) !== true),
    damage: damage === null ? null : { description: damage, amount: damageAmount },
    ready:
      readyAt === null
        ? null
        : {
            at: instant(readyAt),
            notices: rest.notices,
            lastNoticeOn: rest.noticedOn,
            answer: rest.answer,
            answeredAt: instantOrNull(rest.answeredAt),
            escalatedAt: instantOrNull(rest.escalatedAt)
          },
    drawnUpBy: rest.drawnUpBy,
    drawnUpAt: instant(rest.drawnUpAt),
    version: rest.version
  }
}

/** One loan. */
export async function readLoan(ctx: Context, { number }: { number: string }): Promise<LoanView> {
  const { loan } = await loadLoan(ctx, number)
  return loanView(loan, ctx.clock.today())
}
