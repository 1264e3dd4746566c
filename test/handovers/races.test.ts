import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSlip } from '../../src/slips/create-slip.ts'
import { postSlip } from '../../src/slips/post-slip.ts'
import { recordCounts } from '../../src/counts/record-counts.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { LOAN } from '../loaners/loaners-counter.ts'
import { must, openHandingOver, type HandingOver } from './handing-over.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness({ poolSize: 16 })
  h.clock.set('2026-11-20T10:00')
})
afterAll(() => h.close())

const LOCK_CLASS = 7305027

/** A handover that only the finance supervisor has not signed yet. */
async function almost(at: HandingOver): Promise<string> {
  const { number } = await at.drawUp()
  await at.submit(number)
  await at.signAll(number, ['outgoing-keeper', 'incoming-keeper', 'department-head'])
  return number
}

async function approvedSlips(at: HandingOver, part: string, count: number): Promise<string[]> {
  const numbers: string[] = []
  for (let n = 0; n < count; n++) {
    const { number } = await at.slip({ kind: 'issue', lines: [{ part, quantity: '1' }] })
    await at.sign(number)
    numbers.push(number)
  }
  return numbers
}

/** Holds what a write under way in the warehouse holds. */
async function writeUnderWay(warehouseId: number): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: h.databaseUrl })
  await client.connect()
  await client.query('begin')
  await client.query('select pg_advisory_xact_lock_shared($1, $2)', [LOCK_CLASS, warehouseId])
  return async () => {
    await client.query('commit')
    await client.end()
  }
}

const waiting = async (count: number, lockClass = LOCK_CLASS) => {
  for (let look = 0; look < 200; look++) {
    const [{ n }] = await h.sql<{ n: number }>(
      `select count(*)::int as n from pg_locks where locktype = 'advisory' and classid = $1 and not granted
          and database = (select oid from pg_database where datname = current_database())`,
      [lockClass]
    )
    if (n >= count) return
    await sleep(10)
  }
  throw new Error(`${count} were to wait`)
}

test('a posting by the outgoing keeper lies before the cut-off or is refused, however many race with the last signature (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  const part = await at.stocked({ quantity: '20' })
  const slips = await approvedSlips(at, part.number, 8)
  const number = await almost(at)

  const [signed, ...posted] = await Promise.all([
    at.signAs('finance-supervisor', number),
    ...slips.map((slip) => at.keeper.post(`/v1/slips/${slip}/posting`, { handedTo: '张三' }))
  ])

  const { cutOff } = must(signed, 200)
  const later = await h.sql(
    'select m.id from movement m join slip s on s.warehouse_id = m.warehouse_id and s.id = m.slip_id where m.warehouse_id = $1 and s.posted_by = $2 and m.id > $3',
    [at.warehouseId, at.keeper.person.id, cutOff.position]
  )
  expect(later).toEqual([])
  for (const answer of posted) expect(['200', '403 DutyHandedOver', '404 NotFound']).toContain(outcome(answer))
  // What was refused is posted by the incoming keeper.
  for (const [index, answer] of posted.entries())
    if (answer.status !== 200)
      must(await at.incoming.post(`/v1/slips/${slips[index]}/posting`, { handedTo: '张三' }), 200)
  expect(await at.incoming.get(`/v1/warehouses/${at.warehouse}/stock`)).toMatchObject({
    body: { items: [{ onHand: '12' }] }
  })
  expect((await at.incoming.get(`/v1/ledger/verification?warehouse=${at.warehouse}`)).body).toMatchObject({ ok: true })
})

