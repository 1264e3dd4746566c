// What an alert says, in both languages side by side: what is the matter, what to do, and where to read of it. Written when it is read,
// in the language of whoever reads.
import { DUTY_NAMES, type Duty } from '../identity/actor.ts'
import { ALERT_KIND_NAMES, type AlertDetails, type AlertKind } from './alert-kinds.ts'

export type Language = 'zh' | 'en'
type Both = Record<Language, string>

/** Where the alert is. */
export interface AlertPlace {
  warehouse: string
  timeZone: string
}

interface Text<Kind extends AlertKind> {
  name: Both
  title(details: AlertDetails[Kind], place: AlertPlace): Both
  whatToDo(details: AlertDetails[Kind], place: AlertPlace): Both
  /** Paths of the API. */
  links(details: AlertDetails[Kind], place: AlertPlace): string[]
}

const q = encodeURIComponent
const named = ({ part, name, nameZh }: { part: string; name: string; nameZh: string | null }): Both => ({
  zh: `${part} ${nameZh ?? name}`,
  en: `${part} ${name}`
})
const localTime = (at: string, { timeZone }: AlertPlace): string =>
  Temporal.Instant.from(at)
    .toZonedDateTimeISO(timeZone)
    .toPlainDateTime()
    .toString({ smallestUnit: 'minute' })
    .replace('T', ' ')
const duty = (of: Duty): Both => ({ zh: DUTY_NAMES[of], en: of })

const lotTitle = (details: AlertDetails['lot-aged'], zh: string, en: string): Both => ({
  zh: `批次 ${details.lot}(${named(details).zh},结存 ${details.onHand},原值 ${details.cost})${zh}`,
  en: `Lot ${details.lot} (${named(details).en}, ${details.onHand} on hand, cost ${details.cost}) ${en}`
})
const lotLinks = ({ part }: AlertDetails['lot-aged'], { warehouse }: AlertPlace): string[] => [
  `/v1/warehouses/${warehouse}/lots?part=${q(part)}`,
  `/v1/stock?part=${q(part)}`
]
const countLinks = (
  { period, count }: { period: string; count: string | null },
  { warehouse }: AlertPlace,
  further: string[] = []
): string[] => [
  ...(count === null ? [`/v1/warehouses/${warehouse}/counts?period=${period}`] : [`/v1/counts/${q(count)}`]),
  ...further
]

const PARTY_ZH = {
  'outgoing-keeper': '移交人',
  'incoming-keeper': '接收人',
  'department-head': DUTY_NAMES['department-head'],
  'finance-supervisor': DUTY_NAMES['finance-supervisor']
} as const
const PIECE_ZH = { 'in-stock': '有货', backordered: '缺货' } as const
const clockTitle = (details: AlertDetails['request-clock'], zh: string, en: string): Both => ({
  zh: `${details.urgency === 'emergency' ? '抢修' : ''}请购 ${details.request} 第 ${details.line} 行(${details.outlet},${named(details).zh},${PIECE_ZH[details.piece]}时限 ${details.workingDays} 个工作日)${zh}`,
  en: `Line ${details.line} of ${details.urgency === 'emergency' ? 'emergency ' : ''}request ${details.request} of ${details.outlet} (${named(details).en}, ${details.piece}, ${details.workingDays} working days) ${en}`
})
const clockToDo = ({ piece }: AlertDetails['request-clock']): Both =>
  piece === 'in-stock'
    ? { zh: '开出库单,签字后发货', en: 'Write the issue slip, have it signed and hand the goods out' }
    : {
        zh: '催货或改从别处调拨;到不了的重新答复日期',
        en: 'Hurry what is on its way or find it elsewhere; promise another day if it will not come'
      }
