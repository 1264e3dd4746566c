// The ceiling: what an HTTP service on this PostgreSQL could do at best. A bare Fastify with no accounts, no rights and no
// rules, one prepared statement per route, writing or reading the same rows of the same tables.
//
// Runs as a process of its own: DATABASE_URL, DATABASE_POOL_SIZE and PORT as for the service.
import Fastify from 'fastify'
import { Pool } from 'pg'
import { STOCK_OF_PART, STOCK_PAGE } from '../src/ledger/ledger.queries.ts'

export interface CeilingPosting {
  warehouseId: number
  slipId: string
  personId: number
  at: string
  handedTo: string
  occurredOn: string
  lines: number[]
  parts: number[]
  lots: string[]
  quantities: string[]
  costs: string[]
}

// What posting a slip writes, told beforehand which lots to take and what they cost. Lines come in the order of their parts,
// so that concurrent slips queue.
const POST = `
with posted as (
  update slip set version = version + 1, state = 'posted', posted_by = $3, posted_at = $4, handed_to = $5
   where warehouse_id = $1 and id = $2
), noted as (
  insert into document_event (warehouse_id, document_id, occurred_at, person_id, event, details)
  values ($1, $2, $4, $3, 'posted', jsonb_build_object('handedTo', $5::text))
), moved_lot as (
  update lot l set on_hand = l.on_hand + t.quantity, exhausted = l.on_hand + t.quantity = 0, last_moved_on = greatest(l.last_moved_on, $6::date)
    from unnest($9::bigint[], $10::numeric[]) as t (id, quantity)
   where l.warehouse_id = $1 and l.id = t.id
), moved_balance as (
  update balance b set on_hand = b.on_hand + t.quantity
    from unnest($8::int[], $10::numeric[]) as t (part_id, quantity)
   where b.warehouse_id = $1 and b.part_id = t.part_id and b.ownership = 'own' and b.condition = 'qualified'
  returning b.part_id, b.on_hand
)
insert into movement (warehouse_id, slip_id, line_no, lot_id, part_id, ownership, condition, quantity, occurred_on, posted_at, cost, charge, on_hand_after)
select $1, $2, t.line_no, t.lot_id, t.part_id, 'own', 'qualified', t.quantity, $6::date, $4, t.cost, 0, b.on_hand
  from unnest($7::int[], $8::int[], $9::bigint[], $10::numeric[], $11::numeric[]) as t (line_no, part_id, lot_id, quantity, cost)
  join moved_balance b using (part_id)
returning line_no as line, lot_id as lot, quantity, cost, charge, on_hand_after as "onHandAfter"`

if (import.meta.main) {
  const pool = new Pool({
    connectionString: process.env['DATABASE_URL'],
    max: Number(process.env['DATABASE_POOL_SIZE']),
    options: '-c TimeZone=UTC -c plan_cache_mode=force_generic_plan'
  })
  const app = Fastify()

  app.post<{ Body: CeilingPosting }>('/posting', async ({ body: b }) => {
    const { rows } = await pool.query({
      name: 'post',
      text: POST,
      values: [
        b.warehouseId,
        b.slipId,
        b.personId,
        b.at,
        b.handedTo,
        b.occurredOn,
        b.lines,
        b.parts,
        b.lots,
        b.quantities,
        b.costs
      ]
    })
    return { movements: rows }
  })

  app.get<{ Querystring: { warehouseId: string; part: string; today: string } }>('/stock', async ({ query }) => {
    const { rows } = await pool.query({
      name: 'stock',
      text: STOCK_OF_PART.text,
      values: [query.warehouseId, query.part, query.today]
    })
    return { items: rows, nextCursor: null }
  })

  app.get<{ Querystring: { warehouseId: string; today: string; after: string; limit: string } }>(
    '/stock-page',
    async ({ query }) => {
      const { rows } = await pool.query({
        name: 'stock-page',
        text: STOCK_PAGE.text,
        values: [query.warehouseId, query.today, query.after, '', '', null, null, query.limit]
      })
      return { items: rows, nextCursor: null }
    }
  )

  app.get('/ready', () => ({}))

  await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
  process.once('SIGTERM', () => {
    void app.close().then(() => pool.end())
  })
}
