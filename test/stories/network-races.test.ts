import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { blockStock, unblockStock } from '../../src/ledger/block.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { publish } from '../../src/platform/outbox.ts'
import { sweepBackorders } from '../../src/requests/backorders.jobs.ts'
import { expireRequestsDaily, sweepRequests } from '../../src/requests/requests.jobs.ts'
import { NEED_BY, openNetwork, type Network, type Outlet } from '../requests/network.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePart } from '../support/make.ts'
import { random } from '../support/random.ts'
import { relayed, runJob } from '../support/relay.ts'

// Many at once on few pieces: outlets ask and cancel, also a part of what they asked for, and take what replaces a part; keepers write slips,
// post and reverse them; transfers leave in parts, are cancelled, closed and called back, and arrive short or damaged; goods come in and are
// returned, a controlled part is approved, a recall begins and ends, what was kept too long expires, and all messages are handled meanwhile.
// Whatever comes first, afterwards no piece is promised twice, everything that is open is reserved, on its way, waited for or cancelled, and
// deposits, approvals and clocks say the same. `RACE_SEEDS` says how many games are played, `RACE_SEED` with which seed the first begins.

const SEEDS = Number(process.env['RACE_SEEDS'] ?? 3)
const FIRST_SEED = Number(process.env['RACE_SEED'] ?? 1)
const OUTLETS = 5

let h: Harness
let network: Network
/** The first one has a deposit, which every game pays a little into. */
const outlets: Outlet[] = []
let finance: Caller
beforeAll(async () => {
  h = await openHarness({ poolSize: 16 })
  network = await openNetwork(h)
  for (let n = 0; n < OUTLETS; n++)
    outlets.push(await network.outlet(n === OUTLETS - 1 ? network.south : network.north))
  const grants = [{ duty: 'finance-supervisor', warehouse: network.north.code } as const]
  finance = callerFor(h, await h.make.person({ grants }))
  await finance.post(`/v1/deposits/${outlets[0].code}`, { lowLimit: '1.00' })
})
afterAll(() => h.close())

interface Answer {
  status: number
  text: string
  body: any
}

/** The answer, asked again while others hold the rows; null if it was refused, as may be in a race. */
async function tried(call: () => Promise<Answer>): Promise<any> {
  for (let attempt = 1; ; attempt++) {
    const { status, text, body } = await call()
    if (status < 300) return body
    if (status === 503 && attempt < 8) continue
    if (status === 409 || status === 422 || status === 412) return null
    throw new Error(`${status}: ${text}`)
  }
}

interface Game {
  parts: MadePart[]
  below(n: number): number
  recalls: string[]
}
let lastRecall = 2_000_000

const oneOf = <Item>({ below }: Pick<Game, 'below'>, items: readonly Item[]): Item | undefined =>
  items[below(items.length)]
const ids = ({ parts }: Game): number[] => parts.map(({ id }) => id)

