// Kits: named sets of tools that are issued and returned together. A kit is with who it was issued to for as long as anything of it is in their
// hands, else on the shelf; what is missing of it is what is not where the kit is, or is reported lost or damaged.
import { requireDuty, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { constraintOf, notFound, Refusal, type FieldProblem } from '../platform/errors.ts'
import { requireMatch } from '../platform/etag.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { lockTools } from './custody.ts'
import { holdOpen, REGISTERING } from './register-tools.ts'
import { readsRegister } from './tool-rights.ts'
import type { KitView, SetKit } from './tools.schemas.ts'

interface Kit {
  id: string
  code: string
  holderId: number | null
  version: number
  toolIds: string[]
}

const HOLDER = `case when exists (select 1 from tool_kit_tool m join tool t on t.id = m.tool_id
                                    where m.warehouse_id = k.warehouse_id and m.kit_id = k.id and t.holder_id = k.holder_id) then k.holder_id end`

const LOCK = statement<never>('select 1 from tool_kit where warehouse_id = $1 and upper(code) = upper($2) for update')
const KIT = statement<Kit>(`
select k.id::text as id, k.code, ${HOLDER} as "holderId", k.version,
       array(select m.tool_id::text from tool_kit_tool m where m.warehouse_id = k.warehouse_id and m.kit_id = k.id order by m.tool_id) as "toolIds"
  from tool_kit k where k.warehouse_id = $1 and upper(k.code) = upper($2)`)

/** A kit of a warehouse. @throws Refusal 404 */
export async function kitByCode(
  ctx: Context,
  warehouse: Warehouse,
  code: string,
  { lock = false }: { lock?: boolean } = {}
): Promise<Kit> {
  if (lock) await run(ctx, LOCK, [warehouse.id, code])
  const [kit] = await run(ctx, KIT, [warehouse.id, code])
  if (kit === undefined) throw notFound('tool kit', `${warehouse.code}/${code}`)
  return kit
}

// One that was dissolved is kept for the papers that name it, and is no kit any more until it is set anew.
const VIEWS = statement<Omit<KitView, 'missing'>>(`
select w.code as warehouse, k.code, k.name, k.name_zh as "nameZh", holder.username as technician, k.version,
       coalesce((select json_agg(json_build_object('serial', t.serial, 'name', t.name, 'nameZh', t.name_zh, 'state', t.state, 'technician', person.username, 'lossReported', t.loss_id is not null)
                                  order by upper(t.serial))
                   from tool_kit_tool m join tool t on t.id = m.tool_id left join person on person.id = t.holder_id
                  where m.warehouse_id = k.warehouse_id and m.kit_id = k.id and t.warehouse_id = k.warehouse_id), '[]') as tools
  from tool_kit k
  join warehouse w on w.id = k.warehouse_id
  left join person holder on holder.id = ${HOLDER}
 where k.warehouse_id = $1 and ($2::text is null or upper(k.code) = upper($2))
   and exists (select 1 from tool_kit_tool m where m.warehouse_id = k.warehouse_id and m.kit_id = k.id)
 order by upper(k.code)`)

const kitView = (kit: Omit<KitView, 'missing'>): KitView => ({
  ...kit,
  missing: kit.tools.filter(
    ({ state, technician, lossReported }) =>
      lossReported ||
      (kit.technician === null ? state !== 'shelf' : state !== 'custody' || technician !== kit.technician)
  )
})

/** Kits of a warehouse, each with what is missing of it. @throws Refusal 404 */
export async function listToolKits(
  ctx: Context,
  { warehouse: code }: { warehouse: string }
): Promise<{ items: KitView[] }> {
  const warehouse = await warehouseByCode(ctx, code)
  if (!readsRegister(ctx, warehouse)) throw notFound('warehouse', code)
  return { items: (await run(ctx, VIEWS, [warehouse.id, null])).map(kitView) }
}

/** One kit. @throws Refusal 404 */
export async function readToolKit(
  ctx: Context,
  { warehouse: place, code }: { warehouse: string; code: string }
): Promise<KitView> {
  const warehouse = await warehouseByCode(ctx, place)
  if (!readsRegister(ctx, warehouse)) throw notFound('warehouse', place)
  const [kit] = await run(ctx, VIEWS, [warehouse.id, code])
  if (kit === undefined) throw notFound('tool kit', `${place}/${code}`)
  return kitView(kit)
}

const ENTER = statement<never>(`
insert into tool_kit (warehouse_id, code, name, name_zh) values ($1, $2, $3, $4) on conflict (warehouse_id, upper(code)) do nothing`)
const SET = statement<never>(`
update tool_kit set name = $3, name_zh = $4, version = version + 1 where warehouse_id = $1 and id = $2`)
const LEAVE = statement<never>('delete from tool_kit_tool where warehouse_id = $1 and kit_id = $2')
const JOIN = statement<never>(`
insert into tool_kit_tool (warehouse_id, kit_id, tool_id) select $1, $2, id from unnest($3::bigint[]) as g (id) order by id`)
const FOUND = statement<{ id: string; serial: string; kit: string | null }>(`
select t.id::text as id, upper(t.serial) as serial, k.code as kit
  from tool t
  left join tool_kit_tool m on m.tool_id = t.id
  left join tool_kit k on k.warehouse_id = m.warehouse_id and k.id = m.kit_id
 where t.warehouse_id = $1 and upper(t.serial) = any ($2::text[]) and t.state in ('shelf', 'custody')`)
const OPEN = statement<{ number: string }>(`
select number from tool_document where warehouse_id = $1 and kit_id = $2 and state = 'awaiting-signatures' limit 1`)

/**
 * Says what a kit consists of; replaces what was said before. While it is out, or a document about it awaits signatures, it stays as it is.
 * @throws Refusal 409 `KitOut`, `ToolInOtherKit`, 422 `ToolUnknown`, 403, 404, 412
 */
export async function setToolKit(
  ctx: Context,
  {
    warehouse: place,
    code,
    name,
    nameZh = null,
    tools,
    ifMatch
  }: SetKit & { warehouse: string; code: string; ifMatch?: string | undefined }
): Promise<KitView> {
  const warehouse = await warehouseByCode(ctx, place)
  requireDuty(ctx, REGISTERING, warehouse)
  return inTransaction(ctx, async (inner) => {
    await holdOpen(inner, [warehouse.id])
    await run(inner, ENTER, [warehouse.id, code, name, nameZh])
    const kit = await kitByCode(inner, warehouse, code, { lock: true })
    requireMatch(ifMatch, kit.version)
    await requireIn(inner, warehouse, kit)
    const ids = await toolsFor(inner, warehouse, kit, tools)
    await run(inner, SET, [warehouse.id, kit.id, name, nameZh])
    await run(inner, LEAVE, [warehouse.id, kit.id])
    await run(inner, JOIN, [warehouse.id, kit.id, ids]).catch((error: unknown) => {
      throw constraintOf(error) === 'tool_kit_tool_one_kit'
        ? new Refusal('ToolInOtherKit', 409, 'one of these tools was put into another kit at the same moment')
        : error
    })
    await recordAudit(inner, 'tool-kit.set', `tool-kit:${place}/${kit.code}`, { name, tools })
    return readToolKit(inner, { warehouse: place, code })
  })
}

async function toolsFor(ctx: Context, warehouse: Warehouse, kit: Kit, serials: readonly string[]): Promise<string[]> {
  const keys = serials.map((serial) => serial.toUpperCase())
  // Held, so that none of them leaves the register meanwhile.
  await lockTools(
    ctx,
    (await run(ctx, FOUND, [warehouse.id, keys])).map(({ id }) => id)
  )
  const found = new Map((await run(ctx, FOUND, [warehouse.id, keys])).map((tool) => [tool.serial, tool]))
  const unknown = keys.flatMap((key, index): FieldProblem[] =>
    found.has(key)
      ? []
      : [
          {
            pointer: `/tools/${index}`,
            detail: `is not in use in the register of ${warehouse.code}`,
            sent: serials[index]
          }
        ]
  )
  if (unknown.length > 0)
    throw new Refusal('ToolUnknown', 422, `${String(unknown[0]?.sent)} ${unknown[0]?.detail}`, {
      errors: unknown.slice(0, 20)
    })
  const elsewhere = keys.flatMap((key, index): FieldProblem[] => {
    const other = found.get(key)?.kit ?? null
    return other === null || other === kit.code
      ? []
      : [{ pointer: `/tools/${index}`, detail: `belongs to kit ${other}`, sent: serials[index] }]
  })
  if (elsewhere.length > 0)
    throw new Refusal(
      'ToolInOtherKit',
      409,
      `${String(elsewhere[0]?.sent)} ${elsewhere[0]?.detail}; take it out there first`,
      {
        errors: elsewhere.slice(0, 20)
      }
    )
  return [...new Set(keys)].map((key) => found.get(key)?.id ?? '')
}

/** @throws Refusal 409 `KitOut` */
async function requireIn(ctx: Context, warehouse: Warehouse, kit: Kit): Promise<void> {
  const [open] = await run(ctx, OPEN, [warehouse.id, kit.id])
  if (kit.holderId !== null || open !== undefined)
    throw new Refusal(
      'KitOut',
      409,
      open === undefined
        ? `kit ${kit.code} is out; it is changed once it was returned`
        : `${open.number} about kit ${kit.code} awaits signatures; have it signed or cancelled first`
    )
}

const DROP = statement<never>('delete from tool_kit where warehouse_id = $1 and id = $2')
const USED = statement<{ used: boolean }>(
  'select exists (select 1 from tool_document where warehouse_id = $1 and kit_id = $2) as used'
)

/**
 * Dissolves a kit: its tools stay. One that documents name keeps its name, and nothing is of it any more.
 * @throws Refusal 409 `KitOut`, 403, 404
 */
export async function dissolveToolKit(
  ctx: Context,
  { warehouse: place, code }: { warehouse: string; code: string }
): Promise<void> {
  const warehouse = await warehouseByCode(ctx, place)
  requireDuty(ctx, REGISTERING, warehouse)
  await inTransaction(ctx, async (inner) => {
    const kit = await kitByCode(inner, warehouse, code, { lock: true })
    await requireIn(inner, warehouse, kit)
    const [named] = await run(inner, USED, [warehouse.id, kit.id])
    await run(inner, LEAVE, [warehouse.id, kit.id])
    if (!named?.used) await run(inner, DROP, [warehouse.id, kit.id])
    await recordAudit(inner, 'tool-kit.dissolved', `tool-kit:${place}/${kit.code}`)
  })
}

const FOLLOW = statement<never>(
  `update tool_kit set holder_id = $3, version = version + 1 where warehouse_id = $1 and id = $2`
)

/** Where a kit is once a document about it took effect. */
export const moveKit = (ctx: Context, warehouseId: number, kitId: string, holderId: number | null): Promise<unknown> =>
  run(ctx, FOLLOW, [warehouseId, kitId, holderId])

// Two returns that have half of a kit each leave it to HOLDER.
const EMPTY = statement<never>(`
update tool_kit set holder_id = null, version = version + 1
 where (warehouse_id, id) in (
   select k.warehouse_id, k.id from tool_kit k
    where k.warehouse_id = $1 and k.holder_id = $2
      and exists (select 1 from tool_kit_tool m where m.warehouse_id = k.warehouse_id and m.kit_id = k.id and m.tool_id = any ($3::bigint[]))
      and not exists (select 1 from tool_kit_tool m join tool t on t.id = m.tool_id
                       where m.warehouse_id = k.warehouse_id and m.kit_id = k.id and t.holder_id = $2 and t.id <> all ($3::bigint[]))
    order by k.id for update)`)

/** Kits of which somebody gives away the last that they have are back, whether or not the document names the kit. */
export const emptyKits = (
  ctx: Context,
  warehouseId: number,
  giverId: number,
  toolIds: readonly string[]
): Promise<unknown> => run(ctx, EMPTY, [warehouseId, giverId, toolIds])

const LEAVE_OF = statement<never>('delete from tool_kit_tool where tool_id = any ($1::bigint[])')

/** Tools that go into another register belong to no kit of the old one any more. */
export const leaveKits = (ctx: Context, toolIds: readonly string[]): Promise<unknown> => run(ctx, LEAVE_OF, [toolIds])
