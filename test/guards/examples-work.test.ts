import { afterAll, beforeAll, expect, test } from 'vitest'
import { DUTIES } from '../../src/identity/actor.ts'
import { refreshTokenHash } from '../../src/identity/refresh-tokens.ts'
import { sweepOldPartsNightly } from '../../src/old-parts/old-parts.jobs.ts'
import { sweepBackorders } from '../../src/requests/backorders.jobs.ts'
import { loadSample } from '../../src/sample/load-sample.ts'
import { openCounting, type Counting } from '../counts/counting.ts'
import { counterOf, SIGNERS, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { runJob } from '../support/relay.ts'
import { firstOfStream } from '../support/streams.ts'

// Whoever copies an example out of the documentation sends it to the sample company. Each is sent there, byte for byte; only
// documents and people that an example is about are made before it, in the state it needs.

let h: Harness
let hq: Counter
let token: string
/** The issuer of keys, delegations and passwords in the examples. */
let keeper: Counter['keeper']

interface Operation {
  id: string
  method: string
  url: string
  type: string
  example: unknown
}
let operations: Operation[]

const PART = 'CH-0234'
const PASSWORD = 'correct horse battery staple'

beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-11-20T10:00')
  operations = Object.entries(h.app.swagger().paths ?? {}).flatMap(([url, methods]) =>
    Object.entries(
      methods as Record<
        string,
        { operationId: string; requestBody?: { content: Record<string, { example?: unknown }> } }
      >
    ).flatMap(([method, { operationId, requestBody }]) =>
      Object.entries(requestBody?.content ?? {}).map(([type, { example }]) => ({
        id: operationId,
        method,
        url,
        type,
        example
      }))
    )
  )
  await loadSample(h.runtime, { password: PASSWORD, log: h.app.log })
  hq = await counterOf(h, 'HQ', PASSWORD)
  keeper = hq.keeper
  token = (await h.make.person({ grants: DUTIES.map((duty) => ({ duty })) })).token
}, 120_000)
afterAll(() => h.close())

const issue = { kind: 'issue', lines: [{ part: PART, quantity: '1' }] }
const number = async (body: object = issue) => (await hq.slip(body)).number as string
const by = (who: string, method: 'post' | 'put', path: string, body: object) =>
  h.api[method](path).auth(who, { type: 'bearer' }).send(body)

/** A count of one line in a warehouse of its own, which is counted as `counted` if that is said. */
async function countOfOne(
  counted?: string
): Promise<{ at: Counting; number: string; keeper: string; finance: string }> {
  const at = await openCounting(h)
  const { number: part } = await at.stocked()
  const { number: opened } = await at.open({ kind: 'cycle', parts: [part] })
  if (counted !== undefined) await at.count(opened, [{ line: 1, counted }])
  return {
    at,
    number: opened,
    keeper: at.keeper.person.token,
    finance: at.signers['finance-supervisor'].person.token
  }
}

let proposals = 0
/** A proposal to order something for the head office, past the computation; in a month of its own. */
async function proposal(): Promise<string> {
  const proposed = `HQ-PRO-202001-${String(++proposals).padStart(5, '0')}`
  await h.sql(
    `insert into reorder_proposal (warehouse_id, number, kind, short_part_id, part_id, quantity, proposed_at, available, on_order, reorder_point, order_up_to, evidence)
     select w.id, $1, 'order', part.id, part.id, 5, now(), 0, 0, 2, 5, $2 from warehouse w, part where w.code = 'HQ' and part.number = $3`,
    [proposed, JSON.stringify(NOTHING_FOUND), (await h.make.part()).number]
  )
  return proposed
}
const NOTHING_FOUND = {
  searchedOn: '2026-11-20',
  holdingMonths: 3,
  need: '5',
  fromSubstitutesHere: '0',
  fromNetwork: '0',
  toOrder: '5',
  substitutesHere: [],
  asked: [],
  notListed: 0,
  othersHolding: 0,
  packSize: null,
  supplier: null
}

/** An accepted order of a part that one supplier delivers at a standard cost. */
async function acceptedOrder(): Promise<void> {
  const ordered = await proposal()
  const [{ part }] = await h.sql<{ part: string }>(
    `with priced as (update part set standard_cost = 2 from reorder_proposal p where p.number = $1 and part.id = p.part_id returning part.number)
     select number as part from priced`,
    [ordered]
  )
  const { code } = await h.make.supplier({ parts: [part] })
  const body = { supplier: code }
  await h.api.post(`/v1/reorder/proposals/${ordered}/acceptance`).auth(token, { type: 'bearer' }).send(body)
}

/** A purchase plan of one line, written by somebody else than who sends the examples. */
async function purchasePlan(state: 'draft' | 'awaiting-signatures'): Promise<string> {
  await acceptedOrder()
  const planner = await h.make.person({ grants: [{ duty: 'purchaser' }] })
  const { body } = await by(planner.token, 'post', '/v1/purchase-plans', { period: '2026-12' })
  if (state !== 'draft') await by(planner.token, 'post', `/v1/purchase-plans/${body.number}/submission`, {})
  return String(body.number)
}

