import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { callsAs } from '../support/calls.ts'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { named, newTool, openTools, toolSerial, type ToolCounter } from './tools-counter.ts'

let h: Harness
let at: ToolCounter
beforeAll(async () => {
  h = await openHarness()
  at = await openTools(h)
})
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const register = (tools: object[], by = at.keeper) => by.post(`/v1/warehouses/${at.warehouse}/tools`, { tools })

test('a tool is registered on the shelf; from the threshold on it is a fixed asset (R-TOOL-1, R-TOOL-4)', async () => {
  const [cheap, dear] = [toolSerial(), toolSerial()]
  const { status, body } = await register([
    newTool(cheap, { value: '4999.99', calibrationMonths: 12 }),
    newTool(dear, { value: '5000', calibratedOn: '2026-10-31', calibrationMonths: 4 })
  ])
  expect(status).toBe(201)
  expect(body.tools).toMatchObject([
    {
      serial: cheap,
      warehouse: at.warehouse,
      state: 'shelf',
      technician: null,
      value: '4999.99',
      fixedAsset: false,
      calibrationDueOn: '2027-03-02',
      calibrationOverdue: false
    },
    { serial: dear, value: '5000.00', fixedAsset: true, calibratedOn: '2026-10-31', calibrationDueOn: '2027-02-28' }
  ])
  expect((await at.keeper.get(`/v1/tools/${cheap.toLowerCase()}/history`)).body).toMatchObject({
    custody: [{ position: 1, kind: 'registered', from: null, to: 'shelf', warehouse: at.warehouse, document: null }],
    calibrations: [],
    events: [{ event: 'tool-registered', by: at.keeper.person.username }]
  })
})

test('the threshold is that of the day on which the tool was bought (R-TOOL-4)', async () => {
  await h.sql(`insert into tool_policy values ('2026-06-01', 1000, 'straight-line', 60, 0.05, 0, now())`)
  const { body } = await register([
    newTool(toolSerial(), { purchasedOn: '2026-05-31' }),
    newTool(toolSerial(), { purchasedOn: '2026-06-01' })
  ])
  expect(body.tools.map(({ fixedAsset }: any) => fixedAsset)).toEqual([false, true])
  // Before there was any policy the first one counts.
  const old = await register([newTool(toolSerial(), { purchasedOn: '1999-12-31', value: '5000' })])
  expect(old.body.tools[0].fixedAsset).toBe(true)
})

test('a serial number is unique in the company, whatever the case of its letters', async () => {
  const [taken] = await at.tools(1)
  const elsewhere = await openTools(h)
  const again = await elsewhere.keeper.post(`/v1/warehouses/${elsewhere.warehouse}/tools`, {
    tools: [newTool(taken.toLowerCase())]
  })
  expect(again.body).toMatchObject({
    status: 409,
    code: 'SerialTaken',
    errors: [{ pointer: '/tools/0/serial', sent: taken.toLowerCase() }]
  })
  expect(JSON.stringify(again.body)).not.toContain(at.warehouse)
  const twice = toolSerial()
  expect((await register([newTool(twice), newTool(twice.toLowerCase())])).body).toMatchObject({
    status: 422,
    code: 'SerialRepeated',
    errors: [{ pointer: '/tools/1/serial' }]
  })
  for (const serial of ['', 'with blank', 'a/b', '-x', 'compensations', 'x'.repeat(61)])
    expect(problem(await register([newTool(serial)]))).toEqual([400, 'InvalidInput'])
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => register([newTool(twice)])))
  expect(outcomes.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409])
})

test('days that cannot be are refused, and so is a value that is none', async () => {
  expect((await register([newTool(toolSerial(), { purchasedOn: '2026-11-21' })])).body).toMatchObject({
    status: 422,
    code: 'DaysWrong',
    errors: [{ pointer: '/tools/0/purchasedOn' }]
  })
  expect(problem(await register([newTool(toolSerial(), { purchasedOn: '1026-11-01' })]))).toEqual([422, 'DaysWrong'])
  expect(problem(await register([newTool(toolSerial(), { calibratedOn: '2027-01-01' })]))).toEqual([422, 'DaysWrong'])
  expect(
    problem(await register([newTool(toolSerial(), { calibratedOn: '2026-11-01', calibrationDueOn: '2026-11-01' })]))
  ).toEqual([422, 'DaysWrong'])
  for (const value of ['-1', '1.234', 'abc', '', '1e3'])
    expect(problem(await register([newTool(toolSerial(), { value })]))).toEqual([400, 'InvalidInput'])
})

