import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { prepareMonths } from './movement-partitions.ts'
import { keepFindings } from './keep-findings.ts'
import { verifyLedger } from './verify-ledger.ts'

// Movements of this month and the two after it have their partitions. Slips make a missing month by themselves; made ahead, no
// slip has to. A second run finds them there.
export const prepareMovementMonths = defineJob({
  name: 'ledger.prepare-months',
  schedule: { pattern: '15 0 * * *' },
  run: (ctx: Context) => prepareMonths(ctx)
})

// The self-check of all warehouses, every night. What it found replaces what the night before found, so a second run writes the same;
// findings are logged as errors with their subjects.
export const verifyLedgerNightly = defineJob({
  name: 'ledger.verify',
  schedule: { pattern: '45 2 * * *' },
  lane: 'long',
  run: async (ctx: Context) => {
    const { ok, findings } = await verifyLedger(ctx, {})
    if (!ok) ctx.log.error({ findings }, 'the self-check of the ledger found faults')
    await keepFindings(ctx, findings)
    return { ok, findings: findings.length }
  }
})
