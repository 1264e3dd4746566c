import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openCounting, type Counting } from './counting.ts'

let h: Harness
/** Two warehouses of one region and one far away. */
let near: Counting, next: Counting, far: Counting
let regional: Caller, everywhere: Caller
/** Of each warehouse a month-end count that was approved, and a cycle count under way. */
const numbers: Record<string, { approved: string; counting: string }> = {}
let parts: Record<'agreed' | 'lost' | 'open', string>

beforeAll(async () => {
  h = await openHarness()
  ;[near, next, far] = [await openCounting(h), await openCounting(h), await openCounting(h)]
  const region = await h.make.region({ code: 'NEAR' })
  await h.sql('update warehouse set region_id = $1 where id = any ($2::int[])', [
    region.id,
    [near.warehouseId, next.warehouseId]
  ])
  regional = callerFor(h, await h.make.person({ grants: [{ duty: 'operations-supervisor', region: region.id }] }))
  everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  for (const at of [near, next, far]) numbers[at.warehouse] = await inBothStages(at)
}, 60_000)
afterAll(() => h.close())

async function inBothStages(at: Counting) {
  const [agreed, lost] = [await at.stocked({ quantity: '10' }), await at.stocked({ quantity: '7' })]
  const { number: approved } = await at.open()
  await at.count(approved, [
    { part: agreed.number, counted: '10' },
    { part: lost.number, counted: '5' }
  ])
  await at.submit(approved)
  await at.signCount(approved)
  const open = await at.stocked({ quantity: '3' })
  const { number: counting } = await at.open({ kind: 'cycle', parts: [open.number], note: 'shelf 4' })
  if (at === near) parts = { agreed: agreed.number, lost: lost.number, open: open.number }
  return { approved, counting }
}

const of = (counters: Counting[], ...stages: ('approved' | 'counting')[]) =>
  counters.flatMap((at) => stages.map((stage) => numbers[at.warehouse]?.[stage])).sort()
const found = async (caller: Caller, query: string): Promise<string[]> =>
  must(await caller.get(`/v1/counts?${query}`), 200).items.map(({ number }: { number: string }) => number)

test('whoever sees a warehouse, a region or everything finds the counts there and no others', async () => {
  const callers: [Caller, Counting[]][] = [
    [near.keeper, [near]],
    [regional, [near, next]],
    [everywhere, [near, next, far]]
  ]
  for (const [caller, seen] of callers) {
    expect((await found(caller, '')).sort()).toEqual(of(seen, 'approved', 'counting'))
    expect((await found(caller, 'state=counting')).sort()).toEqual(of(seen, 'counting'))
    expect((await found(caller, 'period=2026-11')).sort()).toEqual(of(seen, 'approved'))
    expect(await found(caller, 'period=2026-10')).toEqual([])
    expect((await found(caller, 'kind=cycle')).sort()).toEqual(of(seen, 'counting'))
    expect((await found(caller, 'region=NEAR&state=approved')).sort()).toEqual(
      of(
        seen.filter((at) => at !== far),
        'approved'
      )
    )
  }
  expect(await found(callerFor(h, await h.make.person()), '')).toEqual([])
  expect(await everywhere.get('/v1/counts?region=NOWHERE')).toMatchObject({ status: 404, body: { code: 'NotFound' } })
})

