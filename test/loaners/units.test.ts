import { afterAll, beforeAll, expect, test } from 'vitest'
import { blockStock } from '../../src/ledger/block.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { postAdjustment } from '../../src/slips/post-adjustment.ts'
import { warehouseByCode } from '../../src/warehouses/directory.ts'
import { expireReservations } from '../../src/loaners/loaners.jobs.ts'
import { callsAs } from '../support/calls.ts'
import { callerFor, openCounter } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { runJob } from '../support/relay.ts'
import { LOAN, openLoaners, serialOf, type LoanerCounter } from './loaners-counter.ts'

let h: Harness
let at: LoanerCounter
beforeAll(async () => {
  h = await openHarness()
  at = await openLoaners(h)
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const register = (units: object[], more: object = {}) =>
  at.keeper.post(`/v1/warehouses/${at.warehouse}/loaners`, { kind: 'opening', units, ...more })

test('a unit is registered by a slip with a line for each, and in service when that is posted (R-LOAN-1)', async () => {
  const [first, second] = [serialOf(), serialOf()]
  const supplier = await h.make.supplier({ parts: [at.model] })
  const registered = await register(
    [
      { serial: first, model: at.model, unitCost: '900.00', photoUrl: 'https://photos.example.com/1.jpg' },
      { serial: second, model: at.model, grade: 'B' }
    ],
    { kind: 'receipt', supplier: supplier.code, deliveryNote: 'DN-1' }
  )
  expect(registered.status).toBe(201)
  expect(await at.unit(first)).toMatchObject({ state: 'registered', pendingSlip: registered.body.slip, lot: null })
  const slip = (await at.keeper.get(`/v1/slips/${registered.body.slip}`)).body
  expect(slip.lines.map(({ quantity, note, unitCost }: any) => [quantity, note, unitCost])).toEqual([
    ['1', `S/N ${first}`, '900.0000'],
    ['1', `S/N ${second}`, '1000.0000']
  ])
  await at.signAndPost(slip.number)
  expect(await at.unit(first)).toMatchObject({
    state: 'available',
    inServiceOn: '2026-11-20',
    photoUrl: 'https://photos.example.com/1.jpg'
  })
  expect(await at.unit(second)).toMatchObject({ state: 'available', grade: 'B' })
})

test('a serial number is unique in the company, whatever the case of its letters; what never came leaves it free', async () => {
  const serial = serialOf()
  const { body } = await register([{ serial, model: at.model }])
  const elsewhere = await openLoaners(h)
  const again = await elsewhere.keeper.post(`/v1/warehouses/${elsewhere.warehouse}/loaners`, {
    kind: 'opening',
    units: [{ serial: serial.toLowerCase(), model: at.model }]
  })
  expect(again.body).toMatchObject({
    status: 409,
    code: 'SerialTaken',
    errors: [{ pointer: '/units/0/serial', sent: serial.toLowerCase() }]
  })
  expect(JSON.stringify(again.body)).not.toContain(at.warehouse)
  const twice = serialOf()
  expect(
    (
      await register([
        { serial: twice, model: at.model },
        { serial: twice.toLowerCase(), model: at.model }
      ])
    ).body
  ).toMatchObject({ status: 422, code: 'SerialRepeated', errors: [{ pointer: '/units/1/serial' }] })
  const ordinary = await h.make.part({ standardCost: '1.0000' })
  expect(problem(await register([{ serial: twice, model: ordinary.number }]))).toEqual([422, 'NotLoanerModel'])
  expect(problem(await register([{ serial: twice, model: 'NO-SUCH' }]))).toEqual([422, 'NotLoanerModel'])
  for (const serialNumber of ['', 'with blank', 'a/b', '-x', 'fleet', 'x'.repeat(61)])
    expect(problem(await register([{ serial: serialNumber, model: at.model }]))).toEqual([400, 'InvalidInput'])
  expect(
    problem(await register([{ serial: twice, model: at.model, photoUrl: 'http://photos.example.com/1.jpg' }]))
  ).toEqual([400, 'InvalidInput'])

  await at.keeper.post(`/v1/slips/${body.slip}/cancellation`, { reason: '未到货' })
  expect((await at.keeper.get(`/v1/loaners/${serial}`)).status).toBe(404)
  expect((await register([{ serial, model: at.model }])).status).toBe(201)
})

test('a slip that brought units in is reversed only while they are there; then they never came', async () => {
  const serial = serialOf()
  const { slip } = (await register([{ serial, model: at.model }])).body
  await at.signAndPost(slip)
  const loan = await at.lent(serial)
  const { number } = (await at.keeper.post(`/v1/slips/${slip}/reversal`, { reason: '登记错误' })).body
  expect(problem(await at.signAndPost(number))).toEqual([409, 'GoodsAlreadyGone'])
  await at.keeper.post(`/v1/slips/${number}/cancellation`, { reason: '备用机在外' })
  await at.returned(loan)

  const fresh = serialOf()
  const { slip: other } = (await register([{ serial: fresh, model: at.model }])).body
  await at.signAndPost(other)
  const undone = (await at.keeper.post(`/v1/slips/${other}/reversal`, { reason: '登记错误' })).body
  expect((await at.signAndPost(undone.number)).status).toBe(200)
  expect((await at.keeper.get(`/v1/loaners/${fresh}`)).status).toBe(404)
})

test('a file of ten thousand units is tried out first; a number that is unknown, repeated or taken is refused in its row', async () => {
  const shop = await openLoaners(h)
  const stockController = await h.make.person({ grants: [{ duty: 'stock-controller' }] })
  const [taken] = await at.units(1)
  const keeper = callsAs(h, stockController)
  const rows = Array.from(
    { length: 10_000 },
    (_, index) => `${shop.warehouse},BULK-${index},${shop.model},B,power cord;hose`
  )
  const file = (more: string[] = []) => `warehouse,serial,model,grade,accessories\n${[...rows, ...more].join('\n')}\n`

  const tried = await keeper.upload(
    '/v1/imports/loaners?apply=true',
    file([
      `${shop.warehouse},bulk-7,${shop.model},B,`,
      `${shop.warehouse},${taken?.toLowerCase()},${shop.model},B,`,
      `${shop.warehouse},BULK-NEW,NO-SUCH,B,`,
      `NOWHERE,BULK-NEWER,${shop.model},B,`,
      `${shop.warehouse},BULK 1,${shop.model},D,`
    ])
  )
  expect(tried.body).toMatchObject({ status: 422, code: 'ImportRefused', counts: { create: 10_000, refused: 5 } })
  expect(
    tried.body.rows
      .filter(({ outcome }: { outcome: string }) => outcome === 'refused')
      .map(({ line, problems }: { line: number; problems: string[] }) => [line, problems[0]?.split(';')[0]])
  ).toEqual([
    [10_002, 'line 9 is about BULK-7 already'],
    [10_003, `serial number ${taken?.toLowerCase()} is registered already`],
    [10_004, 'NO-SUCH is not in the catalogue'],
    [10_005, expect.stringContaining('NOWHERE')],
    [10_006, expect.stringContaining('serial is "BULK 1"')]
  ])
  const dry = await keeper.upload('/v1/imports/loaners', file())
  expect(dry.body).toMatchObject({ applied: false, counts: { create: 10_000 }, slips: [] })
  expect((await shop.keeper.get('/v1/loaners/BULK-7')).status).toBe(404)

  const applied = await keeper.upload('/v1/imports/loaners?apply=true', file())
  expect(applied.body.slips).toHaveLength(20)
  expect((await shop.signAndPost(applied.body.slips[0])).status).toBe(200)
  expect(await shop.unit('bulk-7')).toMatchObject({ state: 'available', accessories: ['power cord', 'hose'] })
  expect(await shop.onHand(shop.model)).toBe('500')
  expect((await keeper.upload('/v1/imports/loaners', file())).body.counts).toEqual({
    create: 0,
    update: 0,
    unchanged: 0,
    refused: 10_000
  })
}, 120_000)

test('a unit that is kept for a repair is lent for that repair order only, until the day is past (R-LOAN-1)', async () => {
  h.clock.set(DEFAULT_TIME)
  const shop = await openLoaners(h)
  const [serial, other] = await shop.units(2)
  const reserve = (unit: string, body: object) => shop.keeper.post(`/v1/loaners/${unit}/reservation`, body)
  expect(problem(await reserve(serial, { repairOrder: 'RO-1', until: '2026-11-19' }))).toEqual([422, 'UntilInPast'])
  expect(problem(await reserve(serial, { repairOrder: 'RO-1', until: '2027-11-19' }))).toEqual([422, 'ReservedTooLong'])
  expect((await reserve(serial, { repairOrder: 'RO-1', until: '2026-11-25' })).body).toMatchObject({
    state: 'reserved',
    reservation: { repairOrder: 'RO-1', until: '2026-11-25' }
  })
  expect(problem(await reserve(serial, { repairOrder: 'RO-2', until: '2026-11-25' }))).toEqual([
    409,
    'LoanerNotAvailable'
  ])
  expect(problem(await shop.keeper.post(`/v1/loaners/${serial}/loans`, { ...LOAN, repairOrder: 'RO-2' }))).toEqual([
    409,
    'LoanerReserved'
  ])
  const free = async () => {
    const [row] = await h.sql<{ free: number }>(
      'select (on_hand - reserved)::int as free from balance where warehouse_id = $1 and part_number = $2',
      [shop.warehouseId, shop.model]
    )
    return row.free
  }
  expect(await free()).toBe(1)
  const loan = await shop.lent(serial, { repairOrder: 'RO-1' })
  expect(await free()).toBe(1)
  await shop.returned(loan)
  expect(await shop.unit(serial)).toMatchObject({ state: 'available', reservation: null })

  await reserve(serial, { repairOrder: 'RO-3', until: '2026-11-21' })
  await reserve(other, { repairOrder: 'RO-4', until: '2026-11-30' })
  const ended = await h.api
    .delete(`/v1/loaners/${other}/reservation`)
    .auth(shop.keeper.person.token, { type: 'bearer' })
  expect(ended.body).toMatchObject({ state: 'available' })
  expect(
    problem(await h.api.delete(`/v1/loaners/${other}/reservation`).auth(shop.keeper.person.token, { type: 'bearer' }))
  ).toEqual([409, 'NotReserved'])
  h.clock.set('2026-11-22T00:10')
  expect(await shop.unit(serial)).toMatchObject({ state: 'available', reservation: null })
  expect(await free()).toBe(1)
  expect(await runJob(h, expireReservations)).toEqual({ expired: 1 })
  expect(await runJob(h, expireReservations)).toEqual({ expired: 0 })
  expect(await free()).toBe(2)
  expect((await shop.lent(serial, { repairOrder: 'RO-9' })).state).toBe('out')
  expect(await shop.verify()).toMatchObject({ ok: true })
  h.clock.set(DEFAULT_TIME)
})

test('a unit that a recall blocks is not lent, nor handed out if the slip was written before; it may be scrapped (R-REQ-7)', async () => {
  const shop = await openLoaners(h)
  const [free, lending] = await shop.units(2)
  const drawn = await shop.lend(lending)
  const ctx = h.contextOf(shop.keeper.person.actor)
  const [{ id: partId }] = await h.sql<{ id: number }>('select id from part where number = $1', [shop.model])
  await inTransaction(ctx, (inner) =>
    blockStock(inner, { recallId: '880001', recall: 'HQ-RCL-202611-00009', scopes: [{ scopeNo: 1, partId }] })
  )
  expect(await shop.unit(free)).toMatchObject({ state: 'blocked' })
  expect(problem(await shop.keeper.post(`/v1/loaners/${free}/loans`, LOAN))).toEqual([409, 'LoanerNotAvailable'])
  const refused = await shop.signAndPost(drawn.outSlip)
  expect(problem(refused)).toEqual([409, 'GoodsBlocked'])
  expect(refused.body).toMatchObject({
    recalls: ['HQ-RCL-202611-00009'],
    detail: expect.stringContaining('or when it is lifted')
  })
  expect(await shop.unit(lending)).toMatchObject({ state: 'being-lent' })
  await shop.keeper.post(`/v1/slips/${drawn.outSlip}/cancellation`, { reason: '召回' })
  await shop.keeper.post(`/v1/loaners/${lending}/retirement`, { reason: '召回' })
  await shop.settle(lending)
  expect(await shop.unit(lending)).toMatchObject({ state: 'retired' })
  expect(await shop.verify()).toMatchObject({ ok: true })
})

test('a unit that a count finds missing is neither lent nor shown as there; a reversal brings it back, else it is retired (R-CNT-4)', async () => {
  h.clock.set(DEFAULT_TIME)
  const shop = await openLoaners(h)
  const [serial, other] = await shop.units(2)
  const ctx = h.contextOf(shop.keeper.person.actor)
  const [{ id: partId }] = await h.sql<{ id: number }>('select id from part where number = $1', [shop.model])
  const lost = async (lot: string) => {
    const { number } = await inTransaction(ctx, async (inner) =>
      postAdjustment(inner, await warehouseByCode(inner, shop.warehouse), {
        occurredOn: '2026-11-20',
        reason: '盘点调整',
        signedAs: {
          id: '770001',
          number: `${shop.warehouse}-CNT-202611-00001`,
          duties: ['department-head', 'operations-supervisor', 'finance-supervisor'],
          preparers: [shop.keeper.person.id],
          submittedAt: '2026-11-20T01:00:00Z'
        },
        lines: [
          {
            line: 1,
            partId,
            part: shop.model,
            quantity: '-1',
            unit: 'piece',
            unitCost: null,
            ownership: 'own',
            condition: 'qualified',
            receivedOn: null,
            lot,
            note: null
          }
        ]
      })
    )
    return number
  }
  const adjustment = await lost((await shop.unit(serial)).lot)
  expect(await shop.unit(serial)).toMatchObject({ state: 'missing', lot: null })
  expect(problem(await shop.keeper.post(`/v1/loaners/${serial}/loans`, LOAN))).toEqual([409, 'LoanerNotAvailable'])

  const { number } = (await shop.keeper.post(`/v1/slips/${adjustment}/reversal`, { reason: '找到了' })).body
  const controller = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'stock-controller', warehouse: shop.warehouse }] })
  )
  await shop.sign(number)
  await controller.post(`/v1/slips/${number}/signatures`, { duty: 'stock-controller', decision: 'approve' })
  expect((await shop.keeper.post(`/v1/slips/${number}/posting`)).status).toBe(200)
  expect(await shop.unit(serial)).toMatchObject({ state: 'available', lot: expect.any(String) })
  expect((await shop.lent(serial)).state).toBe('out')

  await lost((await shop.unit(other)).lot)
  expect((await shop.keeper.post(`/v1/loaners/${other}/retirement`, { reason: '盘亏' })).body).toMatchObject({
    state: 'retired',
    pendingSlip: null,
    outOfServiceOn: '2026-11-20'
  })
  expect(await shop.verify()).toMatchObject({ ok: true })
})

