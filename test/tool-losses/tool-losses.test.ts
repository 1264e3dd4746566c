import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import { named, openTools, type ToolCounter } from '../tools/tools-counter.ts'

let h: Harness
let at: ToolCounter
let elsewhere: ToolCounter
let head: Caller
let finance: Caller
beforeAll(async () => {
  h = await openHarness()
  at = await openTools(h)
  elsewhere = await openTools(h)
  head = at.signers['department-head']
  finance = at.signers['finance-supervisor']
})
beforeEach(() => h.clock.set(DEFAULT_TIME))
afterAll(() => h.close())

const problem = ({ status, body }: { status: number; body: any }) => [status, body.code]
const must = ({ status, text, body }: { status: number; text: string; body: any }, wanted = 200) => {
  if (status !== wanted) throw new Error(`${status}: ${text}`)
  return body
}
/** A tool in the custody of the technician since a day. */
const held = async (tool: object = {}, by = at.technician): Promise<string> => {
  const [serial = ''] = await at.tools(1, { purchasedOn: '2025-06-15', ...tool })
  await at.issued([serial], by)
  return serial
}
const LOST = { kind: 'lost', cause: '在客户处维修后遗失' }
const BROKEN = { kind: 'damaged', cause: '跌落，表头碎裂', outcome: 'repaired' }
const WHY = '上门维修结束后放在车内，当晚车窗被砸，已报警，回执编号 2026-1120。'
const report = (serial: string, what: object = LOST, by: Caller = at.technician) =>
  by.post(`/v1/tools/${serial}/losses`, what)
const reported = async (serial: string, what: object = LOST, by: Caller = at.technician) =>
  must(await report(serial, what, by), 201)
const sign = (number: string, by: Caller, duty: string, more: object = {}) =>
  by.post(`/v1/tool-losses/${number}/signatures`, { duty, decision: 'approve', ...more })
const approved = async (number: string) => {
  must(await sign(number, head, 'department-head'))
  return must(await sign(number, finance, 'finance-supervisor'))
}
const assess = (number: string, what: object, by: Caller = head, headers = {}) =>
  by.put(`/v1/tool-losses/${number}/assessment`, what, headers)
const act = (number: string, what: string, by: Caller = at.keeper, body: object = {}) =>
  by.post(`/v1/tool-losses/${number}/${what}`, body)
const placesOf = async (serial: string) =>
  must(await at.keeper.get(`/v1/tools/${serial}/history`)).custody.map(({ kind, to }: any) => `${kind} ${to}`)

