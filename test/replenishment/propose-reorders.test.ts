import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { proposeReordersNightly } from '../../src/replenishment/proposals.jobs.ts'
import { openHarness, DEFAULT_TIME, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { gist, openShelf, propose, type Shelf } from './shortage.ts'
import { dispatch, receive, transferOf } from '../transfers/transferring.ts'

let h: Harness
let here: Shelf
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  await h.sql('delete from reorder_level')
  here = await openShelf(h)
})
afterAll(() => h.close())

const detail = async (shelf: Shelf, number: string) =>
  (await shelf.purchaser.get(`/v1/reorder/proposals/${number}`)).body

test('what is at its reorder point is ordered up to its level, in whole packs, from the only authorised supplier (R-ORD-2, R-CAT-3)', async () => {
  const { number: part } = await h.make.part()
  await h.sql('update part set pack_size = 12 where number = $1', [part])
  const { code: supplier } = await h.make.supplier({ parts: [part] })
  await here.posted({ kind: 'receipt', lines: [{ part, quantity: '5', unitCost: '2' }] })
  await here.level(part, '5', '18')

  expect(await propose(h)).toEqual({ proposed: 1, withdrawn: 0 })

  const [proposal, ...others] = await here.proposals()
  expect(others).toEqual([])
  expect(proposal).toMatchObject({
    number: `${here.warehouse}-PRO-202611-00001`,
    kind: 'order',
    part,
    shortPart: part,
    quantity: '24',
    supplier,
    state: 'open',
    available: '5',
    onOrder: '0',
    reorderPoint: '5',
    orderUpTo: '18'
  })
  expect(await detail(here, proposal.number)).toMatchObject({
    evidence: {
      searchedOn: '2026-11-20',
      holdingMonths: 3,
      need: '13',
      fromNetwork: '0',
      toOrder: '24',
      asked: [],
      packSize: '12',
      supplier: { chosen: supplier, because: 'only-one', authorised: [supplier] }
    },
    present: { available: '5', onOrder: '0', reorderPoint: '5', isShort: true }
  })
  expect(await propose(h)).toEqual({ proposed: 0, withdrawn: 0 })
})

test('of several suppliers the one that delivered last is proposed, else the choice stays open', async () => {
  const [{ number: known }, { number: unknown }, { number: nobodys }] = [
    await h.make.part(),
    await h.make.part(),
    await h.make.part()
  ]
  const { code: first } = await h.make.supplier({ parts: [known, unknown] })
  await h.make.supplier({ parts: [known, unknown] })
  await here.posted({ kind: 'receipt', supplier: first, lines: [{ part: known, quantity: '1', unitCost: '2' }] })
  for (const part of [known, unknown, nobodys]) await here.level(part, '2', '4')

  await propose(h)

  const found = Object.fromEntries((await here.proposals()).map((proposal) => [proposal.part, proposal]))
  expect([found[known].supplier, found[unknown].supplier, found[nobodys].supplier]).toEqual([first, null, null])
  expect((await detail(here, found[unknown].number)).evidence.supplier.because).toBe('to-choose')
  expect((await detail(here, found[nobodys].number)).evidence.supplier.because).toBe('none-authorised')
})

test('the network is searched first: same region, then oldest lots, never below the own need of the giver (R-AGE-6, R-AGE-8)', async () => {
  const { number: part } = await h.make.part()
  const { region } = await h
    .sql<{ region: string }>(
      'select code as region from region where id = (select region_id from warehouse where id = $1)',
      [here.warehouseId]
    )
    .then(([row]) => row)
  const near = await openShelf(h, { region })
  const old = await openShelf(h)
  const older = await openShelf(h)
  const needy = await openShelf(h)
  const fresh = await openShelf(h)
  await near.aged(part, '3', '2026-08-31')
  await old.aged(part, '4', '2026-02-10')
  await old.aged(part, '9', '2026-07-10')
  await older.aged(part, '6', '2025-12-01')
  await older.level(part, '1', '2')
  await needy.aged(part, '5', '2025-01-01')
  // All that this one has it needs itself.
  await needy.level(part, '5', '5')
  // Received in September, so November is still in the three months free of charge.
  await fresh.aged(part, '50', '2026-09-01')
  await here.level(part, '10', '20')

  await propose(h)

  expect((await here.proposals()).map(gist).toSorted()).toEqual(
    [
      ['transfer', part, '3', near.warehouse, 'open'],
      ['transfer', part, '4', older.warehouse, 'open'],
      ['transfer', part, '13', old.warehouse, 'open']
    ].toSorted()
  )
  const [one] = await here.proposals()
  const { evidence } = await detail(here, one.number)
  expect(evidence).toMatchObject({ need: '20', fromNetwork: '20', toOrder: '0', othersHolding: 1, supplier: null })
  expect(
    Object.fromEntries(
      evidence.asked.map((row: any) => [row.warehouse, [row.sameRegion, row.spare, row.taken, row.outcome]])
    )
  ).toEqual({
    [near.warehouse]: [true, '3', '3', 'taken'],
    [older.warehouse]: [false, '4', '4', 'taken'],
    [old.warehouse]: [false, '13', '13', 'taken'],
    [needy.warehouse]: [false, '0', '0', 'needs-it-itself']
  })
})

