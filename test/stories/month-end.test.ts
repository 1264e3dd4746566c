import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor } from '../support/counter.ts'
import { openCounting, type Counting } from '../support/counting.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { monthsFrom } from '../support/month-end.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const statementPath = ({ warehouse }: Counting, period: string) =>
  `/v1/warehouses/${warehouse}/periods/${period}/statement`
const statementOf = async (c: Counting, period: string) =>
  (await c.signers['finance-supervisor'].get(statementPath(c, period))).body
const depreciationOf = async (c: Counting, period: string): Promise<any[]> =>
  (await c.keeper.get(`/v1/warehouses/${c.warehouse}/periods/${period}/depreciation?limit=200`)).body.items
const close = (c: Counting, period: string) =>
  c.signers['finance-supervisor'].post(`/v1/warehouses/${c.warehouse}/periods/${period}/closing`)

const receive = (c: Counting, part: string, quantity: string, unitCost?: string, more: object = {}) =>
  c.posted({ kind: 'receipt', lines: [{ part, quantity, unitCost, ...more }] })
const issue = (c: Counting, part: string, quantity: string, more: object = {}, line: object = {}) =>
  c.posted({ kind: 'issue', reference: 'RO-1', ...more, lines: [{ part, quantity, ...line }] })
/** What a posted slip moved: lot by lot quantity, cost, accumulated depreciation. */
const moved = (slip: any): string[] =>
  slip.lines.flatMap((line: any) =>
    line.movements.map(({ quantity, cost, charge }: any) => `${quantity} ${cost} ${charge}`)
  )

// Brake pads: 10 at 25.00 of January, charged from April on, 20.00 a month while all ten are there; 4 at 30.00 of April, charged
// from July on, 9.60 a month. Lamps: 13 at 7.77 of the last day of February, charged from May on: k charges are 8.0808 × k, rounded;
// one is missing at the end of June, and of twelve they are 7.4592 × k. Compressors are consigned and cost nothing (R-STK-6).
//   May 20: 3 pads leave; charged so far 20.00, of seven it would be 14.00: they take 75.00 and 6.00 with them.
//   August 31: the other 7 leave with 175.00 and four charges of 14.00.
//   October 2: 1 of April leaves with 30.00 and three charges of 2.40.
//   December 1: 1 leaves with five charges of 2.40. December 2: the paper of another one of November 28 turns up; four charges.
const YEAR: Record<string, [cost: string, charge: string, accumulated: string, netBookValue: string]> = {
  '2026-01': ['250.00', '0.00', '0.00', '250.00'],
  '2026-02': ['351.01', '0.00', '0.00', '351.01'],
  '2026-03': ['351.01', '0.00', '0.00', '351.01'],
  '2026-04': ['471.01', '20.00', '20.00', '451.01'],
  // 7 × 25.00 + 120.00 + 101.01; 14.00 + 8.08; 28.00 + 8.08
  '2026-05': ['396.01', '22.08', '36.08', '359.93'],
  // Twelve lamps: 93.24; 7.4592 × 2 = 14.92, and 7.46 of it were charged in May.
  '2026-06': ['388.24', '21.46', '56.92', '331.32'],
  '2026-07': ['388.24', '31.06', '87.98', '300.26'],
  '2026-08': ['213.24', '17.06', '49.04', '164.20'],
  '2026-09': ['213.24', '17.06', '66.10', '147.14'],
  '2026-10': ['183.24', '14.66', '73.56', '109.68'],
  // 2 × 30.00 + 93.24; 4.80 + 7.45; 24.00 + 52.21
  '2026-11': ['153.24', '12.25', '76.21', '77.03'],
  '2026-12': ['123.24', '9.86', '74.07', '49.17']
}

