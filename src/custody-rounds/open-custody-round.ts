import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, Refusal } from '../platform/errors.ts'
import { contentHash } from '../signing/content-hash.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'
import { noteEvent } from '../signing/document-history.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { readCustodyRound } from './custody-round.ts'
import type { OpenRound, RoundView } from './custody-rounds.schemas.ts'

// A tool of which a loss is reported is asked about already.
const HELD = statement<{ personId: number; technician: string; tools: { id: string; serial: string }[] }>(`
select person.id as "personId", person.username as technician, json_agg(json_build_object('id', t.id::text, 'serial', t.serial) order by t.serial) as tools
  from tool t join person on person.id = t.holder_id
 where t.warehouse_id = $1 and t.loss_id is null
 group by person.id order by person.id`)

const OPEN = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber(`'TCR'`, '$2')})
insert into custody_round (warehouse_id, number, due_on, note, opened_by, opened_at)
select $1, ${documentNumber('warehouse.code', `'TCR'`, '$2')}, $3, $4, $5, $6 from numbered, warehouse where warehouse.id = $1
returning id::text as id, number`)

const ASK = statement<never>(`
with asked as (
  insert into custody_round_line (warehouse_id, round_id, person_id, content_hash)
  select $1, $2, * from unnest($3::int[], $4::text[])
)
insert into custody_round_tool (warehouse_id, round_id, tool_id, person_id) select $1, $2, * from unnest($5::bigint[], $6::int[])`)

/**
 * Opens a custody round: everybody who holds tools of the register is asked to confirm the list as it is now, until a day. One round of a warehouse
 * at a time, so a year that is mistyped would keep all others waiting for who does not answer.
 * @throws Refusal 403, 404, 409 `RoundOpenAlready`, `NothingInCustody`, 422 `DueInThePast`, `DueTooLate`
 */
export async function openCustodyRound(
  ctx: Context,
  { warehouse: code, dueOn, note }: OpenRound & { warehouse: string }
): Promise<RoundView> {
  const warehouse = await warehouseByCode(ctx, code)
  requireDuty(ctx, ['keeper', 'department-head'], warehouse)
  const today = ctx.clock.today()
  if (dueOn < today)
    throw new Refusal(
      'DueInThePast',
      422,
      `nobody can confirm until ${dueOn} any more; give today (${today}) or later`,
      {
        errors: [{ pointer: '/dueOn', detail: 'is past', sent: dueOn, accepted: `${today} or later` }]
      }
    )
  const latest = Temporal.PlainDate.from(today).add({ years: 1 }).toString()
  if (dueOn > latest)
    throw new Refusal(
      'DueTooLate',
      422,
      `a round is closed without somebody's answer only once it is overdue; give ${latest} or earlier, not ${dueOn}`,
      { errors: [{ pointer: '/dueOn', detail: 'is too late', sent: dueOn, accepted: `${latest} or earlier` }] }
    )
  return inTransaction(ctx, async (inner) => {
    const [opened] = await run(inner, OPEN, [
      warehouse.id,
      today,
      dueOn,
      note ?? null,
      inner.actor.personId,
      inner.clock.now().toString()
    ]).catch((error: unknown) => {
      throw constraintOf(error) === 'custody_round_one_open'
        ? new Refusal(
            'RoundOpenAlready',
            409,
            `a round of ${code} is open: GET /v1/custody-rounds?warehouse=${code}&state=open; close it first`
          )
        : error
    })
    if (opened === undefined) throw new Error('a custody round is opened by one statement')
    const { id, number } = opened
    const held = await run(inner, HELD, [warehouse.id])
    if (held.length === 0)
      throw new Refusal('NothingInCustody', 409, `nobody holds a tool of ${code}; there is nothing to confirm`)
    const tools = held.flatMap((one) => one.tools.map((tool) => ({ id: tool.id, personId: one.personId })))
    await run(inner, ASK, [
      warehouse.id,
      id,
      held.map(({ personId }) => personId),
      held.map((one) =>
        contentHash({ round: number, technician: one.technician, tools: one.tools.map(({ serial }) => serial) })
      ),
      tools.map((tool) => tool.id),
      tools.map(({ personId }) => personId)
    ])
    await noteEvent(inner, { warehouseId: warehouse.id, id }, 'custody-round-opened', {
      number,
      dueOn,
      technicians: held.length,
      tools: tools.length
    })
    return readCustodyRound(inner, { number })
  })
}