test('a unit goes to another warehouse with its cost, charge and age; its whole life stands under its serial number (R-AGE-7)', async () => {
  h.clock.set(DEFAULT_TIME)
  const giver = await openLoaners(h)
  const taker = await openLoaners(h, { model: giver.model })
  const [serial] = await giver.units(1, { receivedOn: '2026-03-10', unitCost: '1000' })
  const transfer = (body: object) =>
    giver.keeper.post(`/v1/loaners/${serial}/transfer`, { reason: '支援旺季', ...body })
  expect(problem(await transfer({ to: giver.warehouse }))).toEqual([422, 'SameWarehouse'])
  expect(problem(await transfer({ to: 'NOWHERE' }))).toEqual([404, 'NotFound'])
  expect(problem(await giver.keeper.post(`/v1/loaners/${serial}/arrival`))).toEqual([409, 'LoanerNotAvailable'])
  expect((await transfer({ to: taker.warehouse })).body).toMatchObject({ state: 'being-sent' })
  await giver.settle(serial)
  expect(await taker.unit(serial)).toMatchObject({ state: 'in-transit', movingTo: taker.warehouse, lot: null })
  expect(problem(await giver.keeper.post(`/v1/loaners/${serial}/arrival`))).toEqual([404, 'NotFound'])
  expect((await taker.keeper.post(`/v1/loaners/${serial}/arrival`)).status).toBe(200)
  expect(problem(await taker.keeper.post(`/v1/loaners/${serial}/arrival`))).toEqual([409, 'LoanerNotAvailable'])
  await taker.settle(serial)
  expect(await taker.unit(serial)).toMatchObject({ state: 'available', warehouse: taker.warehouse, movingTo: null })
  expect((await giver.keeper.get(`/v1/loaners/${serial}`)).status).toBe(404)

  const moved = await h.sql(
    `select w.code, l.received_on::text as "receivedOn", l.cost_in::text as cost, l.charge_in::text as charge
       from lot l join warehouse w on w.id = l.warehouse_id join part on part.id = l.part_id
      where part.number = $1 order by l.id`,
    [giver.model]
  )
  expect(moved).toEqual([
    { code: giver.warehouse, receivedOn: '2026-03-10', cost: '1000.00', charge: '400.00' },
    { code: taker.warehouse, receivedOn: '2026-03-10', cost: '1000.00', charge: '400.00' }
  ])
  const loan = await taker.lent(serial)
  await taker.returned(loan)
  const { body } = await taker.keeper.get(`/v1/loaners/${serial}/history`)
  expect(body.movements.map(({ kind, direction, warehouse }: any) => [kind, direction, warehouse])).toEqual([
    ['opening', 'in', giver.warehouse],
    ['transfer-out', 'out', giver.warehouse],
    ['transfer-in', 'in', taker.warehouse],
    ['loan-out', 'out', taker.warehouse],
    ['loan-in', 'in', taker.warehouse]
  ])
  expect(body.events.map(({ event }: any) => event)).toEqual([
    'registered',
    'in-service',
    'transfer-drawn-up',
    'sent',
    'arrival-drawn-up',
    'arrived',
    'loan-drawn-up',
    'lent',
    'return-drawn-up',
    'returned'
  ])
  expect(body.loans).toMatchObject([{ number: loan.number, warehouse: taker.warehouse, state: 'returned' }])
  expect([await giver.verify(), await taker.verify()]).toMatchObject([{ ok: true }, { ok: true }])
})

