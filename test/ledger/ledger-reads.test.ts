import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor, openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
})
afterAll(() => h.close())

const path = (rest: string) => `/v1/warehouses/${counter.warehouse}/${rest}`

test('stock pages through by part number, ownership and condition, each row once (R-STK-1)', async () => {
  const own = await openCounter(h)
  const lines = []
  for (let count = 0; count < 7; count++) {
    const part = await h.make.part({ number: `Z-${count}-${own.warehouse}`, standardCost: '1' })
    lines.push(
      { part: part.number, quantity: '1' },
      { part: part.number, quantity: '2', ownership: 'consigned', condition: 'nonconforming' }
    )
  }
  await own.posted({ kind: 'receipt', lines })
  const rows: { part: string; ownership: string }[] = []
  let cursor: string | null = null
  do {
    const page = await own.keeper.get(
      `/v1/warehouses/${own.warehouse}/stock?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`
    )
    rows.push(...page.body.items)
    cursor = page.body.nextCursor
  } while (cursor !== null)
  const keys = rows.map(({ part, ownership }) => `${part} ${ownership}`)
  expect(keys).toHaveLength(14)
  expect(keys).toEqual([...new Set(keys)].sort((a, b) => a.localeCompare(b, 'en').valueOf()).sort())
  const filtered = await own.keeper.get(
    `/v1/warehouses/${own.warehouse}/stock?ownership=consigned&condition=nonconforming&limit=200`
  )
  expect(filtered.body.items).toHaveLength(7)
})

test('the ledger of a part runs its balance by the day on the paper, over pages (R-STK-3)', async () => {
  const part = await h.make.part({ standardCost: '1' })
  const receipt = (quantity: string, occurredOn: string) =>
    counter.posted({ kind: 'receipt', occurredOn, lines: [{ part: part.number, quantity }] })
  await receipt('10', '2026-10-01')
  await counter.posted({ kind: 'issue', occurredOn: '2026-11-05', lines: [{ part: part.number, quantity: '4' }] })
  // Paper that arrives late is posted last and stands on its own day.
  await counter.posted({ kind: 'issue', occurredOn: '2026-10-20', lines: [{ part: part.number, quantity: '1' }] })

  const first = await counter.keeper.get(path(`ledger?part=${part.number}&limit=2`))
  const second = await counter.keeper.get(path(`ledger?part=${part.number}&limit=2&cursor=${first.body.nextCursor}`))
  const rows = [...first.body.items, ...second.body.items].map(
    ({ occurredOn, quantity, balance, onHandAfter }: any) => [occurredOn, quantity, balance, onHandAfter]
  )
  expect(rows).toEqual([
    ['2026-10-01', '10', '10', '10'],
    ['2026-10-20', '-1', '9', '5'],
    ['2026-11-05', '-4', '5', '6']
  ])
  const november = await counter.keeper.get(path(`ledger?part=${part.number}&from=2026-11-01&to=2026-11-30`))
  expect(november.body.items.map(({ balance }: any) => balance)).toEqual(['5'])
})

test('the ledger streams as CSV that a spreadsheet opens, in both languages', async () => {
  const part = await h.make.part({ nameZh: '=cmd 刹车线', standardCost: '1' })
  await counter.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '3' }] })
  const csv = await counter.keeper.get(path(`ledger?part=${part.number}`), { accept: 'text/csv' })
  expect(csv.headers['content-type']).toMatch('text/csv')
  expect(csv.text.startsWith('\ufeffpart 货号,')).toBe(true)
  expect(csv.text).toContain(`,'=cmd 刹车线,`)
  expect(csv.text.trim().split('\n')).toHaveLength(2)
})

test('posted slips of a month go to finance as one CSV per warehouse and period (R-OUT-5)', async () => {
  const part = await counter.stocked({ quantity: '5', unitCost: '2.00' })
  const issue = await counter.posted({
    kind: 'issue',
    reference: 'RO-77',
    lines: [{ part: part.number, quantity: '2' }]
  })
  const csv = await counter.keeper.get(path('periods/2026-11/posted-slips'))
  expect(csv.text.split('\n').filter((line) => line.includes(issue.number))).toEqual([expect.stringContaining(`RO-77`)])
  expect(csv.text).toContain(',out,-2,-4.00,0.00,-4.00')
  expect((await counter.keeper.get(path('periods/2026-13/posted-slips'))).status).toBe(400)
})

