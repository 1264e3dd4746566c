import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
let slips: string

beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
  counter = await openCounter(h)
  slips = `/v1/warehouses/${counter.warehouse}/slips`
})
afterAll(() => h.close())

let keys = 0
const withKey = (key = `key-${++keys}`) => ({ 'idempotency-key': key })
const issue = (part: string, quantity = '1') => ({ kind: 'issue', reference: 'RO-1', lines: [{ part, quantity }] })
const slipsOf = async (part: string): Promise<number> =>
  (
    await h.sql<{ count: number }>(
      'select count(*)::int from slip_line join part on part.id = part_id where part.number = $1',
      [part]
    )
  )[0]?.count ?? -1
const kept = (answer: Awaited<ReturnType<Caller['post']>>) => ({
  status: answer.status,
  body: answer.body,
  headers: Object.fromEntries(['content-type', 'etag', 'location'].map((name) => [name, answer.headers[name]]))
})

test('a repeat is answered what the first was answered, status and headers too, and nothing happens a second time (R-ERR-2)', async () => {
  const { number } = await h.make.part()
  const key = withKey()
  const first = await counter.keeper.post(slips, issue(number), key)
  h.clock.advance({ minutes: 5 })
  const repeat = await counter.keeper.post(slips, issue(number), key)

  expect(first).toMatchObject({ status: 201, headers: { etag: '"1"', location: `/v1/slips/${first.body.number}` } })
  expect(kept(repeat)).toEqual(kept(first))
  expect([first.headers['idempotent-replayed'], repeat.headers['idempotent-replayed']]).toEqual([undefined, 'true'])
  expect(await slipsOf(number)).toBe(1)
})

test('goods leave once, however often the posting is sent', async () => {
  const { number } = await counter.stocked({ quantity: '10' })
  const slip = await counter.slip(issue(number, '3'))
  await counter.sign(slip.number)
  const key = withKey()
  const answers: Awaited<ReturnType<Caller['post']>>[] = []
  for (let time = 0; time < 3; time++)
    answers.push(await counter.keeper.post(`/v1/slips/${slip.number}/posting`, { handedTo: '王师傅' }, key))
  expect(answers.map(kept)).toEqual(answers.map((_, __, [first]) => first && kept(first)))
  expect(await counter.onHand(number)).toBe('7')
})

test('of identical requests that race one takes effect and all are answered alike', async () => {
  const { number } = await h.make.part()
  const key = withKey()
  const answers = await Promise.all(Array.from({ length: 10 }, () => counter.keeper.post(slips, issue(number), key)))
  expect(new Set(answers.map((answer) => JSON.stringify(kept(answer)))).size).toBe(1)
  expect(answers[0]?.status).toBe(201)
  expect(answers.filter(({ headers }) => headers['idempotent-replayed'] === undefined)).toHaveLength(1)
  expect(await slipsOf(number)).toBe(1)
})

describe('a key is of one request', () => {
  test('another body is refused and the first answer stays', async () => {
    const { number } = await h.make.part()
    const key = withKey()
    const first = await counter.keeper.post(slips, issue(number), key)
    expect(await counter.keeper.post(slips, issue(number, '2'), key)).toMatchObject({
      status: 422,
      body: { code: 'IdempotencyKeyReused' }
    })
    expect(kept(await counter.keeper.post(slips, issue(number), key))).toEqual(kept(first))
  })

  test('another operation is refused', async () => {
    const { number } = await h.make.part()
    const key = withKey()
    const { body } = await counter.keeper.post(slips, issue(number), key)
    expect(await counter.keeper.post(`/v1/slips/${body.number}/cancellation`, { reason: 'x' }, key)).toMatchObject({
      status: 422,
      body: { code: 'IdempotencyKeyReused' }
    })
    expect((await counter.keeper.get(`/v1/slips/${body.number}`)).body.state).toBe('awaiting-signatures')
  })

  test('the same content with its members in another order is the same request', async () => {
    const { number } = await h.make.part()
    const key = withKey()
    const first = await counter.keeper.post(slips, { kind: 'issue', lines: [{ part: number, quantity: '1' }] }, key)
    const turned = await counter.keeper.post(slips, { lines: [{ quantity: '1', part: number }], kind: 'issue' }, key)
    expect(kept(turned)).toEqual(kept(first))
  })

  test('of two different requests that race under one key, one is refused', async () => {
    const { number } = await h.make.part()
    const key = withKey()
    const answers = await Promise.all([
      counter.keeper.post(slips, issue(number, '1'), key),
      counter.keeper.post(slips, issue(number, '2'), key)
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 422])
    expect(await slipsOf(number)).toBe(1)
  })

  test('two people, and a person and their machine, have keys of their own', async () => {
    const { number } = await h.make.part()
    const key = withKey()
    const colleague = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: counter.warehouse }] }))
    const { body: machine } = await counter.keeper.post('/v1/api-keys', {
      name: 'bridge',
      access: 'write',
      expiresOn: '2027-01-01'
    })
    const byMachine = () =>
      h.api
        .post(slips)
        .set({ 'x-api-key': machine.key, ...key })
        .send(issue(number))
    const numbers = [
      (await counter.keeper.post(slips, issue(number), key)).body.number,
      (await colleague.post(slips, issue(number), key)).body.number,
      (await byMachine()).body.number
    ]
    expect(new Set(numbers).size).toBe(3)
    expect((await byMachine()).body.number).toBe(numbers[2])
    expect(await slipsOf(number)).toBe(3)
  })
})

