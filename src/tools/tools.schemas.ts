import { Type, type Static } from 'typebox'
import { Username } from '../identity/identity.schemas.ts'
import {
  closed,
  Day,
  Instant,
  Money,
  named,
  nullable,
  oneOf,
  pageOf,
  ref,
  text,
  WarehouseCode
} from '../platform/schemas.ts'
import { ReadContentHash } from '../signing/signing.schemas.ts'

/** Where a tool is: on the shelf of its warehouse, in the custody of a technician, or gone. */
export const TOOL_STATES = ['shelf', 'custody', 'lost', 'scrapped'] as const
export type ToolState = (typeof TOOL_STATES)[number]

export const TOOL_DOCUMENT_KINDS = ['issue', 'return', 'hand-over', 'transfer'] as const
export type ToolDocumentKind = (typeof TOOL_DOCUMENT_KINDS)[number]
export const TOOL_DOCUMENT_STATES = ['awaiting-signatures', 'effective', 'refused', 'cancelled'] as const
export type ToolDocumentState = (typeof TOOL_DOCUMENT_STATES)[number]
export const ROLES = ['giver', 'taker'] as const
export type Role = (typeof ROLES)[number]

export const CUSTODY_KINDS = [
  'registered',
  'issued',
  'returned',
  'handed-over',
  'transferred',
  'lost',
  'scrapped',
  'repaired',
  'found'
] as const

/** How many tools one request names. */
export const MAX_TOOLS = 500

/** No slashes and no blanks: a serial number stands in paths and on labels. */
export const ToolSerial = Type.String({
  // Words that stand in the same place of a path.
  pattern: '^(?!(compensations|losses|policies|policy|custody|rounds|kits|documents)$)[A-Za-z0-9][A-Za-z0-9._-]{0,59}$',
  description: 'Serial number of the tool (工具编号), unique in the company whatever the case of its letters',
  examples: ['GJ-2026-00031']
})
export const ToolSerialParams = Type.Object({ serial: ToolSerial })
export const ToolName = text(120, 'Name (名称)', 'Digital multimeter')
export const ToolNameZh = text(120, 'Chinese name (中文名称)', '数字万用表')
export const ToolModel = text(80, 'Model (型号规格)', 'FL-17B')
export const ToolValue = Type.String({
  pattern: '^(0|[1-9][0-9]{0,13})([.][0-9]{1,2})?$',
  description: 'What it cost when it was bought (购入原值), a decimal string with at most two places',
  examples: ['1280.00']
})
export const CalibrationMonths = Type.Integer({
  minimum: 1,
  maximum: 120,
  description: 'Months from one calibration to the next (检定周期)',
  examples: [12]
})
const Note = text(500, 'Remark (备注)')
export const Technician = Type.String({
  ...Username,
  description: 'User name of the technician (维修技术员)',
  examples: ['technician@hq']
})
export const TechnicianParams = Type.Object({ username: Technician })
export const TOOL_DOCUMENT_NUMBER = '^[A-Z0-9][A-Z0-9-]*-(TIS|TRT|THO|TTR)-[0-9]{6}-[0-9]{5,}$'
export const ToolDocumentNumber = Type.String({
  pattern: TOOL_DOCUMENT_NUMBER,
  description: 'Number of the document (单号): TIS issue, TRT return, THO hand-over, TTR transfer',
  examples: ['HQ-TIS-202611-00001']
})
export const ToolDocumentParams = Type.Object({ number: ToolDocumentNumber })
export const KitCode = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$',
  description: 'Code of the kit (工具箱编号), unique in its warehouse',
  examples: ['KIT-AC-1']
})
export const KitParams = Type.Object({ warehouse: WarehouseCode, code: KitCode })

