import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { printCountSheet } from '../../src/counts/count-sheet.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openCounting, type Counting } from './counting.ts'

let h: Harness
let at: Counting
beforeAll(async () => {
  h = await openHarness()
  at = await openCounting(h)
})
afterAll(() => h.close())

const sheet = async (number: string) => {
  const { status, text, headers } = await at.keeper.get(`/v1/counts/${number}/sheet`)
  expect(status).toBe(200)
  return { text, headers, copies: text.split('<section').slice(1) }
}
/** The cells of the row of a line in a copy. */
const cells = (copy: string, line: number): string[] => {
  const row = copy.split('<tr>').find((text) => text.startsWith(`<td class="n">${line}<td>`)) ?? ''
  return row
    .split(/<td[^>]*>/)
    .slice(1)
    .map((cell) => cell.trim().replace(/<\/tr>.*$/s, ''))
}

test('the sheet has three copies in their order, each with all lines, blank boxes before and figures after (R-CNT-3)', async () => {
  const part = await h.make.part({ nameZh: '链条', specification: '08B', colour: '黑' })
  await at.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '7919', unitCost: '1' }] })
  const { number } = await at.open({ kind: 'cycle', parts: [part.number], note: 'shelf <4>' })
  const [lot] = await h.sql<{ id: string }>('select id::text as id from lot where part_id = $1', [part.id])

  const before = await sheet(number)
  expect(before.copies.map((copy) => /<h1>(.*?)<small>/.exec(copy)?.[1])).toEqual([
    '盘点表 — 仓库联',
    '盘点表 — 财务联',
    '盘点表 — 负责人联'
  ])
  for (const copy of before.copies) {
    expect(cells(copy, 1)).toEqual([
      '1',
      part.number,
      `链条 part ${part.number}`,
      '08B',
      '黑',
      'piece',
      '自有 own',
      '合格 qualified',
      lot?.id,
      '',
      '',
      '',
      '',
      ''
    ])
    expect(copy).toContain(number)
    expect(copy).toContain(at.warehouse)
    expect(copy).toContain('盘点中 counting')
    expect(copy).toContain('shelf &#60;4&#62;')
    expect(copy).toMatch(/账面数量<small>expected/)
    for (const duty of ['监盘 财务主管', '售后服务部负责人', '总公司分管部']) expect(copy).toContain(duty)
  }
  expect(before.text).not.toContain('7919')

  await at.count(number, [{ part: part.number, counted: '7918' }])
  expect(cells((await sheet(number)).copies[2] ?? '', 1).slice(9)).toEqual(['7919', '7918', '7918', '-1', ''])
  await at.submit(number)
  await at.signCount(number)
  const after = await sheet(number)
  for (const copy of after.copies) {
    expect(cells(copy, 1).slice(9)).toEqual(['7919', '7918', '7918', '-1', '损坏 damage'])
    expect(copy).toContain('已批准 approved')
    for (const signer of [at.signers['finance-supervisor'], at.signers['department-head'], at.controller])
      expect(copy).toContain(`<p>${signer.person.username}<small>2026-11-20 10:00</small></p>`)
  }
})

