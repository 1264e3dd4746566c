import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { followOldParts, sweepOldPartsNightly } from '../../src/old-parts/old-parts.jobs.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openCounter, type Counter } from '../support/counter.ts'
import { openExchanging, type Exchanging } from './exchanging.ts'

let h: Harness
let x: Exchanging
beforeAll(async () => {
  h = await openHarness()
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  x = await openExchanging(h)
})
afterAll(() => h.close())

/** An outlet below the centre that books in what it gets. */
const openShelf = async (): Promise<Counter> => {
  const shelf = await openCounter(h)
  await h.sql(`update warehouse set parent_id = $2, kind = 'outlet' where id = $1`, [
    shelf.warehouseId,
    x.centre.warehouseId
  ])
  return shelf
}
const owedBy = async (shelf: Counter, part: string): Promise<any[]> =>
  (await shelf.keeper.get(`/v1/old-parts?outlet=${shelf.warehouse}&part=${encodeURIComponent(part)}`)).body.items

const sweep = () => runJob(h, sweepOldPartsNightly)
const numbers = async () =>
  (
    await h.sql<{ number: string }>('select number from old_part where warehouse_id = $1 order by id', [x.outletId])
  ).map(({ number }) => number)

describe('an issue of an exchange part makes its old part due back (R-REQ-6)', () => {
  test('the outlet it went to owes it, with day and value; a second look opens nothing', async () => {
    const part = await x.exchangePart()
    const plain = (await x.centre.stocked()).number
    const slip = await x.issued(part, '2', {
      lines: [
        { part: plain, quantity: '1' },
        { part, quantity: '2' }
      ]
    })

    const owed = await x.oldPart(part)
    expect(owed).toMatchObject({
      number: `${x.outlet}-OLP-202611-00001`,
      outlet: x.outlet,
      centre: x.centre.warehouse,
      part,
      state: 'outstanding',
      quantity: '2',
      cameBack: '0',
      returned: '0',
      arriving: '0',
      writtenOff: '0',
      outstanding: '2',
      unitValue: '35.00',
      value: '70.00',
      dueOn: '2026-12-20',
      overdue: false,
      daysOverdue: 0,
      issueSlip: slip.number,
      issueLine: 2,
      reference: 'RO-2026-0815',
      returns: [],
      writeOffs: []
    })
    expect(owed.history).toEqual([
      {
        at: expect.any(String),
        by: 'system',
        event: 'old-part-opened',
        details: {
          number: owed.number,
          part,
          quantity: '2',
          dueOn: '2026-12-20',
          slip: slip.number,
          line: 2,
          reference: 'RO-2026-0815'
        }
      }
    ])
    await h.sql(
      `insert into outbox (subject, event, warehouse_id, payload, occurred_at)
       select 'document:' || id, 'document.posted', warehouse_id, jsonb_build_object('document', id::text), now() from slip where number = $1`,
      [slip.number]
    )
    await x.follow()
    expect(await sweep()).toMatchObject({ opened: 0 })
    expect(await numbers()).toEqual([owed.number])
  })

  test('who issued it owes it where no outlet is named: to a repair order, to a technician, by a sale', async () => {
    const part = await x.exchangePart()
    for (const head of [
      { purpose: 'repair-order', counterparty: undefined },
      { purpose: 'technician', counterparty: 'Wang' },
      { kind: 'sale', purpose: undefined, counterparty: undefined }
    ])
      await x.issued(part, '1', head)
    const { items } = (await x.centre.keeper.get(`/v1/old-parts?outlet=${x.centre.warehouse}&part=${part}`)).body
    expect(items.map(({ outlet, centre }: { outlet: string; centre: string }) => [outlet, centre])).toEqual(
      Array.from({ length: 3 }, () => [x.centre.warehouse, x.centre.warehouse])
    )
    expect(await numbers()).toEqual([])
  })

  test('an outlet that issues from its own shelf owes it to its centre; the request of an outlet names the outlet', async () => {
    const part = await x.exchangePart()
    await x.issued(part, '1', { counterparty: 'the outlet', reference: `${x.outlet}-REQ-202611-00007` })
    expect(await x.owed(part)).toMatchObject([{ outlet: x.outlet, centre: x.centre.warehouse }])

    const shelf = await openShelf()
    const other = await x.exchangePart()
    await shelf.posted({ kind: 'receipt', lines: [{ part: other, quantity: '1', unitCost: '12.50' }] })
    const issue = await shelf.posted({
      kind: 'issue',
      purpose: 'repair-order',
      reference: 'RO-7',
      lines: [{ part: other, quantity: '1' }]
    })
    await sweep()
    expect(await owedBy(shelf, other)).toMatchObject([
      { issueSlip: issue.number, outlet: shelf.warehouse, centre: x.centre.warehouse }
    ])
  })

  test('an outlet owes once what was issued to it: its own repairs open only what they take beyond that', async () => {
    const part = await x.exchangePart({ quantity: '20' })
    const shelf = await openShelf()
    const given = await x.issued(part, '3', { counterparty: shelf.warehouse })
    await shelf.posted({ kind: 'receipt', lines: [{ part, quantity: '10', unitCost: '12.50' }] })
    const repair = async (...quantities: string[]) => {
      const slip = await shelf.posted({
        kind: 'issue',
        purpose: 'repair-order',
        reference: 'RO-8',
        lines: quantities.map((quantity) => ({ part, quantity }))
      })
      await x.follow()
      return slip
    }
    const owed = async () =>
      (await owedBy(shelf, part)).map(({ issueSlip, issueLine, quantity }: any) => [issueSlip, issueLine, quantity])
    const first = [given.number, 1, '3']

    const two = await repair('2')
    expect(await owed()).toEqual([first])
    const beyond = await repair('1', '2')
    expect(await owed()).toEqual([first, [beyond.number, 2, '2']])

    // What the repair did not need counts for the next one; what the outlet gave back to the centre does not count any more.
    await shelf.posted({ kind: 'return', reference: two.number, lines: [{ part, quantity: '1' }] })
    await repair('1')
    expect(await owed()).toEqual([first, [beyond.number, 2, '2']])
    await x.centre.posted({ kind: 'return', reference: given.number, lines: [{ part, quantity: '1' }] })
    const last = await repair('1')
    expect(await owed()).toEqual([first, [beyond.number, 2, '2'], [last.number, 1, '1']])
    expect(await sweep()).toMatchObject({ opened: expect.any(Number) })
    const after = await owed()
    expect(await sweep()).toMatchObject({ opened: 0 })
    expect(await owed()).toEqual(after)
  })

  test('an emergency release opens it at once, before the late signature', async () => {
    const part = await x.exchangePart()
    const { number } = await x.centre.slip({
      kind: 'issue',
      purpose: 'outlet',
      counterparty: x.outlet,
      lines: [{ part, quantity: '1' }]
    })
    await x.centre.sign(number, ['department-head', 'operations-supervisor'])
    const released = await x.centre.keeper.post(`/v1/slips/${number}/emergency-release`, {
      missingDuty: 'finance-supervisor',
      authorisedBy: 'Chen',
      reason: 'a machine stands still',
      handedTo: 'Zhao'
    })
    expect(released.status).toBe(200)
    await x.follow()
    expect(await x.owed(part)).toMatchObject([{ issueSlip: number, outstanding: '1' }])
  })

  test('it is worth what the part says, else its list price, else its standard cost, and stays so', async () => {
    const values = [
      { oldPartValue: '35.00', standardCost: '12.5000' },
      { oldPartValue: null, standardCost: '12.3456' },
      { oldPartValue: null, standardCost: null }
    ]
    const parts = []
    for (const value of values) parts.push(await x.exchangePart(value))
    const listed = await x.exchangePart({ oldPartValue: null, standardCost: '12.5000' })
    await h.sql(`update part set list_price = 59 where number = $1`, [listed])
    for (const part of [...parts, listed]) await x.issued(part)
    await h.sql(`update part set old_part_value = 99 where number = any ($1::text[])`, [parts])
    const unitValues = []
    for (const part of [...parts, listed]) unitValues.push((await x.oldPart(part)).unitValue)
    expect(unitValues).toEqual(['35.00', '12.35', '0.00', '59.00'])
  })

  test('what was posted before the part became an exchange part owes nothing', async () => {
    const { number: part } = await x.centre.stocked()
    await x.issued(part)
    h.clock.advance({ hours: 1 })
    await h.sql(`update part set exchange_due_days = 7, exchange_since = $2 where number = $1`, [
      part,
      h.clock.now().toString()
    ])
    await sweep()
    expect(await x.owed(part)).toEqual([])
    await x.issued(part)
    expect(await x.owed(part)).toMatchObject([{ dueOn: '2026-11-27' }])
  })

  test('the nightly sweep finds what a lost event missed, and a second run changes nothing', async () => {
    const part = await x.exchangePart()
    const slip = await x.centre.posted({
      kind: 'issue',
      purpose: 'outlet',
      counterparty: x.outlet,
      lines: [{ part, quantity: '3' }]
    })
    await relayed(h, { only: [] })
    expect(await x.owed(part)).toEqual([])
    expect(await sweep()).toMatchObject({ opened: 1 })
    await x.centre.posted({ kind: 'return', reference: slip.number, lines: [{ part, quantity: '3' }] })
    await relayed(h, { only: [] })
    await sweep()
    expect(await x.oldPart(part)).toMatchObject({ state: 'cancelled', cameBack: '3', outstanding: '0' })
    const before = await h.sql('select * from document_event order by id')
    expect(await sweep()).toMatchObject({ opened: 0 })
    expect(await h.sql('select * from document_event order by id')).toEqual(before)
  })

  test('many slips at once are opened once each, without a gap in the numbers', async () => {
    const part = await x.exchangePart({ quantity: '20' })
    for (let count = 0; count < 4; count++)
      await x.centre.posted({
        kind: 'issue',
        purpose: 'outlet',
        counterparty: x.outlet,
        lines: [{ part, quantity: '1' }]
      })
    await Promise.all([sweep(), relayed(h, { only: [followOldParts] }), sweep()])
    expect(await numbers()).toEqual([1, 2, 3, 4].map((place) => `${x.outlet}-OLP-202611-0000${place}`))
  })
})

