import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { AlertKind } from '../../src/alerts/alert-kinds.ts'
import { sweepAlertsNightly, turnOfDay, watchKeepers } from '../../src/alerts/alerts.jobs.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { alertsOf, reconciled } from '../alerts/alerting.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openTools, type ToolCounter } from './tools-counter.ts'

let h: Harness
let at: ToolCounter
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  at = await openTools(h)
})
afterAll(() => h.close())

const NOTHING = { raised: 0, updated: 0, resolved: 0 }
const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
const heard = () => relayed(h, { only: [followEvents] })
const statesOf = async (kind: AlertKind, subject: string) =>
  (await alertsOf(h, at.warehouseId, kind)).filter((alert) => alert.subject === subject).map(({ state }) => state)
const detailsOf = async (kind: AlertKind, subject: string) =>
  (await alertsOf(h, at.warehouseId, kind)).find((alert) => alert.subject === subject)?.details
/** Whether somebody is shown an alert. */
const isTold = async (by: Caller, kind: AlertKind, subject: string): Promise<boolean> =>
  must(await by.get(`/v1/alerts?kind=${kind}&mine=true&limit=200`)).items.some(
    (alert: any) => alert.subject === subject
  )

test('a calibration is told of thirty days ahead until the tool is calibrated (R-ALR-1)', async () => {
  const [serial = ''] = await at.tools(1, { calibratedOn: '2025-12-21', calibrationMonths: 12 })
  await at.issued([serial])
  await runJob(h, turnOfDay)
  expect(await statesOf('tool-calibration-due', serial)).toEqual([])
  h.clock.set('2026-11-21T00:05')
  await runJob(h, turnOfDay)
  expect(await statesOf('tool-calibration-due', serial)).toEqual(['open'])
  expect(await detailsOf('tool-calibration-due', serial)).toEqual({
    serial,
    name: 'Digital multimeter',
    nameZh: '数字万用表',
    dueOn: '2026-12-21',
    isOverdue: false,
    technician: at.technician.person.username
  })
  expect([
    await isTold(at.keeper, 'tool-calibration-due', serial),
    await isTold(at.signers['department-head'], 'tool-calibration-due', serial),
    await isTold(at.signers['finance-supervisor'], 'tool-calibration-due', serial)
  ]).toEqual([true, false, false])
  expect(await reconciled(h, 'tool-calibration-due')).toEqual(NOTHING)
  h.clock.set('2026-12-22T00:05')
  await runJob(h, turnOfDay)
  expect(await detailsOf('tool-calibration-due', serial)).toMatchObject({ isOverdue: true })
  must(
    await at.keeper.post(`/v1/tools/${serial}/calibrations`, {
      calibratedOn: '2026-12-21',
      certificate: 'CAL-4711'
    }),
    201
  )
  await heard()
  expect(await statesOf('tool-calibration-due', serial)).toEqual(['resolved'])
  // It was done a year before, as its certificate says.
  const wrong = `/v1/tools/${serial}/calibrations/2026-12-21/correction`
  must(await at.keeper.post(wrong, { calibratedOn: '2025-12-22', reason: '年份录错' }))
  await heard()
  expect(await statesOf('tool-calibration-due', serial)).toEqual(['resolved', 'open'])
  expect(await detailsOf('tool-calibration-due', serial)).toMatchObject({ dueOn: '2026-12-21' })
  must(
    await at.keeper.post(`/v1/tools/${serial}/calibrations/2025-12-22/correction`, {
      nextDueOn: '2027-06-30',
      reason: '证书另有规定'
    })
  )
  await heard()
  expect(await statesOf('tool-calibration-due', serial)).toEqual(['resolved', 'resolved'])
})

test('a round that is due in three days names who has not confirmed, tells them too, and is quiet once everybody has (R-TOOL-1)', async () => {
  await at.issued(await at.tools(1))
  await at.issued(await at.tools(1), at.colleague)
  const { number } = must(
    await at.keeper.post(`/v1/warehouses/${at.warehouse}/custody-rounds`, { dueOn: '2026-11-24' }),
    201
  )
  await heard()
  expect(await statesOf('tool-custody-unconfirmed', number)).toEqual([])
  h.clock.set('2026-11-21T00:05')
  await runJob(h, turnOfDay)
  const [me, colleague] = [at.technician.person.username, at.colleague.person.username]
  expect(await detailsOf('tool-custody-unconfirmed', number)).toEqual({
    round: number,
    dueOn: '2026-11-24',
    isOverdue: false,
    outstanding: 2,
    technicians: [me, colleague].toSorted()
  })
  for (const by of [at.keeper, at.technician]) expect(await isTold(by, 'tool-custody-unconfirmed', number)).toBe(true)
  expect(await isTold(at.signers['finance-supervisor'], 'tool-custody-unconfirmed', number)).toBe(false)

  must(await at.technician.post(`/v1/custody-rounds/${number}/confirmation`))
  await heard()
  expect(await detailsOf('tool-custody-unconfirmed', number)).toMatchObject({
    outstanding: 1,
    technicians: [colleague]
  })
  must(await at.colleague.post(`/v1/custody-rounds/${number}/confirmation`))
  await heard()
  expect(await statesOf('tool-custody-unconfirmed', number)).toEqual(['resolved'])
  expect(await reconciled(h, 'tool-custody-unconfirmed')).toEqual(NOTHING)
})

