import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { captureDeposit } from '../../src/deposits/capture-deposit.ts'
import { changeHold, reduceHold } from '../../src/deposits/change-hold.ts'
import { chargeDeposit } from '../../src/deposits/charge-deposit.ts'
import { holdDeposit } from '../../src/deposits/hold-deposit.ts'
import { returnToDeposit } from '../../src/deposits/return-to-deposit.ts'
import { inTransaction } from '../../src/platform/context.ts'
import type { Refusal } from '../../src/platform/errors.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { ADDS_UP, openDepositing, type Depositing } from './depositing.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
})
afterAll(() => h.close())

const hold = (at: Depositing, reference: string, amount: string, repairOrder?: string) =>
  at.asRequester((ctx) =>
    holdDeposit(ctx, { outlet: at.outlet, reference, amount, ...(repairOrder !== undefined && { repairOrder }) })
  )
const of = (at: Depositing, reference: string, amount: string, because = 'issued') => ({
  outletId: at.outlet.id,
  reference,
  amount,
  because
})
const waive = async (at: Depositing, amount: string, more: object = {}) =>
  (
    await at.finance.post(`/v1/deposits/${at.outlet.code}/waivers`, {
      amount,
      reason: '抢修',
      validTo: '2026-12-31',
      ...more
    })
  ).body
const waivers = async (at: Depositing) => (await at.finance.get(`/v1/deposits/${at.outlet.code}/waivers`)).body.items

test('a request holds its value, delivery turns it into a decrease, cancelling releases the rest (R-REQ-5)', async () => {
  const at = await openDepositing(h)
  expect(await hold(at, 'REQ-1', '300.00')).toEqual({
    account: true,
    free: '700.00',
    held: '300.00',
    waived: '0.00',
    waivers: []
  })
  await at.asRequester((ctx) => captureDeposit(ctx, of(at, 'REQ-1', '100.00', 'issued by IS-1')))
  expect(await at.statement()).toMatchObject({
    balance: '900.00',
    held: '200.00',
    free: '700.00',
    captures: '-100.00',
    holds: [{ reference: 'REQ-1', amount: '200.00', waived: '0.00' }],
    check: ADDS_UP
  })
  await at.asRequester((ctx) => reduceHold(ctx, { outletId: at.outlet.id, reference: 'REQ-1', by: '50.00' }))
  expect(await at.statement()).toMatchObject({ held: '150.00', free: '750.00' })
  await at.asRequester((ctx) => changeHold(ctx, { outletId: at.outlet.id, reference: 'REQ-1', amount: '0' }))
  expect(await at.statement()).toMatchObject({
    balance: '900.00',
    held: '0.00',
    free: '900.00',
    holds: [],
    check: ADDS_UP
  })
})

test('a request worth more than the free deposit is refused, and says what would help (R-REQ-5)', async () => {
  const at = await openDepositing(h)
  await hold(at, 'REQ-1', '800.00')
  const refusal = (await hold(at, 'REQ-2', '200.01').catch((error: unknown) => error)) as Refusal
  expect(refusal).toMatchObject({
    code: 'DepositExceeded',
    status: 422,
    extra: { value: '200.01', free: '200.00', waivable: '0.00', shortfall: '0.01' }
  })
  expect(refusal.message).toContain('have finance')
  expect(await hold(at, 'REQ-2', '200.00')).toMatchObject({ free: '0.00' })
})

test('an outlet without an account is neither checked nor charged', async () => {
  const at = await openDepositing(h, { paidIn: null })
  expect(await hold(at, 'REQ-1', '999999.00')).toMatchObject({ account: false })
  for (const follow of [captureDeposit, chargeDeposit, returnToDeposit])
    expect(await at.asRequester((ctx) => follow(ctx, of(at, 'REQ-1', '5.00')))).toEqual({
      account: false,
      amount: '0.00'
    })
  expect(
    await at.asRequester((ctx) => changeHold(ctx, { outletId: at.outlet.id, reference: 'REQ-1', amount: '5.00' }))
  ).toMatchObject({ account: false })
})

