import { Type, type Static } from 'typebox'
import { closed, Day, Instant, named, nullable, oneOf, ref } from '../platform/schemas.ts'

export const PIECES = ['in-stock', 'backordered'] as const
export const CLOCK_ENDS = ['issued', 'backordered', 'cancelled'] as const
export const PAUSE_REASONS = ['confirmation'] as const

const Reason = oneOf(
  PAUSE_REASONS,
  'confirmation: the requester was asked whether the goods are still needed (等待确认)'
)

const ClockPause = named(
  'ClockPause',
  Type.Object(
    {
      from: Instant,
      to: nullable({ ...Instant, description: 'null while it stands' }),
      reason: Reason,
      workingDays: Type.Integer({ minimum: 0, description: 'Working days that do not count, up to now (扣除工作日)' })
    },
    closed
  )
)

export const ClockView = named(
  'RequestClock',
  Type.Object(
    {
      line: Type.Integer({ minimum: 1, description: 'Line of the request (行号)' }),
      piece: oneOf(
        PIECES,
        'in-stock: what was there when it was asked for (有货); backordered: what was not (缺货). A line may have both.'
      ),
      workingDays: Type.Integer({ description: 'Working days within which it is to be issued (时限)', examples: [2] }),
      startedAt: Instant,
      startedOn: Type.String({ ...Day, description: 'Day 0: the working days after it count' }),
      dueOn: Type.String({
        ...Day,
        description: 'The last day in time (到期日); while the clock stands, the one it would be if it went on today'
      }),
      workingDaysLeft: Type.Integer({ description: 'Less than 0 once it is breached (剩余工作日)', examples: [1] }),
      state: oneOf(
        ['running', 'paused', 'ended'],
        'paused: the requester is waited for, the clock stands (暂停); ended: see endedBecause'
      ),
      isBreached: Type.Boolean({ description: 'It ended after its day, or its day is over (超时)' }),
      endedAt: nullable(Instant),
      endedBecause: nullable(
        oneOf(
          CLOCK_ENDS,
          'issued: the last goods were handed out; backordered: what was there was taken for an emergency or blocked; cancelled: nothing of it is left'
        )
      ),
      pauses: Type.Array(ref(ClockPause)),
      unknownYears: Type.Array(Type.Integer(), {
        description:
          'Years it runs through whose notice of days off is not known: Monday to Friday are taken for worked'
      })
    },
    closed
  )
)
export type ClockView = Static<typeof ClockView>
export type Piece = (typeof PIECES)[number]
export type ClockEnd = (typeof CLOCK_ENDS)[number]
export type PauseReason = (typeof PAUSE_REASONS)[number]
