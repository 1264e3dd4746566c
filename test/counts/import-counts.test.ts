import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsAs } from '../support/calls.ts'
import type { Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openCounting, type Counting } from './counting.ts'

let h: Harness
let at: Counting
beforeAll(async () => {
  h = await openHarness()
  at = await openCounting(h)
})
afterAll(() => h.close())

const HEADINGS = '行号,货号,所有权,质量状态,实盘数量,卡片数量'
const send = async (number: string, lines: string[], caller: Caller = at.keeper) =>
  callsAs(h, caller.person).upload(`/v1/counts/${number}/entries/csv`, `${lines.join('\n')}\n`)

/** A cycle count of parts of which so much is on hand, in the order of their lines. */
async function opened(...onHand: string[]): Promise<{ number: string; parts: string[] }> {
  const parts: string[] = []
  for (const quantity of onHand) parts.push((await at.stocked({ quantity })).number)
  const { number } = await at.open({ kind: 'cycle', parts })
  return { number, parts: (await at.lines(number)).map(({ part }) => part as string) }
}

test('what is right is recorded, what is wrong is told by its line, and a blank is not a count but zero is (R-CNT-2)', async () => {
  const { number, parts } = await opened('5', '5', '5', '5', '5', '5', '5')
  const answer = await send(number, [
    HEADINGS,
    `1,${parts[0]},自有,合格,5,5`,
    `,${parts[1]},,,5.000,5`,
    `3,,,,,`,
    `4,${parts[3]},own,qualified,0,5`,
    `5,${parts[5]},自有,合格,5,5`,
    `6,${parts[5]},自有,合格,five,5`,
    `7,${parts[6]},自有,合格,5,`,
    `99,${parts[6]},自有,合格,5,5`,
    `,GHOST,,,5,5`,
    `,,,,5,5`
  ])
  expect(answer.headers['etag']).toBe(`"${answer.body.version}"`)
  expect(answer.status).toBe(200)
  expect(answer.body).toMatchObject({ number, settled: 2, recountDue: 1, refused: 6, unchanged: 0, blank: 1 })
  expect(answer.body.rows.map(({ row, line, outcome }: any) => [row, line, outcome])).toEqual([
    [2, 1, 'settled'],
    [3, 2, 'settled'],
    [4, 3, 'blank'],
    [5, 4, 'recount-due'],
    [6, 5, 'refused'],
    [7, 6, 'refused'],
    [8, 7, 'refused'],
    [9, 99, 'refused'],
    [10, null, 'refused'],
    [11, null, 'refused']
  ])
  const told = answer.body.rows.map(({ problems }: { problems: string[] }) => problems.join())
  expect(told.slice(4)).toEqual([
    expect.stringContaining(`line 5 is ${parts[4]}`),
    expect.stringContaining('counted is "five"'),
    expect.stringContaining('card is empty'),
    expect.stringContaining('no line 99'),
    expect.stringContaining('GHOST'),
    expect.stringContaining('say which line')
  ])
  expect((await at.lines(number)).map(({ state, counted }) => [state, counted])).toEqual([
    ['settled', '5'],
    ['settled', '5'],
    ['open', null],
    ['recount-due', null],
    ['open', null],
    ['open', null],
    ['open', null]
  ])
})

test('the list of lines is the file to fill: it comes back with its headings, and settled lines stay as they are', async () => {
  const { number, parts } = await opened('5', '7', '9')
  await at.count(number, [{ line: 2, counted: '6' }])
  const { text } = await at.keeper.get(`/v1/counts/${number}/lines`, { accept: 'text/csv' })
  const [headings = '', ...rows] = text.trim().split('\n')
  const cells = headings.replace('\uFEFF', '').split(',')
  const place = (heading: string) => cells.findIndex((cell) => cell.startsWith(heading))
  const filled = rows.map((row) => {
    const values = row.split(',')
    if (values[place('state')] !== 'open') return row
    values[place('counted ')] = '9'
    values[place('card ')] = '9'
    return values.join(',')
  })
  const answer = must(await send(number, [headings, ...filled]), 200)
  expect(answer.rows).toMatchObject([
    { row: 2, line: 1, part: parts[0], outcome: 'recount-due', problems: [] },
    { row: 3, line: 2, part: parts[1], outcome: 'unchanged', problems: [] },
    { row: 4, line: 3, part: parts[2], outcome: 'settled', problems: [] }
  ])
  expect(answer).toMatchObject({ settled: 1, recountDue: 1, refused: 0, unchanged: 1, blank: 0 })
  // Another figure for a settled line is no correction; the finance supervisor has it counted again.
  expect((await send(number, [HEADINGS, '2,,,,7,7'])).body).toMatchObject({
    refused: 1,
    rows: [{ outcome: 'refused', problems: [expect.stringContaining('settled')] }]
  })
})

test('an unfilled file counts nothing', async () => {
  const { number } = await opened('1', '2')
  const { text } = await at.keeper.get(`/v1/counts/${number}/lines`, { accept: 'text/csv' })
  const { version } = must(await at.keeper.get(`/v1/counts/${number}`), 200)
  expect(must(await send(number, text.trim().split('\n')), 200)).toMatchObject({
    version,
    blank: 2,
    settled: 0,
    recountDue: 0,
    refused: 0
  })
})

test('a part number that a spreadsheet would run comes back as it is', async () => {
  const part = await h.make.part({ number: '=SUM(A1)' })
  await at.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '5', unitCost: '1' }] })
  const { number } = await at.open({ kind: 'cycle', parts: [part.number] })
  const { text } = await at.keeper.get(`/v1/counts/${number}/lines`, { accept: 'text/csv' })
  expect(text).toContain(`1,'=SUM(A1),`)
  expect(must(await send(number, [HEADINGS, `1,'=SUM(A1),,,5,5`]), 200)).toMatchObject({ settled: 1 })
})

