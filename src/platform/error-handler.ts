import fp from 'fastify-plugin'
import { maxHeaderSize, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorObject } from 'ajv'
import { cursorInvalid } from './cursor.ts'
import { problemOf, Refusal, type FieldProblem } from './errors.ts'
import { isSecretMember } from './log.ts'

/** Answers every failure with a problem document (RFC 9457, R-ERR-1). */
export const errorHandler = fp(
  async (app) => {
    app.setErrorHandler((error: FastifyError | Refusal, request, reply) => {
      const refusal = refusalOf(error, request)
      if (refusal === undefined) {
        request.log.error({ err: error }, 'unexpected failure')
        return sendProblem(
          request,
          reply,
          new Refusal(
            'InternalError',
            500,
            `something went wrong here; ${outcome(request)}. The log has the details under this request id`,
            { extra: { requestId: request.id } }
          )
        )
      }
      if (refusal.status >= 500) request.log.error({ err: error }, refusal.message)
      return sendProblem(request, reply, refusal)
    })
    app.setNotFoundHandler((request, reply) =>
      sendProblem(
        request,
        reply,
        new Refusal(
          'RouteNotFound',
          404,
          `there is no operation ${request.method} ${pathOf(request)}; /docs lists them all`
        )
      )
    )
  },
  { name: 'error-handler' }
)

/** A path that cannot be decoded never reaches a route, nor the handler above. */
export function frameworkErrors(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void sendProblem(
    request,
    reply,
    new Refusal('PathInvalid', 400, `the path is not valid: ${error.message}; escape it as RFC 3986 says`)
  )
}

/** What is not HTTP, or too much of it, never becomes a request; the connection ends with a problem all the same. */
export function clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
  // Whoever has gone needs no answer.
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Refusal(
          'HeadersTooLarge',
          431,
          `path and headers together are larger than ${maxHeaderSize / 1024} KiB; send long values in a body`
        )
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new Refusal('RequestTimeout', 408, 'the request did not arrive whole in time; send it again')
        : new Refusal('NotHttp', 400, 'this is not an HTTP request')
  if (socket.writable) {
    const body = JSON.stringify(problemOf(refusal, '/'))
    socket.write(
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\nconnection: close\r\ncontent-type: application/problem+json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    )
  }
  socket.destroySoon()
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, refusal: Refusal) {
  // What a handler said of an answer that is not given.
  for (const name of ['etag', 'location', 'content-disposition']) reply.removeHeader(name)
  if (refusal.retryAfterSeconds !== undefined) reply.header('retry-after', refusal.retryAfterSeconds)
  if (refusal.status === 401) reply.header('www-authenticate', 'Bearer')
  return reply
    .code(refusal.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .serializer((problem: unknown) => JSON.stringify(problem))
    .send(problemOf(refusal, pathOf(request)))
}

const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? request.url

/** What an error means to the caller; undefined for a bug. */
function refusalOf(error: FastifyError | Refusal, request: FastifyRequest): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (error.validation !== undefined) return invalidInput(error, request)
  if (databaseIsAway(error)) {
    const effect = neverConnected(error) ? 'nothing was changed' : outcome(request)
    return new Refusal(
      'DatabaseUnavailable',
      503,
      `the database does not answer at the moment, try again in a few seconds; ${effect}`,
      { retryAfterSeconds: 5 }
    )
  }
  // SQLSTATE class 22, data that cannot be what it should be: everything else was checked, a cursor is opaque until the database reads it.
  const { cursor } = (request.query ?? {}) as { cursor?: string }
  if (cursor !== undefined && /^22...$/.test(error.code)) return cursorInvalid(cursor)
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Refusal(
        'UnsupportedMediaType',
        415,
        `the body is ${request.headers['content-type'] ?? 'of no stated type'}; send ${(request.routeOptions.schema as { consumes?: string[] } | undefined)?.consumes?.join(' or ') ?? 'application/json'}`
      )
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Refusal(
        'BodyTooLarge',
        413,
        `the body is larger than the ${request.routeOptions.bodyLimit} bytes this operation accepts; split it`
      )
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new Refusal('InvalidJson', 400, `the body is not JSON: ${error.message}`)
    // SQLSTATE: a value that is well-formed but too large for its column.
    case '22003':
      return new Refusal(
        'NumberTooLarge',
        422,
        'a number, or what it would add up to, is larger than the service keeps: quantities have up to 12 digits, amounts up to 16'
      )
    // SQLSTATE: deadlock, serialization failure, lock not available. The transaction was rolled back whole.
    case '40P01':
    case '40001':
    case '55P03':
      return new Refusal(
        'Contended',
        503,
        'others worked on the same rows at the same moment; nothing was changed, send the request again',
        { retryAfterSeconds: 1 }
      )
    // SQLSTATE of our own: whoever writes lost the duty for it a moment ago, which the cached duties did not know yet. The message is for people.
    case 'BC041':
      return new Refusal('DutyHandedOver', 403, error.message)
    // SQLSTATE: the statement was cancelled, which is what STATEMENT_TIMEOUT_SECONDS does.
    case '57014':
      return new Refusal(
        'TooSlow',
        503,
        'this took the database too long and was broken off; nothing was changed. Ask for less at once, or try again later',
        { retryAfterSeconds: 30 }
      )
    case 'FST_UNDER_PRESSURE':
      return new Refusal('Overloaded', 503, 'the service is overloaded; try again in a few seconds', {
        retryAfterSeconds: 5
      })
  }
  if (error.statusCode === 429) return new Refusal('TooManyRequests', 429, error.message)
  if (error instanceof SyntaxError && error.statusCode === 400)
    return new Refusal('InvalidJson', 400, `the body is not JSON: ${error.message}`)
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new Refusal('BadRequest', error.statusCode, error.message)
  return undefined
}

