import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { afterAll, afterEach, expect } from 'vitest'

// Every answer that any test gets is held against the OpenAPI document: its status, media type, ETag and every member, also
// those that a serializer would have dropped or converted without a word.

const breaches: string[] = []
/** What was wrong since it was asked last. */
export const takeBreaches = (): string[] => breaches.splice(0)
const settle = () => expect(takeBreaches(), 'answers that differ from the OpenAPI document').toEqual([])
afterEach(settle)
afterAll(settle)

/** Watches the apps that are built while `build` runs. */
export async function watched<App>(build: () => Promise<App>): Promise<App> {
  const watch = (message: unknown) => addHooks((message as { fastify: FastifyInstance }).fastify)
  subscribe('fastify.initialization', watch)
  try {
    return await build()
  } finally {
    unsubscribe('fastify.initialization', watch)
  }
}

const unserialized = Symbol('unserialized')
type Watched = FastifyRequest & { [unserialized]?: unknown }

function addHooks(app: FastifyInstance): void {
  let contract: Contract | undefined
  app.addHook('onRequest', async (request: Watched, reply) => {
    const serialize = reply.serialize
    reply.serialize = function (payload) {
      request[unserialized] = payload
      return serialize.call(this, payload)
    }
  })
  app.addHook('preSerialization', async (request: Watched, _reply, payload) => {
    request[unserialized] = payload
    return payload
  })
  app.addHook('onSend', async (request: Watched, reply, payload) => {
    const { url } = request.routeOptions
    // What is not in the document answers about itself: the document, its page, unknown paths.
    if (url === undefined || request.routeOptions.schema?.hide === true || url.startsWith('/docs')) return payload
    contract ??= new Contract(app.swagger() as unknown as Document)
    breaches.push(
      ...contract
        .breachesOf(request, reply, payload)
        .map((breach) => `${request.method} ${request.url} → ${reply.statusCode}: ${breach}`)
    )
    return payload
  })
}

interface Answer {
  $ref?: string
  headers?: Record<string, unknown>
  content?: Record<string, { schema: object }>
}
interface Document {
  paths: Record<string, Record<string, { responses: Record<string, Answer> }>>
  components: { schemas: Record<string, object>; responses: Record<string, Answer> }
}

class Contract {
  readonly #document: Document
  readonly #ajv = new Ajv2020({ allErrors: true, strict: false, allowUnionTypes: true })
  readonly #validators = new WeakMap<object, ValidateFunction>()

  constructor(document: Document) {
    this.#document = closedDocument(document)
    formats.default(this.#ajv)
    this.#ajv.addSchema({ $id: 'document', components: this.#document.components })
  }

  breachesOf(request: Watched, reply: FastifyReply, payload: unknown): string[] {
    const template = request.routeOptions.url?.replaceAll(/:([A-Za-z]+)/g, '{$1}') ?? ''
    const operation = this.#document.paths[template]?.[request.method.toLowerCase()]
    if (operation === undefined) return request.method === 'HEAD' ? [] : ['the document does not have this operation']
    const status = String(reply.statusCode)
    const declared = operation.responses[status] ?? operation.responses[`${status[0]}XX`]
    if (declared === undefined) return [`the document has no answer ${status} for it`]
    const answer =
      declared.$ref === undefined
        ? declared
        : this.#document.components.responses[declared.$ref.split('/').at(-1) ?? '']
    return [...this.#headers(reply, answer ?? {}), ...this.#body(request, reply, answer ?? {}, payload)]
  }

  #headers(reply: FastifyReply, answer: Answer): string[] {
    const declares = answer.headers !== undefined && 'ETag' in answer.headers
    if (reply.hasHeader('etag') && !declares) return ['it has an ETag that the document does not mention']
    if (!reply.hasHeader('etag') && declares && !reply.hasHeader('idempotent-replayed'))
      return ['it lacks the ETag that the document promises']
    return []
  }

  #body(request: Watched, reply: FastifyReply, answer: Answer, payload: unknown): string[] {
    // A 204 leaves without whatever the route returned.
    const isEmpty = payload === undefined || payload === null || payload === '' || reply.statusCode === 204
    if (answer.content === undefined) return isEmpty ? [] : ['the document says that it has no body']
    if (isEmpty) return ['it has no body']
    const type = String(reply.getHeader('content-type')).split(';')[0] ?? ''
    const media = answer.content[type]
    if (media === undefined) return [`it is ${type}; the document says ${Object.keys(answer.content).join(' or ')}`]
    if (typeof payload !== 'string' || !type.endsWith('json')) return []
    const given = request[unserialized]
    return [
      ...this.#faults(media.schema, JSON.parse(payload), ''),
      // Dates become text on the way, as JSON says they do; nothing else may change.
      ...(given === undefined || given === null || typeof given === 'string'
        ? []
        : this.#faults(media.schema, JSON.parse(JSON.stringify(given)), ' before it was serialized'))
    ]
  }

  #faults(schema: object, value: unknown, when: string): string[] {
    let validate = this.#validators.get(schema)
    if (validate === undefined) {
      validate = this.#ajv.compile(
        JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/')) as object
      )
      this.#validators.set(schema, validate)
    }
    if (validate(value)) return []
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath || 'the body'}${when} ${message}${detail(params)}`
    )
  }
}

const detail = (params: Record<string, unknown>): string => {
  const said = params['additionalProperty'] ?? params['allowedValues'] ?? params['pattern']
  return said === undefined ? '' : ` (${typeof said === 'string' ? said : JSON.stringify(said)})`
}

/** In the tests an object has the members it declares and no others, unless it says that others may be there. */
function closedDocument<Value>(value: Value): Value {
  if (Array.isArray(value)) return value.map((item: unknown) => closedDocument(item)) as Value
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, closedDocument(member as unknown)])
  )
  const isObject =
    copy['type'] === 'object' && copy['properties'] !== undefined && copy['additionalProperties'] === undefined
  return (isObject ? { ...copy, additionalProperties: false } : copy) as Value
}
