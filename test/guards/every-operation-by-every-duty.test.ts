import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DUTIES, type Duty } from '../../src/identity/actor.ts'
import { openCounter, SIGNERS, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'
import { firstOfStream } from '../support/streams.ts'

// Generated from the OpenAPI document: every operation under /v1 is called as every duty of R-ORG-2, held in another warehouse
// or region, on the documents of warehouse FOREIGN-B. A new operation fails here until it is classified below.

/** Operations without a warehouse in their path, and who may call them. */
type Rule =
  /** Needs no credentials. */
  | { may: 'public' }
  /** Whoever is signed in; what is answered holds nothing of a warehouse they may not see. */
  | { may: 'everybody' }
  /** Somebody else's key or delegation, or a warehouse named in the body: hidden or refused as if it lay in the path. */
  | { may: 'nobody-foreign' }
  /** What concerns the whole network and is the head office's: with one of these duties held there, or everywhere. */
  | { may: 'head-office'; with: readonly Duty[] }
  /** Only with one of these duties held everywhere. */
  | { may: readonly Duty[] }

const everybody: Rule = { may: 'everybody' }
const foreign: Rule = { may: 'nobody-foreign' }
const administrator: Rule = { may: ['administrator'] }
const hqFinance: Rule = { may: ['hq-finance'] }
const plans: Rule = {
  may: 'head-office',
  with: [
    'purchaser',
    'stock-controller',
    'hq-finance',
    'operations-supervisor',
    'finance-supervisor',
    'department-head'
  ]
}
const planning: Rule = { may: ['purchaser', 'stock-controller'] }
const recalling: Rule = { may: ['stock-controller', 'administrator'] }
const recalls: Rule = {
  may: 'head-office',
  with: ['stock-controller', 'hq-finance', 'operations-supervisor', 'purchaser', 'administrator']
}
const counting: Rule = { may: ['hq-finance', 'stock-controller'] }
const catalogue: Rule = { may: ['stock-controller', 'administrator'] }
const purchasing: Rule = { may: ['stock-controller', 'administrator', 'purchaser'] }

const OF_NO_WAREHOUSE: Record<string, Rule> = {
  createToken: { may: 'public' },
  refreshToken: { may: 'public' },
  revokeToken: { may: 'public' },
  readMe: everybody,
  changePassword: everybody,
  createPerson: administrator,
  listPeople: administrator,
  readPerson: administrator,
  updatePerson: administrator,
  setPassword: administrator,
  lockAccount: administrator,
  unlockAccount: administrator,
  assignDuty: administrator,
  listPersonDuties: administrator,
  endDuty: administrator,
  listAuditEvents: administrator,
  delegateDuties: everybody,
  listDelegations: everybody,
  endDelegation: foreign,
  issueApiKey: everybody,
  listApiKeys: everybody,
  readApiKey: foreign,
  revokeApiKey: foreign,
  listParts: everybody,
  readPart: everybody,
  createPart: catalogue,
  updatePart: catalogue,
  setPartUnits: catalogue,
  listSupersessions: everybody,
  listSuccessors: everybody,
  addSupersession: catalogue,
  endSupersession: catalogue,
  approveControlledPart: foreign,
  listControlledApprovals: everybody,
  listSuppliers: everybody,
  readSupplier: everybody,
  createSupplier: purchasing,
  updateSupplier: purchasing,
  listSupplierAuthorisations: everybody,
  authoriseSupplier: purchasing,
  withdrawAuthorisation: purchasing,
  importParts: catalogue,
  importPartUnits: catalogue,
  importWarehouses: catalogue,
  importOpeningStock: foreign,
  listRegions: everybody,
  createRegion: catalogue,
  updateRegion: catalogue,
  listWarehouses: everybody,
  createWarehouse: catalogue,
  listNetworkStock: everybody,
  verifyLedger: everybody,
  listMails: administrator,
  retryMail: administrator,
  listDeposits: everybody,
  listWebhookEvents: everybody,
  listWebhooks: everybody,
  createWebhook: foreign,
  readWebhook: foreign,
  updateWebhook: foreign,
  deleteWebhook: foreign,
  rotateWebhookSecret: foreign,
  pingWebhook: foreign,
  replayWebhook: foreign,
  listWebhookDeliveries: foreign,
  readWebhookDelivery: foreign,
  redeliverWebhook: foreign,
  signSlips: everybody,
  readPackageKey: everybody,
  searchSlips: everybody,
  listQualityReports: everybody,
  readQualitySummary: everybody,
  listSigningPolicies: everybody,
  setSigningPolicy: administrator,
  listDepreciationPolicies: everybody,
  setDepreciationPolicy: hqFinance,
  withdrawDepreciationPolicy: hqFinance,
  listAgingBuckets: everybody,
  setAgingBuckets: hqFinance,
  listJournalAccounts: everybody,
  readJournalAccounts: foreign,
  setJournalAccounts: foreign,
  listDepreciation: everybody,
  listStockReport: everybody,
  listJournal: everybody,
  listAging: everybody,
  readAgingSummary: everybody,
  listMaterialCost: everybody,
  startClosingRun: hqFinance,
  listClosingRuns: everybody,
  readClosingRun: foreign,
  searchCounts: everybody,
  listCountReports: everybody,
  listCountTolerances: everybody,
  listAlerts: everybody,
  readAlertSummary: everybody,
  streamAlerts: everybody,
  readAlert: foreign,
  acknowledgeAlert: foreign,
  listAlertPolicies: everybody,
  readAlertPolicy: everybody,
  setAlertPolicy: administrator,
  setCountTolerance: counting,
  listReorderPolicies: everybody,
  listServiceTargets: everybody,
  setServiceTarget: { may: ['stock-controller'] },
  computeReorderLevels: { may: ['stock-controller'] },
  listReorderLevels: everybody,
  readDemand: foreign,
  readForecastAccuracy: foreign,
  tryForecast: everybody,
  listProposals: everybody,
  readProposal: foreign,
  acceptProposal: foreign,
  rejectProposal: foreign,
  requestProposals: planning,
  listPurchasePlans: plans,
  readPurchasePlan: plans,
  listPurchasePlanLines: plans,
  listPurchasePlanEvents: plans,
  createPurchasePlan: planning,
  amendPurchasePlan: planning,
  submitPurchasePlan: planning,
  signPurchasePlan: plans,
  cancelPurchasePlan: planning,
  createTransfer: foreign,
  listTransfers: everybody,
  settleTransfers: hqFinance,
  readTransfer: foreign,
  printTransferNote: foreign,
  dispatchTransfer: foreign,
  receiveTransfer: foreign,
  callBackTransfer: foreign,
  cancelTransfer: foreign,
  closeTransfer: foreign,
  decideTransferClaim: foreign,
  enterTransferTransport: foreign,
  createRecall: recalling,
  listRecalls: everybody,
  readRecall: everybody,
  listRecallEvents: recalls,
  listRecalledGoods: everybody,
  listRecallIssues: everybody,
  listRecallWarehouses: everybody,
  answerRecall: foreign,
  returnRecalledGoods: foreign,
  liftRecall: recalling,
  closeRecall: recalling,
  signRecall: recalls,
  cancelRecall: recalling,
  createRequest: foreign,
  listRequests: everybody,
  readRequest: foreign,
  cancelRequest: foreign,
  changeNeedBy: foreign,
  writeIssueSlip: foreign,
  listOrderRestrictions: everybody,
  setOrderRestriction: { may: ['stock-controller'] },
  removeOrderRestriction: foreign,
  listBackorders: everybody,
  readBackorder: foreign,
  answerBackorder: foreign,
  confirmBackorder: foreign,
  listServiceLevels: everybody,
  listOldParts: everybody,
  listOutletOldParts: everybody,
  listOldPartWriteOffs: everybody,
  readOldPart: foreign,
  returnOldParts: foreign,
  refurbishOldParts: foreign,
  proposeOldPartWriteOff: foreign,
  approveOldPartWriteOff: foreign,
  cancelOldPartWriteOff: foreign,
  listLoaners: everybody,
  readLoaner: foreign,
  readLoanerHistory: foreign,
  updateLoaner: foreign,
  importLoaners: foreign,
  lendLoaner: foreign,
  reserveLoaner: foreign,
  endLoanerReservation: foreign,
  sendLoanerToRepair: foreign,
  reportLoanerRepaired: foreign,
  retireLoaner: foreign,
  transferLoaner: foreign,
  receiveLoaner: foreign,
  listLoans: everybody,
  readLoan: foreign,
  readLoanHistory: foreign,
  printLoanReceipt: foreign,
  extendLoan: foreign,
  returnLoaner: foreign,
  forgetCustomer: foreign,
  recordCustomer: foreign,
  reportRepairReady: foreign,
  answerNotice: foreign,
  listHandovers: everybody,
  readHandover: foreign,
  listHandoverBalances: foreign,
  listHandoverOpen: foreign,
  listHandoverMovements: foreign,
  listHandoverEvents: foreign,
  printHandover: foreign,
  amendHandover: foreign,
  refreshHandover: foreign,
  submitHandover: foreign,
  signHandover: foreign,
  cancelHandover: foreign,
  listLoanerModels: everybody,
  setLoanerModel: catalogue,
  readLoanerFleet: everybody,
  readLoanerUtilisation: everybody,
  listInstalledBase: everybody,
  setInstalledBase: catalogue,
  importInstalledBase: catalogue,
  listLoanerTargets: everybody,
  setLoanerTarget: catalogue,
  listTools: everybody,
  readTool: foreign,
  readToolHistory: foreign,
  updateTool: foreign,
  recordCalibration: foreign,
  correctCalibration: foreign,
  importTools: foreign,
  returnAllTools: foreign,
  readCustody: foreign,
  listToolDocuments: everybody,
  readToolDocument: foreign,
  readToolDocumentHistory: foreign,
  printToolDocument: foreign,
  signToolDocument: foreign,
  refuseToolDocument: foreign,
  cancelToolDocument: foreign,
  reportToolLoss: foreign,
  readToolWorth: foreign,
  listToolLosses: everybody,
  readToolLoss: foreign,
  printToolLoss: foreign,
  listToolLossEvents: foreign,
  assessToolLoss: foreign,
  signToolLoss: foreign,
  withdrawToolLoss: foreign,
  takeInDamagedTool: foreign,
  reportToolRepaired: foreign,
  reportToolFound: foreign,
  listToolCompensations: everybody,
  listToolPolicies: everybody,
  setToolPolicy: hqFinance,
  listCustodyRounds: everybody,
  readCustodyRound: foreign,
  confirmCustody: foreign,
  closeCustodyRound: foreign,
  readCalendarYear: everybody,
  setCalendarYear: administrator,
  countWorkingDays: everybody,
  listJobs: administrator,
  readJob: foreign,
  retryJob: administrator,
  listJobSchedules: administrator
}

interface Operation {
  id: string
  method: string
  path: string
  isPublic: boolean
  body: { type: string; example: unknown } | undefined
  query: { name: string; required: boolean; example: unknown }[]
}

const FOREIGN = 'FOREIGN-B'
let h: Harness
let b: Counter
let operations: Operation[]
/** Names that would give warehouse B away in an answer. */
let marks: string[]
/** Values for the parameters of a path; several slips, one per state. */
let values: Record<string, string[]>

beforeAll(async () => {
  h = await openHarness()
  operations = operationsOf(h.app.swagger() as unknown as Parameters<typeof operationsOf>[0])
  await h.make.warehouse({ code: 'HQ', kind: 'head-office', region: 'HOME' })
  await h.make.warehouse({ code: 'SZ01', kind: 'regional-centre', region: 'HOME', parent: 'HQ' })
  b = await openB()
})
afterAll(() => h.close())

async function openB(): Promise<Counter> {
  const opened = await openCounter(h, { warehouse: FOREIGN })
  // The code of its region must not give it away.
  await h.sql(`update region set code = 'FAR', name = 'Far' where code = $1`, [`R-${FOREIGN}`])
  // Nor may whoever holds a duty at the centre it requests from be one of those who are called.
  await h.make.warehouse({ code: 'FAR01', kind: 'regional-centre', region: 'FAR', parent: 'HQ' })
  await h.sql(`update warehouse set parent_id = (select id from warehouse where code = 'FAR01') where code = $1`, [
    FOREIGN
  ])
  const { number: part } = await h.make.part({ number: 'CH-0234', standardCost: '10.0000' })
  await h.make.part({ number: 'CH-0235' })
  await h.make.part({ number: 'MB-100', controlled: true })
  await h.make.supplier({ code: 'SUP-100', parts: [part] })
  const administratorEverywhere = await h.make.person({
    grants: [{ duty: 'administrator' }, { duty: 'stock-controller' }]
  })
  const admin = (path: string, body: object) =>
    h.api.post(path).auth(administratorEverywhere.token, { type: 'bearer' }).send(body)
  const keeper = opened.keeper.person.username

  const receipt = await opened.posted({
    kind: 'receipt',
    lines: [{ part, quantity: '50', expectedQuantity: '51', unitCost: '10' }]
  })
  const issue = { kind: 'issue', lines: [{ part, quantity: '1' }] }
  const draft = await opened.slip({ ...issue, submit: false })
  const awaiting = await opened.slip(issue)
  const approved = await opened.slip(issue)
  await opened.sign(approved.number)
  const refused = await opened.slip(issue)
  await opened.signers['department-head'].post(`/v1/slips/${refused.number}/signatures`, {
    duty: 'department-head',
    decision: 'refuse',
    comment: 'no repair order'
  })
  const cancelled = await opened.slip(issue)
  await opened.keeper.post(`/v1/slips/${cancelled.number}/cancellation`, { reason: 'written twice' })
  const late = await opened.slip(issue)
  await opened.sign(late.number, SIGNERS.slice(0, 2))
  await opened.keeper.post(`/v1/slips/${late.number}/emergency-release`, {
    missingDuty: SIGNERS[2],
    authorisedBy: 'x',
    reason: 'y',
    handedTo: 'z'
  })
  const slips = [receipt, draft, awaiting, approved, refused, cancelled, late].map(({ number }) => String(number))
  const states = await h.sql<{ state: string }>('select state from slip where number = any ($1) order by id', [slips])
  expect(states.map(({ state }) => state)).toEqual([
    'posted',
    'draft',
    'awaiting-signatures',
    'approved',
    'refused',
    'cancelled',
    'posted'
  ])

  await opened.posted({ kind: 'receipt', lines: [{ part: 'CH-0235', quantity: '5', unitCost: '10' }] })
  const counts: string[] = []
  for (const counted of [part, 'CH-0235']) {
    const { body } = await opened.keeper.post(`/v1/warehouses/${FOREIGN}/counts`, { kind: 'cycle', parts: [counted] })
    counts.push(String(body.number))
  }
  const entries = [{ line: 1, counted: '5', card: '5' }]
  await opened.keeper.post(`/v1/counts/${counts[1]}/entries`, { entries })
  expect((await opened.keeper.post(`/v1/counts/${counts[1]}/submission`)).body.state).toBe('awaiting-signatures')

  const key = await opened.keeper.post('/v1/api-keys', { name: 'bridge', expiresOn: '2027-01-01' })
  const delegation = await opened.keeper.post('/v1/delegations', {
    to: opened.signers['department-head'].person.username,
    validTo: '2026-12-31',
    reason: 'leave'
  })
  const duty = await admin(`/v1/people/${keeper}/duties`, { duty: 'technician', warehouse: FOREIGN })
  await admin(`/v1/parts/MB-100/controlled-approvals`, {
    warehouse: FOREIGN,
    quantity: '1',
    reason: 'r',
    validTo: '2026-12-31'
  })
  await admin(`/v1/parts/${part}/supersessions`, { successor: 'CH-0235' })

  await h.sql(
    `insert into expected_receipt (warehouse_id, part_id, kind, document, line_no, quantity, opened_at, opened_by)
     select warehouse_id, part_id, 'purchase', 'HQ-PLN-202611-00001', 1, 10, now(), 0 from balance where warehouse_id = $1 and part_number = $2 limit 1`,
    [opened.warehouseId, part]
  )
  await h.sql(
    `insert into reorder_proposal (warehouse_id, number, kind, short_part_id, part_id, quantity, proposed_at, available, on_order, reorder_point, order_up_to, evidence, state, decided_at, decided_by, decided_quantity)
     select warehouse_id, $3, 'order', part_id, part_id, 5, now(), 0, 0, 2, 5, '{}', 'accepted', now(), 0, 5 from balance where warehouse_id = $1 and part_number = $2 limit 1`,
    [opened.warehouseId, part, `${FOREIGN}-PRO-202611-00001`]
  )
  await h.sql(
    `with plan as (
       insert into purchase_plan (warehouse_id, number, period, state, last_line, duties, preparers, prepared_at)
       select id, 'HQ-PLN-202601-00001', '2026-12-01', 'draft', 1, '{hq-finance,operations-supervisor,stock-controller}', '{0}', now() from warehouse where code = 'HQ' returning warehouse_id, id)
     insert into purchase_plan_line (warehouse_id, plan_id, line_no, for_warehouse_id, proposal_id, part_id, quantity)
     select plan.warehouse_id, plan.id, 1, p.warehouse_id, p.id, p.part_id, 5 from plan, reorder_proposal p where p.warehouse_id = $1`,
    [opened.warehouseId]
  )
  const [closingRun] = await h.sql<{ id: string }>(
    `with run as (insert into closing_run (period, region_id, requested_by, requested_at) select '2026-10-01', region_id, 0, now() from warehouse where code = $1 returning id)
     insert into closing_run_warehouse (run_id, warehouse_id, state, missing, settled_at) select run.id, w.id, 'refused', '[]', now() from run, warehouse w where code = $1
     returning run_id as id`,
    [FOREIGN]
  )

  const [job] = await h.sql<{ id: string }>(
    `insert into job_run (name, state, requested_by, requested_at, finished_at) select 'test.of-b', 'dead', id, now(), now() from person where username = $1 returning id::text as id`,
    [keeper]
  )

  await h.sql(
    `insert into reorder_policy (warehouse_id, part_id, kind, minimum, maximum, reason, expires_on, set_by, set_at)
     select $1, id, 'fixed', 1, 2, 'x', '2027-01-01', $3, now() from part where number = $2`,
    [opened.warehouseId, part, opened.keeper.person.id]
  )
  await h.sql(
    `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, computed_at) select $1, id, 99, 100, 'fixed', now() from part where number = $2`,
    [opened.warehouseId, part]
  )

  const [alert] = await h.sql<{ id: string }>(
    `insert into alert (warehouse_id, kind, subject, details, raised_at, updated_at)
     select id, 'statement-due', '2026-10', '{"period": "2026-10", "dueOn": "2026-11-05"}', now(), now() from warehouse where code = $1 returning id`,
    [FOREIGN]
  )

  const [mail] = await h.sql<{ id: string }>(
    `insert into mail (person_id, kind, key, to_address, subject, body, language, state, next_attempt_at, written_at, settled_at)
     values ($1, 'digest', 'x', 'x@example.com', $2, 'x', 'zh', 'dead', now(), now(), now()) returning id::text as id`,
    [opened.keeper.person.id, FOREIGN]
  )
  await h.sql(
    `insert into deposit_account (warehouse_id, low_limit, opened_by, opened_at, changed_at) values ($1, 100, 0, now(), now())`,
    [opened.warehouseId]
  )
  const [waiver] = await h.sql<{ id: string }>(
    `insert into deposit_waiver (warehouse_id, amount, reason, valid_to, granted_by, granted_at) values ($1, 5, $2, '2026-12-31', 0, now()) returning id::text as id`,
    [opened.warehouseId, `for ${FOREIGN}`]
  )
  const [oldPart] = await h.sql<{ number: string }>(
    `with old as (
       insert into old_part (warehouse_id, number, centre_id, part_id, quantity, unit_value, serialised, issued_by, slip_id, line_no, opened_at, due_on)
       select l.warehouse_id, $2 || '-OLP-202611-00001', (select id from warehouse where code = 'FAR01'), l.part_id, 1, 5, false, l.warehouse_id, l.slip_id, l.line_no, now(), '2026-11-30'
         from slip_line l where l.warehouse_id = $1 order by l.slip_id, l.line_no limit 1
       returning warehouse_id, id, number)
     insert into old_part_write_off (warehouse_id, old_part_id, write_off_no, quantity, reason, state, proposed_by, proposed_at)
     select warehouse_id, id, 1, 1, 'lost', 'proposed', 0, now() from old returning (select number from old)`,
    [opened.warehouseId, FOREIGN]
  )
  const webhook = await admin('/v1/webhooks', { url: 'https://8.8.8.8/hooks', warehouse: FOREIGN })
  const ping = await admin(`/v1/webhooks/${webhook.body.id}/ping`, {})

  const moved = await opened.stocked()
  const { body: transfer } = await opened.keeper.post('/v1/transfers', {
    from: FOREIGN,
    to: 'FAR01',
    lines: [{ part: moved.number, quantity: '1' }],
    because: 'x'
  })

  const recalled = await opened.stocked()
  const recall = await admin('/v1/recalls', { title: 'cracked', reason: 'leaks', scopes: [{ part: recalled.number }] })

  const { body: request } = await opened.keeper.post('/v1/requests', {
    warehouse: FOREIGN,
    urgency: 'normal',
    needBy: '2026-12-31',
    lines: [{ part: 'CH-0235', quantity: '100' }]
  })

  const restricted = { part: 'MB-100', warehouse: FOREIGN, reason: 'x' }
  const restriction = await h.api
    .put('/v1/order-restrictions')
    .auth(administratorEverywhere.token, { type: 'bearer' })
    .send(restricted)

  await h.make.part({ number: 'WM-LOAN-8', standardCost: '1000.0000' })
  await h.sql(`update part set loaner_family = 'WM-8' where number = 'WM-LOAN-8'`)
  const loaners = ['FB-LOANER-1', 'FB-LOANER-2']
  const { body: registered } = await opened.keeper.post(`/v1/warehouses/${FOREIGN}/loaners`, {
    kind: 'opening',
    units: loaners.map((serial) => ({ serial, model: 'WM-LOAN-8' }))
  })
  await opened.signAndPost(registered.slip)
  const { body: loan } = await opened.keeper.post(`/v1/loaners/${loaners[0]}/loans`, {
    repairOrder: 'RO-1',
    receiptNumber: 'JT-1',
    dueOn: '2026-12-04',
    condition: 'fine'
  })
  await opened.signAndPost(loan.outSlip)

  const { body: handover } = await opened.keeper.post(`/v1/warehouses/${FOREIGN}/handovers`, {
    incoming: opened.signers['operations-supervisor'].person.username,
    because: 'x'
  })

  const technician = await h.make.person({ grants: [{ duty: 'technician', warehouse: FOREIGN }] })
  const tools = ['FB-TOOL-1', 'FB-TOOL-2', 'FB-TOOL-3']
  await opened.keeper.post(`/v1/warehouses/${FOREIGN}/tools`, {
    tools: tools.map((serial) => ({ serial, name: 'Meter', value: '1280.00', purchasedOn: '2026-03-02' }))
  })
  await opened.keeper.put(`/v1/warehouses/${FOREIGN}/tool-kits/KIT-1`, { name: 'Kit', tools: [tools[0]] })
  const papers: string[] = []
  for (const serial of tools.slice(1)) {
    const issued = { technician: technician.username, tools: [{ serial }] }
    const { body } = await opened.keeper.post(`/v1/warehouses/${FOREIGN}/tool-issues`, issued)
    papers.push(String(body.number))
  }
  await h.api.post(`/v1/tool-documents/${papers[0]}/signature`).auth(technician.token, { type: 'bearer' }).send({})

  const lost = ['FB-TOOL-5', 'FB-TOOL-6']
  await opened.keeper.post(`/v1/warehouses/${FOREIGN}/tools`, {
    tools: lost.map((serial) => ({ serial, name: 'Meter', value: '1280.00', purchasedOn: '2026-03-02' }))
  })
  const { body: round } = await opened.keeper.post(`/v1/warehouses/${FOREIGN}/custody-rounds`, { dueOn: '2026-12-04' })
  const losses: string[] = []
  for (const serial of lost) {
    const { body } = await opened.keeper.post(`/v1/tools/${serial}/losses`, { kind: 'lost', cause: 'x' })
    losses.push(String(body.number))
  }
  await h.sql(
    `insert into tool_compensation select warehouse_id, id, 1, $2, 5, 'tool-disposal', '2026-11-20', 0, now(), warehouse_id from tool_loss where number = $1`,
    [losses[0], technician.id]
  )

  marks = [
    FOREIGN,
    ...loaners,
    ...tools,
    technician.username,
    keeper,
    ...SIGNERS.map((signer) => opened.signers[signer].person.username)
  ]
  values = {
    '/warehouses/{warehouse}': [FOREIGN],
    '/policies/{warehouse}': [FOREIGN],
    '/deposits/{warehouse}': [FOREIGN],
    '/waivers/{waiver}': [waiver.id],
    '/parts/{part}': [part],
    '/service-targets/{criticality}': ['A'],
    '/periods/{period}': ['2026-11'],
    '/requests/{number}': [request.number],
    '/order-restrictions/{id}': [String(restriction.body.id)],
    '/backorders/{number}': [request.lines[0].backorder.number],
    '/old-parts/{number}': [oldPart.number],
    '/loaners/{serial}': loaners,
    '/loans/{number}': [loan.number],
    '/tools/{serial}': tools.slice(0, 2),
    '/calibrations/{calibratedOn}': ['2026-11-18'],
    '/tool-documents/{number}': papers,
    '/tool-kits/{code}': ['KIT-1'],
    '/tool-losses/{number}': losses,
    '/tool-policies/{validFrom}': ['2030-01-01'],
    '/custody-rounds/{number}': [round.number],
    '/technicians/{username}': [technician.username],
    '/handovers/{number}': [handover.number],
    '/loaner-models/{part}': ['WM-LOAN-8'],
    '/loaner-targets/{family}': ['WM-8'],
    '/slips/{number}': slips,
    '/transfers/{number}': [transfer.number],
    '/claims/{claim}': ['1'],
    '/quality-reports/{number}': receipt.qualityReports,
    '/counts/{number}': counts,
    '/lines/{line}': ['1'],
    '/expected-receipts/{document}': ['HQ-PLN-202611-00001'],
    '/proposals/{number}': [`${FOREIGN}-PRO-202611-00001`],
    '/purchase-plans/{number}': ['HQ-PLN-202601-00001'],
    '/recalls/{number}': [recall.body.number],
    '/count-tolerances/{criticality}': ['A'],
    '/parts/{number}': [part],
    '/supersessions/{successor}': ['CH-0235'],
    '/suppliers/{code}': ['SUP-100'],
    '/regions/{code}': ['FAR'],
    '/people/{username}': [keeper],
    '/duties/{id}': [String(duty.body.id)],
    '/delegations/{id}': [String(delegation.body.id)],
    '/api-keys/{id}': [key.body.id],
    '/alerts/{id}': [alert.id],
    '/alert-policies/{kind}': ['late-signature'],
    '/signing-policies/{documentKind}': ['receipt'],
    '/depreciation-policies/{effectiveFrom}': ['2027-01'],
    '/journal-accounts/{department}': [FOREIGN],
    '/mails/{id}': [mail.id],
    '/webhooks/{id}': [webhook.body.id],
    '/deliveries/{delivery}': [ping.body.id],
    '/period-closings/{id}': [closingRun.id],
    '/years/{year}': ['2027'],
    '/jobs/{id}': [job.id]
  }
  for (const [place, of] of Object.entries(values))
    expect(
      of.filter((value) => !value || value === 'undefined'),
      place
    ).toEqual([])
  expect(receipt.qualityReports).toHaveLength(1)
  return opened
}

interface Described {
  operationId: string
  security?: unknown[]
  parameters?: { in: string; name: string; required: boolean; example: unknown }[]
  requestBody?: { content: Record<string, { example?: unknown }> }
}

function operationsOf(document: { paths: Record<string, Record<string, Described>> }): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      if (!path.startsWith('/v1/')) return []
      const [body] = Object.entries<{ example?: unknown }>(operation.requestBody?.content ?? {})
      return {
        id: operation.operationId,
        method,
        path,
        isPublic: operation.security?.length === 0,
        body: body === undefined ? undefined : { type: body[0], example: body[1].example },
        query: (operation.parameters ?? []).filter((parameter: { in?: string }) => parameter.in === 'query')
      }
    })
  )
}

