import type { Context } from '../identity/actor.ts'
import type { Config } from '../platform/config.ts'
import { run, statement } from '../platform/database.ts'
import type { Language } from './alert-texts.ts'
import type { MailText } from './mail-texts.ts'

/** A mail to be written down. */
export interface WrittenMail extends MailText {
  personId: number
  kind: 'digest' | 'alert'
  key: string
  to: string
  language: Language
}

// The key makes a second one of the same thing nothing.
const WRITE = statement<{ id: string }>(`
insert into mail (person_id, kind, key, to_address, subject, body, language, next_attempt_at, written_at)
select m.person_id, m.kind, m.key, m.to_address, m.subject, m.body, m.language, $8, $8
  from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) with ordinality
       as m (person_id, kind, key, to_address, subject, body, language, place) order by place
on conflict (key) do nothing returning id::text as id`)

/**
 * Writes mails down, in the transaction of what they tell.
 * @returns how many were new
 */
export async function writeMails(ctx: Context, mails: readonly WrittenMail[]): Promise<number> {
  if (mails.length === 0) return 0
  const written = await run(ctx, WRITE, [
    mails.map(({ personId }) => personId),
    mails.map(({ kind }) => kind),
    mails.map(({ key }) => key),
    mails.map(({ to }) => to),
    mails.map(({ subject }) => subject),
    mails.map(({ text }) => text),
    mails.map(({ language }) => language),
    ctx.clock.now().toString()
  ])
  return written.length
}

const told = new WeakSet<Config>()

/** Whether mails are sent at all. What is not sent is not written either; the log says so once. */
export function sendsMail(ctx: Context): boolean {
  if (ctx.config.SMTP_URL !== undefined) return true
  if (!told.has(ctx.config)) {
    told.add(ctx.config)
    ctx.log.info('SMTP_URL is not set: alerts are not sent by e-mail')
  }
  return false
}
