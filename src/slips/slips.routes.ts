import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { DUTIES } from '../identity/actor.ts'
import { sendCsv } from '../platform/csv.ts'
import { csvBody, csvUpload, IMPORT_BODY_LIMIT, ImportResultView } from '../platform/csv-import.ts'
import { IfMatch, tagged } from '../platform/etag.ts'
import { closed, Day, limitAndCursor, Month, named, problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { listSigningPolicies, setSigningPolicy } from '../signing/signing-policy.ts'
import { amendSlip, submitSlip } from './amend-slip.ts'
import { createSlip, reverseSlip } from './create-slip.ts'
import { importOpeningStock, OPENING_STOCK_COLUMNS } from './import-opening-stock.ts'
import { postSlip, releaseSlipInEmergency } from './post-slip.ts'
import {
  listQualityReports,
  QualityReportPage,
  QualityReportParams,
  QualityReportView,
  QualitySummaryView,
  readQualityReport,
  readQualitySummary,
  SettleBody,
  settleQualityReport
} from './quality-reports.ts'
import { signSlip, signSlips } from './sign-slip.ts'
import { SLIP_KINDS, SLIP_STATES } from './slip-kinds.ts'
import { exportSlip, readPackageKey, SlipPackage } from './slip-package.ts'
import { readSlip } from './slip.ts'
import { listSlipEvents, listSlips, POSTED_LINE_COLUMNS, postedLines, searchSlips } from './slips.queries.ts'
import {
  AmendSlipBody,
  CreateSlipBody,
  PostSlipBody,
  ReasonBody,
  ReleaseBody,
  ReversalBody,
  SignSlipBody,
  SignSlipsBody,
  SignSlipsResult,
  SlipEvent,
  SlipNumber,
  SlipParams,
  SlipSummaryPage,
  SlipView
} from './slips.schemas.ts'
import { cancelSlip, refuseRelease } from './withdraw-slip.ts'

const WarehouseParams = Type.Object({ warehouse: WarehouseCode })
const Duty = Type.Unsafe<(typeof DUTIES)[number]>({ type: 'string', enum: [...DUTIES] })
const slipFilter = {
  state: Type.Optional(Type.Unsafe<(typeof SLIP_STATES)[number]>({ type: 'string', enum: [...SLIP_STATES] })),
  kind: Type.Optional(Type.Unsafe<(typeof SLIP_KINDS)[number]>({ type: 'string', enum: [...SLIP_KINDS] })),
  from: Type.Optional(Day),
  to: Type.Optional(Day),
  awaiting: Type.Optional(
    Type.Unsafe<(typeof DUTIES)[number]>({
      type: 'string',
      enum: [...DUTIES],
      description: 'Only slips that await the signature of this duty, in time or late (待签)'
    })
  ),
  reference: Type.Optional(Type.String({ maxLength: 100 })),
  lateSignature: Type.Optional(
    Type.Boolean({ description: 'Only slips that still lack a late signature (补签), or only others' })
  ),
  ...limitAndCursor
}
const SlipEvents = named('SlipEvents', Type.Object({ items: Type.Array(ref(SlipEvent)) }))
const SigningPolicyView = named(
  'SigningPolicy',
  Type.Object({
    documentKind: Type.String({
      description: 'Kind of slip, count, purchase-plan, or * for every kind without a policy of its own'
    }),
    duties: Type.Array(Duty)
  })
)
const SigningPolicies = named('SigningPolicies', Type.Object({ items: Type.Array(ref(SigningPolicyView)) }))
const PackageKey = named(
  'PackageKey',
  Type.Object({ algorithm: Type.Literal('Ed25519'), publicKey: Type.String({ description: 'SPKI, base64' }) })
)
const OpeningStockResult = named(
  'OpeningStockResult',
  Type.Object({
    ...ImportResultView.properties,
    slips: Type.Array(Type.String({ description: 'Numbers of the opening slips' }))
  })
)

export const slipRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/warehouses/:warehouse/slips',
    {
      schema: {
        operationId: 'createSlip',
        tags: ['slips'],
        summary: 'Write a slip and submit it (开单)',
        description:
          'Duty: keeper. A receipt checks expected against received quantities; a difference opens a quality report when it is posted. At most 500 lines.',
        params: WarehouseParams,
        body: ref(CreateSlipBody),
        response: { 201: ref(SlipView), ...problems }
      }
    },
    async (request, reply) => {
      const slip = await createSlip(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/slips/${slip.number}`)
      return tagged(reply, slip)
    }
  )

  app.get(
    '/warehouses/:warehouse/slips',
    {
      schema: {
        operationId: 'listSlips',
        tags: ['slips'],
        summary: 'Slips of a warehouse, newest day first (单据列表)',
        params: WarehouseParams,
        querystring: Type.Object(slipFilter, closed),
        response: { 200: ref(SlipSummaryPage), ...problems }
      }
    },
    (request) => listSlips(request.ctx, { ...request.params, ...request.query })
  )

  app.get(
    '/slips',
    {
      schema: {
        operationId: 'searchSlips',
        tags: ['slips'],
        summary: 'Slips of every warehouse you see, newest day first (单据查询)',
        description:
          'For whoever signs for a region or the whole network; `awaiting=finance-supervisor` lists what that duty has to sign.',
        querystring: Type.Object(slipFilter, closed),
        response: { 200: ref(SlipSummaryPage), ...problems }
      }
    },
    (request) => searchSlips(request.ctx, request.query)
  )

  app.get(
    '/slips/:number',
    {
      schema: {
        operationId: 'readSlip',
        tags: ['slips'],
        summary: 'One slip (单据)',
        params: SlipParams,
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) => tagged(reply, await readSlip(request.ctx, request.params))
  )

  app.put(
    '/slips/:number',
    {
      schema: {
        operationId: 'amendSlip',
        tags: ['slips'],
        summary: 'Rewrite a slip that is not posted (修改单据)',
        description: 'Duty: keeper. Says the whole slip anew; signatures given so far are void and it awaits new ones.',
        params: SlipParams,
        headers: IfMatch,
        body: ref(AmendSlipBody),
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await amendSlip(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/slips/:number/submission',
    {
      schema: {
        operationId: 'submitSlip',
        tags: ['slips'],
        summary: 'Submit a draft or refused slip (提交)',
        description: 'Duty: keeper.',
        params: SlipParams,
        headers: IfMatch,
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(reply, await submitSlip(request.ctx, { ...request.params, ifMatch: request.headers['if-match'] }))
  )

  app.post(
    '/slips/:number/signatures',
    {
      schema: {
        operationId: 'signSlip',
        tags: ['slips'],
        summary: 'Sign a slip, or refuse it with a reason (签字)',
        description:
          'Three different people sign, none of whom prepared the slip. The signature binds to the content. After an emergency release this is the late signature (补签).',
        params: SlipParams,
        headers: IfMatch,
        body: ref(SignSlipBody),
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await signSlip(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/slip-signatures',
    {
      schema: {
        operationId: 'signSlips',
        tags: ['slips'],
        summary: 'Sign many slips in one call (批量签字)',
        description: 'Each slip is signed on its own; the answer says of each what became of it.',
        body: ref(SignSlipsBody),
        response: { 200: ref(SignSlipsResult), ...problems }
      }
    },
    (request) => signSlips(request.ctx, request.body)
  )

  app.post(
    '/slips/:number/posting',
    {
      schema: {
        operationId: 'postSlip',
        tags: ['slips'],
        summary: 'Post an approved slip: goods and stock move (过账)',
        description: 'Duty: keeper. Names who took the goods (收货人) or brought them (送货人).',
        params: SlipParams,
        headers: IfMatch,
        body: ref(PostSlipBody),
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await postSlip(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/slips/:number/emergency-release',
    {
      schema: {
        operationId: 'releaseSlipInEmergency',
        tags: ['slips'],
        summary: 'Hand goods out with one signature missing (紧急放行)',
        description: 'Duty: keeper. Exactly one signature may be missing; it is due within 24 hours.',
        params: SlipParams,
        headers: IfMatch,
        body: ref(ReleaseBody),
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await releaseSlipInEmergency(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/slips/:number/release-refusal',
    {
      schema: {
        operationId: 'refuseRelease',
        tags: ['slips'],
        summary: 'Refuse to hand goods out: papers are incomplete (拒绝发货)',
        description:
          'Duty: keeper. The slip goes back to its preparer; the finance supervisor finds it among the refused ones.',
        params: SlipParams,
        headers: IfMatch,
        body: ref(ReasonBody),
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await refuseRelease(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/slips/:number/cancellation',
    {
      schema: {
        operationId: 'cancelSlip',
        tags: ['slips'],
        summary: 'Cancel a slip that never took effect (作废)',
        description: 'Duty: keeper. Its number stays taken.',
        params: SlipParams,
        headers: IfMatch,
        body: ref(ReasonBody),
        response: { 200: ref(SlipView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelSlip(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.post(
    '/slips/:number/reversal',
    {
      schema: {
        operationId: 'reverseSlip',
        tags: ['slips'],
        summary: 'Reverse a posted slip by a slip of its own (红字冲销)',
        description:
          'Duty: keeper. The reversal is signed and posted like any other slip; it moves what the original moved, at the same cost.',
        params: SlipParams,
        body: ref(ReversalBody),
        response: { 201: ref(SlipView), ...problems }
      }
    },
    async (request, reply) => {
      const slip = await reverseSlip(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/slips/${slip.number}`)
      return tagged(reply, slip)
    }
  )

  app.get(
    '/slips/:number/history',
    {
      schema: {
        operationId: 'listSlipEvents',
        tags: ['slips'],
        summary: 'Everything that happened to a slip (单据历史)',
        params: SlipParams,
        response: { 200: ref(SlipEvents), ...problems }
      }
    },
    (request) => listSlipEvents(request.ctx, request.params)
  )

  app.get(
    '/slips/:number/package',
    {
      schema: {
        operationId: 'exportSlip',
        tags: ['slips'],
        summary: 'The slip as a sealed package that verifies offline (电子凭证)',
        params: SlipParams,
        response: { 200: ref(SlipPackage), ...problems }
      }
    },
    (request) => exportSlip(request.ctx, request.params)
  )

  app.get(
    '/slip-package-key',
    {
      schema: {
        operationId: 'readPackageKey',
        tags: ['slips'],
        summary: 'Public key of the slip packages (公钥)',
        response: { 200: ref(PackageKey), ...problems }
      }
    },
    (request) => readPackageKey(request.ctx)
  )

  app.get(
    '/warehouses/:warehouse/periods/:period/posted-slips',
    {
      schema: {
        operationId: 'exportPostedSlips',
        tags: ['slips'],
        summary: 'Posted slips of a month as CSV, for costing (送货单交财务)',
        description: 'One row per line and lot, streamed as UTF-8 CSV.',
        produces: ['text/csv'],
        params: Type.Object({ warehouse: WarehouseCode, period: Month }),
        response: { 200: { description: 'CSV', content: { 'text/csv': { schema: Type.String() } } }, ...problems }
      }
    },
    async (request, reply) =>
      sendCsv(
        reply,
        `${request.params.warehouse}-${request.params.period}-posted-slips.csv`,
        POSTED_LINE_COLUMNS,
        await postedLines(request.ctx, request.params)
      ) as never
  )

  app.get(
    '/quality-reports',
    {
      schema: {
        operationId: 'listQualityReports',
        tags: ['quality'],
        summary: 'Quality reports (质量反馈表)',
        querystring: Type.Object(
          {
            warehouse: Type.Optional(WarehouseCode),
            slip: Type.Optional(SlipNumber),
            settled: Type.Optional(Type.Boolean()),
            from: Type.Optional(Day),
            to: Type.Optional(Day),
            ...limitAndCursor
          },
          closed
        ),
        response: { 200: ref(QualityReportPage), ...problems }
      }
    },
    (request) => listQualityReports(request.ctx, request.query)
  )

  app.get(
    '/quality-reports/:number',
    {
      schema: {
        operationId: 'readQualityReport',
        tags: ['quality'],
        summary: 'One quality report (质量反馈表)',
        params: QualityReportParams,
        response: { 200: ref(QualityReportView), ...problems }
      }
    },
    (request) => readQualityReport(request.ctx, request.params)
  )

  app.get(
    '/quality-summary',
    {
      schema: {
        operationId: 'readQualitySummary',
        tags: ['quality'],
        summary: 'Semi-monthly quality summary (质量半月报)',
        description:
          'The 1st to 15th (half=1) or the 16th to the end of the month (half=2). Reports of receipts that were reversed are left out.',
        querystring: Type.Object(
          { period: Month, half: Type.Unsafe<1 | 2>({ type: 'integer', enum: [1, 2], examples: [2] }) },
          closed
        ),
        response: { 200: ref(QualitySummaryView), ...problems }
      }
    },
    (request) => readQualitySummary(request.ctx, request.query)
  )

  app.post(
    '/quality-reports/:number/settlement',
    {
      schema: {
        operationId: 'settleQualityReport',
        tags: ['quality'],
        summary: 'Settle a quality report (质量反馈处理)',
        description: 'Duty: finance-supervisor.',
        params: QualityReportParams,
        body: ref(SettleBody),
        response: { 200: ref(QualityReportView), ...problems }
      }
    },
    (request) => settleQualityReport(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/signing-policies',
    {
      schema: {
        operationId: 'listSigningPolicies',
        tags: ['slips'],
        summary: 'Which duties sign which slips (签字规则)',
        response: { 200: ref(SigningPolicies), ...problems }
      }
    },
    async (request) => ({ items: await listSigningPolicies(request.ctx) })
  )

  app.put(
    '/signing-policies/:documentKind',
    {
      schema: {
        operationId: 'setSigningPolicy',
        tags: ['slips'],
        summary: 'Set which duties sign a kind of slip, counts, purchase plans or the ends of recalls (设定签字规则)',
        description:
          'Duty: administrator everywhere. Three different duties are the floor; counts are signed by finance-supervisor and stock-controller whatever else, purchase plans and the ends of recalls by hq-finance and stock-controller. The reversal of the adjustment of a count is signed by the stock-controller, too.',
        params: Type.Object({
          documentKind: Type.Unsafe<(typeof SLIP_KINDS)[number] | 'count' | 'purchase-plan' | 'recall' | '*'>({
            type: 'string',
            enum: [...SLIP_KINDS, 'count', 'purchase-plan', 'recall', '*']
          })
        }),
        body: Type.Object(
          { duties: Type.Array(Duty, { minItems: 1, maxItems: DUTIES.length }) },
          { ...closed, examples: [{ duties: ['department-head', 'operations-supervisor', 'finance-supervisor'] }] }
        ),
        response: { 200: ref(SigningPolicyView), ...problems }
      }
    },
    (request) => setSigningPolicy(request.ctx, { ...request.params, ...request.body })
  )
}

/** CSV import of opening stock: a `text/csv` body of up to 50 MiB. */
export const openingStockRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(csvUpload)

  app.post(
    '/imports/opening-stock',
    {
      bodyLimit: IMPORT_BODY_LIMIT,
      schema: {
        operationId: 'importOpeningStock',
        tags: ['slips'],
        summary: 'Import opening stock from CSV as slips (导入期初库存)',
        description: `${csvBody.describe(OPENING_STOCK_COLUMNS)} Applied, the rows become opening slips that await their signatures. Duty: keeper there or stock-controller.`,
        consumes: csvBody.consumes,
        querystring: Type.Object(
          {
            apply: Type.Optional(Type.Boolean({ default: false, description: 'false: dry run, nothing is changed' })),
            occurredOn: Type.Optional(Type.String({ ...Day, description: 'Day of the slips; today unless given' }))
          },
          closed
        ),
        body: csvBody.body('warehouse,part,quantity,unitCost,receivedOn\nSZ11-V1,CH-0234,10,8.9866,2026-07-14\n'),
        response: { 200: ref(OpeningStockResult), ...problems }
      }
    },
    (request) => importOpeningStock(request.ctx, { csv: request.body as string, ...request.query })
  )
}
