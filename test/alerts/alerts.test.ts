import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ALERT_KINDS } from '../../src/alerts/alert-kinds.ts'
import { addresseesOf } from '../../src/alerts/addressees.ts'
import { escalateUnacknowledged } from '../../src/alerts/alerts.jobs.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import type { Duty } from '../../src/identity/actor.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { alertsOf, eventsOf, reconciled, setLevel } from './alerting.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const caller = async (duty: Duty, place: { warehouse?: string; region?: string } = {}): Promise<Caller> =>
  callerFor(h, await h.make.person({ grants: [{ duty, ...place }] }))

/** A warehouse where a part is short; answers the alert of it. */
async function shortShop(): Promise<{ shop: Counter; part: { id: number; number: string }; alert: string }> {
  h.clock.set('2026-11-20T10:00')
  const shop = await openCounter(h)
  const part = await shop.stocked({ quantity: '3' })
  await setLevel(h, shop.warehouseId, part.id, { reorderPoint: '5', orderUpTo: '9' })
  await reconciled(h, 'reorder-point')
  const [alert] = await alertsOf(h, shop.warehouseId, 'reorder-point')
  return { shop, part, alert: alert?.id ?? '' }
}
const idsOf = async (by: Caller, query: string): Promise<string[]> =>
  (await by.get(`/v1/alerts?limit=200&${query}`)).body.items.map(({ id }: { id: string }) => id)

describe('reading', () => {
  test('one alert with everything about it, and its history', async () => {
    const { shop, part, alert } = await shortShop()
    const { status, body } = await shop.keeper.get(`/v1/alerts/${alert}`)
    expect(status).toBe(200)
    expect(body).toEqual({
      id: alert,
      warehouse: shop.warehouse,
      warehouseName: shop.warehouse,
      warehouseNameZh: null,
      region: `R-${shop.warehouse}`.slice(0, 20),
      kind: 'reorder-point',
      kindName: '低于订货点',
      kindZh: '低于订货点',
      subject: part.number,
      title: `${shop.warehouse} 仓库 ${part.number} part ${part.number}:可用 3,在途 0,已到订货点 5`,
      whatToDo: '先查区域存货网络,可调拨的先调拨(先进先出、同区域优先),不足部分再采购,补到 9',
      links: [`/v1/warehouses/${shop.warehouse}/stock?part=${part.number}`, `/v1/stock?part=${part.number}`],
      state: 'open',
      level: 0,
      addressedTo: ['keeper', 'purchaser'],
      addressedToPeople: [],
      details: {
        part: part.number,
        name: `part ${part.number}`,
        nameZh: null,
        unit: 'piece',
        available: '3',
        onOrder: '0',
        reorderPoint: '5',
        orderUpTo: '9'
      },
      raisedAt: '2026-11-20T02:00:00Z',
      updatedAt: '2026-11-20T02:00:00Z',
      escalatedAt: null,
      acknowledgedAt: null,
      acknowledgedBy: null,
      note: null,
      remindedOn: null,
      reminder: null,
      resolvedAt: null,
      history: [{ at: '2026-11-20T02:00:00Z', event: 'raised', by: null, details: null }]
    })
    for (const link of body.links as string[]) expect((await shop.keeper.get(link)).status).toBe(200)
    expect(await (await openCounter(h)).keeper.get(`/v1/alerts/${alert}`)).toMatchObject({
      status: 404,
      body: { code: 'NotFound', detail: `there is no alert ${alert}, or you may not see it` }
    })
  })

  test('lists are of what is seen, newest first, by page, warehouse, region, kind and state', async () => {
    const [one, two] = [await shortShop(), await shortShop()]
    const everywhere = await caller('stock-controller')
    const region = `R-${one.shop.warehouse}`.slice(0, 20)
    const near = await caller('operations-supervisor', { region })
    expect(await idsOf(one.shop.keeper, '')).toEqual([one.alert])
    expect(await idsOf(near, '')).toEqual([one.alert])
    expect((await idsOf(everywhere, '')).slice(0, 2)).toEqual([two.alert, one.alert])
    expect(await idsOf(everywhere, `warehouse=${two.shop.warehouse}`)).toEqual([two.alert])
    expect(await idsOf(everywhere, `region=${region}&kind=reorder-point&state=open`)).toEqual([one.alert])
    expect(await idsOf(everywhere, `region=${region}&kind=lot-aged`)).toEqual([])
    expect(await idsOf(everywhere, `region=${region}&state=resolved`)).toEqual([])
    const first = await everywhere.get('/v1/alerts?limit=1')
    expect(first.body.items[0].id).toBe(two.alert)
    expect((await everywhere.get(`/v1/alerts?limit=1&cursor=${first.body.nextCursor}`)).body.items[0].id).toBe(
      one.alert
    )
    expect(await one.shop.keeper.get(`/v1/alerts?warehouse=${two.shop.warehouse}`)).toMatchObject({ status: 404 })
    expect(await everywhere.get('/v1/alerts?region=NOWHERE')).toMatchObject({ status: 404 })
    expect(await everywhere.get('/v1/alerts?kind=flood')).toMatchObject({ status: 400 })

    const csv = await near.get('/v1/alerts', { accept: 'text/csv' })
    expect(csv.text.split('\r\n').join('\n').split('\n')).toEqual([
      expect.stringContaining('id 编号,warehouse 仓库'),
      expect.stringMatching(new RegExp(`^${one.alert},${one.shop.warehouse},.*低于订货点`)),
      ''
    ])
  })

  test('the summary counts every kind by state', async () => {
    const { shop, alert } = await shortShop()
    const at = (by: Caller, query = '') => by.get(`/v1/alerts/summary?warehouse=${shop.warehouse}${query}`)
    const none = { open: 0, acknowledged: 0, escalated: 0, resolved: 0 }
    const { items } = (await at(shop.keeper)).body
    expect(items.map(({ kind }: { kind: string }) => kind)).toEqual(ALERT_KINDS)
    expect(items[0]).toEqual({ kind: 'reorder-point', kindName: '低于订货点', kindZh: '低于订货点', ...none, open: 1 })
    await shop.keeper.post(`/v1/alerts/${alert}/acknowledgement`, { note: '已订货' })
    expect((await at(shop.keeper, '&mine=true')).body.items[0]).toMatchObject({ ...none, acknowledged: 1 })
    expect((await at(shop.signers['finance-supervisor'], '&mine=true')).body.items[0]).toMatchObject(none)
  })
})

