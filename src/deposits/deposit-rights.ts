// Who may do what with a deposit (R-REQ-5). It secures the claims of the centre against the outlet, so it is kept by the finance of the
// centre or of head office; the outlet's own people read it and change nothing.
import { covers, DUTY_NAMES, grantsToday, maySee, requireWriting, type Context, type Grant } from '../identity/actor.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { centreOf } from '../warehouses/centre.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'

/** An outlet as those who keep its deposit or only read it see it. */
export interface Depositor {
  outlet: Warehouse
  centre: Warehouse | null
}

const keeps = ({ outlet, centre }: Depositor, grant: Grant): boolean =>
  (grant.duty === 'hq-finance' && (covers(grant, outlet) || (centre !== null && covers(grant, centre)))) ||
  (grant.duty === 'finance-supervisor' && centre !== null && covers(grant, centre))

async function depositor(ctx: Context, code: string): Promise<Depositor> {
  const outlet = await warehouseByCode(ctx, code)
  return { outlet, centre: await centreOf(ctx, outlet) }
}

/**
 * The outlet whose deposit the actor keeps.
 * @throws Refusal 404 for who sees neither, 403 `DutyRequired`
 */
export async function requireDepositKeeper(ctx: Context, code: string): Promise<Depositor> {
  const found = await depositor(ctx, code)
  const grants = grantsToday(ctx)
  if (grants.some((grant) => keeps(found, grant))) {
    requireWriting(ctx)
    return found
  }
  if (!maySee(ctx, found.outlet)) throw notFound('warehouse', code)
  const held = [...new Set(grants.filter((grant) => covers(grant, found.outlet)).map(({ duty }) => duty))]
  throw new Refusal(
    'DutyRequired',
    403,
    `the deposit of ${code} is kept by finance-supervisor (${DUTY_NAMES['finance-supervisor']}) of its centre${found.centre === null ? '' : ` ${found.centre.code}`} or by hq-finance (${DUTY_NAMES['hq-finance']}); you hold ${held.join(', ') || 'none'}`,
    { extra: { required: ['finance-supervisor', 'hq-finance'], held } }
  )
}

/**
 * The outlet whose deposit the actor may read: who sees the outlet, and who keeps the deposit.
 * @throws Refusal 404
 */
export async function requireDepositSight(ctx: Context, code: string): Promise<Depositor> {
  const found = await depositor(ctx, code)
  if (maySee(ctx, found.outlet) || grantsToday(ctx).some((grant) => keeps(found, grant))) return found
  throw notFound('warehouse', code)
}

/** What `requireDepositSight` lets through, as SQL parameters about the centre of an account. */
export function keptCentres(ctx: Context): { warehouseIds: number[]; regionIds: number[] } {
  const grants = grantsToday(ctx).filter(({ duty }) => duty === 'finance-supervisor' || duty === 'hq-finance')
  return {
    warehouseIds: grants.flatMap(({ warehouseId }) => warehouseId ?? []),
    regionIds: grants.flatMap(({ regionId }) => regionId ?? [])
  }
}