const PurchaseDay = Type.String({ ...Day, description: 'Day it was bought (购置日期)', examples: ['2026-03-02'] })
const newTool = {
  serial: ToolSerial,
  name: ToolName,
  nameZh: Type.Optional(ToolNameZh),
  model: Type.Optional(ToolModel),
  value: ToolValue,
  purchasedOn: PurchaseDay,
  calibrationMonths: Type.Optional(CalibrationMonths),
  calibratedOn: Type.Optional(Type.String({ ...Day, description: 'Day it was calibrated last (上次检定日期)' })),
  calibrationDueOn: Type.Optional(
    Type.String({
      ...Day,
      description:
        'Day by which it is calibrated again (检定到期日); unless given, the interval after the last calibration, or after the purchase'
    })
  ),
  note: Type.Optional(Note)
}
export const NewTool = named('NewTool', Type.Object(newTool, closed))
export type NewTool = Static<typeof NewTool>
export const RegisterToolsBody = named(
  'NewTools',
  Type.Object(
    { tools: Type.Array(ref(NewTool), { minItems: 1, maxItems: MAX_TOOLS, description: 'Tools to register (登记)' }) },
    {
      ...closed,
      examples: [
        {
          tools: [
            {
              serial: 'GJ-2026-00031',
              name: 'Digital multimeter',
              nameZh: '数字万用表',
              model: 'FL-17B',
              value: '1280.00',
              purchasedOn: '2026-03-02',
              calibrationMonths: 12
            }
          ]
        }
      ]
    }
  )
)
export const UpdateToolBody = named(
  'ToolChange',
  Type.Object(
    {
      serial: Type.Optional(ToolSerial),
      value: Type.Optional(ToolValue),
      purchasedOn: Type.Optional(PurchaseDay),
      name: Type.Optional(ToolName),
      nameZh: Type.Optional(nullable(ToolNameZh)),
      model: Type.Optional(nullable(ToolModel)),
      calibrationMonths: Type.Optional(nullable(CalibrationMonths)),
      calibrationDueOn: Type.Optional(
        nullable(Type.String({ ...Day, description: 'Day by which it is calibrated again; null if it need not be' }))
      ),
      note: Type.Optional(nullable(Note))
    },
    { ...closed, minProperties: 1, examples: [{ note: '表笔已更换' }] }
  )
)
export type UpdateTool = Static<typeof UpdateToolBody>

export const RecordCalibrationBody = named(
  'NewToolCalibration',
  Type.Object(
    {
      calibratedOn: Type.String({ ...Day, description: 'Day of the calibration (检定日期)', examples: ['2026-11-18'] }),
      certificate: text(100, 'Number of the certificate (检定证书编号)', 'JL-2026-118'),
      nextDueOn: Type.Optional(
        Type.String({ ...Day, description: 'Due again (下次检定日期); unless given, the interval of the tool later' })
      ),
      note: Type.Optional(Note)
    },
    { ...closed, examples: [{ calibratedOn: '2026-11-18', certificate: 'JL-2026-118' }] }
  )
)
export type RecordCalibration = Static<typeof RecordCalibrationBody>

export const CalibrationParams = Type.Object({
  serial: ToolSerial,
  calibratedOn: Type.String({ ...Day, description: 'Day of the calibration as it was entered (检定日期)' })
})
export const CorrectCalibrationBody = named(
  'CalibrationCorrection',
  Type.Object(
    {
      calibratedOn: Type.Optional(
        Type.String({ ...Day, description: 'Day on which it really was (更正后的检定日期)', examples: ['2026-11-17'] })
      ),
      certificate: Type.Optional(text(100, 'Number of the certificate (检定证书编号)', 'JL-2026-181')),
      nextDueOn: Type.Optional(
        Type.String({
          ...Day,
          description:
            'Due again (下次检定日期); left away, a day that followed from the interval of the tool follows the corrected one'
        })
      ),
      note: Type.Optional(nullable(Note)),
      reason: text(500, 'Why it is corrected (更正原因)', '证书编号录错')
    },
    { ...closed, examples: [{ certificate: 'JL-2026-181', reason: '证书编号录错' }] }
  )
)
export type CorrectCalibration = Static<typeof CorrectCalibrationBody>

