import { IsolationLevel } from '@mikro-orm/core'
import { html as markup } from 'ghtml'
import { DUTY_NAMES, type Context } from '../identity/actor.ts'
import { CONDITION_ON_PAPER, OWNERSHIP_ON_PAPER } from '../ledger/ledger.schemas.ts'
import { instant } from '../platform/clock.ts'
import { within } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { fact, PAGE_END, pageTop, paperPolicy, paperStyle } from '../platform/printed-page.ts'
import { COUNT_KIND_NAMES, loadCount, type Count } from './count.ts'
import { countLines, type CountSheetLine } from './counts.queries.ts'
import type { CountLineState, CountState, VarianceCause } from './counts.schemas.ts'

/** What stands at the head and foot of every copy. */
export interface SheetHead {
  number: string
  warehouse: string
  warehouseName: string
  kind: string
  period: string | null
  state: string
  /** Ledger position of the snapshot. */
  position: string
  openedAt: string
  openedBy: string
  printedAt: string
  note: string | null
  countedBy: string[]
  /** One line each: who is to sign, and who has. */
  signatures: { duty: string; signer: string | null; signedAt: string | null; comment: string | null }[]
}

/** A line as paper shows it; the figures are null until it is settled. */
export interface SheetLine {
  line: number
  part: string
  name: string
  specification: string | null
  colour: string | null
  unit: string
  ownership: string
  condition: string
  lots: string
  note: string | null
  figures: { expected: string; counted: string; card: string; variance: string; cause: string } | null
}

/** The copies of R-CNT-3, in the order they are printed. */
export const SHEET_COPIES = [
  { zh: '仓库联', en: 'warehouse copy', page: 'warehouse' },
  { zh: '财务联', en: 'finance copy', page: 'finance' },
  { zh: '负责人联', en: 'department head copy', page: 'head' }
] as const

const STYLE = paperStyle({
  page: 'A4 landscape',
  signatures: 4,
  more: `${SHEET_COPIES.map(
    ({ zh, en, page }) =>
      `@page ${page} { @bottom-left { content: "${zh} ${en}"; font-size: 8pt } @bottom-right { content: "第 " counter(page) " 页 / 共 " counter(pages) " 页 · page " counter(page) " / " counter(pages); font-size: 8pt } }\n.${page} { page: ${page} }`
  ).join('\n')}
section { break-after: page }
section:last-child { break-after: auto }
th.title { text-align: left; background: none; border: 0 }
.box { min-width: 18mm; height: 8mm }
@media screen { section { margin-bottom: 16mm } }`
})

export const SHEET_POLICY = paperPolicy(STYLE)

const HEADINGS = [
  ['行号', 'line'],
  ['货号', 'part'],
  ['货名', 'name'],
  ['规格', 'specification'],
  ['颜色', 'colour'],
  ['单位', 'unit'],
  ['所有权', 'ownership'],
  ['质量状态', 'condition'],
  ['批次', 'lots'],
  ['账面数量', 'expected'],
  ['实盘数量', 'counted'],
  ['卡片数量', 'card'],
  ['差异', 'variance'],
  ['原因', 'cause']
] as const

const COLUMN_HEADS = markup`!${HEADINGS.map(([zh, en]) => markup`<th>${zh}<small>${en}</small></th>`)}`

const row = ({ figures, ...line }: SheetLine): string =>
  markup`<tr><td class="n">${line.line}<td>${line.part}<td>${line.name}<td>${line.specification}<td>${line.colour}<td>${line.unit}<td>${line.ownership}<td>${line.condition}<td>${line.lots}!${
    figures === null
      ? markup`<td class="n"><td class="n box"><td class="n box"><td class="n"><td>${line.note}`
      : markup`<td class="n">${figures.expected}<td class="n">${figures.counted}<td class="n">${figures.card}<td class="n">${figures.variance}<td>${figures.cause}`
  }</tr>
`