test('of units that are lent while the keeper hands over, each is lent before the cut-off or not at all, and the incoming keeper goes on (R-ORG-3, R-LOAN-1)', async () => {
  const at = await openHandingOver(h)
  const { number: model } = await h.make.part({ standardCost: '1000.0000' })
  await h.sql(`update part set loaner_family = 'F' where number = $1`, [model])
  const serials = Array.from({ length: 8 }, (_, n) => `HV-${process.pid}-${n}`)
  const units = serials.map((serial) => ({ serial, model }))
  const { slip } = must(await at.keeper.post(`/v1/warehouses/${at.warehouse}/loaners`, { kind: 'opening', units }), 201)
  await at.sign(slip)
  must(await at.keeper.post(`/v1/slips/${slip}/posting`), 200)
  const number = await almost(at)

  const lend = (by: Caller, serial: string) =>
    by.post(`/v1/loaners/${serial}/loans`, { ...LOAN, repairOrder: `RO-${serial}`, receiptNumber: `JT-${serial}` })
  const half = serials.length / 2
  const [before, signed, after] = await Promise.all([
    Promise.all(serials.slice(0, half).map((serial) => lend(at.keeper, serial))),
    at.signAs('finance-supervisor', number),
    Promise.all(serials.slice(half).map((serial) => lend(at.keeper, serial)))
  ])

  must(signed, 200)
  for (const [index, answer] of [...before, ...after].entries()) {
    const serial = serials[index] ?? ''
    expect(['201', '403 DutyHandedOver', '404 NotFound']).toContain(
      answer.status === 201 ? '201' : `${answer.status} ${answer.body.code}`
    )
    const unit = (await at.incoming.get(`/v1/loaners/${serial}`)).body
    expect(unit.state).toBe(answer.status === 201 ? 'being-lent' : 'available')
    const loan = answer.status === 201 ? answer.body : must(await lend(at.incoming, serial), 201)
    const { username } = (answer.status === 201 ? at.keeper : at.incoming).person
    expect(loan.drawnUpBy).toBe(username)
    await at.sign(loan.outSlip)
    must(await at.incoming.post(`/v1/slips/${loan.outSlip}/posting`), 200)
    expect((await at.incoming.get(`/v1/loaners/${serial}`)).body.state).toBe('out')
  }
  expect((await at.incoming.get(`/v1/ledger/verification?warehouse=${at.warehouse}`)).body).toMatchObject({ ok: true })
})

test('goods that come in for the first time while the snapshot is taken are in it, or moved after it (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  await at.stocked()
  const fresh = await h.make.part()
  const { number: receipt } = await at.slip({
    kind: 'receipt',
    lines: [{ part: fresh.number, quantity: '7', unitCost: '1.00' }]
  })
  await at.sign(receipt)
  // The posting is held up when everything is written and nothing committed.
  await h.sql(`
    create function hold_up() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(1, 1); return null; end $$;
    create constraint trigger held_up after insert on movement deferrable initially deferred for each row execute function hold_up()`)
  const client = new Client({ connectionString: h.databaseUrl })
  await client.connect()
  await client.query('select pg_advisory_lock(1, 1)')
  const posting = at.keeper.post(`/v1/slips/${receipt}/posting`, { deliveredBy: '张三' }).then((answer) => answer)
  await waiting(1, 1)
  const drawing = at.drawUp().then((handover) => handover)
  await waiting(1)
  await client.end()

  must(await posting, 200)
  const { number } = await drawing
  await h.sql('drop trigger held_up on movement')
  const { items } = must(await at.keeper.get(`/v1/handovers/${number}/balances`), 200)
  expect(items.find(({ part }: { part: string }) => part === fresh.number)).toMatchObject({
    onHand: '7',
    moved: '0',
    handedOver: '7'
  })
})

