import { afterAll, beforeAll, expect, test } from 'vitest'
import { sweepAlertsNightly, turnOfDay } from '../../src/alerts/alerts.jobs.ts'
import { expireReservations, remindOfReadyRepairs } from '../../src/loaners/loaners.jobs.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed, runJob } from '../support/relay.ts'
import { openLoaners } from '../loaners/loaners-counter.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

test('a loaner’s year: bought, lent, late, scratched, kept for a repair, lent to another warehouse, broken, repaired, and scrapped (R-LOAN-1, R-LOAN-2, R-LOAN-3)', async () => {
  const day = async (on: string) => {
    h.clock.set(`${on}T00:05`)
    await runJob(h, turnOfDay)
    await runJob(h, expireReservations)
    h.clock.set(`${on}T08:30`)
    await runJob(h, remindOfReadyRepairs)
    await relayed(h)
    h.clock.set(`${on}T10:00`)
  }
  const alerts = async () =>
    (
      await h.sql<{ kind: string; subject: string }>(
        `select kind, subject from alert where resolved_at is null and kind like 'loaner-%' order by kind, subject`
      )
    ).map(({ kind, subject }) => `${kind} ${subject}`)

  // January: the shop in Shenzhen gets its first loaner by a receipt, signed by three.
  h.clock.set('2026-01-12T10:00')
  const sz = await openLoaners(h, { warehouse: 'SZ01', region: 'SOUTH' })
  const gz = await openLoaners(h, { warehouse: 'GZ01', region: 'SOUTH-GZ', model: sz.model })
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const supplier = await h.make.supplier({ parts: [sz.model] })
  const serial = 'BY-2026-00017'
  const { slip } = (
    await sz.keeper.post('/v1/warehouses/SZ01/loaners', {
      kind: 'receipt',
      supplier: supplier.code,
      deliveryNote: 'DN-0112',
      units: [
        {
          serial,
          model: sz.model,
          unitCost: '1280.00',
          accessories: ['电源线', '进水管'],
          photoUrl: 'https://photos.example.com/by-2026-00017.jpg'
        }
      ]
    })
  ).body
  await sz.signAndPost(slip, { deliveredBy: '供应商司机' })

  // A region with 500 machines in its customers’ hands needs two; the shortfall is told at once at its centre.
  await controller.put('/v1/installed-base', {
    region: 'SOUTH',
    family: sz.family,
    units: 500,
    countedOn: '2026-01-10'
  })
  await day('2026-01-13')
  expect(await alerts()).toEqual([`loaner-fleet-short ${sz.family}`])
  expect((await sz.keeper.get('/v1/loaners/fleet')).body.items).toMatchObject([
    { target: 2, units: 1, shortfall: 1, proposal: { model: sz.model, units: 1 } }
  ])
  await controller.put(`/v1/loaner-targets/${sz.family}`, { perMille: '2' })
  await day('2026-01-14')
  expect(await alerts()).toEqual([])

  // February: Ms Chen borrows it, is reminded, extends, and brings it back late and scratched, without the hose.
  h.clock.set('2026-02-02T10:00')
  const first = await sz.lent(serial, { repairOrder: 'RO-0201', receiptNumber: 'JT-0001', dueOn: '2026-02-12' })
  await day('2026-02-09')
  expect(await alerts()).toEqual([`loaner-due-soon ${first.number}`])
  await sz.keeper.post(`/v1/loans/${first.number}/extension`, { dueOn: '2026-02-26', because: '春节配件未到' })
  await relayed(h)
  expect(await alerts()).toEqual([])
  await sz.keeper.post(`/v1/loans/${first.number}/repair-ready`)
  for (const on of ['2026-02-12', '2026-02-15', '2026-02-18', '2026-02-21']) await day(on)
  expect(await alerts()).toEqual([`loaner-notice-unanswered ${first.number}`])
  await day('2026-02-27')
  expect(await alerts()).toEqual([`loaner-notice-unanswered ${first.number}`, `loaner-overdue ${first.number}`])
  const returned = await sz.returned(first, {
    condition: '面板有划痕',
    grade: 'B',
    accessories: ['电源线'],
    damage: { description: '进水管丢失', amount: '45.00' }
  })
  expect(returned).toMatchObject({ accessoriesMissing: ['进水管'], extensions: 1, gradeIn: 'B', state: 'returned' })
  await relayed(h)
  expect(await alerts()).toEqual([])
  expect((await sz.keeper.post(`/v1/loans/${first.number}/forget-customer`)).body.customer).toBeNull()

  // March: kept for a repair that is announced; nobody else gets it; nobody comes, and it is free again.
  h.clock.set('2026-03-02T10:00')
  await sz.keeper.post(`/v1/loaners/${serial}/reservation`, { repairOrder: 'RO-0302', until: '2026-03-06' })
  expect(
    (
      await sz.keeper.post(`/v1/loaners/${serial}/loans`, {
        repairOrder: 'RO-0303',
        receiptNumber: 'JT-0002',
        dueOn: '2026-03-10',
        condition: '有划痕'
      })
    ).body.code
  ).toBe('LoanerReserved')
  await day('2026-03-07')
  expect(await sz.unit(serial)).toMatchObject({ state: 'available', reservation: null })

  // April: Guangzhou is short of loaners; the unit goes there with its age and value, and is lent and handed back there.
  h.clock.set('2026-04-07T10:00')
  await sz.keeper.post(`/v1/loaners/${serial}/transfer`, { to: 'GZ01', reason: '支援旺季' })
  await sz.settle(serial)
  h.clock.set('2026-04-09T10:00')
  await gz.keeper.post(`/v1/loaners/${serial}/arrival`)
  await gz.settle(serial)
  const second = await gz.lent(serial, { repairOrder: 'RO-0401', receiptNumber: 'JT-0101', dueOn: '2026-04-30' })
  h.clock.set('2026-04-28T10:00')
  expect(
    (
      await gz.keeper.post(`/v1/loans/${second.number}/return`, {
        warehouse: 'SZ01',
        outcome: 'usable',
        condition: '完好'
      })
    ).body.code
  ).toBe('ReturnElsewhere')
  await gz.returned(second, { outcome: 'needs-repair', condition: '脱水异响' })

  // May: repaired, and lent once more; in July it comes back with water in its board, and is scrapped.
  h.clock.set('2026-05-06T10:00')
  expect(await gz.unit(serial)).toMatchObject({ state: 'in-repair' })
  await gz.keeper.post(`/v1/loaners/${serial}/repair-return`, { note: '更换轴承', grade: 'C' })
  const third = await gz.lent(serial, { repairOrder: 'RO-0502', receiptNumber: 'JT-0117', dueOn: '2026-06-05' })
  h.clock.set('2026-07-01T10:00')
  await gz.returned(third, { outcome: 'beyond-repair', condition: '主板进水' })
  await gz.keeper.post(`/v1/loaners/${serial}/retirement`, { reason: '主板进水，无维修价值' })
  await gz.settle(serial)

  // December: what the year was.
  h.clock.set('2026-12-31T10:00')
  expect(await gz.unit(serial)).toMatchObject({
    state: 'retired',
    grade: 'C',
    inServiceOn: '2026-01-12',
    outOfServiceOn: '2026-07-01'
  })
  const { body: life } = await gz.keeper.get(`/v1/loaners/${serial}/history`)
  expect(life.movements.map(({ kind, warehouse }: any) => `${kind} ${warehouse}`)).toEqual([
    'receipt SZ01',
    'loan-out SZ01',
    'loan-in SZ01',
    'transfer-out SZ01',
    'transfer-in GZ01',
    'loan-out GZ01',
    'loan-in GZ01',
    'loan-out GZ01',
    'loan-in GZ01',
    'scrap GZ01'
  ])
  expect(life.loans.map(({ repairOrder, outcome }: any) => [repairOrder, outcome])).toEqual([
    ['RO-0201', 'usable'],
    ['RO-0401', 'needs-repair'],
    ['RO-0502', 'beyond-repair']
  ])
  // 170 days in service; 25 + 19 + 56 of them with customers.
  const { body: use } = await gz.keeper.get('/v1/loaners/utilisation?from=2026-01-01&to=2026-12-31')
  expect(use.items).toMatchObject([
    { units: 1, loans: 3, daysOwned: 170, daysOut: 100, utilisation: '58.8', overdue: 0 }
  ])

  // The ledger holds nothing of it any more, and what it cost left with it, to the cent: no month was charged twice or in transit.
  const [books] = await h.sql<{ net: string; onHand: string }>(
    `select sum(m.cost)::text as net, sum(m.quantity)::int::text as "onHand" from movement m join part on part.id = m.part_id where part.number = $1`,
    [sz.model]
  )
  expect(books).toEqual({ net: '0.00', onHand: '0' })
  expect([await sz.verify(), await gz.verify()]).toMatchObject([
    { ok: true, findings: [] },
    { ok: true, findings: [] }
  ])
  await relayed(h)
  await runJob(h, sweepAlertsNightly)
  expect(await alerts()).toEqual([`loaner-fleet-short ${sz.family}`])
}, 120_000)