test('only who keeps the register writes in it', async () => {
  const [serial] = await at.tools(1)
  const foreign = (await openTools(h)).keeper
  for (const [caller, status] of [
    [at.signers['department-head'], 403],
    [at.technician, 403],
    [foreign, 404]
  ] as const) {
    expect((await register([newTool(toolSerial())], caller)).status).toBe(status)
    const patched = await callsAs(h, caller.person).patch(`/v1/tools/${serial}`, { note: 'x' })
    // A technician knows of what is in their own custody only.
    const hidden = caller === at.signers['department-head'] ? 403 : 404
    expect(patched.status).toBe(hidden)
    expect(
      (await caller.post(`/v1/tools/${serial}/calibrations`, { calibratedOn: '2026-11-01', certificate: 'x' })).status
    ).toBe(hidden)
    const correction = { certificate: 'y', reason: '录错' }
    expect((await caller.post(`/v1/tools/${serial}/calibrations/2026-11-01/correction`, correction)).status).toBe(
      hidden
    )
    const kit = { name: 'x', tools: [serial] }
    expect((await caller.put(`/v1/warehouses/${at.warehouse}/tool-kits/K`, kit)).status).toBe(status)
    expect(
      (
        await callsAs(h, caller.person).upload(
          '/v1/imports/tools?apply=true',
          `warehouse,serial,name,value,purchasedOn\n${at.warehouse},${toolSerial()},x,1,2026-01-01\n`
        )
      ).status
    ).toBe(422)
  }
  expect((await h.sql(`select 1 from custody_entry where to_place = 'custody'`)).length).toBe(0)
})

test('what is written of a tool is changed against its version', async () => {
  const [serial] = await at.tools(1)
  const { version } = await at.tool(serial)
  const keeper = callsAs(h, at.keeper.person)
  const changed = await keeper.patch(
    `/v1/tools/${serial}`,
    { note: '表笔已更换', model: null, calibrationDueOn: '2026-12-01' },
    { 'if-match': `"${version}"` }
  )
  expect(changed.body).toMatchObject({
    note: '表笔已更换',
    model: null,
    calibrationDueOn: '2026-12-01',
    value: '1280.00'
  })
  expect(problem(await keeper.patch(`/v1/tools/${serial}`, { note: 'x' }, { 'if-match': `"${version}"` }))).toEqual([
    412,
    'VersionStale'
  ])

  // What stands on a document is not renamed under the hands of who signs; a remark may still be made.
  await at.issue([serial])
  expect(problem(await keeper.patch(`/v1/tools/${serial}`, { name: 'Hammer' }))).toEqual([409, 'ToolHeld'])
  expect((await keeper.patch(`/v1/tools/${serial}`, { note: 'y' })).status).toBe(200)
})

