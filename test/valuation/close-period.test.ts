import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DUTIES } from '../../src/identity/actor.ts'
import { post, type Entry } from '../../src/ledger/post.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { Refusal } from '../../src/platform/errors.ts'
import { closePeriod } from '../../src/valuation/close-period.ts'
import { MISSING_KINDS } from '../../src/valuation/closing-checklist.ts'
import { readStatement } from '../../src/valuation/statement.ts'
import { callerFor, openCounter, SIGNERS, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel, type Shelf } from '../support/kernel.ts'
import { approvedCount, closeMonth, monthsFrom } from '../support/month-end.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness({ poolSize: 16 })
})
afterAll(() => h.close())
// Tokens are issued on the first day of the story.
beforeEach(() => h.clock.set('2026-09-01T10:00'))

const path = (warehouse: string, period: string) => `/v1/warehouses/${warehouse}/periods/${period}/closing`

interface Office extends Counter {
  /** Finance of the head office. */
  finance: Caller
  close(period: string, body?: object): ReturnType<Caller['post']>
  missing(period: string): Promise<{ kind: string; detail: string; documents: string[] }[]>
}

async function openOffice(): Promise<Office> {
  const counter = await openCounter(h)
  const finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  return {
    ...counter,
    finance,
    close: (period, body = {}) => finance.post(path(counter.warehouse, period), body),
    missing: async (period) => (await finance.get(path(counter.warehouse, period))).body.missing
  }
}

/** One approved issue, not yet handed out. */
async function approved(office: Counter, part: string, occurredOn: string): Promise<string> {
  const { number } = await office.slip({ kind: 'issue', occurredOn, lines: [{ part, quantity: '1' }] })
  await office.sign(number)
  return number
}

async function releasedWithoutOneSignature(office: Counter, part: string): Promise<string> {
  const { number } = await office.slip({ kind: 'issue', lines: [{ part, quantity: '1' }] })
  await office.sign(number, SIGNERS.slice(0, 2))
  const { status } = await office.keeper.post(`/v1/slips/${number}/emergency-release`, {
    missingDuty: SIGNERS[2],
    authorisedBy: 'the finance supervisor by telephone',
    reason: 'a customer waits',
    handedTo: 'technician Wang'
  })
  expect(status).toBe(200)
  return number
}

const frozenOf = (warehouseId: number) =>
  h.sql(
    `select (select json_agg(s order by period) from period_statement s where warehouse_id = $1) as statements,
            (select json_agg(d order by period, part_id, lot_id) from depreciation_line d where warehouse_id = $1) as depreciation,
            (select json_agg(r order by period, part_number, ownership, condition) from stock_report_line r where warehouse_id = $1) as report,
            (select json_agg(p order by period) from stock_period p where warehouse_id = $1) as periods`,
    [warehouseId]
  )