/** A running recall of a part that lies in the head office alone, opened by somebody else than who sends the examples. */
async function recallOfHq(): Promise<string> {
  const { number: part } = await hq.stocked()
  const controller = await h.make.person({ grants: [{ duty: 'stock-controller' }] })
  const scopes = [{ part }]
  const { body } = await by(controller.token, 'post', '/v1/recalls', { title: '漏氟', reason: '焊缝不良', scopes })
  return String(body.number)
}

/** The same with a proposal to lift it. */
async function liftedRecallOfHq(): Promise<string> {
  const recall = await recallOfHq()
  const controller = await h.make.person({ grants: [{ duty: 'stock-controller' }] })
  await by(controller.token, 'post', `/v1/recalls/${recall}/lifting`, { reason: '复检合格' })
  return recall
}

/** What must be there before an example works; answers the path where it is not that of the document's own examples, and who sends it. */
let units = 0
/** A loaner unit of the head office, in service. */
async function loaner(): Promise<string> {
  await h.sql(
    `insert into part (number, name, standard_cost, loaner_family) values ('WM-LOAN-8', 'Loaner', 1000, 'WM-8') on conflict do nothing`
  )
  const serial = `BY-EXAMPLE-${++units}`
  const { body } = await keeper.post('/v1/warehouses/HQ/loaners', {
    kind: 'opening',
    units: [{ serial, model: 'WM-LOAN-8', accessories: ['power cord'] }]
  })
  await hq.signAndPost(body.slip)
  return serial
}
/** One that is out on loan. */
async function loan(): Promise<string> {
  const { body } = await keeper.post(`/v1/loaners/${await loaner()}/loans`, {
    repairOrder: 'RO-2026-0815',
    receiptNumber: `JT-EXAMPLE-${units}`,
    dueOn: '2026-12-04',
    condition: '完好'
  })
  await hq.signAndPost(body.outSlip)
  return body.number as string
}
/** A path under a unit, or under its loan, for the keeper. */
const ofUnit = async (what = '') => ({ path: `/v1/loaners/${await loaner()}${what}`, token: keeper.person.token })
const ofLoan = async (what: string) => ({ path: `/v1/loans/${await loan()}${what}`, token: keeper.person.token })

/** The tool that examples name, on the shelf of the head office; what had its number before has another one now. */
const TOOL = 'GJ-2026-00031'
async function tool(): Promise<string> {
  await h.sql(`update tool set serial = serial || '-' || id where serial = $1`, [TOOL])
  const tools = [{ serial: TOOL, name: 'Meter', value: '1280.00', purchasedOn: '2026-03-02', calibrationMonths: 12 }]
  await keeper.post('/v1/warehouses/HQ/tools', { tools })
  return TOOL
}
/** It is issued: the paper, and the technician who signs it. */
async function toolIssue(): Promise<{ number: string; token: string }> {
  const technician = await h.make.person({ grants: [{ duty: 'technician', warehouse: 'HQ' }] })
  const tools = [{ serial: await tool() }]
  const { body } = await keeper.post('/v1/warehouses/HQ/tool-issues', { technician: technician.username, tools })
  return { number: String(body.number), token: technician.token }
}
/** The technician of the examples has it in custody. */
async function toolInCustody(): Promise<void> {
  const technician = await h.api.post('/v1/auth/tokens').send({ username: 'technician@hq', password: PASSWORD })
  const body = { technician: 'technician@hq', tools: [{ serial: await tool() }] }
  const issued = await keeper.post('/v1/warehouses/HQ/tool-issues', body)
  await by(String(technician.body.accessToken), 'post', `/v1/tool-documents/${issued.body.number}/signature`, {})
}
const byKeeper = (path: string) => ({ path, token: keeper.person.token })

