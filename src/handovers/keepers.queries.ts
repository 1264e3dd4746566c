import { Type, type Static } from 'typebox'
import { requireSight, type Context } from '../identity/actor.ts'
import { instantOrNull } from '../platform/clock.ts'
import { rowsOf } from '../platform/csv.ts'
import { pageFrom, readCursor } from '../platform/cursor.ts'
import { run, statement } from '../platform/database.ts'
import { Day, Instant, named, nullable, oneOf, pageOf } from '../platform/schemas.ts'
import { warehouseByCode } from '../warehouses/directory.ts'

const handoverPart = (what: string) => ({
  handover: nullable(Type.String({ description: `Handover ${what} (工作移交单号)` })),
  at: nullable(Instant),
  position: nullable(Type.String({ description: 'Position of the ledger at that cut-off (账面位置)' }))
})
const into = handoverPart('by which the post was taken over')
const out = handoverPart('by which the post was handed over')

export const KeeperPeriod = named(
  'KeeperPeriod',
  Type.Object(
    {
      keeper: Type.String({ description: 'User name (仓管员)' }),
      name: Type.String(),
      scope: oneOf(['warehouse', 'region', 'everywhere'], 'For what the duty is held'),
      acting: Type.Boolean({ description: 'Whether they are keeper today (在岗)' }),
      standIns: Type.Array(Type.String(), { description: 'Who stands in for them today (代理人)' }),
      validFrom: Day,
      validTo: nullable(Day),
      endedAt: nullable(Instant),
      covered: Type.Array(Type.Object({ from: Day, to: nullable(Day) }), {
        description:
          'Days on which the duty covered this warehouse (管辖期间): of one for a region, those on which the warehouse was in it; the day of a move belongs to both regions'
      }),
      takenOverBy: into.handover,
      takenOverFrom: nullable(Type.String({ description: 'User name of the keeper before' })),
      takenOverAt: into.at,
      takenOverPosition: into.position,
      handedOverBy: out.handover,
      handedOverTo: nullable(Type.String({ description: 'User name of the keeper after' })),
      handedOverAt: out.at,
      handedOverPosition: out.position
    },
    {
      description:
        'A time in which somebody was keeper of a warehouse in their own right. Movements after takenOverPosition and up to handedOverPosition are theirs to answer for (责任期间)'
    }
  )
)
export type KeeperPeriod = Static<typeof KeeperPeriod>
export const KeeperPeriodPage = pageOf(KeeperPeriod)

// Who held the duty already when they took over has no new grant by it: the first handover to them within that time is meant.
const PERIODS = `
select g.id, person.username as keeper, person.name,
       case when g.warehouse_id is not null then 'warehouse' when g.region_id is not null then 'region' else 'everywhere' end as scope, is_acting as acting,
       case when is_acting then array(
              select distinct deputy.username from delegation d join person deputy on deputy.id = d.to_person_id and deputy.active
               where d.from_person_id = g.person_id and d.ended_at is null and (d.duty is null or d.duty = 'keeper') and d.valid_from <= $3::date and d.valid_to >= $3::date
               order by 1)
            else '{}' end as "standIns",
       g.valid_from as "validFrom", g.valid_to as "validTo", g.ended_at as "endedAt", place.covered,
       taken.number as "takenOverBy", taken.person as "takenOverFrom", taken.cut_off_at as "takenOverAt", taken.cut_off_position::text as "takenOverPosition",
       handed.number as "handedOverBy", handed.person as "handedOverTo", handed.cut_off_at as "handedOverAt", handed.cut_off_position::text as "handedOverPosition"
  from duty_assignment g
  join person on person.id = g.person_id
 cross join lateral (
   select json_agg(json_build_object('from', from_on, 'to', to_on) order by from_on, to_on) as covered, bool_or(is_present) as is_present
     from (select greatest(g.valid_from, stay.from_on) as from_on, least(g.valid_to, (g.ended_at at time zone $6::text)::date, stay.to_on) as to_on, is_present
             from (select null::date as from_on, null::date as to_on, true as is_present where g.region_id is null
                    union all
                   select from_on, to_on, to_on is null from warehouse_in_region where warehouse_id = $1 and region_id = g.region_id) stay) covered
    where to_on is null or from_on <= to_on) place
 cross join lateral (
   select place.is_present and person.active and g.ended_at is null and g.valid_from <= $3::date and (g.valid_to is null or g.valid_to >= $3::date)) today (is_acting)
  left join lateral (
    select h.number, giver.username as person, h.cut_off_at, h.cut_off_position
      from handover h join person giver on giver.id = h.outgoing_id
     where h.warehouse_id = $1 and h.state = 'completed' and h.incoming_id = g.person_id
       and (h.begun_grant = g.id
            or (h.begun_grant is null and (h.cut_off_at at time zone $6::text)::date >= g.valid_from and h.cut_off_at < coalesce(g.ended_at, 'infinity')
                and (g.valid_to is null or (h.cut_off_at at time zone $6::text)::date <= g.valid_to)))
     order by (h.begun_grant is not null) desc, h.id limit 1) taken on true
  left join lateral (
    select h.number, taker.username as person, h.cut_off_at, h.cut_off_position
      from handover h join person taker on taker.id = h.incoming_id
     where h.warehouse_id = $1 and h.state = 'completed' and g.id = any (h.ended_grants)
     order by h.id limit 1) handed on true
 where g.duty = 'keeper' and (g.warehouse_id is null or g.warehouse_id = $1) and place.covered is not null
   and (not $2::boolean or is_acting) and ($4::int is null or g.id < $4)
 order by g.id desc limit $5`
