// Which tools a document is about: by serial number or as a kit, held until the commit.
import { maySee, type Context, type WarehouseRef } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { NAMED_OFFENDERS, Refusal, type FieldProblem } from '../platform/errors.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import { lockTools, requireFree, type HeldTool } from './custody.ts'
import { kitByCode } from './kits.ts'
import type { KitOnPaper, NewLine } from './tool-document.ts'
import { readsRegister } from './tool-rights.ts'

/** What a request says of tools. */
export interface Named {
  tools?: { serial: string; condition?: string }[] | undefined
  kit?: string | undefined
  withoutMissing?: boolean | undefined
}

/** Where the tools must be: on the shelf, or with somebody. */
export type From = { place: 'shelf' } | { place: 'custody'; personId: number; username: string }

const BY_SERIALS = statement<{ id: string; serial: string; owner: string; ownerId: number; ownerRegionId: number }>(`
select t.id::text as id, upper(t.serial) as serial, w.code as owner, w.id as "ownerId", w.region_id as "ownerRegionId"
  from unnest($1::text[]) as wanted (serial) join tool t on upper(t.serial) = wanted.serial join warehouse w on w.id = t.warehouse_id`)

/**
 * The tools that a document of a warehouse takes from where they must be, held until the commit, in the order in which they are named. Of a
 * kit: everything that is there; what is missing of it has to be left out knowingly.
 * @throws Refusal 422 `ToolsMissing`, `ToolRepeated`, `ToolUnknown`, `ToolOfOtherWarehouse`, `KitIncomplete`, 409 `KitEmpty`, `ToolNotThere`, `ToolHeld`, 404
 */
export async function namedTools(
  ctx: Context,
  warehouse: Warehouse,
  named: Named,
  from: From
): Promise<{ lines: NewLine[]; kit?: KitOnPaper }> {
  if ((named.tools === undefined) === (named.kit === undefined))
    throw new Refusal('ToolsMissing', 422, 'name either tools or a kit', {
      errors: [{ pointer: '/tools', detail: 'tools or kit, one of them' }]
    })
  if (named.kit !== undefined) return toolsOfKit(ctx, warehouse, named.kit, named.withoutMissing === true, from)
  const wanted = named.tools ?? []
  const ids = await idsOf(ctx, warehouse, wanted)
  const held = new Map((await lockTools(ctx, ids)).map((tool) => [tool.id, tool]))
  return {
    lines: wanted.map(({ condition }, index) => {
      const tool = held.get(ids[index] ?? '')
      if (tool === undefined) throw new Error('a tool that was found is there')
      requireThere(ctx, tool, warehouse, from, `/tools/${index}/serial`)
      requireFree(tool)
      return { id: tool.id, condition: condition ?? null }
    })
  }
}

async function idsOf(ctx: Context, warehouse: Warehouse, wanted: NonNullable<Named['tools']>): Promise<string[]> {
  const keys = wanted.map(({ serial }) => serial.toUpperCase())
  const found = new Map((await run(ctx, BY_SERIALS, [[...new Set(keys)]])).map((tool) => [tool.serial, tool]))
  const problemsOf = (detail: (key: string, index: number) => string | undefined): FieldProblem[] =>
    keys.flatMap((key, index) => {
      const fault = detail(key, index)
      return fault === undefined
        ? []
        : [{ pointer: `/tools/${index}/serial`, detail: fault, sent: wanted[index]?.serial }]
    })
  refuse(
    'ToolRepeated',
    'named twice',
    problemsOf((key, index) => (keys.indexOf(key) === index ? undefined : `stands at ${keys.indexOf(key) + 1} already`))
  )
  refuse(
    'ToolUnknown',
    `not in the register of ${warehouse.code}`,
    problemsOf((key) => (found.has(key) ? undefined : 'is not registered'))
  )
  refuse(
    'ToolOfOtherWarehouse',
    `in the register of another warehouse than ${warehouse.code}: a tool is issued and returned where it belongs, and POST /v1/warehouses/{warehouse}/tool-transfers moves it from its shelf into another register`,
    problemsOf((key) => {
      const tool = found.get(key)
      if (tool === undefined || tool.ownerId === warehouse.id) return undefined
      const owner = { id: tool.ownerId, code: tool.owner, regionId: tool.ownerRegionId }
      return maySee(ctx, owner) ? `belongs to ${tool.owner}` : 'belongs to another warehouse'
    })
  )
  return keys.map((key) => found.get(key)?.id ?? '')
}