const backorderTitle = (
  details: AlertDetails['backorder-answer-due'],
  place: AlertPlace,
  zhBefore: string,
  zhAfter: string,
  en: string
): Both => ({
  zh: `缺货登记 ${details.backorder}(${details.outlet},${named(details).zh} ${details.quantity} ${details.unit})${zhBefore} ${localTime(details.answerDueAt, place)} ${zhAfter}`,
  en: `Backorder ${details.backorder} of ${details.outlet} (${details.quantity} ${details.unit} of ${named(details).en}) ${en} ${localTime(details.answerDueAt, place)}`
})
const backorderToDo = ({ promisedOn }: AlertDetails['backorder-answer-due']): Both => ({
  zh: `答复网点何时到货${promisedOn === null ? '' : `(目前承诺 ${promisedOn})`}`,
  en: `Tell the outlet when the goods come${promisedOn === null ? '' : ` (promised by the service: ${promisedOn})`}`
})

const TEXTS: { [Kind in AlertKind]: Text<Kind> } = {
  'reorder-point': {
    name: { zh: ALERT_KIND_NAMES['reorder-point'], en: 'Reorder point reached' },
    title: (details, { warehouse }) => ({
      zh: `${warehouse} 仓库 ${named(details).zh}:可用 ${details.available},在途 ${details.onOrder},已到订货点 ${details.reorderPoint}`,
      en: `${named(details).en} in ${warehouse}: ${details.available} available and ${details.onOrder} on order have reached the reorder point ${details.reorderPoint}`
    }),
    whatToDo: ({ orderUpTo }) => ({
      zh: `先查区域存货网络,可调拨的先调拨(先进先出、同区域优先),不足部分再采购,补到 ${orderUpTo}`,
      en: `Search the network first and have the oldest lots transferred, those of the same region before others; order only what is short of ${orderUpTo}`
    }),
    links: ({ part }, { warehouse }) => [
      `/v1/warehouses/${warehouse}/stock?part=${q(part)}`,
      `/v1/stock?part=${q(part)}`
    ]
  },
  'lot-aging-soon': {
    name: { zh: ALERT_KIND_NAMES['lot-aging-soon'], en: 'Lot enters its fourth month next month' },
    title: (details) =>
      lotTitle(details, `将于 ${details.month} 进入第四个月`, `enters its fourth month in ${details.month}`),
    whatToDo: () => ({
      zh: '本月内用掉、调出或退回总公司;下月起每月计提折旧,并进入区域存货网络',
      en: 'Use it, transfer it or return it this month; from next month on it is charged every month and enters the regional stock network'
    }),
    links: lotLinks
  },
  'lot-aged': {
    name: { zh: ALERT_KIND_NAMES['lot-aged'], en: 'Lot in its fourth month' },
    title: (details) => lotTitle(details, '已进入第四个月', 'is in its fourth month'),
    whatToDo: () => ({
      zh: '本月起计提折旧,已进入区域存货网络;联系其他仓库调拨,或优先发用',
      en: 'It is charged from this month on and is in the regional stock network; offer it to other warehouses, or issue it first'
    }),
    links: lotLinks
  },
  'late-signature': {
    name: { zh: ALERT_KIND_NAMES['late-signature'], en: 'Late signature overdue' },
    title: ({ slip, missingDuty, dueAt, releasedBy }, place) => ({
      zh: `${slip} 紧急放行后缺${duty(missingDuty).zh}补签,应于 ${localTime(dueAt, place)} 前完成(放行人 ${releasedBy})`,
      en: `${slip} was released in an emergency by ${releasedBy}; the signature of the ${duty(missingDuty).en} was due by ${localTime(dueAt, place)}`
    }),
    whatToDo: ({ missingDuty }) => ({
      zh: `请${duty(missingDuty).zh}补签;货不该出库的,做红字冲销`,
      en: `Have the ${duty(missingDuty).en} sign; if the goods should not have left, have the slip reversed`
    }),
    links: ({ slip }) => [`/v1/slips/${q(slip)}`]
  },
  'count-due': {
    name: { zh: ALERT_KIND_NAMES['count-due'], en: 'Month-end count due' },
    title: ({ period, dueOn, count, countState }, { warehouse }) => ({
      zh: `${warehouse} 仓库 ${period} 月末盘点未批准(应于 ${dueOn} 完成,${count === null ? '尚未开始' : `${count} ${COUNT_STATE_ZH[countState ?? ''] ?? countState}`})`,
      en: `The month-end count of ${period} in ${warehouse} is not approved (due on ${dueOn}; ${count === null ? 'not opened' : `${count} is ${countState}`})`
    }),
    whatToDo: ({ count, countState }) =>
      count === null
        ? { zh: '开盘点单,全部盘点并提交', en: 'Open the count, count everything and submit it' }
        : countState === 'awaiting-signatures'
          ? {
              zh: '请财务监盘、部门负责人、总公司依次签字',
              en: 'Have finance, the department head and head office sign it'
            }
          : { zh: '盘完并提交', en: 'Finish counting and submit it' },
    links: (details, place) => countLinks(details, place)
  },
  'count-report-due': {
    name: { zh: ALERT_KIND_NAMES['count-report-due'], en: 'Count report not sent' },
    title: ({ period, dueOn }, { warehouse }) => ({
      zh: `${warehouse} 仓库 ${period} 盘点表未在 ${dueOn} 前报总公司分管部`,
      en: `${warehouse} did not send the count report of ${period} to the HQ stock controller by ${dueOn}`
    }),
    whatToDo: ({ count }) =>
      count === null
        ? { zh: '先开盘点单、盘点并提交,再上报盘点表', en: 'Open the count, count and submit it, then send the report' }
        : { zh: '提交盘点单后上报盘点表', en: 'Submit the count if it is not, then send the report' },
    links: (details, place) => countLinks(details, place, [`/v1/count-reports?period=${details.period}`])
  },
  'statement-due': {
    name: { zh: ALERT_KIND_NAMES['statement-due'], en: 'Month not closed' },
    title: ({ period, dueOn }, { warehouse }) => ({
      zh: `${warehouse} 仓库 ${period} 未在 ${dueOn} 前月结`,
      en: `${period} of ${warehouse} was not closed by ${dueOn}`
    }),
    whatToDo: () => ({
      zh: '查看月结检查所列缺项,补齐后月结',
      en: 'Read what the month still lacks, have it done, and close the month'
    }),
    links: ({ period }, { warehouse }) => [`/v1/warehouses/${warehouse}/periods/${period}/closing`]
  },
  'ledger-fault': {
    name: { zh: ALERT_KIND_NAMES['ledger-fault'], en: 'The ledger does not verify' },
    title: ({ check, findings }, { warehouse }) => ({
      zh: `${warehouse} 仓库账务自检不符:${check},${findings} 处`,
      en: `The self-check of the ledger of ${warehouse} found ${findings} ${findings === 1 ? 'fault' : 'faults'}: ${check}`
    }),
    whatToDo: () => ({
      zh: '账被绕过系统改动;停止手工改库,保留现场,对照自检结果查明原因',
      en: 'The books were changed past the service; stop whoever writes to the database, keep everything as it is, and find the cause by the findings'
    }),
    links: (_details, { warehouse }) => [`/v1/ledger/verification?warehouse=${warehouse}`]
  },
  'request-clock-soon': {
    name: { zh: ALERT_KIND_NAMES['request-clock-soon'], en: 'Request due soon' },
    title: (details) => clockTitle(details, `应于 ${details.dueOn} 前发货`, `is due by ${details.dueOn}`),
    whatToDo: clockToDo,
    links: ({ request }) => [`/v1/requests/${q(request)}`]
  },
  'request-clock': {
    name: { zh: ALERT_KIND_NAMES['request-clock'], en: 'Request overdue' },
    title: (details) => clockTitle(details, `应于 ${details.dueOn} 前发货,已逾期`, `was due by ${details.dueOn}`),
    whatToDo: clockToDo,
    links: ({ request }) => [`/v1/requests/${q(request)}`]
  },
  'backorder-answer-soon': {
    name: { zh: ALERT_KIND_NAMES['backorder-answer-soon'], en: 'Backorder wants an answer soon' },
    title: (details, place) => backorderTitle(details, place, '应于', '前答复', 'wants an answer by'),
    whatToDo: backorderToDo,
    links: ({ backorder }) => [`/v1/backorders/${q(backorder)}`]
  },
  'backorder-answer-due': {
    name: { zh: ALERT_KIND_NAMES['backorder-answer-due'], en: 'Backorder was not answered' },
    title: (details, place) => backorderTitle(details, place, '未在', '前答复', 'was not answered by'),
    whatToDo: backorderToDo,
    links: ({ backorder }) => [`/v1/backorders/${q(backorder)}`]
  },
  'reservation-expiring': {
    name: { zh: ALERT_KIND_NAMES['reservation-expiring'], en: 'Reservation expires soon' },
    title: (details) => ({
      zh: `${details.request} 第 ${details.line} 行 ${named(details).zh} ${details.quantity} ${details.unit}:为贵网点预留至 ${details.expiresOn}`,
      en: `${details.quantity} ${details.unit} of ${named(details).en} are kept for line ${details.line} of ${details.request} until ${details.expiresOn}`
    }),
    whatToDo: ({ needsConfirmation, centre }) =>
      needsConfirmation
        ? {
            zh: '到货后尚未确认:仍需要的请确认,不需要的请取消;逾期自动释放给下一家',
            en: 'Say whether they are still needed: confirm or decline; after that day they go to the next in the queue'
          }
        : {
            zh: `请与 ${centre} 联系提货;不再需要的请取消,逾期自动释放`,
            en: `Have ${centre} hand them out, or cancel what is no longer needed; after that day they are released`
          },
    links: ({ request }) => [`/v1/requests/${q(request)}`]
  },
  'transfer-in-transit': {
    name: { zh: ALERT_KIND_NAMES['transfer-in-transit'], en: 'Transfer too long in transit' },
    title: ({ transfer, from, to, sentOn, quantity, value }) => ({
      zh: `调拨 ${transfer}(${from} → ${to})自 ${sentOn} 起在途未到:数量 ${quantity},净值 ${value}`,
      en: `Transfer ${transfer} from ${from} to ${to} has been in transit since ${sentOn}: ${quantity} units, net book value ${value}`
    }),
    whatToDo: ({ end }) =>
      end === 'receiver'
        ? {
            zh: '货到的办理调拨入库;短少、损坏的在入库单上写明并注明责任方',
            en: 'Receive what has arrived; what is missing or damaged is written on the slip with who answers for it'
          }
        : {
            zh: '向承运人查询;收货方收不到的,召回入库',
            en: 'Ask the carrier; what the receiver will not get is called back'
          },
    links: ({ transfer }) => [`/v1/transfers/${q(transfer)}`]
  },
  'deposit-low': {
    name: { zh: ALERT_KIND_NAMES['deposit-low'], en: 'Deposit low' },
    title: ({ outlet, free, lowLimit, balance, held }) => ({
      zh: `${outlet} 可用押金 ${free},低于下限 ${lowLimit}(余额 ${balance},占用 ${held})`,
      en: `The free deposit of ${outlet} is ${free}, below ${lowLimit} (balance ${balance}, held ${held})`
    }),
    whatToDo: () => ({
      zh: '请网点补交押金;急需的由财务豁免',
      en: 'Have the outlet pay in; what is urgent finance may waive'
    }),
    links: ({ outlet }) => [`/v1/deposits/${q(outlet)}`, `/v1/deposits/${q(outlet)}/statement`]
  },
  'old-part-outstanding': {
    name: { zh: ALERT_KIND_NAMES['old-part-outstanding'], en: 'Old part outstanding' },
    title: (details) => ({
      zh: `旧件 ${details.oldPart}(${named(details).zh},${details.quantity} ${details.unit})应于 ${details.dueOn} 前交回,价值 ${details.value}`,
      en: `Old part ${details.oldPart} (${details.quantity} ${details.unit} of ${named(details).en}, worth ${details.value}) was due back by ${details.dueOn}`
    }),
    whatToDo: () => ({
      zh: '把旧件交回中心库;交不回的申请核销并赔偿',
      en: 'Return it to the centre; what cannot be returned is written off and compensated'
    }),
    links: ({ oldPart }) => [`/v1/old-parts/${q(oldPart)}`]
  },
  recall: {
    name: { zh: ALERT_KIND_NAMES.recall, en: 'Recall' },
    title: ({ recall, title, blocked, got, lent = 0 }, { warehouse }) => ({
      zh: `召回 ${recall}「${title}」:${warehouse} 冻结结存 ${blocked},已领未答复 ${got}${lent === 0 ? '' : `,客户手中备用机 ${lent} 台`}`,
      en: `Recall ${recall} (${title}): ${blocked} lie blocked in ${warehouse}, ${got} were issued to it and are not answered for${lent === 0 ? '' : `, and customers have ${lent === 1 ? 'one loaner unit' : `${lent} loaner units`} of it`}`
    }),
    whatToDo: ({ got, lent = 0 }) => ({
      zh: `冻结的单独存放、不得发出,按召回退回或报废${got === '0' ? '' : ';已领的查找、收回并答复'}${lent === 0 ? '' : ';通知借用客户停用并换回'}`,
      en: `Keep blocked goods apart and have them returned or scrapped${got === '0' ? '' : '; find what was issued, take it back and answer the recall'}${lent === 0 ? '' : '; tell the customers who have loaner units of it, and take those back'}`
    }),
    links: ({ recall }) => [`/v1/recalls/${q(recall)}`, `/v1/recalls/${q(recall)}/goods`]
  },
  'loaner-due-soon': {
    name: { zh: ALERT_KIND_NAMES['loaner-due-soon'], en: 'Loaner due back soon' },
    title: ({ loan, serial, model, dueOn, repairOrder }) => ({
      zh: `备用机 ${model} ${serial} 应于 ${dueOn} 归还(借用单 ${loan},维修单 ${repairOrder})`,
      en: `Loaner ${model} ${serial} is due back on ${dueOn} (loan ${loan}, repair order ${repairOrder})`
    }),
    whatToDo: () => ({
      zh: '提醒客户按期归还;维修未完成的,办理延期',
      en: 'Remind the customer; if the repair is not done, extend the loan'
    }),
    links: ({ loan, serial }) => [`/v1/loans/${q(loan)}`, `/v1/loaners/${q(serial)}`]
  },
  'loaner-overdue': {
    name: { zh: ALERT_KIND_NAMES['loaner-overdue'], en: 'Loaner overdue' },
    title: ({ loan, serial, model, dueOn, repairOrder }) => ({
      zh: `备用机 ${model} ${serial} 已逾期,应于 ${dueOn} 归还(借用单 ${loan},维修单 ${repairOrder})`,
      en: `Loaner ${model} ${serial} was due back on ${dueOn} (loan ${loan}, repair order ${repairOrder})`
    }),
    whatToDo: ({ extensions }) => ({
      zh: `联系客户收回${extensions === 0 ? '' : `(已延期 ${extensions} 次)`};确需延期的,由负责人办理`,
      en: `Get it back from the customer${extensions === 0 ? '' : `, who had ${extensions === 1 ? 'one extension' : `${extensions} extensions`}`}; if it is still needed, extend the loan`
    }),
    links: ({ loan, serial }) => [`/v1/loans/${q(loan)}`, `/v1/loaners/${q(serial)}`]
  },
  'loaner-notice-unanswered': {
    name: { zh: ALERT_KIND_NAMES['loaner-notice-unanswered'], en: 'Ready notice unanswered' },
    title: ({ loan, repairOrder, notices }) => ({
      zh: `维修单 ${repairOrder} 已修好,通知客户 ${notices} 次无答复(借用单 ${loan})`,
      en: `Repair order ${repairOrder} is ready, and ${notices} notices to the customer were not answered (loan ${loan})`
    }),
    whatToDo: ({ receiptNumber }) => ({
      zh: `按借条 ${receiptNumber} 的联系方式人工联系或上门,并登记答复`,
      en: `Reach the customer of receipt ${receiptNumber} by other ways, and note the answer`
    }),
    links: ({ loan }) => [`/v1/loans/${q(loan)}`]
  },
  'loaner-fleet-short': {
    name: { zh: ALERT_KIND_NAMES['loaner-fleet-short'], en: 'Fleet of loaners too small' },
    title: ({ region, family, installed, target, units, shortfall }) => ({
      zh: `区域 ${region} 系列 ${family}:保有量 ${installed},备用机应配 ${target} 台,实有 ${units} 台,缺 ${shortfall} 台`,
      en: `Region ${region}, family ${family}: ${units} loaners of ${target} for an installed base of ${installed}, ${shortfall} missing`
    }),
    whatToDo: () => ({
      zh: '按配备建议申请购置,或从配备有余的区域调入',
      en: 'Acquire what the fleet report proposes, or have units transferred from a region that has more than it needs'
    }),
    links: ({ region }) => [`/v1/loaners/fleet?region=${q(region)}`]
  },
  'handover-open': {
    name: { zh: ALERT_KIND_NAMES['handover-open'], en: 'Handover not completed' },
    title: ({ handover, outgoing, incoming, drawnUpOn, state }) => ({
      zh: `工作移交单 ${handover}(${outgoing} → ${incoming})自 ${drawnUpOn} 起未完成,${state === 'draft' ? '尚未提交' : '待签字'}`,
      en: `Handover ${handover} from ${outgoing} to ${incoming} was drawn up on ${drawnUpOn} and ${state === 'draft' ? 'is still a draft' : 'awaits signatures'}`
    }),
    whatToDo: ({ state }) => ({
      zh:
        state === 'draft'
          ? '核对余额、未结单据和钥匙后提交;不再移交的,取消'
          : '请未签字的双方及监交人签字;余额已变动较多的,刷新清单后重新签字',
      en:
        state === 'draft'
          ? 'Check balances, open papers and keys and submit it; if the post does not change hands, cancel it'
          : 'Have those sign who have not; if much has moved since, take the snapshot anew and sign again'
    }),
    links: ({ handover }) => [`/v1/handovers/${q(handover)}`, `/v1/handovers/${q(handover)}/form`]
  },
  'handover-signer': {
    name: { zh: ALERT_KIND_NAMES['handover-signer'], en: 'Handover awaits somebody' },
    title: ({ handover, state, party, signer, outgoing, incoming }, { warehouse }) => ({
      zh:
        state === 'draft'
          ? `${incoming} 将从 ${outgoing} 接任 ${warehouse} 仓管员(工作移交单 ${handover},草稿)`
          : `工作移交单 ${handover}(${outgoing} → ${incoming})待${PARTY_ZH[party]}${signer === null ? '' : ` ${signer} `}签字`,
      en:
        state === 'draft'
          ? `${incoming} is to take ${warehouse} over from ${outgoing} by handover ${handover}, which is still a draft`
          : `Handover ${handover} from ${outgoing} to ${incoming} awaits the signature of ${signer ?? party}${signer === null ? '' : ` as ${party}`}`
    }),
    whatToDo: ({ state, party }) => ({
      zh:
        state === 'draft'
          ? '查看移交内容,到场清点;提交后将通知签字。不接任的,告知原任或负责人'
          : '核对余额、未结单据和钥匙后签字;不符的,拒签并说明原因',
      en:
        state === 'draft'
          ? 'Read what is handed over and see it on the spot; you are told when it is to be signed. If you do not take over, tell the outgoing keeper or the department head'
          : `Check balances, open papers and keys and sign as ${party}; if something is wrong, refuse and say what`
    }),
    links: ({ handover }) => [`/v1/handovers/${q(handover)}`, `/v1/handovers/${q(handover)}/form`]
  },
  'keeper-missing': {
    name: { zh: ALERT_KIND_NAMES['keeper-missing'], en: 'Warehouse without a keeper' },
    title: ({ from, isMissing, keeper, until }, { warehouse }) => ({
      zh: isMissing
        ? `${warehouse} 仓库有库存但无在岗仓管员(末任 ${keeper}${until === null ? '' : `,至 ${until}`})`
        : `${warehouse} 仓库自 ${from} 起无仓管员(现任 ${keeper}${until === null ? '' : `,至 ${until}`})`,
      en: isMissing
        ? `Goods lie in ${warehouse} and nobody is keeper of it (the last was ${keeper}${until === null ? '' : `, until ${until}`})`
        : `From ${from} on nobody is keeper of ${warehouse}, where goods lie (now ${keeper}${until === null ? '' : `, until ${until}`})`
    }),
    whatToDo: ({ handover }) => ({
      zh:
        handover === null
          ? '办理工作移交给接任仓管员(原任不在岗的由负责人代为发起);暂缓的,延长其任期'
          : `尽快完成工作移交 ${handover},或延长其任期`,
      en:
        handover === null
          ? 'Have the warehouse handed over to another keeper (where the last one is gone, the department head draws it up), or give the duty for longer'
          : `Have handover ${handover} completed, or give the duty for longer`
    }),
    links: ({ handover }, { warehouse }) => [
      `/v1/warehouses/${warehouse}/keepers`,
      ...(handover === null ? [] : [`/v1/handovers/${q(handover)}`])
    ]
  },
  'tool-calibration-due': {
    name: { zh: ALERT_KIND_NAMES['tool-calibration-due'], en: 'Calibration of a tool due' },
    title: ({ serial, name, nameZh, dueOn, isOverdue, technician }) => ({
      zh: `工具 ${serial} ${nameZh ?? name} ${isOverdue ? `检定已过期(${dueOn})` : `应于 ${dueOn} 前检定`},${technician === null ? '在库' : `保管人 ${technician}`}`,
      en: `Tool ${serial} ${name}, ${technician === null ? 'on the shelf' : `with ${technician}`}, ${isOverdue ? `was due for calibration on ${dueOn}` : `is due for calibration on ${dueOn}`}`
    }),
    whatToDo: ({ isOverdue }) => ({
      zh: `${isOverdue ? '停止使用,' : ''}送检并登记检定证书和下次检定日期`,
      en: `${isOverdue ? 'Take it out of use, have' : 'Have'} it calibrated, and enter the certificate and the next day`
    }),
    links: ({ serial }) => [`/v1/tools/${q(serial)}`]
  },
  'tool-custody-unconfirmed': {
    name: { zh: ALERT_KIND_NAMES['tool-custody-unconfirmed'], en: 'Custody of tools unconfirmed' },
    title: ({ round, dueOn, isOverdue, outstanding, technicians }) => ({
      zh: `工具核对 ${round} ${isOverdue ? `已过截止日 ${dueOn}` : `应于 ${dueOn} 前完成`},${outstanding} 人未确认:${technicians.join('、')}${outstanding > technicians.length ? '等' : ''}`,
      en: `Custody round ${round}, ${isOverdue ? 'which was due' : 'due'} on ${dueOn}, waits for ${technicians.join(', ')}${outstanding > technicians.length ? ` and ${outstanding - technicians.length} more` : ''}`
    }),
    whatToDo: () => ({
      zh: '保管人本人核对并确认;缺少的,报告丢失',
      en: 'Each technician confirms their own list, and reports as lost what is missing'
    }),
    links: ({ round }) => [`/v1/custody-rounds/${q(round)}`]
  },
  'tool-loss-open': {
    name: { zh: ALERT_KIND_NAMES['tool-loss-open'], en: 'Loss of a tool open' },
    title: ({ loss, serial, name, nameZh, lossKind, lossState, technician }) => ({
      zh: `工具 ${serial} ${nameZh ?? name} ${lossKind === 'lost' ? '丢失' : '损坏'}(${loss},${technician === null ? '在库' : `保管人 ${technician}`})${lossState === 'reported' ? '待审批' : '修理中'}`,
      en: `Tool ${serial} ${name} was ${lossKind} (${loss}, ${technician === null ? 'on the shelf' : `with ${technician}`}) and ${lossState === 'reported' ? 'awaits its signatures' : 'is being repaired'}`
    }),
    whatToDo: ({ lossState }) =>
      lossState === 'reported'
        ? {
            zh: '售后服务部负责人核定赔偿并签字,财务主管签字;不属实的,拒签并说明',
            en: 'The department head assesses and signs it, then the finance supervisor; refuse what is not so'
          }
        : {
            zh: '修好后登记入库;修不成的,售后服务部负责人改为核定报废',
            en: 'Enter it as repaired once it is back on the shelf; if it cannot be repaired, the department head assesses it as scrapped'
          },
    links: ({ loss, serial }) => [`/v1/tool-losses/${q(loss)}`, `/v1/tools/${q(serial)}`]
  },
  'tool-custody-orphaned': {
    name: { zh: ALERT_KIND_NAMES['tool-custody-orphaned'], en: 'Tools with somebody who leaves' },
    title: ({ technician, name, tools, serials, isOrphaned, until }, { warehouse }) => {
      const more = tools > serials.length
      return {
        zh: `${name}(${technician})保管 ${warehouse} 工具 ${tools} 件(${serials.join('、')}${more ? '等' : ''}),${isOrphaned ? '已不是该仓库的维修技术员' : '即将不再是该仓库的维修技术员'}${until === null ? '' : `(任期至 ${until})`}`,
        en: `${technician} has ${tools === 1 ? '1 tool' : `${tools} tools`} of ${warehouse} (${serials.join(', ')}${more ? ' and more' : ''}) and ${isOrphaned ? 'is not its technician any more' : 'will soon not be its technician'}${until === null ? '' : ` (until ${until})`}`
      }
    },
    whatToDo: () => ({
      zh: '办理全部退还或交接给其他技术员;继续在岗的,延长其任期',
      en: 'Have everything returned or handed over to another technician, or give the duty for longer'
    }),
    links: ({ technician }) => [`/v1/technicians/${q(technician)}/custody`]
  }
}

