import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { openHandingOver, type HandingOver } from './handing-over.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const form = async (at: HandingOver, number: string) => {
  const { status, text, headers } = await at.controller.get(`/v1/handovers/${number}/form`)
  expect(status).toBe(200)
  return { text, headers }
}
/** The cells of the rows of the table under a heading. */
const rowsUnder = (text: string, heading: string): string[][] => {
  const body = text.split(heading)[1]?.split('<tbody>')[1]?.split('</tbody>')[0] ?? ''
  return body
    .split('<tr>')
    .slice(1)
    .map((row) =>
      row
        .split(/<td[^>]*>/)
        .slice(1)
        .map((cell) => cell.replace(/<[/]t[dr]>/g, '').trim())
    )
}

test('the form shows balances, what moved, papers, keys, notes, a box for each of four, and after them the cut-off (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  const part = await h.make.part({ nameZh: '链条', specification: '08B', colour: '黑' })
  await at.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '9', unitCost: '2' }] })
  const { number: open } = await at.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
  const { number } = await at.drawUp({
    keys: [{ name: '仓库大门', count: 2, note: '备用在保险柜' }],
    notes: 'shelf <3>'
  })
  await at.submit(number)
  const { number: issued } = await at.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '4' }] })

  const before = await form(at, number)
  expect(rowsUnder(before.text, '库存清单')).toEqual([
    [
      part.number,
      `链条 part ${part.number}`,
      '08B',
      '黑',
      'piece',
      '自有 own',
      '合格 qualified',
      '9',
      '0',
      '0',
      '-4',
      '5',
      '18.00'
    ]
  ])
  expect(rowsUnder(before.text, '清单后变动').map((cells) => [cells[1], cells[5], cells.at(-1)])).toEqual([
    [issued, part.number, '-4']
  ])
  expect(rowsUnder(before.text, '未结单据、备用机、工具')[0]?.slice(0, 3)).toEqual(['1', '未结单据 open slip', open])
  expect(rowsUnder(before.text, '未结单据、备用机、工具')[0]?.[3]).toContain(
    `制单人 prepared by: ${at.keeper.person.username}`
  )
  expect(rowsUnder(before.text, '钥匙及其他')).toEqual([['仓库大门', '2', '备用在保险柜']])
  expect(before.text).toContain('shelf &#60;3&#62;')
  expect(before.text).toContain('待签字 awaiting signatures')
  expect(before.text).toContain('四方签字完成的时刻起')
  const boxes = (text: string) => text.split('<div class="signatures">')[1]?.match(/<div>[^<]+<p>/g)
  expect(boxes(before.text)?.map((box) => box.slice(5, -3))).toEqual([
    '移交人 outgoing keeper',
    '接收人 incoming keeper',
    '监交人 售后服务部负责人 department-head',
    '监交人 财务主管 finance-supervisor'
  ])

  const { cutOff } = await at.signAll(number)
  const after = await form(at, number)
  for (const { person } of [at.keeper, at.incoming, at.signers['department-head'], at.signers['finance-supervisor']])
    expect(after.text).toContain(`<p>${person.username}<small>2026-11-20 10:00</small></p>`)
  expect(after.text).toContain(
    `2026-11-20 10:00（账面位置 ${cutOff.position}）及以前由移交人 ${at.keeper.person.username} 负责`
  )
  expect(after.text).toContain('已移交 completed')
})

test('it is one page of its own: made for A4, headings on every sheet of paper, no script, nothing from elsewhere', async () => {
  const at = await openHandingOver(h)
  const { number } = await at.drawUp()
  const { text, headers } = await form(at, number)
  expect(headers['content-type']).toBe('text/html; charset=utf-8')
  const [, style = ''] = /<style>(.*)<\/style>/s.exec(text) ?? []
  const hash = createHash('sha256').update(style).digest('base64')
  expect(headers['content-security-policy']).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  )
  expect(style).toContain('size: A4')
  expect(style).toContain('table-header-group')
  expect(text).not.toMatch(/<script|<img|https?:/)
  expect(rowsUnder(text, '库存清单')).toEqual([['无 none']])
  expect(text.trimEnd().endsWith('</html>')).toBe(true)
})

test('a difference that the supervised count found stands on it; an absent keeper has no box to sign', async () => {
  const at = await openHandingOver(h)
  const part = await at.stocked({ quantity: '10' })
  const { number } = await at.drawUp(
    { outgoing: at.keeper.person.username, absentBecause: '因病住院' },
    at.signers['department-head']
  )
  const { number: count } = await at.open()
  await at.count(count, [{ part: part.number, counted: '8' }])
  await at.settle(count)
  const { status } = await h.api
    .patch(`/v1/handovers/${number}`)
    .auth(at.signers['department-head'].person.token, { type: 'bearer' })
    .send({ count })
  expect(status).toBe(200)
  const { text } = await form(at, number)
  expect(rowsUnder(text, '监盘差异').map((cells) => [cells[0], ...cells.slice(4, 8)])).toEqual([
    [part.number, '10', '8', '8', '-2']
  ])
  expect(text).toContain('<div>移交人 outgoing keeper<p>缺席 absent<small>因病住院</small></p></div>')
  expect(text).toContain(`${count} · 差异 differences 1`)
})

test('a late signature stands on it with the minute by which it is due (R-OUT-2)', async () => {
  const at = await openHandingOver(h)
  const part = await at.stocked()
  const { number: slip } = await at.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
  await at.sign(slip, ['department-head', 'operations-supervisor'])
  const released = await at.keeper.post(`/v1/slips/${slip}/emergency-release`, {
    missingDuty: 'finance-supervisor',
    authorisedBy: '王芳',
    reason: '客户停机',
    handedTo: '李雷'
  })
  expect(released.status).toBe(200)
  const { number } = await at.drawUp()
  expect(rowsUnder((await form(at, number)).text, '未结单据、备用机、工具')).toEqual([
    ['1', '待补签 late signature', slip, expect.stringContaining('应于 due at: 2026-11-21 10:00')]
  ])
})
