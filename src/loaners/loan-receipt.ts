import { html as markup } from 'ghtml'
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { PAGE_END, pageTop, PAPER_FONTS, paperPolicy } from '../platform/printed-page.ts'
import { loadLoan } from './loan.ts'

const STYLE = `
@page { size: A5 landscape; margin: 10mm }
body { font: 10pt/1.4 ${PAPER_FONTS}; margin: 0; color: #000 }
section { break-after: page }
section:last-child { break-after: auto }
h1 { font-size: 15pt; text-align: center; margin: 0 0 3mm }
h1 small { display: block; font-size: 9pt; font-weight: normal }
table { border-collapse: collapse; width: 100% }
th, td { border: 0.3mm solid #000; padding: 1mm 2mm; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { width: 22%; font-weight: normal; background: #eee }
ol { margin: 2mm 0 0; padding-left: 6mm; font-size: 9pt }
.signatures { break-inside: avoid; display: grid; grid-template-columns: repeat(2, 1fr); gap: 8mm; margin-top: 4mm }
.signatures p { margin: 0; border-bottom: 0.3mm solid #000; min-height: 12mm }
@media screen { body { margin: 8mm } section { margin-bottom: 16mm } }
`

export const RECEIPT_POLICY = paperPolicy(STYLE)

const COPIES = [
  ['客户联', 'customer copy'],
  ['仓库联', 'warehouse copy']
] as const

const TERMS = [
  [
    '备用机仅供维修期间使用，维修完成并接到通知后应及时归还。',
    'The unit is lent for the time of the repair; it is returned once the repair is reported ready.'
  ],
  [
    '请妥善保管，不得转借；人为损坏或遗失按约定赔偿。',
    'Keep it well and lend it to nobody; damage and loss are compensated as agreed.'
  ],
  ['归还时双方当面检查外观和附件。', 'Both check condition and accessories together when it comes back.']
] as const

const NAMES = statement<{ name: string; keeper: string }>(`
select coalesce(w.name_zh || ' ' || w.name, w.name) as name, person.name as keeper from warehouse w, person where w.id = $1 and person.username = $2`)

const row = (zh: string, en: string, value: string | null): string =>
  markup`<tr><th>${zh} ${en}</th><td>${value ?? ''}</td></tr>
`

/**
 * The receipt (借用单) that the customer signs, in two copies; after the return also with how the unit came back. That of a
 * cancelled loan says that it is void.
 * @throws Refusal 404
 */
export async function printLoanReceipt(ctx: Context, { number }: { number: string }): Promise<string> {
  const { loan, warehouse } = await loadLoan(ctx, number)
  const [names] = await run(ctx, NAMES, [warehouse.id, loan.drawnUpBy])
  const back =
    loan.state === 'returned'
      ? [
          row('归还日期', 'returned', loan.returnedOn),
          row('归还状况', 'condition', loan.conditionIn),
          row('归还附件', 'accessories returned', loan.accessoriesIn?.join('、') ?? ''),
          row('损坏赔偿', 'damage', [loan.damage, loan.damageAmount].filter((word) => word !== null).join(' '))
        ].join('')
      : ''
  const isVoid = loan.state === 'cancelled'
  const pages = COPIES.map(
    ([zh, en]) => markup`<section>
<h1>备用机借用单 — ${zh}${isVoid ? '（已作废）' : ''}<small>Loaner receipt — ${en}${isVoid ? ' (void)' : ''}</small></h1>
<table>
!${row('借用单号', 'loan', loan.number)}
!${row('借条编号', 'receipt', loan.receiptNumber)}
!${row('仓库', 'warehouse', `${warehouse.code} ${names?.name ?? ''}`)}
!${row('维修单号', 'repair order', loan.repairOrder)}
!${row('客户', 'customer', [loan.customerName, loan.customerContact].filter((word) => word !== null).join(' '))}
!${row('备用机', 'unit', `${loan.model} ${loan.nameZh ?? loan.name}`)}
!${row('机身编号', 'serial number', loan.unit.serial)}
!${row('成色与状况', 'grade, condition', `${loan.gradeOut} ${loan.conditionOut}`)}
!${row('附件', 'accessories', loan.accessoriesOut.join('、'))}
!${row('借出日期', 'lent', loan.lentOn)}
!${row('应还日期', 'due back', loan.dueOn)}
!${back}</table>
<ol>!${TERMS.map(([chinese, english]) => markup`<li>${chinese} ${english}</li>`).join('')}</ol>
<div class="signatures">
<div>客户签字 customer<p></p></div>
<div>仓管员 keeper<p>${names?.keeper ?? loan.drawnUpBy}</p></div>
</div>
</section>
`
  ).join('')
  return pageTop(`借用单 ${loan.number}`, STYLE) + pages + PAGE_END
}