const COUNT_STATE_ZH: Record<string, string> = { counting: '盘点中', 'awaiting-signatures': '待签字' }

export interface AlertText {
  kindName: string
  title: string
  whatToDo: string
  links: string[]
}

/** What an alert says in a language. */
export function alertText<Kind extends AlertKind>(
  { kind, details }: { kind: Kind; details: AlertDetails[Kind] },
  place: AlertPlace,
  language: Language
): AlertText {
  const text = TEXTS[kind] as Text<Kind>
  return {
    kindName: text.name[language],
    title: text.title(details, place)[language],
    whatToDo: text.whatToDo(details, place)[language],
    links: text.links(details, place)
  }
}

/** How often and when somebody was reminded last; null if nobody was. Says so if the day was only taken for a working day. */
export function reminderText(
  { reminders, remindedOn, isDayAssumed }: { reminders: number; remindedOn: string | null; isDayAssumed: boolean },
  language: Language
): string | null {
  if (remindedOn === null) return null
  const year = remindedOn.slice(0, 4)
  const texts: Both = {
    zh: `已提醒 ${reminders} 次,最近一次 ${remindedOn}${isDayAssumed ? `(${year} 年放假安排未录入,暂按周一至周五为工作日)` : ''}`,
    en: `Reminded ${reminders === 1 ? 'once' : `${reminders} times`}, last on ${remindedOn}${isDayAssumed ? ` (the notice of working days of ${year} is not known here; Monday to Friday are taken for working days)` : ''}`
  }
  return texts[language]
}

export const alertKindName = (kind: AlertKind, language: Language): string => TEXTS[kind].name[language]
