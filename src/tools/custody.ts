// Where tools are: the custody journal. A tool is where its last entry ended; the trigger `custody_entry_moves_tool` (migration 0025) keeps
// that in the row of the tool and refuses an entry that begins elsewhere.
//
// Lock order: the person who takes, the document, its kit, the tools in the order of their ids, the number of a new document.
import type { Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'

export type Place = 'shelf' | 'custody' | 'lost' | 'scrapped'
export type CustodyKind =
  | 'registered'
  | 'issued'
  | 'returned'
  | 'handed-over'
  | 'transferred'
  | 'lost'
  | 'scrapped'
  | 'repaired'
  | 'found'

/** Where a tool goes: to the shelf of a warehouse (its owner unless another is named), to somebody, or out of use. */
export type Destination =
  | { place: 'shelf'; warehouseId?: number }
  | { place: 'custody'; personId: number }
  | { place: 'lost' | 'scrapped' }

/** A tool as it is held until the commit. */
export interface HeldTool {
  /** The owner. */
  warehouseId: number
  id: string
  serial: string
  state: Place
  holderId: number | null
  holder: string | null
  value: string
  purchasedOn: string
  fixedAsset: boolean
  /** The report of loss or damage that holds it: not decided yet, or decided and the tool is being repaired. */
  lossId: string | null
  lossReport: string | null
  isInRepair: boolean
  /** Whether it has been nowhere but on the shelf where it was registered. */
  neverMoved: boolean
  /** The open document that holds it. */
  openDocument: string | null
  version: number
}

const LOCK = statement<never>('select 1 from tool where id = any ($1::bigint[]) order by id for no key update')
const HELD = statement<HeldTool>(`
select t.warehouse_id as "warehouseId", t.id::text as id, t.serial, t.state, t.holder_id as "holderId", person.username as holder, t.value::text as value,
       t.purchased_on::text as "purchasedOn", t.fixed_asset as "fixedAsset", t.loss_id::text as "lossId", loss.number as "lossReport",
       coalesce(loss.state = 'approved', false) as "isInRepair", d.number as "openDocument", t.moves = 1 as "neverMoved", t.version
  from tool t
  left join person on person.id = t.holder_id
  left join tool_document_line l on l.tool_id = t.id and l.open
  left join tool_document d on d.warehouse_id = l.warehouse_id and d.id = l.document_id
  left join tool_loss loss on loss.warehouse_id = t.warehouse_id and loss.id = t.loss_id
 where t.id = any ($1::bigint[])
 order by t.id`)

/** The tools as they are now, locked until the commit, in the order of their ids: what is decided about them still holds when it is written. */
export async function lockTools(ctx: Context, ids: readonly string[]): Promise<HeldTool[]> {
  await run(ctx, LOCK, [ids])
  return run(ctx, HELD, [ids])
}

// The first entry of a tool begins nowhere.
const MOVE = statement<never>(`
insert into custody_entry (warehouse_id, tool_id, seq, kind, from_place, from_warehouse_id, from_person_id, to_place, to_person_id, document_id, at, person_id)
select coalesce($3, t.warehouse_id), t.id, 0, $2, case when t.moves > 0 then t.state end, case when t.moves > 0 then t.warehouse_id end, t.holder_id, $4, $5, $6, $7, $8
  from tool t where t.id = any ($1::bigint[]) order by t.id`)

/** Moves tools that the caller holds (`lockTools`): one entry of the journal each. */
export async function moveTools(
  ctx: Context,
  {
    tools,
    to,
    kind,
    documentId = null
  }: { tools: readonly Pick<HeldTool, 'id'>[]; to: Destination; kind: CustodyKind; documentId?: string | null }
): Promise<void> {
  await run(ctx, MOVE, [
    tools.map(({ id }) => id),
    kind,
    to.place === 'shelf' ? (to.warehouseId ?? null) : null,
    to.place,
    to.place === 'custody' ? to.personId : null,
    documentId,
    ctx.clock.now().toString(),
    ctx.actor.personId
  ])
}

/** What ends the repair of a tool by its report, as an instruction. */
export const howRepairEnds = (report: string): string =>
  `say that it is back by POST /v1/tool-losses/${report}/repaired, or that it cannot be repaired by PUT /v1/tool-losses/${report}/assessment with the outcome scrapped`

/**
 * Refuses a tool that an open document or loss report holds.
 * @throws Refusal 409 `ToolHeld`
 */
export function requireFree(
  tool: Pick<HeldTool, 'serial' | 'openDocument' | 'lossId' | 'lossReport' | 'isInRepair'>
): void {
  if (tool.openDocument !== null)
    throw new Refusal(
      'ToolHeld',
      409,
      `tool ${tool.serial} stands on ${tool.openDocument}, which is not signed yet; have that signed or cancelled first`,
      { extra: { serial: tool.serial, document: tool.openDocument } }
    )
  if (tool.lossId !== null)
    throw new Refusal(
      'ToolHeld',
      409,
      tool.isInRepair
        ? `tool ${tool.serial} is being repaired by ${tool.lossReport}, and is held until that ends; ${howRepairEnds(tool.lossReport ?? '')}`
        : `a report of loss or damage about tool ${tool.serial}${tool.lossReport === null ? '' : `, ${tool.lossReport},`} is not decided yet; it moves once that is decided, or withdrawn by who reported it`,
      { extra: { serial: tool.serial, document: tool.lossReport } }
    )
}
