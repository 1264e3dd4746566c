import { createHash } from 'node:crypto'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { buffer } from 'node:stream/consumers'
import Fastify from 'fastify'
import fc from 'fast-check'
import { readXlsx, type Sheet } from 'hucre'
import { afterEach, expect, test, vi } from 'vitest'
import { downloads } from '../../src/platform/downloads.ts'
import {
  sendXlsx,
  sheetOf,
  wantsXlsx,
  workbookOf,
  XLSX,
  type XlsxFormat,
  type XlsxSheet
} from '../../src/platform/xlsx.ts'

afterEach(() => vi.useRealTimers())

interface Line {
  part: string
  name: string | null
  receivedOn: string
  period: string
  quantity: string
  unitCost: string
  cost: string
  rate: string
  monthsCharged: number
}

const line = (of: Partial<Line> = {}): Line => ({
  part: '00234',
  name: '制动片',
  receivedOn: '2026-08-31',
  period: '2026-11',
  quantity: '3.500',
  unitCost: '12.5000',
  cost: '43.75',
  rate: '0.08',
  monthsCharged: 1,
  ...of
})

const depreciation = (rows: AsyncIterable<Line> | Iterable<Line>, title: string[] = []) =>
  sheetOf<Line>({
    name: '折旧 depreciation',
    title,
    rows,
    columns: {
      part: 'part 货号',
      name: { heading: 'name 货名', width: 30 },
      receivedOn: { heading: 'received on 入库日期', as: 'day' },
      period: { heading: 'period 期间', as: 'month' },
      quantity: { heading: 'quantity 数量', as: 'quantity', total: true },
      unitCost: { heading: 'unit cost 单价', as: 'unit-cost' },
      cost: { heading: 'cost 原值', as: 'money', total: true },
      rate: { heading: 'rate 折旧率', as: 'rate' },
      monthsCharged: { heading: 'months charged 已提月数', as: 'integer' }
    }
  })

/** One column under one heading. */
const single = (as: XlsxFormat, values: readonly unknown[], total = false) =>
  sheetOf({
    name: 'one',
    columns: { value: { heading: 'value', as, total } },
    rows: values.map((value) => ({ value }))
  })

const bytes = (sheets: readonly XlsxSheet[], options?: { rowsPerSheet?: number }) => buffer(workbookOf(sheets, options))
const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')

/** Read back by another library than the one that writes. */
const read = async (sheets: readonly XlsxSheet[], options?: { rowsPerSheet?: number }): Promise<Sheet[]> =>
  (await readXlsx(await bytes(sheets, options), { readStyles: true })).sheets
const cellsOf = async (sheet: XlsxSheet) => {
  const [{ rows }] = (await read([sheet])) as [Sheet]
  return rows.slice(1).map(([value]) => value)
}

test('figures are numbers, days are days, numbers of parts stay text, Chinese reads right', async () => {
  const [sheet] = (await read([depreciation([line(), line({ part: 'CH-0234', name: null, cost: '-0.01' })])])) as [
    Sheet
  ]

  expect(sheet.name).toBe('折旧 depreciation')
  expect(sheet.rows).toEqual([
    [
      '货号\npart',
      '货名\nname',
      '入库日期\nreceived on',
      '期间\nperiod',
      '数量\nquantity',
      '单价\nunit cost',
      '原值\ncost',
      '折旧率\nrate',
      '已提月数\nmonths charged'
    ],
    ['00234', '制动片', new Date('2026-08-31'), new Date('2026-11-01'), 3.5, 12.5, 43.75, 0.08, 1],
    ['CH-0234', null, new Date('2026-08-31'), new Date('2026-11-01'), 3.5, 12.5, -0.01, 0.08, 1],
    ['合计 total', null, null, null, 7, null, 43.74, null, null]
  ])
  const formats = (row: number) => sheet.rows[1].map((_, column) => sheet.cells?.get(`${row},${column}`)?.style?.numFmt)
  expect(formats(1)).toEqual([
    '@',
    '@',
    'yyyy-mm-dd',
    'yyyy-mm',
    '#,##0.000',
    '#,##0.0000',
    '#,##0.00',
    '0.00%',
    '#,##0'
  ])
  expect([sheet.cells?.get('3,4')?.style?.numFmt, sheet.cells?.get('3,6')?.style?.numFmt]).toEqual([
    '#,##0.000',
    '#,##0.00'
  ])
})

