import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backtestLines } from '../../src/replenishment/backtest-report.ts'
import { backtest, CANDIDATES, type Backtest, type BacktestOptions } from '../../src/replenishment/backtest.ts'
import { readDemandFile, type DemandFile } from '../../src/replenishment/demand-file.ts'
import { expectClose } from './expect-close.ts'

// Forty of the 2,674 parts of the carparts set; see the README beside the file.
const CARPARTS = fileURLToPath(new URL('../data/forecasts/carparts-cut.csv', import.meta.url))
const OPTIONS: BacktestOptions = { months: 12, leadTimeDays: 30, target: { measure: 'cycle-service', level: 0.95 } }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bincard-backtest-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function fileOf(...lines: string[]): Promise<string> {
  const file = path.join(folder, 'demand.csv')
  await writeFile(file, lines.join('\n'))
  return file
}
const read = async (...lines: string[]) => readDemandFile(await fileOf(...lines))
const faultOf = async (...lines: string[]) =>
  read(...lines).then(
    () => 'no fault',
    (error: unknown) => (error as Error).message.replace(path.join(folder, 'demand.csv'), 'FILE')
  )

describe('a demand file', () => {
  test('has a line per part; a month that is not recorded at an end is none', async () => {
    expect(
      await read('\ufeffpart,2025-11,2025-12,2026-01,2026-02', '0001,0,2,,', '0002,,,1.5,0', '', '0003,1,2,3,4')
    ).toEqual({
      months: ['2025-11', '2025-12', '2026-01', '2026-02'],
      series: [
        { part: '0001', from: 0, demand: [0, 2] },
        { part: '0002', from: 2, demand: [1.5, 0] },
        { part: '0003', from: 0, demand: [1, 2, 3, 4] }
      ]
    })
  })

  test('with a gap is refused, with line and month: missing is not zero', async () => {
    expect(await faultOf('part,2026-01,2026-02,2026-03', 'A,1,2,3', 'B,4,,5')).toBe(
      'FILE is refused:\n  line 3: B in 2026-02 is empty, between months with figures: that is a gap, not a zero; write 0 if nothing was wanted, or the figure'
    )
  })

  test.each([
    [
      'part,2026-01',
      'A,-2',
      'line 2: A in 2026-01 is -2; demand is not below 0: count returns against the month of their issue'
    ],
    ['part,2026-01', 'A,two', 'line 2: A in 2026-01 is "two"; a number such as 3 or 2.5 is wanted'],
    ['part,2026-01', 'A,NaN', 'line 2: A in 2026-01 is "NaN"; a number such as 3 or 2.5 is wanted'],
    ['part,2026-01', 'A,1\nA,2', 'line 3: line 2 is about A already; a part has one line'],
    ['part,2026-01', ',2', 'line 2: the part is missing; every line starts with its number'],
    ['part,2026-01', 'A,', 'line 2: A has no month recorded; leave the line out'],
    ['part,2026-01', 'A,1,2', 'line 2: there are 3 cells, the heading has 2']
  ])('is refused: %s / %s', async (heading, line, fault) => {
    expect(await faultOf(heading, line)).toBe(`FILE is refused:\n  ${fault}`)
  })

  test.each([
    ['item,2026-01', 'the first column is "item", not part'],
    ['part', 'it has no months'],
    ['part,2026-01,sum', 'column 3 is "sum", which is no month'],
    ['part,2026-13', 'column 2 is "2026-13", which is no month'],
    ['part,2026-01,2026-03', 'after 2026-01 comes 2026-02, but column 3 is 2026-03'],
    ['part,2026-01,2026-01', 'after 2026-01 comes 2026-02, but column 3 is 2026-01'],
    ['part;2026-01', 'the first column is "part;2026-01", not part']
  ])('with the heading %s is refused', async (heading, fault) => {
    expect(await faultOf(heading, 'A,1')).toBe(
      `FILE is refused: its heading is not right: ${fault}; the first line names the columns: part, then the months, e.g. part,1998-01,1998-02`
    )
  })

  test('tells the first five faults and how many more there are', async () => {
    const fault = await faultOf('part,2026-01', ...Array.from({ length: 8 }, (_, i) => `P${i},x`))
    expect(fault.split('\n')).toHaveLength(7)
    expect(fault).toMatch(/\n {2}and 3 more$/)
  })

  test('that is empty, has no parts, is no CSV or does not exist is refused', async () => {
    expect(await faultOf('')).toMatch(/^FILE is empty; the first line names the columns/)
    expect(await faultOf('part,2026-01')).toBe('FILE has headings but no parts; a line each is wanted')
    expect(await faultOf('part,2026-01', '"A,1')).toMatch(/^FILE is not CSV: /)
    await expect(readDemandFile(path.join(folder, 'nowhere.csv'))).rejects.toThrow('does not exist; name a CSV file')
    await expect(readDemandFile(folder)).rejects.toThrow('is a folder; name a CSV file in it')
  })
})