const tool = {
  serial: ToolSerial,
  name: Type.String(),
  nameZh: nullable(Type.String()),
  model: nullable(Type.String()),
  warehouse: Type.String({ ...WarehouseCode, description: 'Warehouse whose register it stands in (归属仓库)' }),
  state: oneOf(TOOL_STATES, 'Where it is (状态): on the shelf, in custody, lost or scrapped'),
  technician: nullable(Type.String({ description: 'User name of who has it in custody (保管人)' })),
  technicianName: nullable(Type.String()),
  since: nullable(Type.String({ ...Instant, description: 'Since when it is there' })),
  document: nullable(Type.String({ description: 'Open document that holds it: it waits for signatures' })),
  lossReported: Type.Boolean({
    description:
      'A report of loss or damage holds it: not decided yet, or decided and it is being repaired (遗失损坏处理中)'
  }),
  kit: nullable(Type.String({ description: 'Kit it belongs to (所属工具箱)' })),
  value: Money,
  purchasedOn: Day,
  fixedAsset: Type.Boolean({
    description: 'A fixed asset (固定资产): its value reached the threshold when it was bought'
  }),
  calibrationMonths: nullable(Type.Integer({ description: 'Months from one calibration to the next' })),
  calibratedOn: nullable(Day),
  calibrationDueOn: nullable(Day),
  calibrationOverdue: Type.Boolean({ description: 'Due before today' }),
  note: nullable(Type.String()),
  registeredAt: Instant,
  version: Type.Integer()
}
export const ToolView = named('Tool', Type.Object(tool))
export type ToolView = Static<typeof ToolView>
export const ToolPage = pageOf(ToolView)
export const RegisteredTools = named('RegisteredTools', Type.Object({ tools: Type.Array(ref(ToolView)) }))

export const ToolHistory = named(
  'ToolHistory',
  Type.Object({
    custody: Type.Array(
      Type.Object({
        position: Type.Integer({
          description: 'Position in the journal of the tool; each begins where the last ended'
        }),
        kind: oneOf(CUSTODY_KINDS, 'What happened'),
        from: nullable(oneOf(TOOL_STATES, 'Where it was')),
        fromWarehouse: nullable(WarehouseCode),
        fromTechnician: nullable(Type.String()),
        to: oneOf(TOOL_STATES, 'Where it went'),
        warehouse: WarehouseCode,
        technician: nullable(Type.String()),
        document: nullable(Type.String()),
        at: Instant,
        by: Type.String({ description: 'User name' })
      }),
      { description: 'The custody journal (保管流水), the oldest first' }
    ),
    calibrations: Type.Array(
      Type.Object({
        entry: Type.Integer({ description: 'Calibrations of the tool in the order of their entry, from 1' }),
        corrects: nullable(Type.Integer({ description: 'The entry that this one corrects' })),
        calibratedOn: Day,
        certificate: Type.String(),
        nextDueOn: nullable(Day),
        note: nullable(Type.String()),
        recordedBy: Type.String(),
        recordedAt: Instant,
        corrected: nullable(
          Type.Object(
            { by: Type.String(), at: Instant, because: Type.String() },
            { description: 'Who corrected it and why (更正); what is not corrected holds' }
          )
        )
      }),
      { description: 'Calibrations (检定记录), also those that were corrected, by day' }
    ),
    events: Type.Array(Type.Object({ at: Instant, by: Type.String(), event: Type.String(), details: Type.Unknown() }), {
      description: 'What was written of it otherwise'
    })
  })
)
export type ToolHistory = Static<typeof ToolHistory>

