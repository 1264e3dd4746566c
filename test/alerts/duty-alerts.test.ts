import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AlertKind } from '../../src/alerts/alert-kinds.ts'
import { watchKeepers } from '../../src/alerts/alerts.jobs.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { openHandingOver, type HandingOver } from '../handovers/handing-over.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openTools } from '../tools/tools-counter.ts'
import { alertsOf } from './alerting.ts'

let h: Harness
let admin: Caller
beforeAll(async () => {
  h = await openHarness()
  admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const heard = () => relayed(h, { only: [followEvents] })
const statesOf = async ({ warehouseId }: { warehouseId: number }, kind: AlertKind) =>
  (await alertsOf(h, warehouseId, kind)).map(({ state }) => state)
/** What the leaving gate would refuse. */
async function pastTheGate<Result>(work: () => Promise<Result>): Promise<Result> {
  for (const table of ['duty_assignment', 'person']) await h.sql(`alter table ${table} disable trigger user`)
  const result = await work()
  for (const table of ['duty_assignment', 'person']) await h.sql(`alter table ${table} enable trigger user`)
  return result
}
/** A warehouse with goods whose keeper is gone, past every rule, and is missed. */
async function missed(): Promise<HandingOver> {
  const at = await openHandingOver(h)
  await at.stocked()
  await pastTheGate(() =>
    h.sql(`update duty_assignment set valid_to = '2026-11-19' where person_id = $1`, [at.keeper.person.id])
  )
  await runJob(h, watchKeepers)
  expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
  return at
}
const give = async (username: string, body: object): Promise<number> =>
  (await admin.post(`/v1/people/${username}/duties`, body)).body.id
const end = (username: string, id: number, body: object = {}) =>
  admin.post(`/v1/people/${username}/duties/${id}/end`, body)

describe('goods without a keeper are known at once when duties change (R-ORG-3, R-ALR-1)', () => {
  test('a keeper of the warehouse, of its region or of everywhere who is appointed ends the alert; of another place not', async () => {
    for (const place of ['warehouse', 'region', 'everywhere'] as const) {
      const at = await missed()
      const { username } = await h.make.person()
      await give(username, { duty: 'keeper', region: (await h.make.region()).code })
      await heard()
      expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
      const id = await give(username, {
        duty: 'keeper',
        ...{ warehouse: { warehouse: at.warehouse }, region: { region: `R-${at.warehouse}` }, everywhere: {} }[place]
      })
      await heard()
      expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
      await pastTheGate(() => h.sql('delete from duty_assignment where id = $1', [id]))
    }
  })

  test('a warehouse that comes into the region of a keeper, by a change or by a file, ends it', async () => {
    const { code: region } = await h.make.region()
    await h.make.person({ grants: [{ duty: 'keeper', region }] })
    const changes = callsAs(h, admin.person)
    const moves = [
      ({ warehouse }: HandingOver) => changes.patch(`/v1/warehouses/${warehouse}`, { region }),
      async ({ warehouse }: HandingOver) => {
        const { name, kind } = (await admin.get(`/v1/warehouses/${warehouse}`)).body
        const csv = `code,name,kind,region\n${warehouse},${name},${kind},${region}\n`
        return changes.upload('/v1/imports/warehouses?apply=true', csv)
      }
    ]
    for (const move of moves) {
      const at = await missed()
      expect((await changes.patch(`/v1/warehouses/${at.warehouse}`, { phone: '021-5555' })).status).toBe(200)
      await heard()
      expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
      expect((await move(at)).status).toBe(200)
      await heard()
      expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
    }
  })

  test('a duty that is shortened raises it when its end is near; a second look changes nothing (R-ALR-2)', async () => {
    const at = await missed()
    const { username } = await h.make.person()
    const id = await give(username, { duty: 'keeper', warehouse: at.warehouse })
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
    expect((await pastTheGate(() => end(username, id, { validTo: '2026-11-25' }))).status).toBe(200)
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved', 'open'])
    expect((await alertsOf(h, at.warehouseId, 'keeper-missing')).at(-1)?.details).toMatchObject({
      from: '2026-11-26',
      isMissing: false
    })
    expect(await runJob(h, watchKeepers)).toMatchObject({ 'keeper-missing': { raised: 0, updated: 0, resolved: 0 } })
  })

  test('an account that is locked raises it, and unlocked ends it', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const path = `/v1/people/${at.keeper.person.username}`
    await admin.post(`${path}/lock`, { reason: '账号被盗用' })
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
    await admin.post(`${path}/unlock`)
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
  })

  test('somebody who is active again is keeper again, and is not who was deactivated', async () => {
    const at = await missed()
    const { username } = await h.make.person()
    const set = async (active: boolean) =>
      expect((await callsAs(h, admin.person).patch(`/v1/people/${username}`, { active })).status).toBe(200)
    await give(username, { duty: 'keeper', warehouse: at.warehouse })
    await pastTheGate(() => set(false))
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
    await set(true)
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
    await pastTheGate(() => set(false))
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved', 'open'])
  })

  test('whom somebody stands in for is looked at as soon as it is set and as it ends (R-ORG-2)', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const { id, username } = at.keeper.person
    const lasts = (day: string | null) =>
      pastTheGate(() => h.sql('update duty_assignment set valid_to = $2 where person_id = $1', [id, day]))
    await heard()
    await lasts('2026-11-22')
    const body = { from: username, to: (await h.make.person()).username, validTo: '2026-11-22', reason: '休假' }
    const { body: set } = await admin.post('/v1/delegations', body)
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['open'])
    await lasts(null)
    expect((await admin.post(`/v1/delegations/${set.id}/end`, {})).status).toBe(200)
    await heard()
    expect(await statesOf(at, 'keeper-missing')).toEqual(['resolved'])
    expect(await runJob(h, watchKeepers)).toMatchObject({ 'keeper-missing': { raised: 0, updated: 0, resolved: 0 } })
  })

  test('who is told instead follows the duties that are told first', async () => {
    const at = await missed()
    const others = [at.signers['department-head'], at.signers['operations-supervisor']].map(({ person }) => person.id)
    await h.sql('update duty_assignment set ended_at = now(), ended_by = 0 where person_id = any ($1::int[])', [others])
    await runJob(h, watchKeepers)
    const told = async () => (await alertsOf(h, at.warehouseId, 'keeper-missing')).at(-1)?.details.toldInstead
    expect(await told()).toBe('stock-controller')
    await give((await h.make.person()).username, { duty: 'department-head', warehouse: at.warehouse })
    await heard()
    expect(await told()).toBeNull()
  })
})

test('tools in the hands of somebody whose duty is shortened are known at once (R-TOOL-3)', async () => {
  const at = await openTools(h)
  await at.issued(await at.tools(1))
  const [{ warehouseId, id }] = await h.sql<{ warehouseId: number; id: number }>(
    `select warehouse_id as "warehouseId", id from duty_assignment where person_id = $1`,
    [at.technician.person.id]
  )
  await pastTheGate(() => end(at.technician.person.username, id, { validTo: '2026-11-21' }))
  await heard()
  expect(await statesOf({ warehouseId }, 'tool-custody-orphaned')).toEqual(['open'])
  await give(at.technician.person.username, { duty: 'technician', warehouse: at.warehouse, validFrom: '2026-11-22' })
  await heard()
  expect(await statesOf({ warehouseId }, 'tool-custody-orphaned')).toEqual(['resolved'])
})