const BEFORE: Record<string, () => Promise<{ path?: string; token?: string } | void>> = {
  refreshToken: () => refreshTokenOf('bcr_q0d3mXxS1…'),
  revokeToken: () => refreshTokenOf('bcr_q0d3mXxS1…'),
  changePassword: async () => ({ token: (await personWithPassword()).token }),
  updatePerson: async () => ({ path: `/v1/people/${(await h.make.person()).username}` }),
  setPassword: async () => ({ path: `/v1/people/${(await h.make.person()).username}/password` }),
  lockAccount: async () => ({ path: `/v1/people/${(await h.make.person()).username}/lock` }),
  assignDuty: async () => ({ path: `/v1/people/${(await h.make.person()).username}/duties` }),
  endDuty: async () => {
    const { username } = await h.make.person()
    const { body } = await by(token, 'post', `/v1/people/${username}/duties`, { duty: 'keeper', warehouse: 'HQ' })
    return { path: `/v1/people/${username}/duties/${body.id}/end` }
  },
  delegateDuties: async () => ({ token: keeper.person.token }),
  endDelegation: async () => {
    const { body } = await keeper.post('/v1/delegations', {
      to: (await h.make.person()).username,
      validTo: '2026-12-31',
      reason: 'x'
    })
    return { path: `/v1/delegations/${body.id}/end` }
  },
  issueApiKey: async () => ({ token: keeper.person.token }),
  endSupersession: async () => ({ path: `/v1/parts/${PART}/supersessions/CH-0235/ending` }),
  // A part that is controlled in the sample.
  approveControlledPart: async () => ({ path: '/v1/parts/FR-M94B-38/controlled-approvals' }),
  moveWarehouse: async () => ({ path: '/v1/warehouses/GZ11/move' }),
  renameWarehouse: async () => ({ path: '/v1/warehouses/GZ11/renaming' }),
  closePeriod: async () => ({ path: '/v1/warehouses/HQ/periods/2026-10/closing' }),
  closeWarehouse: async () => ({ path: `/v1/warehouses/${(await h.make.warehouse()).code}/closing` }),
  createSlip: async () => ({ token: keeper.person.token }),
  amendSlip: async () => ({ path: `/v1/slips/${await number()}`, token: keeper.person.token }),
  signSlip: async () => ({
    path: `/v1/slips/${await number()}/signatures`,
    token: hq.signers['finance-supervisor'].person.token
  }),
  signSlips: async () => ({ token: hq.signers['finance-supervisor'].person.token }),
  cancelSlip: async () => ({ path: `/v1/slips/${await number()}/cancellation`, token: keeper.person.token }),
  refuseRelease: async () => {
    const slip = await number()
    await hq.sign(slip)
    return { path: `/v1/slips/${slip}/release-refusal`, token: keeper.person.token }
  },
  postSlip: async () => {
    const slip = await number()
    await hq.sign(slip)
    return { path: `/v1/slips/${slip}/posting`, token: keeper.person.token }
  },
  releaseSlipInEmergency: async () => {
    const slip = await number()
    await hq.sign(slip, SIGNERS.slice(0, 2))
    return { path: `/v1/slips/${slip}/emergency-release`, token: keeper.person.token }
  },
  reverseSlip: async () => ({
    path: `/v1/slips/${(await hq.posted(issue)).number}/reversal`,
    token: keeper.person.token
  }),
  settleQualityReport: async () => {
    const { qualityReports } = await hq.posted({
      kind: 'receipt',
      lines: [{ part: PART, quantity: '1', expectedQuantity: '2', unitCost: '1' }]
    })
    return {
      path: `/v1/quality-reports/${qualityReports[0]}/settlement`,
      token: hq.signers['finance-supervisor'].person.token
    }
  },
  setSigningPolicy: async () => ({ path: '/v1/signing-policies/issue' }),
  withdrawDepreciationPolicy: async () => {
    const effectiveFrom = '2028-01'
    await by(token, 'post', '/v1/depreciation-policies', {
      effectiveFrom,
      graceMonths: 3,
      rate: '0.1',
      chargeCount: 10
    })
    return { path: `/v1/depreciation-policies/${effectiveFrom}/withdrawal` }
  },
  setJournalAccounts: async () => ({ path: '/v1/journal-accounts/HQ' }),
  registerLoaners: async () => {
    await loaner()
    return { path: '/v1/warehouses/HQ/loaners', token: keeper.person.token }
  },
  importLoaners: async () => {
    await loaner()
  },
  updateLoaner: () => ofUnit(),
  lendLoaner: () => ofUnit('/loans'),
  reserveLoaner: () => ofUnit('/reservation'),
  sendLoanerToRepair: () => ofUnit('/repair'),
  reportLoanerRepaired: async () => {
    const { path, token: lender } = await ofUnit()
    await keeper.post(`${path}/repair`, { reason: 'x' })
    return { path: `${path}/repair-return`, token: lender }
  },
  retireLoaner: () => ofUnit('/retirement'),
  transferLoaner: () => ofUnit('/transfer'),
  receiveLoaner: async () => {
    const { path } = await ofUnit()
    const { body } = await keeper.post(`${path}/transfer`, { to: 'SZ01', reason: 'x' })
    await hq.signAndPost(body.pendingSlip)
    return { path: `${path}/arrival` }
  },
  extendLoan: () => ofLoan('/extension'),
  returnLoaner: () => ofLoan('/return'),
  forgetCustomer: async () => {
    const { path, token: lender } = await ofLoan('')
    const { body } = await keeper.post(`${path}/return`, { outcome: 'usable', condition: 'x' })
    await hq.signAndPost(body.inSlip)
    return { path: `${path}/forget-customer`, token: lender }
  },
  recordCustomer: () => ofLoan('/customer'),
  reportRepairReady: () => ofLoan('/repair-ready'),
  answerNotice: async () => {
    const { path, token: lender } = await ofLoan('')
    await keeper.post(`${path}/repair-ready`)
    return { path: `${path}/notice-answer`, token: lender }
  },
  drawUpHandover: async () => ({ token: keeper.person.token }),
  amendHandover: async () => {
    const { path, token: drawer } = await handover()
    return { path, token: drawer }
  },
  signHandover: async () => {
    const { at, path, token: drawer } = await handover()
    await by(drawer, 'post', `${path}/submission`, {})
    return { path: `${path}/signatures`, token: at.signers['department-head'].person.token }
  },
  cancelHandover: async () => {
    const { path, token: drawer } = await handover()
    return { path: `${path}/cancellation`, token: drawer }
  },
  setLoanerModel: async () => ({ path: `/v1/loaner-models/${(await h.make.part()).number}` }),
  setLoanerTarget: async () => ({ path: '/v1/loaner-targets/WM-8' }),
  registerTools: async () => {
    await tool()
    await h.sql(`update tool set serial = serial || '-' || id where serial = $1`, [TOOL])
    return byKeeper('/v1/warehouses/HQ/tools')
  },
  updateTool: async () => byKeeper(`/v1/tools/${await tool()}`),
  recordCalibration: async () => byKeeper(`/v1/tools/${await tool()}/calibrations`),
  correctCalibration: async () => {
    const path = `/v1/tools/${await tool()}/calibrations`
    await keeper.post(path, { calibratedOn: '2026-11-18', certificate: 'JL-2026-118' })
    return byKeeper(`${path}/2026-11-18/correction`)
  },
  issueTools: async () => {
    await tool()
    return byKeeper('/v1/warehouses/HQ/tool-issues')
  },
  returnTools: async () => {
    await toolInCustody()
    return byKeeper('/v1/warehouses/HQ/tool-returns')
  },
  handOverTools: async () => {
    await toolInCustody()
    await h.make.person({ username: 'second-technician@hq', grants: [{ duty: 'technician', warehouse: 'HQ' }] })
    return byKeeper('/v1/warehouses/HQ/tool-hand-overs')
  },
  transferTools: async () => {
    await tool()
    return byKeeper('/v1/warehouses/HQ/tool-transfers')
  },
  returnAllTools: async () => {
    await toolInCustody()
    return byKeeper('/v1/technicians/technician@hq/return-all')
  },
  setToolKit: async () => {
    await tool()
    return byKeeper('/v1/warehouses/HQ/tool-kits/KIT-AC-1')
  },
  signToolDocument: async () => {
    const { number: drawn, token: signer } = await toolIssue()
    return { path: `/v1/tool-documents/${drawn}/signature`, token: signer }
  },
  refuseToolDocument: async () => {
    const { number: drawn, token: signer } = await toolIssue()
    return { path: `/v1/tool-documents/${drawn}/refusal`, token: signer }
  },
  reportToolLoss: async () => byKeeper(`/v1/tools/${await tool()}/losses`),
  assessToolLoss: async () => ({
    path: `/v1/tool-losses/${await toolLossInCustody({ kind: 'lost' })}/assessment`,
    token: hq.signers['department-head'].person.token
  }),
  signToolLoss: async () => ({
    path: `/v1/tool-losses/${await toolLoss({ kind: 'lost' })}/signatures`,
    token: hq.signers['department-head'].person.token
  }),
  withdrawToolLoss: async () => byKeeper(`/v1/tool-losses/${await toolLoss({ kind: 'lost' })}/withdrawal`),
  takeInDamagedTool: async () => byKeeper(`/v1/tool-losses/${await toolLossInCustody(BROKEN_TOOL)}/taken-in`),
  reportToolRepaired: async () =>
    byKeeper(`/v1/tool-losses/${await toolLoss(BROKEN_TOOL, { isApproved: true })}/repaired`),
  reportToolFound: async () =>
    byKeeper(`/v1/tool-losses/${await toolLoss({ kind: 'lost' }, { isApproved: true })}/found`),
  setToolPolicy: async () => ({ path: '/v1/tool-policies/2030-01-01' }),
  openCustodyRound: async () => {
    await custodyRound()
    await h.sql(`update custody_round set state = 'closed', closed_by = 0, closed_at = now() where state = 'open'`)
    return byKeeper('/v1/warehouses/HQ/custody-rounds')
  },
  confirmCustody: async () => {
    const { body } = await h.api.post('/v1/auth/tokens').send({ username: 'technician@hq', password: PASSWORD })
    return { path: `/v1/custody-rounds/${await custodyRound()}/confirmation`, token: String(body.accessToken) }
  },
  closeCustodyRound: async () => {
    const round = await custodyRound()
    await h.sql(`update custody_round_line set answered_at = now()`)
    return byKeeper(`/v1/custody-rounds/${round}/closing`)
  },
  cancelToolDocument: async () => byKeeper(`/v1/tool-documents/${(await toolIssue()).number}/cancellation`),
  openCount: async () => ({ path: `/v1/warehouses/${(await openCounting(h)).warehouse}/counts` }),
  recordCounts: async () => {
    const count = await countOfOne()
    return { path: `/v1/counts/${count.number}/entries`, token: count.keeper }
  },
  importCounts: async () => {
    const count = await countOfOne()
    return { path: `/v1/counts/${count.number}/entries/csv`, token: count.keeper }
  },
  addFoundGoods: async () => {
    const count = await countOfOne()
    return { path: `/v1/counts/${count.number}/lines`, token: count.keeper }
  },
  explainVariances: async () => {
    const count = await countOfOne('9')
    return { path: `/v1/counts/${count.number}/explanations`, token: count.keeper }
  },
  verifyVariances: async () => {
    const { at, number: counted, finance } = await countOfOne('9')
    const lines = [{ line: 1, cause: 'damage', evidence: 'photograph 7' }]
    await at.keeper.post(`/v1/counts/${counted}/explanations`, { lines })
    return { path: `/v1/counts/${counted}/verifications`, token: finance }
  },
  setAsideLines: async () => {
    const count = await countOfOne()
    return { path: `/v1/counts/${count.number}/set-aside`, token: count.finance }
  },
  signCount: async () => {
    const { at, number: counted, finance } = await countOfOne('10')
    await at.submit(counted)
    return { path: `/v1/counts/${counted}/signatures`, token: finance }
  },
  cancelCount: async () => {
    const count = await countOfOne()
    return { path: `/v1/counts/${count.number}/cancellation`, token: count.finance }
  },
  sendCountReport: async () => {
    const { at, number: counted, keeper: sender } = await countOfOne('10')
    await at.submit(counted)
    return { path: `/v1/counts/${counted}/report`, token: sender }
  },
  setCountTolerance: async () => ({ path: '/v1/count-tolerances/A' }),
  acknowledgeAlert: async () => ({ path: `/v1/alerts/${await alertOfHq()}/acknowledgement` }),
  setAlertPolicy: async () => ({ path: '/v1/alert-policies/late-signature' }),
  setServiceTarget: async () => ({ path: '/v1/reorder/service-targets/A' }),
  setReorderPolicy: async () => ({ path: await policyPath() }),
  withdrawReorderPolicy: async () => {
    const path = await policyPath()
    await by(token, 'put', path, { kind: 'computed', leadTimeDays: 14 })
    return { path: `${path}/withdrawal` }
  },
  setCalendarYear: async () => ({ path: '/v1/calendar/years/2027' }),
  endExpectedReceipt: async () => {
    await h.sql(
      `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, opened_at, opened_by)
       select warehouse.id, part.id, 'purchase', 'HQ-PLN-202611-00001', 1, 10, now(), 0 from warehouse, part where code = 'HQ' and number = $1`,
      [PART]
    )
    return { path: '/v1/warehouses/HQ/expected-receipts/HQ-PLN-202611-00001/lines/1/ending' }
  },
  acceptProposal: async () => ({ path: `/v1/reorder/proposals/${await proposal()}/acceptance` }),
  rejectProposal: async () => ({ path: `/v1/reorder/proposals/${await proposal()}/rejection` }),
  retryMail: async () => ({ path: `/v1/mails/${await deadMail()}/retry` }),
  updateWebhook: async () => ({ path: `/v1/webhooks/${(await webhookOfHq()).id}` }),
  rotateWebhookSecret: async () => ({ path: `/v1/webhooks/${(await webhookOfHq()).id}/secret-rotation` }),
  pingWebhook: async () => ({ path: `/v1/webhooks/${(await webhookOfHq()).id}/ping` }),
  replayWebhook: async () => ({ path: `/v1/webhooks/${(await webhookOfHq()).id}/replay` }),
  redeliverWebhook: async () => {
    const { id, delivery } = await webhookOfHq()
    return { path: `/v1/webhooks/${id}/deliveries/${delivery}/redelivery` }
  },
  dispatchTransfer: async () => ({ path: `/v1/transfers/${await transfer('ordered')}/out-slip` }),
  receiveTransfer: async () => ({ path: `/v1/transfers/${await transfer('sent')}/in-slip` }),
  callBackTransfer: async () => ({ path: `/v1/transfers/${await transfer('sent')}/call-back` }),
  cancelTransfer: async () => ({ path: `/v1/transfers/${await transfer('ordered')}/cancellation` }),
  closeTransfer: async () => ({ path: `/v1/transfers/${await transfer('sent')}/closing` }),
  decideTransferClaim: async () => ({ path: `/v1/transfers/${await transfer('claimed')}/claims/1/decision` }),
  enterTransferTransport: async () => ({ path: `/v1/transfers/${await transfer('sent')}/transport` }),
  answerRecall: async () => ({ path: `/v1/recalls/${await recallOfHq()}/warehouses/HQ/answers` }),
  returnRecalledGoods: async () => ({ path: `/v1/recalls/${await recallOfHq()}/return-slips` }),
  liftRecall: async () => ({ path: `/v1/recalls/${await recallOfHq()}/lifting` }),
  closeRecall: async () => {
    const { number: part } = await hq.stocked({ quantity: '1' })
    await hq.posted({ kind: 'issue', lines: [{ part, quantity: '1' }] })
    const scopes = [{ part }]
    const { body } = await by(token, 'post', '/v1/recalls', { title: '漏氟', reason: '焊缝不良', scopes })
    return { path: `/v1/recalls/${body.number}/closing` }
  },
  signRecall: async () => ({ path: `/v1/recalls/${await liftedRecallOfHq()}/signatures` }),
  cancelRecall: async () => ({ path: `/v1/recalls/${await liftedRecallOfHq()}/cancellation` }),
  createPurchasePlan: async () => {
    await acceptedOrder()
  },
  amendPurchasePlan: async () => ({ path: `/v1/purchase-plans/${await purchasePlan('draft')}` }),
  submitPurchasePlan: async () => ({ path: `/v1/purchase-plans/${await purchasePlan('draft')}/submission` }),
  signPurchasePlan: async () => {
    const submitted = await purchasePlan('awaiting-signatures')
    return {
      path: `/v1/purchase-plans/${submitted}/signatures`,
      token: (await h.make.person({ grants: [{ duty: 'hq-finance' }] })).token
    }
  },
  cancelPurchasePlan: async () => ({ path: `/v1/purchase-plans/${await purchasePlan('draft')}/cancellation` }),
  cancelRequest: async () => ({ path: `/v1/requests/${await request()}/cancellation` }),
  changeNeedBy: async () => ({ path: `/v1/requests/${await request()}/need-by` }),
  writeIssueSlip: async () => ({ path: `/v1/requests/${await request()}/issue-slip` }),
  answerBackorder: async () => ({ path: `/v1/backorders/${await backorder()}/answer` }),
  confirmBackorder: async () => ({ path: `/v1/backorders/${await backorder({ hasCome: true })}/confirmation` }),
  openDeposit: async () => ({ path: `/v1/deposits/${await depositOf(null)}` }),
  increaseDeposit: async () => ({ path: `/v1/deposits/${await depositOf('0.00')}/increases` }),
  decreaseDeposit: async () => ({ path: `/v1/deposits/${await depositOf('20000.00')}/decreases` }),
  setDepositLowLimit: async () => ({ path: `/v1/deposits/${await depositOf('0.00')}/low-limit` }),
  grantDepositWaiver: async () => ({ path: `/v1/deposits/${await depositOf('0.00')}/waivers` }),
  endDepositWaiver: async () => {
    const waivers = `/v1/deposits/${await depositOf('0.00')}/waivers`
    const { body } = await by(token, 'post', waivers, { amount: '1.00', reason: 'x', validTo: '2026-12-31' })
    return { path: `${waivers}/${body.id}/ending` }
  },
  returnOldParts: async () => {
    await oldPart()
  },
  refurbishOldParts: async () => {
    await oldPart()
    const lines = [{ part: PART, grade: 'repairable' }]
    const { body } = await by(token, 'post', '/v1/old-parts/returns', { warehouse: 'HQ', from: 'SZ01', lines })
    await hq.signAndPost(body.slip, { deliveredBy: 'Li' })
  },
  proposeOldPartWriteOff: async () => ({ path: `/v1/old-parts/${await oldPart()}/write-off` }),
  approveOldPartWriteOff: async () => ({
    path: `/v1/old-parts/${await oldPart({ isProposed: true })}/write-off/approval`
  }),
  cancelOldPartWriteOff: async () => ({
    path: `/v1/old-parts/${await oldPart({ isProposed: true })}/write-off/cancellation`
  }),
  updateRegion: async () => ({ path: '/v1/regions/EAST' }),
  updateSupplier: async () => ({ path: `/v1/suppliers/${(await h.make.supplier()).code}` }),
  updateWarehouse: async () => ({ path: '/v1/warehouses/HQ' })
}