test('pages run newest first, each count once, in the shape of one warehouse’s list', async () => {
  for (const caller of [near.keeper, regional, everywhere]) {
    const rows: { number: string; openedAt: string }[] = []
    let cursor: string | null = null
    do {
      const page = must(await caller.get(`/v1/counts?limit=1${cursor === null ? '' : `&cursor=${cursor}`}`), 200)
      rows.push(...page.items)
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(rows).toEqual((await caller.get('/v1/counts?limit=200')).body.items)
  }
  const mine = must(await near.keeper.get(`/v1/warehouses/${near.warehouse}/counts`), 200)
  expect(mine.items).toEqual(
    (await everywhere.get('/v1/counts')).body.items.filter((count: any) => count.warehouse === near.warehouse)
  )
  expect(mine).toMatchObject({
    items: [
      {
        number: numbers[near.warehouse].counting,
        kind: 'cycle',
        state: 'counting',
        period: null,
        note: 'shelf 4',
        awaiting: []
      },
      { number: numbers[near.warehouse].approved, kind: 'month-end', state: 'approved', period: '2026-11' }
    ],
    nextCursor: null
  })
  for (const path of [
    '/v1/counts',
    `/v1/warehouses/${near.warehouse}/counts`,
    `/v1/counts/${mine.items[0].number}/lines`
  ])
    expect(await near.keeper.get(`${path}?cursor=WyJ4IiwieSJd`)).toMatchObject({
      status: 400,
      body: { code: 'CursorInvalid' }
    })
})

test('a count says how far its lines are, and its history what was done', async () => {
  const { approved } = numbers[near.warehouse]
  const answer = await near.keeper.get(`/v1/counts/${approved}`)
  expect(answer.headers['etag']).toBe(`"${answer.body.version}"`)
  expect(answer.body).toMatchObject({
    number: approved,
    state: 'approved',
    progress: { lines: 2, open: 0, recountDue: 0, settled: 2, setAside: 0, differences: 1, explained: 1, verified: 1 }
  })
  const { items } = must(await near.keeper.get(`/v1/counts/${approved}/history`), 200)
  expect(items[0]).toMatchObject({ event: 'opened', by: near.keeper.person.username })
  expect(items.map(({ event }: { event: string }) => event)).toEqual(expect.arrayContaining(['counted', 'submitted']))
})

test('lines are found by state, by difference and by part', async () => {
  const { approved, counting } = numbers[near.warehouse]
  expect(await near.lines(approved, 'differs=true')).toMatchObject([
    { part: parts.lost, state: 'settled', expected: '7', counted: '5', variance: '-2', cause: 'damage' }
  ])
  expect(await near.lines(approved, 'differs=false')).toMatchObject([{ part: parts.agreed, variance: '0' }])
  expect(await near.lines(approved, `part=${parts.lost}`)).toHaveLength(1)
  expect(await near.lines(approved, 'state=open')).toEqual([])
  expect(await near.lines(counting, 'state=open')).toMatchObject([
    { part: parts.open, expected: null, snapshot: null, variance: null, counted: null }
  ])
  // Whether an unsettled line differs is nobody's to learn.
  expect(await near.lines(counting, 'differs=true')).toEqual([])
  expect(await near.lines(counting, 'differs=false')).toEqual([])
  const page = must(await near.keeper.get(`/v1/counts/${approved}/lines?limit=1`), 200)
  const rest = must(await near.keeper.get(`/v1/counts/${approved}/lines?limit=1&cursor=${page.nextCursor}`), 200)
  expect([...page.items, ...rest.items].map(({ line }: { line: number }) => line)).toEqual([1, 2])
  expect(rest.nextCursor).toBeNull()
})

test('the lines leave as CSV with Chinese and English headings, without a figure until they are settled', async () => {
  const { approved, counting } = numbers[near.warehouse]
  const csv = async (number: string, query = '') => {
    const { text, headers } = await near.keeper.get(`/v1/counts/${number}/lines${query}`, { accept: 'text/csv' })
    expect(headers['content-type']).toBe('text/csv; charset=utf-8')
    return text
      .replace('\uFEFF', '')
      .trim()
      .split('\n')
      .map((line) => line.split(','))
  }
  const [headings = [], first = [], second = []] = await csv(approved)
  expect(headings.slice(0, 3)).toEqual(['line 行号', 'part 货号', 'name 英文名'])
  const cell = (row: string[], heading: string) => row[headings.indexOf(heading)]
  const lost = [first, second].find((row) => cell(row, 'part 货号') === parts.lost) ?? []
  expect(
    ['counted 实盘数量', 'card 卡片数量', 'expected 账面数量', 'variance 盘盈盘亏'].map((heading) =>
      cell(lost, heading)
    )
  ).toEqual(['5', '5', '7', '-2'])
  const [, open = []] = await csv(counting)
  expect(
    ['counted 实盘数量', 'card 卡片数量', 'expected 账面数量', 'variance 盘盈盘亏'].map((heading) =>
      cell(open, heading)
    )
  ).toEqual(['', '', '', ''])
  expect(cell(open, 'lots 批次明细')).toMatch(/^\d+$/)
  expect(await csv(approved, '?differs=true')).toHaveLength(2)
})

test('a count of a warehouse one may not see is like one that does not exist', async () => {
  const { approved } = numbers[far.warehouse]
  for (const place of ['', '/lines', '/history', '/sheet']) {
    const answers = [
      await near.keeper.get(`/v1/counts/${approved}${place}`),
      await near.keeper.get(`/v1/counts/${far.warehouse}-CNT-202611-99999${place}`),
      await near.keeper.get(`/v1/counts/GHOST-CNT-202611-00001${place}`)
    ]
    for (const { status, body } of answers)
      expect({ status, code: body.code }).toEqual({ status: 404, code: 'NotFound' })
  }
  for (const place of ['counts', 'last-counted'])
    expect((await near.keeper.get(`/v1/warehouses/${far.warehouse}/${place}`)).status).toBe(404)
  expect((await near.keeper.get('/v1/counts/not-a-number')).status).toBe(400)
})

describe('when a balance was last really counted', () => {
  const listed = async (query: string) =>
    must(await near.keeper.get(`/v1/warehouses/${near.warehouse}/last-counted?${query}`), 200).items.map(
      ({ part, lastCountedOn, count }: any) => [part, lastCountedOn, count]
    )

  test('every balance has the day and the number of its last approved count, or neither', async () => {
    const { approved } = numbers[near.warehouse]
    expect(await listed('')).toEqual(
      [
        [parts.agreed, '2026-11-20', approved],
        [parts.lost, '2026-11-20', approved],
        [parts.open, null, null]
      ].sort()
    )
    expect(await listed(`part=${parts.lost}`)).toEqual([[parts.lost, '2026-11-20', approved]])
    expect(await listed('notSince=2026-11-20')).toEqual([[parts.open, null, null]])
    expect((await listed('notSince=2026-11-21')).length).toBe(3)
    expect((await near.keeper.get(`/v1/warehouses/${near.warehouse}/last-counted?part=GHOST`)).status).toBe(404)
  })

  test('pages and CSV say the same', async () => {
    const first = must(await near.keeper.get(`/v1/warehouses/${near.warehouse}/last-counted?limit=2`), 200)
    const rest = must(
      await near.keeper.get(`/v1/warehouses/${near.warehouse}/last-counted?limit=2&cursor=${first.nextCursor}`),
      200
    )
    expect([...first.items, ...rest.items]).toHaveLength(3)
    expect(rest.nextCursor).toBeNull()
    const { text } = await near.keeper.get(`/v1/warehouses/${near.warehouse}/last-counted?notSince=2026-11-20`, {
      accept: 'text/csv'
    })
    expect(text.replace('\uFEFF', '').trim().split('\n')).toEqual([
      'part 货号,name 英文名,name 货名,unit 单位,ownership 所有权,condition 质量状态,last counted on 最近盘点日,count 盘点单号',
      `${parts.open},part ${parts.open},,piece,own,qualified,,`
    ])
  })

  test('the day is that of the business, not of Greenwich', async () => {
    const at = await openCounting(h)
    const { number: part } = await at.stocked()
    h.clock.set('2026-11-21T01:00')
    const { number } = await at.open({ kind: 'cycle', parts: [part] })
    await at.count(number, [{ part, counted: '10' }])
    await at.submit(number)
    await at.signCount(number)
    h.clock.set('2026-11-20T10:00')
    const { body } = await at.keeper.get(`/v1/warehouses/${at.warehouse}/last-counted`)
    expect(body.items).toMatchObject([{ lastCountedOn: '2026-11-21', count: number }])
  })
})

describe('tolerances', () => {
  const tolerance = { percent: '2.5', amount: '50' }

  test('head office sets them for a class or for all others; it is noted who did', async () => {
    const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
    expect(must(await controller.get('/v1/count-tolerances'), 200)).toEqual({
      items: [{ criticality: '*', percent: '0', amount: '0.00' }]
    })
    expect(must(await everywhere.put('/v1/count-tolerances/A', tolerance), 200)).toEqual({
      criticality: 'A',
      percent: '2.5',
      amount: '50.00'
    })
    must(await controller.put('/v1/count-tolerances/A', { percent: '0', amount: '0.00' }), 200)
    expect((await near.keeper.get('/v1/count-tolerances')).body.items).toHaveLength(2)
    const audited = await h.sql(
      `select subject, details from audit_event where action = 'count-tolerance.set' order by id`
    )
    expect(audited).toMatchObject([
      { subject: 'A', details: { percent: '2.5', amount: '50.00' } },
      { subject: 'A', details: { percent: '0', amount: '0.00' } }
    ])
  })

  test('nobody else may, and what is no limit is refused', async () => {
    const here = callerFor(
      h,
      await h.make.person({ grants: [{ duty: 'stock-controller', warehouse: near.warehouse }] })
    )
    for (const caller of [near.keeper, here])
      expect(await caller.put('/v1/count-tolerances/A', tolerance)).toMatchObject({
        status: 403,
        body: { code: 'DutyRequired' }
      })
    for (const wrong of [
      { ...tolerance, percent: '100.5' },
      { ...tolerance, percent: '-1' },
      { ...tolerance, percent: 2 },
      { ...tolerance, amount: '1.001' },
      { ...tolerance, more: 'x' },
      { percent: '1' }
    ])
      expect((await everywhere.put('/v1/count-tolerances/A', wrong)).status, JSON.stringify(wrong)).toBe(400)
    expect((await everywhere.put('/v1/count-tolerances/D', tolerance)).status).toBe(400)
  })
})

test('at 3,000 warehouses counts are found by an index, whoever asks', async () => {
  const network = await h.sql<{ id: number }>(
    `insert into warehouse (code, name, kind, region_id) select 'N' || n, 'N' || n, 'outlet', (select min(id) from region) from generate_series(1, 3000) n returning id`
  )
  await h.sql(
    `insert into stock_count (warehouse_id, number, kind, state, period, scope, position, opened_at, opened_by, duties, approved_at)
     select w, 'N' || w || '-CNT-2026' || lpad(n::text, 2, '0') || '-00001', 'month-end', 'approved', make_date(2026, n, 1), '{}', 0, now(), 0, '{a,b,c}', now()
       from unnest($1::int[]) w, generate_series(1, 10) n`,
    [network.map(({ id }) => id)]
  )
  await h.sql('analyze stock_count')
  await h.sql('analyze warehouse')
  const asked: { text: string; values: unknown[] }[] = []
  const pool = h.runtime.database.pool
  const query = pool.query.bind(pool)
  pool.query = ((text: unknown, values: unknown) => {
    if (typeof text === 'string' && text.includes('from stock_count c'))
      asked.push({ text, values: values as unknown[] })
    return (query as (...args: unknown[]) => unknown)(text, values)
  }) as typeof pool.query
  try {
    for (const caller of [near.keeper, regional, everywhere])
      for (const filter of ['', 'state=counting', 'period=2026-11'])
        expect((await caller.get(`/v1/counts?${filter}`)).status).toBe(200)
  } finally {
    pool.query = query
  }
  expect(asked).toHaveLength(9)
  for (const { text, values } of asked) {
    const plan = (await h.sql<{ 'QUERY PLAN': string }>(`explain ${text}`, values))
      .map((row) => row['QUERY PLAN'])
      .join('\n')
    expect(plan, text).not.toContain('Seq Scan on stock_count c')
  }
})

test('a cursor of another list is refused, whatever it holds', async () => {
  const { counting } = numbers[near.warehouse]
  for (const path of ['/v1/counts', `/v1/counts/${counting}/lines`, `/v1/warehouses/${near.warehouse}/counts`])
    for (const key of [['x'], ['99999999999999999999'], [1, 2], {}, 'x'])
      expect(
        await near.keeper.get(`${path}?cursor=${Buffer.from(JSON.stringify(key)).toString('base64url')}`)
      ).toMatchObject({ status: 400, body: { code: 'CursorInvalid' } })
})
