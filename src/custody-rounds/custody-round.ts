// A custody round (工具核对): what each technician of a warehouse held when it was opened, and what they say to it (R-TOOL-1).
import type { Context } from '../identity/actor.ts'
import { instant, instantOrNull } from '../platform/clock.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { requireMatch } from '../platform/etag.ts'
import { notFound, Refusal } from '../platform/errors.ts'
import { warehouseByCode, type Warehouse } from '../warehouses/directory.ts'
import { inRegisterSight, isOwn, readsRegister, registerSight } from '../tools/tool-rights.ts'
import type { RoundQuery, RoundState, RoundSummary, RoundView } from './custody-rounds.schemas.ts'

type RoundLine = RoundView['lines'][number] & { personId: number }

export interface Round extends Omit<RoundView, 'lines'> {
  id: string
  state: RoundState
  lines: RoundLine[]
}

const HEAD = `r.number, w.code as warehouse, r.state, r.due_on::text as "dueOn", r.note, opener.username as "openedBy", r.opened_at as "openedAt",
       closer.username as "closedBy", r.closed_at as "closedAt", r.version`
const FROM = `custody_round r
  join warehouse w on w.id = r.warehouse_id
  join person opener on opener.id = r.opened_by
  left join person closer on closer.id = r.closed_by`

const ROUND = statement<Round>(`
select r.id::text as id, ${HEAD}, r.closed_because as "closedBecause",
       (select coalesce(json_agg(json_build_object(
                'personId', p.person_id, 'technician', person.username, 'name', person.name, 'state', p.state, 'answeredAt', p.answered_at, 'remark', p.remark,
                'contentHash', p.content_hash, 'tools', (
                  select json_agg(json_build_object('serial', t.serial, 'name', t.name, 'nameZh', t.name_zh, 'missing', f.missing,
                           'lossReport', (select l.number from tool_loss l where l.tool_id = t.id and l.reported_at >= r.opened_at and l.state not in ('refused', 'withdrawn') order by l.id desc limit 1))
                           order by t.serial)
                    from custody_round_tool f join tool t on t.id = f.tool_id
                   where f.warehouse_id = r.warehouse_id and f.round_id = r.id and f.person_id = p.person_id)) order by person.username), '[]')
          from custody_round_position p join person on person.id = p.person_id
         where p.warehouse_id = r.warehouse_id and p.round_id = r.id) as lines
  from ${FROM}
 where r.warehouse_id = $1 and r.number = $2`)

const LOCK = statement<never>('select 1 from custody_round where warehouse_id = $1 and number = $2 for no key update')

/**
 * A round the actor may see: who reads the register of its warehouse, and whoever is asked by it.
 * @throws Refusal 404
 */
export async function loadRound(ctx: Context, number: string): Promise<{ round: Round; warehouse: Warehouse }> {
  const warehouse = await warehouseByCode(ctx, number.replace(/-TCR-\d{6}-\d+$/, '')).catch((error: unknown) => {
    throw error instanceof Refusal && error.status === 404 ? notFound('custody round', number) : error
  })
  const [round] = await run(ctx, ROUND, [warehouse.id, number])
  if (round === undefined) throw notFound('custody round', number)
  if (!readsRegister(ctx, warehouse) && !round.lines.some(({ personId }) => isOwn(ctx, personId)))
    throw notFound('custody round', number)
  return { round, warehouse }
}

/**
 * The round as it is now, held until the commit.
 * @throws Refusal 404, 412
 */
export async function lockRound(
  ctx: Context,
  number: string,
  ifMatch?: string
): Promise<{ round: Round; warehouse: Warehouse }> {
  const { warehouse } = await loadRound(ctx, number)
  await run(ctx, LOCK, [warehouse.id, number])
  const { round } = await loadRound(ctx, number)
  requireMatch(ifMatch, round.version)
  return { round, warehouse }
}

/** @throws Refusal 409 `RoundClosed` */
export function requireOpen({ number, state, closedAt }: Round): void {
  if (state === 'open') return
  throw new Refusal(
    'RoundClosed',
    409,
    `${number} was closed at ${instant(closedAt ?? '')}; what is missing since is reported as lost, and another round asks again`
  )
}

/** One round; of whoever does not read the register, their own line. */
export async function readCustodyRound(ctx: Context, { number }: { number: string }): Promise<RoundView> {
  const { round, warehouse } = await loadRound(ctx, number)
  const { id: _id, lines, ...head } = round
  const seesAll = readsRegister(ctx, warehouse)
  return {
    ...head,
    openedAt: instant(round.openedAt),
    closedAt: instantOrNull(round.closedAt),
    closedBecause: seesAll ? round.closedBecause : null,
    lines: lines
      .filter(({ personId }) => seesAll || isOwn(ctx, personId))
      .map(({ personId: _person, ...line }) => ({ ...line, answeredAt: instantOrNull(line.answeredAt) }))
  }
}

const LIST = statement<RoundSummary & { id: string }>(`
select r.id::text as id, ${HEAD}, t.technicians, t.outstanding
  from ${FROM}
 cross join lateral (select count(*)::int as technicians, count(*) filter (where p.state in ('awaited', 'report-awaited'))::int as outstanding
                       from custody_round_position p where p.warehouse_id = r.warehouse_id and p.round_id = r.id) t
 where (${inRegisterSight('w', 1)} or exists (select from custody_round_line l where l.warehouse_id = r.warehouse_id and l.round_id = r.id and l.person_id = $4))
   and ($5::text is null or w.code = $5) and ($6::text is null or r.state = $6) and ($7::bigint is null or r.id < $7::bigint)
 order by r.id desc limit $8`)

/** Rounds one sees, the newest first: of registers one reads, and those one is asked by. */
export async function listCustodyRounds(
  ctx: Context,
  { warehouse, state, limit = 50, cursor }: RoundQuery
): Promise<{ items: RoundSummary[]; nextCursor: string | null }> {
  const [after = null] = readCursor(cursor, ['id']) ?? []
  const rows = await run(ctx, LIST, [...registerSight(ctx), warehouse ?? null, state ?? null, after, limit + 1])
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return {
    items: items.map(({ id: _id, ...round }) => ({
      ...round,
      openedAt: instant(round.openedAt),
      closedAt: instantOrNull(round.closedAt)
    })),
    nextCursor
  }
}
