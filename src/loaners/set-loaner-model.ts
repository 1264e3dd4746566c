import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { CATALOGUE_DUTIES } from '../catalogue/catalogue.rights.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import type { LoanerModel } from './loaners.schemas.ts'

const MODELS = statement<LoanerModel>(`
select part.number as part, part.name, part.name_zh as "nameZh", part.loaner_family as family,
       (select count(*)::int from loaner_unit u where u.part_id = part.id and u.state in ('registered', 'in-service', 'in-repair', 'in-transit')) as units
  from part where part.loaner_family is not null order by part.loaner_family, part.number`)

/** The loaner models (备用机型), by family. */
export const listLoanerModels = async (ctx: Context): Promise<{ items: LoanerModel[] }> => ({
  items: await run(ctx, MODELS, [])
})

const LOCK = statement<{ id: number; family: string | null }>(
  'select id, loaner_family as family from part where number = $1 for update'
)
const IN_THE_WAY = statement<{
  stock: string | null
  slip: string | null
  transfer: string | null
  count: string | null
  units: number
}>(`
select (select w.code from balance b join warehouse w on w.id = b.warehouse_id where b.part_number = $2 and b.on_hand > 0 limit 1) as stock,
       (select s.number from slip s join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id
         where s.state not in ('posted', 'cancelled') and l.part_id = $1 limit 1) as slip,
       (select t.number from transfer t join transfer_line l on l.warehouse_id = t.warehouse_id and l.transfer_id = t.id
         where t.state in ('ordered', 'awaiting-dispatch', 'in-transit') and l.part_id = $1 limit 1) as transfer,
       (select c.number from stock_count c join count_line l on l.warehouse_id = c.warehouse_id and l.count_id = c.id
         where l.part_id = $1 and l.active limit 1) as count,
       (select count(*)::int from loaner_unit where part_id = $1 and state <> 'withdrawn') as units`)
const SET = statement<never>('update part set loaner_family = $2, version = version + 1 where id = $1')

/**
 * Makes a part a loaner model of a family, moves it to another family, or makes it an ordinary part again. A part becomes a model while
 * nothing of it is in stock, or on an open slip, transfer or count: from then on every piece is a unit with a serial number.
 * @throws Refusal 409 `PartInStock`, `ModelHasUnits`, 404, 403
 */
export async function setLoanerModel(
  ctx: Context,
  { part: number, family }: { part: string; family: string | null }
): Promise<{ items: LoanerModel[] }> {
  requireDutyEverywhere(ctx, CATALOGUE_DUTIES)
  return inTransaction(ctx, async (inner) => {
    const [part] = await run(inner, LOCK, [number])
    if (part === undefined) throw notFound('part', number)
    const [found] = await run(inner, IN_THE_WAY, [part.id, number])
    const paper = found?.slip ?? found?.transfer ?? found?.count ?? null
    if (part.family === null && family !== null && (found?.stock != null || paper !== null)) {
      throw new Refusal(
        'PartInStock',
        409,
        found?.stock == null
          ? `${paper} moves or counts ${number} as an ordinary part; finish or cancel it first`
          : `${number} is in stock in ${found.stock} as an ordinary part; a loaner model begins without stock, and its units are registered one by one. Scrap or issue what is there, or use another part number`
      )
    }
    if (part.family !== null && family === null && (found?.units ?? 0) > 0) {
      throw new Refusal('ModelHasUnits', 409, `${number} has ${found?.units} units; a model with units stays one`)
    }
    if (part.family !== family) {
      await run(inner, SET, [part.id, family])
      await recordAudit(inner, 'loaner-model.set', number, { before: part.family, family })
    }
    return listLoanerModels(inner)
  })
}