/** The draft of a handover of a warehouse of its own. */
async function handover(): Promise<{ at: Counting; path: string; token: string }> {
  const at = await openCounting(h)
  const { token: drawer } = at.keeper.person
  const { username } = await h.make.person()
  const { body } = await by(drawer, 'post', `/v1/warehouses/${at.warehouse}/handovers`, {
    incoming: username,
    because: 'x'
  })
  return { at, path: `/v1/handovers/${body.number}`, token: drawer }
}

/** A transfer of three pieces from the head office to SZ01; two of them are sent, or one of these is missing there. */
async function transfer(state: 'ordered' | 'sent' | 'claimed'): Promise<string> {
  const { number: part } = await hq.stocked()
  const lines = [{ part, quantity: '3' }]
  const ordered = { from: 'HQ', to: 'SZ01', lines, because: 'x' }
  const { body } = await by(token, 'post', '/v1/transfers', ordered)
  const path = `/v1/transfers/${body.number}`
  if (state === 'ordered') return String(body.number)
  const out = await by(keeper.person.token, 'post', `${path}/out-slip`, { lines: [{ line: 1, quantity: '2' }] })
  await hq.signAndPost(out.body.slip.number)
  if (state === 'sent') return String(body.number)
  const centre = await counterOf(h, 'SZ01', PASSWORD)
  const arrived = [{ line: 1, quantity: '1', missing: '1', responsible: 'carrier' }]
  const into = await by(centre.keeper.person.token, 'post', `${path}/in-slip`, { lines: arrived })
  await centre.signAndPost(into.body.slip.number)
  return String(body.number)
}