const isOfWarehouse = ({ path }: Operation) =>
  /^[/]v1[/](warehouses[/][{]|slips[/][{]|counts[/][{]|quality-reports[/][{]|deposits[/][{]|reorder[/]policies[/][{])/.test(
    path
  )

/** Bodies that the example of the document does not fill for this purpose: they name B or what is its. */
const BODIES: Record<string, () => unknown> = {
  approveControlledPart: () => ({ warehouse: FOREIGN, quantity: '1', reason: 'needed', validTo: '2026-12-31' }),
  assignDuty: () => ({ duty: 'keeper', warehouse: FOREIGN }),
  importOpeningStock: () => `warehouse,part,quantity,unitCost\n${FOREIGN},CH-0234,1,1\n`,
  importTools: () => `warehouse,serial,name,value,purchasedOn\n${FOREIGN},FB-TOOL-4,Meter,1,2026-01-01\n`,
  importLoaners: () => `warehouse,serial,model\n${FOREIGN},FB-LOANER-3,WM-LOAN-8\n`,
  setInstalledBase: () => ({ region: 'FAR', family: 'WM-8', units: 1000, countedOn: '2026-10-31' }),
  importInstalledBase: () => 'region,family,units,countedOn\nFAR,WM-8,1000,2026-10-31\n',
  signSlips: () => ({ duty: 'finance-supervisor', decision: 'approve', slips: values['/slips/{number}'] }),
  delegateDuties: () => ({ to: b.keeper.person.username, validTo: '2026-12-31', reason: '年假' }),
  moveWarehouse: () => ({ parent: 'HQ' }),
  startClosingRun: () => ({ period: '2026-10' }),
  createWebhook: () => ({ url: 'https://8.8.8.8/hooks', warehouse: FOREIGN }),
  createTransfer: () => ({
    from: FOREIGN,
    to: 'FAR01',
    lines: [{ part: 'CH-0234', quantity: '1' }],
    because: 'x'
  }),
  returnOldParts: () => ({ warehouse: FOREIGN, from: FOREIGN, lines: [{ part: 'CH-0234', grade: 'scrap' }] }),
  refurbishOldParts: () => ({
    warehouse: FOREIGN,
    reference: 'WO-1',
    lines: [{ part: 'CH-0234', quantity: '1', unitCost: '1' }]
  }),
  returnRecalledGoods: () => ({ warehouse: FOREIGN, to: 'scrap' }),
  importWarehouses: () => `code,name,kind,region,parent\n${FOREIGN},Taken,outlet,FAR,SZ01\n`
}
const OF_STATEMENTS = [{}, { region: 'FAR' }, { warehouse: FOREIGN }] as Record<string, string>[]
/** Query parameters beyond those that the document requires. */
const QUERIES: Record<string, Record<string, string>[]> = {
  listNetworkStock: [{}, { part: 'CH-0234' }, { region: 'FAR' }],
  listWarehouses: [{}, { region: 'FAR' }, { q: FOREIGN }, { parent: 'FAR01' }],
  listControlledApprovals: [{}, { warehouse: FOREIGN }, { part: 'MB-100' }],
  searchSlips: [{}, { awaiting: 'finance-supervisor' }, { lateSignature: 'true' }, { state: 'posted' }],
  listProposals: [{}, { warehouse: FOREIGN }, { region: 'FAR' }, { part: 'CH-0234' }],
  listJournalAccounts: [{}, { department: FOREIGN }],
  searchCounts: [{}, { region: 'FAR' }, { state: 'counting' }],
  listCountReports: [{}, { region: 'FAR' }],
  listHandovers: [{}, { warehouse: FOREIGN }, { state: 'draft' }, { person: 'KEEPER' }],
  listQualityReports: [{}, { warehouse: FOREIGN }, { slip: `${FOREIGN}-IN-202611-00001` }],
  listAlerts: [{}, { warehouse: FOREIGN }, { region: 'FAR' }, { mine: 'true' }, { kind: 'statement-due' }],
  readAlertSummary: [{}, { warehouse: FOREIGN }, { region: 'FAR' }],
  streamAlerts: [{}, { mine: 'true' }],
  verifyLedger: [{}, { warehouse: FOREIGN }],
  importOpeningStock: [{}, { apply: 'true' }],
  importWarehouses: [{ apply: 'true' }],
  listDepreciation: OF_STATEMENTS,
  listStockReport: OF_STATEMENTS,
  listJournal: OF_STATEMENTS,
  listAging: OF_STATEMENTS,
  readAgingSummary: [{}, { by: 'warehouse' }, { region: 'FAR' }, { warehouse: FOREIGN }],
  listMaterialCost: OF_STATEMENTS,
  listBackorders: [{}, { warehouse: FOREIGN }, { centre: 'FAR01' }, { part: 'CH-0235' }],
  listServiceLevels: [{}, { region: 'FAR' }],
  listReorderPolicies: [{}, { warehouse: FOREIGN }, { part: 'CH-0234' }],
  listReorderLevels: [{}, { warehouse: FOREIGN }, { part: 'CH-0234' }, { region: 'FAR' }, { short: 'true' }],
  readDemand: [{ warehouse: FOREIGN, part: 'CH-0234' }],
  readForecastAccuracy: [{ warehouse: FOREIGN }],
  listWebhooks: [{}, { warehouse: FOREIGN }],
  listDeposits: [{}, { region: 'FAR' }, { centre: 'FAR01' }, { low: 'true' }],
  listOldParts: [{}, { outlet: FOREIGN }, { region: 'FAR' }, { part: 'CH-0234' }],
  listOutletOldParts: [{}, { region: 'FAR' }, { centre: 'FAR01' }],
  listOldPartWriteOffs: [{}, { outlet: FOREIGN }, { state: 'proposed' }],
  listTools: [{}, { warehouse: FOREIGN }, { state: 'custody' }],
  listToolDocuments: [{}, { warehouse: FOREIGN }],
  listToolLosses: [{}, { warehouse: FOREIGN }, { state: 'reported' }],
  listToolCompensations: [{}, { warehouse: FOREIGN }],
  listCustodyRounds: [{}, { warehouse: FOREIGN }],
  listDelegations: [{}, { person: 'KEEPER' }],
  listApiKeys: [{}, { person: 'KEEPER' }]
}

interface Call {
  method: string
  url: string
  type: string
  body: unknown
}

/** Every call of an operation on what is B's. */
function callsOf(operation: Operation): Call[] {
  let paths = [operation.path]
  for (const [segment, name] of operation.path.matchAll(/[/][^/]+[/][{](\w+)[}]/g)) {
    const filling = values[segment]
    if (filling === undefined) throw new Error(`say above how ${segment} of ${operation.id} is filled (${name})`)
    paths = paths.flatMap((path) =>
      filling.map((value) => path.replace(segment, segment.replace(/[{]\w+[}]/, encodeURIComponent(value))))
    )
  }
  const required = Object.fromEntries(
    operation.query
      .filter((parameter) => parameter.required)
      .map(({ name, example }) => [name, QUERY_EXAMPLES[name] ?? String(example)])
  )
  const queries = (QUERIES[operation.id] ?? [{}]).map((query) =>
    new URLSearchParams({ ...required, ...query })
      .toString()
      .replace('KEEPER', encodeURIComponent(b.keeper.person.username))
  )
  const body = BODIES[operation.id]?.() ?? operation.body?.example
  return paths.flatMap((path) =>
    queries.map((query) => ({
      method: operation.method,
      url: query === '' ? path : `${path}?${query}`,
      type: operation.body?.type ?? 'application/json',
      body
    }))
  )
}
const QUERY_EXAMPLES: Record<string, string> = { half: '2', part: 'CH-0234', period: '2026-11' }

async function send({ method, url, type, body }: Call, person?: MadePerson) {
  if (url.startsWith('/v1/alerts/stream')) return firstOfStream(h, url, person?.token)
  let request = h.api[method as 'get' | 'post'](url)
  if (person !== undefined) request = request.auth(person.token, { type: 'bearer' })
  return body === undefined ? request : request.set('content-type', type).send(body as object)
}

/** Everything that is kept of B and of its people. */
async function stateOfB(): Promise<Record<string, string>> {
  const tables = await h.sql<{ name: string }>(
    `select c.table_name as name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
      where c.table_schema = 'public' and c.column_name = 'warehouse_id' and t.table_type = 'BASE TABLE' order by 1`
  )
  const people = [b.keeper, ...Object.values(b.signers)].map(({ person }) => person.id)
  const hash = async (from: string, given: unknown[]) =>
    (
      await h.sql<{ hash: string }>(
        `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '' order by t::text)), '') as hash from ${from}`,
        given
      )
    )[0]?.hash ?? ''
  const state: Record<string, string> = {}
  for (const { name } of tables) state[name] = await hash(`"${name}" t where warehouse_id = $1`, [b.warehouseId])
  state['warehouse'] = await hash('warehouse t where id = $1', [b.warehouseId])
  state['person'] = await hash('person t where id = any ($1)', [people])
  state['duty of people'] = await hash('duty_assignment t where person_id = any ($1)', [people])
  state['delegation'] = await hash('delegation t where from_person_id = any ($1)', [people])
  state['api_key'] = await hash('api_key t where person_id = any ($1)', [people])
  return state
}

test('every operation is classified: by a warehouse in its path, or in the table above', () => {
  const without = operations.filter((operation) => !isOfWarehouse(operation)).map(({ id }) => id)
  expect(without.sort()).toEqual(Object.keys(OF_NO_WAREHOUSE).sort())
})

test('without credentials nothing is answered but 401', async () => {
  for (const operation of operations.filter(({ isPublic }) => !isPublic)) {
    for (const call of callsOf(operation))
      expect(`${operation.id} ${(await send(call)).status}`).toBe(`${operation.id} 401`)
  }
})

test('what needs no credentials says so in the document', () => {
  const open = operations.filter(({ isPublic }) => isPublic).map(({ id }) => id)
  expect(open.sort()).toEqual(
    Object.entries(OF_NO_WAREHOUSE)
      .filter(([, { may }]) => may === 'public')
      .map(([id]) => id)
      .sort()
  )
})

describe('on a foreign warehouse', () => {
  const actors: [string, () => Promise<MadePerson>][] = [
    ...DUTIES.map((duty): [string, () => Promise<MadePerson>] => [
      `${duty} of another warehouse`,
      () => h.make.person({ grants: [{ duty, warehouse: 'HQ' }] })
    ]),
    [
      'keeper, finance supervisor and stock controller of another region',
      () =>
        h.make.person({
          grants: (['keeper', 'finance-supervisor', 'stock-controller'] as const).map((duty) => ({
            duty,
            region: 'HOME'
          }))
        })
    ],
    ['administrator of another region', () => h.make.person({ grants: [{ duty: 'administrator', region: 'HOME' }] })],
    [
      'keeper of that warehouse until yesterday',
      () => h.make.person({ grants: [{ duty: 'keeper', warehouse: FOREIGN, validTo: '2026-11-19' }] })
    ],
    [
      'keeper of that warehouse from tomorrow',
      () => h.make.person({ grants: [{ duty: 'keeper', warehouse: FOREIGN, validFrom: '2026-11-21' }] })
    ],
    ['somebody without any duty', () => h.make.person()]
  ]
  const people = new Map<string, MadePerson>()
  let before: Record<string, string>
  beforeAll(async () => {
    for (const [name, make] of actors) people.set(name, await make())
    before = await stateOfB()
  })

  test.for(actors)('%s finds, reads and changes nothing', async ([name]) => {
    const person = people.get(name)
    const faults: string[] = []
    for (const operation of operations) {
      const rule = isOfWarehouse(operation) ? foreign : OF_NO_WAREHOUSE[operation.id]
      if (rule === undefined || rule.may === 'public') continue
      for (const call of callsOf(operation)) {
        const { status, text } = await send(call, person)
        const found =
          status < 300 ? marks.filter((mark) => text.includes(mark) && !NAMED_BY_CALLER.has(operation.id)) : []
        const isOfHeadOffice =
          rule.may === 'head-office' && person?.actor.grants.some(({ duty }) => rule.with.includes(duty)) === true
        const isFine = isOfHeadOffice
          ? status < 300 || [403, 409, 422].includes(status)
          : rule.may === 'everybody'
            ? found.length === 0 &&
              (status < 300 || [403, 404, 409, 422].includes(status)) &&
              (operation.method !== 'get' ||
                status === 200 ||
                call.url.includes('?') ||
                operation.id === 'verifyLedger')
            : ['importOpeningStock', 'importLoaners', 'importTools'].includes(operation.id)
              ? (status === 200 && JSON.parse(text).counts.refused === 1) || [403, 404, 422].includes(status)
              : [403, 404].includes(status)
        if (!isFine) faults.push(`${operation.id} ${call.url}: ${status} ${text.slice(0, 300)}`)
      }
    }
    expect(faults).toEqual([])
  })

  test('nothing of it has changed, and its ledger verifies', async () => {
    expect(await stateOfB()).toEqual(before)
    expect(await b.verify()).toMatchObject({ ok: true, findings: [] })
  })
})

/** They answer what the caller named: whom it delegated to, what it wanted to sign. */
const NAMED_BY_CALLER = new Set(['delegateDuties', 'listDelegations', 'signSlips'])

test('signing many slips at once signs none of another warehouse', async () => {
  const signer = await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: 'HQ' }] })
  const { body } = await send(
    { method: 'post', url: '/v1/slip-signatures', type: 'application/json', body: BODIES['signSlips']?.() },
    signer
  )
  expect(body).toMatchObject({ signed: 0, refused: values['/slips/{number}']?.length })
  expect(new Set(body.results.map(({ problem }: { problem: { code: string } }) => problem.code))).toEqual(
    new Set(['NotFound'])
  )
})

test('the slips of another warehouse are no source of a return or a reversal here', async () => {
  const keeper = await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'HQ' }] })
  for (const number of values['/slips/{number}'] ?? []) {
    for (const slip of [
      { kind: 'return', reference: number, lines: [{ part: 'CH-0234', quantity: '1' }] },
      { kind: 'reversal', reference: number, reason: 'x' }
    ]) {
      const { body } = await send(
        { method: 'post', url: '/v1/warehouses/HQ/slips', type: 'application/json', body: slip },
        keeper
      )
      // What a number that nobody gave out is told too.
      expect(body).toMatchObject({
        code: 'SourceSlipRequired',
        errors: [{ pointer: '/reference', detail: `there is no slip ${number} here` }]
      })
    }
  }
})

describe('what belongs to no warehouse', () => {
  test.for(DUTIES.map((duty) => [duty]))('%s everywhere may do what the table says and no more', async ([duty]) => {
    const person = await h.make.person({ grants: [{ duty }] })
    const faults: string[] = []
    for (const operation of operations) {
      const may = OF_NO_WAREHOUSE[operation.id]?.may
      if (may === undefined || typeof may === 'string') continue
      for (const call of callsOf(operation)) {
        const { status, text } = await send(call, person)
        const isFine = may.includes(duty)
          ? status < 300 || status === 409 || status === 422
          : status === 403 || status === 404
        if (!isFine) faults.push(`${operation.id} ${call.url}: ${status} ${text.slice(0, 300)}`)
      }
    }
    expect(faults).toEqual([])
  })
})
