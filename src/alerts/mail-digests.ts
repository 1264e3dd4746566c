// The daily digest. Somebody gets one if and only if they are active, have an e-mail address, hold a duty today that is told of an alert
// which is open and not acknowledged, of a kind whose policy does not say `none`, and got none today: the day is in the key of the mail,
// so a second run writes nothing. Works through the people in groups, each in a transaction of its own, so a run that was cut off is
// gone on with by the next. What it does not do: send. The job of the mails does.
import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import { toldOf } from './addressees.ts'
import { ALERT_KINDS } from './alert-kinds.ts'
import type { Language } from './alert-texts.ts'
import { ALERT_COLUMNS, alertJoins, alertView, type AlertRow } from './alert-view.ts'
import { digestMail, type DigestCount } from './mail-texts.ts'
import { MAIL_DUE } from './mail-due.ts'
import { sendsMail, writeMails, type WrittenMail } from './write-mails.ts'

const PEOPLE_AT_ONCE = 200
const ALERTS_NAMED = 15

interface Reader {
  id: number
  language: Language
  email: string
}

const READERS = statement<Reader>(`
select id, language, email from person
 where active and email is not null and id > $1 and not exists (select 1 from mail where key = 'digest:' || $2::text || ':' || person.id)
 order by id limit $3`)

/** Open alerts `a` that a person is told of, of the people $1 on day $2. */
const TOLD = `
  from (select * from (${toldOf('$2::date')}) everybody where person_id = any ($1::int[])) told
  join alert a on a.warehouse_id = told.warehouse_id and a.kind = told.kind and a.level = told.level and a.duty is not distinct from told.duty
              and a.resolved_at is null
  ${alertJoins}
 where p.enabled and p.mail <> 'none'`

const COUNTS = statement<DigestCount & { personId: number; open: number }>(`
select told.person_id as "personId", a.kind, w.code as warehouse, count(*)::int as total, count(*) filter (where a.raised_at > $3)::int as fresh,
       count(*) filter (where a.escalated_at > $3)::int as escalated, count(*) filter (where a.state = 'acknowledged')::int as acknowledged,
       count(*) filter (where a.state = 'open')::int as open
  ${TOLD}
 group by told.person_id, a.kind, w.code
 order by count(*) desc, w.code`)
// Those that most people wait for first: escalated ones, then the newest.
const FIRST = statement<AlertRow & { personId: number }>(`
select * from (
  select told.person_id as "personId", row_number() over (partition by told.person_id order by a.level desc, a.id desc) as place, ${ALERT_COLUMNS}
    ${TOLD} and a.state = 'open'
) ranked where place <= $3 order by "personId", place`)

/**
 * Writes today's digest of everybody who has something to be told.
 * @returns how many were written
 */
export async function writeDigests(
  ctx: Context,
  progress: (done: number) => Promise<void> = async () => undefined
): Promise<{ digests: number }> {
  if (!sendsMail(ctx)) return { digests: 0 }
  const day = ctx.clock.today()
  let digests = 0
  let after = 0
  for (;;) {
    const readers = await run(ctx, READERS, [after, day, PEOPLE_AT_ONCE])
    const last = readers.at(-1)
    if (last === undefined) break
    after = last.id
    digests += await inTransaction(ctx, (inner) => writeThese(inner, readers, day))
    await progress(digests)
  }
  return { digests }
}

async function writeThese(ctx: Context, readers: readonly Reader[], day: string): Promise<number> {
  const ids = readers.map(({ id }) => id)
  const since = ctx.clock.now().subtract({ hours: 24 }).toString()
  const counts = Map.groupBy(await run(ctx, COUNTS, [ids, day, since]), ({ personId }) => personId)
  const waiting = readers.filter(({ id }) => counts.get(id)?.some(({ open }) => open > 0) ?? false)
  if (waiting.length === 0) return 0
  const first = Map.groupBy(
    await run(ctx, FIRST, [waiting.map(({ id }) => id), day, ALERTS_NAMED]),
    ({ personId }) => personId
  )
  const mails = waiting.map(({ id, language, email }): WrittenMail => {
    const theirs = counts.get(id) ?? []
    return {
      ...digestMail(language, {
        day,
        counts: theirs.toSorted((a, b) => ALERT_KINDS.indexOf(a.kind) - ALERT_KINDS.indexOf(b.kind)),
        alerts: (first.get(id) ?? []).map((row) => alertView(ctx, row, language)),
        base: ctx.config.PUBLIC_URL
      }),
      personId: id,
      kind: 'digest',
      key: `digest:${day}:${id}`,
      to: email,
      language
    }
  })
  const written = await writeMails(ctx, mails)
  if (written > 0) await publish(ctx, [{ subject: 'mail', event: MAIL_DUE }])
  return written
}
