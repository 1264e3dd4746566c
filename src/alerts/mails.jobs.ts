import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { writeDigests } from './mail-digests.ts'
import { purgeMails, sendMails } from './send-mails.ts'

// Mails are rows; the job only says that it is time to look. A second one finds nothing that is due and not being sent.
export const sendMailsDue = defineJob({
  name: 'alerts.send-mails',
  schedule: { pattern: '* * * * *' },
  lane: 'deliveries',
  run: (ctx: Context) => sendMails(ctx)
})

// One a person and day; a second run that day writes nothing.
export const writeDigestsDaily = defineJob({
  name: 'alerts.write-digests',
  schedule: { pattern: '30 7 * * *' },
  lane: 'long',
  isTracked: true,
  run: (ctx: Context, _payload, progress) => writeDigests(ctx, progress)
})

// What is gone is gone: a second run finds nothing.
export const purgeMailsNightly = defineJob({
  name: 'alerts.purge-mails',
  schedule: { pattern: '50 3 * * *' },
  run: (ctx: Context) => purgeMails(ctx)
})
