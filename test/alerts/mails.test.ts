import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { watchLateSignatures } from '../../src/alerts/alerts.jobs.ts'
import { escalateAlerts } from '../../src/alerts/escalate-alerts.ts'
import { MOST_AN_HOUR } from '../../src/alerts/mail-alerts.ts'
import { purgeMailsNightly, sendMailsDue, writeDigestsDaily } from '../../src/alerts/mails.jobs.ts'
import { RETRY_MINUTES, sendMails } from '../../src/alerts/send-mails.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { openMailer, type Mailer } from '../../src/platform/mail.ts'
import { publish } from '../../src/platform/outbox.ts'
import { callsAs, type Caller } from '../support/calls.ts'
import { openCounter } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson, MadeWarehouse } from '../support/make.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openMailServer, type MailServer } from './mail-server.ts'

let server: MailServer
let h: Harness
let admin: Caller
beforeAll(async () => {
  server = await openMailServer()
  h = await openHarness({
    env: {
      SMTP_URL: `smtp://127.0.0.1:${server.port}`,
      MAIL_FROM: '备件仓库 <bincard@example.com>',
      PUBLIC_URL: 'https://bincard.example.com'
    }
  })
  admin = callsAs(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
afterAll(async () => {
  await h.close()
  await server.close()
})
beforeEach(() => {
  h.clock.set(DEFAULT_TIME)
  server.refuseWith(0)
  server.refuseSenderWith(0)
  server.mails.length = 0
})
afterEach(async () => {
  await relayed(h)
  await h.sql('delete from mail')
  await h.sql(`update alert set state = 'resolved', resolved_at = now() where resolved_at is null`)
})

const system = () => h.contextOf(systemActor)
const reader = async (
  place: MadeWarehouse,
  { duty = 'keeper' as const, language = 'zh', email }: { duty?: any; language?: string; email?: string | null } = {}
): Promise<MadePerson & { email: string }> => {
  const person = await h.make.person({ grants: [{ duty, warehouse: place.code }] })
  const address = email === undefined ? `${person.username}@example.com` : email
  await h.sql('update person set email = $2, language = $3 where id = $1', [person.id, address, language])
  return { ...person, email: address ?? '' }
}
/** An open alert, past every rule. */
const alert = async (
  place: MadeWarehouse,
  {
    kind = 'statement-due',
    subject = '2026-10',
    at = '2026-11-20T01:00:00Z',
    level = 0,
    details = {}
  }: {
    kind?: string
    subject?: string
    at?: string
    level?: number
    details?: object
  } = {}
): Promise<string> => {
  const [{ id }] = await h.sql<{ id: string }>(
    `insert into alert (warehouse_id, kind, subject, details, raised_at, updated_at, level) values ($1, $2, $3, $4, $5, $5, $6) returning id::text as id`,
    [place.id, kind, subject, JSON.stringify({ period: subject, dueOn: '2026-11-05', ...details }), at, level]
  )
  return id
}
const told = (place: MadeWarehouse, alerts: readonly string[], event = 'alert.raised') =>
  publish(
    system(),
    alerts.map((id) => ({
      subject: `alert:${id}`,
      event,
      warehouseId: place.id,
      payload: { alert: id, kind: 'statement-due', subject: '2026-10', warehouse: place.code }
    }))
  )
const stored = () =>
  h.sql<{ state: string; attempts: number; problem: string | null; to: string }>(
    'select state, attempts, problem, to_address as to from mail order by id'
  )

describe('alerts that cannot wait for the digest', () => {
  test('a late signature is mailed to who is told of it, in their language, with what to do (R-OUT-2, R-ALR-1)', async () => {
    const counter = await openCounter(h)
    const place = { id: counter.warehouseId, code: counter.warehouse } as MadeWarehouse
    const keeper = await reader(place)
    const head = await reader(place, { duty: 'department-head', language: 'en' })
    const finance = await reader(place, { duty: 'finance-supervisor', language: 'en' })
    await reader(place, { email: null })
    const { number: part } = await counter.stocked()
    const { number } = await counter.slip({ kind: 'issue', lines: [{ part, quantity: '1' }] })
    await counter.sign(number, ['department-head', 'operations-supervisor'])
    await counter.keeper.post(`/v1/slips/${number}/emergency-release`, {
      missingDuty: 'finance-supervisor',
      authorisedBy: '王芳',
      reason: '客户停机',
      handedTo: '李雷'
    })
    h.clock.advance({ hours: 25 })
    await runJob(h, watchLateSignatures)
    await runJob(h, watchLateSignatures)
    await relayed(h)

    expect(server.mails.map(({ to }) => to).sort()).toEqual([finance.email, keeper.email].sort())
    const zh = server.mails.find(({ to }) => to === keeper.email)
    expect(zh?.subject).toContain(`[备件预警] 新预警:补签逾期 — ${number} 紧急放行后缺财务主管补签`)
    expect(zh?.text).toContain('处理:请财务主管补签')
    expect(zh?.text).toContain(`https://bincard.example.com/v1/slips/${number}`)
    expect(zh?.raw).toMatch(/\r\nSubject: =\?UTF-8\?/)
    expect(zh?.from).toContain('<bincard@example.com>')
    const en = server.mails.find(({ to }) => to === finance.email)
    expect(en?.subject).toContain(`[bincard] New: ${number} was released in an emergency`)
    expect(en?.text).toContain('To do: Have the finance-supervisor sign')

    server.mails.length = 0
    h.clock.advance({ hours: 25 })
    await escalateAlerts(system())
    await relayed(h)
    expect(server.mails.map(({ to }) => to).sort()).toEqual([finance.email, head.email, keeper.email].sort())
    expect(server.mails.find(({ to }) => to === head.email)?.subject).toContain('[bincard] Escalated: ')
  })

  test('several at once are one mail; what is resolved, of another kind or of a kind that is not mailed at once is none', async () => {
    const place = await h.make.warehouse()
    const finance = await reader(place, { duty: 'finance-supervisor' })
    const first = await alert(place, { subject: '2026-09' })
    const second = await alert(place, { subject: '2026-10' })
    const resolved = await alert(place, { subject: '2026-08' })
    const digested = await alert(place, { kind: 'count-report-due', details: { count: null, countState: null } })
    await h.sql(`update alert set state = 'resolved', resolved_at = now() where id = $1`, [resolved])
    await told(place, [first, second, resolved, digested])
    await relayed(h)

    expect(server.mails).toMatchObject([{ to: finance.email, subject: '[备件预警] 2 条预警待处理' }])
    expect(server.mails[0]?.text).toContain(`${place.code} 仓库 2026-09 未在 2026-11-05 前月结`)
    expect(server.mails[0]?.text).not.toContain('2026-08')
  })

  test('a second handling of the same events writes no second mail', async () => {
    const place = await h.make.warehouse()
    await reader(place, { duty: 'finance-supervisor' })
    await told(place, [await alert(place)])
    const [row] = await h.sql('select * from outbox')
    await relayed(h)
    await h.sql(
      `insert into outbox (id, subject, event, warehouse_id, payload, occurred_at) overriding system value values ($1, $2, $3, $4, $5, $6)`,
      [row['id'], row['subject'], row['event'], row['warehouse_id'], JSON.stringify(row['payload']), row['occurred_at']]
    )
    await relayed(h)
    expect(server.mails).toHaveLength(1)
  })

  test('whoever got ten in the last hour gets the rest with the digest', async () => {
    const place = await h.make.warehouse()
    const finance = await reader(place, { duty: 'finance-supervisor' })
    for (let n = 0; n < MOST_AN_HOUR + 3; n++) {
      await told(place, [await alert(place, { subject: `20${10 + n}-01` })])
      await relayed(h)
    }
    expect(server.mails).toHaveLength(MOST_AN_HOUR)
    h.clock.advance({ minutes: 61 })
    await told(place, [await alert(place, { subject: '2026-01' })])
    await relayed(h)
    expect(server.mails).toHaveLength(MOST_AN_HOUR + 1)
    await runJob(h, writeDigestsDaily)
    await relayed(h)
    expect(server.mails.at(-1)).toMatchObject({ to: finance.email, subject: expect.stringContaining('未了 14 条') })
  })
})

describe('the daily digest', () => {
  test('tells each person once a day what is open for them, by kind and warehouse, in their language', async () => {
    const region = await h.make.region()
    const one = await h.make.warehouse({ region: region.code })
    const other = await h.make.warehouse({ region: region.code })
    const keeper = await reader(one)
    const controller = await h.make.person({ grants: [{ duty: 'hq-finance', region: region.code }] })
    await h.sql(`update person set email = 'hq@example.com', language = 'en' where id = $1`, [controller.id])
    await reader(one, { duty: 'technician' })
    const report = { count: null, countState: null }
    await alert(one, { kind: 'count-report-due', details: report, at: '2026-11-15T01:00:00Z' })
    await alert(one, { subject: '2026-10', level: 1, at: '2026-11-18T01:00:00Z' })
    await alert(other, { subject: '2026-10', level: 1 })
    const acknowledged = await alert(other, { subject: '2026-09', level: 1 })
    await h.sql(`update alert set state = 'acknowledged', acknowledged_by = 0, acknowledged_at = now() where id = $1`, [
      acknowledged
    ])

    expect(await runJob(h, writeDigestsDaily)).toEqual({ digests: 2 })
    await relayed(h)
    expect(await runJob(h, writeDigestsDaily)).toEqual({ digests: 0 })
    await relayed(h)

    const zh = server.mails.find(({ to }) => to === keeper.email)
    expect(zh?.subject).toBe('[备件预警] 2026-11-20 日报:未了 1 条')
    expect(zh?.text).toContain('盘点表未上报:1 条')
    const en = server.mails.find(({ to }) => to === 'hq@example.com')
    expect(en?.subject).toBe('[bincard] Alerts of 2026-11-20: 3 open, 2 new')
    expect(en?.text).toContain('Month not closed: 3 open (2 new, 1 acknowledged)')
    expect(en?.text).toContain(`  ${other.code} 2 open (2 new, 1 acknowledged)\n  ${one.code} 1 open`)
    expect(en?.text).toContain(`2026-10 of ${one.code} was not closed by 2026-11-05`)
    expect(en?.text).toContain('To do: Read what the month still lacks')
    expect(en?.text).toContain('And 1 more; all of them at https://bincard.example.com/v1/alerts?mine=true')
    expect(server.mails).toHaveLength(2)

    h.clock.advance({ days: 1 })
    expect(await runJob(h, writeDigestsDaily)).toEqual({ digests: 2 })
  })

  test('is not written for a kind that is not mailed, for what is all acknowledged, nor to people who are inactive', async () => {
    const place = await h.make.warehouse()
    await reader(place)
    const gone = await reader(place, { duty: 'finance-supervisor' })
    await h.sql('update person set active = false where id = $1', [gone.id])
    await alert(place)
    const seen = await alert(place, { kind: 'count-report-due', details: { count: null, countState: null } })
    await h.sql(`update alert set state = 'acknowledged', acknowledged_by = 0, acknowledged_at = now() where id = $1`, [
      seen
    ])
    expect(await runJob(h, writeDigestsDaily)).toEqual({ digests: 0 })
    await h.sql(`update alert set state = 'open', acknowledged_by = null, acknowledged_at = null where id = $1`, [seen])
    await h.sql(`update alert_policy set mail = 'none' where kind = 'count-report-due'`)
    expect(await runJob(h, writeDigestsDaily)).toEqual({ digests: 0 })
    await h.sql(`update alert_policy set mail = 'digest' where kind = 'count-report-due'`)
    expect(await runJob(h, writeDigestsDaily)).toEqual({ digests: 1 })
  })

  test('names the first fifteen of many and counts the rest', async () => {
    const place = await h.make.warehouse()
    const finance = await reader(place, { duty: 'finance-supervisor' })
    for (let n = 0; n < 40; n++) await alert(place, { subject: `20${50 - n}-01` })
    await runJob(h, writeDigestsDaily)
    await relayed(h)
    const [mail] = server.mails
    expect(mail?.to).toBe(finance.email)
    expect(mail?.text.match(/处理:/g)).toHaveLength(15)
    expect(mail?.text).toContain('另有 25 条')
  })
})

describe('sending', () => {
  /** A mail that waits. */
  const waiting = async (count = 1) => {
    const place = await h.make.warehouse()
    for (let n = 0; n < count; n++) await reader(place, { duty: 'finance-supervisor' })
    await told(place, [await alert(place)])
    await relayed(h, { runsJobs: false })
  }
  const withServer = async (port: number, work: (mailer: Mailer) => Promise<void>) => {
    const mailer = openMailer({ SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: 'bincard@example.com' })
    if (mailer === undefined) throw new Error('no mailer')
    try {
      await work(mailer)
    } finally {
      mailer.close()
    }
  }

  test('while the server is away mails wait with growing pauses, one attempt a run; when it is back all are sent', async () => {
    await waiting(3)
    const away = await openMailServer()
    await away.close()
    await withServer(away.port, async (mailer) => {
      expect(await sendMails(system(), mailer)).toEqual({ sent: 0, failed: 1 })
      expect((await stored()).map(({ state, attempts }) => [state, attempts])).toEqual([
        ['waiting', 1],
        ['waiting', 0],
        ['waiting', 0]
      ])
      expect((await stored())[0]?.problem).toContain('ECONNREFUSED')
      h.clock.advance({ minutes: 2 })
      const back = await openMailServer(away.port)
      expect(await sendMails(system(), mailer)).toEqual({ sent: 3, failed: 0 })
      expect(back.mails).toHaveLength(3)
      expect(await sendMails(system(), mailer)).toBeUndefined()
      await back.close()
    })
  })

  test('a mail that is not taken for about a day is given up, listed and can be tried again', async () => {
    await waiting()
    const away = await openMailServer()
    await away.close()
    await withServer(away.port, async (mailer) => {
      const started = h.clock.now()
      let attempts = 0
      for (; (await stored())[0]?.state === 'waiting'; h.clock.advance({ minutes: 10 }))
        attempts += (await sendMails(system(), mailer))?.failed ?? 0
      expect(attempts).toBe(RETRY_MINUTES.length + 1)
      expect(h.clock.now().since(started).total('hours')).toBeGreaterThan(23)
    })
    const { items } = (await admin.get('/v1/mails?state=dead')).body
    expect(items).toMatchObject([{ kind: 'alert', attempts: 10, problem: expect.stringContaining('ECONNREFUSED') }])
    expect(items[0].nextAttemptAt).toBeNull()
    const again = await admin.post(`/v1/mails/${items[0].id}/retry`)
    expect([again.status, again.body.state, again.body.attempts]).toEqual([202, 'waiting', 0])
    await relayed(h)
    expect(server.mails).toHaveLength(1)
    expect(server.mails[0]?.messageId).toBe(`<mail-${items[0].id}@example.com>`)
    expect((await admin.post(`/v1/mails/${items[0].id}/retry`)).body.code).toBe('MailNotDead')
    expect((await admin.post(`/v1/mails/999999/retry`)).status).toBe(404)
  })

  test('an address that the server refuses is given up at once, one that it defers is tried again, and neither holds up the others', async () => {
    await waiting(2)
    server.refuseWith(550)
    await runJob(h, sendMailsDue)
    expect(await stored()).toMatchObject([
      { state: 'dead', attempts: 1, problem: expect.stringContaining('mailbox is not here') },
      { state: 'dead', attempts: 1 }
    ])
    await h.sql('delete from mail')
    await waiting(2)
    server.refuseWith(450)
    await runJob(h, sendMailsDue)
    expect((await stored()).map(({ state, attempts }) => [state, attempts])).toEqual([
      ['waiting', 1],
      ['waiting', 1]
    ])
    server.refuseWith(0)
    h.clock.advance({ minutes: 2 })
    await runJob(h, sendMailsDue)
    expect(server.mails).toHaveLength(2)
  })

  test.each([550, 530, 421])(
    'a server that refuses the sender with %i takes no mail: all wait as if it were away, none is given up',
    async (status) => {
      await waiting(3)
      server.refuseSenderWith(status)
      await runJob(h, sendMailsDue)
      expect((await stored()).map(({ state, attempts }) => [state, attempts])).toEqual([
        ['waiting', 1],
        ['waiting', 0],
        ['waiting', 0]
      ])
      server.refuseSenderWith(0)
      h.clock.advance({ minutes: 2 })
      await runJob(h, sendMailsDue)
      expect(server.mails).toHaveLength(3)
    }
  )

  test('a server that closes while it refuses a recipient (421) is away for all', async () => {
    await waiting(2)
    server.refuseWith(421)
    await runJob(h, sendMailsDue)
    expect((await stored()).map(({ state, attempts }) => [state, attempts])).toEqual([
      ['waiting', 1],
      ['waiting', 0]
    ])
  })

  test('two workers at once send each mail once, and what a killed one had claimed is sent when its lease is over', async () => {
    await waiting(12)
    await Promise.all([runJob(h, sendMailsDue), runJob(h, sendMailsDue), runJob(h, sendMailsDue)])
    expect(server.mails).toHaveLength(12)
    expect(new Set(server.mails.map(({ to }) => to)).size).toBe(12)

    await h.sql('delete from mail')
    await waiting()
    await h.sql(`update mail set leased_until = clock_timestamp() + interval '5 minutes'`)
    await runJob(h, sendMailsDue)
    expect(server.mails).toHaveLength(12)
    await h.sql(`update mail set leased_until = clock_timestamp() - interval '1 second'`)
    await runJob(h, sendMailsDue)
    expect(server.mails).toHaveLength(13)
  })

  test('mails are an administrator’s to see, who holds the duty everywhere', async () => {
    await waiting()
    const place = await h.make.warehouse()
    for (const grants of [
      [],
      [{ duty: 'administrator' as const, warehouse: place.code }],
      [{ duty: 'hq-finance' as const }]
    ]) {
      const somebody = callsAs(h, await h.make.person({ grants }))
      expect((await somebody.get('/v1/mails')).status).toBe(403)
      expect((await somebody.post('/v1/mails/1/retry')).status).toBe(403)
    }
    const first = (await admin.get('/v1/mails?limit=1')).body
    expect(first.items).toHaveLength(1)
    expect(JSON.stringify(first)).not.toContain('body')
  })

  test('sent mails are forgotten after 30 days, dead ones after 90, and a second purge finds nothing', async () => {
    await waiting(2)
    await runJob(h, sendMailsDue)
    const [{ id }] = await h.sql<{ id: string }>(`select min(id) as id from mail`)
    await h.sql(`update mail set state = 'dead' where id = $1`, [id])
    h.clock.advance({ days: 31 })
    expect(await runJob(h, purgeMailsNightly)).toEqual({ mails: 1 })
    h.clock.advance({ days: 60 })
    expect(await runJob(h, purgeMailsNightly)).toEqual({ mails: 1 })
    expect(await runJob(h, purgeMailsNightly)).toEqual({ mails: 0 })
  })
})

test('without SMTP_URL nothing is written', async () => {
  const silent = await openHarness()
  const [{ id }] = await silent.sql<{ id: number }>(`select id from person where id = 0`)
  await silent.sql(`update person set email = 'x@example.com' where id = $1`, [id])
  expect(await runJob(silent, writeDigestsDaily)).toEqual({ digests: 0 })
  expect(await runJob(silent, sendMailsDue)).toBeUndefined()
  await publish(silent.contextOf(systemActor), [{ subject: 'alert:1', event: 'alert.raised', payload: { alert: '1' } }])
  await relayed(silent)
  expect(await silent.sql('select * from mail')).toEqual([])
  await silent.close()
})