test(
  'an ordinary year: goods come and go, every month is counted and closed, and finance can work out every cent',
  { timeout: 180_000 },
  async () => {
    h.clock.set('2026-01-12T09:00')
    const c = await openCounting(h)
    const pad = (await h.make.part({ nameZh: '刹车片' })).number
    const lamp = (await h.make.part({ nameZh: '灯泡' })).number
    const compressor = (await h.make.part({ nameZh: '压缩机' })).number
    const consigned = { ownership: 'consigned' }
    let june: any
    const days: [day: string, what: () => Promise<unknown>][] = [
      ['2026-01-12', () => receive(c, pad, '10', '25.00')],
      ['2026-02-28', () => receive(c, lamp, '13', '7.77')],
      ['2026-03-09', () => receive(c, compressor, '5', undefined, consigned)],
      ['2026-04-10', () => receive(c, pad, '4', '30.00')],
      ['2026-05-20', async () => expect(moved(await issue(c, pad, '3'))).toEqual(['-3 -75.00 -6.00'])],
      ['2026-08-31', async () => expect(moved(await issue(c, pad, '7'))).toEqual(['-7 -175.00 -56.00'])],
      [
        '2026-09-15',
        async () => expect(moved(await issue(c, compressor, '2', {}, consigned))).toEqual(['-2 0.00 0.00'])
      ],
      ['2026-10-02', async () => expect(moved(await issue(c, pad, '1'))).toEqual(['-1 -30.00 -7.20'])],
      ['2026-12-01', async () => expect(moved(await issue(c, pad, '1'))).toEqual(['-1 -30.00 -12.00'])],
      [
        '2026-12-02',
        async () => expect(moved(await issue(c, pad, '1', { occurredOn: '2026-11-28' }))).toEqual(['-1 -30.00 -9.60'])
      ],
      ['2027-01-01', async () => undefined]
    ]
    const months = Object.keys(YEAR)
    const closed: Record<string, any> = {}
    for (const [day, happens] of days) {
      // Every month is closed on the third of the next one.
      for (const period of months.filter((month) => !(month in closed) && `${next(month)}-03` <= day))
        await endOf(period)
      h.clock.set(`${day}T10:00`)
      await happens()
    }
    await endOf('2026-12')

    async function endOf(period: string): Promise<void> {
      h.clock.set(`${next(period)}-03T10:00`)
      if (period === '2026-06') june = await aLampIsMissing()
      closed[period] = period === '2026-06' ? (await close(c, period)).body : await c.monthEnd(period)
    }
    /** The keeper and the technician both count twelve lamps of thirteen. */
    async function aLampIsMissing(): Promise<any> {
      const { number } = await c.open({ kind: 'month-end', period: '2026-06' })
      await c.count(number, [
        { part: pad, counted: '11' },
        { part: lamp, counted: '12', card: '13' },
        { part: compressor, ...consigned, counted: '5' }
      ])
      return c.settle(number)
    }

    const statements = await Promise.all(months.map((month) => statementOf(c, month)))
    const found = statements.map(({ period, depreciation }) => [
      period,
      [depreciation.cost, depreciation.charge, depreciation.accumulatedDepreciation, depreciation.netBookValue]
    ])
    expect(Object.fromEntries(found)).toEqual(YEAR)
    const { body: adjustment } = await c.keeper.get(`/v1/slips/${june.adjustmentSlip}`)
    expect(adjustment).toMatchObject({ kind: 'adjustment', occurredOn: '2026-06-30' })
    // Of thirteen lamps 8.08 were charged, of twelve it would have been 7.46.
    expect(moved(adjustment)).toEqual(['-1 -7.77 -0.62'])

    // Each month opens with what the one before closed with, and names it by its hash.
    for (const [place, { stockReport, previousSha256, state }] of statements.entries()) {
      const before = statements[place - 1]
      const side = (report: any, figure: string) =>
        ['Quantity', 'Cost', 'AccumulatedDepreciation', 'NetBookValue'].map((of) => report[`${figure}${of}`])
      expect(state).toBe('closed')
      expect(side(stockReport, 'opening')).toEqual(
        before === undefined ? ['0', '0.00', '0.00', '0.00'] : side(before.stockReport, 'closing')
      )
      expect(previousSha256).toBe(before === undefined ? null : closed[before.period].sha256)
    }
    // What finance books of May: the charge, and what the pads were still worth that went into the repair order.
    const may = statements[4].journal.map(({ entry, role, debit, credit }: any) => [entry, role, debit, credit])
    expect(may).toEqual([
      ['depreciation', 'depreciation-expense', '22.08', '0.00'],
      ['depreciation', 'accumulated-depreciation', '0.00', '22.08'],
      ['issue', 'inventory', '0.00', '75.00'],
      ['issue', 'accumulated-depreciation', '6.00', '0.00'],
      ['issue', 'material-cost', '69.00', '0.00']
    ])
    // The lots of December: the last pad has had six charges, the lamps eight.
    expect(await depreciationOf(c, '2026-12')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          part: pad,
          quantity: '1',
          ageMonths: 9,
          monthsCharged: 6,
          charge: '2.40',
          accumulatedDepreciation: '14.40',
          netBookValue: '15.60'
        }),
        expect.objectContaining({
          part: lamp,
          quantity: '12',
          ageMonths: 11,
          monthsCharged: 8,
          charge: '7.46',
          accumulatedDepreciation: '59.67',
          netBookValue: '33.57'
        })
      ])
    )
    // A year later they are byte by byte what was sealed.
    h.clock.set('2027-12-31T10:00')
    for (const month of months) {
      const { text, headers } = await c.keeper.get(statementPath(c, month))
      const sha256 = createHash('sha256').update(text).digest('hex')
      expect([sha256, headers['etag']]).toEqual([closed[month].sha256, `"${closed[month].sha256}"`])
    }
    expect(await c.verify()).toMatchObject({ ok: true, findings: [] })
  }
)