describe('what becomes of the new part changes what is due (R-REQ-6, R-STK-2)', () => {
  test('a return of the new part reduces it, its reversal makes it due again, the reversal of the issue ends it', async () => {
    const part = await x.exchangePart()
    const slip = await x.issued(part, '3')
    const back = await x.centre.posted({ kind: 'return', reference: slip.number, lines: [{ part, quantity: '2' }] })
    await x.follow()
    expect(await x.oldPart(part)).toMatchObject({ state: 'outstanding', cameBack: '2', outstanding: '1' })

    const undone = (await x.centre.keeper.post(`/v1/slips/${back.number}/reversal`, { reason: 'wrong slip' })).body
    expect((await x.centre.signAndPost(undone.number)).status).toBe(200)
    await x.follow()
    expect(await x.oldPart(part)).toMatchObject({ cameBack: '0', outstanding: '3' })

    const reversal = (await x.centre.keeper.post(`/v1/slips/${slip.number}/reversal`, { reason: 'not issued' })).body
    expect((await x.centre.signAndPost(reversal.number)).status).toBe(200)
    await x.follow()
    const ended = await x.oldPart(part)
    expect(ended).toMatchObject({ state: 'cancelled', cameBack: '3', outstanding: '0', value: '0.00' })
    expect(ended.history.map(({ event, details }: any) => [event, details.slip, details.quantity])).toEqual([
      ['old-part-opened', slip.number, '3'],
      ['old-part-not-due', back.number, '2'],
      ['old-part-due-again', undone.number, '2'],
      ['old-part-not-due', reversal.number, '3']
    ])
    expect(
      await h.sql('select count(*)::int as open from old_part_outstanding where number = $1', [ended.number])
    ).toEqual([{ open: 0 }])
  })
})