test('giving makes nobody short, so goods are not moved to and fro (R-AGE-8)', async () => {
  const { number: part } = await h.make.part()
  const giver = await openShelf(h)
  await giver.aged(part, '14', '2026-01-10')
  await giver.level(part, '4', '10')
  await here.level(part, '4', '10')
  await propose(h)

  const [moved, ordered, ...others] = await here.proposals()
  expect([gist(moved), gist(ordered), others]).toEqual([
    ['transfer', part, '4', giver.warehouse, 'open'],
    ['order', part, '6', null, 'open'],
    []
  ])
  expect((await detail(here, moved.number)).evidence.asked).toMatchObject([{ ownNeed: '10', spare: '4', taken: '4' }])
  await here.purchaser.post(`/v1/reorder/proposals/${moved.number}/acceptance`)
  const transfer = await transferOf(giver, moved.number)
  await dispatch({ giver, receiver: here }, transfer)
  await receive({ giver, receiver: here }, transfer, [{ line: 1, quantity: '4' }])
  await propose(h)
  expect(await giver.proposals()).toEqual([])
})

test('only the shortfall is ordered, and what is promised to one is not promised to another', async () => {
  const { number: part } = await h.make.part()
  const giver = await openShelf(h)
  const other = await openShelf(h)
  await giver.aged(part, '8', '2026-01-10')
  await here.level(part, '4', '6')
  await other.level(part, '4', '7')
  // The more urgent one is served first: nothing of its point is covered in either, so the code decides.
  await propose(h)

  const all = [...(await here.proposals()), ...(await other.proposals())]
  const moved = all.filter(({ kind }) => kind === 'transfer').map(({ quantity }) => Number(quantity))
  const ordered = all.filter(({ kind }) => kind === 'order').map(({ quantity }) => Number(quantity))
  expect([moved.reduce((a, b) => a + b, 0), ordered.reduce((a, b) => a + b, 0)]).toEqual([8, 5])

  const third = await openShelf(h)
  await third.level(part, '1', '2')
  await propose(h)
  const [proposal] = await third.proposals()
  expect(gist(proposal)).toEqual(['order', part, '2', null, 'open'])
  expect((await detail(third, proposal.number)).evidence.asked).toMatchObject([
    { warehouse: giver.warehouse, promised: '8', spare: '0', taken: '0', outcome: 'promised' }
  ])
})

test('reserved, consigned and nonconforming stock is not given away (R-STK-1, R-STK-4)', async () => {
  const { number: part } = await h.make.part()
  const giver = await openShelf(h)
  const age = { receivedOn: '2026-01-10' }
  await giver.posted({ kind: 'opening', lines: [{ part, quantity: '10', unitCost: '2', ...age }] })
  await giver.posted({ kind: 'opening', lines: [{ part, quantity: '10', ownership: 'consigned', ...age }] })
  await giver.posted({
    kind: 'opening',
    lines: [{ part, quantity: '10', unitCost: '2', condition: 'nonconforming', ...age }]
  })
  await h.sql(
    `update balance set reserved = 4 where warehouse_id = $1 and part_number = $2 and ownership = 'own' and condition = 'qualified'`,
    [giver.warehouseId, part]
  )
  await here.level(part, '20', '30')

  await propose(h)

  expect((await here.proposals()).map(gist)).toEqual([
    ['transfer', part, '6', giver.warehouse, 'open'],
    ['order', part, '24', null, 'open']
  ])
})