describe('a report of loss', () => {
  test('says what the tool was worth on that day by which steps; that is what is compensated (R-TOOL-2)', async () => {
    const serial = await held()
    const { status, body, headers } = await report(serial)
    expect(status).toBe(201)
    expect(headers['location']).toBe(`/v1/tool-losses/${body.number}`)
    expect(body).toMatchObject({
      number: `${at.warehouse}-TLR-202611-00001`,
      serial,
      technician: at.technician.person.username,
      kind: 'lost',
      outcome: 'lost',
      occurredOn: '2026-11-20',
      // Bought in June 2025: 17 months to November 2026 of sixty, 1280.00 down to 64.00.
      worth: {
        value: '1280.00',
        method: 'straight-line',
        lifeMonths: 60,
        residualValue: '64.00',
        monthsUsed: 17,
        accumulated: '344.53',
        netValue: '935.47'
      },
      netValue: '935.47',
      compensation: '935.47',
      state: 'reported',
      awaiting: ['department-head', 'finance-supervisor'],
      takenIn: false,
      booked: []
    })
    expect(must(await at.technician.get(`/v1/tools/${serial}/worth?on=2025-06-30`)).netValue).toBe('1280.00')
    // Until it is decided, the tool is in nothing else.
    expect(await at.tool(serial)).toMatchObject({ state: 'custody', lossReported: true })
    expect(problem(await report(serial))).toEqual([409, 'ToolHeld'])
    expect(
      problem(await at.technician.post(`/v1/warehouses/${at.warehouse}/tool-returns`, { tools: named([serial]) }))
    ).toEqual([409, 'ToolHeld'])
  })

  test('may be of a day before, but not of one to come or before the tool was in that custody', async () => {
    const serial = await held()
    h.clock.set('2026-12-08T10:00')
    expect(problem(await report(serial, { ...LOST, occurredOn: '2026-12-09' }))).toEqual([422, 'FutureDay'])
    expect(problem(await report(serial, { ...LOST, occurredOn: '2026-11-19' }))).toEqual([422, 'LossBeforeCustody'])
    expect(await reported(serial, { ...LOST, occurredOn: '2026-11-30' })).toMatchObject({
      number: `${at.warehouse}-TLR-202612-00001`,
      netValue: '935.47'
    })
  })

  test('of a fixed asset says at length how it came about (R-TOOL-4)', async () => {
    const serial = await held({ value: '5000.00' })
    expect(problem(await report(serial))).toEqual([422, 'ReasonReportMissing'])
    expect(problem(await report(serial, { ...BROKEN, normalWear: true }))).toEqual([422, 'ReasonReportMissing'])
    expect((await report(serial, { ...LOST, reasonReport: 'gone' })).status).toBe(400)
    expect(await reported(serial, { ...LOST, reasonReport: WHY })).toMatchObject({
      fixedAsset: true,
      reasonReport: WHY
    })
  })

  test('says of a damaged tool what is to become of it, and of a lost one nothing', async () => {
    const serial = await held()
    expect(problem(await report(serial, { kind: 'damaged', cause: '跌落' }))).toEqual([422, 'OutcomeMissing'])
    expect(problem(await report(serial, { ...LOST, outcome: 'scrapped' }))).toEqual([422, 'OutcomeOfLoss'])
    expect(problem(await report(serial, { ...LOST, normalWear: true }))).toEqual([422, 'LossIsNoWear'])
  })

  test('is written by the technician who has the tool, or by its keeper (R-TOOL-1)', async () => {
    const serial = await held()
    expect(problem(await report(serial, LOST, at.colleague))).toEqual([404, 'NotFound'])
    expect(problem(await report(serial, LOST, elsewhere.keeper))).toEqual([404, 'NotFound'])
    expect(problem(await report(serial, LOST, head))).toEqual([403, 'DutyRequired'])
    expect(await reported(serial, LOST, at.keeper)).toMatchObject({ reportedBy: at.keeper.person.username })
  })

  test('is read by who reads the register and by the technician it is about, and by nobody else', async () => {
    const { number } = await reported(await held())
    for (const by of [at.keeper, head, at.technician]) {
      expect((await by.get(`/v1/tool-losses/${number}`)).status).toBe(200)
      const { items } = must(await by.get(`/v1/tool-losses?warehouse=${at.warehouse}`))
      expect(items.map((item: any) => item.number)).toContain(number)
    }
    for (const by of [at.colleague, elsewhere.keeper]) {
      expect(problem(await by.get(`/v1/tool-losses/${number}`))).toEqual([404, 'NotFound'])
      const { items } = must(await by.get('/v1/tool-losses'))
      expect(items.map((item: any) => item.number)).not.toContain(number)
    }
    const { text, headers } = await at.keeper.get(`/v1/tool-losses?technician=${at.technician.person.username}`, {
      accept: 'text/csv'
    })
    expect(headers['content-type']).toContain('text/csv')
    expect(text).toContain(number)
  })

  test('is printed in two languages with the steps of what is compensated, and shows nothing as markup', async () => {
    const { number } = await reported(await held({ value: '6000.00' }), {
      ...LOST,
      cause: '<b>车窗</b>被砸',
      reasonReport: WHY
    })
    must(await sign(number, head, 'department-head'))
    const { status, text, headers } = await at.technician.get(`/v1/tool-losses/${number}/paper`)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    for (const words of [
      '工具丢失损坏报告单',
      'Report of a lost or damaged tool',
      number,
      '固定资产 fixed asset',
      WHY,
      '17 / 60',
      // 6000.00 − 5700.00 × 17 ⁄ 60.
      '4385.00',
      `${head.person.username} 2026-11-20`
    ])
      expect(text).toContain(words)
    expect(text).not.toContain('<b>车窗')
    expect(problem(await at.colleague.get(`/v1/tool-losses/${number}/paper`))).toEqual([404, 'NotFound'])
  })

  test('of two reports at once one holds the tool', async () => {
    const serial = await held()
    const outcomes = await Promise.all([report(serial), report(serial, LOST, at.keeper), report(serial)])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual([201, 409, 409])
  })
})