/** Tools by number, or a kit with all that is of it. */
const what = {
  tools: Type.Optional(
    Type.Array(
      Type.Object(
        { serial: ToolSerial, condition: Type.Optional(text(200, 'Condition as it changes hands (交接状况)', '完好')) },
        closed
      ),
      { minItems: 1, maxItems: MAX_TOOLS, description: 'Tools; or name a kit' }
    )
  ),
  kit: Type.Optional(KitCode),
  withoutMissing: Type.Optional(
    Type.Boolean({ default: false, description: 'Of a kit: go ahead without what is missing of it (缺件放行)' })
  ),
  note: Type.Optional(Note)
}
const example = { tools: [{ serial: 'GJ-2026-00031', condition: '完好' }] }
export const IssueToolsBody = named(
  'NewToolIssue',
  Type.Object(
    { technician: Technician, ...what },
    { ...closed, examples: [{ technician: 'technician@hq', ...example }] }
  )
)
export type IssueTools = Static<typeof IssueToolsBody>
export const ReturnToolsBody = named(
  'NewToolReturn',
  Type.Object(
    {
      technician: Type.Optional(Type.String({ ...Technician, description: 'Who returns; you unless given' })),
      ...what
    },
    { ...closed, examples: [{ technician: 'technician@hq', ...example }] }
  )
)
export type ReturnTools = Static<typeof ReturnToolsBody>
export const HandOverToolsBody = named(
  'NewToolHandOver',
  Type.Object(
    {
      from: Type.Optional(Type.String({ ...Technician, description: 'Who gives; you unless given' })),
      to: Type.String({ ...Technician, description: 'Who takes (接收人)' }),
      ...what
    },
    { ...closed, examples: [{ from: 'technician@hq', to: 'second-technician@hq', ...example }] }
  )
)
export type HandOverTools = Static<typeof HandOverToolsBody>
export const TransferToolsBody = named(
  'NewToolTransfer',
  Type.Object(
    { to: Type.String({ ...WarehouseCode, description: 'Warehouse that takes them into its register' }), ...what },
    { ...closed, examples: [{ to: 'SZ01', ...example }] }
  )
)
export type TransferTools = Static<typeof TransferToolsBody>
export const ReturnAllBody = named(
  'NewToolReturnAll',
  Type.Object(
    {
      warehouse: Type.Optional(
        Type.String({ ...WarehouseCode, description: 'Only what stands in the register of this warehouse' })
      ),
      note: Type.Optional(Note)
    },
    { ...closed, examples: [{ note: '离岗退还' }] }
  )
)

export const SignToolDocumentBody = named(
  'ToolSignature',
  Type.Object(
    {
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{}] }
  )
)
export const WithdrawToolDocumentBody = named(
  'ToolDocumentReason',
  Type.Object(
    { reason: text(500, 'Why (原因)', '实物与清单不符') },
    { ...closed, examples: [{ reason: '实物与清单不符' }] }
  )
)

export const ToolDocumentView = named(
  'ToolDocument',
  Type.Object({
    number: ToolDocumentNumber,
    kind: oneOf(
      TOOL_DOCUMENT_KINDS,
      'Issue (领用), return (归还), hand-over between technicians (交接), transfer (调拨)'
    ),
    state: oneOf(TOOL_DOCUMENT_STATES, 'Only an effective one has moved its tools'),
    warehouse: WarehouseCode,
    toWarehouse: nullable(Type.String({ ...WarehouseCode, description: 'Of a transfer: whose register they go to' })),
    giver: nullable(Type.String({ description: 'User name of who gives (移交人)' })),
    taker: nullable(
      Type.String({ description: 'User name of who takes (接收人); of a return or transfer once signed' })
    ),
    awaiting: Type.Array(oneOf(ROLES, 'Who has to sign yet'), { description: 'Signatures that are missing' }),
    kit: nullable(Type.String()),
    missingOfKit: Type.Array(Type.String(), { description: 'Tools of the kit that are not on this document (缺件)' }),
    note: nullable(Type.String()),
    lines: Type.Array(
      Type.Object({
        line: Type.Integer(),
        serial: ToolSerial,
        name: Type.String(),
        nameZh: nullable(Type.String()),
        model: nullable(Type.String()),
        value: Money,
        condition: nullable(Type.String())
      })
    ),
    signatures: Type.Array(
      Type.Object({
        role: oneOf(ROLES, 'Giver or taker'),
        by: Type.String({ description: 'User name' }),
        name: Type.String(),
        contentHash: Type.String(),
        signedAt: Instant
      })
    ),
    contentHash: Type.String({ description: 'SHA-256 of the content that is signed, RFC 8785' }),
    reason: nullable(Type.String({ description: 'Why it was refused or cancelled' })),
    preparedBy: Type.String({ description: 'User name' }),
    preparedAt: Instant,
    settledAt: nullable(Instant),
    version: Type.Integer()
  })
)
export type ToolDocumentView = Static<typeof ToolDocumentView>
export const ToolDocumentSummary = named(
  'ToolDocumentSummary',
  Type.Object({
    number: ToolDocumentNumber,
    kind: oneOf(TOOL_DOCUMENT_KINDS, 'Kind (单据类别)'),
    state: oneOf(TOOL_DOCUMENT_STATES, 'State (状态)'),
    warehouse: WarehouseCode,
    toWarehouse: nullable(WarehouseCode),
    giver: nullable(Type.String()),
    taker: nullable(Type.String()),
    kit: nullable(Type.String()),
    tools: Type.Integer({ description: 'How many tools it moves' }),
    value: Money,
    preparedAt: Instant,
    settledAt: nullable(Instant)
  })
)
export type ToolDocumentSummary = Static<typeof ToolDocumentSummary>
export const ToolDocumentPage = pageOf(ToolDocumentSummary)
export const ToolDocumentHistory = named(
  'ToolDocumentHistory',
  Type.Object({
    items: Type.Array(Type.Object({ at: Instant, by: Type.String(), event: Type.String(), details: Type.Unknown() }))
  })
)

