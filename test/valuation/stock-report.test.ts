import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closePeriod } from '../../src/valuation/close-period.ts'
import { stockReportRows, type StockReportRow } from '../../src/valuation/stock-report.ts'
import { verifyStatement } from '../../src/valuation/verify-statement.ts'
import { callerFor, openCounter, type Caller } from '../support/counter.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { cells, download, sheetsOf } from '../support/downloads.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel } from '../support/kernel.ts'
import type { MadePerson } from '../support/make.ts'
import { approvedCount, closeMonth } from '../support/month-end.ts'

let h: Harness
let closer: MadePerson
let finance: Caller
beforeAll(async () => {
  h = await openHarness()
  closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
  finance = callerFor(h, closer)
})
afterAll(() => h.close())

const hundredths = (amount: string): bigint => BigInt(amount.replace('.', ''))
const thousandths = (quantity: string): bigint => {
  const [whole = '', places = ''] = quantity.split('.')
  return BigInt(`${whole}${places.padEnd(3, '0')}`)
}

/** What does not add up in a row: opening + in − out + adjustment = closing, to which accumulated depreciation has the charge. */
function faultsOf(row: StockReportRow): string[] {
  const adds = (what: 'Quantity' | 'Cost' | 'AccumulatedDepreciation' | 'NetBookValue', more = 0n) => {
    const unit = what === 'Quantity' ? thousandths : hundredths
    const of = (figure: 'opening' | 'in' | 'out' | 'adjustment' | 'closing') => unit(row[`${figure}${what}`])
    return of('opening') + of('in') - of('out') + of('adjustment') + more === of('closing')
      ? []
      : [`${row.period} ${row.part} ${row.ownership} ${row.condition}: ${what}`]
  }
  return [
    ...adds('Quantity'),
    ...adds('Cost'),
    ...adds('AccumulatedDepreciation', hundredths(row.charge)),
    ...adds('NetBookValue', -hundredths(row.charge))
  ]
}

type Figures = Record<string, [quantity: string, cost: string, accumulated: string]>
/** The opening or the closing figures of every balance that has any. */
const side = (rows: StockReportRow[], of: 'opening' | 'closing'): Figures =>
  Object.fromEntries(
    rows.flatMap((row) =>
      row[`${of}Quantity`] === '0'
        ? []
        : [
            [
              `${row.part} ${row.ownership} ${row.condition}`,
              [row[`${of}Quantity`], row[`${of}Cost`], row[`${of}AccumulatedDepreciation`]]
            ]
          ]
    )
  )

