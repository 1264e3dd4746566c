import { afterAll, beforeAll, expect, test } from 'vitest'
import { turnOfDay } from '../../src/alerts/alerts.jobs.ts'
import { followEvents } from '../../src/alerts/follow-events.ts'
import { tellWebhooks } from '../../src/webhooks/fan-out.ts'
import { openTools } from '../tools/tools-counter.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

test('a technician leaves with a lost meter: the gate stays shut until it is reported, compensated to the cent and everything is returned (R-TOOL-1, R-TOOL-2, R-TOOL-3, R-TOOL-4)', async () => {
  const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
    if (status !== wanted) throw new Error(`${status}: ${text}`)
    return body
  }
  const alerts = async () =>
    (
      await h.sql<{ kind: string; subject: string }>(
        `select kind, subject from alert where resolved_at is null and kind like 'tool-%' order by kind, subject`
      )
    ).map(({ kind, subject }) => `${kind} ${subject}`)
  const day = async (on: string) => {
    h.clock.set(`${on}T00:05`)
    await runJob(h, turnOfDay)
    h.clock.set(`${on}T10:00`)
  }

  // September: the centre in Shenzhen registers a meter, an oscilloscope, which is a fixed asset, and a drill; Li Lei signs for all three.
  h.clock.set('2026-09-01T10:00')
  const sz = await openTools(h, { warehouse: 'SZ01', region: 'SOUTH' })
  await sz.stocked({ quantity: '10', unitCost: '12.50' })
  const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const liLei = callerFor(
    h,
    await h.make.person({ username: 'li.lei', name: '李雷', grants: [{ duty: 'technician', warehouse: 'SZ01' }] })
  )
  const [head, finance] = [sz.signers['department-head'], sz.signers['finance-supervisor']]
  must(
    await sz.keeper.post('/v1/warehouses/SZ01/tools', {
      tools: [
        {
          serial: 'GJ-METER',
          name: 'Digital multimeter',
          nameZh: '数字万用表',
          value: '2680.00',
          purchasedOn: '2024-08-20'
        },
        { serial: 'GJ-SCOPE', name: 'Oscilloscope', nameZh: '示波器', value: '6900.00', purchasedOn: '2025-01-10' },
        { serial: 'GJ-DRILL', name: 'Drill', nameZh: '电钻', value: '450.00', purchasedOn: '2026-02-02' }
      ]
    }),
    201
  )
  await sz.issued(['GJ-METER', 'GJ-SCOPE', 'GJ-DRILL'], liLei)
  await h.sql('delete from outbox')
  must(await admin.post('/v1/webhooks', { url: 'https://8.8.8.8/hooks', events: ['tool.lost', 'tool.returned'] }), 201)

  // November: the yearly round. He says himself that the meter is not there; until it is reported, the round waits for him.
  await day('2026-11-10')
  const { number: round } = must(
    await sz.keeper.post('/v1/warehouses/SZ01/custody-rounds', { dueOn: '2026-11-12', note: '年终核对' }),
    201
  )
  must(await liLei.post(`/v1/custody-rounds/${round}/confirmation`, { missing: ['GJ-METER'], remark: '找不到' }))
  await relayed(h, { only: [followEvents] })
  expect(await alerts()).toEqual([`tool-custody-unconfirmed ${round}`])

  // He gives notice for the end of the month. The gate says what is in his hands.
  const [{ id: duty }] = await h.sql<{ id: number }>(
    `select id from duty_assignment where person_id = $1 and duty = 'technician'`,
    [liLei.person.id]
  )
  const leave = () => admin.post(`/v1/people/li.lei/duties/${duty}/end`, {})
  const shut = await leave()
  expect(shut.status).toBe(409)
  expect(shut.body).toMatchObject({
    code: 'CustodyOpen',
    open: [
      { warehouse: 'SZ01', what: 'tool', subject: 'GJ-DRILL' },
      { warehouse: 'SZ01', what: 'tool', subject: 'GJ-METER' },
      { warehouse: 'SZ01', what: 'tool', subject: 'GJ-SCOPE' }
    ]
  })
  expect(shut.body.detail).toContain('POST /v1/technicians/li.lei/return-all')

  // The meter was lost on 3 November. Bought in August 2024 for 2680.00: depreciated from September 2024, and November 2026 counts whole, so
  // 27 months of 60. Residual value 5 per cent: 134.00. 2546.00 × 27 ⁄ 60 = 1145.70, and 2680.00 − 1145.70 = 1534.30.
  const loss = must(
    await liLei.post('/v1/tools/GJ-METER/losses', {
      kind: 'lost',
      occurredOn: '2026-11-03',
      cause: '在客户处维修后遗失'
    }),
    201
  )
  expect(loss).toMatchObject({
    number: 'SZ01-TLR-202611-00001',
    fixedAsset: false,
    worth: { monthsUsed: 27, residualValue: '134.00', accumulated: '1145.70', netValue: '1534.30' },
    compensation: '1534.30'
  })
  await relayed(h, { only: [followEvents] })
  expect(await alerts()).toEqual([`tool-loss-open ${loss.number}`])
  must(await sz.keeper.post(`/v1/custody-rounds/${round}/closing`))

  // Nobody asks him for more than the meter was worth; the head of department takes a share of the blame on the department.
  const path = `/v1/tool-losses/${loss.number}`
  const above = await head.put(`${path}/assessment`, { compensation: '2000.00' })
  expect([above.status, above.body.code, above.body.netValue]).toEqual([422, 'CompensationAboveValue', '1534.30'])
  must(
    await head.put(`${path}/assessment`, {
      compensation: '1227.44',
      compensationReason: '工具箱锁损坏未及时更换，部门承担 20%'
    })
  )

  // Meanwhile everything else goes back on one document; the meter is left out, and named.
  const { documents, leftOut } = must(
    await sz.keeper.post('/v1/technicians/li.lei/return-all', { note: '离岗退还' }),
    201
  )
  expect(documents.map(({ kind, lines }: any) => [kind, lines.map(({ serial }: any) => serial).toSorted()])).toEqual([
    ['return', ['GJ-DRILL', 'GJ-SCOPE']]
  ])
  expect(leftOut).toMatchObject([{ serial: 'GJ-METER', because: 'loss-reported' }])
  must(await sz.keeper.post(`/v1/tool-documents/${documents[0].number}/signature`))
  expect((await leave()).body.open).toEqual([
    { warehouse: 'SZ01', what: 'tool', subject: 'GJ-METER' },
    { warehouse: 'SZ01', what: 'loss-report', subject: loss.number }
  ])

  // Two people decide, and it is not he who does.
  await day('2026-11-26')
  must(await head.post(`${path}/signatures`, { duty: 'department-head', decision: 'approve' }))
  const decided = must(await finance.post(`${path}/signatures`, { duty: 'finance-supervisor', decision: 'approve' }))
  expect(decided).toMatchObject({
    state: 'ended',
    decidedOn: '2026-11-26',
    booked: [{ line: 1, amount: '1227.44', bookedOn: '2026-11-26' }]
  })
  await relayed(h, { only: [followEvents, tellWebhooks], runsJobs: false })
  expect(await alerts()).toEqual([])
  expect(
    (await h.sql<{ body: string }>('select body from webhook_message order by id')).map(({ body }) => {
      const { type, data } = JSON.parse(body)
      return `${type} ${data.serial} ${data.technician} ${data.document}`
    })
  ).toEqual([
    `tool.returned GJ-DRILL li.lei ${documents[0].number}`,
    `tool.returned GJ-SCOPE li.lei ${documents[0].number}`,
    `tool.lost GJ-METER li.lei ${loss.number}`
  ])

  // His hands are empty, on paper too, and the gate is open.
  expect(must(await sz.keeper.get('/v1/technicians/li.lei/custody'))).toMatchObject({ count: 0, tools: [] })
  expect((await leave()).status).toBe(200)
  expect(
    must(await sz.keeper.get('/v1/tools?warehouse=SZ01'))
      .items.map(({ serial, state }: any) => `${serial} ${state}`)
      .toSorted()
  ).toEqual(['GJ-DRILL shelf', 'GJ-METER lost', 'GJ-SCOPE shelf'])

  // The month is closed with what he owes, and its statement verifies.
  h.clock.set('2026-12-02T10:00')
  await sz.monthEnd('2026-09')
  await sz.monthEnd('2026-10')
  await sz.monthEnd('2026-11')
  const journal = must(await finance.get('/v1/journal?period=2026-11&warehouse=SZ01')).items
  expect(
    journal
      .filter(({ entry }: any) => entry === 'tool-compensation')
      .map(({ role, account, debit, credit, state }: any) => [role, account, debit, credit, state])
  ).toEqual([
    ['employee-claims', '1221.06', '1227.44', '0.00', 'closed'],
    ['tool-disposal', '1606.01', '0.00', '1227.44', 'closed']
  ])
  expect(must(await finance.get('/v1/warehouses/SZ01/periods/2026-11/statement/verification'))).toMatchObject({
    ok: true
  })
  expect(must(await finance.get('/v1/tools/compensations?period=2026-11'))).toMatchObject({
    items: [{ loss: loss.number, technician: 'li.lei', technicianName: '李雷', amount: '1227.44' }],
    total: '1227.44'
  })

  // In December a customer finds it. It is back on the shelf, and he is owed what he paid, in December.
  must(await sz.keeper.post(`${path}/found`, { note: '客户寄回' }))
  expect((await sz.tool('GJ-METER')).state).toBe('shelf')
  expect(must(await finance.get('/v1/tools/compensations?period=2026-12')).total).toBe('-1227.44')
  expect(must(await finance.get('/v1/tools/compensations?period=2026-11')).total).toBe('1227.44')
})
