import { afterAll, beforeAll, expect, test } from 'vitest'
import { reconcileAll } from '../../src/alerts/reconcile.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { openLoaners, type LoanerCounter } from './loaners-counter.ts'

let h: Harness
let controller: Caller
beforeAll(async () => {
  h = await openHarness()
  controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const regionOf = async (at: LoanerCounter): Promise<string> => {
  const [{ code }] = await h.sql<{ code: string }>(
    'select r.code from region r join warehouse w on w.region_id = r.id where w.code = $1',
    [at.warehouse]
  )
  return code
}

test('the fleet of a region is four per mille of its installed base, rounded up; what is missing is proposed and alerted (R-LOAN-2)', async () => {
  const at = await openLoaners(h)
  const region = await regionOf(at)
  const serials = await at.units(3)
  const newer = await openLoaners(h)
  await h.sql('update part set loaner_family = $1 where number = $2', [at.family, newer.model])
  await h.sql(`update loaner_unit set in_service_on = '2025-01-01' where serial = any ($1)`, [serials])
  await newer.units(1)
  const base = (units: number) =>
    controller.put('/v1/installed-base', { region, family: at.family, units, countedOn: '2026-10-31' })
  expect((await base(1001)).body.items).toEqual([{ region, family: at.family, units: 1001, countedOn: '2026-10-31' }])
  const fleet = async (by: Caller = controller) => (await by.get(`/v1/loaners/fleet?region=${region}`)).body.items
  expect(await fleet()).toEqual([
    {
      region,
      family: at.family,
      installed: 1001,
      countedOn: '2026-10-31',
      perMille: '4',
      target: 5,
      units: 3,
      shortfall: 2,
      proposal: { model: newer.model, units: 2 }
    }
  ])
  expect(await fleet(at.keeper)).toHaveLength(1)
  expect(await fleet(newer.keeper)).toEqual([])
  const alerts = () =>
    h.sql(
      `select w.code as warehouse, a.state, a.details from alert a join warehouse w on w.id = a.warehouse_id where a.kind = 'loaner-fleet-short' and a.subject = $1`,
      [at.family]
    )
  await reconcileAll(h.contextOf(systemActor), ['loaner-fleet-short'])
  await reconcileAll(h.contextOf(systemActor), ['loaner-fleet-short'])
  expect(await alerts()).toMatchObject([
    { warehouse: at.warehouse, state: 'open', details: { shortfall: 2, target: 5 } }
  ])

  // What is out counts, what is retired does not.
  await at.lent(serials[0])
  await at.keeper.post(`/v1/loaners/${serials[1]}/retirement`, { reason: 'x' })
  await at.settle(serials[1])
  expect(await fleet()).toMatchObject([{ units: 2, shortfall: 3 }])
  expect((await controller.put(`/v1/loaner-targets/${at.family}`, { perMille: '1.5' })).body.items).toContainEqual({
    family: at.family,
    perMille: '1.5'
  })
  expect(await fleet()).toMatchObject([{ target: 2, shortfall: 0, proposal: null }])
  await reconcileAll(h.contextOf(systemActor), ['loaner-fleet-short'])
  expect(await alerts()).toMatchObject([{ state: 'resolved' }])
  await controller.put(`/v1/loaner-targets/${at.family}`, { perMille: null })
  expect(await fleet()).toMatchObject([{ perMille: '4', shortfall: 3 }])
})

test('installed base and targets are set by head office, for regions that exist, of days that were', async () => {
  const at = await openLoaners(h)
  const region = await regionOf(at)
  const body = { region, family: 'X-1', units: 10, countedOn: '2026-10-31' }
  expect(problem(await at.keeper.put('/v1/installed-base', body))).toEqual([403, 'DutyRequired'])
  expect(problem(await at.keeper.put('/v1/loaner-targets/X-1', { perMille: '5' }))).toEqual([403, 'DutyRequired'])
  expect(problem(await controller.put('/v1/installed-base', { ...body, region: 'NOWHERE' }))).toEqual([404, 'NotFound'])
  expect(problem(await controller.put('/v1/installed-base', { ...body, countedOn: '2026-11-21' }))).toEqual([
    422,
    'FutureDay'
  ])
  expect(problem(await controller.put('/v1/installed-base', { ...body, units: -1 }))).toEqual([400, 'InvalidInput'])
  expect(problem(await controller.put('/v1/loaner-targets/*', { perMille: null }))).toEqual([422, 'CommonTargetStays'])

  const upload = (csv: string, apply = true) =>
    callsAs(h, controller.person).upload(`/v1/imports/installed-base?apply=${apply}`, csv)
  const file = `区域,系列,保有量,统计日期\n${region},X-1,1000,2026-10-31\n${region},X-2,2000,2026-10-31\n`
  expect((await upload(file, false)).body.counts).toEqual({ create: 2, update: 0, unchanged: 0, refused: 0 })
  expect((await upload(file)).body.counts).toMatchObject({ create: 2 })
  expect((await upload(file)).body.counts).toMatchObject({ unchanged: 2 })
  const wrong = await upload(
    `region,family,units,countedOn\n${region},X-1,7,2026-10-31\nNOWHERE,X-1,7,2026-10-31\n${region},X-1,8,2026-10-31\n${region},X-3,-4,2027-01-01\n`
  )
  expect(wrong.body).toMatchObject({ code: 'ImportRefused', counts: { update: 1, refused: 3 } })
  expect((await at.keeper.get(`/v1/installed-base?region=${region}`)).body.items).toMatchObject([
    { family: 'X-1', units: 1000 },
    { family: 'X-2', units: 2000 }
  ])
  expect(problem(await callsAs(h, at.keeper.person).upload('/v1/imports/installed-base', file))).toEqual([
    403,
    'DutyRequired'
  ])
})

test('utilisation is unit-days on loan by unit-days in service; days to come are not counted', async () => {
  h.clock.set('2026-11-01T10:00')
  const at = await openLoaners(h)
  const [first, second] = await at.units(2)
  h.clock.set('2026-11-05T10:00')
  const loan = await at.lent(first, { dueOn: '2026-11-10' })
  h.clock.set('2026-11-10T10:00')
  await at.returned(loan)
  await at.lent(second, { dueOn: '2026-11-12' })
  h.clock.set('2026-11-20T10:00')
  const { body } = await at.keeper.get('/v1/loaners/utilisation?from=2026-11-01&to=2026-12-31')
  // Twenty days of two units; 5 to 9 November and 10 to 20 November out.
  expect(body).toEqual({
    from: '2026-11-01',
    to: '2026-11-20',
    items: [
      {
        model: at.model,
        name: `part ${at.model}`,
        family: at.family,
        units: 2,
        loans: 2,
        daysOwned: 40,
        daysOut: 16,
        utilisation: '40',
        overdue: 1
      }
    ]
  })
  const week = await at.keeper.get('/v1/loaners/utilisation?from=2026-11-08&to=2026-11-14')
  expect(week.body.items).toMatchObject([{ daysOwned: 14, daysOut: 7, utilisation: '50', overdue: 1 }])
  const file = await at.keeper.get('/v1/loaners/utilisation?from=2026-11-08&to=2026-11-14', { accept: 'text/csv' })
  expect(file.text).toContain(`${at.model},part ${at.model},${at.family},2,2,14,7,50,1`)
  expect(problem(await at.keeper.get('/v1/loaners/utilisation?from=2026-11-08&to=2026-11-07'))).toEqual([
    422,
    'DaysReversed'
  ])
  expect(problem(await at.keeper.get('/v1/loaners/utilisation?from=2026-11-21&to=2026-11-22'))).toEqual([
    422,
    'FutureDay'
  ])
  h.clock.set(DEFAULT_TIME)
})
