import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { callsAs, type Caller as Calls } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { newTool, openTools, toolSerial } from '../tools/tools-counter.ts'
import { must, openHandingOver, type HandingOver } from './handing-over.ts'

let h: Harness
let administrator: Caller
let changes: Calls
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
  const person = await h.make.person({ grants: [{ duty: 'administrator' }] })
  administrator = callerFor(h, person)
  changes = callsAs(h, person)
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const codes = (answer: { status: number; body: any }) => [answer.status, answer.body.code]
const give = async (who: Caller, body: object): Promise<number> =>
  must(await administrator.post(`/v1/people/${who.person.username}/duties`, { duty: 'keeper', ...body }), 201).id
const end = (who: Caller, id: number) => administrator.post(`/v1/people/${who.person.username}/duties/${id}/end`, {})
const move = (warehouse: string, region: string) => changes.patch(`/v1/warehouses/${warehouse}`, { region })
const grantOf = async ({ person }: Caller): Promise<number> => {
  const [grant] = await h.sql<{ id: number }>('select id from duty_assignment where person_id = $1', [person.id])
  return grant?.id ?? 0
}
const keeperOf = async (place: object) => callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', ...place }] }))
const slipBy = async (by: Caller, { warehouse }: { warehouse: string }) => {
  const body = { kind: 'receipt', lines: [{ part: (await h.make.part()).number, quantity: '1', unitCost: '1' }] }
  const { number } = must(await by.post(`/v1/warehouses/${warehouse}/slips`, body), 201)
  must(await by.post(`/v1/slips/${number}/cancellation`, { reason: '作废' }), 200)
}

/** A warehouse with goods and a keeper of its own, in a region that has one as well; and another region. */
async function sharedPost() {
  const at = await openHandingOver(h)
  await at.stocked()
  const [{ code: from } = { code: '' }] = await h.sql<{ code: string }>(
    'select region.code from warehouse join region on region.id = region_id where warehouse.id = $1',
    [at.warehouseId]
  )
  return { at, from, there: (await h.make.region()).code, here: await keeperOf({ region: from }) }
}

describe('a post does not end by duties that are given one after the other (R-ORG-3)', () => {
  test('who acted under an earlier duty has used the later one: after a move, and without one', async () => {
    for (const isMoved of [true, false]) {
      h.clock.set('2026-11-02T10:00')
      const { at, there, here } = await sharedPost()
      await slipBy(here, at)
      h.clock.set('2026-11-20T10:00')
      const wider = await grantOf(here)
      const own = await give(here, { warehouse: at.warehouse })
      if (isMoved) must(await move(at.warehouse, there), 200)
      else must(await end(here, wider), 200)
      expect(codes(await end(here, own))).toEqual([409, 'HandoverMissing'])
    }
  })

  test('a duty that came years after the last one, and was given by mistake, ends without a handover', async () => {
    h.clock.set('2024-03-04T10:00')
    const { at, from, here } = await sharedPost()
    await slipBy(here, at)
    await h.sql('alter table duty_assignment disable trigger user')
    await h.sql(`update duty_assignment set ended_at = '2024-03-05T02:00:00Z', ended_by = 0 where person_id = $1`, [
      here.person.id
    ])
    await h.sql('alter table duty_assignment enable trigger user')
    h.clock.set('2026-11-20T10:00')
    must(await end(here, await give(here, { region: from })), 200)
  })

  test('who stood in for the keeper used the post', async () => {
    for (const isMoved of [true, false]) {
      const { at, there, here } = await sharedPost()
      const deputy = callerFor(h, await h.make.person())
      const body = { to: deputy.person.username, validTo: '2026-12-01', reason: '休假' }
      must(await here.post('/v1/delegations', body), 201)
      await slipBy(deputy, at)
      const answer = isMoved ? await move(at.warehouse, there) : await end(here, await grantOf(here))
      expect(codes(answer)).toEqual([409, 'HandoverMissing'])
    }
  })

  test('who only kept tools used the post', async () => {
    const room = await openTools(h)
    await room.tools(1)
    const deputy = await keeperOf({ warehouse: room.warehouse })
    await slipBy(deputy, room)
    expect(codes(await end(room.keeper, await grantOf(room.keeper)))).toEqual([409, 'HandoverMissing'])
  })

  test.each(['gave tools out', 'took tools in'])('who only %s used the post', async (deed) => {
    const room = await openTools(h)
    const serial = toolSerial()
    must(await room.otherKeeper.post(`/v1/warehouses/${room.warehouse}/tools`, { tools: [newTool(serial)] }), 201)
    const issuer = deed === 'gave tools out' ? room.keeper : room.otherKeeper
    const issue = { technician: room.technician.person.username, tools: [{ serial }] }
    const { number } = must(await issuer.post(`/v1/warehouses/${room.warehouse}/tool-issues`, issue), 201)
    must(await room.technician.post(`/v1/tool-documents/${number}/signature`), 200)
    if (deed === 'took tools in') await room.returned([serial])
    expect(codes(await end(room.keeper, await grantOf(room.keeper)))).toEqual([409, 'HandoverMissing'])
  })

  test('another duty goes on only if it lasts as long as the one that ends', async () => {
    const { at, from, there, here } = await sharedPost()
    await slipBy(here, at)
    const wider = await grantOf(here)
    const short = await give(here, { warehouse: at.warehouse, validTo: '2026-11-21' })
    expect(codes(await move(at.warehouse, there))).toEqual([409, 'HandoverMissing'])
    expect(codes(await end(here, wider))).toEqual([409, 'HandoverMissing'])

    must(await end(here, short), 200)
    await give(here, { warehouse: at.warehouse })
    must(await move(at.warehouse, there), 200)
    must(await move(at.warehouse, from), 200)
    must(await end(here, wider), 200)
  })

  test('a duty that is yet to begin does not end once the one before was shortened because of it', async () => {
    const { at, from } = await sharedPost()
    await slipBy(at.keeper, at)
    const [{ id } = { id: 0 }] = await h.sql<{ id: number }>(
      'select id from duty_assignment where person_id = $1 and warehouse_id = $2',
      [at.keeper.person.id, at.warehouseId]
    )
    const shortened = () =>
      administrator.post(`/v1/people/${at.keeper.person.username}/duties/${id}/end`, { validTo: '2026-11-30' })
    expect(codes(await shortened())).toEqual([409, 'HandoverMissing'])
    const first = await give(at.keeper, { region: from, validFrom: '2026-12-01' })
    must(await end(at.keeper, first), 200)
    const next = await give(at.keeper, { region: from, validFrom: '2026-12-01' })
    must(await shortened(), 200)
    expect(codes(await end(at.keeper, next))).toEqual([409, 'HandoverMissing'])

    await give(at.keeper, { warehouse: at.warehouse, validFrom: '2026-12-01' })
    must(await end(at.keeper, next), 200)
    expect((await at.handOver()).state).toBe('completed')
  })
})

