// A count and its lines as they are kept, and the only two ways in which they leave the server.
//
// Blind means blind (R-CNT-2): what the ledger holds, held or is off by leaves for a line when that line is settled, and not
// before, for nobody. `countView` and `countLineView` see to it; every answer, file and form is made of what they give.
import { maySee, type Context, type Duty } from '../identity/actor.ts'
import type { Condition, Ownership } from '../ledger/post.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { run, statement } from '../platform/database.ts'
import { decimal, thousandths } from '../platform/decimal.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { longContentHash } from '../signing/content-hash.ts'
import { dutiesAwaited, type Signature } from '../signing/sign.ts'
import { signaturesOf, signatureView } from '../signing/signatures.ts'
import { readSignedContentBy } from '../slips/slip-package.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import type {
  CountKind,
  CountLineState,
  CountLineView,
  CountState,
  CountView,
  VarianceCause
} from './counts.schemas.ts'

/** A count without its lines. */
export interface Count {
  id: string
  number: string
  kind: CountKind
  state: CountState
  version: number
  /** First day of the month. */
  period: string | null
  scope: CountView['scope']
  position: string
  openedAt: string
  openedBy: string
  openedById: number
  note: string | null
  progress: CountView['progress']
  submittedAt: string | null
  submittedBy: string | null
  submittedById: number | null
  contentHash: string | null
  duties: Duty[]
  signatures: Signature[]
  refusal: { by: string; duty: string; reason: string; at: string } | null
  approvedAt: string | null
  cancelledAt: string | null
  cancelledBecause: string | null
  adjustmentSlip: string | null
  adjustmentReversal: CountView['adjustmentReversal']
  follows: string | null
  followedBy: string | null
  countedElsewhere: CountView['countedElsewhere']
  reportedAt: string | null
  reportedBy: string | null
  reportNote: string | null
}

/** A line as it is kept, also what must not be seen yet: show it by `countLineView` only. */
export interface CountLine {
  line: number
  partId: number
  part: string
  name: string
  nameZh: string | null
  specification: string | null
  colour: string | null
  unit: string
  ownership: Ownership
  condition: Condition
  found: boolean
  state: CountLineState
  rounds: number
  countedBy: string | null
  countedAt: string | null
  counted: string | null
  card: string | null
  expected: string | null
  snapshot: string | null
  lots: { lot: string; counted: string; expected: string }[] | null
  variance: string | null
  cardVariance: string | null
  varianceValue: string | null
  differs: boolean | null
  needsVerification: boolean | null
  /** Every round of a settled line, oldest first. */
  entries: CountLineView['entries']
  cause: VarianceCause | null
  causeNote: string | null
  evidence: string | null
  explainedBy: string | null
  explainedAt: string | null
  gainLot: string | null
  unitCost: string | null
  receivedOn: string | null
  costDocument: string | null
  verifiedBy: string | null
  verifiedAt: string | null
  verificationNote: string | null
  objection: string | null
  setAsideBecause: string | null
  setAsideBy: string | null
  adjustedLine: number | null
  adjustmentProblem: string | null
}

export const COUNT_KIND_NAMES: Record<CountKind, string> = { 'month-end': '月末盘点表', cycle: '循环盘点表' }

/** Whether ledger and goods of a settled line `l` do not agree, lot by lot where lots were counted. */
export const ADJUSTS = `(l.counted <> l.expected or coalesce(l.lots @? '$[*] ? (@.counted != @.expected)', false))`

/** Whether ledger, card and goods of a settled line `l` do not agree (R-CNT-4). */
export const DIFFERS = `(${ADJUSTS} or l.card <> l.counted)`

/** Whether the finance supervisor verifies a settled line `l`: what differs, and what was once disputed although it agrees now. */
export const TO_VERIFY = `(${DIFFERS} or l.must_verify)`

/**
 * Everybody who counted the balance of a line, in any round of its count and in counts that this one follows, and whom they
 * stood in for; as SQL. The entries are looked for only where there are some.
 */
