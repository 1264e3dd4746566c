import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { callerFor, openCounter } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
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

const propose = (number: string, body: object = { reason: '网点丢失' }, by = x.centre.keeper) =>
  by.post(`/v1/old-parts/${number}/write-off`, body)
const approve = (number: string, by = x.finance) => by.post(`/v1/old-parts/${number}/write-off/approval`, {})
const cancel = (number: string, by = x.centre.keeper) =>
  by.post(`/v1/old-parts/${number}/write-off/cancellation`, { reason: 'found' })
const owing = async (quantity: string): Promise<string> => {
  const part = await x.exchangePart()
  await x.issued(part, quantity)
  return (await x.oldPart(part)).number
}

describe('what will not come back is written off by two people (R-REQ-6)', () => {
  test('the centre proposes, its finance approves, the deposit of the outlet pays (R-REQ-5)', async () => {
    await x.deposit('500.00')
    const number = await owing('3')
    const proposed = await propose(number, { quantity: '2', reason: '网点丢失' })
    expect(proposed).toMatchObject({
      status: 201,
      body: {
        state: 'outstanding',
        outstanding: '3',
        writtenOff: '0',
        writeOffs: [
          {
            writeOff: 1,
            state: 'proposed',
            quantity: '2',
            reason: '网点丢失',
            proposedBy: x.centre.keeper.person.username,
            decidedBy: null,
            amount: null,
            chargedTo: null
          }
        ]
      }
    })
    expect(await x.balance()).toBe('500.00')

    expect(await approve(number)).toMatchObject({
      status: 200,
      body: {
        state: 'outstanding',
        outstanding: '1',
        writtenOff: '2',
        writeOffs: [
          {
            state: 'approved',
            decidedBy: x.finance.person.username,
            amount: '70.00',
            chargedTo: 'deposit',
            turnedUp: '0',
            amountLeft: '70.00'
          }
        ]
      }
    })
    expect(await x.balance()).toBe('430.00')

    await propose(number)
    const { body } = await approve(number)
    expect(body).toMatchObject({ state: 'written-off', outstanding: '0', writtenOff: '3', value: '0.00' })
    expect(body.history.map(({ event }: { event: string }) => event)).toEqual([
      'old-part-opened',
      'write-off-proposed',
      'write-off-approved',
      'write-off-proposed',
      'write-off-approved'
    ])
    expect(await x.balance()).toBe('395.00')
    expect((await propose(number)).body.code).toBe('NothingOutstanding')
  })

  test('without a deposit it is a claim, listed for finance', async () => {
    const number = await owing('1')
    await propose(number)
    expect((await approve(number)).body.writeOffs).toMatchObject([{ amount: '35.00', chargedTo: 'claim' }])
    const listed = await x.finance.get(`/v1/old-parts/write-offs?chargedTo=claim&outlet=${x.outlet}`)
    expect(listed.body.items).toEqual([
      expect.objectContaining({
        number,
        outlet: x.outlet,
        centre: x.centre.warehouse,
        amount: '35.00',
        state: 'approved'
      })
    ])
    const csv = await x.finance.get(`/v1/old-parts/write-offs?outlet=${x.outlet}`, { accept: 'text/csv' })
    expect(csv.text).toContain(`${number},1,${x.outlet},${x.centre.warehouse}`)
  })

  test('who proposed it never approves it, nor who stands in for them', async () => {
    const number = await owing('1')
    const both = callerFor(
      h,
      await h.make.person({
        grants: [
          { duty: 'stock-controller', warehouse: x.centre.warehouse },
          { duty: 'finance-supervisor', warehouse: x.centre.warehouse }
        ]
      })
    )
    expect((await propose(number, undefined, both)).status).toBe(201)
    expect(await approve(number, both)).toMatchObject({ status: 422, body: { code: 'ProposerMayNotApprove' } })

    const standIn = callerFor(h, await h.make.person())
    const delegated = await both.post('/v1/delegations', {
      to: standIn.person.username,
      validTo: '2026-11-30',
      reason: '年假'
    })
    expect(delegated.status).toBe(201)
    expect(await approve(number, standIn)).toMatchObject({ status: 422, body: { code: 'ProposerMayNotApprove' } })
    expect((await approve(number)).status).toBe(200)
  })

  test('not by another duty, not by the outlet, not by a stranger, not by a machine', async () => {
    const number = await owing('1')
    expect(await propose(number, undefined, x.finance)).toMatchObject({ status: 403, body: { code: 'DutyRequired' } })
    expect(await propose(number, undefined, x.clerk)).toMatchObject({
      status: 403,
      body: { code: 'DutyRequired', detail: expect.stringContaining(x.centre.warehouse) }
    })
    const foreign = await openCounter(h)
    expect((await propose(number, undefined, foreign.keeper)).status).toBe(404)
    await propose(number)
    expect((await approve(number, x.centre.keeper)).status).toBe(403)
    expect((await approve(number, x.clerk)).status).toBe(403)
    expect((await approve(number, foreign.signers['finance-supervisor'])).status).toBe(404)
    expect((await cancel(number, x.centre.signers['department-head'])).status).toBe(403)
    expect((await cancel(number, x.clerk)).status).toBe(403)
    expect((await cancel(number, foreign.keeper)).status).toBe(404)

    const key = await x.finance.post('/v1/api-keys', {
      name: 'finance system',
      expiresOn: '2026-12-01',
      access: 'write'
    })
    expect(key.status).toBe(201)
    const machine = await h.api
      .post(`/v1/old-parts/${number}/write-off/approval`)
      .set('x-api-key', key.body.key)
      .send({})
    expect([machine.status, machine.body.code]).toEqual([403, 'PersonRequired'])
  })

  test('one proposal at a time, of what is outstanding and on no slip; a cancelled one changes nothing', async () => {
    const number = await owing('3')
    expect(await approve(number)).toMatchObject({ status: 409, body: { code: 'WriteOffNotProposed' } })
    expect((await cancel(number)).body.code).toBe('WriteOffNotProposed')
    await x.returning([{ oldPart: number, grade: 'scrap' }])
    expect(await propose(number, { quantity: '3', reason: 'lost' })).toMatchObject({
      status: 422,
      body: { code: 'MoreThanOutstanding', errors: [{ pointer: '/quantity', accepted: 'at most 2' }] }
    })
    expect((await propose(number)).body.writeOffs).toMatchObject([{ quantity: '2' }])
    expect(await propose(number)).toMatchObject({ status: 409, body: { code: 'WriteOffProposedAlready' } })
    expect((await cancel(number)).body).toMatchObject({
      outstanding: '3',
      writeOffs: [{ state: 'cancelled', decidedBecause: 'found', amount: null }]
    })
    expect((await approve(number)).body.code).toBe('WriteOffNotProposed')
  })

  test('what came back between proposal and approval is not written off', async () => {
    const number = await owing('2')
    await propose(number)
    await x.returned([{ oldPart: number, grade: 'repairable' }])
    expect(await approve(number)).toMatchObject({ status: 409, body: { code: 'OldPartCameMeanwhile' } })
    await cancel(number)
    await propose(number)
    expect((await approve(number)).body).toMatchObject({ state: 'written-off', returned: '1', writtenOff: '1' })
  })

  test('of two who approve at once, one charges', async () => {
    await x.deposit('500.00')
    const number = await owing('2')
    await propose(number)
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => approve(number)))
    expect(outcomes.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409])
    expect(await x.balance()).toBe('430.00')
  })

  test('a return and an approval of the same piece at once never count it twice', async () => {
    await x.deposit('500.00')
    for (let round = 0; round < 4; round++) {
      const number = await owing('1')
      await propose(number)
      const { slip } = (await x.returning([{ oldPart: number, grade: 'scrap' }])).body
      await x.centre.sign(slip)
      const [posted, approved] = await Promise.all([
        x.centre.keeper.post(`/v1/slips/${slip}/posting`, { deliveredBy: 'Li' }),
        approve(number)
      ])
      await x.follow()
      expect([posted.status, approved.status]).toEqual([200, 409])
      expect((await x.clerk.get(`/v1/old-parts/${number}`)).body).toMatchObject({ state: 'returned', writtenOff: '0' })
    }
    expect(await x.balance()).toBe('500.00')
  })
})

