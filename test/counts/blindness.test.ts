import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DUTIES, type Duty } from '../../src/identity/actor.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openCounting, type Counting } from './counting.ts'

// Blind means blind (R-CNT-2). Every operation of counts is called as every duty of the warehouse, right and wrong, while the
// ledger holds quantities that nothing else in the answers could be. A new operation fails here until it is named below.

let h: Harness
let at: Counting
let number: string
/** One person per duty, and one who holds a duty everywhere. */
const callers = new Map<string, Caller>()

interface Shelf {
  part: string
  line: number
  expected: string
  /** Every figure by which what is expected could be told. */
  secrets: string[]
}
/** Lines in every state that is not settled. */
const shelves: Record<'open' | 'moved' | 'recount' | 'aside' | 'lots' | 'waiting', Shelf> = {} as never
let lots: string[]

interface Operation {
  id: string
  method: 'get' | 'post' | 'put'
  path: string
  type: string
}
let operations: Operation[]

beforeAll(async () => {
  h = await openHarness()
  at = await openCounting(h)
  for (const duty of DUTIES)
    callers.set(duty, callerFor(h, await h.make.person({ grants: [{ duty, warehouse: at.warehouse }] })))
  callers.set('who counted', at.keeper)
  callers.set('head office', callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] })))
  operations = operationsOfCounts()

  const part = async (...quantities: string[]) => {
    const made = await h.make.part({ unit: 'kg' })
    for (const quantity of quantities)
      await at.posted({ kind: 'receipt', lines: [{ part: made.number, quantity, unitCost: '3' }] })
    return made.number
  }
  const made = {
    open: await part('7919.013'),
    moved: await part('4441.023'),
    recount: await part('6841.017'),
    aside: await part('5519.019'),
    lots: await part('3301.029', '2207.031'),
    waiting: await part('8887.037')
  }
  lots = (
    await h.sql<{ id: string }>(
      'select lot.id::text as id from lot join part on part.id = lot.part_id where part.number = $1 order by lot.id',
      [made.lots]
    )
  ).map(({ id }) => id)
  number = (await at.open({ kind: 'cycle', parts: Object.values(made) })).number
  const lines = new Map((await at.lines(number)).map(({ part: of, line }) => [of, line as number]))
  const shelf = (of: string, expected: string, ...secrets: string[]): Shelf => ({
    part: of,
    line: lines.get(of) ?? 0,
    expected,
    secrets: [expected, ...secrets]
  })
  await at.posted({ kind: 'issue', lines: [{ part: made.moved, quantity: '1000.004' }] })
  // Expected; what it was at the opening; what was counted; by how much that is off; what these are worth.
  shelves.open = shelf(made.open, '7919.013', '23757.04')
  shelves.waiting = shelf(made.waiting, '8887.037', '26661.11')
  shelves.moved = shelf(made.moved, '3441.019', '4441.023', '1000.004', '10323.06', '13323.07')
  shelves.recount = shelf(made.recount, '6841.017', '5720.113', '1120.904', '20523.05', '3362.71')
  shelves.aside = shelf(made.aside, '5519.019', '4311.002', '1208.017', '16557.06', '3624.05')
  shelves.lots = shelf(
    made.lots,
    '5508.06',
    '3301.029',
    '2207.031',
    '1999.028',
    '4206.059',
    '1302.001',
    '3906',
    '16524.18'
  )

  const count = (entry: object) => at.keeper.post(`/v1/counts/${number}/entries`, { entries: [entry] })
  const answers = [
    await count({ line: shelves.recount.line, counted: '5720.113', card: '5720.113' }),
    await count({ line: shelves.aside.line, counted: '4311.002', card: '4311.002' }),
    await count({
      line: shelves.lots.line,
      counted: '4206.059',
      card: '4206.059',
      lots: [
        { lot: lots[0], counted: '1999.028' },
        { lot: lots[1], counted: '2207.031' }
      ]
    })
  ]
  for (const answer of answers) {
    expect(answer.body.results).toMatchObject([{ outcome: 'recount-due', problem: null }])
    expectBlind('recordCounts', answer)
  }
  const aside = await at.signers['finance-supervisor'].post(`/v1/counts/${number}/set-aside`, {
    lines: [{ line: shelves.aside.line, reason: 'shelf sealed' }]
  })
  expect(must(aside, 200)).toMatchObject({ done: 1 })
  expectBlind('setAsideLines', aside)
}, 60_000)
afterAll(() => h.close())

function operationsOfCounts(): Operation[] {
  const { paths } = h.app.swagger() as unknown as {
    paths: Record<
      string,
      Record<string, { operationId: string; tags: string[]; requestBody?: { content: Record<string, unknown> } }>
    >
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { operationId: id, tags, requestBody }]) => {
      const [type = 'application/json'] = Object.keys(requestBody?.content ?? {})
      return tags.includes('counts') ? [{ id, method: method as Operation['method'], path, type }] : []
    })
  )
}