test('what follows from a document is entered once, and never more than was held or taken', async () => {
  const at = await openDepositing(h)
  await hold(at, 'REQ-1', '100.00')
  const capture = (amount: string, because: string) =>
    at.asRequester((ctx) => captureDeposit(ctx, of(at, 'REQ-1', amount, because)))
  expect(await capture('60.00', 'issued by IS-1')).toEqual({ account: true, amount: '60.00' })
  expect(await capture('60.00', 'issued by IS-1')).toEqual({ account: true, amount: '60.00' })
  expect(await capture('60.00', 'issued by IS-2')).toEqual({ account: true, amount: '40.00' })
  expect(await capture('60.00', 'issued by IS-3')).toEqual({ account: true, amount: '0.00' })
  expect(await at.statement()).toMatchObject({ balance: '900.00', held: '0.00' })

  const giveBack = (amount: string, because: string) =>
    at.asRequester((ctx) => returnToDeposit(ctx, of(at, 'REQ-1', amount, because)))
  expect(await giveBack('60.00', 'IS-1 reversed')).toMatchObject({ amount: '60.00' })
  expect(await giveBack('60.00', 'IS-1 reversed')).toMatchObject({ amount: '60.00' })
  expect(await giveBack('60.00', 'IS-2 reversed')).toMatchObject({ amount: '40.00' })
  expect(await giveBack('60.00', 'IS-3 reversed')).toMatchObject({ amount: '0.00' })
  expect(await at.statement()).toMatchObject({ balance: '1000.00', check: ADDS_UP })
})

test('compensation is owed even where the deposit does not cover it; nothing is paid out of a debt', async () => {
  const at = await openDepositing(h, { paidIn: '50.00' })
  expect(await at.asRequester((ctx) => chargeDeposit(ctx, of(at, 'OLP-1', '80.00', 'written off')))).toEqual({
    account: true,
    amount: '80.00'
  })
  expect(await at.asRequester((ctx) => chargeDeposit(ctx, of(at, 'OLP-1', '80.00', 'written off')))).toEqual({
    account: true,
    amount: '80.00'
  })
  expect(await at.statement()).toMatchObject({
    balance: '-30.00',
    free: '-30.00',
    compensation: '-80.00',
    check: ADDS_UP
  })
  expect(
    (await at.finance.post(`/v1/deposits/${at.outlet.code}/decreases`, { amount: '1.00', paper: 'PAY-1' })).body
  ).toMatchObject({
    code: 'DepositShort',
    errors: [{ accepted: 'nothing' }]
  })
  await at.asRequester((ctx) => returnToDeposit(ctx, of(at, 'OLP-1', '80.00', 'came after all')))
  expect(await at.statement()).toMatchObject({ balance: '50.00', returns: '80.00' })
})

