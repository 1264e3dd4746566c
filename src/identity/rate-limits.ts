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
/** Many people may sit behind one address, so it may fail as often as so many accounts. */
const ACCOUNTS_PER_ADDRESS = 10

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
   * @throws Refusal 429 once the account and address, or the address with whatever accounts, have failed too often within a minute
   */
  guardSignIn<Result>(request: FastifyRequest, account: string, attempt: () => Promise<Result>): Promise<Result>
  /**
   * Counts a key that nobody was given. A right one is never held up by whoever else is behind its address.
   * @throws Refusal 429 once the address has sent too many within a minute
   */
  countUnknownKey(request: FastifyRequest): Promise<void>
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
  const perAddress = config.LOGIN_ATTEMPTS_PER_MINUTE * ACCOUNTS_PER_ADDRESS
  const countFailureOfAddress = app.createRateLimit({
    timeWindow: WINDOW,
    max: perAddress,
    keyGenerator: (request) => `sign-in:${normalizeIP(request.ip)}`
  })
  const countUnknown = app.createRateLimit({
    timeWindow: WINDOW,
    max: perAddress,
    keyGenerator: (request) => `unknown-key:${normalizeIP(request.ip)}`
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
      const counts = [
        { of: 'for this account from this address', count: await countFailure(request, { increment: false }) },
        { of: 'from this address', count: await countFailureOfAddress(request, { increment: false }) }
      ]
      for (const { of, count } of counts) {
        if (count.isAllowed || count.remaining - (pending.get(count.key) ?? 0) > 0) continue
        const seconds = count.ttlInSeconds || WINDOW / 1000
        throw new Refusal('TooManySignIns', 429, `too many failed sign-ins ${of}; try again in ${seconds} seconds`, {
          retryAfterSeconds: seconds
        })
      }
      for (const { count } of counts) pending.set(count.key, (pending.get(count.key) ?? 0) + 1)
      try {
        return await attempt()
      } catch (error) {
        if (error instanceof Refusal && error.code === 'CredentialsWrong')
          await Promise.all([countFailure(request), countFailureOfAddress(request)])
        throw error
      } finally {
        for (const { count } of counts) {
          const left = (pending.get(count.key) ?? 1) - 1
          if (left > 0) pending.set(count.key, left)
          else pending.delete(count.key)
        }
      }
    },

    countUnknownKey: async (request) => {
      const count = await countUnknown(request)
      if (!count.isAllowed && count.isExceeded) {
        throw new Refusal(
          'TooManyUnknownKeys',
          429,
          `this address sent more than ${perAddress} unknown API keys within a minute; send the right one, or try again in ${count.ttlInSeconds} seconds`,
          { retryAfterSeconds: count.ttlInSeconds }
        )
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