describe('what keeps a month open (R-FIN-1)', () => {
  test('everything at once, by the dry run and the refusal alike, and one by one until it closes', async () => {
    const office = await openOffice()
    const other = await openCounter(h)
    const part = await office.stocked({ quantity: '20' })
    const transfer = await office.posted({
      kind: 'transfer-out',
      counterparty: other.warehouse,
      lines: [{ part: part.number, quantity: '5' }]
    })
    h.clock.set('2026-10-13T10:00')
    const late = await releasedWithoutOneSignature(office, part.number)
    const unposted = await approved(office, part.number, '2026-10-13')
    const draft = await office.slip({ kind: 'issue', submit: false, lines: [{ part: part.number, quantity: '1' }] })

    const dry = await office.close('2026-10', { dryRun: true })
    const refused = await office.close('2026-10')

    expect(dry.status).toBe(200)
    expect(dry.body).toMatchObject({ state: 'open', closedBy: null, sha256: null })
    expect(dry.body.missing.map(({ kind }: { kind: string }) => kind)).toEqual([...MISSING_KINDS])
    expect(dry.body.missing.map(({ documents }: { documents: string[] }) => documents)).toEqual([
      [],
      [],
      [],
      [late],
      [unposted],
      [transfer.number]
    ])
    expect(dry.body.warnings.map(({ documents }: { documents: string[] }) => documents)).toEqual([[draft.number]])
    expect(refused).toMatchObject({ status: 409, body: { code: 'PeriodNotClosable', missing: dry.body.missing } })
    expect(await office.missing('2026-10')).toEqual(dry.body.missing)

    const stillMissing = async () => (await office.missing('2026-10')).map(({ kind }) => kind)
    h.clock.set('2026-11-03T10:00')
    expect(await stillMissing()).toEqual(MISSING_KINDS.slice(1))

    expect((await office.missing('2026-10'))[0]?.detail).toContain('2026-09 is still open')
    await approvedCount(h, office.warehouseId, '2026-09')
    expect((await office.close('2026-09')).status).toBe(201)
    expect(await stillMissing()).toEqual(MISSING_KINDS.slice(2))

    const count = await approvedCount(h, office.warehouseId, '2026-10', 'counting')
    expect((await office.missing('2026-10'))[0]).toEqual({
      kind: 'count-not-approved',
      detail: `the month-end count ${count} is counting; it must be approved by head office`,
      documents: [count]
    })
    await h.sql(`update stock_count set state = 'approved', approved_at = now() where number = $1`, [count])
    expect(await stillMissing()).toEqual(MISSING_KINDS.slice(3))

    await office.sign(late, [SIGNERS[2]])
    expect(await stillMissing()).toEqual(MISSING_KINDS.slice(4))

    expect((await office.keeper.post(`/v1/slips/${unposted}/posting`, { handedTo: 'Wang' })).status).toBe(200)
    expect(await stillMissing()).toEqual(['goods-in-transit'])

    // A part of what is under way is not enough.
    const arrival = (quantity: string) => ({
      kind: 'transfer-in',
      reference: transfer.number,
      counterparty: office.warehouse,
      lines: [{ part: part.number, quantity, unitCost: '12.50', receivedOn: '2026-09-01' }]
    })
    await other.posted(arrival('3'))
    expect(await stillMissing()).toEqual(['goods-in-transit'])
    await other.posted(arrival('2'))
    expect(await stillMissing()).toEqual([])

    const closed = await office.close('2026-10')
    expect(closed).toMatchObject({
      status: 201,
      body: {
        warehouse: office.warehouse,
        period: '2026-10',
        state: 'closed',
        closedBy: office.finance.person.username,
        missing: []
      }
    })
    expect((await office.finance.get(path(office.warehouse, '2026-10'))).body).toEqual({ ...closed.body, warnings: [] })
    expect(await office.verify()).toMatchObject({ ok: true, findings: [] })
  })

  test('goods under way keep the month open where they come from and where they go to, until they are in or it is undone', async () => {
    const from = await openOffice()
    const to = await openOffice()
    const part = await from.stocked({ quantity: '5' })
    const transfer = await from.posted({
      kind: 'transfer-out',
      counterparty: to.warehouse,
      lines: [{ part: part.number, quantity: '5' }]
    })
    h.clock.set('2026-11-03T10:00')
    const transit = async (office: Office, period: string) =>
      (await office.missing(period)).filter(({ kind }) => kind === 'goods-in-transit').map(({ documents }) => documents)

    // In the month they left in they may well be under way.
    expect(await transit(from, '2026-09')).toEqual([])
    expect(await transit(from, '2026-10')).toEqual([[transfer.number]])
    expect(await transit(to, '2026-10')).toEqual([[transfer.number]])

    const arrival = await to.posted({
      kind: 'transfer-in',
      reference: transfer.number,
      lines: [{ part: part.number, quantity: '5', unitCost: '12.50' }]
    })
    expect(await transit(from, '2026-10')).toEqual([])
    const reverse = async (office: Counter, reference: string) =>
      office.posted({ kind: 'reversal', reference, reason: 'another slip was meant' })
    await reverse(to, arrival.number)
    expect(await transit(from, '2026-10')).toEqual([[transfer.number]])
    await reverse(from, transfer.number)
    expect(await transit(from, '2026-10')).toEqual([])
    expect(await transit(to, '2026-10')).toEqual([])
  })

  test('a warehouse that held nothing and moved nothing has nothing to count; one that was emptied in the month has', async () => {
    const office = await openOffice()
    const part = await office.stocked({ quantity: '2' })
    h.clock.set('2026-10-05T10:00')
    await office.posted({ kind: 'scrap', lines: [{ part: part.number, quantity: '2' }] })
    h.clock.set('2026-12-02T10:00')
    await approvedCount(h, office.warehouseId, '2026-09')
    expect((await office.close('2026-09')).status).toBe(201)

    expect((await office.missing('2026-10')).map(({ kind }) => kind)).toEqual(['count-not-approved'])
    await approvedCount(h, office.warehouseId, '2026-10')
    expect((await office.close('2026-10')).status).toBe(201)
    expect((await office.close('2026-11')).status).toBe(201)
    expect((await frozenOf(office.warehouseId))[0]).toMatchObject({ depreciation: [{ period: '2026-09-01' }] })
  })
})

