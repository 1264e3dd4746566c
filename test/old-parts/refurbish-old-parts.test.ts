import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { blockStock } from '../../src/ledger/block.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { refreshDemand } from '../../src/replenishment/demand.ts'
import { openCounter } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { dispatch, order, receive } from '../transfers/transferring.ts'
import { openExchanging, type Exchanging } from './exchanging.ts'

let h: Harness
let x: Exchanging
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  x = await openExchanging(h)
})
afterAll(() => h.close())

const refurbish = (lines: object[], head: object = {}, by = x.centre.keeper) =>
  by.post('/v1/old-parts/refurbishments', { warehouse: x.centre.warehouse, reference: 'WO-118', lines, ...head })

/** An exchange part of which so many old ones lie at the centre, in one lot each. */
async function oldOnes(...quantities: string[]): Promise<string> {
  const part = await x.exchangePart()
  for (const quantity of quantities) {
    await x.issued(part, quantity)
    await x.returned([{ part, quantity, grade: 'repairable' }])
  }
  return part
}

describe('refurbished old parts return to qualified stock at documented cost (R-REQ-6)', () => {
  test('one slip takes them out at no cost and brings them in at what the paper says; their age begins anew', async () => {
    const part = await oldOnes('1', '2')
    h.clock.advance({ hours: 24 * 3 })
    const written = await refurbish([{ part, quantity: '2', unitCost: '3.20', note: '更换轴承' }])
    expect(written).toMatchObject({
      status: 201,
      headers: { location: `/v1/slips/${x.centre.warehouse}-RFB-202611-00001`, etag: '"1"' },
      body: {
        number: `${x.centre.warehouse}-RFB-202611-00001`,
        kind: 'refurbishment',
        kindZh: '翻新入库单',
        state: 'awaiting-signatures',
        reference: 'WO-118',
        lines: [
          { line: 1, direction: 'out', quantity: '1', condition: 'nonconforming', unitCost: null },
          { line: 2, direction: 'out', quantity: '1', condition: 'nonconforming', unitCost: null },
          { line: 3, direction: 'in', quantity: '2', condition: 'qualified', unitCost: '3.2000', note: '更换轴承' }
        ]
      }
    })
    const { number } = written.body
    expect((await x.centre.keeper.post(`/v1/slips/${number}/posting`, {})).body.code).toBe('SlipNotApproved')
    const posted = await x.centre.signAndPost(number)
    expect(posted.status).toBe(200)
    expect(posted.body.lines.map(({ movements }: any) => movements.map(({ cost }: any) => cost))).toEqual([
      ['0.00'],
      ['0.00'],
      ['6.40']
    ])
    expect(await x.centre.onHand(part, 'own', 'nonconforming')).toBe('1')
    expect(await x.centre.onHand(part)).toBe('9')
    const [lot] = await h.sql<{ receivedOn: string; unitCost: string }>(
      `select received_on::text as "receivedOn", trim_scale(unit_cost)::text as "unitCost" from lot
        where warehouse_id = $1 and part_id = (select id from part where number = $2) and condition = 'qualified' order by id desc limit 1`,
      [x.centre.warehouseId, part]
    )
    expect(lot).toEqual({ receivedOn: '2026-11-23', unitCost: '3.2' })
    expect(await x.centre.verify()).toMatchObject({ ok: true })
  })

  test('only old parts: what is faulty otherwise keeps its lot and its cost', async () => {
    const part = await x.exchangePart()
    await x.centre.posted({
      kind: 'opening',
      lines: [{ part, quantity: '5', unitCost: '12.50', condition: 'nonconforming', receivedOn: '2026-10-01' }]
    })
    await x.issued(part)
    await x.returned([{ part, grade: 'repairable' }])
    expect(await refurbish([{ part, quantity: '2', unitCost: '3.20' }])).toMatchObject({
      status: 422,
      body: {
        code: 'OldPartsShort',
        available: '1',
        errors: [{ pointer: '/lines/0/quantity', sent: '2', accepted: 'at most 1' }]
      }
    })
    const { number } = (await refurbish([{ part, quantity: '1', unitCost: '3.20' }])).body
    expect((await x.centre.signAndPost(number)).status).toBe(200)
    expect(
      await h.sql(
        `select trim_scale(on_hand)::text as "onHand", trim_scale(unit_cost)::text as cost from lot
          where warehouse_id = $1 and condition = 'nonconforming' and not exhausted and part_id = (select id from part where number = $2)`,
        [x.centre.warehouseId, part]
      )
    ).toEqual([{ onHand: '5', cost: '12.5' }])
  })

  test('an old part is on one open refurbishment only, however many write one at once; a cancelled one frees it', async () => {
    const part = await oldOnes('2')
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () => refurbish([{ part, quantity: '2', unitCost: '1' }]))
    )
    expect(outcomes.map(({ status }) => status).sort()).toEqual([201, 422, 422, 422])
    const { number } = outcomes.find(({ status }) => status === 201)?.body ?? {}
    await x.centre.keeper.post(`/v1/slips/${number}/cancellation`, { reason: 'the paper is missing' })
    expect((await refurbish([{ part, quantity: '2', unitCost: '1' }])).status).toBe(201)
  })

  test('the paper and the cost are asked for; the day is not in the future', async () => {
    const part = await oldOnes('1')
    expect((await refurbish([{ part, quantity: '1' }])).status).toBe(400)
    expect((await refurbish([{ part, quantity: '1', unitCost: '1' }], { reference: undefined })).status).toBe(400)
    expect((await refurbish([{ part, quantity: '0', unitCost: '1' }])).status).toBe(400)
    expect((await refurbish([{ part, quantity: '1', unitCost: '1' }], { occurredOn: '2026-11-21' })).body.code).toBe(
      'FutureDay'
    )
    expect((await refurbish([{ part: 'NO-SUCH', quantity: '1', unitCost: '1' }])).body.code).toBe('PartUnknown')
  })

  test('by the keeper there: not by another duty, nor by a foreign keeper', async () => {
    const part = await oldOnes('1')
    const lines = [{ part, quantity: '1', unitCost: '1' }]
    expect((await refurbish(lines, {}, x.finance)).body.code).toBe('DutyRequired')
    expect((await refurbish(lines, {}, (await openCounter(h)).keeper)).status).toBe(404)
  })

  test('a reversal takes the stock back out and the old parts are there again (R-STK-2)', async () => {
    const part = await oldOnes('2')
    const { number } = (await refurbish([{ part, quantity: '2', unitCost: '3.20' }])).body
    await x.centre.signAndPost(number)
    const { body } = await x.centre.keeper.post(`/v1/slips/${number}/reversal`, { reason: 'the paper was another' })
    expect((await x.centre.signAndPost(body.number)).status).toBe(200)
    expect([await x.centre.onHand(part), await x.centre.onHand(part, 'own', 'nonconforming')]).toEqual(['8', '2'])
    expect((await refurbish([{ part, quantity: '2', unitCost: '3.10' }])).status).toBe(201)
    expect(await x.centre.verify()).toMatchObject({ ok: true })
  })

  test('old parts that went on to the head office are refurbished there: a transfer does not make them something else', async () => {
    const part = await oldOnes('2')
    const office = await openCounter(h)
    const pair = { giver: x.centre, receiver: office }
    const { number } = await order(pair, [{ part, quantity: '2', condition: 'nonconforming' }])
    await dispatch(pair, number)
    await receive(pair, number, [{ line: 1, quantity: '2' }])
    const { status, body } = await refurbish(
      [{ part, quantity: '2', unitCost: '2.50' }],
      { warehouse: office.warehouse },
      office.keeper
    )
    expect([status, body.number]).toEqual([201, `${office.warehouse}-RFB-202611-00001`])
    expect((await office.signAndPost(body.number)).status).toBe(200)
    expect(await office.onHand(part)).toBe('2')
    expect(await office.verify()).toMatchObject({ ok: true })
    expect((await refurbish([{ part, quantity: '1', unitCost: '2.50' }])).body.code).toBe('OldPartsShort')
  })

  test('what a recall blocks is not refurbished, written before or after it (R-REQ-7)', async () => {
    const part = await oldOnes('1', '1')
    const { number } = (await refurbish([{ part, quantity: '1', unitCost: '3.20' }])).body
    await x.centre.sign(number)
    const [{ id }] = await h.sql<{ id: number }>('select id from part where number = $1', [part])
    await inTransaction(h.contextOf(systemActor), (ctx) =>
      blockStock(ctx, { recallId: '900001', recall: 'HQ-RCL-202611-00001', scopes: [{ scopeNo: 1, partId: id }] })
    )
    const refused = await x.centre.keeper.post(`/v1/slips/${number}/posting`, {})
    expect(refused).toMatchObject({ status: 409, body: { code: 'GoodsBlocked' } })
    expect((await refurbish([{ part, quantity: '1', unitCost: '3.20' }])).body.code).toBe('OldPartsShort')
    expect(await x.centre.onHand(part, 'own', 'nonconforming')).toBe('2')
  })
})

