import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openCounting, type Counting } from './counting.ts'

let h: Harness
let headOffice: Caller
beforeAll(async () => {
  h = await openHarness()
  headOffice = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
})
afterAll(() => h.close())

const reportOf = async (caller: Caller, at: Counting, period = '2026-11') =>
  must(await caller.get(`/v1/count-reports?period=${period}&limit=200`), 200).items.find(
    ({ warehouse }: { warehouse: string }) => warehouse === at.warehouse
  )

/** A warehouse whose count of this month is as far as before its submission. */
async function counted(): Promise<{ at: Counting; number: string; part: string }> {
  const at = await openCounting(h)
  const { number: part } = await at.stocked()
  const { number } = await at.open({ kind: 'month-end', period: '2026-11' })
  await at.count(number, [{ part, counted: '10' }])
  return { at, number, part }
}

test('head office sees how far each warehouse is, from nothing to sent, and what is overdue after the 5th (R-CNT-3)', async () => {
  h.clock.set('2026-11-30T18:00')
  const at = await openCounting(h)
  const { number: part } = await at.stocked()
  const due = { warehouse: at.warehouse, period: '2026-11', dueOn: '2026-12-05', sentAt: null, sentBy: null }
  expect(await reportOf(headOffice, at)).toMatchObject({ ...due, state: 'not-opened', count: null, countState: null })

  const { number } = await at.open({ kind: 'month-end', period: '2026-11' })
  expect(await reportOf(headOffice, at)).toMatchObject({
    ...due,
    state: 'counting',
    count: number,
    countState: 'counting'
  })
  await at.count(number, [{ part, counted: '10' }])
  await at.submit(number)
  expect(await reportOf(headOffice, at)).toMatchObject({ ...due, state: 'counted', countState: 'awaiting-signatures' })

  h.clock.set('2026-12-05T23:59')
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'counted' })
  h.clock.set('2026-12-06T00:00')
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'overdue', countState: 'awaiting-signatures' })

  const sent = await at.keeper.post(`/v1/counts/${number}/report`, { note: '盘点表已寄出' })
  expect(sent.headers['etag']).toBe(`"${sent.body.version}"`)
  expect(must(sent, 200)).toMatchObject({
    number,
    reportedAt: '2026-12-05T16:00:00Z',
    reportedBy: at.keeper.person.username,
    reportNote: '盘点表已寄出'
  })
  expect(await reportOf(headOffice, at)).toMatchObject({
    state: 'sent',
    sentAt: '2026-12-05T16:00:00Z',
    sentBy: at.keeper.person.username,
    late: true,
    note: '盘点表已寄出'
  })
  const { items } = must(await at.keeper.get(`/v1/counts/${number}/history`), 200)
  expect(items.at(-1)).toMatchObject({
    event: 'reported',
    by: at.keeper.person.username,
    details: { note: '盘点表已寄出' }
  })
})

test('a report is sent of what is submitted, once, by the warehouse', async () => {
  h.clock.set('2026-11-30T18:00')
  const { at, number } = await counted()
  const stranger = await openCounting(h)
  const send = (caller: Caller, headers = {}) => caller.post(`/v1/counts/${number}/report`, {}, headers)
  expect(await send(at.keeper)).toMatchObject({ status: 409, body: { code: 'CountNotSubmitted' } })
  const { version } = await at.submit(number)
  expect(await send(at.signers['operations-supervisor'])).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
  expect(await send(headOffice)).toMatchObject({ status: 403 })
  expect(await send(stranger.keeper)).toMatchObject({ status: 404, body: { code: 'NotFound' } })
  expect(await send(at.keeper, { 'if-match': `"${version - 1}"` })).toMatchObject({ status: 412 })
  expect((await at.keeper.post(`/v1/counts/${number}/report`, { note: '' })).status).toBe(400)

  // Of two who send at once, one does.
  const answers = await Promise.all([send(at.keeper), send(at.signers['department-head'])])
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
  const sent = answers.find(({ status }) => status === 200)
  expect(await send(at.signers['finance-supervisor'])).toMatchObject({
    status: 409,
    body: { code: 'CountReportSent', sentAt: sent?.body.reportedAt, sentBy: sent?.body.reportedBy }
  })
})