/** A report about the tool that examples name, written by the keeper; perhaps decided. */
async function toolLoss(what: object, { isApproved = false } = {}): Promise<string> {
  const { body } = await keeper.post(`/v1/tools/${await tool()}/losses`, { cause: '跌落', ...what })
  if (isApproved)
    for (const duty of ['department-head', 'finance-supervisor'] as const)
      await hq.signers[duty].post(`/v1/tool-losses/${body.number}/signatures`, { duty, decision: 'approve' })
  return String(body.number)
}
/** The same of a tool that a technician holds, so that somebody compensates it. */
async function toolLossInCustody(what: object): Promise<string> {
  await toolInCustody()
  const { body } = await keeper.post(`/v1/tools/${TOOL}/losses`, { cause: '跌落', ...what })
  return String(body.number)
}
const BROKEN_TOOL = { kind: 'damaged', outcome: 'repaired' }

/** A custody round of the head office that asks its technician. */
async function custodyRound(): Promise<string> {
  await h.sql(
    `update custody_round set state = 'closed', closed_by = 0, closed_at = now() where state = 'open' and warehouse_id = (select id from warehouse where code = 'HQ')`
  )
  await toolInCustody()
  const { body } = await keeper.post('/v1/warehouses/HQ/custody-rounds', { dueOn: '2026-12-04' })
  return String(body.number)
}

