import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { Type } from 'typebox'
import type { Runtime } from './context.ts'
import { Refusal } from './errors.ts'
import { closed, named, problems, ref } from './schemas.ts'

/** Mean delay of the event loop over a second beyond which new requests are sent away, so that the ones begun are finished. */
const EVENT_LOOP_LIMIT_MS = 2_000
const PING_LIMIT_MS = 2_000

const Health = named(
  'Health',
  Type.Object(
    {
      status: Type.Literal('ok'),
      version: Type.String({ examples: ['0.1.0'] }),
      uptimeSeconds: Type.Integer({ examples: [3600] })
    },
    closed
  )
)

const Readiness = named(
  'Readiness',
  Type.Object(
    {
      status: Type.Literal('ready'),
      database: Type.Literal('ready'),
      queue: Type.Union([Type.Literal('ready'), Type.Literal('not-used')])
    },
    closed
  )
)

/** `GET /health` says that the process lives, `GET /ready` that it can work. An overloaded process answers both. */
export const health = fp<{ runtime: Runtime; version: string }>(
  async (app, { runtime, version }) => {
    await app.register(underPressure, {
      maxEventLoopDelay: EVENT_LOOP_LIMIT_MS,
      pressureHandler: (_request, _reply, _type, value) => {
        // Infinity: nothing was measured in the second before, as after the long breath of building the app. That is no delay.
        if (value !== Number.POSITIVE_INFINITY)
          throw new Refusal('Overloaded', 503, 'the service is overloaded; try again in a few seconds', {
            retryAfterSeconds: 5
          })
      }
    })
    const config = { pressureHandler: () => undefined, public: true }

    app.get(
      '/health',
      {
        config,
        logLevel: 'silent',
        schema: {
          operationId: 'readHealth',
          tags: ['service'],
          summary: 'Whether the process lives (存活检查)',
          security: [],
          response: { 200: ref(Health), ...problems }
        }
      },
      () => ({ status: 'ok' as const, version, uptimeSeconds: Math.floor(process.uptime()) })
    )

    app.get(
      '/ready',
      {
        config,
        logLevel: 'silent',
        schema: {
          operationId: 'readReadiness',
          tags: ['service'],
          summary: 'Whether the process can work: database and queue answer (就绪检查)',
          description: '503 names what is away. For load balancers: send requests only while this answers 200.',
          security: [],
          response: { 200: ref(Readiness), ...problems }
        }
      },
      async () => {
        const [database, queue] = await Promise.all([
          answers(runtime.database.pool.query('select')),
          runtime.queue === undefined ? true : answers(runtime.queue.ping())
        ])
        if (!database || !queue) {
          const away = [...(database ? [] : ['the database']), ...(queue ? [] : ['the queue'])]
          throw new Refusal('NotReady', 503, `${away.join(' and ')} ${away.length > 1 ? 'do' : 'does'} not answer`, {
            extra: {
              database: database ? 'ready' : 'away',
              queue: queue ? (runtime.queue ? 'ready' : 'not-used') : 'away'
            },
            retryAfterSeconds: 5
          })
        }
        return {
          status: 'ready' as const,
          database: 'ready' as const,
          queue: runtime.queue === undefined ? ('not-used' as const) : ('ready' as const)
        }
      }
    )
  },
  { name: 'health' }
)

async function answers(ping: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, PING_LIMIT_MS, false)
  try {
    return await Promise.race([
      ping.then(
        () => true,
        () => false
      ),
      promise
    ])
  } finally {
    clearTimeout(timer)
  }
}
