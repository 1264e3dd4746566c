// A document that moves tools: how it is written, found, held and shown.
//
// Its content stands still from when it is drawn up; giver and taker sign the hash of it. Until it is settled it holds its tools: the unique
// index `tool_document_line_one_open` lets no second document have them.
import { run, statement } from '../platform/database.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { constraintOf, notFound, Refusal } from '../platform/errors.ts'
import { contentHash } from '../signing/content-hash.ts'
import { historyOf, noteEvent } from '../signing/document-history.ts'
import { documentNumber, nextNumber } from '../signing/document-number.ts'
import type { Context, WarehouseRef } from '../identity/actor.ts'
import type { Warehouse } from '../warehouses/directory.ts'
import type { Person } from './technician.ts'
import { isOwn, readsRegister } from './tool-rights.ts'
import type { Role, ToolDocumentKind, ToolDocumentView } from './tools.schemas.ts'

const SERIES: Record<ToolDocumentKind, string> = { issue: 'TIS', return: 'TRT', 'hand-over': 'THO', transfer: 'TTR' }

/** A document with all that decisions about it need. */
export interface ToolDocument extends Omit<ToolDocumentView, 'awaiting'> {
  id: string
  warehouseId: number
  regionId: number
  toWarehouseId: number | null
  toRegionId: number | null
  giverId: number | null
  takerId: number | null
  kitId: string | null
  toolIds: string[]
}

const DOCUMENT_COLUMNS = `
  d.id::text as id, d.warehouse_id as "warehouseId", w.region_id as "regionId", d.to_warehouse_id as "toWarehouseId", target.region_id as "toRegionId",
  d.giver_id as "giverId", d.taker_id as "takerId", d.kit_id::text as "kitId",
  d.number, d.kind, d.state, w.code as warehouse, target.code as "toWarehouse", giver.username as giver, taker.username as taker, kit.code as kit,
  d.missing_of_kit as "missingOfKit",
  d.note, lines.lines, lines.ids as "toolIds",
  coalesce((select json_agg(json_build_object('role', s.role, 'by', p.username, 'name', p.name, 'contentHash', s.content_hash, 'signedAt', s.signed_at) order by s.signed_at, s.role)
              from tool_signature s join person p on p.id = s.person_id where s.warehouse_id = d.warehouse_id and s.document_id = d.id), '[]') as signatures,
  d.content_hash as "contentHash", d.reason, preparer.username as "preparedBy", d.prepared_at as "preparedAt", d.settled_at as "settledAt", d.version`
const DOCUMENT_FROM = `
  tool_document d
  join warehouse w on w.id = d.warehouse_id
  join person preparer on preparer.id = d.prepared_by
  left join warehouse target on target.id = d.to_warehouse_id
  left join person giver on giver.id = d.giver_id
  left join person taker on taker.id = d.taker_id
  left join tool_kit kit on kit.warehouse_id = d.warehouse_id and kit.id = d.kit_id
 cross join lateral (
    select json_agg(json_build_object('line', l.line_no, 'serial', t.serial, 'name', l.name, 'nameZh', l.name_zh, 'model', l.model, 'value', t.value::text, 'condition', l.condition)
                    order by l.line_no) as lines, array_agg(t.id::text order by l.line_no) as ids
      from tool_document_line l join tool t on t.id = l.tool_id where l.warehouse_id = d.warehouse_id and l.document_id = d.id) lines`

const DOCUMENT = statement<ToolDocument>(
  `select ${DOCUMENT_COLUMNS} from ${DOCUMENT_FROM} where d.number = $2 and d.warehouse_id = (select id from warehouse where code = $1)`
)
const LOCK = statement<never>('select 1 from tool_document where warehouse_id = $1 and id = $2 for update')