describe('half a year of one warehouse with every kind of slip and a count at every month end', () => {
  const MONTHS = ['2026-06', '2026-07', '2026-08', '2026-09', '2026-10', '2026-11']
  let counting: Counting
  let pad: string
  let belt: string
  const report = async (period: string): Promise<any> => {
    const { status, body } = await finance.get(
      `/v1/warehouses/${counting.warehouse}/periods/${period}/stock-report?limit=200`
    )
    expect(status).toBe(200)
    return body
  }
  const rowOf = async (period: string, part: string, ownership = 'own', condition = 'qualified') =>
    (await report(period)).items.find(
      (row: StockReportRow) => row.part === part && row.ownership === ownership && row.condition === condition
    )

  /** Counts everything, so many more or fewer of a part than the ledger has, and closes the month at the start of the next. */
  async function monthEnd(period: string, differences: Record<string, number> = {}) {
    h.clock.set(`${period}-28T10:00`)
    const { number } = await counting.open({ kind: 'month-end', period })
    const found = []
    for (const { line, part, ownership, condition } of await counting.lines(number)) {
      const onHand = Number(await counting.onHand(part, ownership, condition))
      found.push({ line, counted: String(onHand + (differences[`${part} ${ownership} ${condition}`] ?? 0)) })
    }
    await counting.count(number, found)
    const next = Temporal.PlainYearMonth.from(period).add({ months: 1 }).toString()
    h.clock.set(`${next}-02T10:00`)
    await counting.settle(number)
    const closing = await finance.post(`/v1/warehouses/${counting.warehouse}/periods/${period}/closing`)
    expect([closing.status, closing.text]).toEqual([201, expect.any(String)])
  }

  beforeAll(async () => {
    h.clock.set('2026-06-03T10:00')
    counting = await openCounting(h)
    const elsewhere = await openCounter(h)
    pad = (await h.make.part({ specification: 'M8 × 20' })).number
    belt = (await h.make.part()).number
    const { posted } = counting
    const own = (quantity: string) => ({ part: pad, quantity })
    await posted({
      kind: 'receipt',
      lines: [
        { ...own('20'), unitCost: '12.3456' },
        { ...own('3'), unitCost: '5', condition: 'nonconforming' },
        { part: belt, quantity: '6', ownership: 'consigned' }
      ]
    })
    const sale = await posted({ kind: 'sale', reference: 'S-1', lines: [own('2')] })
    await monthEnd('2026-06')
    const issue = await posted({ kind: 'issue', reference: 'RO-1', lines: [own('5')] })
    await posted({ kind: 'return', reference: issue.number, reason: 'too many', lines: [own('2')] })
    await monthEnd('2026-07', { [`${pad} own qualified`]: -1, [`${belt} consigned qualified`]: 2 })
    const transfer = await posted({ kind: 'transfer-out', counterparty: elsewhere.warehouse, lines: [own('3')] })
    await posted({ kind: 'scrap', lines: [{ ...own('1'), condition: 'nonconforming' }] })
    const loan = await posted({ kind: 'loan-out', reference: 'L-1', lines: [own('1')] })
    await posted({ kind: 'loan-in', reference: loan.number, lines: [own('1')] })
    const wrong = await posted({ kind: 'receipt', lines: [{ ...own('7'), unitCost: '13' }] })
    await posted({ kind: 'reversal', reference: wrong.number, reason: 'not ours' })
    // It arrives, so that nothing is under way when the months are closed.
    await elsewhere.posted({
      kind: 'transfer-in',
      reference: transfer.number,
      lines: [{ ...own('3'), unitCost: '12.3456' }]
    })
    await monthEnd('2026-08')
    await posted({ kind: 'reversal', reference: sale.number, reason: 'not sold' })
    await posted({ kind: 'receipt', lines: [{ ...own('0.125'), unitCost: '9.9999' }] })
    await monthEnd('2026-09', { [`${pad} own qualified`]: 1 })
    await monthEnd('2026-10')
    await posted({ kind: 'supplier-return', lines: [{ part: belt, quantity: '8', ownership: 'consigned' }] })
    await monthEnd('2026-11')
  }, 180_000)

  test('opening + in − out + adjustment = closing in every row, and in the totals (R-FIN-2)', async () => {
    for (const period of MONTHS) {
      const { items, totals, state } = await report(period)
      expect(state).toBe('closed')
      expect(items.flatMap(faultsOf)).toEqual([])
      expect(faultsOf({ ...totals, period, part: 'totals', ownership: 'own', condition: 'qualified' })).toEqual([])
      const sum = (member: string) => items.reduce((cents: bigint, row: any) => cents + hundredths(row[member]), 0n)
      for (const member of ['openingCost', 'inCost', 'outCost', 'adjustmentCost', 'charge', 'closingNetBookValue'])
        expect(sum(member)).toBe(hundredths(totals[member]))
    }
  })

  test('every month opens with what the one before closed with', async () => {
    for (const [index, period] of MONTHS.entries()) {
      const before = MONTHS[index - 1]
      expect(side((await report(period)).items, 'opening')).toEqual(
        before === undefined ? {} : side((await report(before)).items, 'closing')
      )
    }
  })

  test('each kind of slip stands where it belongs, and a reversal, negative, where its slip stood', async () => {
    const figures = async (period: string, part = pad, ownership = 'own') => {
      const { openingQuantity, inQuantity, outQuantity, adjustmentQuantity, closingQuantity } = await rowOf(
        period,
        part,
        ownership
      )
      return [openingQuantity, inQuantity, outQuantity, adjustmentQuantity, closingQuantity]
    }
    expect(await figures('2026-06')).toEqual(['0', '20', '2', '0', '18'])
    expect(await figures('2026-07')).toEqual(['18', '2', '5', '-1', '14'])
    expect(await figures('2026-07', belt, 'consigned')).toEqual(['6', '0', '0', '2', '8'])
    expect(await figures('2026-08')).toEqual(['14', '1', '4', '0', '11'])
    expect(await figures('2026-09')).toEqual(['11', '0.125', '-2', '1', '14.125'])
    // Nothing moved, and it is charged all the same.
    expect(await figures('2026-10')).toEqual(['14.125', '0', '0', '0', '14.125'])
    expect(await figures('2026-11', belt, 'consigned')).toEqual(['8', '0', '8', '0', '0'])
    expect(await rowOf('2026-11', belt, 'consigned')).toMatchObject({ outCost: '0.00', closingCost: '0.00' })
    expect((await rowOf('2026-09', pad, 'own', 'nonconforming')).charge).toBe('0.80')
  })

  test('the charge of the report is that of the depreciation, and both tie to the ledger', async () => {
    for (const period of MONTHS) {
      const path = `/v1/warehouses/${counting.warehouse}/periods/${period}`
      const { totals } = await report(period)
      const { body: depreciation } = await finance.get(`${path}/depreciation`)
      expect([totals.charge, totals.closingCost, totals.closingAccumulatedDepreciation]).toEqual([
        depreciation.totals.charge,
        depreciation.totals.cost,
        depreciation.totals.accumulatedDepreciation
      ])
      expect((await finance.get(`${path}/statement/verification`)).body.findings).toEqual([])
    }
    expect(await counting.verify()).toMatchObject({ ok: true })
  })

  test('what closed last is the stock of today, as long as nothing moved since', async () => {
    const { body } = await finance.get(`/v1/warehouses/${counting.warehouse}/stock`)
    expect(
      Object.fromEntries(
        body.items.flatMap((row: any) =>
          row.onHand === '0'
            ? []
            : [[`${row.part} ${row.ownership} ${row.condition}`, [row.onHand, row.cost, row.accumulatedDepreciation]]]
        )
      )
    ).toEqual(side((await report('2026-11')).items, 'closing'))
    // And what the open month opens with.
    expect(side((await report('2026-12')).items, 'opening')).toEqual(side((await report('2026-11')).items, 'closing'))
  })

  test('as a file it has both languages, one heading a figure, and totals', async () => {
    const path = `/v1/warehouses/${counting.warehouse}/periods/2026-07/stock-report`
    const csv = await download(h, finance, path, 'csv')
    expect(csv.text.startsWith('\uFEFFperiod 会计期间,warehouse 仓库,part 货号')).toBe(true)
    expect(cells(csv.text)).toHaveLength(3)
    const [sheet] = await sheetsOf(await download(h, finance, path, 'xlsx'))
    const headings = sheet?.rows[5] ?? []
    expect(headings).toContain('期初原值\nopening cost')
    expect(headings).toContain('期末数量\nclosing quantity')
    const { totals } = await report('2026-07')
    const last = sheet?.rows.at(-1) ?? []
    expect(last[headings.indexOf('期末净值\nclosing net book value')]).toBe(Number(totals.closingNetBookValue))
    expect(last[headings.indexOf('盘点调整数量\nadjustment quantity')]).toBe(1)
  })
})

