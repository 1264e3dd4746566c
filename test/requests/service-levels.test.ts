import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { decisionIn } from '../../src/requests/service-levels.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'
import { openNetwork, type Network, type Outlet } from './network.ts'

describe('a clock is decided in one month', () => {
  const november = { first: '2026-11-01', last: '2026-11-30' }
  const december = { first: '2026-12-01', last: '2026-12-31' }
  test.for([
    ['issued in time, in the month of the issue', '2026-12-02', '2026-11-30', true, 'met', undefined],
    ['issued on its day', '2026-11-30', '2026-11-30', true, 'met', undefined],
    ['issued late, in the month in which it was due', '2026-11-30', '2026-12-01', true, 'breached', undefined],
    ['issued early in the next month', '2026-12-03', '2026-12-01', true, 'open', 'met'],
    ['not issued though it was due', '2026-11-30', null, true, 'breached', undefined],
    ['not due yet', '2026-12-18', null, true, 'open', 'open'],
    ['cancelled in time counts nowhere', '2026-11-30', '2026-11-20', false, undefined, undefined],
    ['cancelled after its day was breached before', '2026-11-18', '2026-11-20', false, 'breached', undefined]
  ] as const)('%s', ([, dueOn, endedOn, isIssued, inNovember, inDecember]) => {
    const clock = { dueOn, endedOn, isIssued, today: '2026-12-15' }
    expect([decisionIn(november, clock), decisionIn(december, clock)]).toEqual([inNovember, inDecember])
  })
})

describe('service levels', () => {
  let h: Harness
  let network: Network
  beforeAll(async () => {
    h = await openHarness()
    network = await openNetwork(h)
    await aMonth()
  })
  afterAll(() => h.close())

  const issued = async (number: string) => {
    const { body } = await network.keeper.post(`/v1/requests/${number}/issue-slip`, {})
    await network.signAndPost(body.number)
    await relayed(h)
  }

  /** In the north one is met and one breached, one waits; in the south one backorder comes in time and one is answered late. */
  async function aMonth(): Promise<void> {
    h.clock.set('2026-11-02T10:00')
    const [stocked, rare] = [await h.make.part(), await h.make.part()]
    const request = async (outlet: Outlet, part: typeof rare, quantity: string) =>
      String((await outlet.requested([[part, quantity]])).number)
    await network.stock(network.north, stocked, '10')
    const north = await network.outlet()
    const south = await network.outlet(network.south)

    const met = await request(north, stocked, '1')
    const breached = await request(north, stocked, '2')
    const waiting = await request(south, rare, '3')
    const [{ number: unanswered }] = (await south.clerk.get('/v1/backorders')).body.items
    h.clock.set('2026-11-03T10:00')
    await issued(met)
    h.clock.set('2026-11-06T10:00')
    await issued(breached)
    h.clock.set('2026-11-16T10:00')
    await network.controller.post(`/v1/backorders/${unanswered}/answer`, { text: '在催' })
    await network.stock(network.south, rare, '3')
    await relayed(h)
    // Asked on Monday the 16th, answered on Wednesday the 18th.
    h.clock.set('2026-11-18T10:00')
    await south.clerk.post(`/v1/backorders/${unanswered}/confirmation`, { confirmed: true })
    await issued(waiting)
    await request(north, rare, '1')
    h.clock.set('2026-11-20T10:00')
  }

  const read = async (query = '?month=2026-11', as = network.controller) =>
    as.get(`/v1/requests/service-levels${query}`)

  test('say by region what was met, breached and is open, with working days and pauses (R-REQ-2, R-REQ-3)', async () => {
    expect((await read()).body.items).toMatchObject([
      {
        month: '2026-11',
        region: 'NORTH',
        requests: 3,
        lines: 3,
        inStock: { met: 1, breached: 1, open: 0, share: 0.5, meanWorkingDays: 2.5, pausedWorkingDays: 0 },
        backordered: { met: 0, breached: 0, open: 1, share: null, meanWorkingDays: null, pausedWorkingDays: 0 },
        backorders: { registered: 1, answeredInTime: 0, answeredLate: 0, unanswered: 0, pending: 1, endedBefore: 0 }
      },
      {
        region: 'SOUTH',
        requests: 1,
        inStock: { met: 0, breached: 0, open: 0, share: null },
        // From the 2nd to the 18th are twelve working days, of which two were waited for the outlet.
        backordered: { met: 1, breached: 0, open: 0, share: 1, meanWorkingDays: 10, pausedWorkingDays: 2 },
        backorders: { registered: 1, answeredLate: 1, answeredInTime: 0, unanswered: 0 }
      }
    ])
    expect((await read('?month=2026-11&region=SOUTH')).body.items).toHaveLength(1)
    expect((await read('?month=2026-10')).body.items).toEqual([])
  })

  test('are for who is responsible, as far as that goes', async () => {
    const who = async (duty: Duty, where: object) => callerFor(h, await h.make.person({ grants: [{ duty, ...where }] }))
    const regions = async (duty: Duty, where: object) => {
      const { status, body } = await read(undefined, await who(duty, where))
      return status === 200 ? body.items.map(({ region }: { region: string }) => region) : [status, body.code]
    }
    expect(await regions('hq-finance', {})).toEqual(['NORTH', 'SOUTH'])
    expect(await regions('operations-supervisor', { region: 'SOUTH' })).toEqual(['SOUTH'])
    expect(await regions('department-head', { warehouse: network.north.code })).toEqual(['NORTH'])
    expect(await regions('department-head', { warehouse: network.headOffice.code })).toEqual([])
    expect(await regions('keeper', {})).toEqual([403, 'DutyRequired'])
    expect(await regions('outlet-clerk', { warehouse: network.north.code })).toEqual([403, 'DutyRequired'])
  })

  test('a month to come, a region that is none', async () => {
    expect(await read('?month=2026-12')).toMatchObject({ status: 422, body: { code: 'MonthNotBegun' } })
    expect((await read('?month=2026-11&region=NOWHERE')).status).toBe(404)
    expect((await read('')).status).toBe(400)
  })

  test('as a file', async () => {
    const { text } = await network.controller.get('/v1/requests/service-levels?month=2026-11', { accept: 'text/csv' })
    const [heading, north, south] = text.trim().split('\n')
    expect(heading).toContain('有货按时率')
    expect(north).toBe('2026-11,NORTH,3,3,1,1,0,0.5,2.5,0,0,0,1,,,0,1,0,0,0,1,0')
    expect(south).toBe('2026-11,SOUTH,1,1,0,0,0,,,0,1,0,0,1,10,2,1,0,1,0,0,0')
  })
})