test('a transfer that was reversed brings the unit back, and is not taken in afterwards', async () => {
  const giver = await openLoaners(h)
  const taker = await openLoaners(h, { model: giver.model })
  const [serial] = await giver.units(1)
  await giver.keeper.post(`/v1/loaners/${serial}/transfer`, { to: taker.warehouse, reason: 'x' })
  const { pendingSlip } = await giver.unit(serial)
  await giver.signAndPost(pendingSlip)
  await taker.keeper.post(`/v1/loaners/${serial}/arrival`)
  const { pendingSlip: arrival } = await taker.unit(serial)
  const { number } = (await giver.keeper.post(`/v1/slips/${pendingSlip}/reversal`, { reason: 'x' })).body
  expect((await giver.signAndPost(number)).status).toBe(200)
  expect(await giver.unit(serial)).toMatchObject({ state: 'available', warehouse: giver.warehouse })
  expect(problem(await taker.signAndPost(arrival))).toEqual([409, 'UnitElsewhere'])
  await taker.keeper.post(`/v1/slips/${arrival}/cancellation`, { reason: 'x' })
  expect((await giver.lent(serial)).state).toBe('out')
})

test('units are listed by what they are and where, page by page, and as a file', async () => {
  const shop = await openLoaners(h)
  const serials = await shop.units(3, { grade: 'B' })
  await shop.lent(serials[0], { dueOn: '2026-11-25' })
  const list = async (query: string) =>
    (await shop.keeper.get(`/v1/loaners?${query}`)).body.items.map(({ serial }: any) => serial)
  expect(await list(`warehouse=${shop.warehouse}`)).toEqual(serials.toReversed())
  expect(await list('state=available')).toEqual([serials[2], serials[1]])
  expect(await list(`model=${shop.model}&state=out`)).toEqual([serials[0]])
  expect(await list(`family=${shop.family}&dueBefore=2026-11-26`)).toEqual([serials[0]])
  expect(await list('dueBefore=2026-11-25')).toEqual([])
  const first = (await shop.keeper.get('/v1/loaners?limit=2')).body
  const second = (await shop.keeper.get(`/v1/loaners?limit=2&cursor=${first.nextCursor}`)).body
  expect([...first.items, ...second.items].map(({ serial }: any) => serial)).toEqual(serials.toReversed())
  const file = await shop.keeper.get('/v1/loaners', { accept: 'text/csv' })
  expect(file.text.split('\n')).toHaveLength(5)
  expect(file.text).toContain(`${serials[0]},${shop.model}`)
  const loans = await shop.keeper.get('/v1/loans?state=out', { accept: 'text/csv' })
  expect(loans.text).toContain(serials[0])
  expect(loans.text).not.toContain('陈女士')
  expect((await shop.keeper.get(`/v1/loans?serial=${serials[0].toLowerCase()}`)).body.items).toHaveLength(1)
  expect((await shop.keeper.get('/v1/loans?repairOrder=RO-NONE')).body.items).toEqual([])
})

