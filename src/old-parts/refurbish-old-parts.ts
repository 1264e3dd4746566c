// Old parts become stock again (翻新入库): one slip takes them out of the nonconforming goods, lot by lot and at no cost, and brings what they became in as
// qualified own goods at the documented cost, with three signatures and in one posting. Their age begins anew: what is in stock is the work that was
// done now, not the part that was sold years ago. Faulty goods of the same part that are no old parts are left alone.
import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { Refusal } from '../platform/errors.ts'
import { requireParts } from '../catalogue/parts.queries.ts'
import { writeSlip } from '../slips/create-slip.ts'
import type { RoomLine } from '../slips/draft-slip.ts'
import { slipView } from '../slips/slip.ts'
import { MAX_LINES, type SlipView } from '../slips/slips.schemas.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import type { RefurbishOldParts } from './old-parts.schemas.ts'

// Whoever writes a refurbishment in a warehouse waits for others who do, so that two slips never count on the same old part.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305023, $1)`)

interface OldPartLot {
  part: string
  lot: string
  left: string
}

// Lots that came in by an old-part slip, or descend from one, with what no other open refurbishment takes of them; the longest in first.
const LOTS = statement<OldPartLot>(`
select part.number as part, l.id::text as lot, trim_scale(l.on_hand - taken.quantity)::text as left
  from lot l
  join part on part.id = l.part_id
  join lot origin on origin.warehouse_id = coalesce(l.origin_warehouse_id, l.warehouse_id) and origin.id = coalesce(l.origin_lot_id, l.id)
 cross join lateral (
   select coalesce(-sum(t.quantity), 0) as quantity
     from slip f join slip_line t on t.warehouse_id = f.warehouse_id and t.slip_id = f.id and t.lot_id = l.id
    where f.warehouse_id = l.warehouse_id and f.kind = 'refurbishment' and f.state not in ('posted', 'cancelled')) taken
 where exists (
         select 1 from movement m join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id and s.kind = 'old-part-in'
          where m.warehouse_id = origin.warehouse_id and m.part_id = origin.part_id and m.occurred_on = origin.opened_on and m.lot_id = origin.id and m.quantity > 0)
   and l.warehouse_id = $1 and l.part_id = any ($2::int[]) and l.ownership = 'own' and l.condition = 'nonconforming' and not l.exhausted and not l.blocked
   and l.opened_on <= $3::date and l.on_hand > taken.quantity
 order by l.received_on, l.id`)

/**
 * Writes the slip that refurbishes old parts.
 * @throws Refusal 422 `OldPartsShort`, those of `writeSlip`, 403 without the duty keeper there
 */
export async function refurbishOldParts(ctx: Context, input: RefurbishOldParts): Promise<SlipView> {
  const { warehouse: code, lines, occurredOn, reference, note } = input
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, 'keeper', warehouse)
  const parts = await requireParts(
    ctx,
    lines.map(({ part }) => part)
  )
  return inTransaction(ctx, async (inner) => {
    await run(inner, LOCK, [warehouse.id])
    const lots = await run(inner, LOTS, [
      warehouse.id,
      [...parts.values()].map(({ id }) => id),
      occurredOn ?? inner.clock.today()
    ])
    const slip = await writeSlip(inner, warehouse, {
      kind: 'refurbishment',
      reference,
      ...(occurredOn !== undefined && { occurredOn }),
      ...(note !== undefined && { note }),
      lines: outAndIn(input, lots)
    })
    return slipView(inner, slip, warehouse)
  })
}

/** Each line as what leaves, lot by lot, and what it becomes. */
function outAndIn({ warehouse, lines }: RefurbishOldParts, lots: readonly OldPartLot[]): RoomLine[] {
  const left = lots.map((lot) => ({ ...lot, left: thousandths(lot.left) }))
  const slipLines = lines.flatMap(({ part, quantity, unitCost, note }, position): RoomLine[] => {
    let open = thousandths(quantity)
    const out: RoomLine[] = []
    for (const lot of left.filter((each) => each.part === part && each.left > 0n)) {
      if (open === 0n) break
      const taken = open < lot.left ? open : lot.left
      lot.left -= taken
      open -= taken
      out.push({ part, quantity: `-${decimal(taken, 3)}`, ownership: 'own', condition: 'nonconforming', lot: lot.lot })
    }
    if (open > 0n) {
      const available = decimal(thousandths(quantity) - open, 3)
      throw new Refusal(
        'OldPartsShort',
        422,
        `line ${position + 1} (${part}): ${quantity} would be refurbished, ${available} old parts lie free in ${warehouse}; what is faulty otherwise is not refurbished here`,
        {
          errors: [
            {
              pointer: `/lines/${position}/quantity`,
              detail: 'is more than the old parts that are there',
              sent: quantity,
              accepted: `at most ${available}`
            }
          ],
          extra: { available }
        }
      )
    }
    return [
      ...out,
      { part, quantity, ownership: 'own', condition: 'qualified', unitCost, ...(note !== undefined && { note }) }
    ]
  })
  if (slipLines.length > MAX_LINES)
    throw new Refusal(
      'TooManyLines',
      422,
      `these old parts lie in so many lots that the slip would have ${slipLines.length} lines, and it has at most ${MAX_LINES}; split it`
    )
  return slipLines
}
