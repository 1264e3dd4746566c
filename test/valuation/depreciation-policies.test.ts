import fc from 'fast-check'
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DUTIES } from '../../src/identity/actor.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let finance: Caller
beforeAll(async () => {
  h = await openHarness()
  finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
})
afterAll(() => h.close())
// The clock stands in November 2026.
beforeEach(async () => {
  h.clock.set(DEFAULT_TIME)
  await h.sql(`delete from depreciation_policy where effective_from > '0001-01-01'`)
  await h.sql(`update depreciation_policy set effective_until = null`)
})

const set = (effectiveFrom: string, of: object = {}) =>
  finance.post('/v1/depreciation-policies', { effectiveFrom, graceMonths: 3, rate: '0.05', chargeCount: 20, ...of })
const withdraw = (effectiveFrom: string) =>
  finance.post(`/v1/depreciation-policies/${effectiveFrom}/withdrawal`, { reason: '方案未批准' })
const list = async () => (await finance.get('/v1/depreciation-policies')).body.items
/** ρ of a lot aged from a month up to another, as month indexes. */
const rho = async (aged: string, until: string): Promise<string> =>
  (
    await h.sql<{ rate: string }>(
      `select trim_scale(depreciation_rate(month_index($1::date), month_index($2::date)))::text as rate`,
      [`${aged}-01`, `${until}-01`]
    )
  )[0]?.rate ?? ''

const EVER = { effectiveFrom: '0001-01', graceMonths: 3, rate: '0.08', chargeCount: 12 }

describe('a depreciation policy', () => {
  test('is three months of grace and 8 % twelve times, as long as nobody sets another (R-AGE-1, R-AGE-2)', async () => {
    expect(await list()).toEqual([{ ...EVER, effectiveUntil: null, state: 'in-force' }])
    expect([await rho('2026-01', '2026-03'), await rho('2026-01', '2026-04'), await rho('2026-01', '2030-01')]).toEqual(
      ['0', '0.08', '0.96']
    )
  })

  test('holds from its month on and ends the one before it', async () => {
    const { status, body } = await set('2027-01')
    expect([status, body]).toEqual([
      201,
      {
        effectiveFrom: '2027-01',
        effectiveUntil: null,
        graceMonths: 3,
        rate: '0.05',
        chargeCount: 20,
        state: 'scheduled'
      }
    ])
    expect(await list()).toEqual([{ ...EVER, effectiveUntil: '2026-12', state: 'in-force' }, body])
    // Eight months at 8 % up to December, then 5 %.
    expect([await rho('2026-02', '2026-12'), await rho('2026-02', '2027-02')]).toEqual(['0.64', '0.74'])

    h.clock.set('2027-01-01T10:00')
    expect((await list()).map(({ state }: { state: string }) => state)).toEqual(['past', 'in-force'])
  })

  test('may begin in the current month, of which nothing is charged yet', async () => {
    expect((await set('2026-11')).body).toMatchObject({ effectiveFrom: '2026-11', state: 'in-force' })
    expect(await rho('2026-01', '2026-10')).toBe('0.56')
  })

  test('is noted with who set and who withdrew it', async () => {
    await set('2027-01')
    await withdraw('2027-01')
    const events = await h.sql(
      `select action, person_id as "personId", details from audit_event where subject = 'depreciation-policy:2027-01' order by at, id desc limit 2`
    )
    expect(events).toMatchObject([
      { personId: finance.person.id, details: expect.objectContaining({ rate: '0.05', chargeCount: 20 }) },
      { personId: finance.person.id, details: expect.objectContaining({ rate: '0.05' }) }
    ])
  })
})

