import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { migrateQueue } from '../../src/platform/queue.ts'
import { openCounter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { redisDatabase } from '../support/redis.ts'
import { openReceiver, type Receiver } from '../webhooks/receiver.ts'

// The queue loses everything while its worker is killed in the middle of its work. What was due arrives all the same, and nothing
// happens twice (R-ALR-2). The worker is the real one, a process of its own, with the clock of the machine.

vi.setConfig({ testTimeout: 240_000 })

const SECRET = 'a secret for tests that is long enough'
const PARTS = 12
const redisUrl = redisDatabase(7)
const running: ChildProcess[] = []
const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const child of running.splice(0)) await kill(child)
  for (const one of open.splice(0).toReversed()) await one.close()
})

async function startWorker(h: Harness, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../src/worker.ts', import.meta.url))], {
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: h.databaseUrl,
      JWT_SECRET: SECRET,
      WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
      ...env
    },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  running.push(child)
  let said = ''
  child.stdout?.on('data', (data: Buffer) => (said += data))
  await expect.poll(() => said, { timeout: 60_000 }).toContain('worker ready')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

describe.for([
  { backend: 'postgresql' as const, isHere: true },
  { backend: 'redis' as const, isHere: redisUrl !== null }
])('with the queue in $backend', ({ backend, isHere }) => {
  const env = backend === 'redis' && redisUrl !== null ? { REDIS_URL: redisUrl } : {}

  async function wipe(h: Harness): Promise<void> {
    if (backend === 'postgresql') {
      await h.sql('drop schema bullmq cascade')
      return
    }
    const redis = new Redis(redisUrl ?? '')
    await redis.flushdb()
    redis.disconnect()
  }

  test.runIf(isHere)(
    'worker killed, store wiped: after the restart every alert and every webhook has arrived, none of them twice (R-ALR-2, R-ALR-3)',
    async () => {
      const h = await openHarness({ env: { WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' } })
      open.push(h)
      h.clock.set(Temporal.Now.instant().toString())
      await migrateQueue(h.runtime.database)
      if (backend === 'redis') await wipe(h)
      const counter = await openCounter(h)
      const parts = await Promise.all(Array.from({ length: PARTS }, () => counter.stocked({ quantity: '10' })))
      await h.sql(
        `insert into reorder_level (warehouse_id, part_id, reorder_point, order_up_to, basis, digest, demand_class, computed_at)
         select $1, unnest($2::int[]), 5, 20, 'fixed', gen_random_uuid(), 'none', now()`,
        [counter.warehouseId, parts.map(({ id }) => id)]
      )
      await h.sql('truncate outbox')
      const receiver: Receiver = await openReceiver(async (response) => {
        await new Promise((resolve) => setTimeout(resolve, 30))
        response.writeHead(204).end()
      })
      open.push(receiver)
      const administrator = await h.make.person({ grants: [{ duty: 'administrator' }] })
      const created = await h.api
        .post('/v1/webhooks')
        .auth(administrator.token, { type: 'bearer' })
        .send({ url: receiver.url })
      expect(created.status).toBe(201)

      // Six of ten go out of every part, which leaves less than its reorder point.
      const issue = (part: string) => counter.posted({ kind: 'issue', lines: [{ part, quantity: '6' }] })
      const slips: string[] = []
      for (const { number } of parts.slice(0, 8)) slips.push((await issue(number)).number as string)

      const first = await startWorker(h, env)
      await expect.poll(() => receiver.received.length, { timeout: 60_000 }).toBeGreaterThan(5)
      await kill(first)
      await wipe(h)
      for (const { number } of parts.slice(8)) slips.push((await issue(number)).number as string)
      // A killed pump is taken over when its lease of a minute is over; the test does not wait for that.
      await h.sql(`update webhook_endpoint set leased_until = null, lease = null`)
      await startWorker(h, env)

      const due = PARTS * 7
      const ids = () => new Set(receiver.received.map(({ headers }) => headers['webhook-id']))
      await expect.poll(() => ids().size, { timeout: 120_000 }).toBe(due)
      const settled = async () =>
        (
          await h.sql(
            `select (select count(*)::int from outbox) as outbox, (select count(*)::int from webhook_delivery where state <> 'delivered') as undelivered`
          )
        )[0]
      await expect.poll(settled, { timeout: 90_000 }).toEqual({ outbox: 0, undelivered: 0 })

      const told = new Map(receiver.received.map(({ headers, json }) => [headers['webhook-id'], json]))
      const of = (type: string) => [...told.values()].filter((message) => message.type === type)
      const sorted = (names: unknown[]) => names.toSorted()
      expect(sorted(of('slip.posted').map(({ data }) => data['slip']))).toEqual(sorted(slips))
      expect(of('slip.signed')).toHaveLength(3 * PARTS)
      expect(sorted(of('alert.raised').map(({ data }) => data['subject']))).toEqual(
        sorted(parts.map(({ number }) => number))
      )
      expect(sorted(of('stock.below-reorder-point').map(({ data }) => data['part']))).toEqual(
        sorted(parts.map(({ number }) => number))
      )
      const alerts = await h.sql<{ subject: string; state: string; raised: number }>(
        `select subject, state, (select count(*)::int from alert_event e where e.alert_id = a.id and e.event = 'raised') as raised from alert a where kind = 'reorder-point' order by subject`
      )
      expect(alerts).toEqual(
        sorted(parts.map(({ number }) => number)).map((subject) => ({ subject, state: 'open', raised: 1 }))
      )
    }
  )
})