const next = (month: string): string => Temporal.PlainYearMonth.from(month).add({ months: 1 }).toString()

test(
  'work goes on during a count: what moves before a shelf is counted is expected there, what moves after is not missed',
  { timeout: 60_000 },
  async () => {
    h.clock.set('2026-08-05T10:00')
    const c = await openCounting(h)
    const [first, second, third, last] = await Promise.all([1, 2, 3, 4].map(async () => (await h.make.part()).number))
    for (const part of [first, second, third, last]) await receive(c, part, '20', '10.00')
    for (const month of monthsFrom('2026-08', '2026-10')) {
      h.clock.set(`${next(month)}-02T10:00`)
      await c.monthEnd(month)
    }

    h.clock.set('2026-11-27T09:00')
    const { number } = await c.open({ kind: 'month-end', period: '2026-11' })
    // The first shelf is counted, then three leave it. From the second five leave before it is counted.
    await c.count(number, [{ part: first, counted: '20' }])
    await issue(c, first, '3')
    await issue(c, second, '5')
    await c.count(number, [{ part: second, counted: '15' }])
    // From the third four leave, and one more has long been gone. Two leave between count and approval.
    await issue(c, third, '4')
    await c.count(number, [{ part: third, counted: '15' }])
    await issue(c, third, '2')
    // The last one is counted when December has begun and one of its goods with it.
    h.clock.set('2026-12-01T09:00')
    await issue(c, last, '1')
    await c.count(number, [{ part: last, counted: '19' }])

    const lines = await c.lines(number)
    const { adjustmentSlip } = await c.settle(number)
    const { body: adjustment } = await c.keeper.get(`/v1/slips/${adjustmentSlip}`)
    expect((await close(c, '2026-11')).status).toBe(201)

    const figures = [first, second, third, last].map((part) => {
      const { snapshot, expected, counted, variance } = lines.find((line) => line.part === part)
      return { snapshot, expected, counted, variance }
    })
    expect(figures).toEqual([
      { snapshot: '20', expected: '20', counted: '20', variance: '0' },
      { snapshot: '20', expected: '15', counted: '15', variance: '0' },
      { snapshot: '20', expected: '16', counted: '15', variance: '-1' },
      { snapshot: '20', expected: '19', counted: '19', variance: '0' }
    ])
    // One of August leaves on the last day of November; no charge had been taken of it, November is its first.
    expect(adjustment).toMatchObject({ occurredOn: '2026-11-30', reference: number })
    expect(moved(adjustment)).toEqual(['-1 -10.00 0.00'])
    expect(await Promise.all([first, second, third, last].map((part) => c.onHand(part)))).toEqual([
      '17',
      '15',
      '13',
      '19'
    ])
    // At the end of November the last shelf still held twenty; 0.80 is charged for each of the 65.
    const { depreciation, stockReport } = await statementOf(c, '2026-11')
    expect(depreciation).toMatchObject({ cost: '650.00', charge: '52.00', netBookValue: '598.00' })
    expect(stockReport).toMatchObject({
      openingQuantity: '80',
      inQuantity: '0',
      outQuantity: '14',
      adjustmentQuantity: '-1',
      closingQuantity: '65'
    })
    expect(await c.verify()).toMatchObject({ ok: true, findings: [] })
  }
)

