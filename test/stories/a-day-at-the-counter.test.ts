import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { openCounter, type Counter } from '../support/counter.ts'

let h: Harness
let counter: Counter

beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
})
afterAll(() => h.close())

test('a receipt and an issue go through three signatures, and stock is right', async () => {
  const brakePad = await h.make.part({ nameZh: '刹车片' })
  const receipt = await counter.keeper.post(`/v1/warehouses/${counter.warehouse}/slips`, {
    kind: 'receipt',
    deliveryNote: 'DN-1',
    lines: [{ part: brakePad.number, quantity: '10', expectedQuantity: '10', unitCost: '12.5' }]
  })
  expect(receipt).toMatchObject({
    status: 201,
    body: {
      kind: 'receipt',
      state: 'awaiting-signatures',
      awaiting: ['department-head', 'operations-supervisor', 'finance-supervisor']
    }
  })

  await counter.signAndPost(receipt.body.number)
  const issue = await counter.keeper.post(`/v1/warehouses/${counter.warehouse}/slips`, {
    kind: 'issue',
    reference: 'RO-1',
    lines: [{ part: brakePad.number, quantity: '3' }]
  })
  const posted = await counter.signAndPost(issue.body.number, { handedTo: '王师傅' })

  expect(posted.body).toMatchObject({
    state: 'posted',
    handedTo: '王师傅',
    lines: [
      {
        direction: 'out',
        quantity: '3',
        movements: [{ quantity: '-3', cost: '-37.50', charge: '0.00', onHandAfter: '7' }]
      }
    ]
  })
  const stock = await counter.keeper.get(`/v1/warehouses/${counter.warehouse}/stock?part=${brakePad.number}`)
  expect(stock.body.items).toMatchObject([
    {
      part: brakePad.number,
      ownership: 'own',
      condition: 'qualified',
      onHand: '7',
      reserved: '0',
      available: '7',
      cost: '87.50',
      value: '87.50'
    }
  ])
  const ledger = await counter.keeper.get(`/v1/warehouses/${counter.warehouse}/ledger?part=${brakePad.number}`)
  expect(
    ledger.body.items.map(({ quantity, balance }: { quantity: string; balance: string }) => [quantity, balance])
  ).toEqual([
    ['10', '10'],
    ['-3', '7']
  ])
  expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
})
