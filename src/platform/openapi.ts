import fp from 'fastify-plugin'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import AjvCompiler from '@fastify/ajv-compiler'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'
import type { Ajv } from 'ajv'
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'
import { finishDocument } from './openapi-document.ts'
import { namedSchemas } from './schemas.ts'

/** The description of every tag, in the order of the document. Rooms add theirs in `app.ts`. */
export interface ApiDescription {
  version: string
  tags: { name: string; description: string }[]
}

/** OpenAPI 3.1 from the route schemas, the document at `/openapi.json`, the page at `/docs`. */
export const openapi = fp<ApiDescription>(
  async (app, { version, tags }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'bincard',
          version,
          description:
            'Spare-parts warehouse service (售后备件仓库服务): stock per warehouse through slips with three signatures, lots, counts, depreciation, alerts. Amounts and quantities are decimal strings, days are in the business time zone, instants in UTC.',
          license: { name: 'MIT', identifier: 'MIT' }
        },
        servers: [{ url: '/', description: 'the server this document came from' }],
        tags,
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
            apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' }
          }
        },
        security: [{ bearer: [] }, { apiKey: [] }]
      },
      refResolver: { buildLocalReference: (json) => json.$id as string },
      transformObject: (document) =>
        'openapiObject' in document ? finishDocument(document.openapiObject) : document.swaggerObject
    })
    await app.register(swaggerUi, { routePrefix: '/docs', uiConfig: { docExpansion: 'list', deepLinking: true } })
    for (const schema of namedSchemas) app.addSchema(schema)
    // Set, and not left to Fastify to make: it would make them anew for every plugin, three quarters of the time it takes to build the app.
    const schemas = app.getSchemas() as Named
    app.setValidatorCompiler(validatorsOf(schemas))
    app.setSerializerCompiler(serializersOf(schemas))
    app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  },
  { name: 'openapi' }
)

/** A day of the calendar. There is no year 0; PostgreSQL would refuse it. */
function isDay(text: string): boolean {
  if (!/^(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text)) return false
  const [year = 0, month = 0, day = 0] = text.split('-').map(Number)
  return month >= 1 && month <= 12 && day >= 1 && day <= Temporal.PlainYearMonth.from({ year, month }).daysInMonth
}

type Named = Readonly<Record<string, object>>

/** Adds the named schemas that a schema refers to, and those that they refer to. */
function addReferred(schema: unknown, all: Named, found: Record<string, object>): void {
  if (typeof schema !== 'object' || schema === null) return
  const [name = ''] = '$ref' in schema ? String(schema.$ref).split('#') : []
  const referred = all[name]
  if (referred !== undefined && found[name] === undefined) {
    found[name] = referred
    addReferred(referred, all, found)
  }
  for (const member of Object.values(schema)) addReferred(member, all, found)
}

/** Bodies are checked as they are: `5` is not `"5"`. Paths and query strings are text by nature and are converted. */
function validatorsOf(schemas: Named): FastifySchemaCompiler<unknown> {
  const factory = AjvCompiler()
  const common = { allErrors: false, removeAdditional: false, useDefaults: true, verbose: true } as const
  const compiler = (coerceTypes: boolean) =>
    factory(schemas, {
      customOptions: { ...common, coerceTypes },
      onCreate: (ajv: Ajv) => ajv.addFormat('date', isDay)
    })
  const strict = compiler(false)
  const lenient = compiler(true)
  return (route) => (route.httpPart === 'body' ? strict : lenient)(route)
}

/**
 * A serializer looks through all schemas that it is given, and there is one per route and status: given all of them, the start of the
 * process would grow with the square of the API (12 of 15 seconds at 250 operations). So each gets those that its answer refers to, and
 * answers that are a named schema as a whole share one.
 */
function serializersOf(schemas: Named): FastifySerializerCompiler<unknown> {
  const factory = SerializerSelector()
  const shared = new Map<string, ReturnType<ReturnType<typeof factory>>>()
  return (route) => {
    const schema = route.schema as object
    const members = Object.keys(schema)
    const name = members.length === 1 && '$ref' in schema ? String(schema.$ref) : undefined
    const known = name === undefined ? undefined : shared.get(name)
    if (known !== undefined) return known
    const referred: Record<string, object> = {}
    addReferred(schema, schemas, referred)
    const serializer = factory(referred, {})(route as never)
    if (name !== undefined) shared.set(name, serializer)
    return serializer
  }
}
