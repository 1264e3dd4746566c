import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { escalateAlerts } from './escalate-alerts.ts'
import { reconcileAll, sweepAlerts } from './reconcile.ts'
import { remindOfLateSignatures } from './remind.ts'

// A late signature is overdue if and only if its instant has passed and neither the signature nor a reversal has settled it. Raises and
// resolves those alerts, and reminds once a working day; both go by what is stored, so a run that was missed is made up for by the next.
export const watchLateSignatures = defineJob({
  name: 'alerts.watch-late-signatures',
  schedule: { pattern: '*/5 * * * *' },
  run: async (ctx: Context) => ({
    ...(await reconcileAll(ctx, ['late-signature'])),
    ...(await remindOfLateSignatures(ctx))
  })
})

// An answer to a backorder is due at an instant (R-REQ-3). Raises and resolves by what is stored, so a run that was missed is made up for
// by the next; what is answered resolves at once, by its event.
export const watchBackorders = defineJob({
  name: 'alerts.watch-backorders',
  schedule: { pattern: '10 * * * *' },
  run: (ctx: Context) => reconcileAll(ctx, ['backorder-answer-soon', 'backorder-answer-due'])
})

// A warehouse is without a keeper as soon as the last one's duty has ended and goods lie there, and tools are in wrong hands as soon as a
// technician's duty is over. What somebody does to duties, and to who stands in for whom, is followed at once; what begins or runs out by its
// day is looked at hourly. Goes by what is stored, so a run that was missed is made up for by the next.
export const watchKeepers = defineJob({
  name: 'alerts.watch-keepers',
  schedule: { pattern: '40 * * * *' },
  run: (ctx: Context) => reconcileAll(ctx, ['keeper-missing', 'tool-custody-orphaned'])
})

// What the turn of the day or month brings about: lots that enter their fourth month or will, counts, reports and statements that are
// due; requests, reservations, transfers, old parts, loaners, handovers and tools whose day has come. It neither looks at stock nor at slips: events and the sweep do.
export const turnOfDay = defineJob({
  name: 'alerts.turn-of-day',
  schedule: { pattern: '5 0 * * *' },
  lane: 'long',
  run: (ctx: Context) =>
    reconcileAll(ctx, [
      'lot-aged',
      'lot-aging-soon',
      'count-due',
      'count-report-due',
      'statement-due',
      'request-clock-soon',
      'request-clock',
      'reservation-expiring',
      'transfer-in-transit',
      'old-part-outstanding',
      'loaner-due-soon',
      'loaner-overdue',
      'loaner-notice-unanswered',
      'loaner-fleet-short',
      'handover-open',
      'keeper-missing',
      'tool-calibration-due',
      'tool-custody-unconfirmed',
      'tool-loss-open',
      'tool-custody-orphaned'
    ])
})

// Goes by when an alert was raised or last escalated, so that a second run in the hour finds nothing to do.
export const escalateUnacknowledged = defineJob({
  name: 'alerts.escalate',
  schedule: { pattern: '20 * * * *' },
  run: (ctx: Context) => escalateAlerts(ctx)
})

// Every rule in every warehouse, whatever was or was not told (R-ALR-2). A second run raises, updates and resolves nothing.
export const sweepAlertsNightly = defineJob({
  name: 'alerts.sweep',
  schedule: { pattern: '0 5 * * *' },
  lane: 'long',
  isTracked: true,
  run: (ctx: Context) => sweepAlerts(ctx)
})
