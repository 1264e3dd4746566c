import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { turnOfDay } from '../../src/alerts/alerts.jobs.ts'
import { remindOfReadyRepairs } from '../../src/loaners/loaners.jobs.ts'
import { WEBHOOK_EVENTS } from '../../src/webhooks/webhook-events.ts'
import { openHandingOver } from '../handovers/handing-over.ts'
import { openLoaners } from '../loaners/loaners-counter.ts'
import { callsAs, type Caller } from '../support/calls.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openReceiver, verified, type Received, type Receiver } from './receiver.ts'

// From the deed to the other system: outbox, message, delivery, a signed request over HTTP.

let h: Harness
let admin: Caller
let receiver: Receiver
beforeAll(async () => {
  h = await openHarness({ env: { WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8,::1/128' } })
  admin = callsAs(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  receiver = await openReceiver()
})
afterEach(async () => {
  await receiver.close()
  await h.sql('delete from webhook_endpoint')
  await relayed(h)
})
afterAll(() => h.close())

/** An endpoint of a warehouse for some events; answers its secret. */
const listening = async (warehouse: string, events: readonly string[]): Promise<string> => {
  const answer = await admin.post('/v1/webhooks', { url: receiver.url, warehouse, events })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body.secret
}
const told = (): [string, Record<string, unknown>][] => receiver.received.map(({ json }) => [json.type, json.data])
const members = (type: keyof typeof WEBHOOK_EVENTS) => Object.keys(WEBHOOK_EVENTS[type].data).toSorted()
/** Every body is signed, and has the members that its description shows. */
const asDescribed = (received: Received[], secret: string) => {
  for (const one of received) {
    expect(verified(secret, one)).toEqual(one.json)
    expect(Object.keys(one.json.data).toSorted(), one.json.type).toEqual(
      members(one.json.type as keyof typeof WEBHOOK_EVENTS)
    )
  }
}

test('another system is told when a loaner is lent, overdue and back, and whose customer to tell, without telling who that is (R-LOAN-2, R-LOAN-3, R-ALR-3)', async () => {
  const at = await openLoaners(h)
  const elsewhere = await openLoaners(h)
  const events = ['loaner.lent', 'loaner.returned', 'loaner.overdue', 'loaner.customer-notice']
  const secret = await listening(at.warehouse, events)
  const [serial] = await at.units(1)
  const [foreign] = await elsewhere.units(1)
  await elsewhere.lent(foreign ?? '')
  const loan = await at.lent(serial ?? '', { dueOn: '2026-11-27' })
  await relayed(h)
  const facts = { warehouse: at.warehouse, loan: loan.number, serial, model: at.model, repairOrder: loan.repairOrder }
  expect(told()).toEqual([['loaner.lent', { ...facts, dueOn: '2026-11-27', slip: loan.outSlip }]])

  expect((await at.keeper.post(`/v1/loans/${loan.number}/repair-ready`)).status).toBe(200)
  await relayed(h)
  h.clock.set('2026-11-23T08:30')
  await runJob(h, remindOfReadyRepairs)
  await relayed(h)
  const notice = (nth: number) => ({
    ...facts,
    receiptNumber: loan.receiptNumber,
    notice: nth,
    of: 4,
    escalated: false
  })
  expect(told().slice(1)).toEqual([
    ['loaner.customer-notice', notice(1)],
    ['loaner.customer-notice', notice(2)]
  ])

  h.clock.set('2026-11-28T00:05')
  await runJob(h, turnOfDay)
  await relayed(h)
  await runJob(h, turnOfDay)
  await relayed(h)
  expect(told().slice(3)).toEqual([['loaner.overdue', { ...facts, dueOn: '2026-11-27' }]])

  const back = await at.returned(loan)
  await relayed(h)
  expect(told().slice(4)).toEqual([
    ['loaner.returned', { ...facts, dueOn: '2026-11-27', outcome: 'usable', slip: back.inSlip }]
  ])
  asDescribed(receiver.received, secret)
  expect(JSON.stringify(told())).not.toMatch(/陈女士|138-0000-0000/)
})

test('another system is told once when a handover is completed, and not while it is under way (R-ORG-3, R-ALR-3)', async () => {
  const [at, elsewhere] = [await openHandingOver(h), await openHandingOver(h)]
  const secret = await listening(at.warehouse, ['handover.completed'])
  await at.stocked()
  await elsewhere.handOver()
  const { number } = await at.drawUp({ because: '调任' })
  await at.submit(number)
  await at.signAs('incoming-keeper', number, { decision: 'refuse', comment: '钥匙少一把' })
  await at.submit(number)
  await relayed(h)
  expect(told()).toEqual([])

  const { cutOff, contentHash } = await at.signAll(number)
  await relayed(h)
  await relayed(h)
  expect(told()).toEqual([
    [
      'handover.completed',
      {
        handover: number,
        warehouse: at.warehouse,
        outgoing: at.keeper.person.username,
        incoming: at.incoming.person.username,
        because: '调任',
        isAbsent: false,
        cutOffAt: cutOff.at,
        position: cutOff.position,
        contentHash,
        by: at.signers['finance-supervisor'].person.username
      }
    ]
  ])
  asDescribed(receiver.received, secret)
})