describe('who is told', () => {
  test('holders of the duties there, in the region and everywhere, and whoever stands in for them today', async () => {
    const { shop, alert } = await shortShop()
    const region = `R-${shop.warehouse}`.slice(0, 20)
    const near = await caller('purchaser', { region })
    const far = await caller('purchaser', { region: (await h.make.region()).code })
    const everywhere = await caller('purchaser')
    const deputy = await caller('technician', { warehouse: shop.warehouse })
    await h.sql(
      `insert into delegation (from_person_id, to_person_id, duty, valid_from, valid_to, reason, delegated_by, delegated_at)
       values ($1, $2, null, '2026-11-20', '2026-11-21', '年假', $1, now())`,
      [shop.keeper.person.id, deputy.person.id]
    )
    await h.sql('notify identity_changed')
    await h.sql(`update person set email = 'k@example.com', language = 'en' where id = $1`, [shop.keeper.person.id])
    const people = async () => (await addresseesOf(h.contextOf(systemActor), [alert])).map(({ username }) => username)
    const told = [shop.keeper, near, everywhere, deputy].map(({ person }) => person.username)
    expect((await people()).filter((username) => told.includes(username)).sort()).toEqual(told.toSorted())
    expect(await people()).not.toContain(far.person.username)
    expect(
      (await addresseesOf(h.contextOf(systemActor), [alert])).find(({ personId }) => personId === shop.keeper.person.id)
    ).toMatchObject({ alert, email: 'k@example.com', language: 'en' })

    for (const by of [shop.keeper, near, everywhere, deputy])
      await expect.poll(() => idsOf(by, 'mine=true')).toContain(alert)
    for (const by of [far, shop.signers['department-head']]) expect(await idsOf(by, 'mine=true')).not.toContain(alert)

    h.clock.set('2026-11-22T08:00')
    expect(await people()).not.toContain(deputy.person.username)
    expect(await idsOf(deputy, 'mine=true')).toEqual([])
  })

  test('a late signature is told to the duty that is missing, whatever the ladder says', async () => {
    const shop = await openCounter(h)
    await h.sql(
      `insert into alert (warehouse_id, kind, subject, duty, details, raised_at, updated_at)
       values ($1, 'late-signature', 'X', 'operations-supervisor', '{"slip": "X", "slipKind": "issue", "missingDuty": "operations-supervisor", "dueAt": "2026-11-20T02:00:00Z", "releasedAt": "2026-11-19T02:00:00Z", "releasedBy": "k", "authorisedBy": null}', now(), now())`,
      [shop.warehouseId]
    )
    const { items } = (await shop.signers['operations-supervisor'].get('/v1/alerts?mine=true')).body
    expect(items).toMatchObject([{ subject: 'X', addressedTo: ['operations-supervisor', 'keeper'] }])
    expect((await shop.signers['finance-supervisor'].get('/v1/alerts?mine=true')).body.items).toEqual([])
  })
})

