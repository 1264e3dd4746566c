import { createHash } from 'node:crypto'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { XLSX } from '../../src/platform/xlsx.ts'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { cells, download, sheetsOf } from '../support/downloads.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { closeMonth } from '../support/month-end.ts'

// A year in three warehouses: ST01 and ST02 of region NORTH, ST03 of its own. In November ST01 is closed up to October, ST02 up to
// August, ST03 not at all.

let h: Harness
let closer: MadePerson
let finance: Caller
let north: Caller
let st01: Counter
let st02: Counter
let st03: Counter
let pad: string
let belt: string

const close = (counter: Counter, period: string) =>
  closeMonth(h, closer.actor, { id: counter.warehouseId, code: counter.warehouse }, period)
const receipt = (part: string, quantity: string, unitCost: string) => ({
  kind: 'receipt',
  lines: [{ part, quantity, unitCost }]
})
const issue = (part: string, quantity: string, reference = 'RO-1') => ({
  kind: 'issue',
  reference,
  lines: [{ part, quantity }]
})
const of = (warehouse: string, period: string, what: string) => `/v1/warehouses/${warehouse}/periods/${period}/${what}`

beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-05-04T10:00')
  closer = await h.make.person({ grants: [{ duty: 'hq-finance' }] })
  finance = callerFor(h, closer)
  st01 = await openCounter(h, { warehouse: 'ST01', region: 'NORTH' })
  st02 = await openCounter(h, { warehouse: 'ST02', region: 'NORTH' })
  st03 = await openCounter(h, { warehouse: 'ST03' })
  north = callerFor(h, await h.make.person({ grants: [{ duty: 'finance-supervisor', region: 'NORTH' }] }))
  pad = (await h.make.part({ number: 'PAD-1', name: 'Brake pad', nameZh: '制动片' })).number
  belt = (await h.make.part({ number: 'BELT-1', name: 'Belt' })).number

  await st01.posted(receipt(pad, '10', '25'))
  await st01.posted({
    kind: 'receipt',
    lines: [{ part: belt, quantity: '4', ownership: 'consigned' }]
  })
  await st02.posted(receipt(belt, '5', '9.99'))
  await st03.posted(receipt(pad, '2', '100'))
  h.clock.set('2026-08-10T10:00')
  await st01.posted(issue(pad, '3'))
  h.clock.set('2026-10-12T10:00')
  await st01.posted(receipt(belt, '8', '3.3333'))
  h.clock.set('2026-11-20T10:00')
  for (const period of ['2026-05', '2026-06', '2026-07', '2026-08', '2026-09', '2026-10']) await close(st01, period)
  for (const period of ['2026-05', '2026-06', '2026-07', '2026-08']) await close(st02, period)
}, 120_000)
afterAll(() => h.close())