const acts: Record<string, (game: Game) => Promise<unknown>> = {
  request: ({ parts, below }) => {
    const outlet = outlets[below(outlets.length)]
    const isEmergency = below(4) === 0
    const lines = Array.from({ length: 1 + below(3) }, () => ({
      part: parts[below(parts.length)].number,
      quantity: String(1 + below(2))
    }))
    return tried(() =>
      outlet.clerk.post('/v1/requests', {
        warehouse: outlet.code,
        urgency: isEmergency ? 'emergency' : 'normal',
        ...(isEmergency && { carriage: 'air' }),
        needBy: NEED_BY,
        partial: below(4) > 0,
        substitutes: below(2) === 0,
        lines
      })
    )
  },
  cancel: async (game) => {
    const open = await h.sql<{ number: string; outletId: number; line: number }>(
      `select r.number, r.warehouse_id as "outletId", l.line_no as line from request r
         join request_line l on l.warehouse_id = r.warehouse_id and l.request_id = r.id
        where r.state = 'open' and l.part_id = any ($1::int[]) order by r.id, l.line_no`,
      [ids(game)]
    )
    const one = oneOf(game, open)
    const outlet = outlets.find(({ id }) => id === one?.outletId)
    if (one === undefined || outlet === undefined) return
    const lines = [{}, { lines: [{ line: one.line }] }, { lines: [{ line: one.line, quantity: '1' }] }][game.below(3)]
    await tried(() => outlet.clerk.post(`/v1/requests/${one.number}/cancellation`, { reason: 'race', ...lines }))
  },
  issue: async (game) => {
    const ready = await h.sql<{ number: string }>(
      `select distinct r.number from request_allocation a join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
        where a.state = 'ready' and a.part_id = any ($1::int[]) order by 1`,
      [ids(game)]
    )
    const one = oneOf(game, ready)
    if (one === undefined) return
    const slip = await tried(() => network.keeper.post(`/v1/requests/${one.number}/issue-slip`))
    if (slip !== null) await signedAndPosted(slip.number)
  },
  dispatch: async (game) => {
    const one = oneOf(game, await transfersIn(game, ['ordered', 'awaiting-dispatch']))
    if (one === undefined) return
    const whole = await tried(() => network.keeper.get(`/v1/transfers/${one.number}`))
    const part = { lines: [{ line: whole.lines[0].line, quantity: '1' }] }
    const slip = await tried(() =>
      network.keeper.post(`/v1/transfers/${one.number}/out-slip`, game.below(2) === 0 ? part : {})
    )
    if (slip !== null) await signedAndPosted(slip.slip.number)
  },
  receive: async (game) => {
    const one = oneOf(game, await transfersIn(game, ['in-transit']))
    if (one === undefined) return
    const transfer = await tried(() => network.keeper.get(`/v1/transfers/${one.number}`))
    const lines = (transfer?.lines ?? [])
      .filter(({ inTransit }: { inTransit: string }) => inTransit !== '0')
      .map(({ line, inTransit }: { line: number; inTransit: string }) => {
        const half = String(Number(inTransit) / 2)
        return [
          { line, quantity: '0', missing: inTransit, responsible: 'carrier' },
          { line, quantity: half, damaged: half, responsible: 'giver' },
          { line, quantity: half, missing: half, responsible: 'carrier' },
          { line, quantity: half },
          ...Array.from({ length: 5 }, () => ({ line, quantity: inTransit }))
        ][game.below(9)]
      })
    if (lines.length === 0) return
    const slip = await tried(() => network.keeper.post(`/v1/transfers/${one.number}/in-slip`, { lines }))
    if (slip !== null) await signedAndPosted(slip.slip.number)
  },
  cancelTransfer: async (game) => {
    const one = oneOf(game, await transfersIn(game, ['ordered', 'awaiting-dispatch']))
    if (one !== undefined)
      await tried(() => network.keeper.post(`/v1/transfers/${one.number}/cancellation`, { reason: 'race' }))
  },
  closeTransfer: async (game) => {
    const one = oneOf(game, await transfersIn(game, ['ordered', 'awaiting-dispatch', 'in-transit']))
    if (one !== undefined)
      await tried(() => network.keeper.post(`/v1/transfers/${one.number}/closing`, { reason: 'race' }))
  },
  callBack: async (game) => {
    const one = oneOf(game, await transfersIn(game, ['in-transit']))
    if (one === undefined) return
    const slip = await tried(() => network.keeper.post(`/v1/transfers/${one.number}/call-back`, { reason: 'race' }))
    if (slip !== null) await signedAndPosted(slip.slip.number)
  },
  findMissing: async (game) => {
    const claims = await h.sql<{ number: string; claim: number }>(
      `select distinct t.number, c.claim_no as claim
         from transfer_claim c
         join transfer t on t.warehouse_id = c.warehouse_id and t.id = c.transfer_id
         join transfer_line l on l.warehouse_id = c.warehouse_id and l.transfer_id = c.transfer_id and l.line_no = c.line_no
        where l.part_id = any ($1::int[]) order by 1, 2`,
      [ids(game)]
    )
    const one = oneOf(game, claims)
    if (one === undefined) return
    await tried(() =>
      network.controller.post(`/v1/transfers/${one.number}/claims/${one.claim}/decision`, {
        decision: 'withdrawn',
        reason: 'race'
      })
    )
  },
  reverse: async (game) => {
    const one = oneOf(game, await issuesOf(game))
    if (one === undefined) return
    const slip = await tried(() => network.keeper.post(`/v1/slips/${one.number}/reversal`, { reason: 'race' }))
    if (slip !== null) await signedAndPosted(slip.number)
  },
  return: async (game) => {
    const one = oneOf(game, await issuesOf(game))
    if (one === undefined) return
    const slip = await tried(() =>
      network.keeper.post(`/v1/warehouses/${one.warehouse}/slips`, {
        kind: 'return',
        reference: one.number,
        reason: 'race',
        lines: [{ sourceLine: one.line, part: one.part, quantity: one.quantity }]
      })
    )
    if (slip !== null) await signedAndPosted(slip.number)
  },
  approve: ({ parts, below }) =>
    tried(() =>
      network.controller.post(`/v1/parts/${parts[CONTROLLED].number}/controlled-approvals`, {
        warehouse: outlets[below(outlets.length)].code,
        quantity: String(1 + below(4)),
        reason: 'race',
        validTo: '2026-12-31'
      })
    ),
  arrive: ({ parts, below }) =>
    network.stock([network.north, network.north, network.northBranch][below(3)], parts[below(parts.length)], '1', {
      receivedOn: below(2) === 0 ? '2026-03-03' : '2026-11-19'
    }),
  confirm: async (game) => {
    const asked = await h.sql<{ number: string; outletId: number }>(
      `select number, warehouse_id as "outletId" from backorder where asked_at is not null and part_id = any ($1::int[]) order by id`,
      [ids(game)]
    )
    const one = oneOf(game, asked)
    const outlet = outlets.find(({ id }) => id === one?.outletId)
    if (one === undefined || outlet === undefined) return
    const answer = game.below(3) === 0 ? { confirmed: false, reason: 'race' } : { confirmed: true }
    await tried(() => outlet.clerk.post(`/v1/backorders/${one.number}/confirmation`, answer))
  },
  recall: async (game) => {
    const recallId = String(++lastRecall)
    const partId = game.parts[game.below(game.parts.length)].id
    const receivedTo = game.below(2) === 0 ? '2026-06-30' : null
    await again(() =>
      inTransaction(h.contextOf(systemActor), (ctx) =>
        blockStock(ctx, { recallId, recall: `RCL-${recallId}`, scopes: [{ scopeNo: 1, partId, receivedTo }] })
      )
    )
    game.recalls.push(recallId)
  },
  lift: async (game) => {
    const [recallId] = game.recalls.splice(game.below(game.recalls.length + 1), 1)
    if (recallId !== undefined) await lifted(game, recallId)
  },
  expire: async (game) => {
    await h.sql(
      `update request_allocation set expires_on = $1::date - 1
        where state in ('reserved', 'ready') and expires_on is not null and part_id = any ($2::int[]) and (request_id + line_no) % 3 = $3`,
      [h.clock.today(), ids(game), game.below(3)]
    )
    await again(() => runJob(h, expireRequestsDaily))
  },
  sweep: () => again(() => runJob(h, sweepRequests)),
  relay: () => again(() => relayed(h))
}
/** The place of the controlled part among those of a game. */
const CONTROLLED = 3
const ACTS = Object.keys(acts).flatMap((act) =>
  Array<string>(['request', 'issue', 'cancel'].includes(act) ? 3 : 1).fill(act)
)