test('what is written of a unit is changed by the version that was read', async () => {
  const [serial] = await at.units(1)
  const { version } = await at.unit(serial)
  const patch = (body: object, headers: Record<string, string> = {}) =>
    callsAs(h, at.keeper.person).patch(`/v1/loaners/${serial}`, body, headers)
  expect(
    (await patch({ grade: 'C', photoUrl: null, accessories: [] }, { 'if-match': `"${version}"` })).body
  ).toMatchObject({ grade: 'C', photoUrl: null, accessories: [] })
  expect(problem(await patch({ grade: 'A' }, { 'if-match': `"${version}"` }))).toEqual([412, 'VersionStale'])
  expect(problem(await patch({ grade: 'E' }))).toEqual([400, 'InvalidInput'])
  const technician = await h.make.person({ grants: [{ duty: 'technician', warehouse: at.warehouse }] })
  expect(problem(await callsAs(h, technician).patch(`/v1/loaners/${serial}`, { grade: 'A' }))).toEqual([
    403,
    'DutyRequired'
  ])
  const stranger = await openCounter(h)
  expect(problem(await callsAs(h, stranger.keeper.person).patch(`/v1/loaners/${serial}`, { grade: 'A' }))).toEqual([
    404,
    'NotFound'
  ])
})

test('a part becomes a loaner model while nothing of it is in stock, and stays one while it has units', async () => {
  const controller = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const shop = await openCounter(h)
  const stocked = await shop.stocked()
  const set = (part: string, family: string | null) => controller.put(`/v1/loaner-models/${part}`, { family })
  expect(problem(await set(stocked.number, 'WM-8'))).toEqual([409, 'PartInStock'])
  expect(problem(await set('NO-SUCH', 'WM-8'))).toEqual([404, 'NotFound'])
  const model = await h.make.part({ standardCost: '5.0000' })
  const open = await shop.slip({ kind: 'receipt', lines: [{ part: model.number, quantity: '1' }] })
  expect((await set(model.number, 'WM-8')).body.detail).toContain(open.number)
  await shop.keeper.post(`/v1/slips/${open.number}/cancellation`, { reason: 'x' })
  expect((await set(model.number, 'WM-8')).body.items).toContainEqual(
    expect.objectContaining({ part: model.number, family: 'WM-8', units: 0 })
  )
  await shop.keeper.post(`/v1/warehouses/${shop.warehouse}/loaners`, {
    kind: 'opening',
    units: [{ serial: serialOf(), model: model.number }]
  })
  expect(problem(await set(model.number, null))).toEqual([409, 'ModelHasUnits'])
  expect((await set(model.number, 'WM-9')).status).toBe(200)
  expect(problem(await shop.keeper.put(`/v1/loaner-models/${model.number}`, { family: 'X' }))).toEqual([
    403,
    'DutyRequired'
  ])
})