/** The figures of lines that an answer gives away. */
function toldBy({ text, headers }: { text: string; headers: object }, hidden: readonly Shelf[]): string[] {
  // The id of the request is random, and may look like any figure.
  const said = text + JSON.stringify({ ...headers, 'x-request-id': undefined })
  return hidden
    .flatMap(({ secrets }) => secrets)
    .filter((secret) => new RegExp(`(?<!\\d)${secret.replace('.', '[.]?')}0*(?!\\d)`).test(said))
}

function expectBlind(
  what: string,
  answer: { text: string; headers: object },
  hidden: readonly Shelf[] = Object.values(shelves)
): void {
  expect(toldBy(answer, hidden), `${what}: ${answer.text.slice(0, 500)}`).toEqual([])
}

const FILTERS: Record<string, string[]> = {
  listCountLines: [
    '',
    'differs=true',
    'differs=false',
    'state=open',
    'state=recount-due',
    'state=set-aside',
    'state=settled',
    'part=PART',
    'limit=1'
  ],
  listLastCounted: ['', 'part=PART', 'notSince=2026-11-30'],
  listCountReports: ['period=2026-11'],
  listCounts: ['', 'state=counting'],
  searchCounts: ['', 'state=counting', 'kind=cycle']
}

const entry = (of: Shelf, more: object = {}) => ({ line: of.line, counted: '1', card: '1', ...more })
/** What is sent: nothing by which a line is settled, and nothing that stops the count. */
const BODIES: Record<string, () => unknown[]> = {
  openCount: () => [
    { kind: 'cycle', parts: Object.values(shelves).map(({ part }) => part) },
    { kind: 'month-end', period: '2026-11' },
    { kind: 'cycle', notCountedSince: '2026-11-20' },
    { kind: 'cycle', zeroStock: true },
    { kind: 'cycle' }
  ],
  recordCounts: () => [
    { entries: [entry(shelves.open, { counted: '1.2345' }), entry(shelves.moved)] },
    { entries: [entry(shelves.open, { counted: 7919 })] },
    {
      entries: [
        { counted: '1', card: '1' },
        { part: 'GHOST', counted: '1', card: '1' },
        { line: 99, counted: '1', card: '1' }
      ]
    },
    { entries: [entry(shelves.open, { part: shelves.moved.part }), entry(shelves.aside)] },
    { entries: [entry(shelves.lots, { round: 1 }), entry(shelves.open, { round: 2 })] },
    { entries: [entry(shelves.lots, { lots: [{ lot: '999999', counted: '1' }] })] },
    { entries: [entry(shelves.lots, { counted: '2', lots: [{ lot: lots[0], counted: '1' }] })] },
    { entries: [entry(shelves.recount, { lots: [{ lot: lots[0], counted: '1' }] })] },
    { entries: [entry(shelves.open, { lots: [{ lot: '999999', counted: '1' }] })] }
  ],
  importCounts: () => [
    `行号,货号,所有权,质量状态,实盘数量,卡片数量\n${shelves.open.line},,,,,\n${shelves.moved.line},${shelves.open.part},,,1,1\n${shelves.aside.line},,,,1,1\n99,,,,1,1\n${shelves.recount.line},,,,x,1\n`,
    `行号,实盘数量,卡片数量,批次,轮次\n${shelves.lots.line},1,1,${lots[0]},1\n`,
    '行号,期望\n1,1\n'
  ],
  addFoundGoods: () => [{ part: shelves.open.part }, { part: shelves.aside.part }, { part: 'GHOST' }, {}],
  explainVariances: () => [
    { lines: Object.values(shelves).map(({ line }) => ({ line, cause: 'theft', evidence: 'a guess' })) },
    { lines: [{ line: shelves.open.line, cause: 'found', evidence: 'a guess', unitCost: '1', costDocument: 'none' }] }
  ],
  verifyVariances: () => [
    { lines: Object.values(shelves).map(({ line }) => ({ line, accepted: true })) },
    { lines: Object.values(shelves).map(({ line }) => ({ line, accepted: false, comment: 'again' })) }
  ],
  setAsideLines: () => [
    {
      lines: [
        { line: shelves.aside.line, reason: 'again' },
        { line: 99, reason: 'none such' }
      ]
    }
  ],
  submitCount: () => [{}],
  signCount: () => DUTIES.map((duty) => ({ duty, decision: 'approve' })),
  cancelCount: () => [{}, { reason: '' }],
  sendCountReport: () => [{}, { note: 'early' }],
  setCountTolerance: () => [{ percent: '101', amount: '1' }]
}

