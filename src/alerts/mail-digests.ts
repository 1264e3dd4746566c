// The daily digest. Somebody gets one if and only if they are active, have an e-mail address, hold a duty today that is told of an alert, or are
// named by one, which is open and not acknowledged, of a kind whose policy does not say `none`, and got none today: the day is in the key of the mail,
// so a second run writes nothing. Works through the people in groups, each in a transaction of its own, so a run that was cut off is
// gone on with by the next. What it does not do: send. The job of the mails does.
import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import { DUTIES_TOLD } from './addressees.ts'
import { ALERT_KINDS } from './alert-kinds.ts'
import type { Language } from './alert-texts.ts'
import { ALERT_COLUMNS, alertJoins, alertView, type AlertRow } from './alert-view.ts'
import { digestMail, type DigestCount } from './mail-texts.ts'
import { MAIL_DUE } from './mail-due.ts'
import { sendsMail, writeMails, type WrittenMail } from './write-mails.ts'

const PEOPLE_AT_ONCE = 500
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

// Who is told of what, as `addresseesOf` has it, of some people at once: the duties of a rung are worked out once per kind, and the three kinds of
// place are joined by a key each. One join by "or" would compare every holder with every alert.
const TOLD = `
with rung as materialized (
  select a.kind, a.level, a.duty, held.duty as held
    from (select distinct kind, level, duty from alert where resolved_at is null) a
    join alert_policy p on p.kind = a.kind and p.enabled and p.mail <> 'none'
   cross join unnest(${DUTIES_TOLD}) as held (duty)
), place as materialized (
  select distinct a.warehouse_id, w.region_id, a.kind, a.level, a.duty
    from alert a join warehouse w on w.id = a.warehouse_id where a.resolved_at is null
), addressed as materialized (
  select place.*, rung.held
    from place join rung on rung.kind = place.kind and rung.level = place.level and coalesce(rung.duty, '') = coalesce(place.duty, '')
), holder as materialized (
  select distinct person_id, duty, warehouse_id, region_id from duty_holder
   where person_id = any ($1::int[]) and valid_from <= $2::date and (valid_to is null or valid_to >= $2::date)
), told as materialized (
  select h.person_id, a.warehouse_id, a.kind, a.level, a.duty
    from addressed a join holder h on h.duty = a.held and h.warehouse_id = a.warehouse_id
   union
  select h.person_id, a.warehouse_id, a.kind, a.level, a.duty
    from addressed a join holder h on h.duty = a.held and h.region_id = a.region_id
   union
  select h.person_id, a.warehouse_id, a.kind, a.level, a.duty
    from addressed a join holder h on h.duty = a.held and h.warehouse_id is null and h.region_id is null
), named as materialized (
  select n.person_id, a.*
    from alert a
    join alert_policy p on p.kind = a.kind and p.enabled and p.mail <> 'none'
   cross join unnest(a.people) as n (person_id)
   where a.people <> '{}' and a.people && $1::int[] and a.resolved_at is null and n.person_id = any ($1::int[])
     and not exists (select from told where told.person_id = n.person_id and told.warehouse_id = a.warehouse_id and told.kind = a.kind
                        and told.level = a.level and coalesce(told.duty, '') = coalesce(a.duty, ''))
)`

const COUNTS = statement<DigestCount & { personId: number; open: number }>(`${TOLD}, counted as materialized (
  select warehouse_id, kind, level, duty, count(*) as total, count(*) filter (where raised_at > $3) as fresh, count(*) filter (where escalated_at > $3) as escalated,
         count(*) filter (where state = 'acknowledged') as acknowledged
    from alert where resolved_at is null group by warehouse_id, kind, level, duty
)
select c.person_id as "personId", c.kind, w.code as warehouse, sum(c.total)::int as total, sum(c.fresh)::int as fresh, sum(c.escalated)::int as escalated,
       sum(c.acknowledged)::int as acknowledged, sum(c.total - c.acknowledged)::int as open
  from (select told.person_id, counted.*
          from told
          join counted on counted.warehouse_id = told.warehouse_id and counted.kind = told.kind and counted.level = told.level
                      and coalesce(counted.duty, '') = coalesce(told.duty, '')
         union all
        select person_id, warehouse_id, kind, level, duty, 1, (raised_at > $3)::int, coalesce(escalated_at > $3, false)::int, (state = 'acknowledged')::int
          from named) c
  join warehouse w on w.id = c.warehouse_id
 group by c.person_id, c.kind, w.code
 order by sum(c.total) desc, w.code`)
// Those that went up the ladder first, then the newest.
const FIRST = statement<AlertRow & { personId: number }>(`${TOLD}, ranked as materialized (
  select a.person_id, a.warehouse_id, a.id, row_number() over (partition by a.person_id order by a.level desc, a.id desc) as place
    from (select told.person_id, a.warehouse_id, a.id, a.level
            from told
            join alert a on a.warehouse_id = told.warehouse_id and a.kind = told.kind and a.level = told.level
                        and coalesce(a.duty, '') = coalesce(told.duty, '') and a.resolved_at is null and a.state = 'open'
           union all
          select person_id, warehouse_id, id, level from named where state = 'open') a
)
select ranked.person_id as "personId", ${ALERT_COLUMNS}
  from ranked
  join alert a on a.warehouse_id = ranked.warehouse_id and a.id = ranked.id
  ${alertJoins}
 where ranked.place <= $3
 order by ranked.person_id, ranked.place`)

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
