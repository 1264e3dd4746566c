// What the change of keepers wants somebody to act on (R-ORG-3).
import { grantCovers } from '../identity/actor.ts'
import type { AlertKind } from './alert-kinds.ts'
import type { AlertRule } from './alert-rule.ts'

/** A handover is open for long when it was drawn up more than so many days ago. */
const OPEN_DAYS = 3
/** A duty that runs out within so many days is soon. */
const SOON_DAYS = 7

const handoverOpen: AlertRule = {
  kind: 'handover-open',
  about: 'document',
  causes: (isSome) => `
select h.warehouse_id, h.number as subject, h.id as about_id, null::text as duty,
       jsonb_build_object('handover', h.number, 'state', h.state, 'outgoing', outgoing.username, 'incoming', incoming.username,
         'drawnUpOn', (h.drawn_up_at at time zone $3::text)::date) as details
  from ${isSome ? 'asked join handover h on h.warehouse_id = asked.warehouse_id and h.id = asked.about_id' : 'handover h'}
  join person outgoing on outgoing.id = h.outgoing_id
  join person incoming on incoming.id = h.incoming_id
 where h.state in ('draft', 'awaiting-signatures') and (h.drawn_up_at at time zone $3::text)::date + ${OPEN_DAYS} < $1::date`
}

// The incoming keeper of a draft, who may hold no duty there yet, and each of the four until they have signed what was submitted. A refusal voids
// what was signed. Another person or another stage is another subject: whoever comes to be awaited is told anew.
const handoverSigner: AlertRule = {
  kind: 'handover-signer',
  about: 'document',
  namesPeople: true,
  causes: (isSome) => `
select h.warehouse_id, concat_ws(' ', h.number, case h.state when 'draft' then 'draft' else awaited.party end, signer.username) as subject, h.id as about_id,
       case when signer.id is null then awaited.party end as duty, array_remove(array[signer.id], null) as people,
       jsonb_build_object('handover', h.number, 'state', h.state, 'party', awaited.party, 'signer', signer.username,
         'outgoing', outgoing.username, 'incoming', incoming.username) as details
  from ${isSome ? 'asked join handover h on h.warehouse_id = asked.warehouse_id and h.id = asked.about_id' : 'handover h'}
  join person outgoing on outgoing.id = h.outgoing_id
  join person incoming on incoming.id = h.incoming_id
 cross join unnest(array['outgoing-keeper', 'incoming-keeper', 'department-head', 'finance-supervisor']) as awaited (party)
  left join person signer on signer.id = case awaited.party when 'outgoing-keeper' then h.outgoing_id when 'incoming-keeper' then h.incoming_id end
 where case h.state
         when 'draft' then awaited.party = 'incoming-keeper'
         when 'awaiting-signatures' then not (awaited.party = 'outgoing-keeper' and h.absent_because is not null)
           and not exists (select from signature s
                            where s.warehouse_id = h.warehouse_id and s.document_id = h.id and s.duty = awaited.party and s.voided_at is null)
         else false end`
}

/** Own grants `g` of keeper for warehouse `w`: standing in for a keeper does not outlast that keeper's own duty. */
const KEEPS = `g.duty = 'keeper' and ${grantCovers('g', 'w.id', 'w.region_id')}`
const ACTS = `${KEEPS} and g.ended_at is null and exists (select from person where person.id = g.person_id and person.active and person.locked_at is null)`

// Goods or tools are kept there, or units are lent, somebody was keeper once, and on a day from today on nobody is. A warehouse whose first keeper is still to be named is the
// business of whoever sets it up. Who keeps it for as long as is looked ahead is looked for first: most warehouses are done with then. Where
// nobody holds the duties that are told first, those of head office are, so that it reaches somebody in any case.
const keeperMissing: AlertRule = {
  kind: 'keeper-missing',
  about: 'warehouse',
  causes: (isSome) => `
select w.id as warehouse_id, w.code as subject, null::bigint as about_id, told.instead as duty,
       jsonb_build_object('from', gap.day, 'isMissing', gap.day <= $1::date, 'keeper', last.username, 'until', last.until, 'toldInstead', told.instead,
         'handover', (select h.number from handover h where h.warehouse_id = w.id and h.state in ('draft', 'awaiting-signatures') order by h.id desc limit 1)) as details
  from ${isSome ? 'asked join warehouse w on w.id = asked.warehouse_id' : 'warehouse w'}
 cross join lateral (
   select min(day)::date as day
     from generate_series($1::date, $1::date + ${SOON_DAYS}, interval '1 day') as ahead (day)
    where not exists (select from duty_assignment g where ${ACTS} and g.valid_from <= day and (g.valid_to is null or g.valid_to >= day))) gap
 cross join lateral (
   select person.username, coalesce((g.ended_at at time zone $3::text)::date, g.valid_to) as until
     from duty_assignment g join person on person.id = g.person_id
    where ${KEEPS} and g.valid_from <= $1::date
    order by coalesce((g.ended_at at time zone $3::text)::date, g.valid_to, 'infinity') desc, g.id desc limit 1) last
 cross join lateral (
   select case when not exists (${holders(`duty = any (alert_duties(p.ladder, 0, null))`)})
               then case when exists (${holders(`duty = 'stock-controller'`)}) then 'stock-controller' else 'administrator' end end as instead
     from alert_policy p where p.kind = 'keeper-missing') told
 where not exists (select from duty_assignment g where ${ACTS} and g.valid_from <= $1::date and (g.valid_to is null or g.valid_to >= $1::date + ${SOON_DAYS}))
   and gap.day is not null
   and (w.closed_on is null or w.closed_on > $1::date)
   and (exists (select from balance b where b.warehouse_id = w.id and b.on_hand > 0)
        or exists (select from loan l where l.warehouse_id = w.id and l.state = 'out')
        or exists (select from tool t where t.warehouse_id = w.id and t.state in ('shelf', 'custody')))`
}

/** Whoever holds a duty for warehouse `w` today, also in somebody's stead. */
function holders(isDuty: string): string {
  return `select from duty_holder h
            where h.${isDuty} and h.valid_from <= $1::date and (h.valid_to is null or h.valid_to >= $1::date)
              and (h.warehouse_id = w.id or h.region_id = w.region_id or (h.warehouse_id is null and h.region_id is null))`
}

/** The rules of handovers, by kind. */
export const handoverRules = {
  'handover-open': handoverOpen,
  'handover-signer': handoverSigner,
  'keeper-missing': keeperMissing
} satisfies Partial<Record<AlertKind, AlertRule>>