test('what was frozen and what moved after it add up to the ledger at the cut-off, whatever is posted meanwhile (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  const part = await at.stocked({ quantity: '50' })
  const second = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: at.warehouse }] }))
  const slips: string[] = []
  for (let n = 0; n < 12; n++) {
    const line =
      n % 2 === 0
        ? { part: (await h.make.part()).number, quantity: '3', unitCost: '1.00' }
        : { part: part.number, quantity: '1' }
    const { number: slip } = await at.slip({ kind: n % 2 === 0 ? 'receipt' : 'issue', lines: [line] })
    await at.sign(slip)
    slips.push(slip)
  }
  const { number } = await at.drawUp()
  await at.submit(number)
  const post = (who: Caller, slip: string) =>
    who.post(`/v1/slips/${slip}/posting`, { handedTo: '张三', deliveredBy: '张三' })
  await Promise.all([
    ...slips.slice(0, 8).map((slip, n) => post(n % 2 === 0 ? second : at.keeper, slip)),
    ...[1, 2, 3].map(() => at.keeper.post(`/v1/handovers/${number}/snapshot`))
  ])
  await at.signAll(number, ['outgoing-keeper', 'incoming-keeper', 'department-head'])

  const [signed] = await Promise.all([
    at.signAs('finance-supervisor', number),
    ...slips.slice(8).map((slip) => post(second, slip))
  ])

  const { cutOff } = must(signed, 200)
  const ledger = await h.sql<{ part: string; quantity: number }>(
    `select part.number as part, sum(m.quantity)::float8 as quantity from movement m join part on part.id = m.part_id
      where m.warehouse_id = $1 and m.id <= $2 group by 1 order by 1`,
    [at.warehouseId, cutOff.position]
  )
  const { items } = must(await at.incoming.get(`/v1/handovers/${number}/balances?limit=200`), 200)
  const listed = items.map((item: { part: string; handedOver: string }) => [item.part, Number(item.handedOver)])
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(ledger.map((row) => [row.part, row.quantity])))
})