/** A job is run again by its queue. */
async function again(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work()
      return
    } catch (error) {
      if ((error as { code?: string }).code !== '40P01' || attempt === 8) throw error
    }
  }
}

const transfersIn = ({ parts }: Game, states: string[]) =>
  h.sql<{ number: string }>(
    `select distinct t.number from transfer t join transfer_line l on l.warehouse_id = t.warehouse_id and l.transfer_id = t.id
      where t.state = any ($1) and l.part_id = any ($2::int[]) order by 1`,
    [states, parts.map(({ id }) => id)]
  )

/** Lines of slips by which goods of requests were handed out. */
const issuesOf = (game: Game) =>
  h.sql<{ number: string; warehouse: string; line: number; part: string; quantity: string }>(
    `select s.number, w.code as warehouse, l.line_no as line, p.number as part, trim_scale(-l.quantity)::text as quantity
       from slip s
       join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id and l.reservation_id is not null
       join part p on p.id = l.part_id
       join warehouse w on w.id = s.warehouse_id
      where s.state = 'posted' and s.kind <> 'reversal' and l.part_id = any ($1::int[])
        and exists (select 1 from request_allocation a where a.centre_reservation_id = l.reservation_id)
      order by 1, 3`,
    [ids(game)]
  )

/** Somebody may cancel the slip meanwhile: then it is neither signed nor posted. */
async function signedAndPosted(number: string): Promise<void> {
  for (const [duty, signer] of network.signers)
    if ((await tried(() => signer.post(`/v1/slips/${number}/signatures`, { duty, decision: 'approve' }))) === null)
      return
  await tried(() => network.keeper.post(`/v1/slips/${number}/posting`))
}

