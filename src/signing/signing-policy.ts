import { requireDutyEverywhere, type Context, type Duty } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

export interface SigningPolicy {
  /** A document kind, or `*` for every kind that has no policy of its own. */
  documentKind: string
  duties: Duty[]
}

const LIST = statement<SigningPolicy>(
  `select document_kind as "documentKind", duties from signing_policy order by document_kind`
)

export const listSigningPolicies = (ctx: Context): Promise<SigningPolicy[]> => run(ctx, LIST, [])

const SET = statement<never>(`
insert into signing_policy (document_kind, duties) values ($1, $2)
on conflict (document_kind) do update set duties = excluded.duties`)

/** Duties that no policy of a kind of document does without. */
const FLOORS: Record<string, { needs: readonly Duty[]; code: string; because: string }> = {
  // Supervised by finance (监盘), and the ledger is adjusted by head office alone (R-CNT-4).
  count: {
    needs: ['finance-supervisor', 'stock-controller'],
    code: 'CountNeedsHeadOffice',
    because: 'a count is supervised by finance and approved by head office'
  },
  'purchase-plan': {
    needs: ['hq-finance', 'stock-controller'],
    code: 'PlanNeedsHeadOffice',
    because: 'a purchase plan is reviewed by finance of the head office and approved by its stock controller'
  },
  // What blocks goods everywhere is ended by who answers for all of them (R-REQ-7).
  recall: {
    needs: ['hq-finance', 'stock-controller'],
    code: 'RecallNeedsHeadOffice',
    because: 'the end of a recall is reviewed by finance of the head office and approved by its stock controller'
  }
}

/**
 * Sets which duties sign a kind of document (R-SIG-1). Documents already submitted keep the duties they were submitted with.
 * @throws Refusal `ThreeSignersAreTheFloor`, `CountNeedsHeadOffice`, `PlanNeedsHeadOffice`, `RecallNeedsHeadOffice`
 */
export async function setSigningPolicy(ctx: Context, { documentKind, duties }: SigningPolicy): Promise<SigningPolicy> {
  requireDutyEverywhere(ctx, 'administrator')
  if (new Set(duties).size < 3) {
    throw new Refusal('ThreeSignersAreTheFloor', 422, 'at least three different duties sign a document', {
      errors: [{ pointer: '/duties', detail: 'fewer than three different duties', sent: duties }]
    })
  }
  const floor = FLOORS[documentKind]
  const missing = floor?.needs.filter((duty) => !duties.includes(duty)) ?? []
  if (floor !== undefined && missing.length > 0) {
    throw new Refusal(floor.code, 422, `${floor.because}; add ${missing.join(' and ')}`, {
      errors: [{ pointer: '/duties', detail: `lacks ${missing.join(', ')}`, sent: duties, accepted: floor.needs }]
    })
  }
  const policy = { documentKind, duties: [...new Set(duties)] }
  await inTransaction(ctx, async (inner) => {
    await run(inner, SET, [policy.documentKind, policy.duties])
    await recordAudit(inner, 'signing-policy.set', documentKind, policy)
  })
  return policy
}
