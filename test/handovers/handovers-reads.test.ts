import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openHandingOver, PARTIES, type HandingOver } from './handing-over.ts'

let h: Harness
let at: HandingOver
let elsewhere: HandingOver
beforeAll(async () => {
  h = await openHarness()
  at = await openHandingOver(h)
  elsewhere = await openHandingOver(h)
})
afterAll(() => h.close())

const read = async (number: string, as: Caller = at.keeper) => must(await as.get(`/v1/handovers/${number}`), 200)
const list = async (path: string, as: Caller = at.keeper) => must(await as.get(path), 200).items
const csv = async (path: string, as: Caller = at.keeper) => {
  const { status, text, headers } = await as.get(path, { accept: 'text/csv' })
  expect({ status, type: headers['content-type'] }, text).toEqual({ status: 200, type: 'text/csv; charset=utf-8' })
  return text.replace('\uFEFF', '').trim().split('\n')
}
const receive = (where: HandingOver, part: string, quantity: string) =>
  where.posted({ kind: 'receipt', lines: [{ part, quantity, unitCost: '2.00' }] })

describe('what is handed over (R-ORG-3)', () => {
  test('balances are those of the snapshot; what moved up to the cut-off is beside them, and later movements are not', async () => {
    const here = await openHandingOver(h)
    const [kept, moves, comes] = [
      await h.make.part({ number: `A-${here.warehouse}`, nameZh: '链条' }),
      await h.make.part({ number: `B-${here.warehouse}` }),
      await h.make.part({ number: `C-${here.warehouse}` })
    ]
    await receive(here, kept.number, '5')
    await receive(here, moves.number, '7')
    const { number } = await here.drawUp()
    const submitted = await here.submit(number)
    const issued = await here.posted({ kind: 'issue', lines: [{ part: moves.number, quantity: '3' }] })
    const received = await receive(here, comes.number, '2')
    const done = await here.signAll(number)
    // The incoming keeper goes on; that is no longer of the handover.
    const later = must(
      await here.incoming.post(`/v1/warehouses/${here.warehouse}/slips`, {
        kind: 'issue',
        lines: [{ part: kept.number, quantity: '1' }]
      }),
      201
    )
    await here.sign(later.number)
    must(await here.incoming.post(`/v1/slips/${later.number}/posting`), 200)

    const path = `/v1/handovers/${number}`
    const pick = (rows: any[]) =>
      rows.map(({ part, onHand, moved, handedOver, cost }) => ({ part, onHand, moved, handedOver, cost }))
    expect(pick(await list(`${path}/balances`, here.incoming))).toEqual([
      { part: kept.number, onHand: '5', moved: '0', handedOver: '5', cost: '10.00' },
      { part: moves.number, onHand: '7', moved: '-3', handedOver: '4', cost: '14.00' },
      { part: comes.number, onHand: '0', moved: '2', handedOver: '2', cost: '0.00' }
    ])
    const movements = await list(`${path}/movements`, here.incoming)
    expect(movements.map(({ slip, part, quantity, postedBy }: any) => [slip, part, quantity, postedBy])).toEqual([
      [issued.number, moves.number, '-3', here.keeper.person.username],
      [received.number, comes.number, '2', here.keeper.person.username]
    ])
    expect(BigInt(movements[0].movement)).toBeGreaterThan(BigInt(submitted.snapshot.position))
    expect(movements.at(-1).movement).toBe(done.cutOff.position)
    expect((await read(number, here.incoming)).moved).toEqual({ movements: 2, slips: 2, balances: 2 })

    const [heading, first] = await csv(`${path}/balances`, here.incoming)
    expect(heading).toContain('part 货号,name 英文名,name 货名')
    expect(first).toContain(`${kept.number},part ${kept.number},链条`)
    expect(await csv(`${path}/movements`, here.incoming)).toHaveLength(3)
  })

  test('lists are paged to the end, and refuse the cursor of another list', async () => {
    const here = await openHandingOver(h)
    for (let nth = 0; nth < 3; nth++) {
      await here.stocked({ quantity: '1' })
      await here.slip({ kind: 'issue', submit: false, lines: [{ part: (await here.stocked()).number, quantity: '1' }] })
    }
    const { number } = await here.drawUp()
    await here.stocked()
    await here.stocked()
    for (const name of ['balances', 'open', 'movements']) {
      const path = `/v1/handovers/${number}/${name}`
      const all = await list(path, here.keeper)
      const paged: unknown[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const { items, nextCursor } = must(
          await here.keeper.get(`${path}?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`),
          200
        )
        paged.push(...items)
        cursor = nextCursor
      }
      expect(paged).toEqual(all)
      expect(all.length).toBeGreaterThan(1)
    }
    const { nextCursor } = must(await here.keeper.get(`/v1/handovers/${number}/balances?limit=1`), 200)
    for (const name of ['open', 'movements'])
      expect((await here.keeper.get(`/v1/handovers/${number}/${name}?cursor=${nextCursor}`)).body.code).toBe(
        'CursorInvalid'
      )
  })

  test('one handover shows its open papers, keys and signatures, with its version as the ETag', async () => {
    const here = await openHandingOver(h)
    const part = await here.stocked()
    const { number: slip } = await here.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    const { number } = await here.drawUp({ keys: [{ name: '仓库大门', count: 2 }], notes: '三号货架待维修' })
    await here.submit(number)
    must(await here.signAs('outgoing-keeper', number), 200)

    const answer = await here.keeper.get(`/v1/handovers/${number}`)
    expect(answer.headers['etag']).toBe(`"${answer.body.version}"`)
    expect(answer.body).toMatchObject({
      number,
      state: 'awaiting-signatures',
      keys: [{ name: '仓库大门', count: 2 }],
      papers: [{ line: 1, kind: 'slip', reference: slip, details: { state: 'awaiting-signatures' } }],
      signatures: [{ party: 'outgoing-keeper', signedBy: here.keeper.person.username }],
      awaiting: ['incoming-keeper', 'department-head', 'finance-supervisor'],
      moved: { movements: 0, slips: 0, balances: 0 }
    })
    expect(await list(`/v1/handovers/${number}/open?kind=slip`, here.keeper)).toEqual(answer.body.papers)
    expect(await list(`/v1/handovers/${number}/open?kind=tool`, here.keeper)).toEqual([])
    expect((await csv(`/v1/handovers/${number}/open`, here.keeper))[1]).toContain(`1,slip,${slip},`)
    const amended = await callsAs(h, here.keeper.person).patch(
      `/v1/handovers/${number}`,
      { notes: 'x' },
      { 'if-match': '"1"' }
    )
    expect([amended.status, amended.body.code]).toEqual([412, 'VersionStale'])
  })

  test('history says who did what when, oldest first', async () => {
    const here = await openHandingOver(h)
    await here.stocked()
    const { number } = await here.drawUp()
    await here.submit(number)
    must(await here.signAs('incoming-keeper', number, { decision: 'refuse', comment: '钥匙少一把' }), 200)
    await here.submit(number)
    await here.signAll(number)
    const items = await list(`/v1/handovers/${number}/history`, here.incoming)
    expect(items.map(({ event, by }: any) => [event, by])).toEqual([
      ['drawn-up', here.keeper.person.username],
      ['submitted', here.keeper.person.username],
      ['refused', here.incoming.person.username],
      ['submitted', here.keeper.person.username],
      ['signed', here.keeper.person.username],
      ['signed', here.incoming.person.username],
      ['signed', here.signers['department-head'].person.username],
      ['signed', here.signers['finance-supervisor'].person.username],
      ['handed-over', here.signers['finance-supervisor'].person.username]
    ])
    expect(items[2].details).toMatchObject({ comment: '钥匙少一把' })
  })
})

