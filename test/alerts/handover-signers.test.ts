import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { escalateAlerts } from '../../src/alerts/escalate-alerts.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { mailAlerts } from '../../src/alerts/mail-alerts.ts'
import { writeDigests } from '../../src/alerts/mail-digests.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { openHandingOver, type HandingOver } from '../handovers/handing-over.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'
import { openStream } from '../support/streams.ts'
import { alertsOf, reconciled } from './alerting.ts'

const KIND = 'handover-signer'

let h: Harness
beforeAll(async () => {
  h = await openHarness({
    env: { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'bincard@example.com', PUBLIC_URL: 'https://bincard.example.com' }
  })
  Object.assign(h.app.alertStreams, { pollMs: 20 })
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const heard = () => relayed(h, { only: [followEvents] })
/** What is still awaited, as subjects without the number of the handover. */
const awaited = async ({ warehouseId }: HandingOver) =>
  (await alertsOf(h, warehouseId, KIND))
    .filter(({ state }) => state !== 'resolved')
    .map(({ subject }) => subject.split(' ').slice(1).join(' '))
    .toSorted()
const mine = async (by: Caller, query = '') =>
  (await by.get(`/v1/alerts?mine=true&kind=${KIND}&state=open${query}`)).body.items
const regionOf = async ({ warehouseId }: HandingOver) =>
  (
    await h.sql<{ code: string }>(
      'select region.code from warehouse join region on region.id = region_id where warehouse.id = $1',
      [warehouseId]
    )
  )[0]?.code
const drawnUp = async (body = {}) => {
  const at = await openHandingOver(h)
  const { number } = await at.drawUp(body)
  await heard()
  return { at, number, me: at.incoming.person.username, outgoing: at.keeper.person.username }
}

describe('whoever is to sign a handover is told (R-ORG-3, R-ALR-1)', () => {
  test('the incoming keeper, who holds no duty there, when it is drawn up; they see it, take it on and read the handover', async () => {
    const { at, number, me, outgoing } = await drawnUp()
    const [alert] = await mine(at.incoming)
    expect(alert).toMatchObject({
      warehouse: at.warehouse,
      subject: `${number} draft ${me}`,
      title: `${me} 将从 ${outgoing} 接任 ${at.warehouse} 仓管员(工作移交单 ${number},草稿)`,
      addressedToPeople: [me],
      details: { handover: number, state: 'draft', party: 'incoming-keeper', signer: me, outgoing, incoming: me },
      links: [`/v1/handovers/${number}`, `/v1/handovers/${number}/form`]
    })
    for (const link of alert.links) expect((await at.incoming.get(link)).status).toBe(200)
    expect((await at.incoming.get('/v1/alerts')).body.items.map(({ id }: { id: string }) => id)).toEqual([alert.id])
    expect((await at.incoming.get('/v1/alerts', { accept: 'text/csv' })).text).toContain(number)
    const { items } = (await at.incoming.get('/v1/alerts/summary')).body
    expect(items.filter(({ open }: { open: number }) => open > 0)).toMatchObject([{ kind: KIND, open: 1 }])
    expect((await at.incoming.get(`/v1/alerts/${alert.id}`)).body.history).toHaveLength(1)
    const { body } = await at.incoming.post(`/v1/alerts/${alert.id}/acknowledgement`, { note: '周一到场清点' })
    expect(body).toMatchObject({ state: 'acknowledged', acknowledgedBy: me })
  })

  test('whom a duty and a name tell has each alert once, in pages, as a file and in the summary, also where one sees a region', async () => {
    for (const place of ['warehouse', 'region', 'elsewhere', 'everywhere'] as const) {
      const at = await openHandingOver(h)
      const other = await openHandingOver(h)
      const grant = {
        warehouse: { warehouse: at.warehouse },
        region: { region: (await regionOf(at)) ?? '' },
        elsewhere: { region: (await h.make.region()).id },
        everywhere: {}
      }[place]
      const me = callerFor(h, await h.make.person({ grants: [{ duty: 'department-head', ...grant }] }))
      const incoming = me.person.username
      const numbers = [(await at.drawUp({ incoming })).number, (await other.drawUp({ incoming })).number]
      await heard()
      const read = async (query: string, isWanted = (number: string) => numbers.includes(number)) => {
        const found: string[] = []
        for (let cursor = ''; ;) {
          const { body } = await me.get(`/v1/alerts?kind=${KIND}&state=open&limit=1${query}${cursor}`)
          found.push(...body.items.map((item: any) => item.details.handover))
          if (body.nextCursor === null) return found.filter(isWanted)
          cursor = `&cursor=${body.nextCursor}`
        }
      }
      const file = async (query: string) =>
        (await me.get(`/v1/alerts?kind=${KIND}&state=open${query}`, { accept: 'text/csv' })).text.split('\n')
      for (const query of ['', '&mine=true']) {
        expect(await read(query)).toEqual(numbers.toReversed())
        expect(
          (await file(query)).filter((line) => numbers.some((number) => line.includes(`${number} draft`)))
        ).toHaveLength(2)
      }
      expect(await read(`&mine=true&region=${await regionOf(at)}`)).toEqual([numbers[0]])
      const { items } = (await me.get('/v1/alerts/summary?mine=true')).body
      const open = items.find(({ kind }: { kind: string }) => kind === KIND)?.open
      expect(open).toBe(place === 'everywhere' ? (await read('&mine=true', () => true)).length : 2)
      await h.sql('update duty_assignment set ended_at = now(), ended_by = 0 where person_id = $1', [me.person.id])
    }
  })

  test('nobody else without a duty there sees it, and the incoming keeper sees no other alert of the warehouse', async () => {
    const { at, number } = await drawnUp()
    await h.sql(
      `insert into alert (warehouse_id, kind, subject, details, raised_at, updated_at)
       values ($1, 'statement-due', '2026-10', '{"period": "2026-10", "dueOn": "2026-11-05"}', now(), now())`,
      [at.warehouseId]
    )
    expect((await at.incoming.get('/v1/alerts')).body.items).toMatchObject([{ kind: KIND }])
    expect((await at.incoming.get(`/v1/alerts?warehouse=${at.warehouse}`)).status).toBe(404)
    const stranger = (await openHandingOver(h)).keeper
    const { id } = (await alertsOf(h, at.warehouseId, KIND))[0] ?? { id: '' }
    expect((await stranger.get(`/v1/alerts/${id}`)).status).toBe(404)
    expect((await stranger.post(`/v1/alerts/${id}/acknowledgement`, { note: 'x' })).status).toBe(404)
    expect((await stranger.get('/v1/alerts')).text).not.toContain(number)
    expect((await at.technician.post(`/v1/alerts/${id}/acknowledgement`, { note: 'x' })).status).toBe(403)
    // A key sees what its duties let it see.
    const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
    const body = { name: 'ERP', person: at.incoming.person.username, access: 'read', expiresOn: '2027-01-01' }
    const key = await administrator.post('/v1/api-keys', body)
    const seen = await h.api.get('/v1/alerts').set('x-api-key', key.body.key)
    expect([key.status, seen.status, seen.body.items]).toEqual([201, 200, []])
  })

  test('each of the four when it is submitted, until they have signed', async () => {
    const { at, number, me, outgoing } = await drawnUp()
    await at.submit(number)
    await heard()
    const all = ['department-head', 'finance-supervisor', `incoming-keeper ${me}`, `outgoing-keeper ${outgoing}`]
    expect(await awaited(at)).toEqual(all)
    expect((await mine(at.incoming)).map(({ title }: { title: string }) => title)).toEqual([
      `工作移交单 ${number}(${outgoing} → ${me})待接收人 ${me} 签字`
    ])
    expect(await mine(at.keeper)).toMatchObject([
      { details: { party: 'outgoing-keeper' }, addressedToPeople: [outgoing] }
    ])
    expect(await mine(at.signers['finance-supervisor'])).toMatchObject([
      { details: { party: 'finance-supervisor', signer: null }, addressedToPeople: [] }
    ])
    expect(await mine(at.signers['department-head'])).toHaveLength(4)
    for (const [place, party] of (
      ['incoming-keeper', 'finance-supervisor', 'outgoing-keeper', 'department-head'] as const
    ).entries()) {
      await at.signAll(number, [party])
      await heard()
      expect(await awaited(at)).toHaveLength(3 - place)
      expect((await awaited(at)).some((left) => left.startsWith(party))).toBe(false)
    }
  })

  test('a refusal makes it a draft again, another incoming keeper is told instead, and a cancellation ends all', async () => {
    const { at, number, me } = await drawnUp()
    await at.submit(number)
    await at.signAll(number, ['incoming-keeper'])
    await at.signAs('finance-supervisor', number, { decision: 'refuse', comment: '钥匙数量不符' })
    await heard()
    expect(await awaited(at)).toEqual([`draft ${me}`])

    const other = callerFor(h, await h.make.person())
    const path = `/v1/handovers/${number}`
    const amended = await callsAs(h, at.keeper.person).patch(path, { incoming: other.person.username })
    expect(amended.status).toBe(200)
    await heard()
    expect(await awaited(at)).toEqual([`draft ${other.person.username}`])
    expect([await mine(at.incoming), (await mine(other)).length]).toEqual([[], 1])

    await at.submit(number)
    await heard()
    await at.keeper.post(`${path}/cancellation`, { reason: '不再调任' })
    await heard()
    expect(await awaited(at)).toEqual([])
  })

  test('what is frozen anew is signed anew', async () => {
    const { at, number } = await drawnUp()
    await at.submit(number)
    await at.signAll(number, ['incoming-keeper', 'finance-supervisor'])
    await heard()
    expect(await awaited(at)).toHaveLength(2)
    expect((await at.keeper.post(`/v1/handovers/${number}/snapshot`)).status).toBe(200)
    await heard()
    expect(await awaited(at)).toHaveLength(4)
  })

  test('an outgoing keeper who is absent is not asked', async () => {
    const at = await openHandingOver(h)
    const head = at.signers['department-head']
    const { number } = await at.drawUp({ outgoing: at.keeper.person.username, absentBecause: '离职' }, head)
    await at.submit(number, head)
    await heard()
    expect(await awaited(at)).toEqual([
      'department-head',
      'finance-supervisor',
      `incoming-keeper ${at.incoming.person.username}`
    ])
  })

  test('it is there on the stream of who is named, and goes up the ladder when nobody takes it on or who is named cannot', async () => {
    const at = await openHandingOver(h)
    const stream = await openStream(h, '/v1/alerts/stream?mine=true', {
      authorization: `Bearer ${at.incoming.person.token}`
    })
    await stream.any()
    const { number } = await at.drawUp()
    await heard()
    expect(await stream.next()).toMatchObject({ event: 'raised', data: { alert: { details: { handover: number } } } })
    stream.close()

    const escalated = async () => (await escalateAlerts(h.contextOf(systemActor)))[KIND] ?? 0
    const levels = async () => (await alertsOf(h, at.warehouseId, KIND)).map(({ level }) => level)
    await h.sql(
      `update alert set state = 'resolved', resolved_at = now() where warehouse_id <> $1 and resolved_at is null`,
      [at.warehouseId]
    )
    await h.sql('update duty_assignment set ended_at = now(), ended_by = 0 where person_id = $1', [
      at.signers['department-head'].person.id
    ])
    expect([await escalated(), await levels()]).toEqual([0, [0]])
    await h.sql(`update person set locked_at = now(), locked_because = 'x' where id = $1`, [at.incoming.person.id])
    expect([await escalated(), await levels()]).toEqual([1, [1]])
  })

  test('whom it names has a mail at once and a line in the digest, as whoever has a duty that is told of it', async () => {
    const at = await openHandingOver(h)
    const head = at.signers['department-head']
    for (const { person } of [at.incoming, head])
      await h.sql('update person set email = $2 where id = $1', [person.id, `${person.username}@example.com`])
    const numbers = [
      (await at.drawUp()).number,
      (await (await openHandingOver(h)).drawUp({ incoming: head.person.username })).number
    ]
    await relayed(h, { only: [followEvents, mailAlerts], runsJobs: false })
    await writeDigests(h.contextOf(systemActor))
    const toldOf = async ({ person }: Caller) => {
      const mails = await h.sql<{ kind: string; body: string }>(
        'select kind, body from mail where person_id = $1 order by kind',
        [person.id]
      )
      return mails.map(({ kind, body }) => [kind, ...numbers.map((number) => body.includes(`${number},草稿`))])
    }
    expect([await toldOf(at.incoming), await toldOf(head)]).toEqual([
      [
        ['alert', true, false],
        ['digest', true, false]
      ],
      [
        ['alert', true, true],
        ['digest', true, true]
      ]
    ])
  })

  test('a lost message is found by the sweep, which changes nothing the second time (R-ALR-2)', async () => {
    await reconciled(h, KIND)
    const at = await openHandingOver(h)
    const { number } = await at.drawUp()
    await at.submit(number)
    await h.sql('delete from outbox')
    expect(await reconciled(h, KIND)).toMatchObject({ raised: 4 })
    expect(await reconciled(h, KIND)).toEqual({ raised: 0, updated: 0, resolved: 0 })
    await heard()
    expect(await awaited(at)).toHaveLength(4)
  })
})