/** Of a part that nothing replaces and that may be bought. */
const policyPath = async () => `/v1/reorder/policies/HQ/parts/${(await h.make.part()).number}`

/** A request of SZ01 for something that the head office has. */
async function request(): Promise<string> {
  const { number: part } = await hq.stocked()
  const lines = [{ part, quantity: '1' }]
  const asked = { warehouse: 'SZ01', urgency: 'normal', needBy: '2026-12-31', lines }
  return String((await by(token, 'post', '/v1/requests', asked)).body.number)
}

/** What an outlet waits for, of a part of its own; perhaps it has come to the head office. */
async function backorder({ hasCome = false } = {}): Promise<string> {
  const { code } = await h.make.warehouse({ parent: 'SZ01' })
  const { number: part } = await h.make.part()
  const lines = [{ part, quantity: '1' }]
  const asked = { warehouse: code, urgency: 'normal', needBy: '2026-12-31', lines }
  const { body } = await by(token, 'post', '/v1/requests', asked)
  if (hasCome) {
    await hq.posted({ kind: 'receipt', lines: [{ part, quantity: '1', unitCost: '1' }] })
    await runJob(h, sweepBackorders)
  }
  return String(body.lines[0].backorder.number)
}

/** An outlet, and what it paid in; null: it has no deposit. */
async function depositOf(paidIn: string | null): Promise<string> {
  const { code } = await h.make.warehouse({ parent: 'SZ01' })
  if (paidIn !== null) await by(token, 'post', `/v1/deposits/${code}`, { lowLimit: '0.00' })
  if (Number(paidIn) > 0) await by(token, 'post', `/v1/deposits/${code}/increases`, { amount: paidIn, paper: 'BANK-1' })
  return code
}