export const countersOf = (line: string): string => `
  (${line}.counted_before || case when ${line}.rounds = 0 then '{}'::int[] else array(
     select distinct counter.id
       from count_entry e cross join lateral (values (e.counted_by), (e.counted_for)) as counter (id)
      where e.warehouse_id = ${line}.warehouse_id and e.count_id = ${line}.count_id and e.line_no = ${line}.line_no and counter.id is not null) end)`

const ofGainLot = (column: string): string =>
  `(select lot.${column} from lot where lot.warehouse_id = l.warehouse_id and lot.id = l.gain_lot)`

/**
 * Cost and age of the gain of a line `l` that was not counted lot by lot, as SQL: of its paper, else of the lot it belongs to.
 * This is what is shown, what is signed and what is posted.
 */
export const GAIN = {
  unitCost: `coalesce(l.unit_cost, case when l.ownership = 'own' then ${ofGainLot('unit_cost')} end)`,
  receivedOn: `coalesce(l.received_on, ${ofGainLot('received_on')})`
} as const

/** The columns of a `CountLine`, from `COUNT_LINE_FROM`. */
export const COUNT_LINE_COLUMNS = `
  l.line_no as line, l.part_id as "partId", part.number as part, part.name, part.name_zh as "nameZh", part.specification, part.colour, part.unit,
  l.ownership, l.condition, l.snapshot is null as found, l.state, l.rounds, counter.username as "countedBy", l.counted_at as "countedAt",
  trim_scale(l.counted)::text as counted, trim_scale(l.card)::text as card, trim_scale(l.expected)::text as expected, trim_scale(l.snapshot)::text as snapshot,
  l.lots, trim_scale(l.counted - l.expected)::text as variance, trim_scale(l.counted - l.card)::text as "cardVariance", l.variance_value::text as "varianceValue",
  case when l.state = 'settled' then ${DIFFERS} end as differs, case when l.state = 'settled' then ${TO_VERIFY} end as "needsVerification",
  case when l.state = 'settled' then (
    select json_agg(json_build_object(
             'round', e.round, 'countedBy', who.username, 'onBehalfOf', absent.username, 'countedAt', e.counted_at,
             'counted', trim_scale(e.counted)::text, 'card', trim_scale(e.card)::text, 'expected', trim_scale(e.expected)::text) order by e.id)
      from count_entry e join person who on who.id = e.counted_by left join person absent on absent.id = e.counted_for
     where e.warehouse_id = l.warehouse_id and e.count_id = l.count_id and e.line_no = l.line_no) end as entries,
  l.cause, l.cause_note as "causeNote", l.evidence, case when l.cause is not null then explainer.username end as "explainedBy", l.explained_at as "explainedAt",
  l.gain_lot::text as "gainLot", ${GAIN.unitCost}::text as "unitCost", ${GAIN.receivedOn}::text as "receivedOn", l.cost_document as "costDocument",
  verifier.username as "verifiedBy", l.verified_at as "verifiedAt", l.verification_note as "verificationNote", l.objection,
  l.set_aside_because as "setAsideBecause", setter.username as "setAsideBy", l.adjusted_line_no as "adjustedLine", l.adjustment_problem as "adjustmentProblem"`

/** Lines `l` of counts with what is shown of their parts and people. Say which: `where l.warehouse_id = … and l.count_id = …`. */
export const COUNT_LINE_FROM = `
  count_line l
  join part on part.id = l.part_id
  left join person counter on counter.id = l.counted_by
  left join person explainer on explainer.id = l.explained_by
  left join person verifier on verifier.id = l.verified_by
  left join person setter on setter.id = l.set_aside_by`