describe('acknowledging', () => {
  test('one of those who are told takes it on with a note; it stays until its cause is gone', async () => {
    const { shop, part, alert } = await shortShop()
    h.clock.advance({ minutes: 5 })
    const { status, body } = await shop.keeper.post(`/v1/alerts/${alert}/acknowledgement`, { note: ' 已从上海仓调拨 ' })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      state: 'acknowledged',
      note: '已从上海仓调拨',
      acknowledgedBy: shop.keeper.person.username,
      acknowledgedAt: '2026-11-20T02:05:00Z',
      history: [
        { event: 'raised' },
        { event: 'acknowledged', by: shop.keeper.person.username, details: { note: '已从上海仓调拨' } }
      ]
    })
    expect(await shop.keeper.post(`/v1/alerts/${alert}/acknowledgement`, { note: 'x' })).toMatchObject({
      status: 409,
      body: {
        code: 'AlertNotOpen',
        detail: `alert ${alert} was acknowledged by ${shop.keeper.person.username} at 2026-11-20T02:05:00Z; one person answers for it`
      }
    })
    h.clock.advance({ days: 30 })
    await runJob(h, escalateUnacknowledged)
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ state: 'acknowledged', level: 0 }])

    await setLevel(h, shop.warehouseId, part.id, { reorderPoint: '1', orderUpTo: '9' })
    await reconciled(h, 'reorder-point')
    expect(await shop.keeper.post(`/v1/alerts/${alert}/acknowledgement`, { note: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'AlertNotOpen', state: 'resolved' }
    })
    expect((await shop.keeper.get(`/v1/alerts/${alert}`)).body).toMatchObject({
      state: 'resolved',
      note: '已从上海仓调拨'
    })
  })

  test('others may not, keys may not, and it needs a note', async () => {
    const { shop, alert } = await shortShop()
    const take = (by: Caller, body: object = { note: 'x' }) => by.post(`/v1/alerts/${alert}/acknowledgement`, body)
    expect(await take(shop.signers['department-head'])).toMatchObject({
      status: 403,
      body: { code: 'DutyRequired', required: ['keeper', 'purchaser'] }
    })
    expect(await take((await openCounter(h)).keeper)).toMatchObject({ status: 404 })
    expect(await take(shop.keeper, {})).toMatchObject({ status: 400 })
    expect(await take(shop.keeper, { note: ' ' })).toMatchObject({ status: 400 })
    const { body } = await shop.keeper.post('/v1/api-keys', { name: 'till', expiresOn: '2027-01-01', access: 'write' })
    const byKey = await h.api.post(`/v1/alerts/${alert}/acknowledgement`).set('x-api-key', body.key).send({ note: 'x' })
    expect(byKey).toMatchObject({ status: 403, body: { code: 'PersonRequired' } })
    expect(await shop.keeper.post('/v1/alerts/999999/acknowledgement', { note: 'x' })).toMatchObject({ status: 404 })
  })

  test('while a sweep goes on whoever may not is refused at once, those who may wait a little, and everything else is answered', async () => {
    const { shop, alert } = await shortShop()
    const [stranger, reader] = [(await openCounter(h)).keeper, await caller('keeper', { warehouse: shop.warehouse })]
    const sweep = await h.runtime.database.pool.connect()
    try {
      await sweep.query('begin; lock table alert_policy in share row exclusive mode')
      const take = (by: Caller) => by.post(`/v1/alerts/${alert}/acknowledgement`, { note: 'x' })
      const waiting = Array.from({ length: h.runtime.config.DATABASE_POOL_SIZE + 5 }, () => take(shop.keeper))
      expect((await take(stranger)).status).toBe(404)
      let isRead = false
      const reading = reader.get(`/v1/alerts/${alert}`).then(({ body }) => {
        isRead = true
        return body.state as string
      })
      const answers = await Promise.all(waiting)
      expect([isRead, await reading]).toEqual([true, 'open'])
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
      expect(answers.map(({ body }) => body.code)).toContain('AlertsBusy')
      const last = take(shop.keeper)
      await sweep.query('commit')
      expect((await last).status).toBe(200)
    } finally {
      sweep.release()
    }
  })

  test('of two at once one takes it on', async () => {
    const { shop, alert } = await shortShop()
    const second = await caller('keeper', { warehouse: shop.warehouse })
    const answers = await Promise.all(
      [shop.keeper, second].map((by) => by.post(`/v1/alerts/${alert}/acknowledgement`, { note: 'x' }))
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    expect(await eventsOf(h, alert)).toEqual(['raised', 'acknowledged'])
  })
})

