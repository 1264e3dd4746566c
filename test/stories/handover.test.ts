import { afterAll, beforeAll, expect, test } from 'vitest'
import { callsAs } from '../support/calls.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { must, openHandingOver } from '../handovers/handing-over.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

test('a keeper leaves: the supervised count finds a compressor missing, a key is short, and from one instant on another answers for the rest (R-ORG-3, R-CNT-4)', async () => {
  const signature = (party: string, more: object = {}) => ({ party, decision: 'approve', ...more })
  const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))

  // Early November. Ten compressors of 320.00 came in, five boards of head office, a loaner and a multimeter.
  h.clock.set('2026-11-02T09:00')
  const at = await openHandingOver(h)
  const { warehouse, keeper: li, incoming: wang } = at
  const head = at.signers['department-head']
  const finance = at.signers['finance-supervisor']
  const compressor = (await at.stocked({ quantity: '10', unitCost: '320.00' })).number
  const board = (await at.stocked({ quantity: '5', ownership: 'consigned' })).number
  const model = (await h.make.part({ standardCost: '1000.0000' })).number
  await h.sql(`update part set loaner_family = 'WM-8' where number = $1`, [model])
  const registered = must(
    await li.post(`/v1/warehouses/${warehouse}/loaners`, {
      kind: 'opening',
      units: [{ serial: 'BY-2026-00031', model, accessories: ['power cord'] }]
    }),
    201
  )
  must(await at.signAndPost(registered.slip), 200)
  const loan = must(
    await li.post('/v1/loaners/BY-2026-00031/loans', {
      repairOrder: 'RO-2026-1102',
      receiptNumber: 'JT-001102',
      customerName: '陈女士',
      dueOn: '2026-11-30',
      condition: '完好'
    }),
    201
  )
  must(await at.signAndPost(loan.outSlip), 200)
  must(
    await li.post(`/v1/warehouses/${warehouse}/tools`, {
      tools: [{ serial: 'GJ-2026-00031', name: 'Digital multimeter', value: '1280.00', purchasedOn: '2026-03-02' }]
    }),
    201
  )

  // 20 November. Li is to leave. Nobody can simply take the duty away.
  h.clock.set('2026-11-20T09:00')
  const duties = await h.sql<{ id: number }>('select id from duty_assignment where person_id = $1', [li.person.id])
  const tooEarly = await administrator.post(`/v1/people/${li.person.username}/duties/${duties[0]?.id}/end`, {})
  expect([tooEarly.status, tooEarly.body.code]).toEqual([409, 'HandoverMissing'])

  const waiting = await at.slip({ kind: 'issue', lines: [{ part: compressor, quantity: '1' }] })
  await at.sign(waiting.number)
  const { number, snapshot } = await at.drawUp({ keys: [{ name: '仓库大门', count: 3 }], notes: '三号货架待维修' })
  expect(snapshot).toMatchObject({ balances: 2, cost: '3200.00', open: { slip: 1, loan: 1, tool: 1 } })

  // Both keepers count together, finance supervises. One compressor is not there.
  h.clock.set('2026-11-20T10:00')
  const count = await at.open({ kind: 'cycle', parts: [compressor, board] })
  const lines = await at.lines(count.number)
  await at.count(
    count.number,
    lines.map(({ line, part }: { line: number; part: string }) => ({ line, counted: part === compressor ? '9' : '5' }))
  )
  await at.settle(count.number)
  const named = must(await callsAs(h, li.person).patch(`/v1/handovers/${number}`, { count: count.number }), 200)
  expect(named.count).toMatchObject({
    number: count.number,
    differences: 1,
    gainValue: '0.00',
    lossValue: '320.00'
  })
  expect(named.count.adjustmentSlip).toContain(warehouse)

  // 23 November. What is handed over is what is really there: nine compressors.
  h.clock.set('2026-11-23T09:00')
  const submitted = await at.submit(number)
  expect(submitted).toMatchObject({ state: 'awaiting-signatures', snapshot: { balances: 2, cost: '2880.00' } })
  expect(
    await h.sql(
      `select part_number as part, trim_scale(on_hand)::text as "onHand" from handover_balance b join handover h on h.warehouse_id = b.warehouse_id and h.id = b.handover_id
        where h.number = $1 and part_number = $2`,
      [number, compressor]
    )
  ).toEqual([{ part: compressor, onHand: '9' }])
  const sign = (as: typeof li, party: string, more: object = {}) =>
    as.post(`/v1/handovers/${number}/signatures`, signature(party, more))
  must(await sign(li, 'outgoing-keeper'), 200)
  // Wang misses a key, and refuses; it is written down as it is.
  must(await sign(wang, 'incoming-keeper', { decision: 'refuse', comment: '大门钥匙只有两把' }), 200)
  must(
    await callsAs(h, li.person).patch(`/v1/handovers/${number}`, {
      keys: [{ name: '仓库大门', count: 2, note: '一把已丢失' }]
    }),
    200
  )
  const { contentHash } = await at.submit(number)

  // Work goes on while the papers go round: Li serves a customer.
  const served = await at.posted({ kind: 'issue', lines: [{ part: compressor, quantity: '2' }] })
  for (const [who, party] of [
    [li, 'outgoing-keeper'],
    [wang, 'incoming-keeper'],
    [head, 'department-head']
  ] as const)
    must(await sign(who, party, { contentHash }), 200)
  h.clock.set('2026-11-23T17:30')
  const completed = must(await sign(finance, 'finance-supervisor', { contentHash }), 200)
  expect(completed).toMatchObject({ state: 'completed', cutOff: { at: '2026-11-23T09:30:00Z' } })

  // From that instant on Li can act no more, and Wang hands out what Li had prepared.
  const tooLate = await li.post(`/v1/slips/${waiting.number}/posting`, { handedTo: '赵六' })
  expect(tooLate.status).toBe(404)
  must(await wang.post(`/v1/slips/${waiting.number}/posting`, { handedTo: '赵六' }), 200)

  // Who answers for which movement is said by the position: the loss and what Li served lie before, what Wang did after.
  const moved = await h.sql<{ slip: string; quantity: string; answers: string }>(
    `select s.number as slip, trim_scale(m.quantity)::text as quantity, case when m.id <= $2 then 'outgoing' else 'incoming' end as answers
       from movement m join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id join part on part.id = m.part_id
      where m.warehouse_id = $1 and part.number = $3 and m.quantity < 0 order by m.id`,
    [at.warehouseId, completed.cutOff.position, compressor]
  )
  expect(moved).toEqual([
    { slip: named.count.adjustmentSlip, quantity: '-1', answers: 'outgoing' },
    { slip: served.number, quantity: '-2', answers: 'outgoing' },
    { slip: waiting.number, quantity: '-1', answers: 'incoming' }
  ])
  expect((await wang.get(`/v1/ledger/verification?warehouse=${warehouse}`)).body).toMatchObject({ ok: true })

  // The account of Li is closed; that of Wang cannot be.
  const close = async (username: string) =>
    (await callsAs(h, administrator.person).patch(`/v1/people/${username}`, { active: false })).status
  expect(await close(li.person.username)).toBe(200)
  expect(await close(wang.person.username)).toBe(409)
})