/** The columns of a `Count`, from `COUNT_FROM`. */
export const COUNT_COLUMNS = `
  c.id, c.number, c.kind, c.state, c.version, c.period::text as period, c.scope, c.position::text as position,
  c.opened_at as "openedAt", opener.username as "openedBy", c.opened_by as "openedById", c.note, progress.progress,
  c.submitted_at as "submittedAt", submitter.username as "submittedBy", c.submitted_by as "submittedById", c.content_hash as "contentHash", c.duties,
  ${signaturesOf('c.warehouse_id', 'c.id')} as signatures,
  c.refusal, c.approved_at as "approvedAt", c.cancelled_at as "cancelledAt", c.cancelled_because as "cancelledBecause",
  (select s.number from slip s where s.warehouse_id = c.warehouse_id and s.id = c.adjustment_slip_id) as "adjustmentSlip",
  (select json_build_object('number', s.number, 'state', s.state) from slip s
    where s.warehouse_id = c.warehouse_id and s.source_slip_id = c.adjustment_slip_id and s.kind = 'reversal' and s.state <> 'cancelled') as "adjustmentReversal",
  (select f.number from stock_count f where f.warehouse_id = c.warehouse_id and f.id = c.follows_count_id) as follows,
  (select f.number from stock_count f where f.warehouse_id = c.warehouse_id and f.follows_count_id = c.id order by f.id limit 1) as "followedBy",
  coalesce(c.counted_elsewhere, '[]') as "countedElsewhere",
  c.reported_at as "reportedAt", reporter.username as "reportedBy", c.report_note as "reportNote"`

/** Counts `c` with their people and the figures of their lines. */
export const COUNT_FROM = `
  stock_count c
  join person opener on opener.id = c.opened_by
  left join person submitter on submitter.id = c.submitted_by
  left join person reporter on reporter.id = c.reported_by
  cross join lateral (
    select json_build_object(
             'lines', count(*), 'open', count(*) filter (where l.state = 'open'), 'recountDue', count(*) filter (where l.state = 'recount-due'),
             'settled', count(*) filter (where l.state = 'settled'), 'setAside', count(*) filter (where l.state = 'set-aside'),
             'differences', count(*) filter (where l.state = 'settled' and ${DIFFERS}),
             'explained', count(*) filter (where l.state = 'settled' and ${DIFFERS} and l.cause is not null),
             'verified', count(*) filter (where l.state = 'settled' and ${DIFFERS} and l.verified_at is not null),
             'toVerify', count(*) filter (where l.state = 'settled' and ${TO_VERIFY} and l.verified_at is null),
             'gainValue', coalesce(sum(l.variance_value) filter (where l.state = 'settled' and l.variance_value > 0), 0.00)::text,
             'lossValue', coalesce(-sum(l.variance_value) filter (where l.state = 'settled' and l.variance_value < 0), 0.00)::text) as progress
      from count_line l where l.warehouse_id = c.warehouse_id and l.count_id = c.id) progress`

const COUNT = statement<Count>(`select ${COUNT_COLUMNS} from ${COUNT_FROM} where c.warehouse_id = $1 and c.number = $2`)

const warehouseOf = (number: string): string => number.replace(/-CNT-\d{6}-\d+$/, '')

async function visibleWarehouse(ctx: Context, number: string): Promise<Warehouse> {
  const warehouse = await warehouseByCode(ctx, warehouseOf(number)).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('count', number) : error
  })
  if (!maySee(ctx, warehouse)) throw notFound('count', number)
  return warehouse
}

/**
 * A count the actor may see, with its warehouse.
 * @throws Refusal 404 for one that does not exist or lies in a warehouse the actor may not see
 */
export async function loadCount(ctx: Context, number: string): Promise<{ count: Count; warehouse: Warehouse }> {
  const warehouse = await visibleWarehouse(ctx, number)
  const [count] = await run(ctx, COUNT, [warehouse.id, number])
  if (count === undefined) throw notFound('count', number)
  return { count, warehouse }
}

/** What a write needs to know of a count before it knows more. */
export type LockedCount = Pick<
  Count,
  'id' | 'number' | 'kind' | 'state' | 'version' | 'period' | 'openedById' | 'submittedById' | 'contentHash'
> & {
  /** It counts again what another count left over. */
  isFollowUp: boolean
}