test('slips that change the month after its count was handed in are said, and do not keep it open', async () => {
  const office = await openOffice()
  const part = await office.stocked({ quantity: '20' })
  const line = { part: part.number, quantity: '1' }
  h.clock.set('2026-10-01T08:00')
  await office.posted({ kind: 'issue', occurredOn: '2026-09-29', lines: [line] })
  h.clock.set('2026-10-01T09:00')
  const count = await office.countMonth('2026-09')
  const warnings = async () => (await office.finance.get(path(office.warehouse, '2026-09'))).body.warnings
  expect(await warnings()).toEqual([])

  h.clock.set('2026-10-01T10:00')
  await office.posted({ kind: 'issue', lines: [line] })
  expect(await warnings()).toEqual([])
  const { number } = await office.posted({ kind: 'issue', occurredOn: '2026-09-30', lines: [line] })

  const said = [{ detail: expect.stringContaining(count.number), documents: [number] }]
  expect(await warnings()).toEqual(said)
  expect((await office.close('2026-09')).body).toMatchObject({ state: 'closed', missing: [], warnings: said })
})

describe('the order of months', () => {
  test('months are closed in order, from the first in which anything moved; earlier ones close with it', async () => {
    const office = await openOffice()
    const part = await office.stocked()
    h.clock.set('2026-11-20T10:00')
    await approvedCount(h, office.warehouseId, '2026-09')
    await approvedCount(h, office.warehouseId, '2026-10')

    expect((await office.close('2026-10')).body).toMatchObject({
      code: 'PeriodNotClosable',
      missing: [{ kind: 'previous-period-open' }]
    })
    expect((await office.close('2026-06')).status).toBe(201)
    expect((await office.close('2026-09')).status).toBe(201)
    expect((await office.close('2026-10')).status).toBe(201)

    expect((await office.close('2026-08')).body).toMatchObject({
      status: 409,
      code: 'PeriodAlreadyClosed',
      closedBy: office.finance.person.username
    })
    expect((await office.close('2026-05')).body).toMatchObject({
      status: 409,
      code: 'PeriodAlreadyClosed',
      detail: `2026-05 of warehouse ${office.warehouse} lies before 2026-10, which is closed; nothing is closed or reopened before it`
    })
    expect((await office.finance.get(path(office.warehouse, '2026-05'))).body).toMatchObject({
      state: 'closed',
      closedBy: null,
      missing: []
    })
    for (const occurredOn of ['2026-03-31', '2026-06-15', '2026-08-01', '2026-10-31']) {
      const { body } = await office.keeper.post(`/v1/warehouses/${office.warehouse}/slips`, {
        kind: 'receipt',
        occurredOn,
        lines: [{ part: part.number, quantity: '1', unitCost: '1' }]
      })
      expect(body).toMatchObject({ status: 409, code: 'PeriodClosed' })
    }
    expect(await office.verify()).toMatchObject({ ok: true, findings: [] })
  })

  test('a warehouse that stood empty for months goes on with the month in which it is used again', async () => {
    const office = await openOffice()
    const part = await office.stocked({ quantity: '1' })
    await office.posted({ kind: 'scrap', lines: [{ part: part.number, quantity: '1' }] })
    await approvedCount(h, office.warehouseId, '2026-09')
    h.clock.set('2027-03-10T10:00')
    await office.close('2026-09')
    await office.posted({
      kind: 'receipt',
      occurredOn: '2027-02-10',
      lines: [{ part: part.number, quantity: '3', unitCost: '1' }]
    })
    await approvedCount(h, office.warehouseId, '2027-02')

    expect((await office.close('2027-02')).status).toBe(201)
    expect(await office.verify()).toMatchObject({ ok: true, findings: [] })

    // Each of the months between has a statement of nothing, and names the one before it.
    const of = (kind: string, period: string) =>
      office.finance.get(`/v1/warehouses/${office.warehouse}/periods/${period}/${kind}`)
    let previous: string | null = null
    for (const period of monthsFrom('2026-09', '2027-02')) {
      const statement = await of('statement', period)
      expect(statement.body).toMatchObject({ state: 'closed', period, previousSha256: previous })
      previous = createHash('sha256').update(statement.text).digest('hex')
      expect((await of('closing', period)).body).toMatchObject({
        state: 'closed',
        closedBy: office.finance.person.username,
        sha256: previous
      })
      expect((await of('depreciation', period)).body).toMatchObject({ state: 'closed', sha256: previous })
      expect((await of('statement/verification', period)).body).toMatchObject({ ok: true, findings: [] })
    }
    expect((await of('statement', '2026-12')).body).toMatchObject({
      stockReport: { balances: 0 },
      depreciation: { lots: 0, charge: '0.00' }
    })
    expect(await h.sql(`select relname from pg_class where relname ~ '_line_2026_12$'`)).toEqual([])
  })

  test('a month that was closed along with a later one is closed in the statement of the network too', async () => {
    const region = await h.make.region()
    const [one, two] = [await openCounter(h, { region: region.code }), await openCounter(h, { region: region.code })]
    const finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
    h.clock.set('2026-12-02T10:00')
    for (const [{ warehouse }, periods] of [
      [one, ['2026-08', '2026-09', '2026-10']],
      [two, ['2026-08', '2026-10']]
    ] as const)
      for (const period of periods) expect((await finance.post(path(warehouse, period))).status).toBe(201)

    const { body } = await finance.get(`/v1/depreciation?period=2026-09&region=${region.code}`)
    expect(body).toMatchObject({ state: 'closed', warehouses: { closed: 2, open: 0 } })
  })

  test('a month of the year 9999 is not over either, and is refused before a lock is taken', async () => {
    const office = await openOffice()
    await office.stocked()
    // One lock a month: with these years, the closings below would take more than the server has.
    const missing = [{ kind: 'period-not-over' }]
    for (const period of ['9999-12', '2999-12', '2026-09']) {
      expect((await office.missing(period))[0]).toMatchObject({ kind: 'period-not-over', documents: [] })
      expect((await office.close(period, { dryRun: true })).body.missing[0]).toMatchObject(missing[0] ?? {})
      const refused = await office.close(period)
      expect(refused).toMatchObject({ status: 409, body: { code: 'PeriodNotClosable' } })
      expect(refused.body.missing).toEqual(await office.missing(period))
      expect(await office.finance.post('/v1/period-closings', { period })).toMatchObject({
        status: 409,
        body: { code: 'PeriodNotClosable', missing }
      })
    }
  })

  test('a month that is not over, and one before anything could have been, leave no trace', async () => {
    const office = await openOffice()
    expect((await office.close('2031-01')).body).toMatchObject({ status: 409, code: 'PeriodNotClosable' })
    const early = { status: 422, code: 'PeriodTooEarly' }
    for (const period of ['1970-01', '1999-12']) {
      expect((await office.close(period)).body).toMatchObject(early)
      expect((await office.close(period, { dryRun: true })).body).toMatchObject(early)
      expect((await office.finance.get(path(office.warehouse, period))).body).toMatchObject(early)
      expect((await office.finance.post('/v1/period-closings', { period })).body).toMatchObject(early)
    }
    expect((await office.close('2026-13')).status).toBe(400)
    expect(await h.sql(`select relname from pg_class where relname ~ '_line_(2031|1970)_01$'`)).toEqual([])
  })

  test('a month that is refused, or in which there was nothing anywhere, leaves no tables behind', async () => {
    const tables = () => h.sql(`select relname from pg_class where relname ~ '_line_(2027_05|2011_04)$' order by 1`)
    const office = await openOffice()
    await office.stocked()
    h.clock.set('2027-06-01T10:00')
    expect((await office.close('2027-05')).body).toMatchObject({ code: 'PeriodNotClosable' })
    expect((await office.close('2011-04')).status).toBe(201)
    expect(await office.finance.get(`/v1/warehouses/${office.warehouse}/periods/2011-04/depreciation`)).toMatchObject({
      status: 200,
      body: { state: 'closed', items: [] }
    })
    expect(await tables()).toEqual([])

    h.clock.set('2027-05-10T10:00')
    const others = await Promise.all([openOffice(), openOffice(), openOffice()])
    for (const other of others) {
      await other.stocked()
      await approvedCount(h, other.warehouseId, '2027-05')
    }
    h.clock.set('2027-06-01T10:00')
    expect((await Promise.all(others.map((other) => other.close('2027-05')))).map(({ status }) => status)).toEqual([
      201, 201, 201
    ])
    expect(await tables()).toMatchObject([
      { relname: 'depreciation_line_2027_05' },
      { relname: 'stock_report_line_2027_05' }
    ])
  })
})