test('a count that was sent back is reported anew when it is submitted anew', async () => {
  h.clock.set('2026-11-30T18:00')
  const { at, number } = await counted()
  await at.submit(number)
  must(await at.keeper.post(`/v1/counts/${number}/report`), 200)
  const finance = at.signers['finance-supervisor']
  must(
    await finance.post(`/v1/counts/${number}/signatures`, {
      duty: 'finance-supervisor',
      decision: 'refuse',
      comment: 'shelf 4 was not counted'
    }),
    200
  )
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'counting', sentAt: null, sentBy: null, note: null })
  h.clock.advance({ hours: 1 })
  await at.submit(number)
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'counted', sentAt: null })
  h.clock.advance({ hours: 1 })
  must(await finance.post(`/v1/counts/${number}/report`), 200)
  expect(await reportOf(headOffice, at)).toMatchObject({
    state: 'sent',
    sentBy: finance.person.username,
    late: false
  })
  // Also when it is approved.
  await at.signCount(number)
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'sent', countState: 'approved' })
})

test('a cancelled count is none, and a warehouse that was closed when the month ended reports nothing', async () => {
  h.clock.set('2026-11-30T18:00')
  const { at, number } = await counted()
  const finance = at.signers['finance-supervisor']
  must(await finance.post(`/v1/counts/${number}/cancellation`, { reason: 'begun by mistake' }), 200)
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'not-opened', count: null })
  const closing = async (closedOn: string | null) => {
    await h.sql('update warehouse set closed_on = $2 where id = $1', [at.warehouseId, closedOn])
    return (await reportOf(headOffice, at)) !== undefined
  }
  expect([await closing('2026-11-30'), await closing('2026-12-01')]).toEqual([false, true])
})

test('who asks sees the warehouses of their own sight, filtered by region and state', async () => {
  h.clock.set('2026-12-06T09:00')
  const [mine, other] = [await openCounting(h), await openCounting(h)]
  const region = await h.make.region({ code: 'SOUTH' })
  await h.sql('update warehouse set region_id = $1 where id = $2', [region.id, mine.warehouseId])
  const of = async (caller: Caller, query: string) =>
    must(await caller.get(`/v1/count-reports?period=2026-11&${query}`), 200).items.map((row: any) => row.warehouse)
  expect(await of(mine.keeper, '')).toEqual([mine.warehouse])
  expect(await of(mine.keeper, 'region=SOUTH&state=overdue')).toEqual([mine.warehouse])
  expect(await of(mine.keeper, 'state=sent')).toEqual([])
  expect(await of(headOffice, 'region=SOUTH')).toEqual([mine.warehouse])
  expect(await of(headOffice, 'state=overdue&limit=200')).toEqual(
    expect.arrayContaining([mine.warehouse, other.warehouse])
  )
  expect(await of(callerFor(h, await h.make.person()), '')).toEqual([])
  expect((await headOffice.get('/v1/count-reports?period=2026-11&region=NOWHERE')).status).toBe(404)
  expect((await headOffice.get('/v1/count-reports?period=2026-11&region=NOWHERE', { accept: 'text/csv' })).status).toBe(
    404
  )
  for (const query of ['', 'period=2026-13', 'period=2026-11&state=lost', 'period=2026-11&cursor=nonsense'])
    expect((await headOffice.get(`/v1/count-reports?${query}`)).status, query).toBe(400)
})

test('a report is of what was submitted, also where it is submitted anew at the same instant', async () => {
  h.clock.set('2026-11-30T18:00')
  const { at, number } = await counted()
  await at.submit(number)
  must(await at.keeper.post(`/v1/counts/${number}/report`), 200)
  const finance = at.signers['finance-supervisor']
  const refusal = { duty: 'finance-supervisor', decision: 'refuse', comment: 'somebody found goods' }
  must(await finance.post(`/v1/counts/${number}/signatures`, refusal), 200)
  const { number: part } = await h.make.part()
  must(await at.keeper.post(`/v1/counts/${number}/lines`, { part }), 201)
  await at.count(number, [{ part, counted: '0' }])
  await at.submit(number)
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'counted', sentAt: null, late: false })
  must(await at.keeper.post(`/v1/counts/${number}/report`), 200)
  expect(await reportOf(headOffice, at)).toMatchObject({ state: 'sent' })
})