const lifted = ({ parts }: Game, recallId: string) =>
  again(() =>
    inTransaction(h.contextOf(systemActor), async (ctx) => {
      await unblockStock(ctx, { recallId })
      const of = { parts: parts.map(({ number }) => number), partIds: parts.map(({ id }) => id) }
      await publish(ctx, [
        { subject: `recall:${recallId}`, event: 'recall.lifted', payload: { recall: recallId, ...of } }
      ])
    })
  )

/** What is wrong with the promises on the parts; nothing. */
const faults = (parts: readonly MadePart[]) =>
  h.sql<{ fault: string }>(
    `select 'line covered more than once: ' || r.number || '/' || p.line_no as fault
       from request_line_position p join request r on r.warehouse_id = p.warehouse_id and r.id = p.request_id
      where p.part_id = any ($1::int[]) and p.allocated + p.issued + p.cancelled > p.quantity
      union all
     select 'open and neither reserved, on its way nor waited for: ' || r.number || '/' || p.line_no || ': ' || p.uncovered || ' uncovered, ' || coalesce(b.waiting, 0) || ' waiting'
       from request_line_position p join request r on r.warehouse_id = p.warehouse_id and r.id = p.request_id
       left join backorder b on b.warehouse_id = p.warehouse_id and b.request_id = p.request_id and b.line_no = p.line_no and b.ended_at is null
      where p.part_id = any ($1::int[]) and not p.awaiting_approval and p.uncovered <> coalesce(b.waiting, 0)
      union all
     select 'allocation without its reservation: ' || r.number || '/' || a.line_no || '.' || a.allocation_no || ' ' || a.state || ': ' || (a.quantity - a.issued) || ' allocated, '
            || coalesce((v.quantity - v.consumed)::text, 'nothing') || ' reserved'
       from request_allocation a
       join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
       left join reservation v on v.warehouse_id = case when a.centre_reservation_id is null then a.from_warehouse_id else r.centre_id end
                              and v.id = coalesce(a.centre_reservation_id, a.reservation_id) and v.released_at is null
      where a.part_id = any ($1::int[]) and a.state in ('reserved', 'ready') and coalesce(v.quantity - v.consumed, 0) <> a.quantity - a.issued
      union all
     select 'on its way by a transfer that is over: ' || r.number || '/' || a.line_no || '.' || a.allocation_no || ' ' || t.number || ' ' || t.state
       from request_allocation a
       join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
       join transfer t on t.warehouse_id = a.from_warehouse_id and t.id = a.transfer_id
      where a.part_id = any ($1::int[]) and a.state = 'on-its-way' and t.state not in ('ordered', 'awaiting-dispatch', 'in-transit')
      union all
     select 'promised to nobody, or twice: reservation ' || v.id || ' for ' || v.reserved_for || ', allocations ' || count(a.request_id)
       from reservation v
       left join request_allocation a on a.state in ('reserved', 'ready', 'on-its-way')
                                     and (a.centre_reservation_id = v.id or (a.centre_reservation_id is null and a.from_warehouse_id = v.warehouse_id and a.reservation_id = v.id))
      where v.part_id = any ($1::int[]) and v.released_at is null and v.quantity > v.consumed and v.reserved_for like '%-REQ-%'
        -- What was not sent of a transfer of which some has left is promised to the transfer, until its keeper sends or closes it.
        and not exists (select 1 from transfer_line l join transfer t on t.warehouse_id = l.warehouse_id and t.id = l.transfer_id
                         where l.warehouse_id = v.warehouse_id and l.reservation_id = v.id and t.state not in ('received', 'called-back', 'cancelled') and t.rest_closed_at is null
                           and exists (select 1 from transfer_line_position p where p.warehouse_id = t.warehouse_id and p.transfer_id = t.id and p.sent > 0)
                           and not exists (select 1 from request_allocation x where x.from_warehouse_id = l.warehouse_id and x.transfer_id = l.transfer_id and x.reservation_id = v.id
                                              and x.state <> 'ended'))
      group by v.warehouse_id, v.id, v.reserved_for having count(a.request_id) <> 1
      union all
     select 'a request that is over keeps goods: ' || r.number || '/' || a.line_no || '.' || a.allocation_no || ' ' || a.state
       from request_allocation a join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
      where a.part_id = any ($1::int[]) and r.state <> 'open' and a.state in ('reserved', 'ready', 'on-its-way')
      union all
     select 'a request that is ' || r.state || ' has ' || s.open || ' open: ' || r.number
       from request r
       join (select warehouse_id, request_id, sum(greatest(0, quantity - cancelled - issued)) as open from request_line_position
              group by 1, 2 having bool_or(part_id = any ($1::int[]))) s on s.warehouse_id = r.warehouse_id and s.request_id = r.id
      where (r.state = 'open') <> (s.open > 0)
      union all
     select 'an allocation stands for less than nothing, or for more than was issued: ' || r.number || '/' || a.line_no || '.' || a.allocation_no || ' ' || a.state
       from request_allocation a join request r on r.warehouse_id = a.warehouse_id and r.id = a.request_id
      where a.part_id = any ($1::int[]) and (a.quantity <= 0 or a.issued < 0 or a.issued > a.quantity or (a.state = 'issued') <> (a.issued = a.quantity))
      union all
     select 'the deposit holds ' || coalesce(o.amount, 0) || ' for what is worth ' || coalesce(v.value, 0) || ': ' || r.number
       from request r
       join deposit_account d on d.warehouse_id = r.warehouse_id
       join (select warehouse_id, request_id, coalesce(sum(round((quantity - cancelled - issued) * unit_price, 2)) filter (where quantity > cancelled + issued), 0) as value
               from request_line_position group by 1, 2 having bool_or(part_id = any ($1::int[]))) v on v.warehouse_id = r.warehouse_id and v.request_id = r.id
       left join deposit_hold o on o.warehouse_id = r.warehouse_id and o.reference = r.number
      where coalesce(o.amount, 0) <> v.value
      union all
     select 'the account says other sums than its entries and holds'
       from deposit_account d
      where d.held <> (select coalesce(sum(amount), 0) from deposit_hold o where o.warehouse_id = d.warehouse_id)
         or d.balance <> (select coalesce(sum(amount), 0) from deposit_entry e where e.warehouse_id = d.warehouse_id)
      union all
     select 'an approval is drawn on for ' || c.used || ' by lines of ' || coalesce(l.quantity, 0)
       from controlled_approval c
       left join (select approval_id, sum(quantity - cancelled) as quantity from request_line group by 1) l on l.approval_id = c.id
      where c.part_id = any ($1::int[]) and c.used <> coalesce(l.quantity, 0)
      union all
     select 'a clock goes on without goods to come: ' || r.number || '/' || c.line_no || ' ' || c.piece
       from request_clock c
       join request r on r.warehouse_id = c.warehouse_id and r.id = c.request_id
       join request_line_position p on p.warehouse_id = c.warehouse_id and p.request_id = c.request_id and p.line_no = c.line_no
      where p.part_id = any ($1::int[]) and c.ended_at is null and p.quantity <= p.cancelled + p.issued
      union all
     select 'goods to come without a clock: ' || r.number || '/' || p.line_no
       from request_line_position p
       join request r on r.warehouse_id = p.warehouse_id and r.id = p.request_id
      where p.part_id = any ($1::int[]) and not p.awaiting_approval and p.quantity > p.cancelled + p.issued
        and not exists (select 1 from request_clock c where c.warehouse_id = p.warehouse_id and c.request_id = p.request_id and c.line_no = p.line_no and c.ended_at is null)`,
    [parts.map(({ id }) => id)]
  )

