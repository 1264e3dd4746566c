import fp from 'fastify-plugin'

/**
 * A POST without a body is a POST that says nothing: an operation whose members are all optional takes it, and any other
 * answers which member is missing. The same for an empty body that calls itself JSON.
 */
export const emptyBodies = fp(async (app) => {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, {})
    else parse(request, body as string, done)
  })
  app.addHook('preValidation', async (request) => {
    if (request.method === 'POST' && request.body === undefined && request.headers['content-type'] === undefined) request.body = {}
  })
}, { name: 'empty-bodies' })
