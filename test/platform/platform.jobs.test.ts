import { afterAll, beforeAll, expect, test } from 'vitest'
import { purge } from '../../src/platform/platform.jobs.ts'
import { runJob } from '../support/relay.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

test('idempotency keys older than 24 hours are purged, and a second run finds none (R-ERR-2)', async () => {
  await h.sql(
    `insert into idempotency_key (actor, key, request_hash, claimed_at)
     select 'person:1', 'key ' || hours, 'x', $1::timestamptz - hours * interval '1 hour' from generate_series(23, 26) as hours`,
    [h.clock.now().toString()]
  )

  expect(await runJob(h, purge)).toEqual({ idempotencyKeys: 2, jobRuns: 0 })
  expect(await runJob(h, purge)).toEqual({ idempotencyKeys: 0, jobRuns: 0 })
  expect(await h.sql('select key from idempotency_key order by key')).toEqual([{ key: 'key 23' }, { key: 'key 24' }])
})