/** The warehouse whose tools it moves, for rights. */
export const ownerOf = ({ warehouseId, warehouse, regionId }: ToolDocument): WarehouseRef => ({
  id: warehouseId,
  code: warehouse,
  regionId
})
/** The warehouse that a transfer goes to, for rights. */
export const targetOf = ({ toWarehouseId, toWarehouse, toRegionId }: ToolDocument): WarehouseRef | null =>
  toWarehouseId === null || toWarehouse === null || toRegionId === null
    ? null
    : { id: toWarehouseId, code: toWarehouse, regionId: toRegionId }

/**
 * A document that the actor may see: who reads the register of a warehouse it is about, and giver and taker.
 * @throws Refusal 404
 */
export async function loadToolDocument(ctx: Context, number: string): Promise<ToolDocument> {
  const [document] = await run(ctx, DOCUMENT, [number.replace(/-(TIS|TRT|THO|TTR)-\d{6}-\d+$/, ''), number])
  if (document === undefined) throw notFound('tool document', number)
  const target = targetOf(document)
  const isSeen =
    readsRegister(ctx, ownerOf(document)) ||
    (target !== null && readsRegister(ctx, target)) ||
    isOwn(ctx, document.giverId) ||
    isOwn(ctx, document.takerId)
  if (!isSeen) throw notFound('tool document', number)
  return document
}

/** The document as it is now, locked until the commit; it must await signatures. @throws Refusal 409 `ToolDocumentSettled`, 404 */
export async function lockOpenDocument(ctx: Context, number: string): Promise<ToolDocument> {
  const { warehouseId, id } = await loadToolDocument(ctx, number)
  await run(ctx, LOCK, [warehouseId, id])
  const document = await loadToolDocument(ctx, number)
  if (document.state !== 'awaiting-signatures')
    throw new Refusal(
      'ToolDocumentSettled',
      409,
      `${number} is ${document.state}${document.state === 'effective' ? '; what it moved is moved again by another document' : ''}`,
      { extra: { number, state: document.state } }
    )
  return document
}

/** Who has to sign: a return is taken by the keeper alone, everything else is given and taken. */
export const rolesOf = (kind: ToolDocumentKind): readonly Role[] => (kind === 'return' ? ['taker'] : ['giver', 'taker'])

export function documentView(document: ToolDocument): ToolDocumentView {
  const {
    id: _id,
    warehouseId: _warehouse,
    regionId: _region,
    toWarehouseId: _to,
    toRegionId: _toRegion,
    giverId: _giver,
    takerId: _taker,
    kitId: _kit,
    toolIds: _tools,
    ...view
  } = document
  return {
    ...view,
    awaiting:
      view.state === 'awaiting-signatures'
        ? rolesOf(view.kind).filter((role) => !view.signatures.some((signature) => signature.role === role))
        : [],
    signatures: view.signatures.map((signature) => ({ ...signature, signedAt: instant(signature.signedAt) })),
    preparedAt: instant(view.preparedAt),
    settledAt: instantOrNull(view.settledAt)
  }
}

export const readToolDocument = async (ctx: Context, { number }: { number: string }): Promise<ToolDocumentView> =>
  documentView(await loadToolDocument(ctx, number))

/** What happened to a document, the oldest first. */
export async function readToolDocumentHistory(ctx: Context, { number }: { number: string }) {
  const { warehouseId, id } = await loadToolDocument(ctx, number)
  return { items: await historyOf(ctx, { warehouseId, id }) }
}

/** SHA-256 of what giver and taker sign: who, what, in what condition. */
export const hashOf = ({
  number,
  kind,
  warehouse,
  toWarehouse,
  giver,
  taker,
  kit,
  missingOfKit,
  note,
  lines
}: Pick<
  ToolDocument,
  'number' | 'kind' | 'warehouse' | 'toWarehouse' | 'giver' | 'kit' | 'missingOfKit' | 'note' | 'lines'
> & {
  taker: string | null
}): string => contentHash({ number, kind, warehouse, toWarehouse, giver, taker, kit, missingOfKit, note, lines })

/** A line to be written: a tool as it is held, and its condition. */
export interface NewLine {
  id: string
  condition: string | null
}

