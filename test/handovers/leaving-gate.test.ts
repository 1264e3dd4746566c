import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { openLoaners } from '../loaners/loaners-counter.ts'
import { openTools } from '../tools/tools-counter.ts'
import { must, openHandingOver, type HandingOver } from './handing-over.ts'

let h: Harness
let administrator: Caller
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-11-20T10:00')
  administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
afterAll(() => h.close())

const codes = (answer: { status: number; body: any }) => [answer.status, answer.body.code]
const dutyOf = async (who: Caller) =>
  (
    await h.sql<{ id: number }>(
      `select id from duty_assignment where person_id = $1 and duty = 'keeper' and ended_at is null order by id`,
      [who.person.id]
    )
  ).map(({ id }) => id)
const end = (who: Caller, id: number | undefined, body: object = {}) =>
  administrator.post(`/v1/people/${who.person.username}/duties/${id}/end`, body)
const deactivate = (who: Caller) =>
  callsAs(h, administrator.person).patch(`/v1/people/${who.person.username}`, { active: false })
const give = async (who: Caller, body: object): Promise<number> =>
  must(await administrator.post(`/v1/people/${who.person.username}/duties`, { duty: 'keeper', ...body }), 201).id
const other = async (at: HandingOver) =>
  callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: at.warehouse }] }))

