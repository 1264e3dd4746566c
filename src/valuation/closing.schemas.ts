import { Type, type Static } from 'typebox'
import {
  closed,
  Instant,
  limitAndCursor,
  Month,
  named,
  nullable,
  oneOf,
  pageOf,
  ref,
  WarehouseCode
} from '../platform/schemas.ts'
import { MISSING_KINDS } from './closing-checklist.ts'
import { RUN_STATES } from './close-many.ts'

export const PeriodParams = Type.Object({ warehouse: WarehouseCode, period: Month })

const Documents = Type.Array(Type.String(), {
  description: 'Numbers of the documents it is about, the first twenty',
  examples: [['HQ-OUT-202610-00017']]
})

export const MissingView = named(
  'Missing',
  Type.Object(
    {
      kind: oneOf(
        MISSING_KINDS,
        'The month is not over; a month before is open; the month-end count is not approved (盘点); a late signature is open (补签); a slip is signed and not posted; goods are in transit (在途)'
      ),
      detail: Type.String({ description: 'In words, with what would be right' }),
      documents: Documents
    },
    closed
  )
)

export const ClosingView = named(
  'PeriodClosing',
  Type.Object(
    {
      warehouse: WarehouseCode,
      period: Month,
      state: oneOf(['open', 'closed'], 'A closed month stays closed; corrections go to an open one'),
      closedBy: nullable(Type.String({ description: 'Username' })),
      closedAt: nullable(Instant),
      sha256: nullable(Type.String({ description: 'SHA-256 of the statement, in hex' })),
      missing: Type.Array(ref(MissingView), {
        description: 'What keeps the month open; nothing if it may be closed now'
      }),
      warnings: Type.Array(Type.Object({ detail: Type.String(), documents: Documents }, closed), {
        description:
          'What does not keep the month open: slips that have to be written anew once it is closed, slips posted after the month-end count was submitted, goods on hand that no approved count has counted'
      })
    },
    {
      ...closed,
      examples: [
        {
          warehouse: 'HQ',
          period: '2026-10',
          state: 'open',
          closedBy: null,
          closedAt: null,
          sha256: null,
          missing: [
            {
              kind: 'count-not-approved',
              detail: 'the month-end count HQ-CNT-202610-00001 is counting; it must be approved by head office',
              documents: ['HQ-CNT-202610-00001']
            }
          ],
          warnings: []
        }
      ]
    }
  )
)

export const ClosePeriodBody = Type.Object(
  { dryRun: Type.Optional(Type.Boolean({ description: 'Only say what is missing, and change nothing' })) },
  { ...closed, examples: [{ dryRun: true }] }
)

const RunId = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Number of the run', examples: ['17'] })
export const ClosingRunParams = Type.Object({ id: RunId })

export const StartClosingRunBody = Type.Object(
  {
    period: Month,
    region: Type.Optional(
      Type.String({
        pattern: '^[A-Z0-9][A-Z0-9-]{0,19}$',
        description: 'Only the warehouses of this region; the whole network if left away'
      })
    )
  },
  { ...closed, examples: [{ period: '2026-10', region: 'EAST' }] }
)

export const StartedClosingRun = named(
  'StartedClosingRun',
  Type.Object(
    {
      id: RunId,
      period: Month,
      region: nullable(Type.String({ description: 'Null: the whole network' })),
      total: Type.Integer({ description: 'Warehouses of the run' })
    },
    { ...closed, examples: [{ id: '17', period: '2026-10', region: 'EAST', total: 1882 }] }
  )
)

const run = {
  id: RunId,
  period: Month,
  region: nullable(Type.String({ description: 'Null: the whole network' })),
  state: oneOf(RUN_STATES, 'queued until a worker takes it, then running, then done'),
  requestedBy: Type.String({ description: 'Username; everything is closed in their name and by their duties' }),
  requestedAt: Instant,
  startedAt: nullable(Instant),
  finishedAt: nullable(Instant),
  total: Type.Integer({ description: 'Warehouses of the run' }),
  pending: Type.Integer(),
  closed: Type.Integer(),
  alreadyClosed: Type.Integer(),
  refused: Type.Integer({ description: 'Something is missing there; see `warehouses`' }),
  failed: Type.Integer({ description: 'Something unexpected happened; it is in the log' })
}
const RUN_EXAMPLE = {
  id: '17',
  period: '2026-10',
  region: 'EAST',
  state: 'running',
  requestedBy: 'hq-finance',
  requestedAt: '2026-11-02T01:00:00Z',
  startedAt: '2026-11-02T01:00:00.4Z',
  finishedAt: null,
  total: 1882,
  pending: 1500,
  closed: 370,
  alreadyClosed: 10,
  refused: 2,
  failed: 0
}

export const ClosingRunSummary = named(
  'ClosingRun',
  Type.Object(run, { ...closed, description: 'Closing a month in many warehouses (批量月结)', examples: [RUN_EXAMPLE] })
)
export type ClosingRunSummary = Static<typeof ClosingRunSummary>
export const ClosingRunPage = pageOf(ClosingRunSummary)

export const UnclosedWarehouse = named(
  'UnclosedWarehouse',
  Type.Object(
    {
      warehouse: WarehouseCode,
      name: Type.String(),
      nameZh: nullable(Type.String()),
      state: oneOf(['refused', 'failed'], 'refused: something is missing; failed: unexpected, it is in the log'),
      missing: Type.Array(
        Type.Object(
          {
            kind: Type.String({
              description:
                'As in the checklist of the warehouse, or the kind of problem: duty-required, ledger-does-not-tie'
            }),
            detail: Type.String(),
            documents: Documents
          },
          closed
        )
      ),
      settledAt: Instant
    },
    closed
  )
)
export type UnclosedWarehouse = Static<typeof UnclosedWarehouse>

export const ClosingRunView = named(
  'ClosingRunProgress',
  Type.Object(
    {
      ...run,
      warehouses: Type.Array(ref(UnclosedWarehouse), {
        description: 'A page of those that could not be closed, by code'
      }),
      nextCursor: nullable(Type.String())
    },
    { ...closed, examples: [{ ...RUN_EXAMPLE, warehouses: [], nextCursor: null }] }
  )
)
export type ClosingRunView = Static<typeof ClosingRunView>

export const ClosingRunQuery = Type.Object(limitAndCursor, closed)
export const ClosingRunsQuery = Type.Object({ period: Type.Optional(Month), ...limitAndCursor }, closed)