test('a line is counted once per file; several rows of it say its lots', async () => {
  const { number, parts } = await opened('5', '6', '7')
  await at.posted({ kind: 'receipt', lines: [{ part: parts[1], quantity: '4', unitCost: '2' }] })
  const lots = await h.sql<{ id: string }>(
    `select lot.id::text as id from lot join part on part.id = lot.part_id where part.number = $1 order by lot.id`,
    [parts[1]]
  )
  const answer = must(
    await send(number, [
      `${HEADINGS},批次`,
      '1,,,,5,5,',
      '1,,,,4,4,',
      `2,,,,6,10,${lots[0]?.id}`,
      `2,,,,4,,${lots[1]?.id}`,
      `3,,,,3,7,1`,
      `3,,,,4,8,2`
    ]),
    200
  )
  expect(answer.rows.map(({ outcome }: any) => outcome)).toEqual([
    'settled',
    'refused',
    'settled',
    'settled',
    'refused',
    'refused'
  ])
  expect(answer.rows[1].problems).toEqual(['line 2 of the file is about it already'])
  expect(answer.rows[4].problems).toEqual([
    'the rows of one line say different cards; the bin card is of the whole line'
  ])
  expect((await at.lines(number))[1]).toMatchObject({
    state: 'settled',
    counted: '10',
    expected: '10',
    lots: [
      { lot: lots[0]?.id, counted: '6', expected: '6', variance: '0' },
      { lot: lots[1]?.id, counted: '4', expected: '4', variance: '0' }
    ]
  })
  const huge = '999999999999'
  expect((await send(number, [`${HEADINGS},批次`, `3,,,,${huge},1,1`, `3,,,,${huge},1,2`])).body).toMatchObject({
    refused: 2,
    settled: 0
  })
})

test('a file longer than one call carries is recorded whole', async () => {
  const parts = await h.sql<{ id: number }>(
    `insert into part (number, name) select 'LONG-' || lpad(n::text, 4, '0'), 'part ' || n from generate_series(1, 2300) n returning id`
  )
  await h.sql(
    `insert into balance (warehouse_id, part_id, ownership, condition, part_number) select $1, id, 'own', 'qualified', number from part where id = any ($2::int[])`,
    [at.warehouseId, parts.map(({ id }) => id)]
  )
  const { number } = await at.open({ kind: 'cycle', zeroStock: true })
  const { progress } = must(await at.keeper.get(`/v1/counts/${number}`), 200)
  expect(progress.lines).toBe(2300)
  const rows = Array.from({ length: 2300 }, (_, index) => `${index + 1},,,,0,0`)
  expect(must(await send(number, [HEADINGS, ...rows]), 200)).toMatchObject({ settled: 2300, refused: 0, blank: 0 })
  expect(must(await at.keeper.get(`/v1/counts/${number}`), 200).progress).toMatchObject({ settled: 2300, open: 0 })
})

describe('a file is refused', () => {
  test('as a whole where it is no file of counts, and nothing is recorded', async () => {
    const { number } = await opened('5')
    const codes = async (file: string | Buffer, type?: string) => {
      const { status, body } = await callsAs(h, at.keeper.person).upload(`/v1/counts/${number}/entries/csv`, file, type)
      return [status, body.code]
    }
    expect(await codes('行号,库位\n1,A4\n')).toEqual([422, 'CsvHeadings'])
    expect(await codes(`${HEADINGS}\n`)).toEqual([422, 'CsvEmpty'])
    expect(await codes('行号;实盘数量;卡片数量\n1;5;5\n')).toEqual([422, 'CsvSeparator'])
    expect(await codes(Buffer.from([0xd0, 0xd0, 0xba, 0xc5]))).toEqual([400, 'NotUtf8'])
    expect((await codes('{}', 'application/json'))[0]).toBe(415)
    expect((await at.lines(number))[0]).toMatchObject({ state: 'open', rounds: 0 })
  })

  test('from whoever does not count there, also an empty one', async () => {
    const { number } = await opened('5')
    const stranger = await openCounting(h)
    for (const row of ['1,,,,5,5', '1,,,,,']) {
      expect(await send(number, [HEADINGS, row], stranger.keeper)).toMatchObject({
        status: 404,
        body: { code: 'NotFound' }
      })
      expect(await send(number, [HEADINGS, row], at.signers['finance-supervisor'])).toMatchObject({
        status: 403,
        body: { code: 'DutyRequired' }
      })
    }
    // They may count again what the keeper counted, but not first.
    expect((await send(number, [HEADINGS, '1,,,,5,5'], at.signers['operations-supervisor'])).body).toMatchObject({
      refused: 1,
      rows: [{ problems: [expect.stringContaining('this needs the duty keeper')] }]
    })
  })

  test('when the count is no longer open', async () => {
    const { number } = await opened('5')
    await at.count(number, [{ line: 1, counted: '5' }])
    await at.submit(number)
    expect(await send(number, [HEADINGS, '1,,,,5,5'])).toMatchObject({ status: 409, body: { code: 'CountNotOpen' } })
  })
})

test('the same file twice changes nothing the second time', async () => {
  const { number } = await opened('5', '6')
  const file = [HEADINGS, '1,,,,5,5', '2,,,,6,5']
  must(await send(number, file), 200)
  const before = await at.lines(number)
  const { version } = must(await at.keeper.get(`/v1/counts/${number}`), 200)
  expect(must(await send(number, file), 200)).toMatchObject({ unchanged: 2, settled: 0, version })
  expect(await at.lines(number)).toEqual(before)
})