describe('who sees it', () => {
  test('both keepers by name and whoever holds a duty there; a foreign warehouse sees nothing', async () => {
    await at.stocked()
    const { number } = await at.drawUp()
    const paths = ['', '/balances', '/open', '/movements', '/history', '/form'].map(
      (tail) => `/v1/handovers/${number}${tail}`
    )
    for (const path of paths) {
      for (const by of [at.keeper, at.incoming, at.technician, at.controller])
        expect((await by.get(path)).status, path).toBe(200)
      for (const by of [elsewhere.keeper, elsewhere.incoming]) {
        const { status, body } = await by.get(path)
        expect([status, body.code], path).toEqual([404, 'NotFound'])
      }
    }
    const numbers = async (by: Caller, query = '') =>
      (await list(`/v1/handovers${query}`, by)).map((row: { number: string }) => row.number)
    for (const by of [at.keeper, at.incoming, at.technician]) expect(await numbers(by)).toContain(number)
    expect(await numbers(elsewhere.keeper)).not.toContain(number)
    expect(await numbers(at.controller, `?warehouse=${at.warehouse}`)).toEqual([number])
    expect((await elsewhere.keeper.get(`/v1/handovers?warehouse=${at.warehouse}`)).status).toBe(404)
    must(await at.keeper.post(`/v1/handovers/${number}/cancellation`, { reason: '不再调任' }), 200)
  })

  test('the list is filtered by warehouse, state, person and who is still to sign, paged, and downloads as CSV', async () => {
    const here = await openHandingOver(h)
    await here.stocked()
    const first = await here.drawUp()
    must(await here.keeper.post(`/v1/handovers/${first.number}/cancellation`, { reason: '改日' }), 200)
    const second = await here.drawUp()
    await here.submit(second.number)
    must(await here.signAs('department-head', second.number), 200)
    const numbers = async (query: string) =>
      (await list(`/v1/handovers?${query}`, here.controller)).map((row: { number: string }) => row.number)
    expect(await numbers(`warehouse=${here.warehouse}`)).toEqual([second.number, first.number])
    expect(await numbers(`warehouse=${here.warehouse}&state=cancelled`)).toEqual([first.number])
    for (const { person } of [here.keeper, here.incoming])
      expect(await numbers(`person=${person.username}`)).toEqual([second.number, first.number])
    expect(await numbers(`warehouse=${here.warehouse}&awaiting=finance-supervisor`)).toEqual([second.number])
    expect(await numbers(`warehouse=${here.warehouse}&awaiting=department-head`)).toEqual([])
    expect(await numbers(`person=${here.technician.person.username}`)).toEqual([])
    const page = must(await here.controller.get(`/v1/handovers?warehouse=${here.warehouse}&limit=1`), 200)
    expect(page.items).toMatchObject([
      { number: second.number, awaiting: PARTIES.filter((party) => party !== 'department-head') }
    ])
    expect(await numbers(`warehouse=${here.warehouse}&limit=1&cursor=${page.nextCursor}`)).toEqual([first.number])
    const [heading, row] = await csv(`/v1/handovers?warehouse=${here.warehouse}`, here.controller)
    expect(heading).toContain('handover 移交单号,warehouse 仓库')
    expect(row).toContain(`${second.number},${here.warehouse},awaiting-signatures`)
    expect(row).toContain('"outgoing-keeper, incoming-keeper, finance-supervisor"')
  })
})

