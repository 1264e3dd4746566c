import type { Context } from './actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

/** What the detail of a BC040 says: the code of the refusal, and what is open. */
interface Gate {
  code: string
  open: Record<string, unknown>[]
}

/**
 * Translates what the database raises (SQLSTATE BC040) when somebody is to leave a post and something is still in their hands (R-ORG-3,
 * R-TOOL-3). The rooms above raise it by triggers on `duty_assignment` and `person`, because this room knows nothing of them: the message
 * is for people, the detail says the code and what is open. Any other error is handed back as it is.
 */
export function leavingRefusal(error: unknown): unknown {
  const { code, detail, message } = (error ?? {}) as { code?: unknown; detail?: string; message?: string }
  if (code !== 'BC040') return error
  const { code: refusal, open } = JSON.parse(detail ?? '{}') as Gate
  // The mapper writes the detail behind the message.
  const [text = ''] = (message ?? '').split('\n')
  return new Refusal(refusal, 409, text, { extra: { open } })
}

// Duties are held by days of the business calendar, which the session of the database does not know.
const SAY_TODAY = statement<never>(`select set_config('bincard.today', $1, true)`)

/** Taken until the commit, as the triggers of the gate take it: of two who end duties, move warehouses or take them over, one looks after the other. */
export const LOCK_GATE = statement<never>('select pg_advisory_xact_lock(7305028)')

/** Does `work` within its transaction, in which the gate knows which day it is; if the gate is shut, with the refusal that says why. */
export async function throughLeavingGate<Result>(ctx: Context, work: () => Promise<Result>): Promise<Result> {
  try {
    await run(ctx.em, SAY_TODAY, [ctx.clock.today()])
    return await work()
  } catch (error) {
    throw leavingRefusal(error)
  }
}
