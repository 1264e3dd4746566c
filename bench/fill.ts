// A ledger to measure on: two years of slips in five warehouses, written by set-based SQL so that every invariant of the
// ledger holds (`verifyLedger` finds nothing), and approved slips to post.
//
// Every part of every warehouse has had lots that are used up, by three issues each, and has two lots on hand: an old one that
// is being depreciated and was issued from last month and this month, and a newer one. All movements stand on slips of up to
// five lines, each with its signatures and its history.
import type { Client } from 'pg'
import { slipHash, type Slip, type SlipLine } from '../src/slips/slip.ts'

export const WAREHOUSES = ['W1', 'W2', 'W3', 'W4', 'W5'] as const
const PARTS = 1_000
const KEYS = WAREHOUSES.length * PARTS
const MOVEMENTS_OF_LOTS_ON_HAND = 4
const MOVEMENTS_OF_A_USED_UP_LOT = 4
export const DUTIES = ['department-head', 'operations-supervisor', 'finance-supervisor'] as const

/** Ids of the people of the first warehouse, the only ones there are: the keeper and those who sign. */
export const PEOPLE = { keeper: 1, 'department-head': 2, 'operations-supervisor': 3, 'finance-supervisor': 4 } as const

export interface Days {
  today: string
  /** The first day of this month, on which every part was issued. */
  thisMonth: string
  /** A day of last month, before the movements of this one. */
  lastMonth: string
}

export function daysOf(today: string): Days {
  const first = Temporal.PlainDate.from(today).with({ day: 1 })
  return { today, thisMonth: first.toString(), lastMonth: first.subtract({ months: 1 }).with({ day: 25 }).toString() }
}

const PLACES = `
insert into region (code, name) values ('R1', 'Region 1');
insert into warehouse (code, name, kind, region_id) select unnest($1::text[]), 'Bench', 'regional-centre', 1;`

const CATALOGUE = `
insert into part (number, name, name_zh, specification, unit, standard_cost)
select 'P-' || lpad(i::text, 5, '0'), 'Brake pad ' || i, '刹车片 ' || i, 'DN' || i, 'piece', 10 + i % 90 from generate_series(1, $1::int) as i`

const STAFF = `
insert into person (id, username, name, created_by) overriding system value
select id, duty || '@w1', duty, 0 from unnest($1::int[], $2::text[]) as t (id, duty);`
const STAFF_DUTIES = `
insert into duty_assignment (person_id, duty, warehouse_id, valid_from, assigned_by, assigned_at)
select id, duty, 1, '2000-01-01', 0, now() from unnest($1::int[], $2::text[]) as t (id, duty)`

/** $1 this month's first day, $2 how many used-up lots per part and warehouse. Lots: number, place, day, quantity, cost. */
const LOTS = `
create temp table bench_lot as
select row_number() over (order by received_on, k, step) as id, *
  from (select k, warehouse_id, part_id, step, 5 + (k * 37 + step * 11) % 19000 / 100.0 as unit_cost, case when step < $2 then 12 else 1000000 end as quantity_in,
               case when step < $2 then first_day + ((used_up_by - first_day) * (step + (k % 97) / 97.0) / $2)::int
                    when step = $2 then used_up_by + k % 5
                    else ($1::date - interval '1 month')::date + k % 15 end as received_on,
               ((used_up_by - first_day) / greatest($2, 1)::numeric) as spacing
          from (select row_number() over (order by w.id, p.id)::int as k, w.id as warehouse_id, p.id as part_id,
                       ($1::date - interval '23 months')::date as first_day, ($1::date - interval '5 months')::date as used_up_by
                  from warehouse w cross join part p) key
         cross join generate_series(0, $2::int + 1) as step) lot`

/** The movements of each lot in their order, with what is left of the lot after each. */
const MOVEMENTS = `
create temp table bench_movement as
select *, (row_number() over (partition by warehouse_id, occurred_on, quantity > 0 order by k, step) - 1) as position,
       sum(quantity) over (partition by k order by occurred_on, lot_id, turn) as on_hand_after
  from (select lot.id as lot_id, k, warehouse_id, part_id, step, unit_cost, received_on, turn,
               case when turn = 0 then quantity_in when step < $2 then -4 else -1 end as quantity,
               case when turn = 0 then quantity_in when step < $2 then 12 - 4 * turn else 1000000 - turn end as left_over,
               case when turn = 0 then received_on
                    when step < $2 then received_on + (spacing * turn / 4)::int
                    when turn = 1 then ($1::date - interval '1 month')::date + k % 20
                    else $1::date end as occurred_on
          from bench_lot lot
         cross join lateral generate_series(0, case when step < $2 then 3 when step = $2 then 2 else 0 end) as turn) m`