describe('the depreciation of one warehouse', () => {
  test('of a closed month says lots, totals, position and hashes (R-FIN-2)', async () => {
    const { status, body } = await finance.get(of('ST01', '2026-08', 'depreciation'))
    expect(status).toBe(200)
    expect(body).toEqual({
      period: '2026-08',
      warehouse: 'ST01',
      region: null,
      part: null,
      state: 'closed',
      warehouses: { closed: 1, open: 0 },
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      fileSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      position: expect.stringMatching(/^[1-9][0-9]*$/),
      // 7 × 25, in the first charged month 8 %.
      totals: {
        lots: 1,
        cost: '175.00',
        charge: '14.00',
        accumulatedDepreciation: '14.00',
        netBookValue: '161.00'
      },
      items: [
        {
          warehouse: 'ST01',
          period: '2026-08',
          state: 'closed',
          part: 'PAD-1',
          name: 'Brake pad',
          nameZh: '制动片',
          lot: expect.any(String),
          condition: 'qualified',
          receivedOn: '2026-05-04',
          ageMonths: 4,
          quantity: '7',
          unitCost: '25.0000',
          cost: '175.00',
          monthsCharged: 1,
          charge: '14.00',
          accumulatedDepreciation: '14.00',
          netBookValue: '161.00'
        }
      ],
      nextCursor: null
    })
  })

  test('its CSV is the file whose SHA-256 the statement holds', async () => {
    const { body: statement } = await finance.get(of('ST01', '2026-08', 'statement'))
    for (const [what, hash] of [
      ['depreciation', statement.depreciation.sha256],
      ['stock-report', statement.stockReport.sha256]
    ] as const) {
      const file = await download(h, finance, of('ST01', '2026-08', what), 'csv')
      expect(createHash('sha256').update(file.bytes).digest('hex')).toBe(hash)
      expect(file.headers['repr-digest']).toBe(`sha-256=:${Buffer.from(hash, 'hex').toString('base64')}:`)
      expect(file.headers['content-disposition']).toBe(`attachment; filename="ST01-2026-08-${what}.csv"`)
      expect((await finance.get(of('ST01', '2026-08', what))).body.fileSha256).toBe(hash)
    }
  })

  test('of one part has totals of its own and no hash of a file', async () => {
    const { body } = await finance.get(`${of('ST01', '2026-10', 'depreciation')}?part=BELT-1`)
    expect(body).toMatchObject({ part: 'BELT-1', fileSha256: null, totals: { lots: 1, cost: '26.67', charge: '0.00' } })
    expect(body.items).toHaveLength(1)
    const file = await download(h, finance, `${of('ST01', '2026-10', 'depreciation')}?part=BELT-1`, 'csv')
    expect(cells(file.text)).toHaveLength(1)
    expect(file.headers['repr-digest']).toBeUndefined()
  })

  test('of the current month is a preview, and says so in every format', async () => {
    const { body } = await finance.get(of('ST01', '2026-11', 'depreciation'))
    expect(body).toMatchObject({ state: 'preview', sha256: null, fileSha256: null, warehouses: { closed: 0, open: 1 } })
    expect(body.items.map(({ state, charge }: any) => [state, charge])).toEqual([
      ['preview', '0.00'],
      ['preview', '14.00']
    ])
    const csv = await download(h, finance, of('ST01', '2026-11', 'depreciation'), 'csv')
    expect(csv.headers['content-disposition']).toContain('ST01-2026-11-depreciation-preview.csv')
    const [sheet] = await sheetsOf(await download(h, finance, of('ST01', '2026-11', 'depreciation'), 'xlsx'))
    expect(sheet?.rows.slice(0, 4).map(([cell]) => cell)).toEqual([
      '折旧明细 Depreciation',
      '2026-11 · ST01',
      '预览,未结账 preview, not closed',
      `账簿位置 ledger position ${body.position}`
    ])
    expect(csv.headers['bincard-ledger-position']).toBe(body.position)
  })

  test('what closing a month freezes is what its preview said just before', async () => {
    const without = (text: string) => text.replaceAll('preview', 'closed')
    const preview = await download(h, finance, of('ST02', '2026-09', 'depreciation'), 'csv')
    const page = await finance.get(of('ST02', '2026-09', 'depreciation'))
    const report = await download(h, finance, of('ST02', '2026-09', 'stock-report'), 'csv')
    const journal = await finance.get(of('ST02', '2026-09', 'journal'))
    await close(st02, '2026-09')
    expect((await download(h, finance, of('ST02', '2026-09', 'depreciation'), 'csv')).bytes).toEqual(preview.bytes)
    expect((await download(h, finance, of('ST02', '2026-09', 'stock-report'), 'csv')).bytes).toEqual(report.bytes)
    const closed = await finance.get(of('ST02', '2026-09', 'depreciation'))
    for (const member of ['totals', 'position', 'items'] as const)
      expect(closed.body[member]).toEqual(JSON.parse(without(JSON.stringify(page.body[member]))))
    expect((await finance.get(of('ST02', '2026-09', 'journal'))).body.items).toEqual(
      JSON.parse(without(JSON.stringify(journal.body.items)))
    )
  })

  test('pages hold every lot once, in the order of the file', async () => {
    const seen: string[] = []
    let cursor: string | null = ''
    let pages = 0
    do {
      const { body }: { body: any } = await finance.get(
        `${of('ST01', '2026-10', 'depreciation')}?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`
      )
      // The first page says what the whole list comes to.
      expect(body.totals === null).toBe(pages > 0)
      seen.push(...body.items.map(({ part }: { part: string }) => part))
      cursor = body.nextCursor
      pages++
    } while (cursor !== null)
    const file = await download(h, finance, of('ST01', '2026-10', 'depreciation'), 'csv')
    expect(seen).toEqual(cells(file.text).map(([, , part]) => part))
    expect(seen).toEqual(['BELT-1', 'PAD-1'])
  })

  test('a spreadsheet has headings in both languages, numbers as numbers and a row of totals', async () => {
    const [sheet] = await sheetsOf(await download(h, finance, of('ST01', '2026-10', 'depreciation'), 'xlsx'))
    const headings = sheet?.rows[5] ?? []
    expect(headings).toContain('货号\npart')
    expect(headings).toContain('净值\nnet book value')
    const cost = headings.indexOf('原值\ncost')
    expect(sheet?.rows.slice(6).map((row) => row[cost])).toEqual([26.67, 175, 201.67])
    expect(sheet?.rows.at(-1)?.[1]).toBe('合计 total')
  })
})