describe('what is compensated', () => {
  test('is never more than the net value, and less only with a reason (R-TOOL-2)', async () => {
    const serial = await held()
    const { number } = await reported(serial)
    const above = await assess(number, { compensation: '935.48' })
    expect(above.body).toMatchObject({ code: 'CompensationAboveValue', netValue: '935.47' })
    expect(above.status).toBe(422)
    expect(above.body.detail).toContain('935.47 on 2026-11-20 (1280.00 less 344.53 for 17 of 60 months)')
    expect(problem(await assess(number, { compensation: '500.00' }))).toEqual([422, 'CompensationReasonMissing'])
    const less = must(await assess(number, { compensation: '500', compensationReason: '因公外出途中被盗' }))
    expect([less.compensation, less.compensationReason]).toEqual(['500.00', '因公外出途中被盗'])
    const whole = must(await assess(number, { compensation: null }))
    expect([whole.compensation, whole.compensationReason]).toEqual(['935.47', null])
  })

  test('is nothing for normal wear (R-TOOL-2)', async () => {
    const { number, compensation } = await reported(await held(), { ...BROKEN, outcome: 'scrapped', normalWear: true })
    expect(compensation).toBe('0.00')
    expect(problem(await assess(number, { compensation: '1.00' }))).toEqual([422, 'WearCostsNothing'])
    // The head of department does not take it for wear.
    expect(must(await assess(number, { normalWear: false })).compensation).toBe('935.47')
    expect(must(await assess(number, { normalWear: true })).compensation).toBe('0.00')
    const done = await approved(number)
    expect([done.state, done.booked]).toEqual(['ended', []])
  })

  test('is nothing for a tool that lay on the shelf', async () => {
    const [serial = ''] = await at.tools(1)
    const { number, technician } = await reported(serial, BROKEN, at.keeper)
    expect(technician).toBeNull()
    expect(must(await head.get(`/v1/tool-losses/${number}`)).compensation).toBe('0.00')
    expect(problem(await assess(number, { compensation: '10.00' }))).toEqual([422, 'NobodyCompensates'])
  })

  test('is said by the head of department in person, never about themselves, before it is decided', async () => {
    const { number } = await reported(await held())
    for (const by of [at.keeper, finance, at.technician])
      expect(problem(await assess(number, { compensation: null }, by))).toEqual([403, 'DutyRequired'])
    expect(problem(await assess(number, { compensation: null }, elsewhere.signers['department-head']))).toEqual([
      404,
      'NotFound'
    ])
    expect(problem(await assess(number, { outcome: 'repaired' }))).toEqual([422, 'OutcomeOfLoss'])
    expect(problem(await assess(number, { compensation: null }, head, { 'if-match': '"7"' }))).toEqual([
      412,
      'VersionStale'
    ])
    const both = callerFor(
      h,
      await h.make.person({
        grants: [
          { duty: 'department-head', warehouse: at.warehouse },
          { duty: 'technician', warehouse: at.warehouse }
        ]
      })
    )
    const own = await reported(await held({}, both), LOST, at.keeper)
    expect(problem(await assess(own.number, { compensation: null }, both))).toEqual([422, 'OwnLoss'])
    expect(problem(await sign(own.number, both, 'department-head'))).toEqual([422, 'SignerBarred'])
    await approved(number)
    expect(problem(await assess(number, { compensation: null }))).toEqual([409, 'LossNotOpen'])
  })
})

