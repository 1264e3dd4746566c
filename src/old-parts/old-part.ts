// An old part: who may see it, who decides on it, its row locked for writing, its history.
import { noteEvent } from '../signing/document-history.ts'
import {
  maySee,
  DUTY_NAMES,
  grantsToday,
  covers,
  requireDuty,
  type Context,
  type Duty,
  type Grant
} from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'

/** An old part as it stands; quantities are decimal strings. */
export interface OldPartPosition {
  id: string
  number: string
  part: string
  quantity: string
  unitValue: string
  serialised: boolean
  dueOn: string
  cameBack: string
  returned: string
  arriving: string
  writtenOff: string
  outstanding: string
}

/** The columns of `old_part_position` as `OldPartPosition`, of a row `p` and its part `part`. */
const POSITION_COLUMNS = `p.id::text as id, p.number, part.number as part, trim_scale(p.quantity)::text as quantity, p.unit_value::text as "unitValue", p.serialised,
       p.due_on::text as "dueOn", trim_scale(p.came_back)::text as "cameBack", trim_scale(p.returned)::text as returned, trim_scale(p.arriving)::text as arriving,
       trim_scale(p.written_off)::text as "writtenOff", trim_scale(p.outstanding)::text as outstanding`

const FOUND = statement<{ id: string; centre: string }>(`
select o.id::text as id, centre.code as centre from old_part o join warehouse centre on centre.id = o.centre_id where o.warehouse_id = $1 and o.number = $2`)

export interface FoundOldPart {
  id: string
  number: string
  outlet: Warehouse
  centre: Warehouse
}

/**
 * An old part that the actor may see: who sees the outlet that owes it, or the centre that takes it in.
 * @throws Refusal 404
 */
export async function findOldPart(ctx: Context, number: string): Promise<FoundOldPart> {
  const code = number.replace(/-OLP-\d{6}-\d+$/, '')
  const outlet = await warehouseByCode(ctx, code).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('old part', number) : error
  })
  const [found] = await run(ctx, FOUND, [outlet.id, number])
  if (found === undefined) throw notFound('old part', number)
  const centre = await warehouseByCode(ctx, found.centre)
  if (!maySee(ctx, outlet) && !maySee(ctx, centre)) throw notFound('old part', number)
  return { id: found.id, number, outlet, centre }
}

/**
 * The grant by which the actor decides on an old part at its centre.
 * @throws Refusal 403 `DutyRequired`, also for the outlet's own people, who see it and decide nothing
 */
export function requireCentreDuty(
  ctx: Context,
  duties: readonly Duty[],
  { outlet, centre }: Pick<FoundOldPart, 'outlet' | 'centre'>,
  isPreferred?: (grant: Grant) => boolean
): Grant {
  if (maySee(ctx, centre)) return requireDuty(ctx, duties, centre, isPreferred)
  const held = [...new Set(grantsToday(ctx).flatMap((grant) => (covers(grant, outlet) ? grant.duty : [])))]
  throw new Refusal(
    'DutyRequired',
    403,
    `the centre ${centre.code} decides: this needs the duty ${duties.map((duty) => `${duty} (${DUTY_NAMES[duty]})`).join(' or ')} there; you hold ${held.join(', ') || 'none'} for ${outlet.code}`,
    { extra: { required: duties, held } }
  )
}

// Everything that changes an old part holds its row first, in the order of ids; then it is looked at, in a new statement and so in a
// fresh snapshot. Posting a slip does not hold it: what it changes only moves between arriving, returned and outstanding.
const LOCK = statement<{ id: string }>(`
select o.id::text as id from old_part o where o.warehouse_id = $1 and o.id = any ($2::bigint[]) order by o.id for no key update`)
const POSITIONS = statement<OldPartPosition>(`
select ${POSITION_COLUMNS}
  from old_part_position p join part on part.id = p.part_id
 where p.warehouse_id = $1 and p.id = any ($2::bigint[])
 order by p.due_on, p.id`)

/** Holds old parts of an outlet until the end of the transaction, and says where they stand; the longest due first. */
export async function lockOldParts(ctx: Context, outletId: number, ids: readonly string[]): Promise<OldPartPosition[]> {
  if (ids.length === 0) return []
  await run(ctx, LOCK, [outletId, ids])
  return run(ctx, POSITIONS, [outletId, ids])
}

/** Writes a line of the history of an old part, which is published by itself. */
export const noteOldPart = (
  ctx: Context,
  { outletId, id }: { outletId: number; id: string },
  event: string,
  details: Record<string, unknown>
): Promise<void> => noteEvent(ctx, { warehouseId: outletId, id }, event, details)