describe('several warehouses', () => {
  test('of which some are closed are mixed, and every row says its own state', async () => {
    const { body } = await finance.get('/v1/depreciation?period=2026-10')
    expect(body).toMatchObject({
      warehouse: null,
      state: 'mixed',
      warehouses: { closed: 1, open: 2 },
      sha256: null,
      fileSha256: null
    })
    expect(body.items.map(({ warehouse, state, part }: any) => [warehouse, state, part])).toEqual([
      ['ST01', 'closed', 'BELT-1'],
      ['ST01', 'closed', 'PAD-1'],
      ['ST02', 'preview', 'BELT-1'],
      ['ST03', 'preview', 'PAD-1']
    ])
    const cents = (member: string) =>
      body.items.reduce((sum: number, row: any) => sum + Number(row[member].replace('.', '')), 0)
    for (const member of ['cost', 'charge', 'accumulatedDepreciation', 'netBookValue'])
      expect(Number(body.totals[member].replace('.', ''))).toBe(cents(member))
    const csv = await download(h, finance, '/v1/depreciation?period=2026-10', 'csv')
    expect(cells(csv.text).map(([state, , warehouse]) => [state, warehouse])).toEqual([
      ['closed', 'ST01'],
      ['closed', 'ST01'],
      ['preview', 'ST02'],
      ['preview', 'ST03']
    ])
    expect(csv.headers['content-disposition']).toContain('all-2026-10-depreciation-mixed.csv')
  })

  test('a spreadsheet says the state of every row as the CSV does', async () => {
    for (const [path, states] of [
      ['/v1/depreciation?period=2026-10', ['closed', 'closed', 'preview', 'preview']],
      ['/v1/stock-report?period=2026-10', ['closed', 'closed', 'closed', 'preview', 'preview']]
    ] as const) {
      const [sheet] = await sheetsOf(await download(h, finance, path, 'xlsx'))
      const at = sheet?.rows.findIndex(([cell]) => cell === '状态\nstate') ?? -1
      expect(sheet?.rows.slice(at + 1, -1).map(([state]) => state)).toEqual(states)
      expect(cells((await download(h, finance, path, 'csv')).text).map(([state]) => state)).toEqual(states)
    }
    const csv = await download(h, finance, '/v1/aging/summary?period=2026-10&by=warehouse', 'csv')
    expect([...new Set(cells(csv.text).map((row) => `${row[2]} ${row[3]}`))]).toEqual([
      'ST01 closed',
      'ST02 preview',
      'ST03 preview'
    ])
  })

  test('every list says the ledger position it was made from, in every format', async () => {
    for (const scope of ['warehouse=ST01', 'region=NORTH', '']) {
      for (const list of ['depreciation', 'stock-report', 'journal', 'aging', 'aging/summary', 'material-cost']) {
        const path = `/v1/${list}?period=2026-10&${scope}`
        const { position } = (await finance.get(path)).body
        expect(position).toMatch(/^[1-9][0-9]*$/)
        const csv = await download(h, finance, path, 'csv')
        expect([path, csv.headers['bincard-ledger-position']]).toEqual([path, position])
        const [sheet] = await sheetsOf(await download(h, finance, path, 'xlsx'))
        expect(sheet?.rows[3]?.[0]).toBe(`账簿位置 ledger position ${position}`)
      }
    }
  })

  test('a page goes on in the next warehouse', async () => {
    const first = await finance.get('/v1/depreciation?period=2026-10&limit=3')
    expect(first.body.items.map(({ warehouse }: any) => warehouse)).toEqual(['ST01', 'ST01', 'ST02'])
    const second = await finance.get(`/v1/depreciation?period=2026-10&limit=3&cursor=${first.body.nextCursor}`)
    expect(second.body.items.map(({ warehouse }: any) => warehouse)).toEqual(['ST03'])
    expect(second.body.nextCursor).toBeNull()
  })

  test('by region and by part', async () => {
    const { body } = await finance.get('/v1/depreciation?period=2026-07&region=NORTH')
    expect(body).toMatchObject({ region: 'NORTH', state: 'closed', warehouses: { closed: 2, open: 0 } })
    const { body: ofPart } = await finance.get('/v1/stock-report?period=2026-10&part=PAD-1')
    expect(ofPart.items.map(({ warehouse, part }: any) => [warehouse, part])).toEqual([
      ['ST01', 'PAD-1'],
      ['ST03', 'PAD-1']
    ])
    expect(ofPart.totals.balances).toBe(2)
  })

  test('are those the caller sees; one that may not be seen is not there, in any format', async () => {
    const { body } = await north.get('/v1/depreciation?period=2026-10')
    expect([...new Set(body.items.map(({ warehouse }: any) => warehouse))]).toEqual(['ST01', 'ST02'])
    for (const path of [
      of('ST03', '2026-10', 'depreciation'),
      of('ST03', '2026-10', 'stock-report'),
      of('ST03', '2026-10', 'journal'),
      of('ST03', '2026-10', 'statement'),
      of('ST03', '2026-10', 'statement/verification'),
      '/v1/depreciation?period=2026-10&warehouse=ST03',
      '/v1/aging?warehouse=ST03',
      '/v1/aging/summary?warehouse=ST03',
      '/v1/material-cost?period=2026-10&warehouse=ST03'
    ]) {
      for (const as of ['json', 'csv', 'xlsx'] as const) {
        const { status, text } = await download(h, north, path, as)
        expect([path, as, status, JSON.parse(text).code]).toEqual([path, as, 404, 'NotFound'])
      }
    }
  })
})