test('a part that is replaced one way is taken from the network, and its successor is ordered by the factor (R-CAT-4)', async () => {
  const [{ id: old, number: part }, { id: next, number: successor }] = [await h.make.part(), await h.make.part()]
  await h.sql(`insert into supersession (part_id, successor_id, factor, valid_from) values ($1, $2, 2, '2026-01-01')`, [
    old,
    next
  ])
  const giver = await openShelf(h)
  await giver.aged(part, '3', '2026-01-10')
  await here.level(part, '4', '10')

  await propose(h)

  const proposals = await here.proposals()
  expect(proposals.map(gist)).toEqual([
    ['transfer', part, '3', giver.warehouse, 'open'],
    ['order', successor, '14', null, 'open']
  ])
  expect(proposals.map(({ shortPart }) => shortPart)).toEqual([part, part])
})

test('what replaces it both ways counts where it lies: here, and in the network (R-CAT-4)', async () => {
  const [{ id, number: part }, { id: otherId, number: partner }] = [await h.make.part(), await h.make.part()]
  await h.sql(
    `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 1, true, '2026-01-01')`,
    [id, otherId]
  )
  const giver = await openShelf(h)
  await giver.aged(partner, '4', '2026-01-10')
  await here.posted({ kind: 'receipt', lines: [{ part: partner, quantity: '5', unitCost: '2' }] })
  await here.level(partner, '2', '3')
  await here.level(part, '6', '10')

  await propose(h)

  const proposals = await here.proposals()
  expect(proposals.map(gist)).toEqual([
    ['transfer', partner, '4', giver.warehouse, 'open'],
    ['order', part, '3', null, 'open']
  ])
  expect((await detail(here, proposals[0].number)).evidence).toMatchObject({
    need: '10',
    fromSubstitutesHere: '3',
    fromNetwork: '4',
    substitutesHere: [{ part: partner, available: '5', ownNeed: '2', counted: '3' }]
  })
})

test('what is on its way of a partner is not ordered again while the own order of the partner waits for a plan (R-CAT-4)', async () => {
  const [{ id, number: part }, { id: otherId, number: partner }] = [await h.make.part(), await h.make.part()]
  await h.sql(
    `insert into supersession (part_id, successor_id, factor, both_ways, valid_from) values ($1, $2, 1, true, '2026-01-01')`,
    [id, otherId]
  )
  const giver = await openShelf(h)
  const accept = async ({ number }: any) =>
    expect((await here.purchaser.post(`/v1/reorder/proposals/${number}/acceptance`)).status).toBe(200)
  await here.level(partner, '5', '8')
  await propose(h)
  const [own] = await here.proposals()
  expect(gist(own)).toEqual(['order', partner, '8', null, 'open'])
  await accept(own)

  // Eight of the partner will come, three of them beyond its own need; the network has the other seven.
  await giver.aged(partner, '10', '2026-01-10')
  await here.level(part, '6', '10')
  await propose(h)
  const [, moved, ...others] = await here.proposals()
  expect([gist(moved), others]).toEqual([['transfer', partner, '7', giver.warehouse, 'open'], []])
  await accept(moved)
  expect(await propose(h)).toEqual({ proposed: 0, withdrawn: 0 })
})

test('nothing is proposed for a closed warehouse or a part that is no longer bought, nor taken from a closed warehouse', async () => {
  const [{ number: part }, { number: gone }] = [await h.make.part(), await h.make.part({ active: false })]
  const closed = await openShelf(h)
  const giver = await openShelf(h)
  await giver.aged(part, '4', '2026-01-10')
  await closed.level(part, '1', '2')
  await here.level(gone, '1', '2')
  await here.level(part, '1', '2')
  await h.sql('update warehouse set closed_on = $2 where id = any ($1)', [
    [closed.warehouseId, giver.warehouseId],
    '2026-11-20'
  ])

  await propose(h)

  expect(await closed.proposals()).toEqual([])
  expect((await here.proposals()).map(gist)).toEqual([['order', part, '2', null, 'open']])
})

