import { IsolationLevel } from '@mikro-orm/core'
import { html as markup } from 'ghtml'
import { DUTY_NAMES, type Context } from '../identity/actor.ts'
import { CAUSES_ON_PAPER } from '../counts/count-sheet.ts'
import type { VarianceCause } from '../counts/counts.schemas.ts'
import { CONDITION_ON_PAPER, OWNERSHIP_ON_PAPER } from '../ledger/ledger.schemas.ts'
import { instant } from '../platform/clock.ts'
import { within } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { fact, PAGE_END, pageTop, paperPolicy, paperStyle } from '../platform/printed-page.ts'
import { handoverView, loadHandover, partiesOf, type Handover } from './handover.ts'
import { handoverBalances, handoverMovements, handoverOpen } from './handovers.queries.ts'
import type { HandoverParty, HandoverState, HandoverView, OpenKind } from './handovers.schemas.ts'

const STYLE = paperStyle({
  page: 'A4 landscape',
  signatures: 4,
  more: `@page { @bottom-left { content: "工作移交单 handover"; font-size: 8pt } @bottom-right { content: "第 " counter(page) " 页 / 共 " counter(pages) " 页 · page " counter(page) " / " counter(pages); font-size: 8pt } }
h2 { font-size: 11pt; margin: 5mm 0 1mm; break-after: avoid }
.liability { border: 0.5mm solid #000; padding: 2mm 3mm; margin: 5mm 0 0; break-inside: avoid }
.liability p { margin: 0 }`
})

export const FORM_POLICY = paperPolicy(STYLE)

const STATES: Record<HandoverState, string> = {
  draft: '草稿 draft',
  'awaiting-signatures': '待签字 awaiting signatures',
  completed: '已移交 completed',
  cancelled: '已取消 cancelled'
}
const PARTIES: Record<HandoverParty, string> = {
  'outgoing-keeper': '移交人 outgoing keeper',
  'incoming-keeper': '接收人 incoming keeper',
  'department-head': `监交人 ${DUTY_NAMES['department-head']} department-head`,
  'finance-supervisor': `监交人 ${DUTY_NAMES['finance-supervisor']} finance-supervisor`
}
const OPEN_NAMES: Record<OpenKind, string> = {
  slip: '未结单据 open slip',
  'late-signature': '待补签 late signature',
  count: '盘点 count',
  transfer: '调拨 transfer',
  request: '请购 request',
  loan: '备用机借出 loaner out',
  'loaner-reserved': '备用机预留 loaner reserved',
  tool: '工具 tool',
  'tool-document': '工具单据 tool document'
}
const DETAILS: Readonly<Record<string, string>> = {
  kind: '类别 kind',
  state: '状态 state',
  day: '日期 day',
  reference: '关联单号 reference',
  counterparty: '往来单位 counterparty',
  preparedBy: '制单人 prepared by',
  duty: '缺签 missing duty',
  dueAt: '应于 due at',
  period: '期间 period',
  from: '调出 from',
  to: '调入 to',
  outlet: '网点 outlet',
  centre: '中心库 centre',
  urgency: '紧急程度 urgency',
  needBy: '需用日 need by',
  serial: '序列号 serial',
  model: '型号 model',
  repairOrder: '维修单 repair order',
  dueOn: '应还日 due on',
  until: '预留至 until',
  name: '名称 name',
  nameZh: '中文名 Chinese name',
  place: '位置 place',
  holder: '保管人 holder',
  value: '价值 value'
}
const named = (zh: string | null, en: string): string => (zh === null ? en : `${zh} ${en}`)

/** How many rows are put together before they are sent: one chunk per row would cost more than the row. */
const CHUNK = 200

/** A table under its heading, piece by piece; a line that says so where there is nothing. */
async function* table<Row>(
  [zh, en]: readonly [string, string],
  headings: readonly (readonly [string, string])[],
  rows: AsyncIterable<Row> | Iterable<Row>,
  cells: (row: Row) => string
): AsyncGenerator<string, void, undefined> {
  yield markup`<h2>${zh} ${en}</h2>
<table>
<thead>
<tr>!${headings.map(([titleZh, titleEn]) => markup`<th>${titleZh}<small>${titleEn}</small></th>`)}</tr>
</thead>
<tbody>
`
  let chunk = ''
  let held = 0
  let total = 0
  for await (const row of rows) {
    chunk += markup`<tr>!${cells(row)}</tr>
`
    total++
    if (++held < CHUNK) continue
    yield chunk
    chunk = ''
    held = 0
  }
  if (total === 0)
    chunk = markup`<tr><td colspan="${headings.length}">无 none</td></tr>
`
  yield markup`!${chunk}</tbody>
</table>
`
}

/** Minutes are enough on paper, in the time zone of the business. */
function minuteOf(ctx: Context, at: string): string {
  const local = Temporal.Instant.from(at).toZonedDateTimeISO(ctx.config.BUSINESS_TIME_ZONE)
  return `${local.toPlainDate().toString()} ${local.toPlainTime().toString({ smallestUnit: 'minute' })}`
}

