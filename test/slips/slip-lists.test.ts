import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor, openCounter, SIGNERS, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
/** Two warehouses of one region and one far away, each with slips in every stage. */
let near: Counter, next: Counter, far: Counter
let regional: Caller, everywhere: Caller
const slips: Record<string, Record<'awaiting' | 'half' | 'approved' | 'late' | 'posted', string>> = {}

beforeAll(async () => {
  h = await openHarness()
  ;[near, next, far] = [await openCounter(h), await openCounter(h), await openCounter(h)]
  const region = await h.make.region()
  await h.sql('update warehouse set region_id = $1 where id = any ($2::int[])', [
    region.id,
    [near.warehouseId, next.warehouseId]
  ])
  regional = callerFor(
    h,
    await h.make.person({
      grants: [
        { duty: 'finance-supervisor', region: region.id },
        { duty: 'keeper', warehouse: near.warehouse }
      ]
    })
  )
  everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  for (const at of [near, next, far]) slips[at.warehouse] = await inEveryStage(at)
})
afterAll(() => h.close())

async function inEveryStage(at: Counter) {
  const part = await h.make.part({ standardCost: '1' })
  await at.posted({ kind: 'receipt', occurredOn: '2026-11-01', lines: [{ part: part.number, quantity: '10' }] })
  const write = async (more: object = {}) =>
    (await at.slip({ kind: 'issue', ...more, lines: [{ part: part.number, quantity: '1' }] })).number as string
  const posted = await write({ reference: 'RO-1', occurredOn: '2026-11-10' })
  await at.signAndPost(posted)
  const late = await write({ occurredOn: '2026-11-11' })
  await at.sign(late, SIGNERS.slice(0, 2))
  await at.keeper.post(`/v1/slips/${late}/emergency-release`, {
    missingDuty: SIGNERS[2],
    authorisedBy: 'x',
    reason: 'y',
    handedTo: 'z'
  })
  const approved = await write({ occurredOn: '2026-11-12' })
  await at.sign(approved)
  const half = await write({ occurredOn: '2026-11-13' })
  await at.sign(half, ['finance-supervisor'])
  const awaiting = await write({ occurredOn: '2026-11-14' })
  return { awaiting, half, approved, late, posted }
}

const numbers = async (caller: Caller, query: string): Promise<string[]> =>
  (await caller.get(`/v1/slips?${query}`)).body.items.map(({ number }: { number: string }) => number)
const of = (counters: Counter[], ...stages: ('awaiting' | 'half' | 'approved' | 'late' | 'posted')[]) =>
  stages.flatMap((stage) => counters.map((at) => slips[at.warehouse]?.[stage])).sort()

test('a signer of a region finds what awaits that duty there, in time and late, and nothing elsewhere', async () => {
  expect((await numbers(regional, 'awaiting=finance-supervisor')).sort()).toEqual(of([near, next], 'awaiting', 'late'))
  expect((await numbers(regional, 'awaiting=department-head')).sort()).toEqual(of([near, next], 'awaiting', 'half'))
  expect((await numbers(everywhere, 'awaiting=finance-supervisor')).sort()).toEqual(
    of([near, next, far], 'awaiting', 'late')
  )
  expect(await numbers(regional, 'awaiting=keeper')).toEqual([])
  expect((await numbers(regional, 'awaiting=finance-supervisor&lateSignature=true')).sort()).toEqual(
    of([near, next], 'late')
  )
  const answer = await far.keeper.get(`/v1/warehouses/${far.warehouse}/slips?awaiting=finance-supervisor`)
  expect(answer.body.items.map(({ number }: any) => number).sort()).toEqual(of([far], 'awaiting', 'late'))
})

test('filters hold for one warehouse, a region and everything alike', async () => {
  const callers: [Caller, Counter[]][] = [
    [near.keeper, [near]],
    [regional, [near, next]],
    [everywhere, [near, next, far]]
  ]
  for (const [caller, seen] of callers) {
    expect((await numbers(caller, 'state=approved')).sort()).toEqual(of(seen, 'approved'))
    expect((await numbers(caller, 'state=awaiting-signatures')).sort()).toEqual(of(seen, 'awaiting', 'half'))
    expect((await numbers(caller, 'state=posted&kind=issue')).sort()).toEqual(of(seen, 'late', 'posted'))
    expect((await numbers(caller, 'reference=RO-1')).sort()).toEqual(of(seen, 'posted'))
    expect((await numbers(caller, 'lateSignature=true')).sort()).toEqual(of(seen, 'late'))
    expect((await numbers(caller, 'lateSignature=false&from=2026-11-11&to=2026-11-13')).sort()).toEqual(
      of(seen, 'approved', 'half')
    )
    expect(await numbers(caller, 'state=cancelled')).toEqual([])
  }
})