test('a mistyped serial number, value or day of purchase is corrected until the tool first leaves the shelf (R-TOOL-2, R-TOOL-4)', async () => {
  const [serial = '', other = ''] = await at.tools(2, { calibrationMonths: 12 })
  const keeper = callsAs(h, at.keeper.person)
  const right = toolSerial()
  const today = '2026-11-20'
  const corrected = await keeper.patch(`/v1/tools/${serial}`, { serial: right, value: '12800', purchasedOn: today })
  expect([corrected.status, corrected.body]).toMatchObject([
    200,
    { serial: right, value: '12800.00', purchasedOn: today, fixedAsset: true, calibrationDueOn: '2027-11-20' }
  ])
  expect((await keeper.get(`/v1/tools/${serial}`)).status).toBe(404)
  expect((await keeper.get(`/v1/tools/${right}/history`)).body.events.at(-1)).toMatchObject({
    event: 'tool-changed',
    details: {
      serial: right,
      value: '12800',
      purchasedOn: today,
      before: { serial, value: '1280.00', purchasedOn: '2026-03-02' }
    }
  })

  const change = async (body: object) => problem(await keeper.patch(`/v1/tools/${right}`, body))
  expect(await change({ serial: other.toLowerCase() })).toEqual([409, 'SerialTaken'])
  expect(await change({ purchasedOn: '2026-11-21' })).toEqual([422, 'DaysWrong'])
  expect(await change({ purchasedOn: '1926-03-02' })).toEqual([422, 'DaysWrong'])
  expect(await change({ value: '1.005' })).toEqual([400, 'InvalidInput'])
  expect((await at.tool(right)).value).toBe('12800.00')
  // Only the letters are written otherwise: that is no other number.
  expect((await keeper.patch(`/v1/tools/${right}`, { serial: right.toLowerCase() })).body.serial).toBe(
    right.toLowerCase()
  )

  const { number } = await at.issue([right])
  expect(await change({ value: '1.00' })).toEqual([409, 'ToolHeld'])
  expect((await at.technician.post(`/v1/tool-documents/${number}/signature`)).status).toBe(200)
  expect(await change({ value: '1.00' })).toEqual([409, 'ToolInUse'])
  expect(await change({ serial: toolSerial() })).toEqual([409, 'ToolInUse'])
  // What stays as it is may be sent along.
  expect((await keeper.patch(`/v1/tools/${right}`, { value: '12800.0', note: 'y' })).status).toBe(200)
})

test('a tool is due for calibration after it was calibrated, whoever changes the day', async () => {
  const [serial = ''] = await at.tools(1, { calibratedOn: '2026-05-04', calibrationMonths: 12 })
  const change = (body: object) =>
    h.api.patch(`/v1/tools/${serial}`).auth(at.keeper.person.token, { type: 'bearer' }).send(body)
  const refused = await change({ calibrationDueOn: '2026-05-04' })
  expect([refused.status, refused.body.code]).toEqual([422, 'DaysWrong'])
  expect((await change({ calibrationDueOn: '2026-12-31' })).body.calibrationDueOn).toBe('2026-12-31')
})

test('a tool that is given an interval is due by it, and tells of it', async () => {
  const [serial = ''] = await at.tools(1, { purchasedOn: '2026-01-31' })
  const change = (body: object) =>
    h.api.patch(`/v1/tools/${serial}`).auth(at.keeper.person.token, { type: 'bearer' }).send(body)
  expect((await change({ note: '新表笔' })).body.calibrationDueOn).toBe(null)
  expect((await change({ calibrationMonths: 1 })).body.calibrationDueOn).toBe('2026-02-28')
  // A day that stands there is a certificate's, and stays.
  expect((await change({ calibrationMonths: 6 })).body.calibrationDueOn).toBe('2026-02-28')
  expect((await change({ calibrationDueOn: null })).body.calibrationDueOn).toBe(null)
})

test('a calibration is recorded with its certificate, and says when the next one is due', async () => {
  const [serial] = await at.tools(1, { calibrationMonths: 6 })
  const calibrate = (body: object) => at.keeper.post(`/v1/tools/${serial}/calibrations`, body)
  const done = await calibrate({ calibratedOn: '2026-08-31', certificate: 'JL-1' })
  expect([done.status, done.body.calibratedOn, done.body.calibrationDueOn]).toEqual([201, '2026-08-31', '2027-02-28'])
  // A certificate that comes late does not take back a later one.
  const late = await calibrate({ calibratedOn: '2026-03-05', certificate: 'JL-0' })
  expect([late.body.calibratedOn, late.body.calibrationDueOn]).toEqual(['2026-08-31', '2027-02-28'])
  expect(problem(await calibrate({ calibratedOn: '2026-08-31', certificate: 'JL-1' }))).toEqual([
    409,
    'CalibrationRecorded'
  ])
  expect(problem(await calibrate({ calibratedOn: '2026-11-21', certificate: 'JL-2' }))).toEqual([422, 'FutureDay'])
  expect(
    problem(await calibrate({ calibratedOn: '2026-11-02', certificate: 'JL-2', nextDueOn: '2026-11-02' }))
  ).toEqual([422, 'CalibrationDueEarlier'])
  const [plain] = await at.tools(1)
  expect(
    problem(await at.keeper.post(`/v1/tools/${plain}/calibrations`, { calibratedOn: '2026-11-02', certificate: 'x' }))
  ).toEqual([422, 'CalibrationDueMissing'])
  expect((await at.keeper.get(`/v1/tools/${serial}/history`)).body.calibrations).toMatchObject([
    { calibratedOn: '2026-03-05', certificate: 'JL-0', nextDueOn: '2026-09-05' },
    { calibratedOn: '2026-08-31', certificate: 'JL-1', nextDueOn: '2027-02-28', recordedBy: at.keeper.person.username }
  ])
})