/** A warehouse with goods whose only keeper never did anything there. */
async function unusedPost(body: object = {}) {
  const { at, from, there } = await sharedPost()
  await h.sql('alter table duty_assignment disable trigger user')
  await h.sql(`delete from duty_assignment where duty = 'keeper' and (warehouse_id = $1 or region_id is not null)`, [
    at.warehouseId
  ])
  await h.sql('alter table duty_assignment enable trigger user')
  const keeper = callerFor(h, await h.make.person())
  return { at, from, there, keeper, grant: await give(keeper, { warehouse: at.warehouse, ...body }) }
}

describe('a keeper who never acted goes only if somebody else is keeper for as long as they would have been (R-ORG-3)', () => {
  const somebody = async () => callerFor(h, await h.make.person())
  const shorten = (who: Caller, id: number, validTo: string) =>
    administrator.post(`/v1/people/${who.person.username}/duties/${id}/end`, { validTo })
  const deactivate = (who: Caller) => changes.patch(`/v1/people/${who.person.username}`, { active: false })

  test('a successor because of whom the keeper goes is not taken back before they begin', async () => {
    const { at, keeper, grant } = await unusedPost()
    const successor = await somebody()
    const next = await give(successor, { warehouse: at.warehouse, validFrom: '2026-12-01' })
    must(await shorten(keeper, grant, '2026-11-30'), 200)

    const refused = await end(successor, next)
    expect(codes(refused)).toEqual([409, 'HandoverMissing'])
    expect(refused.body).toMatchObject({
      detail: `${successor.person.username} is to be keeper of ${at.warehouse} from 2026-12-01 on, where goods or tools are kept, units are lent or slips are open, and nobody else would be on 2026-12-01; appoint another keeper for as long as that duty lasts, and it ends then`,
      open: [{ warehouse: at.warehouse, hasStock: true, withoutKeeperFrom: '2026-12-01' }]
    })
    const shortened = await shorten(successor, next, '2026-12-10')
    expect([...codes(shortened), shortened.body.open[0].withoutKeeperFrom]).toEqual([
      409,
      'HandoverMissing',
      '2026-12-11'
    ])
    expect(codes(await deactivate(successor))).toEqual([409, 'HandoverMissing'])

    await give(await somebody(), { warehouse: at.warehouse, validFrom: '2026-12-01' })
    must(await end(successor, next), 200)
    must(await deactivate(successor), 200)
  })

  test('who is keeper for some days is no successor, unless others follow without a day between', async () => {
    const { at, from, keeper, grant } = await unusedPost()
    await give(await somebody(), { warehouse: at.warehouse, validTo: '2026-11-25' })
    const refused = await end(keeper, grant)
    expect([...codes(refused), refused.body.open[0].withoutKeeperFrom]).toEqual([409, 'HandoverMissing', '2026-11-26'])
    expect(codes(await deactivate(keeper))).toEqual([409, 'HandoverMissing'])
    await give(await somebody(), { region: from, validFrom: '2026-11-27' })
    expect((await end(keeper, grant)).body.open[0].withoutKeeperFrom).toBe('2026-11-26')
    await give(await somebody(), { validFrom: '2026-11-26', validTo: '2026-11-26' })
    must(await end(keeper, grant), 200)
  })

  test('of a duty for some days only those count: after them nobody was to be keeper anyway', async () => {
    const { at, keeper, grant } = await unusedPost({ validTo: '2026-12-05' })
    await give(await somebody(), { warehouse: at.warehouse, validTo: '2026-12-05' })
    must(await end(keeper, grant), 200)
  })

  test('a duty that was given by mistake and is yet to begin is taken back while the keeper of today goes on', async () => {
    const { at } = await unusedPost()
    const mistaken = await somebody()
    must(await end(mistaken, await give(mistaken, { warehouse: at.warehouse, validFrom: '2026-12-01' })), 200)
  })

  test('nor does the warehouse leave the region by which the successor is keeper, today or from a day on', async () => {
    for (const begins of ['2026-11-20', '2026-12-01']) {
      const { at, from, there, keeper, grant } = await unusedPost()
      const successor = await somebody()
      await give(successor, { region: from, validFrom: begins })
      must(await shorten(keeper, grant, '2026-11-30'), 200)
      const refused = await move(at.warehouse, there)
      expect([...codes(refused), refused.body.open[0].withoutKeeperFrom]).toEqual([409, 'KeeperMissing', '2026-12-01'])
      expect(refused.body.detail).toContain(`would have no keeper in region ${there} from 2026-12-01 on:`)
      await give(successor, { warehouse: at.warehouse, validFrom: '2026-12-01' })
      must(await move(at.warehouse, there), 200)
    }
  })

  test('of a keeper and a successor who are taken off at once, one stays', async () => {
    const { at, keeper, grant } = await unusedPost()
    const successor = await somebody()
    const next = await give(successor, { warehouse: at.warehouse })
    const answers = await atTheGate(
      () => end(keeper, grant),
      () => end(successor, next)
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409])
  })
})

