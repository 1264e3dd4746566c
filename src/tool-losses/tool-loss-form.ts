// The report of a lost or damaged tool on paper (工具丢失损坏报告单), with the steps of what is compensated.
import { html as markup } from 'ghtml'
import type { Context } from '../identity/actor.ts'
import { fact, PAGE_END, pageTop, paperPolicy, paperStyle } from '../platform/printed-page.ts'
import { readToolLoss } from './tool-loss.ts'
import type { LossView } from './tool-losses.schemas.ts'

const STYLE = paperStyle({
  signatures: 4,
  more: `h2 { font-size: 10pt; margin: 3mm 0 1mm }
.words { border: 0.3mm solid #000; padding: 1mm 2mm; min-height: 10mm; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }`
})
export const LOSS_FORM_POLICY = paperPolicy(STYLE)

const KINDS = { lost: '丢失 lost', damaged: '损坏 damaged' } as const
const OUTCOMES = { lost: '按丢失处理 lost', scrapped: '报废 scrapped', repaired: '修复 repaired' } as const
const STATES = {
  reported: '待审批 awaits its signatures',
  approved: '已批准，修理中 approved, being repaired',
  ended: '已结案 ended',
  refused: '未批准 refused',
  found: '已找回 found',
  withdrawn: '已撤回 withdrawn'
} as const
const METHODS = {
  'straight-line': '年限平均法 straight line',
  'declining-balance': '双倍余额递减法 declining balance'
} as const

/** In the place of an amount, so that nobody takes it for none, or writes one in. */
const NOT_SHOWN = '不显示 not shown'

const steps = ({
  worth,
  normalWear,
  compensation,
  repairGivenUp
}: LossView): readonly (readonly [string, string, string])[] => [
  ['原值', 'value', worth.value],
  ['折旧方法', 'method', METHODS[worth.method]],
  ['残值', 'residual value', worth.residualValue],
  ['已用月数／使用月数', 'months used of life', `${worth.monthsUsed} / ${worth.lifeMonths}`],
  ['累计折旧', 'depreciated', worth.accumulated],
  ['当日净值', 'net value of the day', worth.netValue],
  ['正常损耗', 'normal wear', normalWear ? '是 yes' : '否 no'],
  ...(repairGivenUp === null
    ? []
    : [['其中维修赔偿', 'of which for the repair', repairGivenUp.compensation ?? NOT_SHOWN] as const]),
  ['赔偿金额', 'compensation', compensation ?? NOT_SHOWN]
]

const words = (zh: string, en: string, text: string | null): string =>
  text === null ? '' : markup`<h2>${zh} ${en}</h2><p class="words">${text}</p>`

/**
 * A report for paper as it stands, Chinese and English, with who signed it when and places for who has not; without what is compensated for
 * who is not told it.
 * @throws Refusal 404
 */
export async function printToolLoss(ctx: Context, { number }: { number: string }): Promise<string> {
  const loss = await readToolLoss(ctx, { number })
  const signed = (duty: string): string => {
    const given = loss.signatures.find((one) => one.duty === duty && one.decision === 'approve')
    if (given === undefined) return ''
    const on = Temporal.Instant.from(given.signedAt).toZonedDateTimeISO(ctx.config.BUSINESS_TIME_ZONE).toPlainDate()
    return `${given.signedBy} ${on.toString()}`
  }
  return markup`!${pageTop(`工具丢失损坏报告单 ${number}`, STYLE)}<h1>工具丢失损坏报告单<small>Report of a lost or damaged tool</small></h1>
<dl>
!${fact('单号', 'number', number)}
!${fact('状态', 'state', loss.foundIn === null ? STATES[loss.state] : `${STATES[loss.state]} → ${loss.foundIn}`)}
!${fact('仓库', 'warehouse', loss.warehouse)}
!${fact('工具', 'tool', `${loss.serial} ${loss.nameZh ?? loss.name}`)}
!${fact('固定资产', 'fixed asset', loss.fixedAsset ? '是 yes' : '否 no')}
!${fact('保管人', 'technician', loss.technician ?? '在库 on the shelf')}
!${fact('类别', 'kind', KINDS[loss.kind])}
!${fact('发生日期', 'occurred on', loss.occurredOn)}
!${fact('处理', 'outcome', OUTCOMES[loss.outcome])}
</dl>
!${words('原因', 'cause', loss.cause)}
!${words('情况说明', 'report of the reason', loss.reasonReport)}
<h2>净值与赔偿 Net value and compensation</h2>
<table>
<tbody>
!${steps(loss).map(
    ([zh, en, value]) => markup`<tr><th>${zh}<small>${en}</small></th><td class="n">${value}</td></tr>
`
  )}</tbody>
</table>
!${words('减免原因', 'why it is less', loss.compensationReason)}
!${loss.state === 'withdrawn' ? words('撤回原因', 'why it was withdrawn', loss.reason) : words('未批准原因', 'why it was refused', loss.reason)}
<div class="signatures">
<div>报告人 reported by<p>${loss.reportedBy}</p></div>
<div>保管人签字 technician<p></p></div>
<div>售后服务部负责人 department head<p>${signed('department-head')}</p></div>
<div>财务主管 finance supervisor<p>${signed('finance-supervisor')}</p></div>
</div>
<p>内容摘要 content hash: ${loss.contentHash}</p>
!${PAGE_END}`
}