describe('the two signatures', () => {
  test('end a loss: the compensation is booked that day and the tool is lost (R-TOOL-2)', async () => {
    const serial = await held()
    const { number } = await reported(serial)
    expect(must(await sign(number, finance, 'finance-supervisor'))).toMatchObject({
      state: 'reported',
      awaiting: ['department-head'],
      decidedOn: null
    })
    expect((await at.tool(serial)).state).toBe('custody')
    h.clock.set('2026-12-01T09:00')
    expect(must(await sign(number, head, 'department-head'))).toMatchObject({
      state: 'ended',
      awaiting: [],
      decidedOn: '2026-12-01',
      takenIn: true,
      booked: [{ line: 1, amount: '935.47', bookedOn: '2026-12-01' }]
    })
    expect(await at.tool(serial)).toMatchObject({ state: 'lost', technician: null, lossReported: false })
    expect(await placesOf(serial)).toEqual(['registered shelf', 'issued custody', 'lost lost'])
    expect(problem(await report(serial, LOST, at.keeper))).toEqual([409, 'ToolOutOfUse'])
    expect(must(await at.keeper.get(`/v1/tool-losses/${number}/history`)).items.map(({ event }: any) => event)).toEqual(
      ['loss-reported', 'signed', 'approved']
    )
  })

  test('are two different people, neither who reported it nor the technician, and no machines', async () => {
    const all = callerFor(
      h,
      await h.make.person({
        grants: (['department-head', 'finance-supervisor', 'keeper'] as const).map((duty) => ({
          duty,
          warehouse: at.warehouse
        }))
      })
    )
    const { number } = await reported(await held())
    must(await sign(number, all, 'department-head'))
    expect(problem(await sign(number, all, 'finance-supervisor'))).toEqual([409, 'AlreadySigned'])
    expect(problem(await sign(number, head, 'department-head'))).toEqual([409, 'DutyAlreadySigned'])
    expect(problem(await sign(number, at.keeper, 'department-head'))).toEqual([403, 'DutyRequired'])
    expect(problem(await sign(number, elsewhere.signers['finance-supervisor'], 'finance-supervisor'))).toEqual([
      404,
      'NotFound'
    ])
    const { key } = must(
      await finance.post('/v1/api-keys', { name: 'ledger', access: 'write', expiresOn: '2026-12-01' }),
      201
    )
    const byKey = await h.api
      .post(`/v1/tool-losses/${number}/signatures`)
      .set('x-api-key', key)
      .send({ duty: 'finance-supervisor', decision: 'approve' })
    expect(problem(byKey)).toEqual([403, 'PersonMustSign'])
    const own = await reported(await held(), LOST, all)
    expect(problem(await sign(own.number, all, 'department-head'))).toEqual([422, 'PreparerMaySign'])
  })

  test('are of the content that was read, and void when it is assessed anew (R-SIG-2)', async () => {
    const { number, contentHash } = await reported(await held())
    must(await sign(number, head, 'department-head', { contentHash }))
    const anew = must(await assess(number, { compensation: '900.00', compensationReason: '部分责任' }))
    expect([anew.signatures, anew.awaiting]).toEqual([[], ['department-head', 'finance-supervisor']])
    expect(problem(await sign(number, finance, 'finance-supervisor', { contentHash }))).toEqual([409, 'ContentChanged'])
    must(await sign(number, head, 'department-head', { contentHash: anew.contentHash }))
    // Somebody writes past the service.
    await h.sql(`update tool_loss set compensation = 1, compensation_reason = 'x' where number = $1`, [number])
    expect(problem(await sign(number, finance, 'finance-supervisor'))).toEqual([409, 'SignatureOfOtherContent'])
  })

  test('refuse with a reason, and the tool is as before', async () => {
    const serial = await held()
    const { number } = await reported(serial)
    expect(problem(await sign(number, finance, 'finance-supervisor', { decision: 'refuse' }))).toEqual([
      422,
      'ReasonMissing'
    ])
    expect(
      must(await sign(number, finance, 'finance-supervisor', { decision: 'refuse', comment: '工具在工具箱里' }))
    ).toMatchObject({ state: 'refused', reason: '工具在工具箱里', booked: [] })
    expect(problem(await sign(number, head, 'department-head'))).toEqual([409, 'LossNotOpen'])
    expect(await at.tool(serial)).toMatchObject({ state: 'custody', lossReported: false })
    await at.returned([serial])
  })

  test('book once, however many sign at once', async () => {
    const { number } = await reported(await held())
    const second = callerFor(
      h,
      await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: at.warehouse }] })
    )
    const outcomes = await Promise.all([
      sign(number, head, 'department-head'),
      sign(number, finance, 'finance-supervisor'),
      sign(number, second, 'finance-supervisor'),
      sign(number, head, 'department-head')
    ])
    expect(outcomes.filter(({ status }) => status === 200)).toHaveLength(2)
    expect(must(await head.get(`/v1/tool-losses/${number}`)).booked).toHaveLength(1)
  })
})

