import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documentText } from '../../src/platform/openapi-document.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { OPENAPI, runInWorkspace } from '../support/workspace.ts'

const file = (name: string) => readFile(path.join(OPENAPI, name), 'utf8')
const MEND = 'npm run openapi'

interface Operation {
  operationId?: string
  summary?: string
  tags?: string[]
  security?: unknown[]
  parameters?: { $ref?: string; name?: string; in?: string; required?: boolean }[]
  requestBody?: { content: Record<string, { example?: unknown }> }
  responses: Record<string, { $ref?: string; description?: string }>
}

let h: Harness
let document: { paths: Record<string, Record<string, Operation>>; tags: { name: string }[] }
let operations: { route: string; method: string; operation: Operation }[]

beforeAll(async () => {
  h = await openHarness()
  document = JSON.parse(await file('bincard.json')) as typeof document
  operations = Object.entries(document.paths).flatMap(([url, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ route: `${method} ${url}`, method, operation }))
  )
})
afterAll(() => h.close())

test('openapi/bincard.json is what the running service says', async () => {
  expect(
    documentText((await h.api.get('/openapi.json')).body as object) === (await file('bincard.json')),
    `openapi/bincard.json is out of date: ${MEND}`
  ).toBe(true)
})

test('the types of the client are generated from it', async () => {
  expect(
    await runInWorkspace('openapi-typescript', [
      'bincard.json',
      '-o',
      'schema.d.ts',
      '--default-non-nullable=false',
      '--check'
    ]),
    MEND
  ).toBe('')
})

test('client.js and client.d.ts are built from client.ts', async () => {
  const built = await mkdtemp(path.join(tmpdir(), 'bincard-client-'))
  try {
    expect(await runInWorkspace('tsc', ['-p', '.', '--outDir', built])).toBe('')
    for (const name of ['client.js', 'client.d.ts']) {
      expect(
        (await readFile(path.join(built, name), 'utf8')) === (await file(name)),
        `openapi/${name} is out of date: ${MEND}`
      ).toBe(true)
    }
  } finally {
    await rm(built, { recursive: true })
  }
})

describe('every operation', () => {
  const lacking = (isFine: (operation: Operation, method: string) => boolean) =>
    operations.filter(({ operation, method }) => !isFine(operation, method)).map(({ route }) => route)

  test('has a name of its own, a tag that is described and a summary with the Chinese term', () => {
    const names = operations.map(({ operation }) => operation.operationId)
    expect(new Set(names).size).toBe(names.length)
    const tags = new Set(document.tags.map(({ name }) => name))
    expect(
      lacking(
        ({ operationId, tags: own = [] }) =>
          /^[a-z][A-Za-z]+$/.test(operationId ?? '') && own.length === 1 && own.every((tag) => tags.has(tag))
      )
    ).toEqual([])
    expect(lacking(({ summary = '' }) => /[a-z].*\(.*\p{Script=Han}.*\)/u.test(summary))).toEqual([])
  })

  test('says how it refuses', () => {
    expect(lacking(({ responses }) => '4XX' in responses && '5XX' in responses)).toEqual([])
    expect(
      lacking(({ responses, security }) => security?.length === 0 || ('401' in responses && '403' in responses))
    ).toEqual([])
  })

  test('with a body shows one', () => {
    expect(
      lacking(
        ({ requestBody }) =>
          requestBody === undefined || Object.values(requestBody.content).every(({ example }) => example !== undefined)
      )
    ).toEqual([])
  })

  test('that is a POST takes an Idempotency-Key, unless it is public', () => {
    const takesKey = ({ parameters = [] }: Operation) =>
      parameters.some(({ $ref }) => $ref === '#/components/parameters/IdempotencyKey')
    expect(
      lacking((operation, method) => takesKey(operation) === (method === 'post' && operation.security === undefined))
    ).toEqual([])
  })
})