describe('escalating', () => {
  test('what nobody acknowledged goes to the next duty after the hours of its policy, rung by rung to the last', async () => {
    const { shop, alert } = await shortShop()
    await caller('stock-controller')
    const level = async () => (await alertsOf(h, shop.warehouseId)).map((found) => found.level)
    h.clock.advance({ hours: 71, minutes: 59 })
    await runJob(h, escalateUnacknowledged)
    expect(await level()).toEqual([0])
    h.clock.advance({ minutes: 1 })
    await runJob(h, escalateUnacknowledged)
    await runJob(h, escalateUnacknowledged)
    expect(await level()).toEqual([1])
    expect(await idsOf(shop.signers['department-head'], 'mine=true')).toEqual([alert])
    expect((await shop.signers['department-head'].get(`/v1/alerts/${alert}`)).body).toMatchObject({
      level: 1,
      addressedTo: ['keeper', 'purchaser', 'department-head'],
      escalatedAt: '2026-11-23T02:00:00Z',
      history: [
        { event: 'raised' },
        { event: 'escalated', by: null, details: { level: 1, duties: ['department-head'] } }
      ]
    })
    h.clock.advance({ hours: 72 })
    await runJob(h, escalateUnacknowledged)
    expect(await level()).toEqual([2])
    h.clock.advance({ hours: 720 })
    await runJob(h, escalateUnacknowledged)
    expect(await level()).toEqual([2])
    // Who was told only later may take it on as well.
    const taken = await shop.signers['department-head'].post(`/v1/alerts/${alert}/acknowledgement`, { note: '已处理' })
    expect(taken.status).toBe(200)
  })

  test('an alert that is addressed to nobody goes up at once', async () => {
    h.clock.set('2026-11-20T10:00')
    const lonely = await h.make.warehouse()
    const head = await caller('department-head', { warehouse: lonely.code })
    await h.sql(
      `update duty_assignment set ended_at = now(), ended_by = 0 where duty = 'purchaser' and warehouse_id is null and region_id is null`
    )
    const part = await h.make.part()
    await setLevel(h, lonely.id, part.id, { reorderPoint: '5', orderUpTo: '9' })
    await reconciled(h, 'reorder-point')
    await runJob(h, escalateUnacknowledged)
    await runJob(h, escalateUnacknowledged)
    expect(await alertsOf(h, lonely.id)).toMatchObject([{ level: 1 }])
    expect((await head.get('/v1/alerts?mine=true')).body.items).toHaveLength(1)
  })
})

