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

/** A posted receipt of one part that says `more` of its delivery note. */
async function received(at: Counter, line: object, more: object = {}) {
  const part = await h.make.part({ standardCost: '2' })
  return at.posted({ kind: 'receipt', ...more, lines: [{ part: part.number, quantity: '8', ...line }] })
}
const only = (numbers: string[]): string => {
  expect(numbers).toHaveLength(1)
  return numbers[0] ?? ''
}

test('packages that are missing open a report of the delivery as a whole (R-IN-2)', async () => {
  const posted = await received(counter, {}, { packagesExpected: 3, packagesReceived: 2 })
  const number = only(posted.qualityReports)
  expect(await counter.keeper.get(`/v1/quality-reports/${number}`)).toMatchObject({
    status: 200,
    body: {
      number,
      warehouse: counter.warehouse,
      slip: posted.number,
      slipReversed: false,
      line: null,
      part: null,
      name: null,
      aspects: ['packages'],
      expectedQuantity: '3',
      receivedQuantity: '2',
      faultyQuantity: '0',
      responsibleParty: null,
      settledAt: null
    }
  })
})

test('a delivery that differs in a line and in its packages opens two reports; one that agrees opens none', async () => {
  const both = await received(counter, { expectedQuantity: '10' }, { packagesExpected: 2, packagesReceived: 1 })
  const { body } = await counter.keeper.get(`/v1/quality-reports?slip=${both.number}`)
  expect(body.items.map(({ number, aspects }: any) => [number, aspects])).toEqual([
    [both.qualityReports[1], ['packages']],
    [both.qualityReports[0], ['quantity']]
  ])
  const agreed = await received(counter, { expectedQuantity: '8' }, { packagesExpected: 2, packagesReceived: 2 })
  expect(agreed.qualityReports).toEqual([])
  expect((await counter.keeper.get(`/v1/quality-reports?slip=${agreed.number}`)).body.items).toEqual([])
  expect((await received(counter, {}, { packagesExpected: 2 })).qualityReports).toEqual([])
})

test('goods that did not arrive at all are reported with nothing received', async () => {
  const [came, missing] = [await h.make.part({ standardCost: '2' }), await h.make.part({ standardCost: '2' })]
  const posted = await counter.posted({
    kind: 'receipt',
    lines: [
      { part: came.number, quantity: '1' },
      { part: missing.number, quantity: '0', expectedQuantity: '10' }
    ]
  })
  expect((await counter.keeper.get(`/v1/quality-reports/${only(posted.qualityReports)}`)).body).toMatchObject({
    part: missing.number,
    aspects: ['quantity'],
    expectedQuantity: '10',
    receivedQuantity: '0'
  })
  expect(await counter.onHand(missing.number)).toBe('0')
})

test('a receipt of which nothing arrived moved nothing, and there is nothing to reverse', async () => {
  const { number } = await received(counter, { quantity: '0', expectedQuantity: '10' })
  expect(await counter.keeper.post(`/v1/slips/${number}/reversal`, { reason: 'it came after all' })).toMatchObject({
    status: 422,
    body: { code: 'NothingToReverse' }
  })
})

test('a report of a foreign warehouse is answered exactly as one that does not exist', async () => {
  const posted = await received(counter, { expectedQuantity: '10' })
  const theirs = only(posted.qualityReports)
  const foreign = await openCounter(h)
  const missing = theirs.replace(/\d+$/, '99999')
  const unknown = `NOWHERE-QR-202611-00001`
  const settlement = { responsibleParty: 'carrier', settlement: 'x' }
  for (const person of [foreign.keeper, foreign.signers['finance-supervisor']]) {
    for (const number of [theirs, missing, unknown]) {
      const refusal = {
        status: 404,
        body: { code: 'NotFound', detail: `there is no quality report ${number}, or you may not see it` }
      }
      expect(await person.get(`/v1/quality-reports/${number}`)).toMatchObject(refusal)
      expect(await person.post(`/v1/quality-reports/${number}/settlement`, settlement)).toMatchObject(refusal)
    }
  }
  expect(await counter.keeper.get(`/v1/quality-reports/${missing}`)).toMatchObject({
    status: 404,
    body: { detail: `there is no quality report ${missing}, or you may not see it` }
  })
  expect(await foreign.keeper.get(`/v1/quality-reports?slip=${posted.number}`)).toMatchObject({
    status: 404,
    body: { detail: `there is no slip ${posted.number}, or you may not see it` }
  })
  expect((await foreign.keeper.get('/v1/quality-reports')).body.items).toEqual([])
})

