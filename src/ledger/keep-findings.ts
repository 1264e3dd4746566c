import type { Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { publish } from '../platform/outbox.ts'
import type { Finding } from './verify-ledger.ts'

// Two runs at once replace one after the other.
const LOCK = statement<never>(`lock table ledger_finding in share row exclusive mode`)
const EMPTY = statement<never>(`delete from ledger_finding`)
const KEEP = statement<never>(`
insert into ledger_finding (warehouse_id, check_name, subject, expected, found, found_at)
select w.id, f."check", f.subject, f.expected, f.found, $2
  from jsonb_to_recordset($1::jsonb) as f ("check" text, warehouse text, subject text, expected text, found text)
  join warehouse w on w.code = f.warehouse`)

/** Replaces what the last self-check of the whole ledger found, and says that there was one: what looks at it is elsewhere. */
export function keepFindings(ctx: Context, findings: readonly Finding[]): Promise<void> {
  return inTransaction(ctx, async (inner) => {
    await run(inner, LOCK, [])
    await run(inner, EMPTY, [])
    if (findings.length > 0) await run(inner, KEEP, [JSON.stringify(findings), inner.clock.now().toString()])
    await publish(inner, [{ subject: 'ledger', event: 'ledger.verified', payload: { ok: findings.length === 0 } }])
  })
}