describe('policies', () => {
  const lateSignature = {
    kind: 'late-signature',
    kindZh: '补签逾期',
    ladder: [['keeper'], ['department-head', 'finance-supervisor'], ['stock-controller']],
    escalateAfterHours: 24,
    mail: 'immediately',
    enabled: true
  }

  test('everybody reads them, an administrator everywhere sets them, and open alerts go by them at once', async () => {
    const { shop, part, alert } = await shortShop()
    const admin = await caller('administrator')
    const list = (await shop.keeper.get('/v1/alert-policies')).body.items
    expect(list.map(({ kind }: { kind: string }) => kind)).toEqual(ALERT_KINDS)
    expect((await shop.keeper.get('/v1/alert-policies/late-signature')).body).toEqual(lateSignature)

    const before = (await admin.get('/v1/alert-policies/reorder-point')).body
    const { kind: _kind, kindZh: _zh, ...given } = before
    const set = (change: object, by: Caller = admin) =>
      by.put('/v1/alert-policies/reorder-point', { ...given, ...change })
    expect((await set({ ladder: [['technician'], ['keeper']], escalateAfterHours: null })).body).toMatchObject({
      ladder: [['technician'], ['keeper']],
      escalateAfterHours: null
    })
    expect((await shop.keeper.get(`/v1/alerts/${alert}`)).body.addressedTo).toEqual(['technician'])
    expect(await idsOf(shop.keeper, 'mine=true')).toEqual([])

    // Switched off, what is open is resolved; switched on, it is raised again.
    expect((await set({ enabled: false })).status).toBe(200)
    await relayed(h, { only: [followEvents], runsJobs: false })
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([{ state: 'resolved' }])
    expect((await set({})).body).toEqual(before)
    await relayed(h, { only: [followEvents], runsJobs: false })
    expect(await alertsOf(h, shop.warehouseId)).toMatchObject([
      { state: 'resolved' },
      { state: 'open', subject: part.number }
    ])
    expect(
      await h.sql(
        `select action, details from audit_event where subject = 'alert-policy:reorder-point' order by id desc limit 1`
      )
    ).toEqual([{ action: 'alert-policy.set', details: given }])
  })

  test('others may not set them, and nobody sets nonsense', async () => {
    const { kind: _kind, kindZh: _zh, ...given } = lateSignature
    const path = '/v1/alert-policies/late-signature'
    const shop = await openCounter(h)
    for (const by of [
      shop.keeper,
      await caller('administrator', { warehouse: shop.warehouse }),
      await caller('hq-finance')
    ])
      expect(await by.put(path, given)).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
    const admin = await caller('administrator')
    for (const wrong of [
      { ladder: [] },
      { ladder: [[]] },
      { ladder: [['janitor']] },
      { escalateAfterHours: 0 },
      { mail: 'pigeon' }
    ])
      expect(await admin.put(path, { ...given, ...wrong })).toMatchObject({ status: 400 })
    expect(await admin.put(path, { ...given, ladder: [['keeper'], ['keeper']] })).toMatchObject({
      status: 422,
      body: { code: 'DutyTwiceInLadder', errors: [{ pointer: '/ladder/1/0' }] }
    })
    expect(await admin.put('/v1/alert-policies/flood', given)).toMatchObject({ status: 400 })
    expect((await admin.get(path)).body).toEqual(lateSignature)
  })
})