type PeriodRow = KeeperPeriod & { id: number }
const PERIOD_PAGE = statement<PeriodRow>(PERIODS)

export interface KeeperFilter {
  warehouse: string
  /** Only who is keeper today. */
  acting?: boolean | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

async function valuesOf(ctx: Context, { warehouse: code, acting = false, limit, cursor }: KeeperFilter) {
  const after = readCursor(cursor, ['integer'])
  const warehouse = await warehouseByCode(ctx, code)
  requireSight(ctx, warehouse)
  const rows = limit === undefined ? null : limit + 1
  const { BUSINESS_TIME_ZONE } = ctx.config
  return [warehouse.id, acting, ctx.clock.today(), after?.[0] ?? null, rows, BUSINESS_TIME_ZONE]
}

const periodOf = ({ id: _id, ...row }: PeriodRow): KeeperPeriod => ({
  ...row,
  endedAt: instantOrNull(row.endedAt),
  takenOverAt: instantOrNull(row.takenOverAt),
  handedOverAt: instantOrNull(row.handedOverAt)
})

/**
 * Who is and was keeper of a warehouse in their own right, the last appointed first, with the cut-offs between which they answer for its stock.
 * @throws Refusal 404
 */
export async function listKeepers(ctx: Context, { limit = 50, ...filter }: KeeperFilter) {
  const rows = await run(ctx, PERIOD_PAGE, await valuesOf(ctx, { ...filter, limit }))
  const { items, nextCursor } = pageFrom(rows, limit, ({ id }) => [id])
  return { items: items.map(periodOf), nextCursor }
}

type KeeperCsvRow = Omit<KeeperPeriod, 'standIns' | 'covered'> & { standIns: string; covered: string }

/** The same for a file. */
export async function keeperStream(ctx: Context, filter: KeeperFilter): Promise<AsyncGenerator<KeeperCsvRow>> {
  const values = await valuesOf(ctx, { ...filter, limit: undefined, cursor: undefined })
  return (async function* () {
    for await (const row of rowsOf<PeriodRow>(ctx, PERIODS, values))
      yield {
        ...periodOf(row),
        standIns: row.standIns.join(', '),
        // ISO 8601-2 intervals; two points for an open end.
        covered: row.covered.map(({ from, to }) => `${from}/${to ?? '..'}`).join(', ')
      }
  })()
}

export const KEEPER_HEADINGS = {
  keeper: 'keeper 仓管员',
  name: 'name 姓名',
  scope: 'scope 范围',
  acting: 'acting 在岗',
  standIns: 'stand-ins 代理人',
  validFrom: 'from 起',
  validTo: 'to 止',
  endedAt: 'ended at 终止时间',
  covered: 'covered it 管辖期间',
  takenOverBy: 'taken over by 接任移交单',
  takenOverFrom: 'taken over from 前任',
  takenOverAt: 'taken over at 接任时间',
  takenOverPosition: 'taken over at position 接任账面位置',
  handedOverBy: 'handed over by 离任移交单',
  handedOverTo: 'handed over to 后任',
  handedOverAt: 'handed over at 离任时间',
  handedOverPosition: 'handed over at position 离任账面位置'
} as const satisfies Record<keyof KeeperCsvRow, string>