test('what somebody hands in is not waited for in a round', async () => {
  const [serial = ''] = await at.tools(1)
  await at.issued([serial])
  const { number } = must(
    await at.keeper.post(`/v1/warehouses/${at.warehouse}/custody-rounds`, { dueOn: '2026-11-20' }),
    201
  )
  await heard()
  expect(await statesOf('tool-custody-unconfirmed', number)).toEqual(['open'])
  await at.returned([serial])
  await heard()
  expect(await statesOf('tool-custody-unconfirmed', number)).toEqual(['resolved'])
})

test('a loss is told from its report to its end, to who assesses and signs it (R-TOOL-2)', async () => {
  const [serial = ''] = await at.tools(1)
  await at.issued([serial])
  const { number } = must(
    await at.technician.post(`/v1/tools/${serial}/losses`, { kind: 'damaged', cause: '跌落', outcome: 'repaired' }),
    201
  )
  await heard()
  expect(await detailsOf('tool-loss-open', number)).toMatchObject({
    loss: number,
    serial,
    lossKind: 'damaged',
    lossState: 'reported',
    technician: at.technician.person.username
  })
  for (const by of [at.keeper, at.signers['department-head'], at.signers['finance-supervisor']])
    expect(await isTold(by, 'tool-loss-open', number)).toBe(true)
  expect(await isTold(at.colleague, 'tool-loss-open', number)).toBe(false)
  must(
    await at.signers['department-head'].put(`/v1/tool-losses/${number}/assessment`, {
      compensation: '80.00',
      compensationReason: '只赔修理费'
    })
  )
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await at.signers[duty].post(`/v1/tool-losses/${number}/signatures`, { duty, decision: 'approve' }))
  await heard()
  expect(await detailsOf('tool-loss-open', number)).toMatchObject({ lossState: 'approved' })
  must(await at.keeper.post(`/v1/tool-losses/${number}/repaired`))
  await heard()
  expect(await statesOf('tool-loss-open', number)).toEqual(['resolved'])
  expect(await reconciled(h, 'tool-loss-open')).toEqual(NOTHING)
})

test('tools with somebody whose duty runs out are told of a week ahead and after, until they are handed over (R-TOOL-3)', async () => {
  const leaver = callerFor(
    h,
    await h.make.person({
      name: '李雷',
      grants: [{ duty: 'technician', warehouse: at.warehouse, validTo: '2026-11-30' }]
    })
  )
  const { username } = leaver.person
  const serials = (await at.tools(2)).toSorted()
  await at.issued(serials, leaver)
  await heard()
  expect(await statesOf('tool-custody-orphaned', username)).toEqual([])
  h.clock.set('2026-11-24T00:40')
  await runJob(h, watchKeepers)
  expect(await detailsOf('tool-custody-orphaned', username)).toEqual({
    technician: username,
    name: '李雷',
    tools: 2,
    serials,
    isOrphaned: false,
    until: '2026-11-30'
  })
  expect([
    await isTold(at.keeper, 'tool-custody-orphaned', username),
    await isTold(at.signers['department-head'], 'tool-custody-orphaned', username)
  ]).toEqual([true, true])
  h.clock.set('2026-12-01T00:40')
  await runJob(h, watchKeepers)
  expect(await detailsOf('tool-custody-orphaned', username)).toMatchObject({ isOrphaned: true, until: '2026-11-30' })
  // The keeper draws up the return, for the technician is none any more.
  const { documents } = must(await at.keeper.post(`/v1/technicians/${username}/return-all`), 201)
  must(await at.keeper.post(`/v1/tool-documents/${documents[0].number}/signature`))
  await heard()
  expect(await statesOf('tool-custody-orphaned', username)).toEqual(['resolved'])
})

test('a warehouse that moves to another region leaves the tools of a technician of the region in wrong hands', async () => {
  const region = `R-${at.warehouse}`.slice(0, 20)
  const ofRegion = callerFor(h, await h.make.person({ grants: [{ duty: 'technician', region }] }))
  await at.issued(await at.tools(1), ofRegion)
  await runJob(h, sweepAlertsNightly)
  expect(await statesOf('tool-custody-orphaned', ofRegion.person.username)).toEqual([])
  const other = await h.make.region()
  await h.sql('update warehouse set region_id = $2 where id = $1', [at.warehouseId, other.id])
  await runJob(h, sweepAlertsNightly)
  expect(await detailsOf('tool-custody-orphaned', ofRegion.person.username)).toMatchObject({
    isOrphaned: true,
    until: null
  })
  await h.sql('update warehouse set region_id = (select id from region where code = $2) where id = $1', [
    at.warehouseId,
    region
  ])
  await runJob(h, sweepAlertsNightly)
  expect(await statesOf('tool-custody-orphaned', ofRegion.person.username)).toEqual(['resolved'])
})
