import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { prepareMonths } from './movement-partitions.ts'
import { verifyLedger } from './verify-ledger.ts'

// Movements of this month and the two after it have their partitions. Slips make a missing month by themselves; made ahead, no
// slip has to. A second run finds them there.
export const prepareMovementMonths = defineJob({
  name: 'ledger.prepare-months',
  schedule: { pattern: '15 0 * * *' },
  run: (ctx: Context) => prepareMonths(ctx)
})

// The self-check of all warehouses, every night. It reads only; findings are logged as errors with their subjects.
export const verifyLedgerNightly = defineJob({
  name: 'ledger.verify',
  lane: 'long',
  schedule: { pattern: '45 2 * * *' },
  run: async (ctx: Context) => {
    const { ok, findings } = await verifyLedger(ctx, {})
    if (!ok) ctx.log.error({ findings }, 'the self-check of the ledger found faults')
    return { ok, findings: findings.length }
  }
})