describe('a calibration that was entered wrongly', () => {
  const calibrate = (serial: string, body: object) => at.keeper.post(`/v1/tools/${serial}/calibrations`, body)
  const correct = (serial: string, day: string, body: object, by = at.keeper) =>
    by.post(`/v1/tools/${serial}/calibrations/${day}/correction`, { reason: '录错', ...body })
  const daysOf = async (serial: string) => {
    const { calibratedOn, calibrationDueOn } = await at.tool(serial)
    return [calibratedOn, calibrationDueOn]
  }
  const historyOf = async (serial: string) => (await at.keeper.get(`/v1/tools/${serial}/history`)).body

  test('is corrected on the same day with a reason, and the history keeps both', async () => {
    const [serial = ''] = await at.tools(1, { calibrationMonths: 6 })
    await calibrate(serial, { calibratedOn: '2026-08-31', certificate: 'JL-1' })
    const { version } = await at.tool(serial)
    const done = await correct(serial, '2026-08-31', { certificate: 'JL-7', reason: '证书编号录错' })
    expect([done.status, done.body.version, await daysOf(serial)]).toEqual([
      200,
      version + 1,
      ['2026-08-31', '2027-02-28']
    ])
    const by = at.keeper.person.username
    const { calibrations, events } = await historyOf(serial)
    expect(calibrations).toMatchObject([
      {
        entry: 1,
        corrects: null,
        calibratedOn: '2026-08-31',
        certificate: 'JL-1',
        corrected: { by, at: expect.any(String), because: '证书编号录错' }
      },
      { entry: 2, corrects: 1, calibratedOn: '2026-08-31', certificate: 'JL-7', recordedBy: by, corrected: null }
    ])
    expect(events.at(-1)).toMatchObject({
      event: 'tool-calibration-corrected',
      by,
      details: {
        reason: '证书编号录错',
        certificate: 'JL-7',
        before: { calibratedOn: '2026-08-31', certificate: 'JL-1', nextDueOn: '2027-02-28' }
      }
    })
    // What is right now is corrected as well.
    expect((await correct(serial, '2026-08-31', { certificate: 'JL-71' })).status).toBe(200)
    expect((await historyOf(serial)).calibrations.map(({ entry, corrects }: any) => [entry, corrects])).toEqual([
      [1, null],
      [2, 1],
      [3, 2]
    ])
  })

  test('has its day corrected, and the tool is due by the last calibration of those that hold', async () => {
    const [serial = ''] = await at.tools(1, { calibrationMonths: 6, calibratedOn: '2026-01-10' })
    await calibrate(serial, { calibratedOn: '2026-08-31', certificate: 'JL-1' })
    expect((await correct(serial, '2026-08-31', { calibratedOn: '2026-07-15' })).status).toBe(200)
    expect(await daysOf(serial)).toEqual(['2026-07-15', '2027-01-15'])
    // A day that did not follow from the interval stays.
    await correct(serial, '2026-07-15', { nextDueOn: '2026-12-31' })
    await correct(serial, '2026-07-15', { calibratedOn: '2026-07-16' })
    expect(await daysOf(serial)).toEqual(['2026-07-16', '2026-12-31'])
    // Of last year, and not of this one: the tool goes by what it was registered with.
    await correct(serial, '2026-07-16', { calibratedOn: '2025-07-16', nextDueOn: '2026-01-16' })
    expect(await daysOf(serial)).toEqual(['2026-01-10', '2026-07-10'])
    await calibrate(serial, { calibratedOn: '2026-07-16', certificate: 'JL-2' })
    expect(await daysOf(serial)).toEqual(['2026-07-16', '2027-01-16'])
  })

  test('keeps a due day that was set by hand, unless a day of it is what was wrong', async () => {
    const [serial = ''] = await at.tools(1, { calibrationMonths: 6 })
    await calibrate(serial, { calibratedOn: '2026-08-31', certificate: 'JL-1' })
    const patched = await callsAs(h, at.keeper.person).patch(`/v1/tools/${serial}`, { calibrationDueOn: '2026-12-01' })
    expect(patched.status).toBe(200)
    await correct(serial, '2026-08-31', { note: '含附件' })
    expect(await daysOf(serial)).toEqual(['2026-08-31', '2026-12-01'])
    await correct(serial, '2026-08-31', { calibratedOn: '2026-08-30' })
    expect(await daysOf(serial)).toEqual(['2026-08-30', '2027-02-28'])
  })

  test('is not corrected to what cannot be, nor what is not there or is like that already', async () => {
    const [serial = ''] = await at.tools(1, { calibrationMonths: 6 })
    await calibrate(serial, { calibratedOn: '2026-08-31', certificate: 'JL-1' })
    await calibrate(serial, { calibratedOn: '2026-03-05', certificate: 'JL-0' })
    for (const [day, body, answer] of [
      ['2026-08-31', { calibratedOn: '2026-11-21' }, [422, 'FutureDay']],
      ['2026-08-31', { nextDueOn: '2026-08-31' }, [422, 'CalibrationDueEarlier']],
      ['2026-08-31', { calibratedOn: '2026-03-05' }, [409, 'CalibrationRecorded']],
      ['2026-08-31', {}, [422, 'NothingCorrected']],
      ['2026-08-31', { certificate: 'JL-1' }, [422, 'NothingCorrected']],
      ['2026-09-01', { certificate: 'JL-2' }, [404, 'NotFound']]
    ] as const)
      expect(problem(await correct(serial, day, body))).toEqual(answer)
    const stale = { 'if-match': '"1"' }
    const path = `/v1/tools/${serial}/calibrations/2026-08-31/correction`
    expect(problem(await at.keeper.post(path, { certificate: 'x', reason: '录错' }, stale))).toEqual([
      412,
      'VersionStale'
    ])
    const { detail } = (await calibrate(serial, { calibratedOn: '2026-08-31', certificate: 'JL-9' })).body
    expect(detail).toContain(`POST ${path} corrects it`)
    expect((await historyOf(serial)).calibrations).toHaveLength(2)
  })

  test('is corrected once by two who do so at once', async () => {
    const [serial = ''] = await at.tools(1, { calibrationMonths: 6 })
    await calibrate(serial, { calibratedOn: '2026-08-31', certificate: 'JL-1' })
    const answers = await Promise.all(
      [at.keeper, at.otherKeeper].map((by) => correct(serial, '2026-08-31', { calibratedOn: '2026-08-30' }, by))
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 404])
    expect((await historyOf(serial)).calibrations).toHaveLength(2)
  })
})

