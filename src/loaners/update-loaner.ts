import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { loanerBySerial, lockLoaner, noteOnUnit, readLoaner } from './loaner.ts'
import type { Grade, LoanerView } from './loaners.schemas.ts'

interface Change {
  grade?: Grade | undefined
  photoUrl?: string | null | undefined
  accessories?: string[] | undefined
  note?: string | null | undefined
}

const UPDATE = statement<never>(`
update loaner_unit set grade = $3, photo_url = $4, accessories = $5, note = $6, version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Changes what is written of a unit; where it is, its documents say.
 * @throws Refusal 403, 404, 412
 */
export async function updateLoaner(
  ctx: Context,
  { serial, ifMatch, ...change }: Change & { serial: string; ifMatch?: string | undefined }
): Promise<LoanerView> {
  const { unit: found, warehouse } = await loanerBySerial(ctx, serial)
  requireDuty(ctx, 'keeper', warehouse)
  return inTransaction(ctx, async (inner) => {
    const unit = await lockLoaner(inner, found)
    requireMatch(ifMatch, unit.version)
    await run(inner, UPDATE, [
      unit.homeId,
      unit.id,
      change.grade ?? unit.grade,
      change.photoUrl === undefined ? unit.photoUrl : change.photoUrl,
      change.accessories ?? unit.accessories,
      change.note === undefined ? unit.note : change.note
    ])
    await noteOnUnit(inner, unit, 'updated', { ...change })
    return readLoaner(inner, { serial })
  })
}
