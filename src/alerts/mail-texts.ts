// What mails about alerts say, in both languages side by side, as plain text.
import type { AlertKind } from './alert-kinds.ts'
import { alertKindName, type Language } from './alert-texts.ts'
import type { AlertView } from './alerts.schemas.ts'

export interface MailText {
  subject: string
  text: string
}

/** Where paths of the API lead to; as they are if that is not known. */
type Base = string | undefined

type Both = Record<Language, string>
const said = (language: Language, both: Both): string => both[language]

/** Why an alert is told now. */
export type Occasion = 'raised' | 'escalated' | 'reminded'
const OCCASIONS: Record<Occasion, Both> = {
  raised: { zh: '新预警', en: 'New' },
  escalated: { zh: '已升级', en: 'Escalated' },
  reminded: { zh: '提醒', en: 'Reminder' }
}

type Told = Pick<AlertView, 'id' | 'kindName' | 'title' | 'whatToDo' | 'links' | 'reminder'>

const paragraph = (language: Language, alert: Told, base: Base, occasion?: Occasion): string =>
  [
    `${occasion === undefined ? '' : said(language, { zh: `【${OCCASIONS[occasion].zh}】`, en: `${OCCASIONS[occasion].en}: ` })}${alert.title}`,
    said(language, { zh: `处理:${alert.whatToDo}`, en: `To do: ${alert.whatToDo}` }),
    ...(alert.reminder === null ? [] : [alert.reminder]),
    ...[`/v1/alerts/${alert.id}`, ...alert.links].map((link) => `${base ?? ''}${link}`)
  ].join('\n')

/** A subject is one line of reasonable length. */
const line = (text: string): string => {
  const flat = text.replaceAll(/\s+/g, ' ')
  return flat.length > 150 ? `${flat.slice(0, 149)}…` : flat
}

const foot = (language: Language): string =>
  said(language, {
    zh: '此邮件由备件仓库系统自动发送,请勿回复。',
    en: 'Sent by the spare-parts warehouse service; nobody reads replies.'
  })

/** Alerts that cannot wait for the digest. */
export function alertMail(
  language: Language,
  { alerts, base }: { alerts: readonly { alert: Told; occasion: Occasion }[]; base: Base }
): MailText {
  const [first] = alerts
  if (first === undefined) throw new Error('a mail tells of something')
  const subject =
    alerts.length === 1
      ? said(language, {
          zh: `[备件预警] ${OCCASIONS[first.occasion].zh}:${first.alert.kindName} — ${first.alert.title}`,
          en: `[bincard] ${OCCASIONS[first.occasion].en}: ${first.alert.title}`
        })
      : said(language, { zh: `[备件预警] ${alerts.length} 条预警待处理`, en: `[bincard] ${alerts.length} alerts` })
  const text = [
    ...alerts.map(({ alert, occasion }) => paragraph(language, alert, base, occasion)),
    foot(language)
  ].join('\n\n')
  return { subject: line(subject), text: `${text}\n` }
}

/** Open alerts of a kind in a warehouse that somebody is told of. */
export interface DigestCount {
  kind: AlertKind
  warehouse: string
  total: number
  /** Since the digest of the day before. */
  fresh: number
  escalated: number
  acknowledged: number
}

const WAREHOUSES_NAMED = 20

/** Everything that is open for somebody, on one day. */
export function digestMail(
  language: Language,
  { day, counts, alerts, base }: { day: string; counts: readonly DigestCount[]; alerts: readonly Told[]; base: Base }
): MailText {
  const sum = (rows: readonly DigestCount[], member: 'total' | 'fresh' | 'escalated' | 'acknowledged') =>
    rows.reduce((total, row) => total + row[member], 0)
  const figures = (rows: readonly DigestCount[]): string => {
    const [total, fresh, escalated, acknowledged] = (['total', 'fresh', 'escalated', 'acknowledged'] as const).map(
      (member) => sum(rows, member)
    )
    const parts: [number, Both][] = [
      [fresh, { zh: `新增 ${fresh}`, en: `${fresh} new` }],
      [escalated, { zh: `升级 ${escalated}`, en: `${escalated} escalated` }],
      [acknowledged, { zh: `已确认 ${acknowledged}`, en: `${acknowledged} acknowledged` }]
    ]
    const more = parts.filter(([count]) => count > 0).map(([, both]) => said(language, both))
    const separator = said(language, { zh: '、', en: ', ' })
    const bracketed = said(language, { zh: `(${more.join(separator)})`, en: ` (${more.join(separator)})` })
    return `${said(language, { zh: `${total} 条`, en: `${total} open` })}${more.length === 0 ? '' : bracketed}`
  }
  const kinds = [...Map.groupBy(counts, ({ kind }) => kind)]
  const listed = kinds.map(([kind, rows]) => {
    const shown = rows.slice(0, WAREHOUSES_NAMED).map((row) => `  ${row.warehouse} ${figures([row])}`)
    const rest = rows.slice(WAREHOUSES_NAMED)
    const others = said(language, {
      zh: `  其他 ${rest.length} 个仓库 ${figures(rest)}`,
      en: `  ${rest.length} more warehouses: ${figures(rest)}`
    })
    const head = `${alertKindName(kind, language)}${said(language, { zh: ':', en: ': ' })}${figures(rows)}`
    return [head, ...shown, ...(rest.length === 0 ? [] : [others])].join('\n')
  })
  const more = sum(counts, 'total') - alerts.length
  const all = `${base ?? ''}/v1/alerts?mine=true`
  const text = [
    said(language, {
      zh: `${day} 您有 ${figures(counts)}未了预警:`,
      en: `On ${day} this is open for you: ${figures(counts)}.`
    }),
    ...listed,
    said(language, { zh: '—— 最要紧的 ——', en: '-- First of all --' }),
    ...alerts.map((alert) => paragraph(language, alert, base)),
    more > 0
      ? said(language, { zh: `另有 ${more} 条,全部见 ${all}`, en: `And ${more} more; all of them at ${all}` })
      : said(language, { zh: `全部见 ${all}`, en: `All of them at ${all}` }),
    foot(language)
  ].join('\n\n')
  const fresh = sum(counts, 'fresh')
  return {
    subject: line(
      said(language, {
        zh: `[备件预警] ${day} 日报:未了 ${sum(counts, 'total')} 条${fresh === 0 ? '' : `,新增 ${fresh} 条`}`,
        en: `[bincard] Alerts of ${day}: ${sum(counts, 'total')} open${fresh === 0 ? '' : `, ${fresh} new`}`
      })
    ),
    text: `${text}\n`
  }
}
