import { purgeExpiredRefreshTokens } from './identity/identity.jobs.ts'
import { prepareMovementMonths, verifyLedgerNightly } from './ledger/ledger.jobs.ts'
import { purge } from './platform/platform.jobs.ts'
import type { Job } from './platform/queue.ts'
import { closePeriods, resumeClosings } from './valuation/valuation.jobs.ts'

/** Every job, by room. */
export const jobs: Job[] = [
  purge,
  purgeExpiredRefreshTokens,
  prepareMovementMonths,
  verifyLedgerNightly,
  closePeriods,
  resumeClosings
]