// SQLSTATE classes 08 (connection), 57P (shutdown) and 53300 (too many connections), and what sockets and the pool say.
const AWAY = /^(08...|57P0.|53300|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOENT)$/
const AWAY_MESSAGE =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|terminating connection/

// The request found no connection to begin its work on.
const NOT_CONNECTED = /^(ECONNREFUSED|ENOENT|53300|57P03)$/
const NOT_CONNECTED_MESSAGE = /timeout exceeded when trying to connect/

function neverConnected(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause ?? (cause as { previous?: unknown }).previous) {
    if (NOT_CONNECTED.test(String((cause as { code?: unknown }).code)) || NOT_CONNECTED_MESSAGE.test(cause.message))
      return true
    if (cause instanceof AggregateError && cause.errors.every(neverConnected)) return true
  }
  return false
}

/** What is known of the effect of a request that ended without an answer of its own: a commit may have come through unheard. */
function outcome({ method }: FastifyRequest): string {
  if (method === 'GET' || method === 'HEAD') return 'nothing was changed'
  return method === 'POST'
    ? 'it is not known whether the request took effect: read what it was to change, or repeat it with the same Idempotency-Key if it had one'
    : 'it is not known whether the request took effect: read what it was to change'
}

export function databaseIsAway(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause ?? (cause as { previous?: unknown }).previous) {
    if (AWAY.test(String((cause as { code?: unknown }).code)) || AWAY_MESSAGE.test(cause.message)) return true
    if (cause instanceof AggregateError && cause.errors.some(databaseIsAway)) return true
  }
  return false
}

function invalidInput(error: FastifyError, request: FastifyRequest): Refusal {
  const part = error.validationContext ?? 'body'
  const source =
    part === 'body'
      ? request.body
      : part === 'querystring'
        ? request.query
        : part === 'params'
          ? request.params
          : request.headers
  const errors = (error.validation as unknown as ErrorObject[])
    .filter(({ keyword }) => keyword !== 'if' && keyword !== 'anyOf')
    .map((fault) => fieldProblem(fault, part, source))
  const first = errors[0]
  const detail =
    first === undefined ? error.message : `${first.pointer === '' ? `the ${part}` : first.pointer} ${first.detail}`
  return new Refusal('InvalidInput', 400, detail, { errors: errors.slice(0, 20) })
}

function fieldProblem(fault: ErrorObject, part: string, source: unknown): FieldProblem {
  const member: string | undefined = fault.params['additionalProperty'] ?? fault.params['missingProperty']
  const path = [...fault.instancePath.split('/').slice(1), ...(member === undefined ? [] : [member])]
  const pointer =
    part === 'body'
      ? path.map((step) => `/${step}`).join('')
      : part === 'params'
        ? `{${path.join('.')}}`
        : `?${path.join('.')}`
  const properties = (fault.parentSchema as { properties?: object } | undefined)?.properties
  // A member beside a secret that is not known may be the secret, misspelt.
  const isSecret = [...path, ...Object.keys(properties ?? {})].some(isSecretMember)
  const sent = isSecret
    ? undefined
    : shownBack(
        path.reduce<unknown>(
          (value, step) =>
            (value as Record<string, unknown> | null | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')],
          source
        )
      )
  switch (fault.keyword) {
    case 'additionalProperties':
      return {
        pointer,
        detail: `is not known here; ${known(part, Object.keys(properties ?? {}))}`,
        sent,
        accepted: Object.keys(properties ?? {})
      }
    case 'required':
      return { pointer, detail: `is missing${description(properties, member)}` }
    case 'enum':
      return {
        pointer,
        detail: `must be one of ${fault.params['allowedValues'].join(', ')}`,
        sent,
        accepted: fault.params['allowedValues']
      }
    case 'const':
      return {
        pointer,
        detail: `must be ${JSON.stringify(fault.params['allowedValue'])}`,
        sent,
        accepted: fault.params['allowedValue']
      }
    case 'format':
    case 'pattern': {
      const schema = fault.parentSchema as { description?: string; examples?: unknown[]; pattern?: string }
      return {
        pointer,
        detail: `must be: ${schema.description ?? schema.pattern ?? fault.params['format']}${schema.examples ? `, e.g. ${schema.examples.map((example) => JSON.stringify(example)).join(' or ')}` : ''}`,
        sent,
        accepted: schema.pattern ?? fault.params['format']
      }
    }
    default:
      return { pointer, detail: fault.message ?? 'is not accepted', sent, accepted: fault.params }
  }
}

const SHOWN_BACK = 200

/** Enough of what was sent to recognise it. */
function shownBack(value: unknown): unknown {
  if (typeof value === 'string') return value.length > SHOWN_BACK ? `${value.slice(0, SHOWN_BACK)}…` : value
  if (Array.isArray(value)) return `${value.length} items`
  return typeof value === 'object' && value !== null ? 'an object' : value
}

function known(part: string, names: string[]): string {
  if (names.length > 0) return `known are ${names.join(', ')}`
  return part === 'querystring' ? 'this operation takes no query parameters' : 'nothing is'
}

function description(properties: object | undefined, member: string | undefined): string {
  const text = (properties as Record<string, { description?: string }> | undefined)?.[member ?? '']?.description
  return text === undefined ? '' : `: ${text}`
}