test('head office writes papers of four thousand warehouses at once without a lock of each; whoever was keeper takes one', async () => {
  const at = await openHandingOver(h)
  const locksOf = async (who: Caller) => {
    const client = new Client({ connectionString: h.databaseUrl })
    await client.connect()
    await client.query('begin')
    await client.query('select require_acting_keeper($1, $2, now(), false)', [at.warehouseId, who.person.id])
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int as n from pg_locks where locktype = 'advisory' and classid = $1 and pid = pg_backend_pid()`,
      [LOCK_CLASS]
    )
    await client.end()
    return rows[0]?.n
  }
  expect(await locksOf(at.controller)).toBe(0)
  expect(await locksOf(at.keeper)).toBe(1)
})

const outcome = ({ status, body }: { status: number; body: any }) => (status === 200 ? '200' : `${status} ${body.code}`)

test('the last signature waits for what is under way; a write that waited behind it is refused (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  const part = await at.stocked()
  const [slip] = await approvedSlips(at, part.number, 1)
  const number = await almost(at)
  const underWay = await writeUnderWay(at.warehouseId)

  const signing = at.signAs('finance-supervisor', number)
  await waiting(1)
  const posting = at.keeper.post(`/v1/slips/${slip}/posting`, { handedTo: '张三' })
  const drafting = at.keeper.post(`/v1/warehouses/${at.warehouse}/slips`, {
    kind: 'issue',
    lines: [{ part: part.number, quantity: '1' }]
  })
  await waiting(3)
  await underWay()

  expect(must(await signing, 200).state).toBe('completed')
  const refused = await posting
  expect(outcome(refused)).toBe('403 DutyHandedOver')
  expect(refused.body.detail).toBe(
    `you are no longer keeper of ${at.warehouse}: it was handed over by ${number} at 2026-11-20T02:00:00Z; the incoming keeper goes on`
  )
  expect(outcome(await drafting)).toBe('403 DutyHandedOver')
  expect(await h.sql('select state from slip where number = $1', [slip])).toEqual([{ state: 'approved' }])
})

test('a process that still believes in the old duty, and a deputy of the outgoing keeper, are refused by the database (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  const part = await at.stocked()
  const [slip] = await approvedSlips(at, part.number, 1)
  const opened = await at.open({ kind: 'cycle', parts: [part.number] })
  const deputy = callerFor(h, await h.make.person())
  must(
    await at.keeper.post('/v1/delegations', {
      to: deputy.person.username,
      duty: 'keeper',
      validTo: '2026-11-30',
      reason: '休假'
    }),
    201
  )
  const actor = async (of: Caller) => h.contextOf(of.person.actor)
  const stale = await actor(at.keeper)
  const grant = at.keeper.person.actor.grants.map((held) => ({ ...held, onBehalfOf: at.keeper.person.id }))
  const staleDeputy = h.contextOf({ ...deputy.person.actor, grants: grant })
  const draft = {
    warehouse: at.warehouse,
    kind: 'issue' as const,
    lines: [{ part: part.number, quantity: '1' }]
  }
  await at.signAs('finance-supervisor', await almost(at))

  for (const ctx of [stale, staleDeputy]) {
    await expect(postSlip(ctx, { number: slip ?? '' })).rejects.toMatchObject({ code: 'BC041' })
    await expect(createSlip(ctx, draft)).rejects.toMatchObject({ code: 'BC041' })
    await expect(
      recordCounts(ctx, { number: opened.number, entries: [{ line: 1, counted: '10', card: '10' }] })
    ).rejects.toMatchObject({ code: 'BC041' })
  }
  expect(outcome(await deputy.post(`/v1/slips/${slip}/posting`))).toBe('404 NotFound')
})

test('a new duty after the cut-off lifts it at once, and another duty there goes on (R-ORG-2)', async () => {
  const at = await openHandingOver(h)
  const part = await at.stocked()
  await h.sql(
    `insert into duty_assignment (person_id, duty, warehouse_id, valid_from, assigned_by, assigned_at) values ($1, 'technician', $2, '2020-01-01', 0, now())`,
    [at.keeper.person.id, at.warehouseId]
  )
  const opened = await at.open({ kind: 'cycle', parts: [part.number] })
  await at.handOver()
  // Counted by the incoming keeper, and again by the former one, who is technician still.
  must(
    await at.incoming.post(`/v1/counts/${opened.number}/entries`, { entries: [{ line: 1, counted: '9', card: '9' }] }),
    200
  )
  expect(
    must(
      await at.keeper.post(`/v1/counts/${opened.number}/entries`, {
        entries: [{ line: 1, counted: '10', card: '10' }]
      }),
      200
    ).results[0].outcome
  ).toBe('settled')

  const administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  must(
    await administrator.post(`/v1/people/${at.keeper.person.username}/duties`, {
      duty: 'keeper',
      warehouse: at.warehouse
    }),
    201
  )
  await at.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
})

test('of two last signatures at once each counts, and the handover takes effect once (R-ORG-3)', async () => {
  const at = await openHandingOver(h)
  await at.stocked()
  const { number } = await at.drawUp()
  await at.submit(number)
  await at.signAll(number, ['outgoing-keeper', 'incoming-keeper'])

  const answers = await Promise.all([
    at.signAs('department-head', number),
    at.signAs('finance-supervisor', number),
    at.signAs('department-head', number),
    at.signAs('finance-supervisor', number)
  ])

  expect(answers.map(outcome).toSorted()).toEqual([
    '200',
    '200',
    ...answers.map(outcome).filter((one) => one.startsWith('409'))
  ])
  const [once] = await h.sql(
    `select (select count(*)::int from document_event e where e.warehouse_id = h.warehouse_id and e.document_id = h.id and event = 'handed-over') as effects,
            (select count(*)::int from duty_assignment g where g.person_id = h.incoming_id and duty = 'keeper') as begun, state
       from handover h where number = $1`,
    [number]
  )
  expect(once).toEqual({ effects: 1, begun: 1, state: 'completed' })
})

test('a last signature and a refusal, a refresh or a cancellation at once leave one of them', async () => {
  const spoilers = {
    refusal: (at: HandingOver, number: string) =>
      at.signAs('finance-supervisor', number, { decision: 'refuse', comment: '不符' }),
    refresh: (at: HandingOver, number: string) => at.keeper.post(`/v1/handovers/${number}/snapshot`),
    cancellation: (at: HandingOver, number: string) =>
      at.signers['department-head'].post(`/v1/handovers/${number}/cancellation`, { reason: '作废' })
  }
  // Refreshed first, the signature is of the new content and is one of four.
  const spoiled = {
    refusal: ['draft', 409, 200],
    refresh: ['awaiting-signatures', 200, 200],
    cancellation: ['cancelled', 409, 200]
  }
  for (const name of ['refusal', 'refresh', 'cancellation'] as const) {
    const at = await openHandingOver(h)
    const number = await almost(at)
    const [signing, spoiling] = await Promise.all([at.signAs('finance-supervisor', number), spoilers[name](at, number)])
    const [{ state }] = await h.sql<{ state: string }>('select state from handover where number = $1', [number])
    expect([['completed', 200, 409], spoiled[name]], name).toContainEqual([state, signing.status, spoiling.status])
  }
})