const LOCK = statement<LockedCount>(`
select id, number, kind, state, version, period::text as period, opened_by as "openedById", submitted_by as "submittedById", content_hash as "contentHash",
       follows_count_id is not null as "isFollowUp"
  from stock_count where warehouse_id = $1 and number = $2 for no key update`)

/**
 * Takes a count for the rest of the transaction. Whoever writes on the same count waits here, before any balance is
 * locked: entries of two counters queue, and a line is counted once.
 * @throws Refusal 404, and whatever `mayWrite` refuses, before the state is looked at
 */
export async function lockCount(
  ctx: Context,
  number: string,
  { mayWrite, ifMatch }: { mayWrite: (warehouse: Warehouse, count: LockedCount) => void; ifMatch?: string | undefined }
): Promise<{ count: LockedCount; warehouse: Warehouse }> {
  const warehouse = await visibleWarehouse(ctx, number)
  const [count] = await run(ctx, LOCK, [warehouse.id, number])
  if (count === undefined) throw notFound('count', number)
  mayWrite(warehouse, count)
  requireMatch(ifMatch, count.version)
  return { count, warehouse }
}

/** @throws Refusal 409 `CountNotOpen` */
export function requireCounting({ number, state }: Pick<Count, 'number' | 'state'>): void {
  if (state === 'counting') return
  const instead = {
    'awaiting-signatures': 'a signer may refuse it, which opens it again',
    approved: 'open another count',
    cancelled: 'open another count'
  }[state]
  throw new Refusal(
    'CountNotOpen',
    409,
    `count ${number} is ${state}; this is possible while it is counting: ${instead}`
  )
}

/** A count as it may be seen by everybody who sees its warehouse. */
export const countView = (count: Count, warehouse: { code: string }): CountView => ({
  number: count.number,
  warehouse: warehouse.code,
  kind: count.kind,
  kindZh: COUNT_KIND_NAMES[count.kind],
  state: count.state,
  version: count.version,
  period: count.period?.slice(0, 7) ?? null,
  scope: count.scope,
  position: count.position,
  openedAt: instant(count.openedAt),
  openedBy: count.openedBy,
  note: count.note,
  progress: count.progress,
  submittedAt: instantOrNull(count.submittedAt),
  submittedBy: count.submittedBy,
  contentHash: count.contentHash,
  duties: count.duties,
  signatures: count.signatures.map(signatureView),
  awaiting: count.state === 'awaiting-signatures' ? dutiesAwaited(count) : [],
  refusal: count.refusal === null ? null : { ...count.refusal, at: instant(count.refusal.at) },
  approvedAt: instantOrNull(count.approvedAt),
  cancelledAt: instantOrNull(count.cancelledAt),
  cancelledBecause: count.cancelledBecause,
  adjustmentSlip: count.adjustmentSlip,
  adjustmentReversal: count.adjustmentReversal,
  follows: count.follows,
  followedBy: count.followedBy,
  countedElsewhere: count.countedElsewhere,
  reportedAt: instantOrNull(count.reportedAt),
  reportedBy: count.reportedBy,
  reportNote: count.reportNote
})

/** What a line that is not settled keeps to itself (R-CNT-2). */
const UNSEEN = {
  counted: null,
  card: null,
  expected: null,
  snapshot: null,
  variance: null,
  cardVariance: null,
  varianceValue: null,
  lots: null,
  differs: null,
  needsVerification: null,
  entries: null,
  cause: null,
  causeNote: null,
  evidence: null,
  explainedBy: null,
  explainedAt: null,
  gainLot: null,
  unitCost: null,
  receivedOn: null,
  costDocument: null,
  verifiedBy: null,
  verifiedAt: null,
  verificationNote: null
} as const

/** A line as it may be seen: without any figure until it is settled, whoever asks. */
export function countLineView({ partId: _partId, ...line }: CountLine): CountLineView {
  const isSettled = line.state === 'settled'
  return {
    ...line,
    ...(isSettled
      ? {
          lots: line.lots?.map((lot) => ({ ...lot, variance: difference(lot.counted, lot.expected) })) ?? null,
          entries: line.entries?.map((entry) => ({ ...entry, countedAt: instant(entry.countedAt) })) ?? null,
          explainedAt: instantOrNull(line.explainedAt),
          verifiedAt: instantOrNull(line.verifiedAt)
        }
      : UNSEEN),
    countedAt: instantOrNull(line.countedAt)
  }
}

