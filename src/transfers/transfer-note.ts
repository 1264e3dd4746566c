import { html as markup } from 'ghtml'
import type { Context } from '../identity/actor.ts'
import { CONDITION_ON_PAPER, OWNERSHIP_ON_PAPER } from '../ledger/ledger.schemas.ts'
import { run, statement } from '../platform/database.ts'
import { fact, PAGE_END, pageTop, paperPolicy, paperStyle } from '../platform/printed-page.ts'
import { loadTransfer, readTransfer } from './transfers.queries.ts'
import type { TransferState, TransferView } from './transfers.schemas.ts'

const STYLE = paperStyle({ signatures: 3 })

export const NOTE_POLICY = paperPolicy(STYLE)

const HEADINGS = [
  ['行号', 'line'],
  ['货号', 'part'],
  ['货名', 'name'],
  ['单位', 'unit'],
  ['所有权', 'ownership'],
  ['质量状态', 'condition'],
  ['应发数量', 'ordered'],
  ['实发数量', 'sent'],
  ['实收数量', 'received'],
  ['损坏', 'damaged'],
  ['短少', 'missing']
] as const

const STATES: Record<TransferState, string> = {
  ordered: '已开单 ordered',
  'awaiting-dispatch': '待发 awaiting dispatch',
  'in-transit': '在途 in transit',
  received: '已收 received',
  'called-back': '已召回 called back',
  cancelled: '已作废 cancelled'
}
const CARRIAGE = { road: '公路 road', express: '快递 express', air: '空运 air' } as const

const row = (line: TransferView['lines'][number]): string =>
  markup`<tr><td class="n">${line.line}<td>${line.part}<td>${line.nameZh ?? line.name}<td>${line.unit}<td>${OWNERSHIP_ON_PAPER[line.ownership]}<td>${CONDITION_ON_PAPER[line.condition]}<td class="n">${line.quantity}<td class="n">${line.sent}<td class="n">${line.received}<td class="n">${line.damaged}<td class="n">${line.missing}</tr>
`

const NAMES = statement<{ code: string; name: string }>(
  `select code, code || ' ' || coalesce(name_zh, name) as name from warehouse where code = any ($1::text[])`
)

/**
 * The transfer note (调拨单) for paper, as the transfer stands: it goes with the goods, and giver, carrier and receiver sign it by hand.
 * What posts is the slips with their own signatures.
 * @throws Refusal 404
 */
export async function printTransferNote(ctx: Context, { number }: { number: string }): Promise<string> {
  await loadTransfer(ctx, number)
  const transfer = await readTransfer(ctx, { number })
  const codes = [transfer.from, transfer.to, ...(transfer.directTo === null ? [] : [transfer.directTo])]
  const names = new Map((await run(ctx, NAMES, [codes])).map(({ code, name }) => [code, name]))
  const nameOf = (code: string | null) => (code === null ? null : (names.get(code) ?? code))
  const slips = transfer.slips.filter(({ state }) => state !== 'cancelled').map(({ number: slip }) => slip)
  return markup`!${pageTop(`调拨单 ${transfer.number}`, STYLE)}<h1>调拨单<small>Transfer note</small></h1>
<dl>
!${fact('单号', 'number', transfer.number)}
!${fact('调出仓库', 'from', nameOf(transfer.from))}
!${fact('调入仓库', 'to', nameOf(transfer.to))}
!${fact('直送', 'direct to', nameOf(transfer.directTo))}
!${fact('状态', 'state', STATES[transfer.state])}
!${fact('运输方式', 'carriage', transfer.carriage === null ? null : CARRIAGE[transfer.carriage])}
!${fact('承运人', 'carrier', transfer.carrier)}
!${fact('依据', 'reference', transfer.reference)}
!${fact('原因', 'because', transfer.because)}
!${fact('出入库单', 'slips', slips.length === 0 ? null : slips.join('、'))}
</dl>
<table>
<thead><tr>!${HEADINGS.map(([zh, en]) => markup`<th>${zh}<small>${en}</small></th>`)}</tr></thead>
<tbody>
!${transfer.lines.map(row)}</tbody>
</table>
<div class="signatures">
<div>发货人 handed over by<p></p></div>
<div>承运人 carried by<p></p></div>
<div>收货人 received by<p></p></div>
</div>
!${PAGE_END}`
}
