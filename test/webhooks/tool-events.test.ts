import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'
import { named, openTools, type ToolCounter } from '../tools/tools-counter.ts'
import { openReceiver, verified, type Receiver } from './receiver.ts'

let h: Harness
let at: ToolCounter
let admin: Caller
let receiver: Receiver
beforeAll(async () => {
  h = await openHarness({ env: { WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8,::1/128' } })
  at = await openTools(h)
  admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  receiver = await openReceiver()
})
afterEach(() => receiver.close())
afterAll(() => h.close())

const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}

test('a tool that is issued, handed over, returned and lost is told to another system, each signed by Standard Webhooks (R-ALR-3)', async () => {
  const [kept = '', lost = ''] = await at.tools(2)
  const { secret } = must(
    await admin.post('/v1/webhooks', {
      url: receiver.url,
      warehouse: at.warehouse,
      events: ['tool.issued', 'tool.returned', 'tool.lost']
    }),
    201
  )
  const issue = await at.issued([kept])
  const again = await at.issued([lost])
  const [me, colleague] = [at.technician.person.username, at.colleague.person.username]
  const { number: handOver } = must(
    await at.technician.post(`/v1/warehouses/${at.warehouse}/tool-hand-overs`, { to: colleague, tools: named([kept]) }),
    201
  )
  for (const by of [at.technician, at.colleague]) await by.post(`/v1/tool-documents/${handOver}/signature`)
  const back = await at.returned([kept], at.colleague)
  const { number: loss } = must(
    await at.technician.post(`/v1/tools/${lost}/losses`, { kind: 'lost', cause: '在客户处维修后遗失' }),
    201
  )
  for (const duty of ['department-head', 'finance-supervisor'] as const)
    must(await at.signers[duty].post(`/v1/tool-losses/${loss}/signatures`, { duty, decision: 'approve' }))
  await relayed(h)

  const tool = { warehouse: at.warehouse, name: 'Digital multimeter', nameZh: '数字万用表', model: 'FL-17B' }
  const told = (serial: string) =>
    receiver.received.filter(({ json }) => json.data['serial'] === serial).map(({ json }) => [json.type, json.data])
  expect(told(kept)).toEqual([
    ['tool.issued', { ...tool, serial: kept, technician: me, document: issue.number }],
    ['tool.issued', { ...tool, serial: kept, technician: colleague, handedOverBy: me, document: handOver }],
    ['tool.returned', { ...tool, serial: kept, technician: colleague, document: back.number }]
  ])
  expect(told(lost)).toEqual([
    ['tool.issued', { ...tool, serial: lost, technician: me, document: again.number }],
    ['tool.lost', { ...tool, serial: lost, technician: me, document: loss }]
  ])
  for (const one of receiver.received) expect(verified(secret, one)).toBeTruthy()
  // What happens twice is told once.
  const count = receiver.received.length
  await relayed(h)
  expect(receiver.received).toHaveLength(count)
})