/** What SZ01 owes for an exchange part that the head office issued to it; perhaps the keeper there proposed to write it off. */
async function oldPart({ isProposed = false } = {}): Promise<string> {
  await h.sql(`update part set exchange_due_days = 30, exchange_since = '2000-01-01' where number = $1`, [PART])
  const { number: slip } = await hq.posted({ ...issue, purpose: 'outlet', counterparty: 'SZ01' })
  await runJob(h, sweepOldPartsNightly)
  const [{ number: owed }] = await h.sql<{ number: string }>(
    `select o.number from old_part o join slip s on s.warehouse_id = o.issued_by and s.id = o.slip_id where s.number = $1`,
    [slip]
  )
  if (isProposed) await hq.keeper.post(`/v1/old-parts/${owed}/write-off`, { reason: 'lost' })
  return owed
}

async function deadMail(): Promise<string> {
  const [mail] = await h.sql<{ id: string }>(
    `insert into mail (person_id, kind, key, to_address, subject, body, language, state, next_attempt_at, written_at, settled_at)
     values (1, 'digest', 'x', 'x@example.com', 'x', 'x', 'zh', 'dead', now(), now(), now()) returning id::text as id`
  )
  return mail.id
}

/** A webhook of HQ, and a delivery of it. */
const webhookOfHq = async (): Promise<{ id: string; delivery: string }> => {
  const { body } = await by(token, 'post', '/v1/webhooks', { url: 'https://8.8.8.8/hooks', warehouse: 'HQ' })
  const ping = await by(token, 'post', `/v1/webhooks/${body.id}/ping`, {})
  return { id: body.id, delivery: ping.body.id }
}
let webhook: Promise<{ id: string; delivery: string }> | undefined
/** The same one in every path. */
const webhookInPaths = () => (webhook ??= webhookOfHq())

/** An open alert of HQ, of a subject of its own. */
async function alertOfHq(): Promise<string> {
  const [{ id }] = await h.sql<{ id: string }>(
    `insert into alert (warehouse_id, kind, subject, details, raised_at, updated_at)
     select id, 'statement-due', to_char(now(), 'YYYY-MM-') || nextval('alert_id_seq'), '{"period": "2026-10", "dueOn": "2026-11-05"}', now(), now() from warehouse where code = 'HQ' returning id`
  )
  return id
}

async function personWithPassword() {
  const person = await h.make.person()
  await by(token, 'put', `/v1/people/${encodeURIComponent(person.username)}/password`, { password: PASSWORD })
  return { ...person, password: PASSWORD }
}

/** A sign-in whose refresh token is the one of the example; only its hash is kept. */
async function refreshTokenOf(text: string): Promise<void> {
  const person = await personWithPassword()
  await h.api.post('/v1/auth/tokens').send({ username: person.username, password: person.password })
  await h.sql('delete from refresh_token where token_hash = $1', [refreshTokenHash(text)])
  await h.sql('update refresh_token set token_hash = $2 where person_id = $1', [person.id, refreshTokenHash(text)])
}

/** In this order, because some examples need what others make. */
const FIRST = [
  'createPart',
  'createRegion',
  'createWarehouse',
  'createSupplier',
  'authoriseSupplier',
  'addSupersession'
]