test.for(Array.from({ length: SEEDS }, (_, n) => FIRST_SEED + n))(
  'allocators, cancels, posts, recalls and expiries at once promise no piece twice and lose none, seed %i (R-STK-4, R-REQ-1, R-REQ-4, R-REQ-7)',
  { timeout: 180_000 },
  async (seed) => {
    const below = random(seed)
    const made = { standardCost: '10.00' }
    const [first, second, third] = [await h.make.part(made), await h.make.part(made), await h.make.part(made)]
    const controlled = await h.make.part({ ...made, controlled: true })
    const game: Game = { parts: [first, second, third, controlled], below, recalls: [] }
    // Two of the third stand for one of the first, and one of it for two of the second.
    await h.sql(
      `insert into supersession (part_id, successor_id, factor, both_ways, valid_from)
       values ($1, $3, 2, false, '2026-01-01'), ($2, $3, 0.5, false, '2026-01-01')`,
      [first.id, second.id, third.id]
    )
    await finance.post(`/v1/deposits/${outlets[0].code}/increases`, { amount: '60.00', paper: `BANK-${seed}` })
    await network.stock(network.north, third, '1')
    await network.stock(network.headOffice, third, '3', { receivedOn: '2026-02-11' })
    await network.stock(network.north, controlled, '2')
    await network.stock(network.north, first, '2')
    await network.stock(network.north, second, '2', { receivedOn: '2026-02-11' })
    await network.stock(network.northBranch, first, '2', { receivedOn: '2026-02-11' })
    await network.stock(network.southBranch, first, '1', { receivedOn: '2026-03-11' })
    await network.stock(network.headOffice, second, '1')
    const played: string[] = []
    for (let phase = 0; phase < 3; phase++) {
      const chosen = Array.from({ length: 16 }, () =>
        phase === 0 && below(2) === 0 ? 'request' : ACTS[below(ACTS.length)]
      )
      played.push(chosen.join(' '))
      await Promise.all([...chosen, 'relay', 'relay'].map((act) => acts[act](game)))
    }
    for (const recallId of game.recalls) await lifted(game, recallId)
    await relayed(h)

    expect({ played, faults: await faults(game.parts) }).toEqual({ played, faults: [] })
    // No message was lost: the sweeps find everything in step.
    expect(await runJob(h, sweepRequests)).toEqual({ changed: 0 })
    await runJob(h, sweepBackorders)
    await relayed(h)
    expect(await faults(game.parts)).toEqual([])
    await network.verify()
  }
)

