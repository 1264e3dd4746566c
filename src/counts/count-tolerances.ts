import { Type, type Static } from 'typebox'
import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { closed, named, oneOf, ref } from '../platform/schemas.ts'

/** The criticality classes of the catalogue, and `*` for every part without a tolerance of its class. */
export const TOLERANCE_CLASSES = ['*', 'A', 'B', 'C'] as const

const percent = Type.String({
  pattern: '^(100([.]0{1,3})?|(0|[1-9][0-9]?)([.][0-9]{1,3})?)$',
  description: 'How far a count may be off, in percent of what is expected: a decimal string from 0 to 100',
  examples: ['2.5']
})
const amount = Type.String({
  pattern: '^(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$',
  description: 'How much the difference may be worth, in the business currency',
  examples: ['50.00']
})

export const CountTolerance = named(
  'CountTolerance',
  Type.Object(
    { criticality: oneOf(TOLERANCE_CLASSES, 'Criticality class, or * for all others'), percent, amount },
    { description: 'How far a line may be off before somebody else counts it again; both limits hold (盘点容差)' }
  )
)
export type CountTolerance = Static<typeof CountTolerance>
export const CountTolerances = named('CountTolerances', Type.Object({ items: Type.Array(ref(CountTolerance)) }))
export const ToleranceBody = named('NewCountTolerance', Type.Object({ percent, amount }, closed))

const COLUMNS = 'criticality, trim_scale(percent)::text as percent, amount::text as amount'

const LIST = statement<CountTolerance>(`select ${COLUMNS} from count_tolerance order by criticality`)

/** The tolerances that decide which lines are counted again. */
export const listCountTolerances = (ctx: Context): Promise<CountTolerance[]> => run(ctx, LIST, [])

const SET = statement<CountTolerance>(`
insert into count_tolerance (criticality, percent, amount) values ($1, $2, $3)
on conflict (criticality) do update set percent = excluded.percent, amount = excluded.amount
returning ${COLUMNS}`)

/** Sets how far a class may be off. Lines that are settled stay settled; it holds from the next entry on. */
export async function setCountTolerance(
  ctx: Context,
  { criticality, percent: limit, amount: worth }: CountTolerance
): Promise<CountTolerance> {
  requireDutyEverywhere(ctx, ['hq-finance', 'stock-controller'])
  return inTransaction(ctx, async (inner) => {
    const [set] = await run(inner, SET, [criticality, limit, worth])
    if (set === undefined) throw new Error('no tolerance was written')
    await recordAudit(inner, 'count-tolerance.set', criticality, set)
    return set
  })
}