describe('the journal', () => {
  test('balances in every department, and its depreciation is that of the month (R-AGE-4)', async () => {
    const { body } = await finance.get('/v1/journal?period=2026-08')
    expect(body.totals.debit).toBe(body.totals.credit)
    for (const warehouse of ['ST01', 'ST02', 'ST03']) {
      const { body: own } = await finance.get(of(warehouse, '2026-08', 'journal'))
      expect(own.totals.debit).toBe(own.totals.credit)
      const { body: depreciation } = await finance.get(of(warehouse, '2026-08', 'depreciation'))
      expect(own.items.find(({ role }: any) => role === 'depreciation-expense').debit).toBe(depreciation.totals.charge)
      expect(body.items.filter((row: any) => row.warehouse === warehouse)).toEqual(own.items)
    }
    expect(body.totals.lines).toBe(body.items.length)
  })

  test('of a closed month keeps the accounts of that time, of an open one it has the present ones', async () => {
    const before = await finance.get(of('ST01', '2026-10', 'journal'))
    const roles = [{ role: 'depreciation-expense', account: '6601.99', name: 'Moved', nameZh: null }]
    expect((await finance.put('/v1/journal-accounts/ST01', { accounts: roles })).status).toBe(200)
    expect((await finance.get(of('ST01', '2026-10', 'journal'))).body).toEqual(before.body)
    const open = await finance.get(of('ST01', '2026-11', 'journal'))
    expect(open.body.items.find(({ role }: any) => role === 'depreciation-expense')).toMatchObject({
      account: '6601.99',
      state: 'preview'
    })
  })

  test('pages go on within a department', async () => {
    const whole = await finance.get('/v1/journal?period=2026-05')
    const paged: unknown[] = []
    let cursor: string | null = null
    do {
      const { body }: { body: any } = await finance.get(
        `/v1/journal?period=2026-05&limit=1${cursor === null ? '' : `&cursor=${cursor}`}`
      )
      paged.push(...body.items)
      cursor = body.nextCursor
    } while (cursor !== null)
    expect(paged).toEqual(whole.body.items)
    expect(paged).toHaveLength(6)
  })
})