test('pages run newest day first over all warehouses, each slip once, in the shape of one warehouse’s list', async () => {
  for (const caller of [near.keeper, regional, everywhere]) {
    const rows: { number: string; occurredOn: string }[] = []
    let cursor: string | null = null
    do {
      const page = await caller.get(`/v1/slips?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`)
      expect(page.status).toBe(200)
      rows.push(...page.body.items)
      cursor = page.body.nextCursor
    } while (cursor !== null)
    const days = rows.map(({ occurredOn }) => occurredOn)
    expect(days).toEqual(days.toSorted().toReversed())
    expect(new Set(rows.map(({ number }) => number)).size).toBe(rows.length)
    expect(rows).toEqual((await caller.get('/v1/slips?limit=200')).body.items)
  }
  const [mine, all] = [
    await near.keeper.get(`/v1/warehouses/${near.warehouse}/slips?limit=200`),
    await everywhere.get('/v1/slips?limit=200')
  ]
  expect(all.body.items.filter(({ warehouse }: any) => warehouse === near.warehouse)).toEqual(mine.body.items)
})

test('who has no duty sees no slip; days in the wrong order and foreign cursors are refused', async () => {
  const nobody = callerFor(h, await h.make.person())
  expect((await nobody.get('/v1/slips')).body).toEqual({ items: [], nextCursor: null })
  for (const path of ['/v1/slips', `/v1/warehouses/${near.warehouse}/slips`]) {
    expect(await near.keeper.get(`${path}?from=2026-11-12&to=2026-11-11`)).toMatchObject({
      status: 422,
      body: { code: 'DaysReversed', errors: [{ pointer: '?from' }] }
    })
    const cursor = Buffer.from('["x","y"]').toString('base64url')
    expect(await near.keeper.get(`${path}?cursor=${cursor}`)).toMatchObject({
      status: 400,
      body: { code: 'CursorInvalid' }
    })
  }
})

test('at 3,000 warehouses the index of what was asked for is used, whoever asks', async () => {
  const plans = async (statement: string, values: unknown[]) =>
    (await h.sql<{ 'QUERY PLAN': string }>(`explain ${statement}`, values)).map((row) => row['QUERY PLAN']).join('\n')
  const network = await h.sql<{ id: number }>(
    `insert into warehouse (code, name, kind, region_id) select 'N' || n, 'N' || n, 'outlet', (select min(id) from region) from generate_series(1, 3000) n returning id`
  )
  await h.sql(
    `insert into slip (warehouse_id, number, kind, state, occurred_on, duties, preparers, prepared_at, posted_by, posted_at)
     select w, 'N-OUT-202610-' || lpad((w::text || n::text), 9, '0'), 'issue', case when n % 20 = 0 then 'awaiting-signatures' else 'posted' end, date '2026-10-01' + n % 28,
            '{department-head,operations-supervisor,finance-supervisor}', '{1}', now(), case when n % 20 = 0 then null else 1 end, case when n % 20 = 0 then null else now() end
       from unnest($1::int[]) w, generate_series(1, 20) n`,
    [network.map(({ id }) => id)]
  )
  await h.sql('analyze slip')
  await h.sql('analyze warehouse')
  const asked: { text: string; values: unknown[] }[] = []
  const pool = h.runtime.database.pool
  const query = pool.query.bind(pool)
  pool.query = ((text: unknown, values: unknown) => {
    if (typeof text === 'string' && text.includes('from slip s')) asked.push({ text, values: values as unknown[] })
    return (query as (...args: unknown[]) => unknown)(text, values)
  }) as typeof pool.query
  try {
    for (const caller of [regional, everywhere])
      for (const filter of [
        '',
        'state=approved',
        'awaiting=finance-supervisor',
        'lateSignature=true',
        'reference=RO-1'
      ])
        expect((await caller.get(`/v1/slips?${filter}`)).status).toBe(200)
  } finally {
    pool.query = query
  }
  expect(asked).toHaveLength(10)
  for (const { text, values } of asked) {
    const plan = await plans(text, values)
    expect(plan, text).not.toContain('Seq Scan on slip ')
    expect(plan, text).toMatch(/Scan (using|on) slip_(by_day|unfinished|late|by_reference)/)
  }
})