describe('waivers', () => {
  test('a request takes what it needs beyond the free deposit, that for its repair order first, and which is recorded', async () => {
    const at = await openDepositing(h, { paidIn: '100.00' })
    const any = await waive(at, '50.00')
    const ofOrder = await waive(at, '30.00', { repairOrder: 'WX-1' })
    await waive(at, '500.00', { repairOrder: 'WX-2' })
    expect((await at.finance.get(`/v1/deposits/${at.outlet.code}`)).body).toMatchObject({
      free: '100.00',
      waivable: '580.00'
    })
    expect(await hold(at, 'REQ-1', '160.00', 'WX-1')).toEqual({
      account: true,
      free: '-60.00',
      held: '160.00',
      waived: '60.00',
      waivers: [
        { waiver: ofOrder.id, amount: '30.00' },
        { waiver: any.id, amount: '30.00' }
      ]
    })
    expect(await waivers(at)).toMatchObject([
      { state: 'open', left: '500.00', repairOrder: 'WX-2', uses: [] },
      { state: 'used-up', left: '0.00', uses: [{ reference: 'REQ-1', amount: '30.00' }] },
      { state: 'open', left: '20.00', uses: [{ reference: 'REQ-1', amount: '30.00' }] }
    ])
    await expect(hold(at, 'REQ-2', '20.01')).rejects.toMatchObject({
      code: 'DepositExceeded',
      extra: { waivable: '20.00', shortfall: '0.01' }
    })
    expect(await hold(at, 'REQ-2', '20.00')).toMatchObject({ free: '-80.00', waived: '20.00' })
    expect(await at.statement()).toMatchObject({ check: ADDS_UP, holds: [{ waived: '60.00' }, { waived: '20.00' }] })
  })

  test('what is no longer requested gives its waivers back first; what was delivered used them up', async () => {
    const at = await openDepositing(h, { paidIn: '100.00' })
    await waive(at, '30.00')
    await waive(at, '30.00')
    await hold(at, 'REQ-1', '150.00')
    const left = async () => (await waivers(at)).map((waiver: { left: string }) => waiver.left)
    expect(await left()).toEqual(['10.00', '0.00'])
    await at.asRequester((ctx) => reduceHold(ctx, { outletId: at.outlet.id, reference: 'REQ-1', by: '25.00' }))
    expect(await left()).toEqual(['30.00', '5.00'])
    await at.asRequester((ctx) => captureDeposit(ctx, of(at, 'REQ-1', '110.00')))
    expect(await at.statement()).toMatchObject({ balance: '-10.00', held: '15.00' })
    await at.asRequester((ctx) => changeHold(ctx, { outletId: at.outlet.id, reference: 'REQ-1', amount: '0.00' }))
    expect(await left()).toEqual(['30.00', '20.00'])
    expect(await at.statement()).toMatchObject({ free: '-10.00', check: ADDS_UP })
  })

  test('debts of before need no waiver anew', async () => {
    const at = await openDepositing(h, { paidIn: '10.00' })
    await at.asRequester((ctx) => chargeDeposit(ctx, of(at, 'OLP-1', '500.00')))
    await waive(at, '40.00')
    expect(await hold(at, 'REQ-1', '40.00')).toMatchObject({ free: '-530.00', waived: '40.00' })
  })

  test('nobody’s own waiver helps the requests he makes himself', async () => {
    const at = await openDepositing(h, { paidIn: '10.00' })
    await waive(at, '100.00')
    const asGranter = inTransaction(h.contextOf(at.finance.person.actor), (ctx) =>
      holdDeposit(ctx, { outlet: at.outlet, reference: 'REQ-1', amount: '20.00' })
    )
    await expect(asGranter).rejects.toMatchObject({ code: 'DepositExceeded' })
    expect(await hold(at, 'REQ-1', '20.00')).toMatchObject({ waived: '10.00' })
  })

  test('one that is over or ended helps nobody; what was taken of it stays taken', async () => {
    const at = await openDepositing(h, { paidIn: '10.00' })
    const waiver = await waive(at, '100.00', { validTo: '2026-11-20' })
    await hold(at, 'REQ-1', '20.00')
    const ending = `/v1/deposits/${at.outlet.code}/waivers/${waiver.id}/ending`
    expect((await at.finance.post(ending, { reason: 'paid in' })).body).toMatchObject({
      state: 'ended',
      left: '90.00',
      endedBecause: 'paid in'
    })
    expect(await at.finance.post(ending, { reason: 'again' })).toMatchObject({
      status: 409,
      body: { code: 'WaiverEnded' }
    })
    expect(
      (await at.finance.post(`/v1/deposits/${at.outlet.code}/waivers/987654/ending`, { reason: 'x' })).status
    ).toBe(404)
    await expect(hold(at, 'REQ-2', '1.00')).rejects.toMatchObject({ code: 'DepositExceeded' })

    await waive(at, '5.00', { validTo: '2026-11-20' })
    h.clock.set('2026-11-21T10:00')
    await expect(hold(at, 'REQ-2', '1.00')).rejects.toMatchObject({ code: 'DepositExceeded' })
    expect((await at.finance.get(`/v1/deposits/${at.outlet.code}/waivers?state=expired`)).body.items).toHaveLength(1)
    expect(
      await at.finance.post(`/v1/deposits/${at.outlet.code}/waivers`, {
        amount: '1.00',
        reason: 'x',
        validTo: '2026-11-20'
      })
    ).toMatchObject({
      status: 422,
      body: { code: 'WaiverOver', errors: [{ pointer: '/validTo', accepted: '2026-11-21 or later' }] }
    })
    h.clock.set('2026-11-20T10:00')
  })
})

describe('races', () => {
  test('fifty requests at once never hold more than is free and waived', async () => {
    const at = await openDepositing(h, { paidIn: '1000.00' })
    await waive(at, '95.00')
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => hold(at, `REQ-${index}`, '30.00'))
    )
    // 1000 + 95 cover 36 times 30; the hold that crosses from one to the other takes 20 of the waiver.
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(36)
    expect(await at.statement()).toMatchObject({ held: '1080.00', free: '-80.00', check: ADDS_UP })
    expect(await waivers(at)).toMatchObject([{ left: '15.00' }])
  })

  test('holds, captures, releases, returns and payments at once leave an account that adds up', async () => {
    const at = await openDepositing(h, { paidIn: '2000.00' })
    await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        const reference = `REQ-${index}`
        await hold(at, reference, '50.00')
        const capture = () => at.asRequester((ctx) => captureDeposit(ctx, of(at, reference, '30.00', 'issued')))
        await Promise.all([
          capture(),
          capture(),
          at.finance.post(`/v1/deposits/${at.outlet.code}/increases`, { amount: '1.00', paper: `B-${index}` })
        ])
        await at.asRequester((ctx) => changeHold(ctx, { outletId: at.outlet.id, reference, amount: '0' }))
        if (index % 2 === 0) await at.asRequester((ctx) => returnToDeposit(ctx, of(at, reference, '30.00', 'reversed')))
      })
    )
    expect(await at.statement()).toMatchObject({ balance: '1664.00', held: '0.00', check: ADDS_UP })
  })
})