test('a file of ten thousand tools is tried out first; a number that is repeated or taken is refused in its row', async () => {
  const shop = await openTools(h)
  const controller = callsAs(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const [taken] = await at.tools(1)
  const rows = Array.from(
    { length: 10_000 },
    (_, index) => `${shop.warehouse},BULK-${index},Clamp meter,钳形表,${index}.50,2026-03-02,12`
  )
  const file = (more: string[] = []) =>
    `warehouse,serial,name,nameZh,value,purchasedOn,calibrationMonths\n${[...rows, ...more].join('\n')}\n`
  const tried = await controller.upload(
    '/v1/imports/tools?apply=true',
    file([
      `${shop.warehouse},bulk-7,x,,1,2026-03-02,`,
      `${shop.warehouse},${taken.toLowerCase()},x,,1,2026-03-02,`,
      `NOWHERE,BULK-NEW,x,,1,2026-03-02,`,
      `${shop.warehouse},BULK 1,x,,-5,2026-03-02,`,
      `${shop.warehouse},BULK-NEWER,x,,1,2027-03-02,`
    ])
  )
  expect(tried.body).toMatchObject({ status: 422, code: 'ImportRefused', counts: { create: 10_000, refused: 5 } })
  expect(
    tried.body.rows
      .filter(({ outcome }: any) => outcome === 'refused')
      .map(({ line, problems }: any) => [line, problems[0]?.split(';')[0]])
  ).toEqual([
    [10_002, 'line 9 is about BULK-7 already'],
    [10_003, `serial number ${taken.toLowerCase()} is registered already`],
    [10_004, expect.stringContaining('NOWHERE')],
    [10_005, expect.stringContaining('serial is "BULK 1"')],
    [10_006, 'purchasedOn is 2027-03-02']
  ])
  const dry = await controller.upload('/v1/imports/tools', file())
  expect(dry.body).toMatchObject({ applied: false, counts: { create: 10_000, refused: 0 } })
  expect(await h.sql('select 1 from tool where warehouse_id = $1', [shop.warehouseId])).toEqual([])
  const applied = await controller.upload('/v1/imports/tools?apply=true', file())
  expect(applied.body).toMatchObject({ applied: true, counts: { create: 10_000, refused: 0 } })
  expect(
    await h.sql(
      `select count(*)::int as tools, sum(moves)::int as entries, count(*) filter (where fixed_asset)::int as assets from tool where warehouse_id = $1`,
      [shop.warehouseId]
    )
  ).toEqual([{ tools: 10_000, entries: 10_000, assets: 5_000 }])
  const again = await controller.upload('/v1/imports/tools', file())
  expect(again.body.counts).toMatchObject({ create: 0, refused: 10_000 })
})

test('a file with something else in the column of warehouses is refused row by row, by as many statements as a short one', async () => {
  const file = (rows: number) =>
    `warehouse,serial,name,value,purchasedOn\n${Array.from({ length: rows }, (_, index) => `X${index},X-${index},n,1,2026-03-02`).join('\n')}\n`
  const controller = callsAs(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const statementsFor = async (rows: number): Promise<number> => {
    const query = vi.spyOn(Client.prototype, 'query')
    const { body } = await controller.upload('/v1/imports/tools', file(rows))
    const count = query.mock.calls.length
    query.mockRestore()
    expect(body.counts).toMatchObject({ create: 0, refused: rows })
    return count
  }
  expect(await statementsFor(1000)).toBe(await statementsFor(2))
})

test('a row of a file says of a day that is none only that, and of a missing warehouse that it is missing', async () => {
  const rows = [',F-1,n,1,2026-03-02', `${at.warehouse},F-2,n,1,2026/03/02`, `${at.warehouse},F-3,n,1,2026-13-01`]
  const { body } = await callsAs(h, at.keeper.person).upload(
    '/v1/imports/tools',
    `warehouse,serial,name,value,purchasedOn\n${rows.join('\n')}\n`
  )
  expect(body.rows.map(({ problems }: any) => problems)).toEqual([
    [expect.stringContaining('warehouse is empty')],
    [expect.stringContaining('purchasedOn is "2026/03/02"; it must be')],
    [expect.stringContaining('purchasedOn is "2026-13-01"; it must be')]
  ])
})

test('the register is listed by place, technician, state and calibration; a technician finds their own', async () => {
  const shop = await openTools(h)
  const [first, second, third] = await shop.tools(3, { calibrationMonths: 8 })
  await shop.issued([first])
  await shop.issued([second], shop.colleague)
  const serials = async (by: ToolCounter['keeper'], query: string) =>
    (await by.get(`/v1/tools?${query}`)).body.items.map(({ serial }: any) => serial)
  const here = `warehouse=${shop.warehouse}`
  expect(await serials(shop.keeper, here)).toEqual([third, second, first])
  expect(await serials(shop.keeper, `${here}&state=shelf`)).toEqual([third])
  expect(await serials(shop.keeper, `technician=${shop.technician.person.username}`)).toEqual([first])
  expect(await serials(shop.keeper, `${here}&calibrationDue=2026-11-01`)).toEqual([])
  expect(await serials(shop.keeper, `${here}&calibrationDue=2026-11-02`)).toEqual([third, second, first])
  expect(await serials(shop.keeper, `${here}&fixedAsset=true`)).toEqual([])
  expect(await serials(shop.technician, here)).toEqual([first])
  expect(await serials(shop.technician, '')).toEqual([first])
  expect(await serials((await openTools(h)).keeper, here)).toEqual([])
  expect((await shop.technician.get(`/v1/tools/${second}`)).status).toBe(404)
  expect((await shop.technician.get(`/v1/tools/${first}`)).body).toMatchObject({ state: 'custody' })
  // A key that was not given the duty does not have its person's custody either.
  const { body: key } = await shop.technician.post('/v1/api-keys', {
    name: 'reader',
    expiresOn: '2027-01-01',
    access: 'read'
  })
  const byKey = await h.api.get('/v1/tools').set('authorization', `Bearer ${key.key}`)
  expect(byKey.status === 200 ? byKey.body.items.length : byKey.status).toBe(1)

  const page = (await shop.keeper.get(`/v1/tools?${here}&limit=2`)).body
  expect(await serials(shop.keeper, `${here}&limit=2&cursor=${page.nextCursor}`)).toEqual([first])
  const csv = await shop.keeper.get(`/v1/tools?${here}`, { accept: 'text/csv' })
  expect(csv.text.split('\r\n').length > 1 || csv.text.split('\n').length > 1).toBe(true)
  expect(csv.text).toContain(
    `${first},数字万用表,Digital multimeter,FL-17B,${shop.warehouse},custody,${shop.technician.person.username}`
  )
})

test('nobody moves a tool past its journal, and nobody changes the journal (R-TOOL-1)', async () => {
  const [serial] = await at.tools(1)
  await expect(h.sql(`update tool set state = 'lost' where serial = $1`, [serial])).rejects.toThrow(
    'by an entry of its journal only'
  )
  await expect(h.sql(`update custody_entry set to_place = 'lost'`)).rejects.toThrow('append-only')
  await expect(h.sql('delete from custody_entry')).rejects.toThrow('append-only')
  await expect(
    h.sql(
      `insert into custody_entry (warehouse_id, tool_id, seq, kind, from_place, from_warehouse_id, to_place, at, person_id)
       select warehouse_id, id, 2, 'found', 'lost', warehouse_id, 'shelf', now(), 0 from tool where serial = $1`,
      [serial]
    )
  ).rejects.toThrow('is not where its entry begins')
})

test('a warehouse is not closed while its register has tools, or tools are on their way to it', async () => {
  const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  const shop = await openTools(h)
  const next = await openTools(h)
  const [serial] = await shop.tools(1)
  const close = (warehouse: string) => admin.post(`/v1/warehouses/${warehouse}/closing`, { closedOn: '2026-12-01' })
  expect((await close(shop.warehouse)).body).toMatchObject({ status: 409, code: 'WarehouseHasTools', tools: [serial] })
  const { body } = await shop.keeper.post(`/v1/warehouses/${shop.warehouse}/tool-transfers`, {
    to: next.warehouse,
    tools: named([serial])
  })
  expect((await close(next.warehouse)).body).toMatchObject({ status: 409, code: 'WarehouseHasTools', tools: [serial] })
  expect((await next.keeper.post(`/v1/tool-documents/${body.number}/signature`)).status).toBe(200)
  expect((await close(shop.warehouse)).status).toBe(200)
  h.clock.set('2026-12-02T02:00:00Z')
  try {
    expect(
      problem(await shop.keeper.post(`/v1/warehouses/${shop.warehouse}/tools`, { tools: [newTool(toolSerial())] }))
    ).toEqual([409, 'WarehouseClosed'])
    expect(
      problem(
        await next.keeper.post(`/v1/warehouses/${next.warehouse}/tool-transfers`, {
          to: shop.warehouse,
          tools: named([serial])
        })
      )
    ).toEqual([409, 'WarehouseClosed'])
  } finally {
    h.clock.set('2026-11-20T02:00:00Z')
  }
})