const signatureLine = (title: string, who: string | null, more: string | null = null): string =>
  markup`<div>${title}<p>${who}!${more === null ? '' : markup`<small>${more}</small>`}</p></div>`

/** How many lines are put together before they are sent: one chunk per line would cost more than the line. */
const CHUNK = 200

/**
 * The sheet as HTML, piece by piece: three copies, each with all lines.
 * @param lines is asked once per copy
 */
export async function* sheetPages(
  head: SheetHead,
  lines: () => AsyncIterable<SheetLine>
): AsyncGenerator<string, void, undefined> {
  yield pageTop(`盘点表 ${head.number}`, STYLE)
  for (const { zh, en, page } of SHEET_COPIES) {
    yield markup`<section class="${page}">
<h1>盘点表 — ${zh}<small>Count sheet — ${en}</small></h1>
<dl>
!${fact('仓库', 'warehouse', `${head.warehouse} ${head.warehouseName}`)}
!${fact('盘点单号', 'count', head.number)}
!${fact('类别', 'kind', head.kind)}
!${fact('期间', 'period', head.period)}
!${fact('状态', 'state', head.state)}
!${fact('账面位置', 'ledger position', head.position)}
!${fact('开单', 'opened', `${head.openedAt} ${head.openedBy}`)}
!${fact('打印', 'printed', head.printedAt)}
!${fact('备注', 'note', head.note)}
</dl>
<table>
<thead>
<tr><th class="title" colspan="${HEADINGS.length}">${head.number} · ${head.warehouse} · 盘点表 — ${zh}</th></tr>
<tr>!${COLUMN_HEADS}</tr>
</thead>
<tbody>
`
    let chunk = ''
    let held = 0
    for await (const line of lines()) {
      chunk += row(line)
      if (++held < CHUNK) continue
      yield chunk
      chunk = ''
      held = 0
    }
    yield markup`!${chunk}</tbody>
</table>
<div class="signatures">
!${signatureLine('盘点人 counted by', head.countedBy.join('、') || null)}
!${head.signatures
      .map(({ duty, signer, signedAt, comment }) =>
        signatureLine(duty, signer, signedAt === null ? null : `${signedAt}${comment === null ? '' : ` ${comment}`}`)
      )
      .join('\n')}
</div>
</section>
`
  }
  yield PAGE_END
}

const STATES: Record<CountState, string> = {
  counting: '盘点中 counting',
  'awaiting-signatures': '待签字 awaiting signatures',
  approved: '已批准 approved',
  cancelled: '已作废 cancelled'
}
const LINE_NOTES: Record<CountLineState, string | null> = {
  open: null,
  'recount-due': '待复盘 to be counted again',
  settled: null,
  'set-aside': '搁置 set aside'
}
/** Causes of variances as printed papers have them. */
export const CAUSES_ON_PAPER: Record<VarianceCause, string> = {
  miscount: '点数差错 miscount',
  'unposted-slip': '单据未过账 unposted slip',
  'wrong-part': '货品混淆 wrong part',
  'wrong-unit': '单位差错 wrong unit',
  damage: '损坏 damage',
  theft: '被盗 theft',
  unknown: '原因不明 unknown',
  found: '盘盈 found',
  other: '其他 other'
}

/** A line for paper, from what may be seen of it. */
const paperLine = (line: CountSheetLine): SheetLine => ({
  line: line.line,
  part: line.part,
  name: line.nameZh === null ? line.name : `${line.nameZh} ${line.name}`,
  specification: line.specification,
  colour: line.colour,
  unit: line.unit,
  ownership: OWNERSHIP_ON_PAPER[line.ownership],
  condition: CONDITION_ON_PAPER[line.condition],
  lots: line.lotsText,
  note: LINE_NOTES[line.state],
  figures:
    line.expected === null || line.counted === null || line.card === null || line.variance === null
      ? null
      : {
          expected: line.expected,
          counted: line.counted,
          card: line.card,
          variance: line.variance,
          cause: [line.cause === null ? null : CAUSES_ON_PAPER[line.cause], line.causeNote]
            .filter((word) => word !== null)
            .join(' ')
        }
})