test('every example of a body is accepted', async () => {
  const order = ({ id }: Operation) => (FIRST.includes(id) ? FIRST.indexOf(id) : id === 'setSigningPolicy' ? 100 : 50)
  const faults: string[] = []
  for (const { id, method, url, type, example } of operations.toSorted((a, b) => order(a) - order(b))) {
    const prepared = (await BEFORE[id]?.()) ?? {}
    const path =
      prepared.path ??
      url.replace('{warehouse}', 'HQ').replace('/parts/{number}', `/parts/${PART}`).replace('{code}', 'VARSITY0001')
    const apply = url.includes('/imports/') ? '?apply=true' : ''
    const { status, text } = await h.api[method as 'post'](path + apply)
      .auth(prepared.token ?? token, { type: 'bearer' })
      .set('content-type', type)
      .send(typeof example === 'string' ? example : JSON.stringify(example))
    if (status >= 300) faults.push(`${id} ${path}: ${status} ${text.slice(0, 400)}`)
  }
  expect(faults).toEqual([])
})

interface Parameter {
  in: string
  name: string
  required?: boolean
  example?: unknown
}

/** What stands in a path or query for documents that are made here; whatever else the examples name is in the sample company. */
const READ: Record<string, () => Promise<string>> = {
  slip: () => number(),
  'deposits/{warehouse}': () => depositOf('1.00'),
  'alerts/{id}': () => alertOfHq(),
  'jobs/{id}': async () =>
    (
      await h.sql<{ id: string }>(
        `insert into job_run (name, state, requested_by, requested_at) values ('test.read', 'queued', 0, now()) returning id::text as id`
      )
    )[0]?.id ?? '',
  'slips/{number}': () => number(),
  'loaners/{serial}': () => loaner(),
  'loans/{number}': () => loan(),
  'tools/{serial}': () => tool(),
  'tool-documents/{number}': async () => (await toolIssue()).number,
  'tool-losses/{number}': () => toolLoss({ kind: 'lost' }),
  'custody-rounds/{number}': () => custodyRound(),
  'tool-kits/{code}': async () => {
    await keeper.put('/v1/warehouses/HQ/tool-kits/KIT-AC-1', { name: 'Kit', tools: [await tool()] })
    return 'KIT-AC-1'
  },
  'backorders/{number}': () => backorder(),
  'old-parts/{number}': () => oldPart(),
  'proposals/{number}': () => proposal(),
  'recalls/{number}': () => recallOfHq(),
  'purchase-plans/{number}': () => purchasePlan('draft'),
  'api-keys/{id}': async () =>
    (await keeper.post('/v1/api-keys', { name: 'reader', expiresOn: '2027-01-01' })).body.id as string,
  'policies/{warehouse}': async () => {
    // An example before has replaced the part, so that the API would set no policy of it any more.
    await h.sql(
      `insert into reorder_policy (warehouse_id, part_id, kind, lead_time_days, set_by, set_at)
       select w.id, part.id, 'computed', 14, 0, now() from warehouse w, part where w.code = 'HQ' and part.number = $1 on conflict do nothing`,
      [PART]
    )
    return 'HQ'
  },
  'webhooks/{id}': async () => (await webhookInPaths()).id,
  'deliveries/{delivery}': async () => (await webhookInPaths()).delivery,
  'period-closings/{id}': async () =>
    (await by(token, 'post', '/v1/period-closings', { period: '2026-09' })).body.id as string
}

test('every example of a path and a query finds what it names', async () => {
  const paths = h.app.swagger().paths as Record<
    string,
    Record<string, { operationId: string; parameters?: Parameter[] }>
  >
  const faults: string[] = []
  for (const [url, { get }] of Object.entries(paths)) {
    if (get === undefined) continue
    const parameters = get.parameters ?? []
    const valueOf = async ({ name, example }: Parameter, key = name) => (await READ[key]?.()) ?? String(example)
    let path = url
    for (const [segment, name] of url.matchAll(/[^/]+[/][{](\w+)[}]/g)) {
      const parameter = parameters.find((given) => given.in === 'path' && given.name === name)
      if (parameter === undefined || name === undefined) throw new Error(`${url} says nothing of ${name}`)
      path = path.replace(`{${name}}`, encodeURIComponent(await valueOf(parameter, segment)))
    }
    const queries = parameters.filter((parameter) => parameter.in === 'query')
    const required = queries.filter((parameter) => parameter.required)
    const optional = queries.filter((parameter) => !parameter.required && parameter.example !== undefined)
    for (const asked of [[], ...optional.map((parameter) => [parameter])]) {
      const query = new URLSearchParams()
      for (const parameter of [...required, ...asked]) query.set(parameter.name, await valueOf(parameter))
      const asking = `${path}?${query.toString()}`
      const { status, text } =
        get.operationId === 'streamAlerts'
          ? await firstOfStream(h, asking, token)
          : await h.api.get(asking).auth(token, { type: 'bearer' })
      if (status >= 300) faults.push(`${get.operationId} ${asking}: ${status} ${text.slice(0, 400)}`)
    }
  }
  expect(faults).toEqual([])
})
