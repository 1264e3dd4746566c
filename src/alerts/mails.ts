import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { inTransaction } from '../platform/context.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { publish } from '../platform/outbox.ts'
import { MAIL_DUE } from './mail-due.ts'
import type { MailView } from './mails.schemas.ts'

const VIEW = `
select m.id::text as id, person.username as person, m.kind, m.to_address as to, m.subject, m.language, m.state, m.attempts,
       case when m.state = 'waiting' then m.next_attempt_at end as "nextAttemptAt", m.problem, m.written_at as "writtenAt", m.settled_at as "settledAt"
  from mail m join person on person.id = m.person_id`
const LIST = statement<MailView>(`${VIEW}
 where ($1::text is null or m.state = $1) and ($2::bigint is null or m.id < $2::bigint) order by m.id desc limit $3`)
const READ = statement<MailView>(`${VIEW} where m.id = $1::bigint`)
const RETRY = statement<{ id: string }>(`
update mail set state = 'waiting', attempts = 0, next_attempt_at = $2, settled_at = null, leased_until = null
 where id = $1::bigint and state = 'dead' returning id::text as id`)

const shown = (row: MailView): MailView => ({
  ...row,
  nextAttemptAt: instantOrNull(row.nextAttemptAt),
  writtenAt: instant(row.writtenAt),
  settledAt: instantOrNull(row.settledAt)
})

/** Reading takes no right to write. */
const reading = (ctx: Context): Context =>
  Object.create(ctx, { actor: { value: { ...ctx.actor, readOnly: false }, enumerable: true } }) as Context

/** Mails about alerts, newest first; what they say is for whom they are to. */
export async function listMails(
  ctx: Context,
  { state, limit = 50, cursor }: { state?: MailView['state'] | undefined; limit?: number; cursor?: string | undefined }
) {
  requireDutyEverywhere(reading(ctx), 'administrator')
  const [after = null] = readCursor(cursor, ['id']) ?? []
  const rows = await run(ctx, LIST, [state ?? null, after, limit + 1])
  return pageFrom(rows.map(shown), limit, ({ id }) => [id])
}

/**
 * Has a mail that was given up tried again, from its first attempt, to the address it was written to.
 * @throws Refusal 403, 404, 409 `MailNotDead`
 */
export async function retryMail(ctx: Context, { id }: { id: string }): Promise<MailView> {
  requireDutyEverywhere(ctx, 'administrator')
  return inTransaction(ctx, async (ctx) => {
    const [retried] = await run(ctx, RETRY, [id, ctx.clock.now().toString()])
    const [found] = await run(ctx, READ, [id])
    if (found === undefined) throw notFound('mail', id)
    if (retried === undefined)
      throw new Refusal('MailNotDead', 409, `mail ${id} is ${found.state}; only one that was given up is tried again`)
    await recordAudit(ctx, 'mail.retried', `mail:${id}`)
    await publish(ctx, [{ subject: 'mail', event: MAIL_DUE }])
    return shown(found)
  })
}
