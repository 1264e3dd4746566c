// Sends mails that are due. A mail is due if and only if it waits, its next attempt is not in the future and nobody is sending it. Each is
// settled as soon as the server has answered, so a worker that is killed sends at most the one again that was under way, under the same
// Message-ID. While the server is away one attempt of one mail is made a run, and the others keep theirs.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { mailerOf, type Mailer } from '../platform/mail.ts'

/** Minutes until the next attempt after the first failure, the second, …; about a day in all. */
export const RETRY_MINUTES = [1, 5, 15, 30, 60, 120, 240, 480, 480] as const

const BATCH = 20
const RUN_MS = 30_000

interface Due {
  id: string
  to: string
  subject: string
  text: string
  attempts: number
}

const CLAIM = statement<Due>(`
with due as (
  select id from mail
   where state = 'waiting' and next_attempt_at <= $1 and (leased_until is null or leased_until < clock_timestamp())
   order by next_attempt_at, id limit $2 for update skip locked
), claimed as (
  update mail m set leased_until = clock_timestamp() + interval '10 minutes' from due where m.id = due.id
  returning m.id, m.to_address, m.subject, m.body, m.attempts, m.next_attempt_at
)
select id::text as id, to_address as to, subject, body as text, attempts from claimed order by next_attempt_at, id`)
const SETTLE = statement<never>(`
update mail set state = $2, attempts = attempts + 1, problem = $3, next_attempt_at = $4, leased_until = null,
       settled_at = case when $2 <> 'waiting' then $5::timestamptz end
 where id = $1::bigint and state = 'waiting'`)
const RELEASE = statement<never>(`update mail set leased_until = null where id = any ($1::bigint[])`)

/** @returns undefined where nothing was due, or no server is configured */
export async function sendMails(
  ctx: Context,
  mailer: Mailer | undefined = mailerOf(ctx.config)
): Promise<{ sent: number; failed: number } | undefined> {
  if (mailer === undefined) return undefined
  const started = performance.now()
  const total = { sent: 0, failed: 0 }
  while (performance.now() - started < RUN_MS) {
    const mails = await run(ctx, CLAIM, [ctx.clock.now().toString(), BATCH])
    if (mails.length === 0) break
    for (let mail = mails.shift(); mail !== undefined; mail = mails.shift()) {
      const { id, attempts, ...outgoing } = mail
      const fault = await mailer.send({ ...outgoing, messageId: `mail-${id}` })
      const now = ctx.clock.now()
      const minutes = RETRY_MINUTES[attempts]
      const isDead = fault !== null && (fault.fault === 'mail' || minutes === undefined)
      await run(ctx, SETTLE, [
        id,
        fault === null ? 'sent' : isDead ? 'dead' : 'waiting',
        fault?.problem ?? null,
        now.add({ minutes: fault === null || isDead ? 0 : (minutes ?? 0) }).toString(),
        now.toString()
      ])
      if (fault === null) total.sent++
      else {
        total.failed++
        ctx.log.warn({ mail: id, problem: fault.problem }, isDead ? 'a mail is given up' : 'a mail was not taken')
        if (fault.fault === 'server') {
          await run(ctx, RELEASE, [mails.map((other) => other.id)])
          return total
        }
      }
    }
  }
  return total.sent + total.failed === 0 ? undefined : total
}

const PURGE = statement<{ purged: number }>(`
with old as (
  select id from mail where (state = 'sent' and settled_at < $1) or (state = 'dead' and settled_at < $2) limit 5000
), gone as (delete from mail m using old where m.id = old.id returning 1)
select count(*)::int as purged from gone`)

/** Forgets mails 30 days after they were sent, and those that never were after 90. */
export async function purgeMails(ctx: Context): Promise<{ mails: number }> {
  const before = (days: number) =>
    ctx.clock
      .now()
      .subtract({ hours: 24 * days })
      .toString()
  let mails = 0
  for (;;) {
    const [{ purged } = { purged: 0 }] = await run(ctx, PURGE, [before(30), before(90)])
    if (purged === 0) return { mails }
    mails += purged
  }
}
