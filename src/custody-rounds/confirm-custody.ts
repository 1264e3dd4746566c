import { requireDuty, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal } from '../platform/errors.ts'
import { noteEvent } from '../signing/document-history.ts'
import { lockRound, readCustodyRound, requireOpen } from './custody-round.ts'
import type { ConfirmCustody, RoundView } from './custody-rounds.schemas.ts'

const ANSWER = statement<never>(`
with answered as (
  update custody_round_line set answered_at = $4, remark = $5 where warehouse_id = $1 and round_id = $2 and person_id = $3
), marked as (
  update custody_round_tool f set missing = upper(t.serial) = any ($6::text[])
    from tool t
   where t.id = f.tool_id and f.warehouse_id = $1 and f.round_id = $2 and f.person_id = $3
)
update custody_round set version = version + 1 where warehouse_id = $1 and id = $2`)

/**
 * Confirms one's own list of a round, or names what is missing: the line then stays open until a loss is reported of it. Who answers again
 * answers anew. Custody is personal: nobody answers for somebody else.
 * @throws Refusal 403 `DutyRequired`, `PersonMustSign`, `CustodyIsPersonal`, 404, 409 `RoundClosed`, `NotAsked`, `ContentChanged`, 412, 422 `ToolNotOfList`
 */
export function confirmCustody(
  ctx: Context,
  {
    number,
    missing = [],
    remark,
    contentHash,
    ifMatch
  }: ConfirmCustody & { number: string; ifMatch?: string | undefined }
): Promise<RoundView> {
  return inTransaction(ctx, async (inner) => {
    const { round, warehouse } = await lockRound(inner, number, ifMatch)
    const line = round.lines.find(({ personId }) => personId === inner.actor.personId)
    // Who is asked answers, even when the duty has run out meanwhile.
    const onBehalfOf = line === undefined ? requireDuty(inner, 'technician', warehouse).onBehalfOf : null
    if (inner.actor.isMachine)
      throw new Refusal('PersonMustSign', 403, 'an API key never confirms what somebody holds; sign in as a person')
    if (onBehalfOf !== null)
      throw new Refusal('CustodyIsPersonal', 403, 'custody is personal: nobody confirms for whom they stand in for')
    requireOpen(round)
    if (line === undefined)
      throw new Refusal(
        'NotAsked',
        409,
        `you held nothing of ${round.warehouse} when ${number} was opened; there is nothing to confirm`
      )
    if (contentHash !== undefined && contentHash !== line.contentHash)
      throw new Refusal('ContentChanged', 409, `the list you have read is not yours of ${number}; read it again`, {
        extra: { contentHash: line.contentHash }
      })
    const listed = new Set(line.tools.map(({ serial }) => serial.toUpperCase()))
    const strangers = missing.filter((serial) => !listed.has(serial.toUpperCase()))
    if (strangers.length > 0)
      throw new Refusal(
        'ToolNotOfList',
        422,
        `${strangers.slice(0, NAMED_OFFENDERS).join(', ')}${strangers.length > NAMED_OFFENDERS ? ` and ${strangers.length - NAMED_OFFENDERS} more` : ''} ${strangers.length === 1 ? 'is' : 'are'} not on your list; name what is on it and not there`,
        {
          errors: [
            {
              pointer: '/missing',
              detail: 'is not on the list',
              sent: strangers,
              accepted: line.tools.map(({ serial }) => serial)
            }
          ]
        }
      )
    await run(inner, ANSWER, [
      warehouse.id,
      round.id,
      inner.actor.personId,
      inner.clock.now().toString(),
      remark ?? null,
      missing.map((serial) => serial.toUpperCase())
    ])
    await noteEvent(inner, { warehouseId: warehouse.id, id: round.id }, 'custody-confirmed', {
      number,
      contentHash: line.contentHash,
      ...(missing.length > 0 && { missing }),
      ...(remark !== undefined && { remark })
    })
    return readCustodyRound(inner, { number })
  })
}
