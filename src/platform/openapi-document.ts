import { problemOf, Refusal } from './errors.ts'
import { Problem } from './schemas.ts'
import { XLSX } from './xlsx.ts'

// What every operation shares is said here once instead of in every route: how it refuses, Idempotency-Key, ETag, media types.

interface Schema {
  $ref?: string
  type?: string
  examples?: unknown[]
  default?: unknown
  const?: unknown
  enum?: unknown[]
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
  minItems?: number
}
interface Media {
  schema?: Schema
  example?: unknown
}
interface Answer {
  $ref?: string
  description?: string
  headers?: Record<string, unknown>
  content?: Record<string, Media>
}
interface Operation {
  operationId?: string
  security?: unknown[]
  parameters?: { $ref?: string; in?: string; name?: string }[]
  requestBody?: { required?: boolean; content: Record<string, Media> }
  responses: Record<string, Answer>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: {
    schemas: Record<string, Schema>
    parameters?: Record<string, unknown>
    headers?: Record<string, unknown>
    responses?: Record<string, unknown>
    [more: string]: unknown
  }
}

const PROBLEM_JSON = 'application/problem+json'

const refused = (description: string, refusal: Refusal, instance: string, headers?: Record<string, unknown>) => ({
  description,
  ...(headers && { headers }),
  content: {
    [PROBLEM_JSON]: { schema: { $ref: `#/components/schemas/${Problem.$id}` }, example: problemOf(refusal, instance) }
  }
})

const slip = '/v1/slips/HQ-OUT-202611-00017'
const RETRY_AFTER = {
  'Retry-After': { description: 'Seconds to wait, where waiting helps', schema: { type: 'integer' }, example: 5 }
}

const RESPONSES = {
  InvalidInput: refused(
    'The request does not have the shape it must have (格式错误)',
    new Refusal('InvalidInput', 400, '/lines/0/quantity must be: Quantity greater than zero, e.g. "5"', {
      errors: [{ pointer: '/lines/0/quantity', detail: 'must be: Quantity greater than zero, e.g. "5"', sent: 5 }]
    }),
    '/v1/warehouses/HQ/slips'
  ),
  CredentialsRequired: refused(
    'No credentials, or none that are good (未登录)',
    new Refusal(
      'CredentialsRequired',
      401,
      'say who you are: an access token as "Authorization: Bearer …" or an API key as "x-api-key: bck_…"'
    ),
    slip,
    { 'WWW-Authenticate': { description: 'How to say who you are', schema: { type: 'string' }, example: 'Bearer' } }
  ),
  DutyRequired: refused(
    'Not the duty of who asks (无此岗位权限)',
    new Refusal('DutyRequired', 403, 'this needs the duty keeper (仓管员) for warehouse HQ; you hold technician'),
    slip
  ),
  NotFound: refused(
    'Not there, or in a warehouse that who asks may not see (不存在或不可见)',
    new Refusal('NotFound', 404, 'there is no slip HQ-OUT-202611-00017, or you may not see it'),
    slip
  ),
  VersionStale: refused(
    'Somebody changed it meanwhile; If-Match names another version (版本已变)',
    new Refusal(
      'VersionStale',
      412,
      'somebody changed this meanwhile: If-Match is "3", the present version is "4"; read it again and repeat the change'
    ),
    slip
  ),
  Refused: refused(
    'Any other refusal: 409 the state forbids it, 413 too large, 415 another media type, 422 a rule forbids it, 429 too often (业务拒绝)',
    new Refusal('InsufficientStock', 409, 'stock is short: line 1 (CH-0234) wants 5, 3 available'),
    `${slip}/posting`,
    RETRY_AFTER
  ),
  Failed: refused(
    'The service cannot answer now; the detail says what is known of the effect (服务故障)',
    new Refusal(
      'DatabaseUnavailable',
      503,
      'the database does not answer at the moment, try again in a few seconds; nothing was changed'
    ),
    slip,
    RETRY_AFTER
  )
}

const IDEMPOTENCY_KEY = {
  in: 'header',
  name: 'Idempotency-Key',
  required: false,
  description:
    'Makes a repeat safe (防重复提交): a request with the same key and content within 24 hours is answered what the first one was answered and changes nothing; another content under the same key is refused with 422. 1 to 200 characters, such as a UUID.',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
  example: '7d7e6f0a-6a2d-4a5c-9d0e-2f7c1b8f3a11'
}

const HEADERS = {
  ETag: {
    description: 'Version of what is answered; send it back as If-Match (版本标识)',
    schema: { type: 'string' },
    example: '"3"'
  },
  Location: {
    description: 'Where the new thing is read, if it has a place of its own',
    schema: { type: 'string' },
    example: slip
  },
  'Idempotent-Replayed': {
    description: '`true` if the answer is the kept one of an earlier request with the same Idempotency-Key',
    schema: { type: 'string', enum: ['true'] }
  }
}
const header = (name: keyof typeof HEADERS) => ({ [name]: { $ref: `#/components/headers/${name}` } })
const response = (name: keyof typeof RESPONSES) => ({ $ref: `#/components/responses/${name}` })