describe('until the handover is complete the role of the outgoing keeper cannot be ended (R-ORG-3)', () => {
  test('neither ended, nor shortened, nor the account closed, while goods lie there', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await other(at)
    const { number } = await at.drawUp()
    const [id] = await dutyOf(at.keeper)

    const refused = await end(at.keeper, id)
    expect(codes(refused)).toEqual([409, 'HandoverMissing'])
    expect(refused.body).toMatchObject({
      detail: `${at.keeper.person.username} is keeper of ${at.warehouse}, where goods or tools are kept, units are lent or slips are open; draw up a handover of each warehouse and have it signed, which ends the duty; one that was never used ends once another keeper is appointed for as long as it lasts`,
      open: [{ warehouse: at.warehouse, hasStock: true, openSlips: 0, loansOut: 0, tools: 0, handover: number }]
    })
    expect(codes(await end(at.keeper, id, { validTo: '2026-12-31' }))).toEqual([409, 'HandoverMissing'])
    expect(codes(await deactivate(at.keeper))).toEqual([409, 'HandoverMissing'])
    expect(await dutyOf(at.keeper)).toEqual([id])
  })

  test('a completed handover has ended it, and the account is closed', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await at.handOver()
    expect(await dutyOf(at.keeper)).toEqual([])
    expect((await deactivate(at.keeper)).status).toBe(200)
  })

  test('a stolen account is locked without a handover; the duty goes on, and the department head hands over for its keeper', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked()
    must(await administrator.post(`/v1/people/${at.keeper.person.username}/lock`, { reason: '账号被盗用' }), 200)
    expect(
      codes(
        await at.keeper.post(`/v1/warehouses/${at.warehouse}/slips`, {
          kind: 'issue',
          lines: [{ part: part.number, quantity: '1' }]
        })
      )
    ).toEqual([401, 'PersonLocked'])
    expect(await dutyOf(at.keeper)).toHaveLength(1)

    const head = at.signers['department-head']
    const { number } = await at.drawUp(
      { outgoing: at.keeper.person.username, absentBecause: '账号被盗用，已停用' },
      head
    )
    expect(codes(await head.post(`/v1/handovers/${number}/submission`))).toEqual([422, 'SupervisedCountMissing'])
  })

  test('a locked keeper is no other keeper, and takes nothing over', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await at.handOver()
    const second = await other(at)
    must(await administrator.post(`/v1/people/${second.person.username}/lock`, { reason: '账号被盗用' }), 200)
    expect(codes(await end(at.incoming, (await dutyOf(at.incoming))[0]))).toEqual([409, 'HandoverMissing'])
    expect(
      codes(
        await at.incoming.post(`/v1/warehouses/${at.warehouse}/handovers`, {
          incoming: second.person.username,
          because: '调任'
        })
      )
    ).toEqual([422, 'PersonLocked'])
  })

  test('an empty warehouse without open slips needs none; one open slip is enough to need it', async () => {
    const at = await openHandingOver(h)
    const [id] = await dutyOf(at.keeper)
    const { number } = await at.slip({
      kind: 'receipt',
      lines: [{ part: (await h.make.part()).number, quantity: '1', unitCost: '1' }]
    })
    const refused = await end(at.keeper, id)
    expect(refused.body).toMatchObject({ code: 'HandoverMissing', open: [{ hasStock: false, openSlips: 1 }] })

    must(await at.keeper.post(`/v1/slips/${number}/cancellation`, { reason: '作废' }), 200)
    expect((await end(at.keeper, id)).status).toBe(200)
  })

  test('a warehouse whose only unit is lent, or that keeps nothing but tools, needs one too (R-LOAN-2, R-TOOL-3)', async () => {
    const loaners = await openLoaners(h)
    const [serial = ''] = await loaners.units(1)
    await loaners.lent(serial)
    const lent = await end(loaners.keeper, (await dutyOf(loaners.keeper))[0])
    expect(lent.body).toMatchObject({
      code: 'HandoverMissing',
      open: [{ hasStock: false, openSlips: 0, loansOut: 1, tools: 0 }]
    })

    const tools = await openTools(h)
    await tools.tools(2)
    must(await end(tools.otherKeeper, (await dutyOf(tools.otherKeeper))[0]), 200)
    const kept = await end(tools.keeper, (await dutyOf(tools.keeper))[0])
    expect(kept.body).toMatchObject({ code: 'HandoverMissing', open: [{ hasStock: false, loansOut: 0, tools: 2 }] })
  })

  test('a duty given by mistake ends while another keeper is there, and not if nobody would be left', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const mistaken = callerFor(h, await h.make.person())
    const id = await give(mistaken, { warehouse: at.warehouse })
    expect((await end(mistaken, id)).status).toBe(200)

    await at.handOver()
    const [last] = await dutyOf(at.incoming)
    expect(codes(await end(at.incoming, last))).toEqual([409, 'HandoverMissing'])
  })

  test('whoever was keeper again after a handover hands over again', async () => {
    const at = await openHandingOver(h)
    const part = await at.stocked()
    await at.handOver()
    h.clock.advance({ minutes: 1 })
    const again = await give(at.keeper, { warehouse: at.warehouse })
    await at.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    expect(codes(await end(at.keeper, again))).toEqual([409, 'HandoverMissing'])
  })

  test('whoever took a warehouse over hands it over before they first write anything, whoever else is keeper', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await at.handOver()
    await other(at)
    const [id] = await dutyOf(at.incoming)
    expect(codes(await end(at.incoming, id))).toEqual([409, 'HandoverMissing'])
    expect(codes(await deactivate(at.incoming))).toEqual([409, 'HandoverMissing'])
  })

  test('what was done before the last handover is handed over: a duty that was not used since is ended', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    h.clock.advance({ minutes: 1 })
    await at.handOver()
    h.clock.advance({ minutes: 1 })
    const again = await give(at.keeper, { warehouse: at.warehouse })
    expect((await end(at.keeper, again)).status).toBe(200)
  })

  test('a keeper of a region keeps each warehouse by itself, and then hands it over', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const [{ region }] = await h.sql<{ region: string }>(
      'select region.code as region from warehouse join region on region.id = region_id where warehouse.id = $1',
      [at.warehouseId]
    )
    const wide = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', region }] }))
    const part = await h.make.part()
    must(
      await wide.post(`/v1/warehouses/${at.warehouse}/slips`, {
        kind: 'receipt',
        lines: [{ part: part.number, quantity: '1', unitCost: '1' }]
      }),
      201
    )
    const [id] = await dutyOf(wide)
    expect(codes(await end(wide, id))).toEqual([409, 'HandoverMissing'])

    await give(wide, { warehouse: at.warehouse })
    expect((await end(wide, id)).status).toBe(200)
    const { number } = must(
      await wide.post(`/v1/warehouses/${at.warehouse}/handovers`, {
        incoming: at.incoming.person.username,
        because: '调任'
      }),
      201
    )
    await at.submit(number, wide)
    must(await wide.post(`/v1/handovers/${number}/signatures`, { party: 'outgoing-keeper', decision: 'approve' }), 200)
    await at.signAll(number, ['incoming-keeper', 'department-head', 'finance-supervisor'])
    expect(await dutyOf(wide)).toEqual([])
  })

  test('duties other than keeper end as before', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const [{ id }] = await h.sql<{ id: number }>('select id from duty_assignment where person_id = $1', [
      at.technician.person.id
    ])
    expect((await end(at.technician, id)).status).toBe(200)
    expect((await deactivate(at.technician)).status).toBe(200)
  })
})