describe('a policy that has not begun', () => {
  test('may be withdrawn; then it is as if it had never been', async () => {
    await set('2027-01')
    await set('2027-06', { rate: '0.1', chargeCount: 9 })

    expect((await withdraw('2027-01')).body).toEqual({ ...EVER, effectiveUntil: '2027-05', state: 'in-force' })
    expect((await list()).map(({ effectiveFrom }: { effectiveFrom: string }) => effectiveFrom)).toEqual([
      '0001-01',
      '2027-06'
    ])
    expect((await withdraw('2027-06')).body).toEqual({ ...EVER, effectiveUntil: null, state: 'in-force' })
    expect(await rho('2026-11', '2030-01')).toBe('0.96')
  })

  test('is withdrawn once, and never when it has begun', async () => {
    await set('2027-01')
    const outcomes = await Promise.all([withdraw('2027-01'), withdraw('2027-01'), withdraw('2027-01')])
    expect(outcomes.map(({ status }) => status).sort()).toEqual([200, 404, 404])

    await set('2026-11')
    expect((await withdraw('2026-11')).body).toMatchObject({ status: 409, code: 'PolicyInForce' })
    expect((await withdraw('0001-01')).body).toMatchObject({ status: 409, code: 'PolicyInForce' })
    expect((await withdraw('2029-01')).body).toMatchObject({ status: 404, code: 'NotFound' })
  })
})

describe('refused is', () => {
  test('a month that is over', async () => {
    expect((await set('2026-10')).body).toMatchObject({
      status: 422,
      code: 'PolicyInThePast',
      errors: [{ pointer: '/effectiveFrom', sent: '2026-10', accepted: '2026-11 or later' }]
    })
  })

  test('a month in the time of a policy that is set', async () => {
    await set('2027-03')
    for (const month of ['2027-03', '2027-01', '2026-11'])
      expect((await set(month)).body).toMatchObject({ status: 409, code: 'PolicyOverlaps' })
    await set('2027-04')
    expect(await list()).toHaveLength(3)
  })

  test.for([
    [{ rate: '1.01', chargeCount: 0 }, '/rate'],
    [{ rate: '1.0001', chargeCount: 1 }, '/rate'],
    [{ rate: '12', chargeCount: 1 }, '/rate'],
    [{ rate: '0.0801', chargeCount: 13 }, '/chargeCount'],
    [{ rate: '0.5', chargeCount: 3 }, '/chargeCount'],
    [{ rate: '1', chargeCount: 2 }, '/chargeCount']
  ] as const)('more than the cost: %o', async ([of, pointer]) => {
    expect((await set('2027-01', of)).body).toMatchObject({ status: 422, code: 'RateAboveCost', errors: [{ pointer }] })
    expect(await list()).toHaveLength(1)
  })

  test.for([
    { effectiveFrom: '2027-13' },
    { effectiveFrom: '2027-01-15' },
    { effectiveFrom: '0000-01' },
    { rate: '-0.08' },
    { rate: '0.08001' },
    { rate: '8%' },
    { rate: 0.08 },
    { graceMonths: 61 },
    { graceMonths: -1 },
    { graceMonths: 2.5 },
    { chargeCount: 241 },
    { until: '2028-01' }
  ])('what is no policy: %o', async (of) => {
    expect((await set('2027-01', of)).status).toBe(400)
  })

  test('whatever is not charged more than the cost is accepted', async () => {
    for (const [index, of] of [
      { rate: '1', chargeCount: 1 },
      { rate: '0', chargeCount: 240 },
      { rate: '0.0000', chargeCount: 0 },
      { rate: '0.3333', chargeCount: 3 },
      { graceMonths: 60 }
    ].entries())
      expect((await set(`2027-0${index + 1}`, of)).status).toBe(201)
  })

  test('everybody but the finance of the head office', async () => {
    const body = { effectiveFrom: '2027-01', graceMonths: 3, rate: '0.05', chargeCount: 20 }
    const { code } = await h.make.warehouse()
    for (const grant of [
      ...DUTIES.filter((duty) => duty !== 'hq-finance').map((duty) => ({ duty })),
      { duty: 'hq-finance' as const, warehouse: code }
    ]) {
      const caller = callerFor(h, await h.make.person({ grants: [grant] }))
      expect((await caller.post('/v1/depreciation-policies', body)).body).toMatchObject({
        status: 403,
        code: 'DutyRequired'
      })
      const answer = await caller.post('/v1/depreciation-policies/2027-01/withdrawal', { reason: 'x' })
      expect(answer.body).toMatchObject({ status: 403, code: 'DutyRequired' })
      expect((await caller.get('/v1/depreciation-policies')).status).toBe(200)
    }
  })
})