describe('a backtest of recorded demand (R-ORD-1)', () => {
  let carparts: DemandFile
  let result: Backtest
  beforeAll(async () => {
    carparts = await readDemandFile(CARPARTS)
    result = backtest(carparts, OPTIONS)
  })

  test('says what was tested', () => {
    expect(result).toMatchObject({
      months: { from: '2001-04', to: '2002-03', count: 12 },
      parts: 40,
      leftOut: 2,
      classes: { none: 0, smooth: 0, erratic: 0, intermittent: 36, lumpy: 2 },
      options: { leadTimeDays: 30, warmUpMonths: 12 }
    })
    // Every part and month of test and warm-up, for every method.
    expect(result.levels.count).toBe(38 * 24 * CANDIDATES.length)
  })

  test('has a row for every method, of all parts and of each class', () => {
    const rows = ['all', 'intermittent', 'lumpy'].flatMap((demandClass) =>
      CANDIDATES.map((candidate) => ({ candidate, demandClass }))
    )
    expect(result.accuracy.map(({ candidate, demandClass }) => ({ candidate, demandClass }))).toEqual(rows)
    expect(result.service.map(({ candidate, demandClass }) => ({ candidate, demandClass }))).toEqual(rows)
    expect(result.accuracy[0]).toMatchObject({ series: 38, seriesMonths: 38 * 12 })
  })

  test('shows the methods nearly reach their target with a choice by backtest', () => {
    const row = result.service.find(
      ({ candidate, demandClass }) => candidate === 'by-backtest' && demandClass === 'all'
    )
    expect(row?.promised).toBeGreaterThan(0.95)
    expect(row?.covered).toBeGreaterThan(0.92)
    expect(row?.fillRate).toBeGreaterThan(0.85)
  })

  test('knows nothing of what came later', () => {
    // With a thousand more in the last month, what was forecast up to it stays as it was: forecasts = (1 + bias) × demand.
    const last = carparts.months.length - 1
    const changed = {
      ...carparts,
      series: carparts.series.map((one) => ({
        ...one,
        demand: one.demand.map((month, i) => (i === last ? month + 1000 : month))
      }))
    }
    const forecasts = (file: DemandFile) => {
      const tested = file.series.flatMap(({ demand }) => demand.slice(last - 11))
      const demand = tested.reduce((sum, month) => sum + month, 0)
      return backtest(file, OPTIONS)
        .accuracy.filter(({ demandClass }) => demandClass === 'all')
        .map(({ bias }) => ((bias ?? 0) + 1) * demand)
    }
    const [before, after] = [forecasts(carparts), forecasts(changed)]
    for (const [i, forecast] of before.entries()) expectClose(after[i], forecast, 1e-9, CANDIDATES[i] ?? '')
  })

  test('a part that is wanted the same every month is forecast and served without fault', () => {
    const months = Array.from({ length: 36 }, (_, i) =>
      Temporal.PlainYearMonth.from('2023-01').add({ months: i }).toString()
    )
    const steady = backtest({ months, series: [{ part: 'A', from: 0, demand: months.map(() => 4) }] }, OPTIONS)
    expect(steady.accuracy.find(({ candidate }) => candidate === 'by-class')).toMatchObject({
      demandClass: 'all',
      mae: 0,
      bias: 0,
      mase: null,
      scaledPeriodsInStock: 0
    })
    expect(steady.service.find(({ candidate }) => candidate === 'by-class')).toMatchObject({
      covered: 1,
      cycleService: 1,
      fillRate: 1
    })
  })

  test('more than is recorded cannot be tested', () => {
    expect(() => backtest(carparts, { ...OPTIONS, months: 51 })).toThrow(
      'the file has 51 months; to test the last 51 of them, at least 52 are needed'
    )
  })

  test('reads as two tables', () => {
    const lines = backtestLines(result)
    expect(lines[0]).toBe(
      '40 parts, tested on 12 months, 2001-04 to 2002-03; classes by the months before: 0 none, 0 smooth, 0 erratic, 36 intermittent, 2 lumpy; 2 parts without a month in or before the test left out'
    )
    expect(lines.filter((line) => line.startsWith('all '))).toHaveLength(2 * CANDIDATES.length)
    expect(lines.at(-1)).toMatch(/^\d+ levels at [\d.]+ µs each; [\d.]+ s in all$/)
  })
})

describe('npm run backtest', () => {
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', './src/check-node.mjs', 'src/backtest.ts', ...args],
      { encoding: 'utf8' }
    )
    return { status, stdout, stderr }
  }

  test('prints the tables, or JSON', () => {
    const asText = run(CARPARTS, '--months', '6')
    expect(asText).toMatchObject({ status: 0, stderr: '' })
    expect(asText.stdout).toContain('tested on 6 months, 2001-10 to 2002-03')
    const asJson = run(CARPARTS, '--json', '--service', '0.9', '--measure', 'fill-rate', '--lead-time-days', '45')
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      parts: 40,
      options: { leadTimeDays: 45, target: { measure: 'fill-rate', level: 0.9 } }
    })
  })

  test('says what would be right, and fails', async () => {
    const missing = run(path.join(folder, 'nowhere.csv'))
    expect([missing.status, missing.stdout]).toEqual([1, ''])
    expect(missing.stderr).toContain('nowhere.csv does not exist; name a CSV file')
    expect(run(await fileOf('part,2026-01,2026-02,2026-03', 'A,1,,2'))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('line 2: A in 2026-02 is empty') as string
    })
    expect(run(CARPARTS, '--service', '1').stderr).toContain('give a share strictly between 0 and 1, such as 0.95')
    expect(run(CARPARTS, '--lead-time-days', '0').stderr).toContain('give a whole number from 1')
  })
})