const COUNTERS = statement<{ name: string }>(`
select distinct person.name from count_line l join person on person.id = l.counted_by
 where l.warehouse_id = $1 and l.count_id = $2 order by person.name`)
const NAMES = statement<{ username: string; name: string }>(
  'select username, name from person where username = any ($1::text[])'
)

/** Minutes are enough on paper, in the time zone of the business. */
function minuteOf(ctx: Context, at: Temporal.Instant): string {
  const local = at.toZonedDateTimeISO(ctx.config.BUSINESS_TIME_ZONE)
  return `${local.toPlainDate().toString()} ${local.toPlainTime().toString({ smallestUnit: 'minute' })}`
}

const instantOf = (text: string): Temporal.Instant => Temporal.Instant.from(instant(text))

async function headOf(
  ctx: Context,
  count: Count,
  warehouse: { id: number; code: string; name: string; nameZh: string | null }
): Promise<SheetHead> {
  const counters = await run(ctx, COUNTERS, [warehouse.id, count.id])
  const usernames = [count.openedBy, ...count.signatures.map(({ username }) => username)]
  const names = new Map((await run(ctx, NAMES, [usernames])).map(({ username, name }) => [username, name]))
  return {
    number: count.number,
    warehouse: warehouse.code,
    warehouseName: warehouse.nameZh === null ? warehouse.name : `${warehouse.nameZh} ${warehouse.name}`,
    kind: `${COUNT_KIND_NAMES[count.kind]} ${count.kind}`,
    period: count.period?.slice(0, 7) ?? null,
    state: STATES[count.state],
    position: count.position,
    openedAt: minuteOf(ctx, instantOf(count.openedAt)),
    openedBy: names.get(count.openedBy) ?? count.openedBy,
    printedAt: minuteOf(ctx, ctx.clock.now()),
    note: count.note,
    countedBy: counters.map(({ name }) => name),
    signatures: count.duties.map((duty) => {
      const signature = count.signatures.find((given) => given.duty === duty && given.decision === 'approve')
      const signer = signature === undefined ? null : (names.get(signature.username) ?? signature.username)
      const standsInFor = signature?.onBehalfOf == null ? '' : `（代 for ${signature.onBehalfOf}）`
      return {
        duty: `${duty === 'finance-supervisor' ? '监盘 ' : ''}${DUTY_NAMES[duty]} ${duty}`,
        signer: signer === null ? null : `${signer}${standsInFor}`,
        signedAt: signature === undefined ? null : minuteOf(ctx, instantOf(signature.signedAt)),
        comment: signature?.comment ?? null
      }
    })
  }
}

/**
 * The count sheet (盘点表) for paper: three copies of the same moment, for warehouse, finance and department head (R-CNT-3).
 * A line that is not settled has empty boxes; what is expected of it is not on the page (R-CNT-2).
 * @returns HTML in pieces, read from the database while they are sent
 * @throws Refusal 404, before the first piece
 */
export async function printCountSheet(ctx: Context, { number }: { number: string }): Promise<AsyncGenerator<string>> {
  await loadCount(ctx, number)
  return (async function* () {
    // One snapshot for all three: what is settled meanwhile is on none of them.
    const em = ctx.em.fork()
    await em.begin({ isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true })
    try {
      const inner = within(ctx, em)
      const { count, warehouse } = await loadCount(inner, number)
      const head = await headOf(inner, count, warehouse)
      yield* sheetPages(head, async function* () {
        for await (const line of countLines(inner, { warehouseId: warehouse.id, countId: count.id }, { number }))
          yield paperLine(line)
      })
    } finally {
      await em.rollback()
    }
  })()
}