test('finance costs from the export: delivery note, supplier, who brought it, what it reverses and which signature is due (R-OUT-5)', async () => {
  const own = await openCounter(h)
  const part = await h.make.part({ standardCost: '2' })
  const supplier = await h.make.supplier({ parts: [part.number] })
  const { number: receipt } = await own.slip({
    kind: 'receipt',
    supplier: supplier.code,
    deliveryNote: 'DN-7',
    lines: [{ part: part.number, quantity: '5' }]
  })
  await own.signAndPost(receipt, { deliveredBy: '李师傅' })
  const issue = await own.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
  const reversal = await own.keeper.post(`/v1/slips/${issue.number}/reversal`, { reason: 'wrong part' })
  await own.signAndPost(reversal.body.number)
  const late = await own.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
  await own.sign(late.number, ['department-head', 'operations-supervisor'])
  await own.keeper.post(`/v1/slips/${late.number}/emergency-release`, {
    missingDuty: 'finance-supervisor',
    authorisedBy: '李敏',
    reason: 'urgent',
    handedTo: '王师傅'
  })

  const { text } = await own.keeper.get(`/v1/warehouses/${own.warehouse}/periods/2026-11/posted-slips`)
  const [heading = [], ...rows] = text
    .replace('\ufeff', '')
    .trim()
    .split('\n')
    .map((line) => line.split(','))
  const told = rows.map((row) =>
    Object.fromEntries(heading.map((name, place) => [name.split(' ').slice(0, -1).join(' '), row[place]]))
  )
  expect(told).toMatchObject([
    {
      slip: receipt,
      supplier: supplier.code,
      'delivery note': 'DN-7',
      'delivered by': '李师傅',
      direction: 'in',
      'source slip': '',
      'late signature due': ''
    },
    { slip: issue.number, direction: 'out' },
    { slip: reversal.body.number, 'source slip': issue.number, reason: 'wrong part', direction: 'in' },
    { slip: late.number, 'handed to': '王师傅', 'late signature due': 'finance-supervisor', direction: 'out' }
  ])
})

test('a part or region that does not exist is no empty list, nor are days in the wrong order (R-ERR-1)', async () => {
  const known = await h.make.part()
  const everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  for (const list of ['stock?', 'lots?', 'ledger?']) {
    expect(await counter.keeper.get(path(`${list}part=NO-SUCH`)), list).toMatchObject({
      status: 404,
      body: { code: 'NotFound', detail: expect.stringContaining('there is no part NO-SUCH') }
    })
    expect(await counter.keeper.get(path(`${list}part=${known.number}`)), list).toMatchObject({
      status: 200,
      body: { items: [] }
    })
  }
  expect((await counter.keeper.get(path('ledger?part=NO-SUCH'), { accept: 'text/csv' })).status).toBe(404)
  for (const query of ['part=NO-SUCH', 'region=NO-SUCH', 'agedOver=3&part=NO-SUCH', 'agedOver=3&region=NO-SUCH']) {
    expect(await everywhere.get(`/v1/stock?${query}`), query).toMatchObject({
      status: 404,
      body: { code: 'NotFound', detail: expect.stringMatching(/there is no (part|region) NO-SUCH/) }
    })
  }
  expect((await everywhere.get(`/v1/stock?part=${known.number}`)).body.items).toEqual([])
  for (const accept of ['application/json', 'text/csv']) {
    expect(await counter.keeper.get(path('ledger?from=2026-11-02&to=2026-11-01'), { accept })).toMatchObject({
      status: 422,
      body: { code: 'DaysReversed', errors: [{ pointer: '?from', sent: '2026-11-02' }] }
    })
  }
})

test('an operation without query parameters says so', async () => {
  expect(await counter.keeper.get(`/v1/slip-package-key?colour=red`)).toMatchObject({
    status: 400,
    body: { detail: '?colour is not known here; this operation takes no query parameters' }
  })
})

test('a region sees its warehouses; stock past three months is seen by all (R-AGE-6)', async () => {
  const region = (await h.make.region()).code
  const near = await h.make.warehouse({ region })
  const part = await h.make.part()
  await counter.posted({
    kind: 'opening',
    lines: [{ part: part.number, quantity: '4', unitCost: '10', receivedOn: '2026-06-15' }]
  })
  await counter.posted({ kind: 'opening', lines: [{ part: part.number, quantity: '6', unitCost: '10' }] })
  const elsewhere = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: near.code }] }))
  const everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))

  expect((await elsewhere.get(`/v1/stock?part=${part.number}`)).body.items).toEqual([])
  expect((await everywhere.get(`/v1/stock?part=${part.number}`)).body.items).toMatchObject([
    { warehouse: counter.warehouse, onHand: '10', cost: '100.00', oldestReceivedOn: '2026-06-15' }
  ])
  expect((await elsewhere.get(`/v1/stock?part=${part.number}&agedOver=3`)).body.items).toMatchObject([
    { warehouse: counter.warehouse, onHand: '4', cost: '40.00', accumulatedDepreciation: '6.40', value: '33.60' }
  ])
  expect(await elsewhere.get(`/v1/stock?part=${part.number}&agedOver=2`)).toMatchObject({
    status: 422,
    body: { code: 'AgeBelowHoldingPeriod' }
  })
})

test('the self-check names what does not agree, and only where one may look', async () => {
  const own = await openCounter(h)
  const part = await own.stocked({ quantity: '5' })
  await h.sql('update balance set on_hand = 4 where part_id = $1', [part.id])
  expect(await own.verify()).toMatchObject({
    ok: false,
    findings: [
      {
        check: 'balance-equals-lots-equals-movements',
        warehouse: own.warehouse,
        subject: `${part.number} own qualified`,
        expected: 'movements 5',
        found: 'balance 4, lots 5'
      }
    ]
  })
  await h.sql('update balance set on_hand = 5 where part_id = $1', [part.id])
  await h.sql('update lot set unit_cost = unit_cost + 1 where part_id = $1', [part.id])
  expect((await own.verify()).findings).toMatchObject([{ check: 'cost-in-equals-cost-out-and-on-hand' }])
  expect((await own.keeper.get('/v1/ledger/verification')).status).toBe(403)
  expect((await own.keeper.get(`/v1/ledger/verification?warehouse=${counter.warehouse}`)).status).toBe(404)
})