test('it is one page of its own: made for A4, headings on every sheet of paper, no script, nothing from elsewhere', async () => {
  const part = await at.stocked()
  const { number } = await at.open({ kind: 'cycle', parts: [part.number] })
  const { text, headers } = await sheet(number)
  expect(headers['content-type']).toBe('text/html; charset=utf-8')
  const [, style = ''] = /<style>(.*)<\/style>/s.exec(text) ?? []
  const hash = createHash('sha256').update(style).digest('base64')
  expect(headers['content-security-policy']).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  )
  for (const rule of ['size: A4', 'counter(page)', 'display: table-header-group', 'break-after: page'])
    expect(style).toContain(rule)
  expect(text).not.toMatch(/<script|<link|<img|<iframe|\son\w+=|https?:|url\(|@import|style="/i)
})

test('what people wrote is text on the page and nothing else', async () => {
  const evil = `"><script>alert('1')</script>&amp;`
  const part = await h.make.part({ name: evil, nameZh: evil, specification: evil, colour: evil, unit: '<b>' })
  await at.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '5', unitCost: '1' }] })
  const keeper = callerFor(
    h,
    await h.make.person({ name: evil, grants: [{ duty: 'keeper', warehouse: at.warehouse }] })
  )
  const { number } = must(
    await keeper.post(`/v1/warehouses/${at.warehouse}/counts`, { kind: 'cycle', parts: [part.number], note: evil }),
    201
  )
  must(await keeper.post(`/v1/counts/${number}/entries`, { entries: [{ line: 1, counted: '5', card: '4' }] }), 200)
  must(
    await keeper.post(`/v1/counts/${number}/explanations`, {
      lines: [{ line: 1, cause: 'other', causeNote: evil, evidence: evil }]
    }),
    200
  )
  const { text } = await sheet(number)
  expect(text).not.toContain('<script')
  expect(text).not.toContain('<b>')
  expect(text.match(/&#60;script&#62;/g)?.length).toBeGreaterThanOrEqual(3 * 7)
})

test('all three copies show the same moment, whatever is settled while they are printed', async () => {
  const part = await at.stocked({ quantity: '7919' })
  const { number } = await at.open({ kind: 'cycle', parts: [part.number] })
  const pages = await printCountSheet(h.contextOf(at.keeper.person.actor), { number })
  let text = ''
  for await (const piece of pages) {
    if (text.includes('盘点表 — 财务联') && !text.includes('盘点表 — 负责人联'))
      await h.sql(
        `update count_line set state = 'settled', counted = 1, card = 1, expected = 7919 where warehouse_id = $1 and part_id = $2`,
        [at.warehouseId, part.id]
      )
    text += piece
  }
  expect(text.split('<section')).toHaveLength(4)
  expect(text).not.toContain('7919')
  expect((await sheet(number)).text).toContain('7919')
})

test('a sheet of many lines leaves in pieces, and a reader who goes away leaves no connection behind', async () => {
  const lines = 20_000
  const [{ id }] = await h.sql<{ id: string }>(
    `insert into stock_count (warehouse_id, number, kind, state, scope, position, opened_at, opened_by, duties)
     values ($1, $2, 'cycle', 'counting', '{}', 0, now(), 0, '{finance-supervisor,department-head,stock-controller}') returning id`,
    [at.warehouseId, `${at.warehouse}-CNT-202611-90000`]
  )
  await h.sql(`insert into part (number, name) select 'LONG-' || n, 'part ' || n from generate_series(1, $1::int) n`, [
    lines
  ])
  await h.sql(
    `insert into count_line (warehouse_id, count_id, line_no, part_id, ownership, condition, snapshot)
     select $1, $2, row_number() over (order by id), id, 'own', 'qualified', 5 from part where number like 'LONG-%'`,
    [at.warehouseId, id]
  )
  const ctx = h.contextOf(at.keeper.person.actor)
  let [pieces, longest, rows] = [0, 0, 0]
  for await (const piece of await printCountSheet(ctx, { number: `${at.warehouse}-CNT-202611-90000` })) {
    pieces++
    longest = Math.max(longest, piece.length)
    rows += piece.split('<tr><td').length - 1
  }
  expect(rows).toBe(3 * lines)
  expect(pieces).toBeGreaterThan(3 * 90)
  expect(longest).toBeLessThan(200_000)

  for (let reader = 0; reader < 10; reader++) {
    const pages = await printCountSheet(ctx, { number: `${at.warehouse}-CNT-202611-90000` })
    await pages.next()
    await pages.next()
    await pages.next()
    await pages.return(undefined)
  }
  const { totalCount, idleCount } = h.runtime.database.pool
  expect(idleCount).toBe(totalCount)
})