describe('at once', () => {
  test('of many closings of one month one closes it, and there is one set of rows', async () => {
    const office = await openOffice()
    await office.stocked()
    await office.stocked()
    h.clock.set('2026-10-01T10:00')
    await approvedCount(h, office.warehouseId, '2026-09')

    const answers = await Promise.all(Array.from({ length: 8 }, () => office.close('2026-09')))

    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 409)])
    const won = answers.find(({ status }) => status === 201)?.body
    for (const { body } of answers.filter(({ status }) => status === 409))
      expect(body).toMatchObject({
        code: 'PeriodAlreadyClosed',
        sha256: won.sha256,
        closedAt: won.closedAt,
        closedBy: won.closedBy
      })
    const [frozen] = await frozenOf(office.warehouseId)
    expect(frozen).toMatchObject({ statements: [{ sha256: won.sha256 }], depreciation: [{}, {}], report: [{}, {}] })
    expect(frozen).toMatchObject({ periods: [{ period: '2026-09-01', state: 'closed' }] })

    expect((await office.close('2026-09')).body.code).toBe('PeriodAlreadyClosed')
    expect((await office.close('2026-09', { dryRun: true })).body).toMatchObject({
      state: 'closed',
      sha256: won.sha256
    })
    expect(await frozenOf(office.warehouseId)).toEqual([frozen])
  })

  test('two months of a warehouse queue: the later one finds the earlier one closed or still open, and nothing breaks', async () => {
    const office = await openOffice()
    await office.stocked()
    h.clock.set('2026-12-01T10:00')
    for (const period of ['2026-09', '2026-10', '2026-11']) await approvedCount(h, office.warehouseId, period)

    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(['2026-11', '2026-10', '2026-09'].map((period) => office.close(period)))
      for (const { status, body } of answers)
        expect(status === 201 || ['PeriodNotClosable', 'PeriodAlreadyClosed'].includes(body.code)).toBe(true)
    }

    expect(
      (await h.sql('select period from period_statement where warehouse_id = $1', [office.warehouseId])).length
    ).toBe(3)
    expect(await office.verify()).toMatchObject({ ok: true, findings: [] })
  })

  test('a posting into the month is in its statement or refused, however closing and postings meet', async () => {
    const closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
    for (let round = 0; round < 4; round++) {
      h.clock.set('2026-09-20T10:00')
      const k = await kernel(h)
      const shelf = await k.shelf()
      await k.receive(shelf, '100', '10.0000')
      const slips = await Promise.all(
        Array.from({ length: 24 }, async (_, place) => {
          const entries = [place % 2 === 0 ? k.entry(shelf, '1', { unitCost: '3.3333' }) : k.entry(shelf, '-1.5')]
          return { id: await draftSlip(k, entries), entries }
        })
      )
      h.clock.set('2026-10-02T10:00')
      await approvedCount(h, k.warehouse.id, '2026-09')

      const closing = closePeriod(h.contextOf(closer.actor), { warehouse: k.warehouse.code, period: '2026-09' })
      const outcomes = await Promise.all(slips.map((slip, place) => postLater(k, slip, place % 6)))
      await closing

      const accepted = outcomes.filter((outcome) => outcome === 'posted').length
      expect(new Set(outcomes)).toBeOneOf([
        new Set(['posted', 'PeriodClosed']),
        new Set(['PeriodClosed']),
        new Set(['posted'])
      ])
      const [moved] = await h.sql<{ moved: number; last: string }>(
        `select count(*)::int as moved, max(id)::text as last from movement where warehouse_id = $1 and occurred_on between '2026-09-01' and '2026-09-30'`,
        [k.warehouse.id]
      )
      expect(moved?.moved).toBeGreaterThanOrEqual(accepted + 1)
      const [{ content }] = await h.sql<{ content: string }>(
        'select content from period_statement where warehouse_id = $1',
        [k.warehouse.id]
      )
      const statement = JSON.parse(content)
      expect(statement.position).toBe(moved?.last)
      expect(statement.stockReport.closingQuantity).toBe(await k.onHand(shelf))
      expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
    }
  })
})