test('headings and totals are bold, lines are not; the head stays while one scrolls; columns are as wide as they are given', async () => {
  const title = ['折旧计提表 depreciation · SZ01 · 2026-11', '账簿位置 ledger position 4711']
  const [sheet] = (await read([depreciation([line()], title)])) as [Sheet]
  const isBold = (row: number, column = 0) => sheet.cells?.get(`${row},${column}`)?.style?.font?.bold === true

  expect(sheet.rows.map(([first]) => first)).toEqual([...title, '货号\npart', '00234', '合计 total'])
  expect([0, 1, 2, 3, 4].map((row) => isBold(row))).toEqual([true, true, true, false, true])
  expect(isBold(4, 6)).toBe(true)
  expect(sheet.freezePane).toMatchObject({ rows: 3 })
  expect(sheet.columns?.map(({ width }) => width)).toEqual([18, 30, 12, 10, 14, 14, 16, 10, 10])
})

test('the same rows give the same bytes, whenever and however slowly they come', async () => {
  const lines = Array.from({ length: 700 }, (_, index) => line({ part: `P-${index}`, cost: `${index}.25` }))
  async function* slowly() {
    for (const [index, each] of lines.entries()) {
      if (index % 100 === 0) await setTimeout(1)
      yield each
    }
  }
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-20T02:00:00Z') })
  const once = await bytes([depreciation(lines), single('text', ['a'])])
  vi.setSystemTime(new Date('2031-01-02T03:04:05Z'))
  const again = await bytes([depreciation(slowly()), single('text', ['a'])])

  expect(sha256(again)).toBe(sha256(once))
  expect(sha256(await bytes([depreciation(lines), single('text', ['b'])]))).not.toBe(sha256(once))
})

test('a decimal keeps its fifteen digits as a number; what is longer stays text', async () => {
  const values = ['1234567890123.45', '-999999999999999', '0.000000000000123', '5000000000000000.00', '-0.00']
  expect(await cellsOf(single('money', values))).toEqual([
    1234567890123.45, -999999999999999, 0.000000000000123, 5000000000000000, 0
  ])
  const longer = ['12345678901234.567', '-9999999999999999', 'not a number', '1e5', '+1', '=1']
  expect(await cellsOf(single('money', longer))).toEqual(longer)
})

test('no decimal ever loses a digit', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }), fc.integer({ min: 1, max: 4 })), {
        minLength: 1
      }),
      async (given) => {
        const decimals = given.map(([units, places]) => decimalOf(units, places))
        const cells = await cellsOf(single('money', decimals))
        // The shortest decimal that is the number is what a spreadsheet shows; what stays text stays as it is.
        expect(cells.map(String)).toEqual(
          cells.map((cell, index) => (typeof cell === 'number' ? shortest(decimals[index] ?? '') : decimals[index]))
        )
      }
    ),
    { numRuns: 30 }
  ))

const shortest = (decimal: string): string => decimal.replace(/[.]?0+$/, '').replace(/^-0$/, '0')

const decimalOf = (units: bigint, places: number): string => {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, '0')
  return `${units < 0n ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`
}

test('totals are exact where binary sums are not', async () => {
  const cents = Array.from({ length: 1000 }, () => '0.10')
  expect((await cellsOf(single('money', [...cents, '0.005', null, '-100', 1], true))).at(-1)).toBe(1.005)
  expect((await cellsOf(single('money', ['9007199254740993.01', '0.01'], true))).at(-1)).toBe('9007199254740993.02')
  expect(await cellsOf(single('money', [], true))).toEqual([0])
})

test('text that looks like a formula is text and no formula', async () => {
  const dangerous = ['=1+1', '+1', '-1', '@SUM(A1)', '=HYPERLINK("http://example.org")', '<b>&"', '007', '1e5']
  const [sheet] = (await read([single('text', dangerous)])) as [Sheet]
  expect(sheet.rows.slice(1).map(([value]) => value)).toEqual(dangerous)
  for (const [index] of dangerous.entries()) {
    expect(sheet.cells?.get(`${index + 1},0`)?.formula).toBeUndefined()
    expect(sheet.cells?.get(`${index + 1},0`)?.style?.numFmt).toBe('@')
  }
})