describe('the statement', () => {
  test('of a closed month is sent as it was stored, with its SHA-256 as ETag and digest', async () => {
    const [stored] = await h.sql<{ content: string; sha256: string }>(
      `select content, sha256 from period_statement where warehouse_id = $1 and period = '2026-10-01'`,
      [st01.warehouseId]
    )
    const sent = await download(h, finance, of('ST01', '2026-10', 'statement'), 'json')
    expect(sent.text).toBe(stored?.content)
    expect(sent.sha256).toBe(stored?.sha256)
    expect(sent.headers).toMatchObject({
      etag: `"${stored?.sha256}"`,
      'repr-digest': `sha-256=:${Buffer.from(stored?.sha256 ?? '', 'hex').toString('base64')}:`,
      'content-type': 'application/json; charset=utf-8'
    })
    expect(JSON.parse(sent.text)).toMatchObject({ state: 'closed', period: '2026-10', closedBy: closer.username })
  })

  test('follows the one before, and each verifies', async () => {
    const { body: september } = await finance.get(of('ST01', '2026-09', 'statement/verification'))
    const { body: october } = await finance.get(of('ST01', '2026-10', 'statement'))
    expect(september).toMatchObject({ warehouse: 'ST01', period: '2026-09', ok: true, findings: [] })
    expect(october.previousSha256).toBe(september.sha256)
    for (const period of ['2026-05', '2026-06', '2026-07', '2026-08', '2026-10'])
      expect((await finance.get(of('ST01', period, 'statement/verification'))).body.findings).toEqual([])
  })

  test('of an open month is a preview, of which there is nothing to verify', async () => {
    const sent = await finance.get(of('ST01', '2026-11', 'statement'))
    expect(sent.body).toMatchObject({ state: 'preview', closedAt: null, depreciation: { sha256: null } })
    expect(sent.headers['etag']).toMatch(/^W\//)
    const { status, body } = await finance.get(of('ST01', '2026-11', 'statement/verification'))
    expect([status, body.code]).toEqual([409, 'PeriodOpen'])
  })

  test('is a workbook of all that belongs to it', async () => {
    const sheets = await sheetsOf(await download(h, finance, of('ST01', '2026-10', 'statement'), 'xlsx'))
    expect(sheets.map(({ name }) => name)).toEqual([
      '报表 Statement',
      '折旧明细 Depreciation',
      '凭证 Journal',
      '进销存 Stock report',
      '库龄汇总 Aging summary',
      '材料成本 Material cost'
    ])
    const [, , journal] = sheets
    const headings = journal?.rows[5] ?? []
    const totals = journal?.rows.at(-1) ?? []
    expect(totals[headings.indexOf('借方\ndebit')]).toBe(totals[headings.indexOf('贷方\ncredit')])
  })

  test('that somebody changed past the service is found', async () => {
    const breach = async (change: string) => {
      for (const table of ['period_statement', 'depreciation_line', 'stock_report_line'])
        await h.sql(`alter table ${table} disable trigger user`)
      await h.sql(change)
      const { body } = await finance.get(of('ST02', '2026-06', 'statement/verification'))
      return [body.ok, body.findings.map(({ check }: { check: string }) => check)]
    }
    const where = `where warehouse_id = ${st02.warehouseId} and period = '2026-06-01'`
    expect(await breach(`update depreciation_line set unit_cost = 9.98 ${where}`)).toEqual([
      false,
      ['sha256-of-depreciation']
    ])
    await breach(`update depreciation_line set unit_cost = 9.99 ${where}`)
    expect(await breach(`update stock_report_line set name = 'Other' ${where}`)).toEqual([
      false,
      ['sha256-of-depreciation', 'sha256-of-stock-report']
    ])
    await breach(`update stock_report_line set name = 'Belt' ${where}`)
    expect(
      await breach(
        `update period_statement set content = replace(content, '"cost":"49.95"', '"cost":"49.96"') ${where}`
      )
    ).toEqual([
      false,
      expect.arrayContaining(['sha256-of-content', 'totals-of-depreciation', 'depreciation-ties-to-ledger'])
    ])
    // Whoever also writes the hash anew is betrayed by the month after.
    const rehash = `update period_statement set sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex') ${where}`
    expect((await breach(rehash))[1]).not.toContain('sha256-of-content')
    const { body: july } = await finance.get(of('ST02', '2026-07', 'statement/verification'))
    expect(july.findings.map(({ check }: { check: string }) => check)).toEqual(['follows-the-statement-before'])
    await breach(`update period_statement set content = replace(content, '"cost":"49.96"', '"cost":"49.95"') ${where}`)
    await breach(rehash)
    // With the hash written anew, each part is held against what it was made from.
    for (const [was, is, checks] of [
      ['"fromMonths":0,"lots":1', '"fromMonths":0,"lots":2', ['aging-ties-to-depreciation-lines', 'totals-of-aging']],
      ['"graceMonths":3', '"graceMonths":2', ['policies-of-the-month']],
      ['"count":"CNT-', '"count":"ZNT-', ['count-of-the-month']]
    ] as const) {
      await breach(`update period_statement set content = replace(content, '${was}', '${is}') ${where}`)
      expect(await breach(rehash)).toEqual([false, checks])
      await breach(`update period_statement set content = replace(content, '${is}', '${was}') ${where}`)
      await breach(rehash)
    }
    expect(await breach('select 1')).toEqual([true, []])
  })

  test('is verified for finance and stock control, also by a key that may only read', async () => {
    const path = of('ST01', '2026-10', 'statement/verification')
    const by = async (...grants: { duty: string; warehouse?: string; region?: string }[]) =>
      callerFor(h, await h.make.person({ grants: grants as never })).get(path)
    expect((await north.get(path)).status).toBe(200)
    expect((await by({ duty: 'stock-controller', region: 'NORTH' })).status).toBe(200)
    const keeper = await by({ duty: 'keeper', warehouse: 'ST01' })
    expect([keeper.status, keeper.body.code]).toEqual([403, 'DutyRequired'])
    expect((await by({ duty: 'finance-supervisor', warehouse: 'ST03' })).status).toBe(404)
    const key = await finance.post('/v1/api-keys', { name: 'auditor', access: 'read', expiresOn: '2027-01-01' })
    expect(key.status, JSON.stringify(key.body)).toBe(201)
    expect((await h.api.get(path).set('x-api-key', key.body.key)).status).toBe(200)
  })
})

test('a closed month answers the same bytes in every format, whatever happens later (R-FIN-1)', async () => {
  const paths = [
    ...['depreciation', 'stock-report', 'journal'].flatMap((what) =>
      (['json', 'csv', 'xlsx'] as const).map((as) => [of('ST01', '2026-10', what), as] as const)
    ),
    [of('ST01', '2026-10', 'statement'), 'json'] as const,
    [of('ST01', '2026-10', 'statement'), 'xlsx'] as const,
    ...(['json', 'csv', 'xlsx'] as const).flatMap((as) =>
      ['/v1/aging', '/v1/aging/summary', '/v1/material-cost'].map(
        (list) => [`${list}?period=2026-10&warehouse=ST01`, as] as const
      )
    )
  ]
  const hashes = async () => {
    const found: Record<string, string> = {}
    for (const [path, as] of paths) {
      const { status, sha256 } = await download(h, finance, path, as)
      expect([path, as, status]).toEqual([path, as, 200])
      found[`${path} ${as}`] = sha256
    }
    return found
  }
  const before = await hashes()
  expect(await hashes()).toEqual(before)
  await h.sql(
    `update part set name = 'Renamed', name_zh = '改名', specification = 'new' where number in ('PAD-1', 'BELT-1')`
  )
  await h.sql(`update warehouse set name = 'Renamed', name_zh = '改名' where code = 'ST01'`)
  await st01.posted(issue(pad, '2'))
  await st01.posted(receipt(pad, '6', '30'))
  await st01.posted({ kind: 'issue', lines: [{ part: belt, quantity: '1', ownership: 'consigned' }] })
  expect(await hashes()).toEqual(before)
  expect((await finance.get(of('ST01', '2026-10', 'statement/verification'))).body.findings).toEqual([])
})

describe('what is refused', () => {
  test.for([
    ['/v1/depreciation?period=2026-12', 422, 'PeriodNotBegun'],
    ['/v1/warehouses/ST01/periods/2026-12/depreciation', 422, 'PeriodNotBegun'],
    ['/v1/warehouses/ST01/periods/9999-12/statement', 422, 'PeriodNotBegun'],
    ['/v1/warehouses/ST01/periods/2026-12/statement/verification', 422, 'PeriodNotBegun'],
    ['/v1/aging?period=2026-12', 422, 'PeriodNotBegun'],
    ['/v1/depreciation', 400, 'InvalidInput'],
    ['/v1/journal', 400, 'InvalidInput'],
    ['/v1/stock-report?period=2026-13', 400, 'InvalidInput'],
    ['/v1/warehouses/ST01/periods/2026-10/journal?region=NORTH', 400, 'InvalidInput'],
    ['/v1/depreciation?period=2026-10&region=NOWHERE', 404, 'NotFound'],
    ['/v1/depreciation?period=2026-10&part=NONE', 404, 'NotFound'],
    ['/v1/depreciation?period=2026-10&warehouse=NONE', 404, 'NotFound'],
    ['/v1/depreciation?period=2026-10&cursor=x', 400, 'CursorInvalid'],
    [
      `/v1/depreciation?period=2026-10&cursor=${Buffer.from('["ST01","a","b","c"]').toString('base64url')}`,
      400,
      'CursorInvalid'
    ],
    [
      `/v1/depreciation?period=2026-10&cursor=${Buffer.from('[1,"a","b","1"]').toString('base64url')}`,
      400,
      'CursorInvalid'
    ],
    ...(
      [
        ['depreciation', ['W', 1, 2, 3]],
        ['depreciation', ['W', 'a', 'b', 'c']],
        ['depreciation', ['W', 'a', 'b']],
        ['depreciation', ['W', 'a', 'b', '99999999999999999999']],
        ['stock-report', ['W', 1, 2, 3]],
        ['stock-report', ['ST01', 'a', 'own', 3]],
        ['journal', ['ST01', 'x']],
        ['journal', ['ST01', 1, 2]],
        ['aging', ['W', 'a', 'b', 3]],
        ['aging/summary', [5]],
        ['material-cost', ['ST01', 1, 2]]
      ] as const
    ).map(
      ([list, key]) =>
        [
          `/v1/${list}?period=2026-10&cursor=${Buffer.from(JSON.stringify(key)).toString('base64url')}`,
          400,
          'CursorInvalid'
        ] as const
    ),
    ['/v1/aging?bucket=old', 422, 'BucketUnknown'],
    ['/v1/aging/summary?by=country', 400, 'InvalidInput']
  ] as const)('%s is answered %i %s', async ([path, status, code]) => {
    const answer = await finance.get(path)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('a month before anything moved is an empty preview', async () => {
    const { body } = await finance.get(of('ST01', '2001-01', 'depreciation'))
    expect(body).toMatchObject({ state: 'preview', position: '0', items: [], totals: { lots: 0, cost: '0.00' } })
    expect((await finance.get(of('ST01', '0001-01', 'statement'))).body).toMatchObject({ state: 'preview' })
  })
})

test('whoever breaks a download off leaves no connection behind', async () => {
  const { code, id } = await h.make.warehouse()
  const part = await h.make.part()
  const period = '2026-09-01'
  const zeros = Array.from({ length: 16 }, () => 0).join(', ')
  await h.sql(
    `insert into balance (warehouse_id, part_id, ownership, condition, part_number) values ($1, $2, 'own', 'qualified', $3)`,
    [id, part.id, part.number]
  )
  await h.sql(
    `insert into stock_report_line select $1, $3, 'P' || i, 'own', 'qualified', $2, 'n', null, null, 'piece', ${zeros} from generate_series(1, 60000) i`,
    [id, part.id, period]
  )
  await h.sql(
    `insert into period_statement values ($1, $2, '{"stockReport": {}}', repeat('0', 64), 0, 0, 0, 0, 0, now())`,
    [id, period]
  )
  const { port } = h.app.server.address() as AddressInfo
  const { pool } = h.runtime.database
  for (const accept of ['text/csv', XLSX]) {
    await new Promise<void>((done) => {
      const request = get(
        {
          port,
          path: of(code, '2026-09', 'stock-report'),
          headers: { authorization: `Bearer ${finance.person.token}`, accept }
        },
        (response) => {
          response.on('error', () => done())
          response.once('data', () => request.destroy())
          response.once('close', () => done())
        }
      )
      request.on('error', () => done())
    })
    await expect.poll(() => pool.totalCount - pool.idleCount, { timeout: 5_000 }).toBe(0)
  }
})
