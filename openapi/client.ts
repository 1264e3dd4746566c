import createClient, { type Client } from 'openapi-fetch'
import type { components, paths } from './schema.js'

export type { components, operations, paths } from './schema.js'

/** What the service answers when it refuses (RFC 9457). `code` is stable, `detail` says what would be right. */
export type Problem = components['schemas']['Problem']

/** What answers are typed by. Lists and reports come as files, too: ask for `text/csv` with `parseAs: 'text'`. */
type Media = 'application/json' | 'application/problem+json'
export type BincardClient = Client<paths, Media>

/** A person with a password, a machine with an API key, or a token from elsewhere such as an OpenID Connect issuer. */
export type Credentials =
  | { username: string; password: string }
  | { apiKey: string }
  | { token: string | (() => string | Promise<string>) }

export type BincardClientOptions = Credentials & {
  /** Where the service is, e.g. `https://bincard.example.com`. */
  baseUrl: string
  /** How often a request is sent at most while the network or the service fails for a moment; 4 unless given. */
  attempts?: number
  /** Pause before the second attempt in milliseconds, doubled from one to the next; 250 unless given. */
  pauseMs?: number
  /** Instead of the global `fetch`. */
  fetch?: (request: Request) => Promise<Response>
}

/** A refusal, thrown by `orThrow`. */
export class BincardProblem extends Error {
  readonly problem: Problem
  readonly status: number
  /** Stable name of the refusal, e.g. `InsufficientStock`. */
  readonly code: string

  constructor(problem: Problem) {
    super(problem.detail)
    this.name = 'BincardProblem'
    this.problem = problem
    this.status = problem.status
    this.code = problem.code
  }
}

/** The data of an answer: `const slip = await orThrow(bincard.POST(…))`. Throws `BincardProblem` if the service refused. */
export async function orThrow<Data>(
  answer: Promise<{ data?: Data; error?: unknown; response: Response }>
): Promise<Exclude<Data, undefined>> {
  const { data, error, response } = await answer
  if (!response.ok) throw new BincardProblem(isProblem(error) ? error : strange(response, error))
  return data as Exclude<Data, undefined>
}

const isProblem = (error: unknown): error is Problem =>
  typeof error === 'object' && error !== null && 'code' in error && 'detail' in error

/** Something between here and the service answered in its place. */
const strange = (response: Response, error: unknown): Problem => ({
  type: 'about:blank',
  title: response.statusText,
  status: response.status,
  code: 'NotAProblem',
  detail:
    typeof error === 'string' && error !== ''
      ? error.slice(0, 500)
      : `answered ${response.status} without a problem document`,
  instance: new URL(response.url).pathname
})

/**
 * A client of the whole API, typed by its document. It signs in when it is first used, renews its token, gives every POST an
 * Idempotency-Key and sends again what may have been lost: reads, and POSTs under their key, which take effect once.
 */
export function createBincardClient(options: BincardClientOptions): BincardClient {
  const { attempts = 4, pauseMs = 250 } = options
  const baseUrl = options.baseUrl.replace(/\/+$/, '')
  const send = options.fetch ?? ((request: Request) => fetch(request))
  const signIn = authorization(options, { baseUrl, send: (request) => persistently(request, { isSafe: false }) })

  return createClient<paths, Media>({
    baseUrl,
    fetch: async (given) => {
      const request = new Request(given)
      const isPublic = new URL(request.url).pathname.includes('/v1/auth/')
      if (request.method === 'POST' && !isPublic && !request.headers.has('idempotency-key')) {
        request.headers.set('idempotency-key', crypto.randomUUID())
      }
      const isSafe = request.method === 'GET' || request.method === 'HEAD' || (request.method === 'POST' && !isPublic)
      if (isPublic) return persistently(request, { isSafe })
      await signIn.authorize(request.headers)
      const again = request.clone()
      const response = await persistently(request, { isSafe })
      if (response.status !== 401 || !(await signIn.renew())) return response
      await signIn.authorize(again.headers)
      return persistently(again, { isSafe })
    }
  })

  /** Sends again while that can help and cannot do harm. 429 says that nothing was done, whatever the method. */
  async function persistently(request: Request, { isSafe }: { isSafe: boolean }): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= attempts
      const pause = pauseMs * 2 ** (attempt - 1)
      try {
        const response = await send(isLast ? request : request.clone())
        const mayHelp = response.status === 429 || (isSafe && [502, 503, 504].includes(response.status))
        if (isLast || !mayHelp) return response
        const retryAfter = Number(response.headers.get('retry-after'))
        await response.body?.cancel()
        await sleep(retryAfter > 0 ? Math.min(retryAfter * 1000, 60_000) : pause, request.signal)
      } catch (error) {
        if (isLast || !isSafe || request.signal.aborted) throw error
        await sleep(pause, request.signal)
      }
    }
  }
}

interface Authorization {
  /** Says in the headers who asks. */
  authorize(headers: Headers): Promise<void>
  /** Called after a 401; true if another attempt makes sense. */
  renew(): Promise<boolean>
}

type Token = components['schemas']['Token']

function authorization(
  credentials: Credentials,
  { baseUrl, send }: { baseUrl: string; send: (request: Request) => Promise<Response> }
): Authorization {
  if ('apiKey' in credentials) {
    return {
      authorize: async (headers) => headers.set('x-api-key', credentials.apiKey),
      renew: async () => false
    }
  }
  if ('token' in credentials) {
    const { token } = credentials
    return {
      authorize: async (headers) =>
        headers.set('authorization', `Bearer ${typeof token === 'string' ? token : await token()}`),
      // A function may know a newer one.
      renew: async () => typeof token !== 'string'
    }
  }

  const { username, password } = credentials
  let current: (Token & { renewAt: number }) | undefined
  // Requests that need a token at the same time wait for one sign-in.
  let pending: Promise<Token & { renewAt: number }> | undefined
  const fresh = () =>
    (pending ??= obtain().then(
      (token) => {
        pending = undefined
        return (current = token)
      },
      (error: unknown) => {
        pending = undefined
        throw error
      }
    ))
  return {
    authorize: async (headers) => {
      const { accessToken } = current !== undefined && Date.now() < current.renewAt ? current : await fresh()
      headers.set('authorization', `Bearer ${accessToken}`)
    },
    renew: async () => {
      if (current !== undefined) current.renewAt = 0
      return true
    }
  }

  async function obtain(): Promise<Token & { renewAt: number }> {
    const renewed =
      current === undefined ? undefined : await post('/v1/auth/refresh', { refreshToken: current.refreshToken })
    const response = renewed?.ok === true ? renewed : await post('/v1/auth/tokens', { username, password })
    const answer: unknown = await response.json().catch(() => undefined)
    if (!response.ok) throw new BincardProblem(isProblem(answer) ? answer : strange(response, answer))
    const token = answer as Token
    // Half a minute early, so that it does not expire on the way; a short-lived token at half its life.
    return { ...token, renewAt: Date.now() + Math.max(token.expiresIn - 30, token.expiresIn / 2) * 1000 }
  }

  function post(path: string, body: object): Promise<Response> {
    return send(
      new Request(baseUrl + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body)
      })
    )
  }
}

const sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
