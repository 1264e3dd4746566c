import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import { Redis } from 'ioredis'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Runtime } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'
import type { CachedKey } from './directory.ts'

// Counted in Redis where there is one, so that all processes count together; else in this process.
// A Redis that does not answer limits nothing: keepers go on working, and a password still costs its hash.

const DEFAULT_PER_KEY = 600
const WINDOW = 60_000

declare module 'fastify' {
  interface FastifyInstance {
    limits: RateLimits
  }
}

export interface RateLimits {
  /** Counts a request of an API key. @throws Refusal 429 beyond the key's limit per minute */
  countKey(request: FastifyRequest, key: CachedKey): Promise<void>
  /**
   * Runs an attempt to prove a password; only failures count.
   * @throws Refusal 429 once the account and address have failed too often within a minute
   */
  guardSignIn<Result>(request: FastifyRequest, account: string, attempt: () => Promise<Result>): Promise<Result>
}

export async function addRateLimits(app: FastifyInstance, { config }: Runtime): Promise<RateLimits> {
  const redis = config.REDIS_URL === undefined ? undefined : openRedis(app, config.REDIS_URL)
  await app.register(rateLimit, {
    global: false,
    nameSpace: 'bincard:limit:',
    skipOnError: true,
    cache: 20_000,
    ...(redis && { redis })
  })

  const keys = new WeakMap<FastifyRequest, CachedKey>()
  const countRequest = app.createRateLimit({
    timeWindow: WINDOW,
    keyGenerator: (request) => `key:${keys.get(request)?.id}`,
    max: (request) => keys.get(request)?.rateLimitPerMinute ?? (config.RATE_LIMIT_PER_MINUTE || DEFAULT_PER_KEY)
  })

  const accounts = new WeakMap<FastifyRequest, string>()
  const countFailure = app.createRateLimit({
    timeWindow: WINDOW,
    max: config.LOGIN_ATTEMPTS_PER_MINUTE,
    keyGenerator: (request) => `sign-in:${accounts.get(request)}:${normalizeIP(request.ip)}`
  })
  // Attempts whose hash is still being worked out count as failures, or a burst would slip through before the first one is counted.
  const pending = new Map<string, number>()

  return {
    countKey: async (request, key) => {
      keys.set(request, key)
      const count = await countRequest(request)
      if (!count.isAllowed && count.isExceeded) {
        throw new Refusal(
          'TooManyRequests',
          429,
          `this API key may make ${count.max} requests a minute; go on in ${count.ttlInSeconds} seconds`,
          { retryAfterSeconds: count.ttlInSeconds }
        )
      }
    },

    guardSignIn: async (request, account, attempt) => {
      accounts.set(request, account.trim().toLowerCase())
      const count = await countFailure(request, { increment: false })
      const waiting = pending.get(count.key) ?? 0
      if (!count.isAllowed && count.remaining - waiting <= 0) {
        const seconds = count.ttlInSeconds || WINDOW / 1000
        throw new Refusal(
          'TooManySignIns',
          429,
          `too many failed sign-ins for this account from this address; try again in ${seconds} seconds`,
          { retryAfterSeconds: seconds }
        )
      }
      pending.set(count.key, waiting + 1)
      try {
        return await attempt()
      } catch (error) {
        if (error instanceof Refusal && error.code === 'CredentialsWrong') await countFailure(request)
        throw error
      } finally {
        const left = (pending.get(count.key) ?? 1) - 1
        if (left > 0) pending.set(count.key, left)
        else pending.delete(count.key)
      }
    }
  }
}

function openRedis(app: FastifyInstance, url: string): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, connectTimeout: 2_000, commandTimeout: 1_000 })
  let last = Number.NEGATIVE_INFINITY
  redis.on('error', (err) => {
    if (performance.now() - last < 10_000) return
    last = performance.now()
    app.log.warn({ err }, 'Redis does not answer; nothing is rate-limited meanwhile')
  })
  app.addHook('onClose', async () => redis.disconnect())
  return redis
}