describe('a damaged tool', () => {
  test('is taken in, approved, repaired and issued again; what it costs is booked against repairs', async () => {
    const serial = await held()
    const { number } = await reported(serial, BROKEN)
    expect(problem(await act(number, 'repaired'))).toEqual([409, 'NotInRepair'])
    expect(must(await act(number, 'taken-in', at.keeper, { note: '表头碎裂' }))).toMatchObject({
      state: 'reported',
      takenIn: true,
      technician: at.technician.person.username
    })
    expect(problem(await act(number, 'taken-in'))).toEqual([409, 'NothingToTakeIn'])
    must(await assess(number, { compensation: '120.50', compensationReason: '只赔修理费' }))
    expect(await approved(number)).toMatchObject({ state: 'approved', booked: [{ amount: '120.50' }] })
    // It lies on the shelf, and is issued to nobody.
    expect(await at.tool(serial)).toMatchObject({ state: 'shelf', lossReported: true })
    expect(
      problem(
        await at.keeper.post(`/v1/warehouses/${at.warehouse}/tool-issues`, {
          technician: at.technician.person.username,
          tools: named([serial])
        })
      )
    ).toEqual([409, 'ToolHeld'])
    expect(must(await act(number, 'repaired'))).toMatchObject({ state: 'ended' })
    expect(
      await h.sql(`select credited from tool_compensation c join tool_loss l on l.id = c.loss_id where l.number = $1`, [
        number
      ])
    ).toEqual([{ credited: 'tool-repair' }])
    await at.issued([serial])
    expect(await placesOf(serial)).toEqual([
      'registered shelf',
      'issued custody',
      'returned shelf',
      'repaired shelf',
      'issued custody'
    ])
  })

  test('that cannot be repaired after all is scrapped by the same report, and what the repair cost counts towards it (R-TOOL-2)', async () => {
    const serial = await held()
    const { number } = await reported(serial, BROKEN)
    must(await act(number, 'taken-in'))
    must(await assess(number, { compensation: '120.50', compensationReason: '只赔修理费' }))
    await approved(number)
    // Whoever tries otherwise is told so.
    const again = await report(serial, { ...BROKEN, outcome: 'scrapped' }, at.keeper)
    expect(again.body).toMatchObject({ status: 409, code: 'ToolHeld', document: number })
    expect(again.body.detail).toContain(`POST /v1/tool-losses/${number}/repaired`)
    expect(again.body.detail).toContain(`PUT /v1/tool-losses/${number}/assessment with the outcome scrapped`)
    expect((await assess(number, { compensation: '1.00', compensationReason: '少赔' })).body).toMatchObject({
      code: 'LossNotOpen',
      detail: expect.stringContaining(`PUT /v1/tool-losses/${number}/assessment with the outcome scrapped`)
    })

    const { netValue } = must(await at.keeper.get(`/v1/tool-losses/${number}`))
    const scrapping = { outcome: 'scrapped' }
    expect(must(await assess(number, scrapping))).toMatchObject({
      state: 'reported',
      outcome: 'scrapped',
      compensation: netValue,
      repairGivenUp: { compensation: '120.50' },
      signatures: [],
      booked: [{ line: 1, amount: '120.50' }]
    })
    expect(problem(await assess(number, { outcome: 'repaired' }))).toEqual([422, 'RepairGivenUp'])
    expect(problem(await act(number, 'repaired'))).toEqual([409, 'NotInRepair'])

    // Refused, the repair goes on as it was decided.
    must(await sign(number, head, 'department-head', { decision: 'refuse', comment: '换一家再修' }))
    expect(must(await head.get(`/v1/tool-losses/${number}`))).toMatchObject({
      state: 'approved',
      outcome: 'repaired',
      compensation: '120.50',
      compensationReason: '只赔修理费',
      repairGivenUp: null
    })
    must(await assess(number, scrapping))
    expect(await approved(number)).toMatchObject({ state: 'ended' })
    expect(await at.tool(serial)).toMatchObject({ state: 'scrapped', lossReported: false })
    expect(
      await h.sql(
        `select line_no, amount::text, credited, (sum(amount) over ())::text as total from tool_compensation c join tool_loss l on l.id = c.loss_id where l.number = $1 order by 1`,
        [number]
      )
    ).toEqual([
      { line_no: 1, amount: '120.50', credited: 'tool-repair', total: netValue },
      { line_no: 2, amount: expect.any(String), credited: 'tool-disposal', total: netValue }
    ])
  })

  test('that is repaired where it is comes back from its technician', async () => {
    const serial = await held()
    const { number } = await reported(serial, BROKEN)
    await approved(number)
    must(await act(number, 'repaired'))
    expect(await at.tool(serial)).toMatchObject({ state: 'shelf', technician: null, lossReported: false })
  })

  test('that is scrapped leaves the living part of the register', async () => {
    const serial = await held()
    const { number } = await reported(serial, BROKEN)
    must(await assess(number, { outcome: 'scrapped' }))
    expect(await approved(number)).toMatchObject({ state: 'ended', outcome: 'scrapped' })
    expect((await at.tool(serial)).state).toBe('scrapped')
    expect(problem(await act(number, 'found'))).toEqual([409, 'NotLost'])
  })
})