/** What is known of an open paper, with instants as they are read on paper. */
const detailsOf = (ctx: Context, { dueAt, ...details }: Record<string, unknown>): string =>
  Object.entries({ ...details, ...(typeof dueAt === 'string' && { dueAt: minuteOf(ctx, instant(dueAt)) }) })
    .map(([name, value]) => `${DETAILS[name] ?? name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('；')

const NAMES = statement<{ username: string; name: string }>(
  'select username, name from person where username = any ($1::text[])'
)

const COUNT_DIFFERENCES = statement<{
  part: string
  name: string
  nameZh: string | null
  ownership: keyof typeof OWNERSHIP_ON_PAPER
  condition: keyof typeof CONDITION_ON_PAPER
  expected: string
  counted: string
  card: string
  variance: string
  cause: VarianceCause | null
  causeNote: string | null
}>(`
select part.number as part, part.name, part.name_zh as "nameZh", l.ownership, l.condition, trim_scale(l.expected)::text as expected, trim_scale(l.counted)::text as counted,
       trim_scale(l.card)::text as card, trim_scale(l.counted - l.expected)::text as variance, l.cause, l.cause_note as "causeNote"
  from count_line l join part on part.id = l.part_id
 where l.warehouse_id = $1 and l.count_id = $2 and l.state = 'settled' and (l.counted <> l.expected or l.card <> l.counted)
 order by l.line_no`)

/** The liability of either keeper, by the cut-off; before there is one, what it will be. */
function liability(ctx: Context, { outgoing, incoming, cutOff }: HandoverView): string {
  if (cutOff === null) {
    return markup`<div class="liability"><p>责任划分：四方签字完成的时刻起，由接收人 ${incoming.name} 负责；此前由移交人 ${outgoing.name} 负责。</p>
<p>Liability: from the moment of the last signature on ${incoming.name} answers for the stock; until then ${outgoing.name} does.</p></div>
`
  }
  const at = minuteOf(ctx, cutOff.at)
  return markup`<div class="liability"><p>责任划分：${at}（账面位置 ${cutOff.position}）及以前由移交人 ${outgoing.name} 负责，以后由接收人 ${incoming.name} 负责。</p>
<p>Liability: ${outgoing.name} answers for the stock up to ${at} (ledger position ${cutOff.position}), ${incoming.name} from then on.</p></div>
`
}

/** A box per party: who is to sign, and who has. */
async function signatureBoxes(ctx: Context, handover: Handover, view: HandoverView): Promise<string> {
  const usernames = view.signatures.map(({ signedBy }) => signedBy)
  const names = new Map((await run(ctx, NAMES, [usernames])).map(({ username, name }) => [username, name]))
  const asked = partiesOf(handover)
  const boxes = Object.entries(PARTIES).map(([party, title]) => {
    const signature = view.signatures.find((given) => given.party === party)
    if (!asked.includes(party as HandoverParty))
      return markup`<div>${title}<p>缺席 absent<small>${view.absentBecause}</small></p></div>`
    if (signature === undefined) return markup`<div>${title}<p></p></div>`
    const standsInFor = signature.onBehalfOf === null ? '' : `（代 for ${signature.onBehalfOf}）`
    const comment = signature.comment === null ? '' : ` ${signature.comment}`
    return markup`<div>${title}<p>${names.get(signature.signedBy) ?? signature.signedBy}${standsInFor}<small>${minuteOf(ctx, signature.signedAt)}${comment}</small></p></div>`
  })
  return markup`<div class="signatures">
!${boxes.join('\n')}
</div>
`
}

async function* formPages(ctx: Context, number: string): AsyncGenerator<string, void, undefined> {
  const { handover, warehouse } = await loadHandover(ctx, number)
  const view = handoverView(handover, warehouse)
  yield pageTop(`工作移交单 ${number}`, STYLE)
  yield markup`<h1>工作移交单<small>Keeper handover</small></h1>
<dl>
!${fact('仓库', 'warehouse', `${warehouse.code} ${named(warehouse.nameZh, warehouse.name)}`)}
!${fact('移交单号', 'handover', number)}
!${fact('状态', 'state', STATES[view.state])}
!${fact('移交人', 'outgoing keeper', `${view.outgoing.name} (${view.outgoing.username})`)}
!${fact('接收人', 'incoming keeper', `${view.incoming.name} (${view.incoming.username})`)}
!${fact('移交原因', 'because', view.because)}
!${fact('缺席原因', 'absent because', view.absentBecause)}
!${fact('起草', 'drawn up', `${minuteOf(ctx, view.drawnUpAt)} ${view.drawnUpBy}`)}
!${fact('清单时点', 'snapshot', `${minuteOf(ctx, view.snapshot.at)} · 账面位置 position ${view.snapshot.position}`)}
!${fact('清单金额', 'cost', view.snapshot.cost)}
!${fact('监盘', 'supervised count', view.count === null ? null : `${view.count.number} · 差异 differences ${view.count.differences}`)}
!${fact('内容校验', 'content', view.contentHash)}
!${fact('取消', 'cancelled', view.cancelledAt === null ? null : `${minuteOf(ctx, view.cancelledAt)} ${view.cancelledBecause ?? ''}`)}
!${fact('打印', 'printed', minuteOf(ctx, instant(ctx.clock.now().toString())))}
</dl>
`
  yield* table(
    ['一、库存清单', 'Balances'],
    [
      ['货号', 'part'],
      ['货名', 'name'],
      ['规格', 'specification'],
      ['颜色', 'colour'],
      ['单位', 'unit'],
      ['所有权', 'ownership'],
      ['质量状态', 'condition'],
      ['清单数量', 'on hand'],
      ['预留', 'reserved'],
      ['冻结', 'blocked'],
      ['其后变动', 'moved since'],
      ['移交数量', 'handed over'],
      ['清单金额', 'cost']
    ],
    handoverBalances(ctx, handover, warehouse),
    (row) =>
      markup`<td>${row.part}<td>${named(row.nameZh, row.name)}<td>${row.specification}<td>${row.colour}<td>${row.unit}<td>${OWNERSHIP_ON_PAPER[row.ownership]}<td>${CONDITION_ON_PAPER[row.condition]}<td class="n">${row.onHand}<td class="n">${row.reserved}<td class="n">${row.blocked}<td class="n">${row.moved}<td class="n">${row.handedOver}<td class="n">${row.cost}`
  )
  yield* table(
    ['二、清单后变动', 'Moved between snapshot and cut-off'],
    [
      ['账面位置', 'position'],
      ['单号', 'slip'],
      ['日期', 'day'],
      ['过账', 'posted'],
      ['过账人', 'by'],
      ['货号', 'part'],
      ['货名', 'name'],
      ['所有权', 'ownership'],
      ['质量状态', 'condition'],
      ['数量', 'quantity']
    ],
    handoverMovements(ctx, handover, warehouse),
    (row) =>
      markup`<td class="n">${row.movement}<td>${row.slip}<td>${row.occurredOn}<td>${minuteOf(ctx, row.postedAt)}<td>${row.postedBy}<td>${row.part}<td>${named(row.nameZh, row.name)}<td>${OWNERSHIP_ON_PAPER[row.ownership]}<td>${CONDITION_ON_PAPER[row.condition]}<td class="n">${row.quantity}`
  )
  if (view.count !== null) {
    yield* table(
      [`三、监盘差异 ${view.count.number}`, 'Differences of the supervised count'],
      [
        ['货号', 'part'],
        ['货名', 'name'],
        ['所有权', 'ownership'],
        ['质量状态', 'condition'],
        ['账面数量', 'expected'],
        ['实盘数量', 'counted'],
        ['卡片数量', 'card'],
        ['差异', 'variance'],
        ['原因', 'cause']
      ],
      await run(ctx, COUNT_DIFFERENCES, [warehouse.id, handover.countId]),
      (row) =>
        markup`<td>${row.part}<td>${named(row.nameZh, row.name)}<td>${OWNERSHIP_ON_PAPER[row.ownership]}<td>${CONDITION_ON_PAPER[row.condition]}<td class="n">${row.expected}<td class="n">${row.counted}<td class="n">${row.card}<td class="n">${row.variance}<td>${[row.cause === null ? null : CAUSES_ON_PAPER[row.cause], row.causeNote].filter(Boolean).join(' ')}`
    )
  }
  yield* table(
    [`${view.count === null ? '三' : '四'}、未结单据、备用机、工具`, 'Open papers, loaners and tools'],
    [
      ['行号', 'line'],
      ['类别', 'kind'],
      ['单号、序列号', 'reference'],
      ['说明', 'details']
    ],
    handoverOpen(ctx, handover, warehouse),
    (row) =>
      markup`<td class="n">${row.line}<td>${OPEN_NAMES[row.kind]}<td>${row.reference}<td>${detailsOf(ctx, row.details)}`
  )
  yield* table(
    [`${view.count === null ? '四' : '五'}、钥匙及其他`, 'Keys and what else is counted by hand'],
    [
      ['名称', 'name'],
      ['数量', 'count'],
      ['备注', 'note']
    ],
    view.keys,
    (key) => markup`<td>${key.name}<td class="n">${key.count}<td>${key.note}`
  )
  if (view.notes !== null) {
    yield markup`<h2>${view.count === null ? '五' : '六'}、移交说明 Notes</h2>
<p>${view.notes}</p>
`
  }
  yield liability(ctx, view)
  yield await signatureBoxes(ctx, handover, view)
  yield PAGE_END
}

/**
 * The handover (工作移交单) for paper: what is handed over, the cut-off, and a box for each of the four who sign (R-ORG-3).
 * @returns HTML in pieces, read from the database in one snapshot while they are sent
 * @throws Refusal 404, before the first piece
 */
export async function printHandover(ctx: Context, { number }: { number: string }): Promise<AsyncGenerator<string>> {
  await loadHandover(ctx, number)
  return (async function* () {
    const em = ctx.em.fork()
    await em.begin({ isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true })
    try {
      yield* formPages(within(ctx, em), number)
    } finally {
      await em.rollback()
    }
  })()
}