/** The document as clients read it, from the one the routes gave. */
export function finishDocument<Given extends object>(given: Given): Given {
  const document = given as unknown as Document
  for (const item of Object.values(document.paths)) {
    for (const [method, operation] of Object.entries(item)) item[method] = finished(operation, method, document)
  }
  document.components = {
    ...document.components,
    parameters: { ...document.components.parameters, IdempotencyKey: IDEMPOTENCY_KEY },
    headers: { ...document.components.headers, ...HEADERS },
    responses: { ...document.components.responses, ...RESPONSES }
  }
  return given
}

function finished(operation: Operation, method: string, { components: { schemas } }: Document): Operation {
  const { parameters = [], requestBody, responses } = operation
  const isOpen = operation.security?.length === 0
  const takesKey = method === 'post' && !isOpen
  const has = (place: string, name?: string) =>
    parameters.some((parameter) => parameter.in === place && (name === undefined || parameter.name === name))
  const successes = Object.entries(responses).filter(([status]) => status.startsWith('2'))
  return {
    ...operation,
    ...((takesKey || parameters.length > 0) && {
      parameters: [...parameters, ...(takesKey ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : [])]
    }),
    ...(requestBody && {
      requestBody: { ...requestBody, content: mapValues(requestBody.content, (media) => withExample(media, schemas)) }
    }),
    responses: {
      ...Object.fromEntries(
        successes.map(([status, answer]) => [status, success(answer, { status, takesKey, schemas })])
      ),
      ...((parameters.length > 0 || requestBody !== undefined) && { 400: response('InvalidInput') }),
      ...((!isOpen || requestBody !== undefined) && { 401: response('CredentialsRequired') }),
      ...(!isOpen && { 403: response('DutyRequired') }),
      ...(has('path') && { 404: response('NotFound') }),
      ...(has('header', 'if-match') && { 412: response('VersionStale') }),
      '4XX': response('Refused'),
      '5XX': response('Failed')
    }
  }
}

function success(
  answer: Answer,
  { status, takesKey, schemas }: { status: string; takesKey: boolean; schemas: Document['components']['schemas'] }
): Answer {
  const json = answer.content?.['application/json']?.schema
  const headers = {
    ...(json !== undefined && isVersioned(json, schemas) && header('ETag')),
    ...(status === '201' && header('Location')),
    ...(takesKey && header('Idempotent-Replayed'))
  }
  return {
    ...answer,
    description: described(answer, json, schemas),
    ...(Object.keys(headers).length > 0 && { headers: { ...answer.headers, ...headers } }),
    ...(answer.content && {
      // Files are what they are, whatever the JSON beside them looks like.
      content: mapValues(answer.content, (media, type) =>
        type === 'text/csv'
          ? { ...media, schema: { type: 'string' } }
          : type === XLSX
            ? { ...media, schema: { type: 'string', contentMediaType: XLSX } }
            : media
      )
    })
  }
}

// Fastify's own word for a response without description says nothing.
function described(answer: Answer, json: Schema | undefined, schemas: Document['components']['schemas']): string {
  if (answer.description !== undefined && answer.description !== 'Default Response') return answer.description
  const name = json?.$ref?.split('/').at(-1)
  const words = name?.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase()
  return (json && (resolved(json, schemas) as { description?: string }).description) ?? words ?? 'Done'
}

const resolved = (schema: Schema, schemas: Document['components']['schemas']): Schema => {
  const named = schema.$ref === undefined ? undefined : schemas[schema.$ref.split('/').at(-1) ?? '']
  return named === undefined ? schema : resolved(named, schemas)
}

/** A document with a version of its own answers it as ETag. */
function isVersioned(schema: Schema, schemas: Document['components']['schemas']): boolean {
  const { properties = {} } = resolved(schema, schemas)
  return 'version' in properties && ('number' in properties || 'code' in properties || 'serial' in properties)
}

/** A body shows how it looks: the example its schema gives, else one made of the examples of its required members. */
function withExample(media: Media, schemas: Document['components']['schemas']): Media {
  if (media.example !== undefined || media.schema === undefined) return media
  const example = exampleOf(media.schema, schemas)
  return example === undefined ? media : { ...media, example }
}

function exampleOf(given: Schema, schemas: Document['components']['schemas']): unknown {
  const schema = resolved(given, schemas)
  if (schema.examples !== undefined) return schema.examples[0]
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  if (schema.anyOf?.[0] !== undefined) return exampleOf(schema.anyOf[0], schemas)
  if (schema.type === 'array') return schema.items === undefined ? [] : [exampleOf(schema.items, schemas)]
  if (schema.type === 'object')
    return Object.fromEntries(
      (schema.required ?? []).map((name) => [name, exampleOf(schema.properties?.[name] ?? {}, schemas)])
    )
  return schema.default
}

const mapValues = <Value, Mapped>(
  record: Record<string, Value>,
  map: (value: Value, key: string) => Mapped
): Record<string, Mapped> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]))

/** The document as text, members of paths and components in alphabetical order, so that a change of it shows as a change of lines. */
export function documentText(given: object): string {
  const { paths, components, ...head } = given as { paths: object; components: Record<string, object> }
  return `${JSON.stringify({ ...head, paths: sorted(paths), components: sorted(mapValues(components, (part) => sorted(part))) }, null, 2)}\n`
}

const sorted = (record: object): object =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
