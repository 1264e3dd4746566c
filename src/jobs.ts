import {
  escalateUnacknowledged,
  sweepAlertsNightly,
  turnOfDay,
  watchBackorders,
  watchKeepers,
  watchLateSignatures
} from './alerts/alerts.jobs.ts'
import { followEvents } from './alerts/follow-events.ts'
import { mailAlerts } from './alerts/mail-alerts.ts'
import { purgeMailsNightly, sendMailsDue, writeDigestsDaily } from './alerts/mails.jobs.ts'
import { purgeExpiredRefreshTokens } from './identity/identity.jobs.ts'
import { prepareMovementMonths, verifyLedgerNightly } from './ledger/ledger.jobs.ts'
import { followOldParts, sweepOldPartsNightly } from './old-parts/old-parts.jobs.ts'
import { expireReservations, remindOfReadyRepairs } from './loaners/loaners.jobs.ts'
import type { Consumer } from './platform/outbox.ts'
import { purge, resumeJobRuns } from './platform/platform.jobs.ts'
import type { Job } from './platform/queue.ts'
import { reckonClocksNightly, serveBackordersOf, serveWaiting, sweepBackorders } from './requests/backorders.jobs.ts'
import { expireRequestsDaily, followRequests, settleRequestsOf, sweepRequests } from './requests/requests.jobs.ts'
import { proposeAfterPosting, proposeReordersNightly } from './replenishment/proposals.jobs.ts'
import { computeReorderLevels } from './replenishment/reorder.jobs.ts'
import { closePeriods, resumeClosings, startClosings } from './valuation/valuation.jobs.ts'
import { tellWebhooks } from './webhooks/fan-out.ts'
import { deliverWebhooks, purgeWebhooks, sweepWebhooks } from './webhooks/webhooks.jobs.ts'

/** Every job, by room. */
export const jobs: Job[] = [
  purge,
  resumeJobRuns,
  purgeExpiredRefreshTokens,
  prepareMovementMonths,
  verifyLedgerNightly,
  remindOfReadyRepairs,
  expireReservations,
  closePeriods,
  resumeClosings,
  computeReorderLevels,
  proposeReordersNightly,
  settleRequestsOf,
  sweepRequests,
  expireRequestsDaily,
  serveBackordersOf,
  sweepBackorders,
  reckonClocksNightly,
  sweepOldPartsNightly,
  sendMailsDue,
  writeDigestsDaily,
  purgeMailsNightly,
  deliverWebhooks,
  sweepWebhooks,
  purgeWebhooks,
  turnOfDay,
  watchLateSignatures,
  watchBackorders,
  watchKeepers,
  escalateUnacknowledged,
  sweepAlertsNightly
]

/** Everything that draws consequences of events, by room. */
export const consumers: Consumer[] = [
  startClosings,
  proposeAfterPosting,
  followOldParts,
  followRequests,
  serveWaiting,
  tellWebhooks,
  followEvents,
  mailAlerts
]