describe('a lost tool that is found', () => {
  test('is back on the shelf, and what was compensated is taken back by a second line; the first stays', async () => {
    const serial = await held()
    const { number } = await reported(serial)
    expect(problem(await act(number, 'found'))).toEqual([409, 'NotLost'])
    expect(problem(await act(number, 'taken-in'))).toEqual([409, 'NothingToTakeIn'])
    await approved(number)
    h.clock.set('2026-12-03T10:00')
    for (const [by, code] of [
      [head, [403, 'DutyRequired']],
      [elsewhere.keeper, [404, 'NotFound']]
    ] as const)
      for (const what of ['found', 'repaired', 'taken-in']) expect(problem(await act(number, what, by))).toEqual(code)
    expect(must(await act(number, 'found', at.keeper, { note: '在客户仓库找到' })).state).toBe('found')
    expect(must(await finance.get(`/v1/tool-losses/${number}`))).toMatchObject({
      booked: [
        { line: 1, amount: '935.47', bookedOn: '2026-11-20' },
        { line: 2, amount: '-935.47', bookedOn: '2026-12-03' }
      ]
    })
    expect(problem(await act(number, 'found'))).toEqual([409, 'NotLost'])
    expect(await placesOf(serial)).toEqual(['registered shelf', 'issued custody', 'lost lost', 'found shelf'])
    await at.issued([serial])
  })
})

describe('the policy of tools', () => {
  const policy = { threshold: '8000.00', method: 'declining-balance', lifeMonths: 36, residualShare: '0.1' }
  const set = (by: Caller, from: string, what: object = policy) => by.put(`/v1/tool-policies/${from}`, what)
  const officer = async () => callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))

  test('holds for tools bought from its day on and never changes the past (R-TOOL-2, R-TOOL-4)', async () => {
    const hq = await officer()
    const old = await held()
    expect(must(await set(hq, '2026-12-01'))).toMatchObject({
      validFrom: '2026-12-01',
      state: 'scheduled',
      threshold: '8000.00',
      lifeMonths: 36,
      setBy: hq.person.username
    })
    // One that has not begun is replaced.
    must(await set(hq, '2026-12-01', { ...policy, threshold: '9000.00' }))
    h.clock.set('2027-12-20T10:00')
    const [fresh = ''] = await at.tools(1, { value: '8999.99', purchasedOn: '2026-12-02' })
    expect((await at.tool(fresh)).fixedAsset).toBe(false)
    // A year of three at two thirds: 8999.99 ⁄ 3.
    expect(must(await at.keeper.get(`/v1/tools/${fresh}/worth`))).toMatchObject({
      method: 'declining-balance',
      monthsUsed: 12,
      netValue: '3000.00'
    })
    expect(must(await at.keeper.get(`/v1/tools/${old}/worth?on=2026-11-20`)).netValue).toBe('935.47')
    expect(
      must(await at.technician.get('/v1/tool-policies')).items.map(({ validFrom, state }: any) => [validFrom, state])
    ).toEqual([
      ['2000-01-01', 'past'],
      ['2026-12-01', 'in-force']
    ])
    expect(problem(await set(hq, '2027-12-20'))).toEqual([422, 'PolicyInThePast'])
    expect(problem(await set(hq, '2026-12-01'))).toEqual([422, 'PolicyInThePast'])
  })

  test('is set by finance of the head office, everywhere', async () => {
    expect(problem(await set(finance, '2030-01-01'))).toEqual([403, 'DutyRequired'])
    const local = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance', warehouse: at.warehouse }] }))
    expect(problem(await set(local, '2030-01-01'))).toEqual([403, 'DutyRequired'])
  })

  test('reckons declining balances by whole years', async () => {
    expect(problem(await set(await officer(), '2030-01-01', { ...policy, lifeMonths: 40 }))).toEqual([
      422,
      'LifeNotWholeYears'
    ])
    const short = await set(await officer(), '2030-01-01', { ...policy, lifeMonths: 6 })
    expect(short.body.detail).toContain('give a life of 12 months, or straight-line')
    expect((await set(await officer(), '2030-01-01', { ...policy, residualShare: '1' })).status).toBe(400)
  })
})
