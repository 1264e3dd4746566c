import fp from 'fastify-plugin'
import { Refusal } from './errors.ts'

// What is true of every request, whatever operation it asks for: JSON is UTF-8, text can be stored, and what is not known is not
// silently ignored.

const NOTHING = { type: 'object', properties: {}, additionalProperties: false }

/** Registered before every route. */
export const requests = fp(
  async (app) => {
    const parse = app.getDefaultJsonParser('error', 'error')
    app.removeContentTypeParser('text/plain')
    app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
      let text: string
      try {
        text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
      } catch {
        return done(new Refusal('InvalidJson', 400, 'the body is not UTF-8; JSON is sent as UTF-8'))
      }
      // An operation whose members are all optional takes a POST that says nothing; any other answers which member is missing.
      if (text === '') return done(null, {})
      void parse(request, text, (error, body) =>
        done(error === null ? null : new Refusal('InvalidJson', 400, faultOf(text)), body)
      )
    })

    // Fastify checks a query string only where there is a schema of one.
    app.addHook('onRoute', ({ path, schema }) => {
      if (path.startsWith('/v1/') && schema !== undefined && schema.querystring === undefined)
        schema.querystring = NOTHING
    })

    app.addHook('preValidation', (request, _reply, done) => {
      if (request.method === 'POST' && request.body === undefined && request.headers['content-type'] === undefined)
        request.body = {}
      try {
        requireText(request.params, '{', '.')
        requireText(request.query, '?', '.')
        requireText(request.body, '', '/')
        done()
      } catch (error) {
        done(error as Refusal)
      }
    })
    // The validator turns the text 1e999 into infinity and then holds it to be an integer within any bounds.
    app.addHook('preHandler', (request, _reply, done) => {
      for (const [source, before, after] of [
        [request.query, '?', ''],
        [request.params, '{', '}']
      ] as const) {
        for (const [name, value] of Object.entries(source ?? {})) {
          if (typeof value === 'number' && !Number.isFinite(value)) {
            const pointer = `${before}${name}${after}`
            const detail = 'must be a number that can be written out'
            return done(new Refusal('InvalidInput', 400, `${pointer} ${detail}`, { errors: [{ pointer, detail }] }))
          }
        }
      }
      done()
    })
  },
  { name: 'requests' }
)

function faultOf(text: string): string {
  try {
    JSON.parse(text)
  } catch (error) {
    // The engine quotes what is around the fault, which may be half a password.
    const { message } = error as Error
    return `the body is not JSON: ${/password|token|secret/i.test(text) ? message.replace(/, (\.\.\.)?"[^]*$/, '') : message}`
  }
  return 'the body has a member __proto__ or constructor.prototype, which no operation takes; leave it away'
}

/**
 * PostgreSQL cannot store U+0000, and half of a surrogate pair is no character: UTF-8 would turn it into another text.
 * @throws Refusal 400 `TextInvalid`
 */
function requireText(value: unknown, pointer: string, separator: string): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw textInvalid(pointer, 'holds the character U+0000, which no text has; leave it away')
    if (!value.isWellFormed()) throw textInvalid(pointer, 'holds half a character (a lone surrogate); send whole ones')
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    const isRoot = pointer === '' || pointer === '?' || pointer === '{'
    const place = `${pointer}${isRoot && separator === '.' ? '' : separator}${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    requireText(name, place.toWellFormed(), separator)
    requireText(member, place, separator)
  }
}

function textInvalid(place: string, detail: string): Refusal {
  const pointer = place.startsWith('{') ? `${place}}` : place
  return new Refusal('TextInvalid', 400, `${pointer === '' ? 'the body' : pointer} ${detail}`, {
    errors: [{ pointer, detail }]
  })
}