const difference = (counted: string, expected: string): string =>
  decimal(thousandths(counted) - thousandths(expected), 3)

/** One count as it may be seen. */
export async function viewOfCount(ctx: Context, number: string): Promise<CountView> {
  const { count, warehouse } = await loadCount(ctx, number)
  return countView(count, warehouse)
}

export interface SignedLine {
  line: number
  part: string
  ownership: Ownership
  condition: Condition
  state: CountLineState
  [member: string]: unknown
}

// Only what is there: a line that agrees is short, and most lines agree.
const SIGNED_LINES = statement<{ content: SignedLine }>(`
select jsonb_strip_nulls(jsonb_build_object(
         'line', l.line_no, 'part', part.number, 'ownership', l.ownership, 'condition', l.condition, 'state', l.state,
         'setAsideBecause', l.set_aside_because, 'objection', l.objection
       ) || case when l.state = 'settled' then jsonb_build_object(
         'expected', trim_scale(l.expected)::text, 'counted', trim_scale(l.counted)::text, 'card', trim_scale(l.card)::text,
         'variance', trim_scale(l.counted - l.expected)::text, 'varianceValue', l.variance_value::text, 'lots', l.lots,
         'rounds', (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                             'by', who.username, 'onBehalfOf', absent.username, 'at', e.counted_at, 'counted', trim_scale(e.counted)::text,
                             'card', trim_scale(e.card)::text, 'expected', trim_scale(e.expected)::text)) order by e.id)
                      from count_entry e join person who on who.id = e.counted_by left join person absent on absent.id = e.counted_for
                     where e.warehouse_id = l.warehouse_id and e.count_id = l.count_id and e.line_no = l.line_no),
         'cause', l.cause, 'causeNote', l.cause_note, 'evidence', l.evidence, 'gainLot', l.gain_lot::text, 'unitCost', ${GAIN.unitCost}::text, 'receivedOn', ${GAIN.receivedOn}, 'costDocument', l.cost_document)
         else '{}' end) as content
  from count_line l join part on part.id = l.part_id
 where l.warehouse_id = $1 and l.count_id = $2
 order by l.line_no`)

/**
 * What signatures bind to (R-SIG-2): every line with what was expected and found, why, and on what evidence. Whoever asks
 * sees to it that the count is submitted, so that no line is still blind.
 */
export async function countContent(
  ctx: Context,
  count: Pick<Count, 'id' | 'number' | 'kind' | 'period' | 'position' | 'duties' | 'countedElsewhere'>,
  warehouse: { id: number; code: string }
) {
  const lines = await run(ctx, SIGNED_LINES, [warehouse.id, count.id])
  return {
    number: count.number,
    warehouse: warehouse.code,
    kind: count.kind,
    period: count.period?.slice(0, 7) ?? null,
    position: count.position,
    duties: count.duties,
    ...(count.countedElsewhere.length > 0 && { countedElsewhere: count.countedElsewhere }),
    lines: lines.map(({ content }) => content)
  }
}

/** What was signed on an approved count, for the packages of the slips that adjust by it. */
export async function signedContent(ctx: Context, number: string): Promise<Record<string, unknown> | undefined> {
  if (!/-CNT-\d{6}-\d+$/.test(number)) return undefined
  const { count, warehouse } = await loadCount(ctx, number)
  return countContent(ctx, count, warehouse)
}
readSignedContentBy(signedContent)

/** SHA-256 of the content, computed from the rows each time. */
export const countHash = async (
  ctx: Context,
  count: Parameters<typeof countContent>[1],
  warehouse: { id: number; code: string }
): Promise<string> => longContentHash(await countContent(ctx, count, warehouse))