/** A slip that nobody has signed yet, so that it keeps no month open. */
async function draftSlip(k: Kernel, entries: Entry[]): Promise<string> {
  const id = await k.slip(entries, '2026-09-20')
  await h.sql(`update slip set state = 'draft' where warehouse_id = $1 and id = $2`, [k.warehouse.id, id])
  return id
}

async function postLater(
  k: Kernel,
  { id, entries }: { id: string; entries: Entry[] },
  milliseconds: number
): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds * 3))
  try {
    await post(k.ctx, {
      warehouseId: k.warehouse.id,
      slipId: id,
      occurredOn: '2026-09-20',
      postedAt: h.clock.now().toString(),
      entries
    })
    await h.sql(
      `update slip set state = 'posted', posted_at = now(), posted_by = 0 where warehouse_id = $1 and id = $2`,
      [k.warehouse.id, id]
    )
    return 'posted'
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return error.code
  }
}

describe('a closed month', () => {
  const attempt = async (text: string, values: unknown[]): Promise<string> => {
    try {
      await h.sql(text, values)
      return 'done'
    } catch (error) {
      return String((error as { code?: string }).code)
    }
  }

  test('is refused changes by the database itself', async () => {
    h.clock.set('2026-10-05T10:00')
    const closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
    const k = await kernel(h)
    const shelf = await k.shelf()
    await k.receive(shelf, '5', '10.0000', { on: '2026-09-03' })
    await closeMonth(h, closer.actor, k.warehouse, '2026-09')
    const before = await frozenOf(k.warehouse.id)

    const of = [k.warehouse.id]
    expect(
      await attempt(
        `insert into movement select warehouse_id, nextval('movement_id_seq'), slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after
           from movement where warehouse_id = $1`,
        of
      )
    ).toBe('BC001')
    for (const change of [
      'update movement set cost = cost + 1 where warehouse_id = $1',
      'delete from movement where warehouse_id = $1'
    ])
      expect(await attempt(change, of)).toBe('BC010')
    for (const change of [
      `update stock_period set state = 'open' where warehouse_id = $1`,
      'delete from stock_period where warehouse_id = $1'
    ])
      expect(await attempt(change, of)).toBe('BC011')
    for (const change of [
      `update period_statement set sha256 = repeat('0', 64) where warehouse_id = $1`,
      'delete from period_statement where warehouse_id = $1',
      'update depreciation_line set charge = 0 where warehouse_id = $1',
      'delete from depreciation_line where warehouse_id = $1',
      'update stock_report_line set name = name where warehouse_id = $1',
      'delete from stock_report_line where warehouse_id = $1'
    ])
      expect(await attempt(change, of)).toBe('BC013')
    for (const table of ['period_statement', 'depreciation_line', 'stock_report_line', 'depreciation_line_2026_09'])
      expect(await attempt(`truncate ${table}`, [])).toBe('BC013')
    expect(await attempt('truncate stock_period', [])).toBe('BC011')
    expect(await frozenOf(k.warehouse.id)).toEqual(before)
  })

  test('reads byte by byte the same, whatever happens later; its hash is that of its bytes', async () => {
    h.clock.set('2026-10-05T10:00')
    const closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
    const k = await kernel(h)
    const shelf = await k.shelf()
    await k.receive(shelf, '5', '10.0000', { on: '2026-09-03', receivedOn: '2026-05-20' })
    const closing = await closeMonth(h, closer.actor, k.warehouse, '2026-09')
    const read = () => readStatement(k.ctx, { warehouse: k.warehouse.code, period: '2026-09' })
    const first = await read()
    const rows = await frozenOf(k.warehouse.id)

    await k.issue(shelf, '2', { on: '2026-10-01' })
    h.clock.set('2026-11-05T10:00')
    await closeMonth(h, closer.actor, k.warehouse, '2026-10')
    await k.issue(shelf, '3', { on: '2026-11-01' })
    await h.sql(`update part set name = 'renamed', unit = 'box' where id = $1`, [shelf.partId])
    await h.sql(`update warehouse set name = 'renamed' where id = $1`, [k.warehouse.id])
    await h.sql(`update person set name = 'renamed' where id = $1`, [closer.id])

    expect(await read()).toEqual(first)
    expect(first.sha256).toBe(createHash('sha256').update(first.text).digest('hex'))
    expect(first.sha256).toBe(closing.sha256)
    expect(JSON.parse(first.text)).toMatchObject({
      state: 'closed',
      period: '2026-09',
      closedBy: closer.username,
      previousSha256: null,
      depreciation: { lots: 1, cost: '50.00', charge: '4.00', accumulatedDepreciation: '8.00', netBookValue: '42.00' }
    })
    const [now] = await frozenOf(k.warehouse.id)
    const [then] = rows as { statements: object[]; depreciation: object[]; report: object[] }[]
    expect(now?.['statements']).toEqual([
      ...(then?.statements ?? []),
      expect.objectContaining({ period: '2026-10-01' })
    ])
    expect(now?.['depreciation']).toEqual([
      ...(then?.depreciation ?? []),
      expect.objectContaining({ period: '2026-10-01' })
    ])
    const next = await readStatement(k.ctx, { warehouse: k.warehouse.code, period: '2026-10' })
    expect(JSON.parse(next.text).previousSha256).toBe(first.sha256)
  })

  test('a repeat with the same Idempotency-Key is answered what the first one was', async () => {
    const office = await openOffice()
    await office.stocked()
    h.clock.set('2026-10-01T10:00')
    await approvedCount(h, office.warehouseId, '2026-09')
    const once = () => office.finance.post(path(office.warehouse, '2026-09'), {}, { 'idempotency-key': 'september' })

    const first = await once()
    const again = await once()

    expect([first.status, again.status]).toEqual([201, 201])
    expect(again.body).toEqual(first.body)
    expect(again.headers['idempotent-replayed']).toBe('true')
  })
})