test('however many set one at once, one does and the months never overlap', async () => {
  const outcomes = await Promise.all(Array.from({ length: 8 }, () => set('2027-01')))
  expect(outcomes.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 409)])

  await Promise.all(['2027-05', '2027-03', '2027-09', '2027-07'].map((month) => set(month)))
  const policies = await list()
  for (const [index, { effectiveUntil }] of policies.entries()) {
    const next = policies[index + 1]?.effectiveFrom
    expect(effectiveUntil).toBe(
      next === undefined ? null : Temporal.PlainYearMonth.from(next).subtract({ months: 1 }).toString()
    )
  }
})

test('whoever waits for another decides by the month in which the waiting ended', async () => {
  const other = new Client({ connectionString: h.databaseUrl })
  await other.connect()
  try {
    await other.query('select pg_advisory_lock(7305006)')
    const waiting = set('2026-11')
    await expect
      .poll(() => h.sql(`select 1 from pg_locks where locktype = 'advisory' and objid = 7305006 and not granted`))
      .toHaveLength(1)
    h.clock.set('2026-12-01T00:00')
    await other.query('select pg_advisory_unlock(7305006)')

    expect((await waiting).body).toMatchObject({ code: 'PolicyInThePast', errors: [{ accepted: '2026-12 or later' }] })
    expect(await list()).toHaveLength(1)
  } finally {
    await other.end()
  }
})

// Every rate of every lot up to the month before, as one text.
const RATES_BEFORE = `
select md5(string_agg(aged || ' ' || until || ' ' || depreciation_rate(aged, until), ',' order by aged, until)) as rates
  from generate_series(month_index('2020-01-01'), month_index('2030-01-01')) as aged
 cross join generate_series(month_index('2024-01-01'), month_index($1::date) - 1) as until
 where aged % 3 = 0`

test('whatever is set and withdrawn, no rate of a month before changes, none falls, none passes the cost', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          monthsOn: fc.integer({ min: 0, max: 14 }),
          graceMonths: fc.integer({ min: 0, max: 24 }),
          parts: fc.integer({ min: 0, max: 10_000 }),
          withdrawn: fc.boolean()
        }),
        { minLength: 1, maxLength: 4 }
      ),
      async (steps) => {
        await h.sql(`delete from depreciation_policy where effective_from > '0001-01-01'`)
        await h.sql(`update depreciation_policy set effective_until = null`)
        let month = Temporal.PlainYearMonth.from('2026-11')
        for (const { monthsOn, graceMonths, parts, withdrawn } of steps) {
          month = month.add({ months: monthsOn })
          const from = month.toString()
          const ratesBefore = async () => (await h.sql(RATES_BEFORE, [`${from}-01`]))[0]
          const before = await ratesBefore()
          const { status } = await set(from, {
            graceMonths,
            rate: `${Math.floor(parts / 10_000)}.${String(parts % 10_000).padStart(4, '0')}`,
            chargeCount: parts === 0 ? 240 : Math.min(240, Math.floor(10_000 / parts))
          })
          expect([201, 409]).toContain(status)
          expect(await ratesBefore()).toEqual(before)
          const mayWithdraw = withdrawn && status === 201 && from > '2026-11'
          expect(mayWithdraw ? (await withdraw(from)).status : 200).toBe(200)
          expect(await ratesBefore()).toEqual(before)
        }
        const [faults] = await h.sql(`
          select count(*)::int as faults
            from (select rate, lag(rate, 1, 0) over (partition by aged order by until) as before
                    from generate_series(month_index('2025-01-01'), month_index('2029-01-01'), 4) as aged
                   cross join generate_series(aged, aged + 60) as until
                   cross join lateral (select depreciation_rate(aged, until) as rate) r) rates
           where rate < before or rate > 1`)
        expect(faults).toEqual({ faults: 0 })
      }
    ),
    { numRuns: 15 }
  ))
