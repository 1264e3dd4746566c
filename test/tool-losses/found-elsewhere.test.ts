import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let office: Caller
beforeAll(async () => {
  h = await openHarness()
  office = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
const found = (number: string, body: object = {}, by: Caller = office) =>
  by.post(`/v1/tool-losses/${number}/found`, body)
const keeperOf = async (place: object) => callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', ...place }] }))

/** Two warehouses of a region, and one of another. In the first a technician lost a tool worth 935.47, and it is closed now. */
async function closedShop({ isClosed = true } = {}) {
  const region = (await h.make.region()).code
  const [shop, near, far] = [await openTools(h, { region }), await openTools(h, { region }), await openTools(h)]
  const [serial = '', other = ''] = await shop.tools(2, { purchasedOn: '2025-06-15', value: '1280.00' })
  must(
    await shop.keeper.put(`/v1/warehouses/${shop.warehouse}/tool-kits/K`, { name: '电工箱', tools: [serial, other] })
  )
  await shop.issued([serial])
  const cause = '在客户处维修后遗失'
  const { number } = must(await shop.technician.post(`/v1/tools/${serial}/losses`, { kind: 'lost', cause }), 201)
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await shop.signers[duty].post(`/v1/tool-losses/${number}/signatures`, { duty, decision: 'approve' }))
  const { number: transfer } = must(
    await shop.keeper.post(`/v1/warehouses/${shop.warehouse}/tool-transfers`, {
      to: near.warehouse,
      tools: [{ serial: other }]
    }),
    201
  )
  must(await near.keeper.post(`/v1/tool-documents/${transfer}/signature`))
  if (isClosed) must(await office.post(`/v1/warehouses/${shop.warehouse}/closing`))
  return { shop, near, far, region, serial, number }
}
const stateOf = async (at: ToolCounter, serial: string) => {
  const { warehouse, state, kit, fixedAsset, value } = await at.tool(serial)
  return { warehouse, state, kit, fixedAsset, value }
}
const journalOf = async (at: ToolCounter): Promise<any[]> =>
  must(await at.signers['finance-supervisor'].get(`/v1/warehouses/${at.warehouse}/periods/2026-12/journal`)).items.map(
    ({ role, debit, credit }: any) => [role, debit, credit]
  )

describe('a tool that is found after its warehouse was closed (R-TOOL-2)', () => {
  test('does not come back there: the refusal says which warehouse to name', async () => {
    const { shop, near, region, serial, number } = await closedShop()
    const alone = await found(number, {}, shop.keeper)
    expect(problem(alone)).toEqual([409, 'WarehouseClosed'])
    expect(alone.body.detail).toContain('its keeper names that as "warehouse"')
    const both = await keeperOf({ region })
    const told = await found(number, {}, both)
    expect(problem(told)).toEqual([409, 'WarehouseClosed'])
    expect(told.body).toMatchObject({
      detail: expect.stringContaining(`name one of which you are keeper as "warehouse", e.g. ${near.warehouse}`),
      errors: [{ pointer: '/warehouse', accepted: [near.warehouse] }]
    })
    expect(await stateOf(shop, serial)).toMatchObject({ state: 'lost' })
  })

  test('goes on the shelf of an open one of the region, which its keeper names: tool, second line and report are theirs to see', async () => {
    const { shop, near, serial, number } = await closedShop()
    h.clock.set('2026-12-03T10:00')
    const answer = must(await found(number, { warehouse: near.warehouse, note: '在客户仓库找到' }, near.keeper))
    expect(answer).toMatchObject({ state: 'found', foundIn: near.warehouse, warehouse: shop.warehouse, booked: null })
    expect(await stateOf(near, serial)).toEqual({
      warehouse: near.warehouse,
      state: 'shelf',
      kit: null,
      fixedAsset: false,
      value: '1280.00'
    })

    // What was compensated is taken back in the books that go on; those of the closed one keep the first line.
    expect(await journalOf(near)).toEqual([
      ['employee-claims', '0.00', '935.47'],
      ['tool-disposal', '935.47', '0.00']
    ])
    expect(await journalOf(shop)).toEqual([])
    const finance = near.signers['finance-supervisor']
    const lines = must(await finance.get(`/v1/tools/compensations?period=2026-12&warehouse=${near.warehouse}`))
    expect(lines).toMatchObject({
      items: [{ warehouse: near.warehouse, loss: number, line: 2, amount: '-935.47' }],
      total: '-935.47'
    })
    expect(must(await finance.get(`/v1/tool-losses/${number}`)).booked).toMatchObject([
      { line: 1, amount: '935.47', bookedOn: '2026-11-20' },
      { line: 2, amount: '-935.47', bookedOn: '2026-12-03' }
    ])
    // The technician sees that nothing is claimed any more.
    expect(must(await shop.technician.get(`/v1/tool-losses/${number}`)).booked).toHaveLength(2)

    for (const path of ['', '/history', '/paper']) must(await near.keeper.get(`/v1/tool-losses/${number}${path}`))
    expect((await near.keeper.get(`/v1/tool-losses/${number}/paper`)).text).toContain(`→ ${near.warehouse}`)
    expect(must(await near.keeper.get('/v1/tool-losses')).items.map((loss: any) => loss.number)).toEqual([number])
    const { custody, events } = must(await near.keeper.get(`/v1/tools/${serial}/history`))
    expect(custody.at(-1)).toMatchObject({
      kind: 'found',
      from: 'lost',
      fromWarehouse: shop.warehouse,
      to: 'shelf',
      warehouse: near.warehouse,
      document: number
    })
    expect(events.at(-1)).toMatchObject({ event: 'tool-found', details: { loss: number, from: shop.warehouse } })

    // It is a tool like any other there: in custody, lost again by a report of its own, and compensated once more.
    await near.issued([serial])
    const again = must(await near.technician.post(`/v1/tools/${serial}/losses`, { kind: 'lost', cause: '遗失' }), 201)
    expect(again.number).toMatch(new RegExp(`^${near.warehouse}-TLR-`))
    expect(problem(await found(number, { warehouse: near.warehouse }, near.keeper))).toEqual([409, 'NotLost'])
  })

  test('goes to another region only by who reads the register of the closed one', async () => {
    const { far, serial, number } = await closedShop()
    const body = { warehouse: far.warehouse }
    expect(problem(await found(number, body, far.keeper))).toEqual([404, 'NotFound'])
    expect(must(await found(number, body, await keeperOf({}))).foundIn).toBe(far.warehouse)
    expect(await stateOf(far, serial)).toMatchObject({ warehouse: far.warehouse, state: 'shelf' })
  })

  test('is taken in by nobody but a keeper of where it goes, in person, and not by who lost it', async () => {
    const { shop, near, far, number } = await closedShop()
    const body = { warehouse: near.warehouse }
    for (const [by, answer] of [
      [near.signers['department-head'], [403, 'DutyRequired']],
      [near.technician, [403, 'DutyRequired']],
      [far.keeper, [404, 'NotFound']],
      [shop.keeper, [404, 'NotFound']]
    ] as const)
      expect(problem(await found(number, body, by))).toEqual(answer)
    const loser = shop.technician.person
    const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
    const duty = { duty: 'keeper', warehouse: near.warehouse }
    must(await admin.post(`/v1/people/${loser.username}/duties`, duty), 201)
    expect(problem(await found(number, body, shop.technician))).toEqual([422, 'OwnLoss'])
    expect(problem(await found(number, body, near.keeper))).toEqual([200, undefined])
  })

  test('goes to no other closed warehouse, nor past its own while that is open', async () => {
    const closed = await closedShop()
    const third = await openTools(h, { region: closed.region })
    must(await office.post(`/v1/warehouses/${third.warehouse}/closing`))
    const there = await found(closed.number, { warehouse: third.warehouse }, third.keeper)
    expect(problem(there)).toEqual([409, 'WarehouseClosed'])

    const { shop, near, region, serial, number } = await closedShop({ isClosed: false })
    expect(problem(await found(number, { warehouse: near.warehouse }, near.keeper))).toEqual([404, 'NotFound'])
    const both = await keeperOf({ region })
    const open = await found(number, { warehouse: near.warehouse }, both)
    expect(problem(open)).toEqual([409, 'WarehouseOpen'])
    expect(open.body.detail).toContain(`POST /v1/warehouses/${shop.warehouse}/tool-transfers moves it on`)
    expect(must(await found(number, { warehouse: shop.warehouse }, both)).foundIn).toBeNull()
    expect(await stateOf(shop, serial)).toMatchObject({ warehouse: shop.warehouse, state: 'shelf' })
  })

  test('is found once by two who do so at once', async () => {
    const { near, region, serial, number } = await closedShop()
    const third = await openTools(h, { region })
    const answers = await Promise.all([near, third].map((at) => found(number, { warehouse: at.warehouse }, at.keeper)))
    expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1)
    const booked = await h.sql(
      'select line_no from tool_compensation c join tool_loss l on l.id = c.loss_id where l.number = $1',
      [number]
    )
    expect(booked).toHaveLength(2)
    const [entries] = await h.sql<{ n: number }>(
      `select count(*)::int as n from custody_entry e join tool t on t.id = e.tool_id where t.serial = $1 and e.kind = 'found'`,
      [serial]
    )
    expect(entries?.n).toBe(1)
  })
})