test(
  'a keeper who counts wrong is not told so, does not count again, and signs nothing; the second counter holds',
  { timeout: 60_000 },
  async () => {
    h.clock.set('2026-11-02T10:00')
    const c = await openCounting(h)
    const elsewhere = await openCounting(h)
    const pad = (await h.make.part()).number
    const lamp = (await h.make.part()).number
    await receive(c, pad, '40', '3.00')
    await receive(c, lamp, '12', '5.00')
    h.clock.set('2026-11-30T16:00')
    const { number } = await c.open({ kind: 'month-end', period: '2026-11' })
    const entries = (counted: string, card = counted) => ({ entries: [{ part: pad, counted, card }] })
    const enter = (as: Counting['keeper'], body: object) => as.post(`/v1/counts/${number}/entries`, body)

    // The keeper of another warehouse knows of no such count; whoever signs here does not count first.
    expect((await enter(elsewhere.keeper, entries('40'))).status).toBe(404)
    const byFinance = await enter(c.signers['finance-supervisor'], entries('40'))
    expect(byFinance.body).toMatchObject({ code: 'DutyRequired', status: 403 })

    // Four boxes of ten are taken for four pieces.
    const wrong = await enter(c.keeper, entries('4', '40'))
    expect(wrong.body).toMatchObject({ settled: 0, recountDue: 1 })
    expect(wrong.body.results).toEqual([{ line: expect.any(Number), part: pad, outcome: 'recount-due', problem: null }])
    const guess = await enter(c.keeper, entries('40'))
    expect(guess.body.results).toMatchObject([{ outcome: 'refused', problem: { code: 'SamePersonCounted' } }])
    const open = (await c.lines(number)).find(({ part }) => part === pad)
    expect(open).toMatchObject({
      state: 'recount-due',
      counted: null,
      card: null,
      expected: null,
      variance: null,
      varianceValue: null
    })
    expect((await c.keeper.post(`/v1/counts/${number}/submission`)).body.code).toBe('LinesNotSettled')

    // The technician counts forty; so does the ledger. Of the lamps both find eleven, and finance has them counted once more.
    expect((await enter(c.technician, entries('40'))).body).toMatchObject({ settled: 1, recountDue: 0 })
    await c.count(number, [{ part: lamp, counted: '11', card: '11' }])
    const line = (await c.lines(number)).find(({ part }) => part === lamp).line
    await c.explain(number, [{ line, cause: 'theft', evidence: '报案回执 118' }])
    await c.verified(number, [{ line, accepted: false, comment: '请再查一遍货架' }])
    expect((await c.lines(number)).find(({ part }) => part === lamp)).toMatchObject({
      state: 'recount-due',
      expected: null,
      variance: null
    })
    const supervisor = c.signers['operations-supervisor']
    expect(
      (await supervisor.post(`/v1/counts/${number}/entries`, { entries: [{ line, counted: '12', card: '11' }] })).body
    ).toMatchObject({ settled: 1 })

    // Now goods and ledger agree, and only the card is wrong: that has a cause too, and moves nothing (R-STK-3).
    await c.explain(number, [{ line, cause: 'miscount', evidence: '卡片漏记一行' }])
    await c.verified(number, [{ line }])
    // Of the pads two people said different things; finance looks at that line although it agrees now.
    expect((await c.keeper.post(`/v1/counts/${number}/submission`)).body.code).toBe('VariancesNotVerified')
    await c.verified(number, [{ line: open.line }])
    await c.submit(number)
    const sign = (as: Counting['keeper'], duty: string) =>
      as.post(`/v1/counts/${number}/signatures`, { duty, decision: 'approve' })
    expect((await sign(c.keeper, 'department-head')).body.code).toBe('DutyRequired')
    expect((await sign(c.controller, 'stock-controller')).body.code).toBe('HeadOfficeSignsLast')
    const approved = await c.approve(number)

    expect(approved).toMatchObject({ state: 'approved', adjustmentSlip: null, followedBy: null })
    expect([await c.onHand(pad), await c.onHand(lamp)]).toEqual(['40', '12'])
    h.clock.set('2026-12-01T10:00')
    expect((await close(c, '2026-11')).status).toBe(201)
    expect(await c.verify()).toMatchObject({ ok: true, findings: [] })
  }
)