/** The kit a document is about, with the serial numbers of what stays away of it. */
export interface KitOnPaper {
  id: string
  code: string
  missing: string[]
}

const NUMBERED = statement<{ id: string; number: string }>(`
with numbered as (${nextNumber('$3::text', '$2')})
select nextval('document_id_seq')::text as id, ${documentNumber('$4', '$3::text', '$2')} as number from numbered`)
const WRITE = statement<never>(`
with document as (
  insert into tool_document (warehouse_id, id, number, kind, giver_id, taker_id, to_warehouse_id, kit_id, missing_of_kit, note, content_hash, prepared_by, prepared_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $14, $9, repeat('0', 64), $10, $11)
)
insert into tool_document_line (warehouse_id, document_id, line_no, tool_id, name, name_zh, model, condition)
select $1, $2, g.line_no, g.tool_id, t.name, t.name_zh, t.model, g.condition
  from unnest($12::bigint[], $13::text[]) with ordinality as g (tool_id, condition, line_no) join tool t on t.id = g.tool_id`)
const SEAL = statement<never>('update tool_document set content_hash = $3 where warehouse_id = $1 and id = $2')
export const SIGN = statement<never>(`
insert into tool_signature (warehouse_id, document_id, role, person_id, content_hash, signed_at) values ($1, $2, $3, $4, $5, $6)`)

/**
 * Draws up a document about tools that the caller holds (`lockTools`) and has found free. Its content is hashed as it stands in the database.
 * @param isGiven the actor gives, and signs by drawing it up
 * @throws Refusal 409 `ToolHeld` if another document was faster, 403 `PersonMustSign` for a key that would sign
 */
export async function writeToolDocument(
  ctx: Context,
  warehouse: Warehouse,
  {
    kind,
    giver,
    taker,
    to,
    kit,
    note,
    lines,
    isGiven
  }: {
    kind: ToolDocumentKind
    giver: Person
    taker?: Person | undefined
    to?: Warehouse | undefined
    kit?: KitOnPaper | undefined
    note?: string | undefined
    lines: readonly NewLine[]
    isGiven: boolean
  }
): Promise<ToolDocumentView> {
  if (isGiven) requirePersonToSign(ctx)
  const [drawn] = await run(ctx, NUMBERED, [warehouse.id, ctx.clock.today(), SERIES[kind], warehouse.code])
  if (drawn === undefined) throw new Error('no number was drawn')
  const { id, number } = drawn
  const now = ctx.clock.now().toString()
  await run(ctx, WRITE, [
    warehouse.id,
    id,
    number,
    kind,
    giver.id,
    taker?.id ?? null,
    to?.id ?? null,
    kit?.id ?? null,
    note ?? null,
    ctx.actor.personId,
    now,
    lines.map((line) => line.id),
    lines.map(({ condition }) => condition),
    kit?.missing ?? []
  ]).catch((error: unknown) => {
    throw constraintOf(error) === 'tool_document_line_one_open'
      ? new Refusal('ToolHeld', 409, 'one of these tools was put on another document at the same moment; read it again')
      : error
  })
  const [document] = await run(ctx, DOCUMENT, [warehouse.code, number])
  if (document === undefined) throw new Error('no document was written')
  const hash = hashOf(document)
  await run(ctx, SEAL, [warehouse.id, id, hash])
  if (isGiven) await run(ctx, SIGN, [warehouse.id, id, 'giver', ctx.actor.personId, hash, now])
  await noteEvent(ctx, { warehouseId: warehouse.id, id }, `tool-${kind}-drawn-up`, {
    document: number,
    giver: giver.username,
    taker: taker?.username ?? null,
    to: to?.code ?? null,
    tools: document.lines.map(({ serial }) => serial)
  })
  return documentView(await loadToolDocument(ctx, number))
}

/** @throws Refusal 403 `PersonMustSign` */
export function requirePersonToSign(ctx: Context): void {
  if (ctx.actor.isMachine)
    throw new Refusal('PersonMustSign', 403, 'an API key never signs for tools; sign in as a person')
}