export const ReturnedAll = named(
  'ToolReturnAll',
  Type.Object({
    documents: Type.Array(ref(ToolDocumentView), {
      description: 'One per warehouse whose register the tools stand in; a keeper of each signs'
    }),
    leftOut: Type.Array(
      Type.Object({
        serial: ToolSerial,
        warehouse: WarehouseCode,
        because: oneOf(['loss-reported', 'on-open-document'], 'Why it is not on a document'),
        document: nullable(Type.String({ description: 'Number of the open document, or of the report' }))
      }),
      { description: 'What is still open and is settled otherwise (未列入)' }
    )
  })
)
export type ReturnedAll = Static<typeof ReturnedAll>

export const SetKitBody = named(
  'NewToolKit',
  Type.Object(
    {
      name: text(120, 'Name (名称)', 'Air-conditioning service kit'),
      nameZh: Type.Optional(nullable(text(120, 'Chinese name (中文名称)', '空调维修工具箱'))),
      tools: Type.Array(ToolSerial, {
        minItems: 1,
        maxItems: MAX_TOOLS,
        uniqueItems: true,
        description: 'All that is of it'
      })
    },
    {
      ...closed,
      examples: [{ name: 'Air-conditioning service kit', nameZh: '空调维修工具箱', tools: ['GJ-2026-00031'] }]
    }
  )
)
export type SetKit = Static<typeof SetKitBody>
const KitTool = Type.Object({
  serial: ToolSerial,
  name: Type.String(),
  nameZh: nullable(Type.String()),
  state: oneOf(TOOL_STATES, 'Where it is'),
  technician: nullable(Type.String()),
  lossReported: Type.Boolean({
    description: 'A report of loss or damage holds it (遗失损坏处理中): it is issued and returned with no kit'
  })
})
export const KitView = named(
  'ToolKit',
  Type.Object({
    warehouse: WarehouseCode,
    code: KitCode,
    name: Type.String(),
    nameZh: nullable(Type.String()),
    technician: nullable(Type.String({ description: 'Who it was issued to as a whole; null on the shelf' })),
    tools: Type.Array(KitTool),
    missing: Type.Array(KitTool, {
      description: 'What is not where the kit is, or is reported lost or damaged or being repaired (缺件)'
    }),
    version: Type.Integer()
  })
)
export type KitView = Static<typeof KitView>
export const KitList = named('ToolKitList', Type.Object({ items: Type.Array(ref(KitView)) }))

export const CustodyStatement = named(
  'ToolCustody',
  Type.Object({
    technician: Type.String({ description: 'User name' }),
    name: Type.String(),
    on: Day,
    tools: Type.Array(ref(ToolView)),
    count: Type.Integer(),
    value: Type.String({ ...Money, description: 'What they cost together' })
  })
)
export type CustodyStatement = Static<typeof CustodyStatement>
