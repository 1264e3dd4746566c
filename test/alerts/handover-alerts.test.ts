import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AlertKind } from '../../src/alerts/alert-kinds.ts'
import { turnOfDay, watchKeepers } from '../../src/alerts/alerts.jobs.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { sweepAlerts } from '../../src/alerts/reconcile.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { openHandingOver, type HandingOver } from '../handovers/handing-over.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openTools } from '../tools/tools-counter.ts'
import { alertsOf, reconciled } from './alerting.ts'

let h: Harness
let admin: Caller
beforeAll(async () => {
  h = await openHarness()
  admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const NOTHING = { raised: 0, updated: 0, resolved: 0 }
const heard = () => relayed(h, { only: [followEvents] })
const statesOf = async ({ warehouseId }: { warehouseId: number }, kind: AlertKind) =>
  (await alertsOf(h, warehouseId, kind)).map(({ state }) => state)
const detailsOf = async ({ warehouseId }: { warehouseId: number }, kind: AlertKind) =>
  (await alertsOf(h, warehouseId, kind)).at(-1)?.details
/** The days between which the keeper of a warehouse holds the duty, past every rule. */
const keepsUntil = async ({ keeper }: Pick<HandingOver, 'keeper'>, day: string | null) => {
  await h.sql(`alter table duty_assignment disable trigger user`)
  await h.sql(`update duty_assignment set valid_to = $2 where person_id = $1`, [keeper.person.id, day])
  await h.sql(`alter table duty_assignment enable trigger user`)
}

describe('a handover that is not completed (R-ORG-3, R-ALR-1)', () => {
  test('alerts on the fourth day after it was drawn up, says how far it is, and is quiet once it took effect', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const { number } = await at.drawUp()
    for (const day of ['2026-11-21', '2026-11-22', '2026-11-23']) {
      h.clock.set(`${day}T23:59`)
      await reconciled(h, 'handover-open')
      expect(await statesOf(at, 'handover-open')).toEqual([])
    }
    h.clock.set('2026-11-24T00:05')
    await runJob(h, turnOfDay)
    expect(await statesOf(at, 'handover-open')).toEqual(['open'])
    expect(await detailsOf(at, 'handover-open')).toEqual({
      handover: number,
      state: 'draft',
      outgoing: at.keeper.person.username,
      incoming: at.incoming.person.username,
      drawnUpOn: '2026-11-20'
    })
    expect(await reconciled(h, 'handover-open')).toEqual(NOTHING)
    for (const by of [at.keeper, at.signers['department-head'], at.signers['finance-supervisor']])
      expect((await by.get('/v1/alerts?mine=true&kind=handover-open')).body.items).toMatchObject([{ subject: number }])

    await at.submit(number)
    await heard()
    expect((await detailsOf(at, 'handover-open')).state).toBe('awaiting-signatures')
    await at.signAll(number)
    await heard()
    expect(await statesOf(at, 'handover-open')).toEqual(['resolved'])
  })

  test('is quiet once it is cancelled', async () => {
    const at = await openHandingOver(h)
    const { number } = await at.drawUp()
    h.clock.set('2026-11-27T10:00')
    await reconciled(h, 'handover-open')
    expect(await statesOf(at, 'handover-open')).toEqual(['open'])
    await at.keeper.post(`/v1/handovers/${number}/cancellation`, { reason: '不再调任' })
    await heard()
    expect(await statesOf(at, 'handover-open')).toEqual(['resolved'])
  })
})

describe('goods without a keeper (R-ORG-3, R-ALR-1)', () => {
  test('alert a week before the last keeper’s duty runs out, and again when it has, until another is appointed', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await keepsUntil(at, '2026-11-27')
    h.clock.set('2026-11-20T23:59')
    await runJob(h, watchKeepers)
    expect(await statesOf(at, 'keeper-missing')).toEqual([])
    h.clock.set('2026-11-21T00:05')
    await runJob(h, turnOfDay)
    expect(await detailsOf(at, 'keeper-missing')).toEqual({
      from: '2026-11-28',
      isMissing: false,
      keeper: at.keeper.person.username,
      until: '2026-11-27',
      handover: null,
      toldInstead: null
    })
    expect(await reconciled(h, 'keeper-missing')).toEqual(NOTHING)
    const { body } = await at.signers['department-head'].get('/v1/alerts?mine=true&kind=keeper-missing')
    expect(body.items).toMatchObject([{ subject: at.warehouse, kindZh: '仓库无在岗仓管员' }])

    h.clock.set('2026-11-28T00:40')
    await runJob(h, watchKeepers)
    expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ from: '2026-11-28', isMissing: true })
    const { status } = await admin.post(`/v1/people/${at.incoming.person.username}/duties`, {
      duty: 'keeper',
      warehouse: at.warehouse
    })
    expect(status).toBe(201)
    await runJob(h, watchKeepers)
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
  })

  test('are quiet while another keeper follows without a gap, and alert where there is one', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await keepsUntil(at, '2026-11-22')
    const follow = (validFrom: string) =>
      h.make.person({ grants: [{ duty: 'keeper', warehouse: at.warehouse, validFrom }] })
    await follow('2026-11-25')
    await reconciled(h, 'keeper-missing')
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ from: '2026-11-23', isMissing: false })
    await follow('2026-11-23')
    await reconciled(h, 'keeper-missing')
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
  })

  test('alert as soon as the last keeper is inactive, and name the handover that is under way', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await h.sql('alter table person disable trigger user')
    await h.sql('update person set active = false where id = $1', [at.keeper.person.id])
    await h.sql('alter table person enable trigger user')
    await runJob(h, watchKeepers)
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ isMissing: true, until: null, handover: null })
    const { number } = await at.drawUp(
      { outgoing: at.keeper.person.username, absentBecause: '离职' },
      at.signers['department-head']
    )
    await heard()
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ handover: number })
    await at.signers['department-head'].post(`/v1/handovers/${number}/cancellation`, { reason: '重新发起' })
    await heard()
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ handover: null })
  })

  test('are tools as well', async () => {
    const at = await openTools(h)
    await at.tools(1)
    await keepsUntil(at, '2026-11-19')
    await keepsUntil({ keeper: at.otherKeeper }, '2026-11-19')
    await runJob(h, watchKeepers)
    const [{ id }] = await h.sql<{ id: number }>('select id from warehouse where code = $1', [at.warehouse])
    expect(await detailsOf({ warehouseId: id }, 'keeper-missing')).toMatchObject({ isMissing: true })
  })

  test('alert while the account of the last keeper is locked, and are quiet when it is unlocked', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const path = `/v1/people/${at.keeper.person.username}`
    await admin.post(`${path}/lock`, { reason: '账号被盗用' })
    await runJob(h, watchKeepers)
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ isMissing: true })
    await admin.post(`${path}/unlock`)
    await runJob(h, watchKeepers)
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
  })

  test('are quiet at once when the keeper whose duty runs out has handed over', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await keepsUntil(at, '2026-11-22')
    await reconciled(h, 'keeper-missing')
    expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
    await at.handOver()
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
  })

  test('of a warehouse where nobody else is on duty either, head office is told instead, else the administrator', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await keepsUntil(at, '2026-11-19')
    const others = [at.signers['department-head'], at.signers['operations-supervisor']].map(({ person }) => person.id)
    await h.sql('update duty_assignment set ended_at = now(), ended_by = 0 where person_id = any ($1::int[])', [others])
    await reconciled(h, 'keeper-missing')
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ toldInstead: 'stock-controller' })
    const mine = async (by: Caller) =>
      (await by.get(`/v1/alerts?mine=true&kind=keeper-missing&warehouse=${at.warehouse}`)).body.items.length
    expect(await mine(at.controller)).toBe(1)

    await h.sql(`update duty_assignment set ended_at = now(), ended_by = 0 where duty = 'stock-controller'`)
    await reconciled(h, 'keeper-missing')
    expect(await detailsOf(at, 'keeper-missing')).toMatchObject({ toldInstead: 'administrator' })
    expect(await mine(admin)).toBe(1)
  })

  test('are quiet in a warehouse without goods, in one whose first keeper is still to be named, and where a wider duty covers it', async () => {
    const [empty, covered] = [await openHandingOver(h), await openHandingOver(h)]
    await keepsUntil(empty, '2026-11-19')
    await covered.stocked()
    await keepsUntil(covered, '2026-11-19')
    await h.make.person({ grants: [{ duty: 'keeper', region: `R-${covered.warehouse}` }] })
    await reconciled(h, 'keeper-missing')
    for (const at of [empty, covered]) expect(await statesOf(at, 'keeper-missing')).toEqual([])
    const unnamed = await openHandingOver(h)
    await unnamed.stocked()
    await h.sql('alter table duty_assignment disable trigger user')
    await h.sql(`delete from duty_assignment where person_id = $1`, [unnamed.keeper.person.id])
    await h.sql('alter table duty_assignment enable trigger user')
    await reconciled(h, 'keeper-missing')
    expect(await statesOf(unnamed, 'keeper-missing')).toEqual([])
  })

  test('the sweep finds both kinds, and a second one changes nothing (R-ALR-2)', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await at.drawUp()
    await keepsUntil(at, '2026-11-25')
    h.clock.set('2026-11-24T10:00')
    await h.sql('delete from outbox')
    await sweepAlerts(h.contextOf(systemActor))
    expect([await statesOf(at, 'handover-open'), await statesOf(at, 'keeper-missing')]).toEqual([['open'], ['open']])
    const second = await sweepAlerts(h.contextOf(systemActor))
    for (const kind of ['handover-open', 'keeper-missing'] as const)
      expect(second[kind]).toEqual({ ...NOTHING, missing: 0, extra: 0 })
  })
})