function refuse(code: string, what: string, errors: FieldProblem[]): void {
  if (errors.length === 0) return
  const serials = errors.slice(0, NAMED_OFFENDERS).map(({ sent }) => String(sent))
  const more = errors.length - serials.length
  throw new Refusal(code, 422, `${serials.join(', ')}${more > 0 ? ` and ${more} more` : ''}: ${what}`, {
    errors: errors.slice(0, 20)
  })
}

const isThere = (
  tool: Pick<HeldTool, 'state' | 'holderId' | 'warehouseId'>,
  warehouse: { id: number },
  from: From
): boolean =>
  tool.warehouseId === warehouse.id &&
  tool.state === from.place &&
  (from.place === 'shelf' || tool.holderId === from.personId)

const IN_WORDS = {
  shelf: 'is on the shelf',
  custody: 'is in custody',
  lost: 'is lost',
  scrapped: 'is scrapped'
} as const

/** @throws Refusal 409 `ToolNotThere`, saying where it is instead to who reads the register */
export function requireThere(
  ctx: Context,
  tool: HeldTool,
  warehouse: WarehouseRef,
  from: From,
  pointer?: string
): void {
  if (isThere(tool, warehouse, from)) return
  const wanted = from.place === 'shelf' ? `on the shelf of ${warehouse.code}` : `in the custody of ${from.username}`
  if (!readsRegister(ctx, warehouse))
    throw new Refusal('ToolNotThere', 409, `tool ${tool.serial} is not ${wanted}; the keeper knows where it is`, {
      ...(pointer !== undefined && { errors: [{ pointer, detail: `is not ${wanted}`, sent: tool.serial }] }),
      extra: { serial: tool.serial }
    })
  const detail = `${IN_WORDS[tool.state]}${tool.holder === null ? '' : ` of ${tool.holder}`}`
  throw new Refusal(
    'ToolNotThere',
    409,
    `tool ${tool.serial} ${detail}, not ${wanted}; GET /v1/tools/${tool.serial} shows it`,
    {
      ...(pointer !== undefined && { errors: [{ pointer, detail, sent: tool.serial }] }),
      extra: { serial: tool.serial, state: tool.state, technician: tool.holder }
    }
  )
}

async function toolsOfKit(
  ctx: Context,
  warehouse: Warehouse,
  code: string,
  withoutMissing: boolean,
  from: From
): Promise<{ lines: NewLine[]; kit: KitOnPaper }> {
  const kit = await kitByCode(ctx, warehouse, code, { lock: true })
  const all = await lockTools(ctx, kit.toolIds)
  if (all.length === 0)
    throw new Refusal(
      'KitEmpty',
      409,
      `nothing is of kit ${kit.code}; PUT /v1/warehouses/${warehouse.code}/tool-kits/${kit.code} says what it consists of, or name the tools`
    )
  const isPresent = (tool: HeldTool): boolean =>
    isThere(tool, warehouse, from) && tool.openDocument === null && tool.lossId === null
  const missing = all.filter((tool) => !isPresent(tool))
  if (missing.length > 0 && (!withoutMissing || missing.length === all.length))
    throw new Refusal(
      'KitIncomplete',
      422,
      `kit ${kit.code} is not whole: ${missing
        .slice(0, NAMED_OFFENDERS)
        .map(({ serial }) => serial)
        .join(
          ', '
        )}${missing.length > NAMED_OFFENDERS ? ` and ${missing.length - NAMED_OFFENDERS} more` : ''} ${missing.length === 1 ? 'is' : 'are'} missing; ${missing.length === all.length ? 'nothing of it is there' : 'say withoutMissing to go ahead without'}`,
      {
        extra: {
          kit: kit.code,
          missing: missing.map(({ serial, state, holder }) =>
            readsRegister(ctx, warehouse) ? { serial, state, technician: holder } : { serial }
          )
        }
      }
    )
  return {
    kit: { id: kit.id, code: kit.code, missing: missing.map(({ serial }) => serial) },
    lines: all.filter(isPresent).map(({ id }) => ({ id, condition: null }))
  }
}