test(
  'a year ends: December is closed in January, and from January on goods are charged by a new policy',
  { timeout: 60_000 },
  async () => {
    h.clock.set('2026-06-08T10:00')
    const c = await openCounting(h)
    const finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
    const engine = (await h.make.part()).number
    const fuse = (await h.make.part()).number
    // June: charged from September on, 8 % of 1,000.00 a month. November: by the old policy from February on.
    await receive(c, engine, '2', '500.00')
    for (const month of monthsFrom('2026-06', '2026-11')) {
      h.clock.set(`${next(month)}-02T10:00`)
      if (month === '2026-10') await receive(c, fuse, '10', '1.50')
      await c.monthEnd(month)
    }

    // In December head office decides: from January on two months of grace, and 5 % a month, at most twenty times.
    h.clock.set('2026-12-15T10:00')
    const policy = { graceMonths: 2, rate: '0.05', chargeCount: 20 }
    expect((await finance.post('/v1/depreciation-policies', { effectiveFrom: '2026-11', ...policy })).body.code).toBe(
      'PolicyInThePast'
    )
    const set = await finance.post('/v1/depreciation-policies', { effectiveFrom: '2027-01', ...policy })
    expect(set).toMatchObject({ status: 201, body: { effectiveFrom: '2027-01', state: 'scheduled' } })

    // January begins before December is closed: one engine leaves with four charges of 40.00 and is of the new year.
    h.clock.set('2027-01-04T10:00')
    const engineOut = await issue(c, engine, '1')
    expect(moved(engineOut)).toEqual(['-1 -500.00 -160.00'])
    const open = await c.keeper.get(statementPath(c, '2027-01'))
    expect(open.body).toMatchObject({ state: 'preview', depreciation: { charge: '25.75' } })
    expect((await close(c, '2027-01')).body.missing.map(({ kind }: any) => kind)).toEqual([
      'period-not-over',
      'previous-period-open',
      'count-not-approved'
    ])
    await c.monthEnd('2026-12')

    // Nothing is written into the old year any more, not even by a paper that turns up.
    const late = await c
      .slip({ kind: 'issue', occurredOn: '2026-12-30', lines: [{ part: engine, quantity: '1' }] })
      .catch((error: Error) => error.message)
    const refused = typeof late === 'string' ? late : (await c.signAndPost(late.number)).text
    expect(refused).toContain('PeriodClosed')

    h.clock.set('2027-02-02T10:00')
    await c.monthEnd('2027-01')
    const rows = async (period: string) =>
      (await depreciationOf(c, period))
        .map(({ part, quantity, charge, accumulatedDepreciation, monthsCharged, netBookValue }) =>
          [
            part === engine ? 'engine' : 'fuse',
            quantity,
            charge,
            accumulatedDepreciation,
            monthsCharged,
            netBookValue
          ].join(' ')
        )
        .toSorted()
    // December by the old policy: two engines, the fourth charge of 80.00. January by the new one: 5 % of 500.00 on top of 160.00; the
    // fuses are in their third month and charged 5 % of 15.00.
    expect(await rows('2026-12')).toEqual(['engine 2 80.00 320.00 4 680.00', 'fuse 10 0.00 0.00 0 15.00'])
    expect(await rows('2027-01')).toEqual(['engine 1 25.00 185.00 5 315.00', 'fuse 10 0.75 0.75 1 14.25'])
    const [december, january] = [await statementOf(c, '2026-12'), await statementOf(c, '2027-01')]
    expect(december.policies).toMatchObject([{ rate: '0.08' }])
    expect(january.policies).toMatchObject([
      { rate: '0.08' },
      { effectiveFrom: '2027-01', rate: '0.05', graceMonths: 2, chargeCount: 20 }
    ])
    expect(january.stockReport).toMatchObject({
      openingNetBookValue: december.stockReport.closingNetBookValue,
      openingQuantity: '12',
      outQuantity: '1',
      outNetBookValue: '340.00',
      charge: '25.75',
      closingNetBookValue: '329.25'
    })
    expect(await c.verify()).toMatchObject({ ok: true, findings: [] })
  }
)