describe('a warehouse with goods is never without an acting keeper (R-ORG-3)', () => {
  const keepers = (at: HandingOver) =>
    h.sql<{ id: number }>(
      `select person_id as id from duty_assignment where warehouse_id = $1 and duty = 'keeper' and ended_at is null and valid_to is null`,
      [at.warehouseId]
    )

  test('the incoming keeper who already is keeper for some days gets the duty without an end', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await give(at.incoming, { warehouse: at.warehouse, validTo: '2026-11-25' })
    await at.handOver()
    expect(await keepers(at)).toEqual([{ id: at.incoming.person.id }])
  })

  test('the incoming keeper who is keeper without an end gets no second duty', async () => {
    const at = await openHandingOver(h)
    await give(at.incoming, { warehouse: at.warehouse })
    await at.handOver()
    expect(await keepers(at)).toEqual([{ id: at.incoming.person.id }])
  })

  test('two handovers that cross leave a keeper, whichever takes effect first', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    const second = await other(at)
    const there = await at.drawUp({ incoming: second.person.username })
    const back = must(
      await second.post(`/v1/warehouses/${at.warehouse}/handovers`, {
        incoming: at.keeper.person.username,
        because: '换岗'
      }),
      201
    )
    await at.submit(there.number)
    await at.submit(back.number, second)
    const sign = (as: Caller, number: string, party: string) =>
      as.post(`/v1/handovers/${number}/signatures`, { party, decision: 'approve' })
    for (const number of [there.number, back.number]) {
      must(await sign(at.signers['department-head'], number, 'department-head'), 200)
      must(await sign(at.signers['finance-supervisor'], number, 'finance-supervisor'), 200)
    }
    must(await sign(at.keeper, there.number, 'outgoing-keeper'), 200)
    must(await sign(second, back.number, 'outgoing-keeper'), 200)

    const last = await Promise.all([
      sign(second, there.number, 'incoming-keeper'),
      sign(at.keeper, back.number, 'incoming-keeper')
    ])

    expect(last.map(({ status }) => status)).toContain(200)
    expect((await keepers(at)).length).toBeGreaterThan(0)
  })

  test('two keepers who were given the duty by mistake do not both lose it at once', async () => {
    const at = await openHandingOver(h)
    await at.stocked()
    await h.sql('alter table duty_assignment disable trigger user')
    await h.sql('delete from duty_assignment where person_id = $1', [at.keeper.person.id])
    await h.sql('alter table duty_assignment enable trigger user')
    const [first, second] = [await other(at), await other(at)]
    const ids = [...(await dutyOf(first)), ...(await dutyOf(second))]
    const answers = await Promise.all([end(first, ids[0]), end(second, ids[1])])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    expect(await keepers(at)).toHaveLength(1)
  })
})