test('who is and was keeper of a warehouse: each answers between two cut-offs of the ledger (R-ORG-3)', async () => {
  const here = await openHandingOver(h)
  await here.stocked()
  const path = `/v1/warehouses/${here.warehouse}/keepers`
  expect(await list(path, here.controller)).toMatchObject([
    { keeper: here.keeper.person.username, scope: 'warehouse', acting: true, takenOverBy: null, handedOverBy: null }
  ])
  const { number, cutOff } = await here.handOver()
  const periods = await list(path, here.controller)
  expect(periods).toMatchObject([
    {
      keeper: here.incoming.person.username,
      acting: true,
      validFrom: '2026-11-20',
      takenOverBy: number,
      takenOverFrom: here.keeper.person.username,
      takenOverAt: cutOff.at,
      takenOverPosition: cutOff.position,
      handedOverBy: null
    },
    {
      keeper: here.keeper.person.username,
      acting: false,
      endedAt: cutOff.at,
      takenOverBy: null,
      handedOverBy: number,
      handedOverTo: here.incoming.person.username,
      handedOverAt: cutOff.at,
      handedOverPosition: cutOff.position
    }
  ])
  expect(await list(`${path}?acting=true`, here.controller)).toEqual([periods[0]])
  const page = must(await here.controller.get(`${path}?limit=1`), 200)
  expect(await list(`${path}?limit=1&cursor=${page.nextCursor}`, here.controller)).toEqual([periods[1]])
  expect((await csv(path, here.controller))[0]).toContain('keeper 仓管员,name 姓名')
  expect((await elsewhere.keeper.get(path)).status).toBe(404)
})

test('a keeper who took over while keeper already, and who stands in, are named', async () => {
  const here = await openHandingOver(h)
  await here.stocked()
  const second = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: here.warehouse }] }))
  const standIn = await h.make.person()
  await h.sql(
    `insert into delegation (from_person_id, to_person_id, duty, valid_from, valid_to, reason, delegated_by, delegated_at)
     values ($1, $2, 'keeper', '2026-11-01', '2026-12-31', '休假', $1, now())`,
    [second.person.id, standIn.id]
  )
  const { number } = await here.drawUp({ incoming: second.person.username })
  await here.submit(number)
  for (const [party, by] of [
    ['outgoing-keeper', here.keeper],
    ['incoming-keeper', second],
    ['department-head', here.signers['department-head']],
    ['finance-supervisor', here.signers['finance-supervisor']]
  ] as const)
    must(await by.post(`/v1/handovers/${number}/signatures`, { party, decision: 'approve' }), 200)
  expect(await list(`/v1/warehouses/${here.warehouse}/keepers?acting=true`, here.controller)).toMatchObject([
    { keeper: second.person.username, takenOverBy: number, standIns: [standIn.username] }
  ])
})
