import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { requirePerson } from '../identity/require-person.ts'
import { afterDeadlock } from '../platform/after-deadlock.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { requireHeadOffice } from '../warehouses/head-office.ts'
import { reachOf } from './recall-reach.ts'
import { LINE_COLUMNS, lineParameters, linesFrom, recallLines, type RecallLine } from './recall-scopes.ts'
import { loadRecall, recallHash, RECALLING_DUTIES, recallView } from './recall.ts'
import type { CreateRecall, RecallPreview, RecallView } from './recalls.schemas.ts'
import { startRecall } from './start-recall.ts'
import type { Static } from 'typebox'
import { documentNumber } from '../signing/document-number.ts'

// The row of the counter is held until the commit, as for every document, so that numbers have no gap.
const NUMBER = statement<{ number: string }>(`
insert into document_number as n (warehouse_id, series, period, last)
values ($1, 'RCL', date_trunc('month', $3::date::timestamp)::date, 1)
on conflict (warehouse_id, series, period) do update set last = n.last + 1
returning ${documentNumber('$2', "'RCL'", '$3')} as number`)

const CREATE = statement<never>(`
with created as (
  insert into recall (warehouse_id, number, title, reason, state, opened_by, opened_for, opened_at, reach, content_hash, started_at)
  values ($1, $2, $3, $4, $5::text, $6, $7, $8::timestamptz, $9, $10, case when $5::text = 'running' then $8::timestamptz end)
  returning id
), lines as (
  insert into recall_line (warehouse_id, recall_id, ${LINE_COLUMNS})
  select $1, created.id, named.* from created, ${linesFrom(12)}
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
select $1, id, $8, $6, 'opened', jsonb_build_object('title', $3::text, 'parts', $11::text[], 'state', $5::text) from created`)

/**
 * Recalls parts, lots or what came in at some time (R-REQ-7). It takes effect at once in every warehouse, in the transaction of the call: one person may
 * block. A recall that reaches so far that it would stop the network waits for a second person. `dryRun` only says what it would come to.
 * @throws Refusal those of `recallLines`, 403 `PersonRequired`, 409 `HeadOfficeMissing`, 422 `RecallOfNothing`
 */
export async function createRecall(
  ctx: Context,
  { title, reason, scopes, dryRun }: CreateRecall
): Promise<RecallView | Static<typeof RecallPreview>> {
  const grant = requireDutyEverywhere(ctx, RECALLING_DUTIES)
  requirePerson(ctx)
  const lines = await recallLines(ctx, scopes)
  const { reach, promises } = await reachOf(ctx, lines)
  if ([reach.onHand, reach.inTransit, reach.issued].every((quantity) => quantity === '0')) throw ofNothing(lines)
  if (dryRun === true) return { dryRun, reach, promises }
  return afterDeadlock(() =>
    inTransaction(ctx, async (inner) => {
      const office = await requireHeadOffice(inner, 'recalls')
      const today = inner.clock.today()
      const [numbered] = await run(inner, NUMBER, [office.id, office.code, today])
      if (numbered === undefined) throw new Error('no number was drawn')
      const { number } = numbered
      const parts = [...new Set(lines.map(({ part }) => part))]
      await run(inner, CREATE, [
        office.id,
        number,
        title,
        reason,
        reach.needsSecondSignature ? 'awaiting-second-signature' : 'running',
        inner.actor.personId,
        grant.onBehalfOf,
        inner.clock.now().toString(),
        JSON.stringify(reach),
        recallHash({ number, title, reason, openedBy: inner.actor.username, lines }, office),
        parts.slice(0, 50),
        ...lineParameters(lines)
      ])
      if (!reach.needsSecondSignature) await startRecall(inner, number)
      const { recall } = await loadRecall(inner, number)
      return recallView(inner, recall, office)
    })
  )
}

/** Says what was looked for: who mistyped a day or a supplier would else believe the goods were blocked. */
function ofNothing(lines: readonly RecallLine[]): Refusal {
  const looked = lines.map(({ part, lot, receivedFrom, receivedTo, supplier }) =>
    [
      part,
      ...(lot === null ? [] : [`lot ${lot}`]),
      ...(receivedFrom === null ? [] : [`received from ${receivedFrom}`]),
      ...(receivedTo === null ? [] : [`received to ${receivedTo}`]),
      ...(supplier === null ? [] : [`from supplier ${supplier}`])
    ].join(', ')
  )
  const named = looked.slice(0, 5).join('; ')
  return new Refusal(
    'RecallOfNothing',
    422,
    `no goods of this lie, travel or ever left anywhere: ${named}${looked.length > 5 ? ` and ${looked.length - 5} more` : ''}; check parts, lots, days and supplier`,
    { errors: [{ pointer: '/scopes', detail: 'is of no goods' }], extra: { lookedFor: looked.slice(0, 50) } }
  )
}