test('what a reversed receipt found is void: its report says so and the summary leaves it out (R-IN-4)', async () => {
  const own = await openCounter(h)
  const kept = await received(own, { expectedQuantity: '10' })
  const wrong = await received(own, { expectedQuantity: '11' })
  const summary = async () => (await own.keeper.get('/v1/quality-summary?period=2026-11&half=2')).body
  expect((await summary()).reports).toBe(2)

  const reversal = await own.keeper.post(`/v1/slips/${wrong.number}/reversal`, { reason: 'booked twice' })
  const report = async () => (await own.keeper.get(`/v1/quality-reports/${only(wrong.qualityReports)}`)).body
  expect([(await report()).slipReversed, (await summary()).reports]).toEqual([false, 2])
  await own.signAndPost(reversal.body.number)

  expect((await report()).slipReversed).toBe(true)
  expect(await summary()).toMatchObject({
    reports: 1,
    items: [{ part: kept.lines[0].part, expectedQuantity: '10', receivedQuantity: '8' }]
  })
})

test('the summary adds up what delivery notes state, and says null where none does', async () => {
  const own = await openCounter(h)
  const part = await h.make.part({ standardCost: '2' })
  await own.posted({
    kind: 'receipt',
    packagesExpected: 5,
    packagesReceived: 4,
    lines: [
      { part: part.number, quantity: '8', difference: { responsibleParty: 'production', faultyQuantity: '2' } },
      { part: part.number, quantity: '1', expectedQuantity: '3' }
    ]
  })
  const { items } = (await own.keeper.get('/v1/quality-summary?period=2026-11&half=2')).body
  expect(items).toMatchObject([
    { part: part.number, responsibleParty: 'production', expectedQuantity: null, faultyQuantity: '2' },
    { part: part.number, responsibleParty: null, expectedQuantity: '3', receivedQuantity: '1' },
    { part: null, name: null, responsibleParty: null, expectedQuantity: '5', receivedQuantity: '4' }
  ])
})

test('reports are filtered by day and settlement, newest first, over pages', async () => {
  const own = await openCounter(h)
  const numbers: string[] = []
  for (let count = 0; count < 3; count++)
    numbers.push(only((await received(own, { expectedQuantity: '9' })).qualityReports))
  await own.signers['finance-supervisor'].post(`/v1/quality-reports/${numbers[0]}/settlement`, {
    responsibleParty: 'carrier',
    settlement: 'the carrier pays'
  })
  const everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const list = async (query: string, caller = own.keeper) =>
    (await caller.get(`/v1/quality-reports?${query}`)).body.items.map(({ number }: any) => number)

  expect(await list('')).toEqual(numbers.toReversed())
  expect(await list(`warehouse=${own.warehouse}`, everywhere)).toEqual(numbers.toReversed())
  expect(await list('settled=true')).toEqual(numbers.slice(0, 1))
  expect(await list('from=2026-11-20&to=2026-11-20&settled=false')).toEqual([numbers[2], numbers[1]])
  expect(await list('to=2026-11-19')).toEqual([])
  const first = (await own.keeper.get('/v1/quality-reports?limit=2')).body
  expect(await list(`limit=2&cursor=${first.nextCursor}`)).toEqual([numbers[0]])
  expect(await own.keeper.get('/v1/quality-reports?from=2026-11-21&to=2026-11-20')).toMatchObject({
    status: 422,
    body: { code: 'DaysReversed' }
  })
})