test('a key is kept for 24 hours and then free', async () => {
  const { number } = await h.make.part()
  const key = withKey()
  const first = await counter.keeper.post(slips, issue(number), key)
  h.clock.advance({ hours: 24 })
  expect((await counter.keeper.post(slips, issue(number), key)).body.number).toBe(first.body.number)
  h.clock.advance({ seconds: 1 })
  const anew = await counter.keeper.post(slips, issue(number, '2'), key)
  expect(anew).toMatchObject({ status: 201, body: { lines: [{ quantity: '2' }] } })
  expect(anew.headers['idempotent-replayed']).toBeUndefined()
  // From now on the key is that of the new request.
  expect((await counter.keeper.post(slips, issue(number, '2'), key)).body.number).toBe(anew.body.number)
  expect(await slipsOf(number)).toBe(2)
})

describe('refusals', () => {
  test('are answered again as they were, also when the reason has gone', async () => {
    const { number } = await h.make.part()
    const slip = await counter.slip(issue(number, '3'))
    await counter.sign(slip.number)
    const key = withKey()
    const posting = (headers: Record<string, string>) =>
      counter.keeper.post(`/v1/slips/${slip.number}/posting`, {}, headers)
    const refused = await posting(key)
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'InsufficientStock' },
      headers: { 'content-type': 'application/problem+json; charset=utf-8' }
    })

    await counter.posted({ kind: 'receipt', lines: [{ part: number, quantity: '3', unitCost: '1' }] })
    expect(kept(await posting(key))).toEqual(kept(refused))
    expect((await posting(withKey())).status).toBe(200)
  })

  test('that race are one refusal', async () => {
    const key = withKey()
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => counter.keeper.post(slips, issue('NO-SUCH'), key))
    )
    expect(new Set(answers.map((answer) => JSON.stringify(kept(answer))))).toEqual(
      new Set([JSON.stringify(answers.map(kept)[0])])
    )
    expect(answers[0]).toMatchObject({ status: 422, body: { code: 'PartUnknown' } })
  })

  test('of the shape or of the credentials use no key up', async () => {
    const { number } = await h.make.part()
    const key = withKey()
    expect(
      (await counter.keeper.post(slips, { kind: 'issue', lines: [{ part: number, quantity: 1 }] }, key)).status
    ).toBe(400)
    expect((await h.api.post(slips).set(key).send(issue(number))).status).toBe(401)
    expect((await counter.keeper.post(slips, issue(number), key)).status).toBe(201)
  })
})

test('the effect and its key are one: where the answer cannot be kept nothing has happened, and the key is free', async () => {
  const { number } = await h.make.part()
  const key = withKey()
  await h.sql(`create function fail() returns trigger language plpgsql as $$ begin raise 'the disk is full'; end $$`)
  await h.sql('create trigger fail before update on idempotency_key for each row execute function fail()')
  expect((await counter.keeper.post(slips, issue(number), key)).status).toBe(500)
  await h.sql('drop function fail() cascade')
  expect(await slipsOf(number)).toBe(0)
  expect((await counter.keeper.post(slips, issue(number), key)).status).toBe(201)
  expect(await slipsOf(number)).toBe(1)
})

test('a secret is shown once and never stored', async () => {
  const key = withKey()
  const body = { name: 'till', expiresOn: '2027-01-01' }
  const first = await counter.keeper.post('/v1/api-keys', body, key)
  expect(first.status).toBe(201)
  expect(await counter.keeper.post('/v1/api-keys', body, key)).toMatchObject({
    status: 409,
    body: { code: 'SecretShownOnce' }
  })
  const secret = String(first.body.key).slice('bck_000000000000_'.length)
  expect(secret.length).toBeGreaterThan(20)
  const rows = await h.sql<{ row: string }>('select t::text as row from idempotency_key t')
  expect(rows.filter(({ row }) => row.includes(secret))).toEqual([])
  expect(
    (await counter.keeper.get('/v1/api-keys')).body.items.filter(({ name }: { name: string }) => name === 'till')
  ).toHaveLength(1)
})

test('signing many under one key: a slip that another signs at the same moment spoils none of the others', async () => {
  const { number } = await h.make.part()
  const colleague = callerFor(
    h,
    await h.make.person({ grants: [{ duty: 'department-head', warehouse: counter.warehouse }] })
  )
  const numbers: string[] = []
  for (let slip = 0; slip < 12; slip++) numbers.push((await counter.slip(issue(number))).number)
  const decision = { duty: 'department-head', decision: 'approve' }
  const [one, other] = await Promise.all([
    counter.signers['department-head'].post('/v1/slip-signatures', { ...decision, slips: numbers }, withKey()),
    colleague.post('/v1/slip-signatures', { ...decision, slips: numbers.toReversed() }, withKey())
  ])
  expect([one.status, other.status]).toEqual([200, 200])
  expect([one.body.signed, other.body.signed].sort()).toEqual([0, 12])
  expect(other.body.results.map((result: { number: string }) => result.number)).toEqual(numbers.toReversed())
})

test('a key of nothing or of more than 200 characters is refused', async () => {
  const { number } = await h.make.part()
  for (const key of [' ', 'x'.repeat(201)]) {
    expect(await counter.keeper.post(slips, issue(number), withKey(key))).toMatchObject({
      status: 400,
      body: { code: 'IdempotencyKeyInvalid' }
    })
  }
})