/** Every call of the operations of counts on this count. */
function callsOf({
  id,
  method,
  path,
  type
}: Operation): { id: string; method: string; url: string; type: string; body?: unknown }[] {
  const place = path.replace('{warehouse}', at.warehouse).replace('{number}', number).replace('{criticality}', 'A')
  if (method === 'get')
    return (FILTERS[id] ?? ['']).flatMap((filter) =>
      (filter.includes('PART') ? Object.values(shelves) : [shelves.open]).map(({ part }) => ({
        id,
        method,
        url: `${place}?${filter.replace('PART', part)}`,
        type
      }))
    )
  const bodies = BODIES[id]
  if (bodies === undefined) throw new Error(`say above what ${id} is sent`)
  return bodies().map((body) => ({ id, method, url: place, type, body }))
}

async function answersTo(caller: Caller, { method, url, type, body }: ReturnType<typeof callsOf>[number]) {
  if (method === 'get')
    return Promise.all(['application/json', 'text/csv', 'text/html'].map((accept) => caller.get(url, { accept })))
  if (type === 'text/csv') return [await callsAs(h, caller.person).upload(url, body as string)]
  return [await caller[method as 'post' | 'put'](url, body as object)]
}

test('a figure that is told would be seen here', () => {
  for (const text of ['{"expected":"7919.013"}', ',7919.013,', '<td>7919.0130</td>', '7919013'])
    expect(toldBy({ text, headers: {} }, [shelves.open])).toEqual(['7919.013'])
  expect(toldBy({ text: '', headers: { etag: '7919.013' } }, [shelves.open])).toEqual(['7919.013'])
  expect(toldBy({ text: '17919.013 and 7919.0131', headers: {} }, [shelves.open])).toEqual([])
})

describe('while a line is not settled', () => {
  const who: string[] = [...DUTIES, 'who counted', 'head office']
  test.for(who.map((name) => [name] as const))('nothing tells %s what is expected of it', async ([name]) => {
    const caller = callers.get(name)
    if (caller === undefined) throw new Error(name)
    for (const operation of operations)
      for (const call of callsOf(operation))
        for (const answer of await answersTo(caller, call)) {
          expect(answer.status, `${call.id} ${answer.text}`).toBeLessThan(500)
          expectBlind(`${call.id} ${call.url} ${JSON.stringify(call.body)}`, answer)
        }
  })

  test('whoever may count is told by the first count and its results no more than that it is to be counted again', async () => {
    // Too much, too little: the same answer.
    for (const counted of ['1', '99999']) {
      const { part } = await stillCounted()
      const body = must(
        await at.keeper.post(`/v1/counts/${number}/entries`, { entries: [{ part, counted, card: counted }] }),
        200
      )
      expect(body.results).toEqual([{ line: expect.any(Number), part, outcome: 'recount-due', problem: null }])
      expect({ ...(await at.lines(number, `part=${part}`))[0], line: 0, part: '', name: '' }).toEqual(
        expect.objectContaining({
          state: 'recount-due',
          counted: null,
          card: null,
          expected: null,
          variance: null,
          differs: null
        })
      )
    }
  })

  /** A line more of the same count, for goods that were found. */
  async function stillCounted(): Promise<{ part: string }> {
    const part = await h.make.part({ standardCost: '3' })
    must(await at.keeper.post(`/v1/counts/${number}/lines`, { part: part.number }), 201)
    return { part: part.number }
  }
})

test('once it is settled everybody of the warehouse reads it; what is not stays hidden', async () => {
  const again = (of: Shelf, counted: string) =>
    at.signers['operations-supervisor'].post(`/v1/counts/${number}/entries`, {
      entries: [{ line: of.line, counted, card: counted }]
    })
  // Counted again with another result: the second holds, and what was counted first stands beside it.
  must(await again(shelves.recount, '6800'), 200)
  must(
    await at.keeper.post(`/v1/counts/${number}/entries`, {
      entries: [{ line: shelves.open.line, counted: '7919.013', card: '7919.013' }]
    }),
    200
  )
  const hidden = [shelves.moved, shelves.aside, shelves.lots, shelves.waiting]
  const reads = operations.filter(({ id }) => ['listCountLines', 'printCountSheet'].includes(id))
  for (const duty of DUTIES as readonly Duty[]) {
    const caller = callers.get(duty)
    if (caller === undefined) throw new Error(duty)
    for (const operation of reads)
      for (const call of callsOf(operation))
        for (const answer of await answersTo(caller, call)) expectBlind(`${duty} ${call.url}`, answer, hidden)
    const answers = [
      await caller.get(`/v1/counts/${number}/lines?limit=200`),
      await caller.get(`/v1/counts/${number}/lines`, { accept: 'text/csv' }),
      await caller.get(`/v1/counts/${number}/sheet`)
    ]
    for (const { text } of answers) {
      for (const figure of ['7919.013', '6841.017', '6800', '-41.017']) expect(text).toContain(figure)
    }
    expect((await at.lines(number, `part=${shelves.recount.part}`))[0]).toMatchObject({
      needsVerification: true,
      entries: [
        { round: 1, countedBy: at.keeper.person.username, counted: '5720.113', expected: '6841.017' },
        { round: 2, countedBy: at.signers['operations-supervisor'].person.username, counted: '6800' }
      ]
    })
  }
})
