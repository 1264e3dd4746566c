import Fastify from 'fastify'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { openapi } from '../../src/platform/openapi.ts'
import { takeBreaches, watched } from '../support/contract.ts'

// Every test that opens the service has its answers held against the document; this one shows that a difference is found.

const Shelf = Type.Object({ bin: Type.String(), count: Type.Integer(), note: Type.Union([Type.String(), Type.Null()]) })

test('an answer that has a member too many, one too few or one of another type is told, whatever the serializer made of it', async () => {
  const app = await watched(async () => {
    const built = Fastify()
    await built.register(openapi, { version: '1', tags: [] })
    const answers: Record<string, object> = {
      good: { bin: 'A1', count: 2, note: null },
      more: { bin: 'A1', count: 2, note: null, secret: 'dropped by the serializer' },
      other: { bin: 7, count: 2, note: null },
      tagged: { bin: 'A1', count: 2, note: null }
    }
    for (const [name, answer] of Object.entries(answers)) {
      built.get(`/${name}`, { schema: { operationId: name, response: { 200: Shelf } } }, (_request, reply) => {
        if (name === 'tagged') void reply.header('etag', '"1"')
        return answer
      })
    }
    await built.ready()
    return built
  })
  const breachesOf = async (url: string): Promise<string[]> => {
    expect((await app.inject(url)).statusCode).toBe(200)
    return takeBreaches()
  }
  expect(await breachesOf('/good')).toEqual([])
  expect(await breachesOf('/more')).toEqual([
    'GET /more → 200: the body before it was serialized must NOT have additional properties (secret)'
  ])
  expect(await breachesOf('/other')).toEqual(['GET /other → 200: /bin before it was serialized must be string'])
  expect(await breachesOf('/tagged')).toEqual(['GET /tagged → 200: it has an ETag that the document does not mention'])
  await app.close()
})