test('what is on order counts, and a position that is covered is not proposed for', async () => {
  const { number: part } = await h.make.part()
  await here.level(part, '4', '10')
  await h.sql(
    `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, opened_at, opened_by)
     select $1, id, 'purchase', 'HQ-PLN-202611-00001', 1, 5, now(), 0 from part where number = $2`,
    [here.warehouseId, part]
  )
  await propose(h)
  expect(await here.proposals()).toEqual([])
})

test('two runs at once propose once, and numbers have no gap', async () => {
  const parts = []
  for (let count = 0; count < 3; count++) {
    const { number } = await h.make.part()
    parts.push(number)
    await here.level(number, '1', '2')
  }
  const runs = await Promise.all([1, 2, 3].map(() => propose(h)))
  expect(runs.map(({ proposed }) => proposed).toSorted()).toEqual([0, 0, 3])
  expect((await here.proposals()).map(({ number }) => number.slice(-5))).toEqual(['00001', '00002', '00003'])
})

test('a proposal whose cause is gone is withdrawn by the next run, with all that stood beside it', async () => {
  const [{ number: part }, { number: moved }] = [await h.make.part(), await h.make.part()]
  const giver = await openShelf(h)
  await giver.aged(moved, '4', '2026-01-10')
  await here.level(part, '1', '2')
  await here.level(moved, '5', '6')
  await propose(h)
  expect((await here.proposals()).map(gist)).toEqual([
    ['order', part, '2', null, 'open'],
    ['transfer', moved, '4', giver.warehouse, 'open'],
    ['order', moved, '2', null, 'open']
  ])

  // The position recovers; the giver sells what it was to give.
  await h.sql('delete from outbox')
  await here.posted({ kind: 'receipt', lines: [{ part, quantity: '5', unitCost: '2' }] })
  await giver.posted({ kind: 'issue', lines: [{ part: moved, quantity: '3' }] })
  expect(await propose(h)).toEqual({ proposed: 2, withdrawn: 3 })

  expect((await here.proposals()).map((proposal) => [...gist(proposal), proposal.withdrawnBecause])).toEqual([
    ['order', part, '2', null, 'withdrawn', 'recovered'],
    ['transfer', moved, '4', giver.warehouse, 'withdrawn', 'giver-short'],
    ['order', moved, '2', null, 'withdrawn', 'giver-short'],
    ['transfer', moved, '1', giver.warehouse, 'open', null],
    ['order', moved, '5', null, 'open', null]
  ])
  expect(await propose(h)).toEqual({ proposed: 0, withdrawn: 0 })
})

test('a posted slip that crosses the point has it proposed at once; one that covers it has it withdrawn', async () => {
  const { number: part } = await h.make.part()
  await here.posted({ kind: 'receipt', lines: [{ part, quantity: '5', unitCost: '2' }] })
  await here.level(part, '4', '10')
  await relayed(h)
  expect(await here.proposals()).toEqual([])

  await here.posted({ kind: 'issue', lines: [{ part, quantity: '1' }] })
  await relayed(h)
  expect((await here.proposals()).map(gist)).toEqual([['order', part, '6', null, 'open']])

  await here.posted({ kind: 'receipt', lines: [{ part, quantity: '3', unitCost: '2' }] })
  await relayed(h)
  expect((await here.proposals()).map(gist)).toEqual([['order', part, '6', null, 'withdrawn']])
})

test('the nightly job does the same, a second run changes nothing, and people ask for it with the duty everywhere', async () => {
  const { number: part } = await h.make.part()
  await here.level(part, '1', '2')
  expect(await runJob(h, proposeReordersNightly)).toMatchObject({ proposed: 1 })
  expect(await runJob(h, proposeReordersNightly)).toEqual({ proposed: 0, withdrawn: 0 })

  expect((await here.purchaser.post('/v1/reorder/proposals/computation')).status).toBe(403)
  const everywhere = await h.make.person({ grants: [{ duty: 'purchaser' }] })
  const answer = await h.api
    .post('/v1/reorder/proposals/computation')
    .auth(everywhere.token, { type: 'bearer' })
    .send({})
  expect(answer).toMatchObject({ status: 202, headers: { location: `/v1/jobs/${answer.body.job}` } })
  expect(await relayed(h)).toContain(proposeReordersNightly.name)
})
