import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { callerFor, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openRecalling, type Recalling } from './recalling.ts'

let h: Harness
let network: Recalling
let centre: Counter
let outlet: Counter
beforeAll(async () => {
  h = await openHarness()
  network = await openRecalling(h)
  centre = await network.counter()
  outlet = await network.counter()
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const code = (answer: { status: number; body: any }) => [answer.status, answer.body.code]

/** Six pieces: two went to the outlet, one to a repair order of the centre, three lie there. */
async function recalled() {
  const part = await centre.stocked({ quantity: '6' })
  await centre.posted({
    kind: 'issue',
    purpose: 'outlet',
    reference: `${outlet.warehouse}-REQ-202611-00001`,
    counterparty: outlet.warehouse,
    lines: [{ part: part.number, quantity: '2' }]
  })
  await centre.posted({
    kind: 'issue',
    reference: 'RO-5',
    counterparty: '张三',
    lines: [{ part: part.number, quantity: '1' }]
  })
  const recall = await network.recallPart(part.number)
  return { part, number: String(recall.number), path: `/v1/recalls/${recall.number}` }
}

describe('whoever holds goods of a recall or got some answers it (R-REQ-7)', () => {
  test('and head office sees who did and what share is done', async () => {
    const { path } = await recalled()
    const list = async () => must(await network.controller.get(`${path}/warehouses`), 200)
    const before = await list()
    expect(before).toMatchObject({ total: 2, answered: 0, share: 0 })
    const rowOf = (of: any, { warehouse }: Counter) =>
      of.items.find((row: { warehouse: string }) => row.warehouse === warehouse)
    expect(rowOf(before, centre)).toMatchObject({
      held: '3',
      issued: '1',
      got: '0',
      blocked: '3',
      found: null,
      answeredBy: null
    })
    expect(rowOf(before, outlet)).toMatchObject({ held: '0', issued: '0', got: '2', blocked: '0' })

    const clerk = callerFor(h, await h.make.person({ grants: [{ duty: 'outlet-clerk', warehouse: outlet.warehouse }] }))
    const answer = (found: string) =>
      clerk.post(`${path}/warehouses/${outlet.warehouse}/answers`, { found, returned: '0', note: '一件已装机' })
    expect(must(await answer('2'), 201)).toMatchObject({
      warehouse: outlet.warehouse,
      found: '2',
      returned: '0',
      got: '2'
    })
    must(await answer('1.500'), 201)

    const after = await list()
    expect(after).toMatchObject({ total: 2, answered: 1, share: 0.5 })
    expect(rowOf(after, outlet)).toMatchObject({ found: '1.5', note: '一件已装机', answeredBy: clerk.person.username })
    const open = must(await network.controller.get(`${path}/warehouses?state=open`), 200)
    expect(open.items.map(({ warehouse }: { warehouse: string }) => warehouse)).toEqual([centre.warehouse])
    expect(must(await network.controller.get(path), 200).progress).toMatchObject({ warehouses: 2, answered: 1 })
    expect(
      await h.sql('select count(*)::int as count from recall_answer where warehouse_id = $1', [outlet.warehouseId])
    ).toEqual([{ count: 2 }])
    await expect(h.sql('delete from recall_answer where warehouse_id = $1', [outlet.warehouseId])).rejects.toThrow(
      /answer again/
    )
    const issued = must(await network.controller.get(`${path}/issued`), 200).items
    expect(issued).toMatchObject([
      {
        purpose: 'repair-order',
        reference: 'RO-5',
        counterparty: '张三',
        outlet: null,
        quantity: '1',
        isAnswered: false
      },
      { purpose: 'outlet', outlet: outlet.warehouse, quantity: '2', isAnswered: true }
    ])
  })

  test('also by its own software with a key, but not for a foreign warehouse or with another duty', async () => {
    const { path } = await recalled()
    const key = must(
      await outlet.keeper.post('/v1/api-keys', { name: 'outlet software', expiresOn: '2026-12-31', access: 'write' }),
      201
    )
    const body = { found: '0', returned: '0' }
    const byKey = (warehouse: string) =>
      h.api
        .post(`${path}/warehouses/${warehouse}/answers`)
        .set('authorization', `Bearer ${key.key ?? key.secret}`)
        .send(body)
    expect((await byKey(outlet.warehouse)).status).toBe(201)
    expect((await byKey(centre.warehouse)).status).toBe(404)
    const finance = outlet.signers['finance-supervisor']
    expect(code(await finance.post(`${path}/warehouses/${outlet.warehouse}/answers`, body))).toEqual([
      403,
      'DutyRequired'
    ])
    expect(
      (await outlet.keeper.post(`/v1/recalls/HQ-RCL-202611-99999/warehouses/${outlet.warehouse}/answers`, body)).status
    ).toBe(404)
  })

  test('while it runs', async () => {
    const { path, number } = await recalled()
    must(await network.controller.post(`${path}/lifting`, { reason: 'good' }), 200)
    await network.signEnd(number)
    expect(
      code(await outlet.keeper.post(`${path}/warehouses/${outlet.warehouse}/answers`, { found: '0', returned: '0' }))
    ).toEqual([409, 'RecallNotRunning'])
  })
})

describe('what one may see', () => {
  test('everybody sees that a recall runs and of what; where goods lie and went, only of one’s own warehouses', async () => {
    const { path, part } = await recalled()
    const stranger = await network.counter()
    const seen = must(await stranger.keeper.get(path), 200)
    expect(seen).toMatchObject({ title: 'cracked', lines: [{ part: part.number }], reach: null, progress: null })
    for (const list of ['goods', 'issued', 'warehouses'])
      expect(must(await stranger.keeper.get(`${path}/${list}`), 200).items).toEqual([])
    expect(code(await stranger.keeper.get(`${path}/history`))).toEqual([404, 'NotFound'])
    const local = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'HQ' }] }))
    expect(code(await local.get(`${path}/history`))).toEqual([403, 'DutyRequired'])

    expect(must(await outlet.keeper.get(`${path}/issued`), 200).items).toMatchObject([{ outlet: outlet.warehouse }])
    expect(must(await outlet.keeper.get(`${path}/goods`), 200).items).toEqual([])
    expect(must(await centre.keeper.get(`${path}/issued`), 200).items).toHaveLength(2)
    expect(must(await centre.keeper.get(`${path}/goods`), 200).items).toHaveLength(1)
    const listed = must(await stranger.keeper.get(`/v1/recalls?part=${part.number}&state=running`), 200)
    expect(listed.items).toMatchObject([{ parts: [part.number], lines: 1 }])
  })

  test('lists come in pages and as files', async () => {
    const part = await centre.stocked({ quantity: '1' })
    for (let n = 0; n < 4; n++) {
      await centre.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '1', unitCost: '1' }] })
      await centre.posted({ kind: 'sale', lines: [{ part: part.number, quantity: '1' }] })
    }
    await outlet.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '2', unitCost: '1' }] })
    const recall = await network.recallPart(part.number)
    const path = `/v1/recalls/${recall.number}`
    for (const [list, total] of [
      ['goods', 2],
      ['issued', 4],
      ['warehouses', 2]
    ] as const) {
      const rows: object[] = []
      let cursor: string | null = null
      do {
        const page: any = must(
          await network.controller.get(`${path}/${list}?limit=1${cursor === null ? '' : `&cursor=${cursor}`}`),
          200
        )
        rows.push(...page.items)
        cursor = page.nextCursor
      } while (cursor !== null)
      expect(rows).toHaveLength(total)
      expect(rows).toEqual(must(await network.controller.get(`${path}/${list}`), 200).items)
      const file = await network.controller.get(`${path}/${list}`, { accept: 'text/csv' })
      expect(file.headers['content-type']).toContain('text/csv')
      expect(file.text.trim().split('\n')).toHaveLength(total + 1)
      const foreign = await (await network.counter()).keeper.get(`${path}/${list}`, { accept: 'text/csv' })
      expect(foreign.text.trim().split('\n')).toHaveLength(1)
    }
    expect(must(await network.controller.get(`${path}/goods?warehouse=${outlet.warehouse}`), 200).items).toMatchObject([
      { quantity: '2' }
    ])
    expect(must(await network.controller.get(`${path}/issued?open=true&part=${part.number}`), 200).items).toHaveLength(
      4
    )
  })
})
