import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  named,
  nullable,
  oneOf,
  pageOf,
  text,
  WarehouseCode
} from '../platform/schemas.ts'
import { ReadContentHash } from '../signing/signing.schemas.ts'
import { ToolSerial } from '../tools/tools.schemas.ts'

export const ROUND_LINE_STATES = ['awaited', 'report-awaited', 'confirmed', 'handed-in'] as const
export type RoundLineState = (typeof ROUND_LINE_STATES)[number]
export const ROUND_STATES = ['open', 'closed'] as const
export type RoundState = (typeof ROUND_STATES)[number]

export const RoundNumber = Type.String({
  maxLength: 60,
  pattern: '^[A-Z0-9][A-Z0-9-]*-TCR-[0-9]{6}-[0-9]{5,}$',
  description: 'Number of a custody round (工具核对单号)',
  examples: ['HQ-TCR-202611-00001']
})
export const RoundParams = Type.Object({ number: RoundNumber })

export const OpenRoundBody = named(
  'OpenCustodyRound',
  Type.Object(
    {
      dueOn: Type.String({ ...Day, description: 'Until when everybody confirms (截止日期)' }),
      note: Type.Optional(text(500, 'Remark (备注)'))
    },
    { ...closed, examples: [{ dueOn: '2026-12-04', note: '年终核对' }] }
  )
)
export type OpenRound = Static<typeof OpenRoundBody>

export const ConfirmCustodyBody = named(
  'ConfirmCustody',
  Type.Object(
    {
      missing: Type.Optional(
        Type.Array(ToolSerial, {
          maxItems: 500,
          uniqueItems: true,
          description: 'What of the list is not there; a report of loss is asked for each'
        })
      ),
      remark: Type.Optional(text(500, 'Remark (备注)')),
      contentHash: Type.Optional(ReadContentHash)
    },
    { ...closed, examples: [{ missing: [] }] }
  )
)
export type ConfirmCustody = Static<typeof ConfirmCustodyBody>

export const CloseRoundBody = named(
  'CloseCustodyRound',
  Type.Object(
    {
      reason: Type.Optional(
        text(500, 'Why it is closed although not everybody has answered (未全部核对的原因)', '外派支援，月底返回')
      )
    },
    { ...closed, examples: [{}, { reason: '外派支援，月底返回' }] }
  )
)
export type CloseRound = Static<typeof CloseRoundBody>

const head = {
  number: RoundNumber,
  warehouse: WarehouseCode,
  state: oneOf(ROUND_STATES, 'State (状态)'),
  dueOn: Day,
  note: nullable(Type.String()),
  openedBy: Type.String({ description: 'User name' }),
  openedAt: Instant,
  closedBy: nullable(Type.String()),
  closedAt: nullable(Instant),
  version: Type.Integer()
}
export const RoundSummary = named(
  'CustodyRoundSummary',
  Type.Object({
    ...head,
    technicians: Type.Integer({ description: 'How many were asked' }),
    outstanding: Type.Integer({
      description: 'How many of them have not confirmed, or whose report of loss is awaited'
    })
  })
)
export type RoundSummary = Static<typeof RoundSummary>
export const RoundPage = pageOf(RoundSummary)

export const RoundView = named(
  'CustodyRound',
  Type.Object({
    ...head,
    closedBecause: nullable(
      Type.String({
        description: 'Why it was closed although not everybody had answered; a technician does not see it'
      })
    ),
    lines: Type.Array(
      Type.Object({
        technician: Type.String({ description: 'User name' }),
        name: Type.String(),
        state: oneOf(
          ROUND_LINE_STATES,
          'awaited; report-awaited: named what is missing, and no loss is reported of it yet; confirmed; handed-in: holds nothing of the list any more'
        ),
        answeredAt: nullable(Instant),
        remark: nullable(Type.String()),
        contentHash: Type.String({ description: 'SHA-256 of the RFC 8785 content that is confirmed' }),
        tools: Type.Array(
          Type.Object({
            serial: ToolSerial,
            name: Type.String(),
            nameZh: nullable(Type.String()),
            missing: Type.Boolean({ description: 'The technician says that it is not there' }),
            lossReport: nullable(Type.String({ description: 'The report of its loss since the round was opened' }))
          })
        )
      }),
      { description: 'A technician sees their own only' }
    )
  })
)
export type RoundView = Static<typeof RoundView>

export const RoundQuery = Type.Object(
  {
    warehouse: Type.Optional(WarehouseCode),
    state: Type.Optional(oneOf(ROUND_STATES, 'State (状态)')),
    ...limitAndCursor
  },
  closed
)
export type RoundQuery = Static<typeof RoundQuery>