/** Holds the gate until what is under way waits for it, one after the other. */
async function atTheGate(...work: (() => PromiseLike<unknown>)[]): Promise<any[]> {
  const client = new Client({ connectionString: h.databaseUrl })
  await client.connect()
  await client.query('begin')
  await client.query('select pg_advisory_xact_lock(7305028)')
  const under: Promise<unknown>[] = []
  for (const begin of work) {
    under.push(Promise.resolve(begin()))
    for (let look = 0; look < 200; look++) {
      const [{ n } = { n: 0 }] = await h.sql<{ n: number }>(
        `select count(*)::int as n from pg_locks where locktype = 'advisory' and objid = 7305028 and not granted
            and database = (select oid from pg_database where datname = current_database())`
      )
      if (n >= under.length) break
      await sleep(10)
    }
  }
  await client.query('commit')
  await client.end()
  return Promise.all(under)
}

/** All but the finance supervisor have signed. */
async function almost(at: HandingOver): Promise<string> {
  const { number } = await at.drawUp()
  await at.submit(number)
  await at.signAll(number, ['outgoing-keeper', 'incoming-keeper', 'department-head'])
  return number
}

describe('a warehouse that is moved while the last signature is given (R-ORG-3)', () => {
  test('is moved after it, though each waits for what the other holds', async () => {
    const { at, there } = await sharedPost()
    const number = await almost(at)
    const [signed, moved] = await atTheGate(
      () => at.signAs('finance-supervisor', number),
      () => move(at.warehouse, there)
    )
    expect([signed.status, moved.status]).toEqual([200, 200])
    const { items } = must(await administrator.get(`/v1/warehouses/${at.warehouse}/keepers?acting=true`), 200)
    expect(items).toMatchObject([{ keeper: at.incoming.person.username, scope: 'warehouse' }])
  })

  test('has a keeper: who takes over was keeper by the region that it leaves', async () => {
    const { at, there, from } = await sharedPost()
    await give(at.incoming, { region: from })
    const number = await almost(at)
    const [moved, signed] = await atTheGate(
      () => move(at.warehouse, there),
      () => at.signAs('finance-supervisor', number)
    )
    expect([moved.status, signed.status]).toEqual([200, 200])
    const { items } = must(await administrator.get(`/v1/warehouses/${at.warehouse}/keepers?acting=true`), 200)
    expect(items).toMatchObject([{ keeper: at.incoming.person.username, scope: 'warehouse' }])
  })

  test('is not handed over by who is keeper by the region that it enters', async () => {
    const { at, there } = await sharedPost()
    const number = await almost(at)
    await give(at.keeper, { region: there })
    const [moved, signed] = await atTheGate(
      () => move(at.warehouse, there),
      () => at.signAs('finance-supervisor', number)
    )
    expect([moved.status, codes(signed)]).toEqual([200, [422, 'KeeperOfMore']])
  })
})
