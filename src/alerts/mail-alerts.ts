import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { defineConsumer } from '../platform/outbox.ts'
import { addresseesOf } from './addressees.ts'
import { ALERT_COLUMNS, alertJoins, alertView, type AlertRow } from './alert-view.ts'
import { alertMail, type Occasion } from './mail-texts.ts'
import { MAIL_DUE } from './mail-due.ts'
import { sendMailsDue } from './mails.jobs.ts'
import { sendsMail, writeMails, type WrittenMail } from './write-mails.ts'

const OCCASIONS: Record<string, Occasion> = {
  'alert.raised': 'raised',
  'alert.escalated': 'escalated',
  'alert.reminded': 'reminded'
}

/** Somebody who got so many in the last hour gets no more of them: the digest has the rest. */
export const MOST_AN_HOUR = 10

const IMMEDIATE = statement<AlertRow>(`
select ${ALERT_COLUMNS} from alert a
  ${alertJoins}
 where a.id = any ($1::bigint[]) and a.resolved_at is null and p.enabled and p.mail = 'immediately'`)
const LATELY = statement<{ personId: number; mails: number }>(`
select person_id as "personId", count(*)::int as mails from mail
 where person_id = any ($1::int[]) and kind = 'alert' and written_at > $2 group by person_id`)

/**
 * Writes mails about alerts of kinds whose policy says `immediately`, when they are raised, escalated or reminded of: one per person
 * and batch of events, in their language. What is resolved by then is not told.
 */
export const mailAlerts = defineConsumer({
  name: 'alerts.mail',
  events: [...Object.keys(OCCASIONS), MAIL_DUE],
  handle: async (ctx: Context, events) => {
    const follow = [{ job: sendMailsDue }]
    const happened = events.filter(({ event }) => event in OCCASIONS)
    if (happened.length === 0) return follow
    if (!sendsMail(ctx)) return
    const rows = new Map(
      (await run(ctx, IMMEDIATE, [happened.map(({ payload }) => payload['alert'])])).map((row) => [row.id, row])
    )
    const addressees = (await addresseesOf(ctx, [...rows.keys()])).filter(({ email }) => email !== null)
    const since = ctx.clock.now().subtract({ hours: 1 }).toString()
    const lately = new Map(
      (await run(ctx, LATELY, [addressees.map(({ personId }) => personId), since])).map((row) => [
        row.personId,
        row.mails
      ])
    )
    const mails: WrittenMail[] = []
    for (const [personId, theirs] of Map.groupBy(addressees, (addressee) => addressee.personId)) {
      if ((lately.get(personId) ?? 0) >= MOST_AN_HOUR) continue
      const [{ language, email }] = theirs as [(typeof theirs)[number]]
      const told = new Set(theirs.map(({ alert }) => alert))
      const about = happened.flatMap(({ id, event, payload }) => {
        const alert = String(payload['alert'])
        const row = told.has(alert) ? rows.get(alert) : undefined
        const occasion = OCCASIONS[event]
        return row === undefined || occasion === undefined
          ? []
          : [{ id, alert: alertView(ctx, row, language), occasion }]
      })
      const [first] = about
      if (first === undefined || email === null) continue
      mails.push({
        ...alertMail(language, { alerts: about, base: ctx.config.PUBLIC_URL }),
        personId,
        kind: 'alert',
        key: `alert:${first.id}:${personId}`,
        to: email,
        language
      })
    }
    return (await writeMails(ctx, mails)) > 0 ? follow : undefined
  }
})