test('a day before spreadsheets count right, and what is no day, is text', async () => {
  const days = ['1900-02-28', '1900-03-01', '0001-01-01', '2026-11', '9999-12-31', null]
  expect(await cellsOf(single('day', days))).toEqual([
    '1900-02-28',
    new Date('1900-03-01'),
    '0001-01-01',
    '2026-11',
    new Date('9999-12-31')
  ])
})

test('rows beyond what a sheet holds go on in the next one, under the same headings; the totals stand once, at the end', async () => {
  const values = (of: Sheet) => of.rows.map(([value]) => value)
  const sheets = await read([single('integer', [1, 2, 3, 4], true), single('text', ['a'])], { rowsPerSheet: 3 })

  expect(sheets.map((of) => [of.name, ...values(of)])).toEqual([
    ['one', 'value', 1, 2],
    ['one (2)', 'value', 3, 4],
    ['one (3)', 'value', 10],
    ['one (4)', 'value', 'a']
  ])
})

test('names of sheets are cut and cleaned to what spreadsheet programs take', async () => {
  const named = (name: string) => ({ ...single('text', ['a']), name })
  const sheets = await read([named(`[${'长'.repeat(40)}]`), named('A/B:C'), named('a/b:c'), named("''")])
  expect(sheets.map(({ name }) => name)).toEqual([` ${'长'.repeat(30)}`, 'A B C', 'a b c (2)', 'Sheet'])
})

test('a source that fails breaks the workbook off; one whose reader goes away is closed', async () => {
  async function* failing() {
    yield { value: 'a' }
    throw new Error('the cursor is gone')
  }
  const columns = { value: 'value' }
  await expect(bytes([sheetOf({ name: 'one', columns, rows: failing() })])).rejects.toThrow('the cursor is gone')

  let closed = false
  function* endless() {
    try {
      for (;;) yield { value: 'a' }
    } finally {
      closed = true
    }
  }
  for await (const chunk of workbookOf([sheetOf({ name: 'one', columns, rows: endless() })])) {
    expect(chunk.length).toBeGreaterThan(0)
    break
  }
  await expect.poll(() => closed).toBe(true)
})

test('everybody else gets a turn while wide rows are written', async () => {
  const members = Array.from({ length: 200 }, (_, index) => `m${index}`)
  const row = Object.fromEntries(members.map((member) => [member, '12.50']))
  const wide = sheetOf<Record<string, string>>({
    name: 'wide',
    columns: Object.fromEntries(members.map((member) => [member, { heading: member, as: 'money' as const }])),
    rows: Array.from({ length: 1_000 }, () => row)
  })
  // The library is loaded by the first workbook.
  await bytes([single('text', ['a'])])
  let isWriting = true
  let turns = 0
  const others = (async () => {
    for (; isWriting; turns++) await setImmediate()
  })()
  await bytes([wide])
  isWriting = false
  await others
  expect(turns).toBeGreaterThan(10)
})

test('over HTTP: asked for by its media type, sent as a file with a Chinese name', async () => {
  const app = Fastify()
  await app.register(downloads, { connections: 1, stalledMs: 1_000 })
  app.get('/', (request, reply) =>
    wantsXlsx(request) ? sendXlsx(reply, "折旧 SZ01 (2026-11)'.xlsx", [single('text', ['好'])]) : reply.send('{}')
  )
  const plain = await app.inject({ url: '/', headers: { accept: 'application/json, text/csv' } })
  expect(plain.body).toBe('{}')

  const { headers, rawPayload } = await app.inject({ url: '/', headers: { accept: `text/csv;q=0.5, ${XLSX}` } })
  expect(headers['content-type']).toBe(XLSX)
  expect(headers['content-disposition']).toBe(
    `attachment; filename="___SZ01__2026-11__.xlsx"; filename*=UTF-8''%E6%8A%98%E6%97%A7%20SZ01%20%282026-11%29%27.xlsx`
  )
  const { sheets } = await readXlsx(rawPayload)
  expect(sheets[0]?.rows).toEqual([['value'], ['好']])
  await app.close()
})
