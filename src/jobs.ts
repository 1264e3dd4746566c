import { purgeExpiredRefreshTokens } from './identity/identity.jobs.ts'
import { prepareMovementMonths, verifyLedgerNightly } from './ledger/ledger.jobs.ts'
import type { Consumer } from './platform/outbox.ts'
import { purge, resumeJobRuns } from './platform/platform.jobs.ts'
import type { Job } from './platform/queue.ts'
import { closePeriods, resumeClosings, startClosings } from './valuation/valuation.jobs.ts'

/** Every job, by room. */
export const jobs: Job[] = [
  purge,
  resumeJobRuns,
  purgeExpiredRefreshTokens,
  prepareMovementMonths,
  verifyLedgerNightly,
  closePeriods,
  resumeClosings
]

/** Everything that draws consequences of events, by room. */
export const consumers: Consumer[] = [startClosings]
