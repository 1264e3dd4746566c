import { Webhook } from 'standardwebhooks'
import type { Dispatcher } from 'undici'
import type { Sender } from './agent.ts'

/** What is sent, and with which secrets it is signed: two for a day after a rotation. */
export interface Outgoing {
  url: string
  key: string
  body: string
  signers: readonly Webhook[]
  at: Temporal.Instant
}

/** How an attempt went. */
export interface Answer {
  milliseconds: number
  /** Of HTTP; null where nothing was answered. */
  status: number | null
  /** Why it did not arrive; null if it did: only 2xx is a yes. */
  problem: string | null
  /** The beginning of what was answered. */
  response: string | null
  /** What the receiver asked for in seconds, by Retry-After. */
  retryAfterSeconds: number | null
}

/** So much of an answer is read and kept. */
export const RESPONSE_BYTES = 1024

/** Sends a message once, signed by Standard Webhooks. Never throws: what fails is said in the answer. */
export async function sendMessage(sender: Sender, message: Outgoing): Promise<Answer> {
  const started = performance.now()
  const answer = await attempt(sender, message)
  return { ...answer, milliseconds: Math.round(performance.now() - started) }
}

async function attempt(
  { agent, limits }: Sender,
  { url, key, body, signers, at }: Outgoing
): Promise<Omit<Answer, 'milliseconds'>> {
  const stamp = new Date(at.epochMilliseconds)
  const request = (): Promise<Dispatcher.ResponseData> => {
    const { origin, pathname, search } = new URL(url)
    return agent.request({
      origin,
      path: `${pathname}${search}`,
      method: 'POST',
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'user-agent': 'bincard-webhooks',
        'webhook-id': key,
        'webhook-timestamp': String(Math.floor(at.epochMilliseconds / 1000)),
        'webhook-signature': signers.map((signer) => signer.sign(key, stamp, body)).join(' ')
      },
      body,
      signal
    })
  }
  const signal = AbortSignal.timeout(limits.wholeMs)
  let answered: Dispatcher.ResponseData
  try {
    // A connection that the receiver closed in the moment we used it says nothing about the receiver: once more on another.
    answered = await request().catch((error: unknown) => {
      if ((error as { code?: string }).code === 'UND_ERR_SOCKET' && !signal.aborted) return request()
      throw error
    })
  } catch (error) {
    return { status: null, problem: faultOf(error, limits), response: null, retryAfterSeconds: null }
  }
  const { statusCode: status, headers } = answered
  const response = await beginningOf(answered, signal)
  return {
    status,
    problem: problemOf(status, headers['location']),
    response,
    retryAfterSeconds: secondsOf(headers['retry-after'], at)
  }
}

function problemOf(status: number, location: string | string[] | undefined): string | null {
  if (status >= 200 && status < 300) return null
  if (status === 410) return 'the receiver says that it is gone for good (410)'
  if (status >= 300 && status < 400)
    return `the receiver redirects (${status}) to ${String(location).slice(0, 200)}; redirects are not followed, enter that URL if it is right`
  return `the receiver answered ${status}`
}

function faultOf(error: unknown, { connectMs, wholeMs }: Sender['limits']): string {
  const { name, code, message, cause } = error as Error & { code?: string }
  if (name === 'TimeoutError' || name === 'AbortError') return `no answer within ${wholeMs / 1000} s`
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return `no connection within ${connectMs / 1000} s`
  // Where several addresses were tried, each has an error of its own.
  const several = (error as { errors?: Error[] }).errors
  const said = message || several?.map((one) => one.message).join('; ') || (cause as Error | undefined)?.message
  return (said ?? name).slice(0, 500)
}

/** Reads the beginning of an answer; what is longer, or takes too long, is cut off with its connection. */
async function beginningOf({ body }: Dispatcher.ResponseData, signal: AbortSignal): Promise<string | null> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      const bytes = chunk as Buffer
      chunks.push(bytes)
      length += bytes.length
      if (length > RESPONSE_BYTES || signal.aborted) break
    }
  } catch {
    // The status is what counts; it was answered.
  }
  body.on('error', () => undefined)
  body.destroy()
  if (length === 0) return null
  // Text that PostgreSQL can store: half a character at the cut is replaced, U+0000 left away.
  const text = new TextDecoder().decode(Buffer.concat(chunks).subarray(0, RESPONSE_BYTES)).replaceAll('\0', '')
  return length > RESPONSE_BYTES ? `${text}…` : text
}

function secondsOf(retryAfter: string | string[] | undefined, now: Temporal.Instant): number | null {
  if (typeof retryAfter !== 'string') return null
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter)
  const until = Date.parse(retryAfter)
  return Number.isNaN(until) ? null : Math.max(0, Math.ceil((until - now.epochMilliseconds) / 1000))
}