test(
  '200 requests for the last piece: one gets it, the others wait in the order in which they came (R-STK-4, R-REQ-1)',
  { timeout: 180_000 },
  async () => {
    const part = await h.make.part()
    await network.stock(network.north, part, '1')
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const outlet = outlets[n % (OUTLETS - 1)]
        return tried(() =>
          outlet.clerk.post('/v1/requests', {
            warehouse: outlet.code,
            urgency: 'normal',
            needBy: NEED_BY,
            lines: [{ part: part.number, quantity: '1' }]
          })
        )
      })
    )
    const lines = answers.map(({ lines: [line] }) => line)
    expect(lines.filter(({ state }) => state === 'ready')).toHaveLength(1)
    expect(lines.filter(({ state, backordered }) => state === 'backordered' && backordered === '1')).toHaveLength(199)
    expect(await network.held(network.north, part)).toEqual({ onHand: '1', available: '0' })
    expect(await faults([part])).toEqual([])
    await network.verify()
  }
)

test('a request that names the same part twice shares what is there between its lines', async () => {
  const part = await h.make.part()
  await network.stock(network.north, part, '3')
  const { lines } = await outlets[0].requested([
    [part, '2'],
    [part, '2']
  ])
  expect(lines).toMatchObject([
    { line: 1, allocated: '2', backordered: '0' },
    { line: 2, allocated: '1', backordered: '1' }
  ])
  expect(await faults([part])).toEqual([])
  await network.verify()
})

test(
  'a cancellation and the posting of the slip at the same moment: one of them wins, and nothing is both issued and given back',
  { timeout: 120_000 },
  async () => {
    const part = await h.make.part()
    await network.stock(network.north, part, '12')
    const outcomes = new Set<string>()
    for (let round = 0; round < 6; round++) {
      const { number } = await outlets[0].requested([[part, '2']])
      const slip = await tried(() => network.keeper.post(`/v1/requests/${number}/issue-slip`))
      await network.sign(slip.number)
      const [posted, cancelled] = await Promise.all([
        tried(() => network.keeper.post(`/v1/slips/${slip.number}/posting`)),
        tried(() => outlets[0].clerk.post(`/v1/requests/${number}/cancellation`, { reason: 'race' }))
      ])
      await relayed(h)
      const { lines } = await outlets[0].read(number)
      expect(lines).toMatchObject([posted === null ? { issued: '0', cancelled: '2' } : { issued: '2', cancelled: '0' }])
      expect([posted, cancelled].filter((answer) => answer !== null)).toHaveLength(1)
      outcomes.add(posted === null ? 'cancelled' : 'posted')
    }
    expect(outcomes.size).toBeGreaterThan(0)
    expect(await faults([part])).toEqual([])
    await network.verify()
  }
)