test('a warehouse reports from the month on in which it was written down or something moved', async () => {
  h.clock.set('2026-11-30T18:00')
  const at = await openCounting(h)
  await h.sql(`update warehouse set named_at = '2026-10-31T16:00:00Z' where id = $1`, [at.warehouseId])
  const isListed = async (period: string) => (await reportOf(headOffice, at, period)) !== undefined
  expect([await isListed('2026-10'), await isListed('2026-11')]).toEqual([false, true])
  const { number: part } = await h.make.part()
  await at.posted({ kind: 'receipt', occurredOn: '2026-09-10', lines: [{ part, quantity: '1', unitCost: '1' }] })
  expect([await isListed('2026-08'), await isListed('2026-09')]).toEqual([false, true])
  await h.sql(
    `insert into warehouse_name (warehouse_id, name, from_at, to_at) values ($1, 'of old', '2026-07-01', '2026-10-31T16:00:00Z')`,
    [at.warehouseId]
  )
  expect([await isListed('2026-06'), await isListed('2026-07')]).toEqual([false, true])
})

test('a month that has not begun has no reports', async () => {
  h.clock.set('2026-11-30T18:00')
  for (const period of ['9999-12', '2026-12'])
    for (const accept of ['application/json', 'text/csv'])
      expect(await headOffice.get(`/v1/count-reports?period=${period}`, { accept })).toMatchObject({
        status: 422,
        body: { code: 'PeriodNotBegun' }
      })
  expect(must(await headOffice.get('/v1/count-reports?period=0001-01'), 200).items).toEqual([])
})

test('the 4,000 warehouses of a network are paged by code, each once, and leave as CSV', async () => {
  h.clock.set('2026-12-06T09:00')
  const network = await h.sql<{ id: number }>(
    `insert into warehouse (code, name, kind, region_id, named_at) select 'N' || lpad(n::text, 4, '0'), 'outlet ' || n, 'outlet', (select min(id) from region), '2026-01-01' from generate_series(1, 4000) n returning id`
  )
  await h.sql(
    `insert into stock_count (warehouse_id, number, kind, state, period, scope, position, opened_at, opened_by, duties, submitted_at, content_hash, reported_at, reported_by, reported_hash)
     select w, 'N' || w || '-CNT-202611-00001', 'month-end', 'awaiting-signatures', '2026-11-01', '{}', 0, now(), 0, '{a,b,c}', now(), 'hash', case when w % 2 = 0 then now() end, case when w % 2 = 0 then 0 end, case when w % 2 = 0 then 'hash' end
       from unnest($1::int[]) w`,
    [network.map(({ id }) => id)]
  )
  const seen: { warehouse: string; state: string }[] = []
  let cursor: string | null = null
  do {
    const page: any = must(
      await headOffice.get(`/v1/count-reports?period=2026-11&limit=200${cursor === null ? '' : `&cursor=${cursor}`}`),
      200
    )
    seen.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== null)
  const codes = seen.map(({ warehouse }) => warehouse)
  expect(new Set(codes).size).toBe(codes.length)
  expect(codes.filter((code) => /^N\d{4}$/.test(code))).toHaveLength(4000)
  expect(seen.filter(({ warehouse, state }) => /^N\d{4}$/.test(warehouse) && state === 'sent')).toHaveLength(2000)
  const { text } = await headOffice.get('/v1/count-reports?period=2026-11', { accept: 'text/csv' })
  const [headings, ...rows] = text.replace('\uFEFF', '').trim().split('\n')
  expect(headings).toContain('state 状态')
  expect(rows).toHaveLength(seen.length)
})