const SLIPS = `
create temp table bench_slip as
select row_number() over (order by occurred_on, warehouse_id, incoming, bundle) as id, *,
       row_number() over (partition by warehouse_id, incoming, date_trunc('month', occurred_on) order by occurred_on, bundle) as serial
  from (select distinct warehouse_id, occurred_on, quantity > 0 as incoming, position / 5 as bundle from bench_movement) slip`

const WRITE_LOTS = `
insert into lot (warehouse_id, id, part_id, ownership, condition, received_on, opened_on, aged_from, unit_cost, quantity_in, cost_in, charge_in, on_hand, last_moved_on, exhausted)
select l.warehouse_id, l.id, l.part_id, 'own', 'qualified', l.received_on, l.received_on, date_trunc('month', l.received_on)::date, l.unit_cost, l.quantity_in,
       lot_cost(l.unit_cost, l.quantity_in, 0), 0, m.left_over, m.occurred_on, m.left_over = 0
  from bench_lot l
  join (select distinct on (lot_id) lot_id, left_over, occurred_on from bench_movement order by lot_id, turn desc) m on m.lot_id = l.id
 order by l.id`

const WRITE_BALANCES = `
insert into balance (warehouse_id, part_id, ownership, condition, part_number, on_hand)
select warehouse_id, part_id, 'own', 'qualified', (select number from part where id = part_id), sum(quantity) from bench_movement group by warehouse_id, part_id`

const WRITE_SLIPS = `
insert into slip (warehouse_id, id, number, kind, purpose, state, version, occurred_on, duties, preparers, prepared_at, submitted_at, approved_at, posted_by, posted_at)
select warehouse_id, id, (select code from warehouse where warehouse.id = warehouse_id) || case when incoming then '-IN-' else '-OUT-' end || to_char(occurred_on, 'YYYYMM') || '-' || lpad(serial::text, 5, '0'),
       case when incoming then 'receipt' else 'issue' end, case when incoming then null else 'repair-order' end, 'posted', 5, occurred_on, $1, '{1}', occurred_on, occurred_on, occurred_on, 1, occurred_on
  from bench_slip order by id`

const WRITE_NUMBERS = `
insert into document_number (warehouse_id, series, period, last)
select warehouse_id, case when incoming then 'IN' else 'OUT' end, date_trunc('month', occurred_on)::date, max(serial) from bench_slip group by 1, 2, 3`

const WRITE_LINES = `
insert into slip_line (warehouse_id, slip_id, line_no, part_id, quantity, unit, unit_quantity, unit_cost, ownership, condition)
select m.warehouse_id, s.id, m.position % 5 + 1, m.part_id, m.quantity, 'piece', abs(m.quantity), case when m.quantity > 0 then m.unit_cost end, 'own', 'qualified'
  from bench_movement m
  join bench_slip s on (s.warehouse_id, s.occurred_on, s.incoming, s.bundle) = (m.warehouse_id, m.occurred_on, m.quantity > 0, m.position / 5)
 order by s.id`

const WRITE_MOVEMENTS = `
insert into movement (warehouse_id, slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after)
select m.warehouse_id, s.id, m.position % 5 + 1, m.lot_id, m.part_id, 'own', 'qualified', m.quantity, m.occurred_on, m.occurred_on,
       round(m.unit_cost * m.left_over, 2) - round(m.unit_cost * (m.left_over - m.quantity), 2),
       case when m.quantity > 0 then 0 else round(m.unit_cost * m.left_over * r.rate, 2) - round(m.unit_cost * (m.left_over - m.quantity) * r.rate, 2) end,
       m.on_hand_after
  from bench_movement m
  join bench_slip s on (s.warehouse_id, s.occurred_on, s.incoming, s.bundle) = (m.warehouse_id, m.occurred_on, m.quantity > 0, m.position / 5)
 cross join lateral (select 0.08 * least(12, greatest(0, month_index(m.occurred_on) - month_index(m.received_on) - 3)) as rate) r
 order by m.occurred_on, s.id, m.position`

const WRITE_SIGNATURES = `
insert into signature (warehouse_id, document_id, duty, person_id, decision, content_hash, signed_at)
select s.warehouse_id, s.id, t.duty, t.person_id, 'approve', encode(sha256(s.id::text::bytea), 'hex'), s.occurred_on
  from bench_slip s cross join unnest($1::text[], $2::int[]) as t (duty, person_id) order by s.id`

