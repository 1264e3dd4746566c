import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openRecalling, type Recalling } from './recalling.ts'

let h: Harness
let network: Recalling
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
  network = await openRecalling(h)
  counter = await network.counter()
})
beforeEach(() => h.clock.set('2026-11-20T10:00'))
afterAll(() => h.close())

const code = (answer: { status: number; body: any }) => [answer.status, answer.body.code]

test('blocked goods go back to the supplier each came from, lot by lot, signed by three (R-REQ-7)', async () => {
  const part = await h.make.part()
  const suppliers = [await h.make.supplier({ parts: [part.number] }), await h.make.supplier({ parts: [part.number] })]
  for (const { code: supplier } of [...suppliers, suppliers[0]])
    await counter.posted({
      kind: 'receipt',
      supplier,
      lines: [{ part: part.number, quantity: '2', unitCost: '1', condition: 'qualified' }]
    })
  await counter.posted({
    kind: 'receipt',
    occurredOn: '2026-11-01',
    lines: [{ part: part.number, quantity: '9', unitCost: '1' }]
  })
  const recall = await network.recall({ scopes: [{ part: part.number, receivedFrom: '2026-11-10' }] })
  const path = `/v1/recalls/${recall.number}/return-slips`

  const paper = must(
    await counter.keeper.post(path, { warehouse: counter.warehouse, to: 'supplier', note: 'SF 123' }),
    201
  )

  expect(paper).toMatchObject({ transfer: null, lots: 3, quantity: '6', left: 0 })
  expect(paper.slips).toHaveLength(2)
  const slips = await Promise.all(
    paper.slips.map(async (slip: string) => must(await counter.keeper.get(`/v1/slips/${slip}`), 200))
  )
  expect(
    slips.map(({ kind, state, reference, supplier, lines, note }) => ({
      kind,
      state,
      reference,
      supplier,
      note,
      lines: lines.length
    }))
  ).toEqual(
    [
      { supplier: suppliers[0]?.code, lines: 2 },
      { supplier: suppliers[1]?.code, lines: 1 }
    ].map((of) => ({
      kind: 'supplier-return',
      state: 'awaiting-signatures',
      reference: recall.number,
      note: 'SF 123',
      ...of
    }))
  )
  expect(code(await counter.keeper.post(`/v1/slips/${slips[0].number}/posting`))).toEqual([409, 'SlipNotApproved'])
  // What stands on a paper that is not posted is not written down twice.
  expect(code(await counter.keeper.post(path, { warehouse: counter.warehouse, to: 'scrap' }))).toEqual([
    409,
    'NothingBlockedHere'
  ])
  must(await counter.keeper.post(`/v1/slips/${slips[1].number}/cancellation`, { reason: 'scrap it' }), 200)
  const scrap = must(await counter.keeper.post(path, { warehouse: counter.warehouse, to: 'scrap' }), 201)
  expect(scrap).toMatchObject({ lots: 1, quantity: '2' })
  for (const slip of [slips[0].number, scrap.slips[0]]) must(await counter.signAndPost(slip), 200)

  expect(await counter.onHand(part.number)).toBe('9')
  expect(await network.goods(recall.number)).toEqual([])
  expect((await network.issued(recall.number)).map(({ kind, quantity }) => [kind, quantity])).toEqual([
    ['scrap', '2'],
    ['supplier-return', '2'],
    ['supplier-return', '2']
  ])
  expect(
    must(await network.controller.get(`/v1/recalls/${recall.number}/history`), 200).items.map(
      ({ event }: { event: string }) => event
    )
  ).toEqual(['opened', 'started', 'return-written', 'return-written'])
  expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
})

test('a paper that was posted can be taken back: the goods come home blocked', async () => {
  const part = await counter.stocked({ quantity: '2' })
  const recall = await network.recallPart(part.number)
  const paper = must(
    await counter.keeper.post(`/v1/recalls/${recall.number}/return-slips`, {
      warehouse: counter.warehouse,
      to: 'scrap'
    }),
    201
  )
  must(await counter.signAndPost(paper.slips[0]), 200)
  const reversal = must(
    await counter.keeper.post(`/v1/slips/${paper.slips[0]}/reversal`, { reason: 'supplier wants them' }),
    201
  )
  must(await counter.signAndPost(reversal.number), 200)

  expect(await network.goods(recall.number)).toMatchObject([{ quantity: '2', isBlocked: true }])
  expect(await network.issued(recall.number, 'open=true')).toEqual([])
  expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
})

test('two keepers at once write one paper', async () => {
  const part = await counter.stocked({ quantity: '2' })
  const recall = await network.recallPart(part.number)
  const outcomes = await Promise.all(
    [1, 2, 3].map(() =>
      counter.keeper.post(`/v1/recalls/${recall.number}/return-slips`, { warehouse: counter.warehouse, to: 'scrap' })
    )
  )
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual([201, 409, 409])
})

test('goods that two recalls block stand on the paper of one of them, whoever writes at the same moment', async () => {
  const part = await counter.stocked({ quantity: '4' })
  const recalls = [await network.recallPart(part.number), await network.recallPart(part.number)]

  const outcomes = await Promise.all(
    [...recalls, ...recalls].map(({ number }) =>
      counter.keeper.post(`/v1/recalls/${number}/return-slips`, { warehouse: counter.warehouse, to: 'scrap' })
    )
  )

  expect(outcomes.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409])
  const [slip] = outcomes.flatMap(({ status, body }) => (status === 201 ? body.slips : []))
  must(await counter.signAndPost(slip), 200)
  expect(await counter.onHand(part.number)).toBe('0')
  expect(await counter.verify()).toMatchObject({ ok: true })
})

test('only the keeper of the warehouse writes one, of what lies there, to somewhere there is', async () => {
  const part = await counter.stocked({ quantity: '2' })
  const other = await network.counter()
  const recall = await network.recallPart(part.number)
  const path = `/v1/recalls/${recall.number}/return-slips`
  const body = { warehouse: counter.warehouse, to: 'scrap' }
  expect((await other.keeper.post(path, body)).status).toBe(404)
  expect(code(await counter.signers['department-head'].post(path, body))).toEqual([403, 'DutyRequired'])
  expect(code(await other.keeper.post(path, { ...body, warehouse: other.warehouse }))).toEqual([
    409,
    'NothingBlockedHere'
  ])
  expect(code(await counter.keeper.post(path, { ...body, to: 'NOWHERE' }))).toEqual([422, 'WarehouseUnknown'])
  expect(code(await counter.keeper.post(path, { ...body, to: counter.warehouse }))).toEqual([422, 'TransferToItself'])
  expect(code(await counter.keeper.post(path, { ...body, supplier: 'X' }))).toEqual([422, 'SupplierMisplaced'])
  expect(code(await counter.keeper.post(path, { ...body, to: 'supplier', supplier: 'NO-ONE' }))).toEqual([
    422,
    'SupplierUnknown'
  ])
  must(await network.controller.post(`/v1/recalls/${recall.number}/lifting`, { reason: 'good' }), 200)
  await network.signEnd(recall.number)
  expect(code(await counter.keeper.post(path, body))).toEqual([409, 'RecallNotRunning'])
})