test('a slip that is written late, between the months, is in the month of its day, and all months tie', async () => {
  h.clock.set('2026-12-05T10:00')
  const closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
  const k = await kernel(h)
  const shelf: Shelf = await k.shelf()
  await k.receive(shelf, '30', '9.9900', { on: '2026-09-03', receivedOn: '2026-04-20' })
  await closeMonth(h, closer.actor, k.warehouse, '2026-09')
  await k.issue(shelf, '7', { on: '2026-11-10' })
  // The papers of October turn up when November has moved.
  await k.issue(shelf, '4', { on: '2026-10-28' })
  const late = await k.postSlip([k.entry(shelf, '-2')], { on: '2026-10-29' })
  await k.undo(late, [k.entry(shelf, '2', { sourceLine: 1 })], { on: '2026-10-30' })
  for (const period of ['2026-10', '2026-11']) await closeMonth(h, closer.actor, k.warehouse, period)

  const report = await h.sql(
    `select to_char(period, 'YYYY-MM') as period, trim_scale(opening_quantity)::text as opening, trim_scale(closing_quantity)::text as closing, opening_cost, closing_cost, opening_accumulated, closing_accumulated
       from stock_report_line where warehouse_id = $1 order by period`,
    [k.warehouse.id]
  )

  expect(report.map(({ period, opening, closing }) => [period, opening, closing])).toEqual([
    ['2026-09', '0', '30'],
    ['2026-10', '30', '26'],
    ['2026-11', '26', '19']
  ])
  for (const [place, month] of report.entries()) {
    const next = report[place + 1]
    if (next === undefined) continue
    expect([next['opening_cost'], next['opening_accumulated']]).toEqual([
      month['closing_cost'],
      month['closing_accumulated']
    ])
  }
  expect((await verifyLedger(k.ctx, { warehouse: k.warehouse.code })).findings).toEqual([])
})

describe('who may close', () => {
  test.for(DUTIES.map((duty) => [duty]))('%s', async ([duty]) => {
    const office = await openOffice()
    const here = callerFor(h, await h.make.person({ grants: [{ duty, warehouse: office.warehouse }] }))
    const elsewhere = callerFor(
      h,
      await h.make.person({ grants: [{ duty, warehouse: (await h.make.warehouse()).code }] })
    )
    h.clock.set('2026-10-01T10:00')
    const may = ['finance-supervisor', 'hq-finance'].includes(duty)

    for (const body of [{ dryRun: true }, {}]) {
      expect((await elsewhere.post(path(office.warehouse, '2026-09'), body)).status).toBe(404)
      const answer = await here.post(path(office.warehouse, '2026-09'), body)
      const closes = 'dryRun' in body ? 200 : 201
      expect([answer.status, answer.body.code]).toEqual(may ? [closes, undefined] : [403, 'DutyRequired'])
    }
    expect((await elsewhere.get(path(office.warehouse, '2026-09'))).status).toBe(404)
    expect((await here.get(path(office.warehouse, '2026-09'))).body.state).toBe(may ? 'closed' : 'open')
  })
})