const WRITE_EVENTS = `
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event)
select s.warehouse_id, s.id, s.occurred_on, 1, e from bench_slip s cross join unnest('{submitted,signed,signed,signed,posted}'::text[]) as e order by s.id`

/**
 * Fills a migrated, empty database.
 * @returns how many movements there are: what was asked for, rounded to whole lots for every part
 */
export async function fill(client: Client, { movements, days }: { movements: number; days: Days }): Promise<number> {
  const usedUp = Math.max(0, Math.round((movements / KEYS - MOVEMENTS_OF_LOTS_ON_HAND) / MOVEMENTS_OF_A_USED_UP_LOT))
  await client.query(`set work_mem = '512MB'; set maintenance_work_mem = '256MB'; set synchronous_commit = off`)
  // Checking every foreign key of rows that were computed to fit takes longer than all the rest. Needs a superuser, so it is only tried.
  await client.query('set session_replication_role = replica').catch(() => undefined)
  const [region, warehouses] = PLACES.trim().split(';\n')
  await client.query(region ?? '')
  await client.query(warehouses ?? '', [WAREHOUSES])
  await client.query(CATALOGUE, [PARTS])
  await client.query(STAFF, [Object.values(PEOPLE), Object.keys(PEOPLE)])
  await client.query(STAFF_DUTIES, [Object.values(PEOPLE), Object.keys(PEOPLE)])
  await client.query('analyze part')
  for (let back = 24; back >= 0; back--)
    await client.query(`select ensure_movement_partition(($1::date - make_interval(months => $2))::date)`, [
      days.thisMonth,
      back
    ])
  await client.query(LOTS, [days.thisMonth, usedUp])
  await client.query(MOVEMENTS, [days.thisMonth, usedUp])
  await client.query(SLIPS)
  await client.query('analyze bench_lot; analyze bench_movement; analyze bench_slip')
  await client.query(WRITE_LOTS)
  await client.query(WRITE_BALANCES)
  await client.query(WRITE_SLIPS, [DUTIES])
  await client.query(WRITE_NUMBERS)
  await client.query(WRITE_LINES)
  await client.query(WRITE_MOVEMENTS)
  await client.query(WRITE_SIGNATURES, [DUTIES, DUTIES.map((duty) => PEOPLE[duty])])
  await client.query(WRITE_EVENTS)
  await client.query(
    `select setval('document_id_seq', (select max(id) from slip)), setval('lot_id_seq', (select max(id) from lot)), setval(pg_get_serial_sequence('person', 'id'), 100)`
  )
  await client.query(
    `drop table bench_lot, bench_movement, bench_slip; reset session_replication_role; reset synchronous_commit; reset work_mem`
  )
  await client.query('vacuum analyze')
  return KEYS * (MOVEMENTS_OF_LOTS_ON_HAND + usedUp * MOVEMENTS_OF_A_USED_UP_LOT)
}

/** An approved issue of one piece per line, and what the ceiling has to be told about it. */
export interface PreparedSlip {
  id: string
  number: string
  warehouseId: number
  occurredOn: string
  lines: { line: number; partId: number; part: string; lotId: string; cost: string }[]
}

interface Shelf {
  partId: number
  part: string
  name: string
  nameZh: string
  specification: string
  lotId: string
  cost: string
}

const SHELVES = `
select distinct on (part.id) part.id as "partId", part.number as part, part.name, part.name_zh as "nameZh", part.specification, lot.id as "lotId", round(unit_cost, 2)::text as cost
  from lot join part on part.id = lot.part_id where warehouse_id = $1 and not exhausted order by part.id, received_on, lot.id`

const NUMBERS = `
insert into document_number (warehouse_id, series, period, last) values ($1, 'OUT', date_trunc('month', $2::date), $3)
on conflict (warehouse_id, series, period) do update set last = document_number.last + $3 returning last`

const WRITE_APPROVED = `
with given as materialized (select * from json_to_recordset($1) as g (id bigint, number text, hash text, lines json)),
slips as (
  insert into slip (warehouse_id, id, number, kind, purpose, state, version, occurred_on, reference, duties, preparers, prepared_at, submitted_at, approved_at)
  select $2, id, number, 'issue', 'repair-order', 'approved', 4, $3, 'RO-2026-0815', $4, '{1}', now(), now(), now() from given
), lines as (
  insert into slip_line (warehouse_id, slip_id, line_no, part_id, quantity, unit, unit_quantity, ownership, condition)
  select $2, id, l.line, l."partId", -1, 'piece', 1, 'own', 'qualified' from given cross join json_to_recordset(lines) as l (line int, "partId" int)
), signatures as (
  insert into signature (warehouse_id, document_id, duty, person_id, decision, content_hash, signed_at)
  select $2, id, t.duty, t.person_id, 'approve', hash, now() from given cross join unnest($4::text[], $5::int[]) as t (duty, person_id)
)
insert into document_event (warehouse_id, document_id, occurred_at, person_id, event)
select $2, id, now(), 1, e from given cross join unnest('{submitted,signed,signed,signed}'::text[]) as e`