describe('a month end with refurbishment (R-FIN-2)', () => {
  test('the stock report adds up, the journal books the work, and nobody asked for anything', async () => {
    h.clock.set('2026-10-12T10:00')
    const part = await x.exchangePart()
    await x.issued(part, '4')
    await x.returned([{ part, quantity: '3', grade: 'repairable' }])
    const { number } = (await refurbish([{ part, quantity: '2', unitCost: '3.20' }])).body
    expect((await x.centre.signAndPost(number)).status).toBe(200)
    const wrong = (await refurbish([{ part, quantity: '1', unitCost: '9.99' }])).body
    await x.centre.signAndPost(wrong.number)
    const { body: undone } = await x.centre.keeper.post(`/v1/slips/${wrong.number}/reversal`, { reason: 'other paper' })
    await x.centre.signAndPost(undone.number)
    h.clock.set('2026-11-02T10:00')
    const closing = await x.centre.monthEnd('2026-10')
    expect(closing).toMatchObject({ state: 'closed' })

    const { items } = (await x.finance.get(`/v1/stock-report?warehouse=${x.centre.warehouse}&period=2026-10`)).body
    const figures = Object.fromEntries(
      items.map((row: any) => [
        row.condition,
        [
          row.openingQuantity,
          row.inQuantity,
          row.outQuantity,
          row.adjustmentQuantity,
          row.closingQuantity,
          row.inCost,
          row.outCost,
          row.closingCost
        ]
      ])
    )
    expect(figures).toEqual({
      qualified: ['0', '12', '4', '0', '8', '131.40', '50.00', '81.40'],
      nonconforming: ['0', '3', '2', '0', '1', '0.00', '0.00', '0.00']
    })

    const journal = (await x.finance.get(`/v1/journal?warehouse=${x.centre.warehouse}&period=2026-10`)).body.items
    expect(
      journal
        .filter(({ entry }: any) => entry === 'refurbishment' || entry === 'old-part-in')
        .map(({ entry, role, debit, credit }: any) => [entry, role, debit, credit])
    ).toEqual([
      ['refurbishment', 'inventory', '6.40', '0.00'],
      ['refurbishment', 'refurbishment', '0.00', '6.40']
    ])

    await refreshDemand(h.contextOf(systemActor), { full: true })
    expect(
      await h.sql(
        `select trim_scale(quantity)::text as quantity from demand where warehouse_id = $1 and part_id = (select id from part where number = $2)`,
        [x.centre.warehouseId, part]
      )
    ).toEqual([{ quantity: '4' }])
    const { body: cost } = await x.finance.get(`/v1/material-cost?warehouse=${x.centre.warehouse}&period=2026-10`)
    expect(cost.items).toMatchObject([{ purpose: 'outlet', quantity: '4', cost: '50.00' }])
    expect(await x.centre.verify()).toMatchObject({ ok: true })
  })

  test('what came back in one month, is refurbished in the next and undone in the third ties over all three', async () => {
    h.clock.set('2026-10-28T10:00')
    const part = await oldOnes('3')
    h.clock.set('2026-11-02T10:00')
    await x.centre.monthEnd('2026-10')
    const lines = [{ part, quantity: '2', unitCost: '6.8333' }]
    expect(await refurbish(lines, { occurredOn: '2026-10-31' })).toMatchObject({
      status: 409,
      body: { code: 'PeriodClosed' }
    })
    const { number } = (await refurbish(lines)).body
    expect((await x.centre.signAndPost(number)).status).toBe(200)
    h.clock.set('2026-12-01T10:00')
    await x.centre.monthEnd('2026-11')
    const { body: undone } = await x.centre.keeper.post(`/v1/slips/${number}/reversal`, { reason: 'other paper' })
    expect((await x.centre.signAndPost(undone.number)).status).toBe(200)
    h.clock.set('2027-01-04T10:00')
    await x.centre.monthEnd('2026-12')

    const path = (period: string, what: string) => `/v1/warehouses/${x.centre.warehouse}/periods/${period}/${what}`
    for (const [period, old, debit, credit] of [
      ['2026-10', '3', undefined, undefined],
      ['2026-11', '1', '13.67', '0.00'],
      ['2026-12', '3', '0.00', '13.67']
    ] as const) {
      expect((await x.finance.get(path(period, 'statement/verification'))).body).toMatchObject({ ok: true })
      const { items } = (await x.finance.get(path(period, 'stock-report'))).body
      expect(items.find(({ condition }: any) => condition === 'nonconforming')).toMatchObject({
        closingQuantity: old,
        closingCost: '0.00',
        charge: '0.00'
      })
      const booked = (await x.finance.get(path(period, 'journal'))).body.items.find(
        ({ entry, role }: any) => entry === 'refurbishment' && role === 'inventory'
      )
      expect([booked?.debit, booked?.credit]).toEqual([debit, credit])
    }
    expect(await x.centre.verify()).toMatchObject({ ok: true })
  })
})
