import { covers, grantsToday, requireDuty, requireWriting, type Context } from '../identity/actor.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { warehouseByCode } from '../warehouses/directory.ts'
import { requireCustodySight } from './custody-statement.ts'
import { lockTools } from './custody.ts'
import { writeToolDocument } from './tool-document.ts'
import { readsRegister } from './tool-rights.ts'
import type { ReturnedAll, ToolDocumentView } from './tools.schemas.ts'

const HELD = statement<{ id: string; warehouseId: number; code: string; regionId: number }>(`
select t.id::text as id, w.id as "warehouseId", w.code, w.region_id as "regionId"
  from tool t join warehouse w on w.id = t.warehouse_id
 where t.holder_id = $1 and ($2::text is null or w.code = $2) order by t.id`)

/**
 * Draws up the return of everything a technician has in custody (R-TOOL-3): one document for each warehouse whose register the tools stand in,
 * for one document has one keeper who answers. A keeper draws up those of the warehouses they keep, the technician all of their own, even
 * when the duty has run out meanwhile. What is reported lost or damaged, or stands on another open document, is left out and named: it is
 * settled there.
 * @throws Refusal 409 `NothingToReturn`, 403 `DutyRequired`, `ReadOnlyKey`, 404
 */
export async function returnAll(
  ctx: Context,
  { username, warehouse: code, note }: { username: string; warehouse?: string | undefined; note?: string | undefined }
): Promise<ReturnedAll> {
  const person = await requireCustodySight(ctx, username)
  const isOwn = person.id === ctx.actor.personId
  if (isOwn) requireWriting(ctx)
  else if (code !== undefined) requireDuty(ctx, 'keeper', await warehouseByCode(ctx, code))
  return inTransaction(ctx, async (inner) => {
    const inHand = await run(inner, HELD, [person.id, code ?? null])
    const keeps = grantsToday(inner).filter(({ duty }) => duty === 'keeper')
    const mine = inHand.filter(
      ({ warehouseId: id, code: place, regionId }) =>
        isOwn || keeps.some((grant) => covers(grant, { id, code: place, regionId }))
    )
    if (!isOwn) requireKeeperOfSome(inner, mine.length === 0 ? inHand : mine)
    const held = (
      await lockTools(
        inner,
        mine.map(({ id }) => id)
      )
    ).filter(({ holderId }) => holderId === person.id)
    const left = held.filter(({ lossId, openDocument }) => lossId !== null || openDocument !== null)
    const free = held.filter((tool) => !left.includes(tool))
    const codes = new Map(mine.map(({ warehouseId, code: place }) => [warehouseId, place]))
    const codeOf = (warehouseId: number): string => codes.get(warehouseId) ?? ''
    const leftOut = left.map(({ serial, warehouseId, lossId, lossReport, openDocument }) => ({
      serial,
      warehouse: codeOf(warehouseId),
      because: lossId === null ? ('on-open-document' as const) : ('loss-reported' as const),
      document: openDocument ?? lossReport
    }))
    if (free.length === 0)
      throw new Refusal(
        'NothingToReturn',
        409,
        leftOut.length === 0
          ? `${username} has nothing in custody${code === undefined ? '' : ` of ${code}`}`
          : `everything ${username} has in custody is reported lost or damaged, or stands on an open document: ${leftOut
              .slice(0, 5)
              .map(({ serial }) => serial)
              .join(', ')}`,
        { extra: { leftOut } }
      )
    const documents: ToolDocumentView[] = []
    for (const [warehouseId, tools] of [...Map.groupBy(free, (tool) => tool.warehouseId)].toSorted(
      ([a], [b]) => a - b
    )) {
      const warehouse = await warehouseByCode(inner, codeOf(warehouseId))
      documents.push(
        await writeToolDocument(inner, warehouse, {
          kind: 'return',
          giver: person,
          note,
          lines: tools.map(({ id }) => ({ id, condition: null })),
          isGiven: isOwn && !inner.actor.isMachine
        })
      )
    }
    return { documents, leftOut }
  })
}

/** Of a register that the actor reads: others are not given away. @throws Refusal 403 `DutyRequired`, `ReadOnlyKey` */
function requireKeeperOfSome(
  ctx: Context,
  held: readonly { warehouseId: number; code: string; regionId: number }[]
): void {
  const [first] = held
    .map(({ warehouseId: id, code, regionId }) => ({ id, code, regionId }))
    .filter((warehouse) => readsRegister(ctx, warehouse))
  if (first !== undefined) requireDuty(ctx, 'keeper', first)
}