/** Writes signed slips, as if they had been created and signed one by one. */
export class Preparation {
  readonly #client: Client
  readonly #shelves = new Map<number, Shelf[]>()

  constructor(client: Client) {
    this.#client = client
  }

  /** Different parts of a warehouse, in the order of their ids. */
  async parts(warehouseId: number, count: number): Promise<Shelf[]> {
    let shelves = this.#shelves.get(warehouseId)
    if (shelves === undefined) {
      shelves = (await this.#client.query<Shelf>(SHELVES, [warehouseId])).rows
      this.#shelves.set(warehouseId, shelves)
    }
    const picked = new Set<number>()
    while (picked.size < count) picked.add(Math.floor(Math.random() * shelves.length))
    return [...picked].sort((a, b) => a - b).map((index) => shelves[index])
  }

  async approvedSlips(
    warehouseId: number,
    { count, occurredOn, lines = 5 }: { count: number; occurredOn: string; lines?: number }
  ): Promise<PreparedSlip[]> {
    const code = WAREHOUSES[warehouseId - 1] ?? ''
    const { rows: numbers } = await this.#client.query<{ last: number }>(NUMBERS, [warehouseId, occurredOn, count])
    const { rows: ids } = await this.#client.query<{ id: string }>(
      `select nextval('document_id_seq') as id from generate_series(1, $1)`,
      [count]
    )
    const prepared: (PreparedSlip & { hash: string })[] = []
    for (const [index, { id }] of ids.entries()) {
      const shelves = await this.parts(warehouseId, lines)
      const number = `${code}-OUT-${occurredOn.slice(0, 7).replace('-', '')}-${String((numbers[0]?.last ?? 0) - index).padStart(5, '0')}`
      prepared.push({
        id,
        number,
        warehouseId,
        occurredOn,
        lines: shelves.map(({ partId, part, lotId, cost }, line) => ({ line: line + 1, partId, part, lotId, cost })),
        hash: slipHash(approved({ id, number, occurredOn }, shelves), { code })
      })
    }
    await this.#client.query(WRITE_APPROVED, [
      JSON.stringify(prepared),
      warehouseId,
      occurredOn,
      DUTIES,
      DUTIES.map((duty) => PEOPLE[duty])
    ])
    return prepared
  }
}

const approved = (known: Pick<Slip, 'id' | 'number' | 'occurredOn'>, shelves: Shelf[]): Slip => ({
  ...known,
  kind: 'issue',
  purpose: 'repair-order',
  state: 'approved',
  version: 4,
  reference: 'RO-2026-0815',
  counterparty: null,
  supplier: null,
  supplierId: null,
  deliveryNote: null,
  packagesExpected: null,
  packagesReceived: null,
  note: null,
  reason: null,
  source: null,
  duties: [...DUTIES],
  preparers: [PEOPLE.keeper],
  preparedBy: 'keeper@w1',
  preparedAt: '',
  refusal: null,
  submittedAt: null,
  approvedAt: null,
  postedBy: null,
  postedById: null,
  postedAt: null,
  handedTo: null,
  deliveredBy: null,
  lateDuty: null,
  lateDueAt: null,
  lateSettledAt: null,
  releasedBecause: null,
  authorisedBy: null,
  lines: shelves.map(({ partId, part, name, nameZh, specification }, index): SlipLine => ({
    line: index + 1,
    partId,
    part,
    name,
    nameZh,
    specification,
    colour: null,
    quantity: '-1',
    unit: 'piece',
    unitQuantity: '1',
    unitCost: null,
    ownership: 'own',
    condition: 'qualified',
    expectedQuantity: null,
    receivedOn: null,
    sourceLine: null,
    reservation: null,
    lot: null,
    reserveFor: null,
    carried: null,
    difference: null,
    note: null,
    expectedReceipt: null,
    expectedReceiptId: null
  })),
  signatures: [],
  qualityReports: [],
  reversal: null,
  returns: [],
  signedAs: null
})