describe('a piece that turns up after all (R-REQ-6)', () => {
  test('may still come back, and its compensation is given back; a reversed return is charged again', async () => {
    await x.deposit('500.00')
    const number = await owing('3')
    await propose(number, { quantity: '1', reason: 'lost' })
    await approve(number)
    await propose(number, { quantity: '2', reason: 'lost too' })
    await approve(number)
    expect(await x.balance()).toBe('395.00')

    const slip = await x.returned([{ oldPart: number, quantity: '2', grade: 'repairable' }])
    const found = (await x.clerk.get(`/v1/old-parts/${number}`)).body
    expect(found).toMatchObject({
      state: 'written-off',
      returned: '2',
      writtenOff: '1',
      outstanding: '0',
      writeOffs: [
        { writeOff: 1, turnedUp: '0', amount: '35.00', amountLeft: '35.00' },
        { writeOff: 2, turnedUp: '2', amount: '70.00', amountLeft: '0.00' }
      ]
    })
    expect(found.history.at(-1)).toMatchObject({
      event: 'compensation-returned',
      details: { writeOff: 2, quantity: '2', amount: '70.00', chargedTo: 'deposit' }
    })
    expect(await x.balance()).toBe('465.00')
    expect((await x.returning([{ oldPart: number, quantity: '2', grade: 'scrap' }])).body.code).toBe(
      'MoreThanOutstanding'
    )

    const { body } = await x.centre.keeper.post(`/v1/slips/${slip}/reversal`, { reason: 'not theirs' })
    await x.centre.signAndPost(body.number)
    await x.follow()
    expect((await x.clerk.get(`/v1/old-parts/${number}`)).body).toMatchObject({
      returned: '0',
      writtenOff: '3',
      outstanding: '0',
      state: 'written-off'
    })
    expect(await x.balance()).toBe('395.00')

    // Once more: what follows is entered anew each time, and once.
    await x.returned([{ part: found.part, quantity: '3', grade: 'repairable' }])
    expect(await x.balance()).toBe('500.00')
    await x.follow()
    expect(await x.balance()).toBe('500.00')
    expect((await x.clerk.get(`/v1/old-parts/${number}`)).body).toMatchObject({ state: 'returned', writtenOff: '0' })
  })

  test('so is it when the new part comes back after the old one was compensated', async () => {
    await x.deposit('100.00')
    const part = await x.exchangePart()
    const issue = await x.issued(part)
    const { number } = await x.oldPart(part)
    await propose(number)
    await approve(number)
    expect(await x.balance()).toBe('65.00')
    await x.centre.posted({ kind: 'return', reference: issue.number, lines: [{ part, quantity: '1' }] })
    await x.follow()
    expect(await x.oldPart(part)).toMatchObject({
      state: 'cancelled',
      cameBack: '1',
      writtenOff: '0',
      outstanding: '0'
    })
    expect(await x.balance()).toBe('100.00')
  })
})
