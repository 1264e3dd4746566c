// What a technician has in custody: as data, and as the statement on paper that they sign (保管清单).
import { html as markup } from 'ghtml'
import { grantCovers, type Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { fact, PAGE_END, pageTop, paperPolicy, paperStyle } from '../platform/printed-page.ts'
import { inRegisterSight, isOwn, registerSight } from './tool-rights.ts'
import { TOOL_COLUMNS, TOOL_FROM, toolView, type Tool } from './tool.ts'
import { loadToolDocument, readToolDocument } from './tool-document.ts'
import type { CustodyStatement, ToolDocumentKind, ToolDocumentState } from './tools.schemas.ts'

// Known as a technician to who reads the register of a warehouse: by a duty that covers it, or by a tool of it.
const PERSON = statement<{ id: number; username: string; name: string; seen: boolean }>(`
select p.id, p.username, p.name,
       exists (select 1 from tool t join warehouse w on w.id = t.warehouse_id where t.holder_id = p.id and ${inRegisterSight('w', 2)})
       or exists (select 1 from duty_assignment a
                    join warehouse w on ${grantCovers('a', 'w.id', 'w.region_id')}
                   where a.person_id = p.id and a.duty = 'technician' and ${inRegisterSight('w', 2)}) as seen
  from person p where p.username = $1 and p.id <> 0`)

/**
 * Somebody whose custody the actor may ask for: themselves, or a technician of a warehouse whose register they read.
 * @throws Refusal 404
 */
export async function requireCustodySight(
  ctx: Context,
  username: string
): Promise<{ id: number; username: string; name: string }> {
  const [everywhere, warehouses, regions] = registerSight(ctx)
  const [person] = await run(ctx, PERSON, [username, everywhere, warehouses, regions])
  if (person === undefined || !(person.seen || isOwn(ctx, person.id))) throw notFound('technician', username)
  return person
}

const HELD = statement<Tool>(`
select ${TOOL_COLUMNS} from ${TOOL_FROM}
 where t.holder_id = $6 and (${inRegisterSight('w', 2)} or t.holder_id = $5::int)
 order by w.code, upper(t.serial)`)
const SUM = statement<{ value: string }>(
  `select coalesce(sum(value), 0)::numeric(18,2)::text as value from unnest($1::numeric[]) as g (value)`
)

/**
 * What somebody has in custody today: all of it for themselves, for others what stands in the registers they read.
 * @throws Refusal 404
 */
export async function readCustody(ctx: Context, { username }: { username: string }): Promise<CustodyStatement> {
  const person = await requireCustodySight(ctx, username)
  const on = ctx.clock.today()
  const tools = (await run(ctx, HELD, [on, ...registerSight(ctx), person.id])).map(toolView)
  const [sum] = await run(ctx, SUM, [tools.map(({ value }) => value)])
  return { technician: person.username, name: person.name, on, tools, count: tools.length, value: sum?.value ?? '0.00' }
}

const STYLE = paperStyle({ signatures: 3, more: 'ol { margin: 3mm 0 0; padding-left: 6mm; break-inside: avoid }' })

export const TOOL_PAPER_POLICY = paperPolicy(STYLE)

/** What every paper about custody says (R-TOOL-1, R-TOOL-2, R-TOOL-3). */
const TERMS = [
  [
    '工具由保管人本人保管使用，严禁私用或转借。',
    'Tools are kept and used by the holder in person; private use and lending are forbidden.'
  ],
  [
    '遗失或损坏按当日净值赔偿，正常磨损除外。',
    'What is lost or damaged is compensated at its net value of that day, normal wear excepted.'
  ],
  [
    '离岗前须交还全部工具，保管账清零。',
    'Whoever leaves the post hands everything over first; the custody account is empty then.'
  ]
] as const
const terms = markup`<ol>!${TERMS.map(([zh, en]) => markup`<li>${zh} ${en}</li>`)}</ol>`

const heads = (headings: readonly (readonly [string, string])[]): string =>
  markup`<thead><tr>!${headings.map(([zh, en]) => markup`<th>${zh}<small>${en}</small></th>`)}</tr></thead>`

const places = (given: readonly (readonly [zh: string, en: string, name: string | null])[]): string =>
  markup`<div class="signatures">
!${given.map(
    ([zh, en, name]) => markup`<div>${zh} ${en}<p>${name ?? ''}</p></div>
`
  )}</div>`

const CUSTODY_HEADINGS = [
  ['序号', 'no.'],
  ['工具编号', 'serial'],
  ['名称', 'name'],
  ['型号', 'model'],
  ['归属仓库', 'warehouse'],
  ['领用日期', 'since'],
  ['原值', 'value'],
  ['检定到期', 'calibration due'],
  ['备注', 'remark']
] as const

const remark = ({ fixedAsset, document, lossReported }: CustodyStatement['tools'][number]): string =>
  [
    fixedAsset ? '固定资产 fixed asset' : null,
    lossReported ? '遗失损坏处理中 loss or damage reported' : null,
    document === null ? null : `待签 awaiting ${document}`
  ]
    .filter((word) => word !== null)
    .join('；')

/** The custody statement for paper, with a place for the signature of the technician. @throws Refusal 404 */
export async function printCustody(ctx: Context, { username }: { username: string }): Promise<string> {
  const { technician, name, on, tools, count, value } = await readCustody(ctx, { username })
  const zone = ctx.config.BUSINESS_TIME_ZONE
  return markup`!${pageTop(`工具保管清单 ${technician}`, STYLE)}<h1>工具保管清单<small>Custody statement</small></h1>
<dl>
!${fact('保管人', 'technician', `${name} (${technician})`)}
!${fact('日期', 'day', on)}
!${fact('件数', 'tools', String(count))}
!${fact('原值合计', 'value', value)}
</dl>
<table>
!${heads(CUSTODY_HEADINGS)}
<tbody>
!${tools.map(
    (
      tool,
      index
    ) => markup`<tr><td class="n">${index + 1}<td>${tool.serial}<td>${tool.nameZh ?? tool.name}<td>${tool.model ?? ''}<td>${tool.warehouse}<td>${dayOf(tool.since, zone)}<td class="n">${tool.value}<td>${tool.calibrationDueOn ?? ''}<td>${remark(tool)}</tr>
`
  )}</tbody>
</table>
!${terms}
!${places([
    ['保管人签字', 'technician', null],
    ['仓管员签字', 'keeper', null],
    ['日期', 'day', null]
  ])}
!${PAGE_END}`
}

const dayOf = (at: string | null, zone: string): string =>
  at === null ? '' : Temporal.Instant.from(at).toZonedDateTimeISO(zone).toPlainDate().toString()

const TITLES: Record<ToolDocumentKind, readonly [string, string]> = {
  issue: ['工具领用单', 'Issue of tools'],
  return: ['工具归还单', 'Return of tools'],
  'hand-over': ['工具交接单', 'Hand-over of tools'],
  transfer: ['工具调拨单', 'Transfer of tools']
}
const STATES: Record<ToolDocumentState, string> = {
  'awaiting-signatures': '待签 awaiting signatures',
  effective: '已生效 effective',
  refused: '已拒签 refused',
  cancelled: '已作废 cancelled'
}
const DOCUMENT_HEADINGS = [
  ['行号', 'line'],
  ['工具编号', 'serial'],
  ['名称', 'name'],
  ['型号', 'model'],
  ['原值', 'value'],
  ['交接状况', 'condition']
] as const

/** A document about tools for paper, as it stands, with who signed it when. @throws Refusal 404 */
export async function printToolDocument(ctx: Context, { number }: { number: string }): Promise<string> {
  await loadToolDocument(ctx, number)
  const document = await readToolDocument(ctx, { number })
  const [zh, en] = TITLES[document.kind]
  const zone = ctx.config.BUSINESS_TIME_ZONE
  const signed = (role: 'giver' | 'taker'): string | null => {
    const signature = document.signatures.find((one) => one.role === role)
    return signature === undefined ? null : `${signature.name} ${dayOf(signature.signedAt, zone)}`
  }
  return markup`!${pageTop(`${zh} ${number}`, STYLE)}<h1>${zh}<small>${en}</small></h1>
<dl>
!${fact('单号', 'number', number)}
!${fact('状态', 'state', STATES[document.state])}
!${fact('仓库', 'warehouse', document.warehouse)}
!${fact('调入仓库', 'to', document.toWarehouse)}
!${fact('移交人', 'giver', document.giver)}
!${fact('接收人', 'taker', document.taker)}
!${fact('工具箱', 'kit', document.kit)}
!${fact('缺件', 'missing of the kit', document.missingOfKit.length === 0 ? null : document.missingOfKit.join('、'))}
!${fact('备注', 'note', document.note)}
!${fact('原因', 'reason', document.reason)}
</dl>
<table>
!${heads(DOCUMENT_HEADINGS)}
<tbody>
!${document.lines.map(
    (
      line
    ) => markup`<tr><td class="n">${line.line}<td>${line.serial}<td>${line.nameZh ?? line.name}<td>${line.model ?? ''}<td class="n">${line.value}<td>${line.condition ?? ''}</tr>
`
  )}</tbody>
</table>
!${terms}
!${places([
    ['移交人签字', 'giver', signed('giver')],
    ['接收人签字', 'taker', signed('taker')],
    ['内容摘要', 'content hash', document.contentHash.slice(0, 16)]
  ])}
!${PAGE_END}`
}
