import { DUTY_NAMES, requireDutyEverywhere, type Context, type Duty } from './actor.ts'
import { recordAudit } from './audit.ts'
import { identityChanged } from './directory.ts'
import { publishDelegation } from './duty-events.ts'
import { delegationView } from './identity.queries.ts'
import type { DelegationView } from './identity.schemas.ts'
import { lockPerson } from './lock-person.ts'
import { requirePerson } from './require-person.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

export interface DelegateDuties {
  /** Who is absent; oneself if left away. */
  from?: string | undefined
  to: string
  /** All duties if left away. */
  duty?: Duty | undefined
  validFrom?: string | undefined
  validTo: string
  reason: string
}

// Only what the absent person holds in his own name: a duty he stands in for is not in this table.
const OWN = statement<{ id: number }>(`
select id from duty_assignment
 where person_id = $1 and ($2::text is null or duty = $2) and ended_at is null and valid_from <= $4 and (valid_to is null or valid_to >= $3)
 limit 1`)

const OVERLAPPING = statement<{ validFrom: string; validTo: string }>(`
select valid_from::text as "validFrom", valid_to::text as "validTo" from delegation
 where from_person_id = $1 and to_person_id = $2 and (duty is null or $3::text is null or duty = $3)
   and valid_from <= $5 and valid_to >= $4 and ended_at is null
 limit 1`)

const DELEGATE = statement<{ id: number }>(`
insert into delegation (from_person_id, to_person_id, duty, valid_from, valid_to, reason, delegated_by, delegated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning id`)

const later = (day: string): string => Temporal.PlainDate.from(day).add({ years: 1 }).toString()

/**
 * Lets somebody stand in during leave, with dates (R-ORG-2), for at most a year. A person delegates what they hold themselves; an administrator does it for
 * others. What was delegated is not delegated further.
 * @throws Refusal 404, 409 `DelegationOverlaps`, 422 `DelegationToOneself`, `EndBeforeStart`, `StartInThePast`,
 * `StartTooFar`, `DelegationTooLong`, `DutyNotHeld`, `PersonInactive`
 */
export async function delegateDuties(
  ctx: Context,
  { from = ctx.actor.username, to, duty, validFrom, validTo, reason }: DelegateDuties
): Promise<DelegationView> {
  if (from !== ctx.actor.username) requireDutyEverywhere(ctx, 'administrator')
  requirePerson(ctx)
  const today = ctx.clock.today()
  const first = validFrom ?? today
  if (from === to) throw new Refusal('DelegationToOneself', 422, 'name somebody else to stand in')
  if (validTo < first)
    throw new Refusal('EndBeforeStart', 422, `the last day ${validTo} lies before the first day ${first}`)
  if (first < today)
    throw new Refusal(
      'StartInThePast',
      422,
      `the first day ${first} is past; standing in starts today (${today}) or later`
    )
  const latestStart = later(today)
  if (first > latestStart)
    throw new Refusal(
      'StartTooFar',
      422,
      `the first day ${first} is more than a year ahead; the latest is ${latestStart}`
    )
  const latestEnd = later(first)
  if (validTo > latestEnd)
    throw new Refusal(
      'DelegationTooLong',
      422,
      `somebody stands in for at most a year, here to ${latestEnd}; assign the duty itself to whoever takes it over for longer`
    )
  return inTransaction(ctx, async (ctx) => {
    // In one order whoever delegates to whom, so that two people who delegate to each other queue instead of deadlocking.
    const people = new Map<string, { id: number; active: boolean }>()
    for (const username of [from, to].toSorted()) people.set(username, await lockPerson(ctx, username))
    const [absent, deputy] = [people.get(from), people.get(to)]
    if (absent === undefined || deputy === undefined) throw new Error('two locked people are two')
    if (!deputy.active) throw new Refusal('PersonInactive', 422, `${to} is inactive and cannot stand in`)
    const [own] = await run(ctx.em, OWN, [absent.id, duty ?? null, first, validTo])
    if (own === undefined) {
      throw new Refusal(
        'DutyNotHeld',
        422,
        `${from} does not hold ${duty === undefined ? 'any duty' : `the duty ${duty} (${DUTY_NAMES[duty]})`} in person between ${first} and ${validTo}; what was delegated is not delegated further`
      )
    }
    const [overlapping] = await run(ctx.em, OVERLAPPING, [absent.id, deputy.id, duty ?? null, first, validTo])
    if (overlapping !== undefined) {
      throw new Refusal(
        'DelegationOverlaps',
        409,
        `${to} stands in for ${from} from ${overlapping.validFrom} to ${overlapping.validTo} already; choose other days or end that first`
      )
    }
    const [row] = await run(ctx.em, DELEGATE, [
      absent.id,
      deputy.id,
      duty ?? null,
      first,
      validTo,
      reason,
      ctx.actor.personId,
      ctx.clock.now().toString()
    ])
    if (row === undefined) throw new Error('no delegation was written')
    await recordAudit(ctx, 'delegation.made', `person:${from}`, {
      delegationId: row.id,
      to,
      duty: duty ?? null,
      validFrom: first,
      validTo,
      reason
    })
    await publishDelegation(ctx, 'delegation.set', {
      id: row.id,
      personId: absent.id,
      username: from,
      deputy: to,
      duty: duty ?? null
    })
    await identityChanged(ctx)
    return delegationView(ctx, row.id)
  })
}