test('whatever moved and was closed in whatever order of days, reports add up, follow on each other and verify', async () => {
  const MONTHS = ['2026-05', '2026-06', '2026-07', '2026-08', '2026-09']
  const quantity = fc.integer({ min: 1, max: 9999 }).map((units) => (units / 1000).toFixed(3))
  const act = fc.record({
    kind: fc.constantFrom('receive', 'issue', 'issue', 'undo'),
    part: fc.nat(1),
    quantity,
    unitCost: fc.integer({ min: 0, max: 99_999 }).map((units) => (units / 10_000).toFixed(4)),
    day: fc.integer({ min: 1, max: 28 }),
    // Papers that arrive late, into the month before if it is still open.
    late: fc.boolean(),
    age: fc.integer({ min: 0, max: 500 })
  })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(act, { maxLength: 6 }), { minLength: 5, maxLength: 5 }), async (months) => {
      h.clock.set('2026-10-20T10:00')
      const k = await kernel(h)
      const shelves = [await k.shelf(), await k.shelf()] as const
      const issued: {
        slip: Awaited<ReturnType<typeof k.postSlip>>
        shelf: (typeof shelves)[number]
        quantity: string
        on: string
      }[] = []
      for (const [index, acts] of months.entries()) {
        for (const { kind, part, quantity: amount, unitCost, day, late, age } of acts) {
          const month = MONTHS[late ? Math.max(0, index - 1) : index]
          const on = `${month}-${String(day).padStart(2, '0')}`
          const shelf = shelves[part === 0 ? 0 : 1]
          const receivedOn = Temporal.PlainDate.from(on).subtract({ days: age }).toString()
          const accepted = async (post: () => Promise<unknown>) =>
            post().catch(async (error: unknown) => k.refusal(Promise.reject(error as Error)))
          if (kind === 'receive') await accepted(() => k.receive(shelf, amount, unitCost, { on, receivedOn }))
          else if (kind === 'issue')
            await accepted(async () => {
              const slip = await k.postSlip([k.entry(shelf, `-${amount}`)], { on })
              issued.push({ slip, shelf, quantity: amount, on })
            })
          else {
            const source = issued.pop()
            // Slips refuse to be dated before the slip that their goods left by.
            if (source !== undefined && source.on <= on)
              await accepted(() =>
                k.undo(source.slip, [k.entry(source.shelf, source.quantity, { sourceLine: 1 })], { on })
              )
          }
        }
        // Closing runs a month behind, so that late papers find their month open.
        const due = MONTHS[index - 1]
        if (due !== undefined) await closeMonth(h, closer.actor, k.warehouse, due)
      }
      const reports = await Promise.all(
        MONTHS.map((period) =>
          stockReportRows(k.ctx, { warehouse: k.warehouse, period, isClosed: period !== '2026-09' })
        )
      )
      expect(reports.flat().flatMap(faultsOf)).toEqual([])
      expect(reports.slice(1).map((rows) => side(rows, 'opening'))).toEqual(
        reports.slice(0, -1).map((rows) => side(rows, 'closing'))
      )
      for (const period of MONTHS.slice(0, -1))
        expect((await verifyStatement(k.ctx, { warehouse: k.warehouse.code, period })).findings).toEqual([])
    }),
    { numRuns: 15 }
  )
}, 240_000)

test('two who close at once make one report', async () => {
  h.clock.set('2026-05-04T10:00')
  const counter = await openCounter(h)
  await counter.stocked()
  h.clock.set('2026-06-02T10:00')
  await approvedCount(h, counter.warehouseId, '2026-05')
  const outcomes = await Promise.allSettled(
    [1, 2, 3].map(() => closePeriod(h.contextOf(closer.actor), { warehouse: counter.warehouse, period: '2026-05' }))
  )
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
  const { body } = await finance.get(`/v1/warehouses/${counter.warehouse}/periods/2026-05/stock-report`)
  expect(body.totals).toMatchObject({ balances: 1, closingQuantity: '10', closingCost: '125.00' })
})
