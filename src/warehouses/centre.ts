import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { warehouseByCode, type Warehouse } from './directory.ts'

const CODE = statement<{ code: string }>(`select code from warehouse where id = centre_of($1)`)

/** Who answers the requests of a warehouse and keeps its deposit: the regional centre above it, else the head office; null for the top. */
export async function centreOf(ctx: Context, warehouse: { id: number }): Promise<Warehouse | null> {
  const [centre] = await run(ctx, CODE, [warehouse.id])
  return centre === undefined ? null : warehouseByCode(ctx, centre.code)
}
