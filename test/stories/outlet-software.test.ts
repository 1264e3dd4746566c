import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { BincardProblem, createBincardClient, orThrow } from 'bincard-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadSample } from '../../src/sample/load-sample.ts'
import { counterOf, openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { relayed } from '../support/relay.ts'
import { OPENAPI, ROOT, runInWorkspace } from '../support/workspace.ts'

let h: Harness
let counter: Counter
let baseUrl: string

beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
  baseUrl = `http://127.0.0.1:${(h.app.server.address() as AddressInfo).port}`
})
afterAll(() => h.close())

/** Compiles an example of openapi/README.md under TypeScript, and runs it against a service; answers the lines that it writes. */
async function runExample(name: string, at: Harness, password: string): Promise<string[]> {
  const readme = await readFile(path.join(OPENAPI, 'README.md'), 'utf8')
  const [, example] = new RegExp(`<!-- ${name}: [^\\n]*-->\n\`\`\`js\n(.*?)\`\`\``, 's').exec(readme) ?? []
  expect(example).toBeDefined()
  // Inside the project, where the name of the workspace leads to it as it would in an outlet's own node_modules.
  const folder = await mkdtemp(path.join(ROOT, 'node_modules', '.example-'))
  try {
    await writeFile(path.join(folder, 'example.mts'), example ?? '')
    const compiler = {
      target: 'es2022',
      lib: ['es2023', 'dom'],
      types: ['node'],
      module: 'nodenext',
      strict: true,
      outDir: '.',
      skipLibCheck: true
    }
    await writeFile(
      path.join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: compiler, files: ['example.mts'] })
    )
    expect(await runInWorkspace('tsc', ['-p', folder])).toBe('')
    const { stdout } = await promisify(execFile)(process.execPath, [path.join(folder, 'example.mjs')], {
      env: {
        ...process.env,
        BINCARD_URL: `http://127.0.0.1:${(at.app.server.address() as AddressInfo).port}`,
        BINCARD_PASSWORD: password
      }
    })
    return stdout.trim().split('\n')
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe('the examples of openapi/README.md compile under TypeScript and do what they say in the sample company', () => {
  const password = 'the password of the sample'
  let sample: Harness
  beforeAll(async () => {
    sample = await openHarness()
    // The example says by when it needs the parts, by the clock of the machine.
    sample.clock.set(Temporal.Now.instant().toString())
    await loadSample(sample.runtime, { password, log: sample.app.log })
  }, 120_000)
  afterAll(() => sample.close())

  test('an issue from a keeper’s point of view', async () => {
    const lines = await runExample('example', sample, password)
    const [slip] = /\S+-OUT-\d{6}-\d{5}/.exec(lines.join('\n')) ?? []
    expect(lines).toEqual([
      expect.stringMatching(/^available: [1-9]\d*$/),
      `出库单 ${slip} awaits department-head, operations-supervisor, finance-supervisor`,
      `SlipNotApproved: slip ${slip} is awaiting-signatures; it is posted when all have signed; awaited: department-head, operations-supervisor, finance-supervisor`,
      `${slip} is now 1 of CH-0234`,
      expect.stringMatching(/^slips awaiting signatures: [1-9]\d*$/)
    ])
  }, 60_000)

  test('a request from an outlet’s point of view (R-REQ-1, R-REQ-3, R-REQ-5)', async () => {
    const centre = await counterOf(sample, 'SZ01', password)
    const { body: token } = await sample.api.post('/v1/auth/tokens').send({ username: 'outlet-clerk@sz11', password })
    const earlier = await sample.api
      .post('/v1/requests')
      .auth(token.accessToken, { type: 'bearer' })
      .send({
        warehouse: 'SZ11',
        urgency: 'emergency',
        carriage: 'express',
        needBy: sample.clock.today(),
        lines: [{ part: 'RA-H123', quantity: '1' }]
      })
    expect(earlier.status).toBe(201)
    await centre.posted({ kind: 'opening', lines: [{ part: 'RA-H123', quantity: '1', unitCost: '44.88' }] })
    await relayed(sample)

    const lines = await runExample('request', sample, password)
    const [request] = /SZ11-REQ-\d{6}-\d{5}/.exec(lines.join('\n')) ?? []
    expect(lines).toEqual([
      'deposit: 19880.00 of 20000.00 free',
      `${request} is served by SZ01`,
      'CH-0234: 2 from SZ01 (centre), ready',
      expect.stringMatching(/^RA-H123: 1 promised for \d{4}-\d{2}-\d{2}$/),
      expect.stringMatching(/^line 1 is due on \d{4}-\d{2}-\d{2}$/),
      expect.stringMatching(/^line 2 is due on \d{4}-\d{2}-\d{2}$/),
      'DepositExceeded',
      expect.stringMatching(/^SZ11-BKO-\d{6}-\d{5} is confirmed$/),
      'CH-0234 ready, RA-H123 cancelled',
      'requested, allocated, backordered, cancelled'
    ])
  }, 90_000)
})

describe('the client', () => {
  const keeper = () => ({
    baseUrl,
    username: counter.keeper.person.username,
    password: counter.keeper.person.password,
    pauseMs: 1
  })
  const issue = async (part: string) => ({
    params: { path: { warehouse: counter.warehouse } },
    body: { kind: 'issue' as const, lines: [{ part, quantity: '1' }] }
  })
  const slips = async (part: string) =>
    (
      await h.sql<{ count: number }>(
        'select count(*)::int from slip_line join part on part.id = part_id where part.number = $1',
        [part]
      )
    )[0]?.count

  test('signs in once for requests that start together, and renews its token by the refresh token before it ends', async () => {
    const asked: string[] = []
    const bincard = createBincardClient({
      ...keeper(),
      fetch: async (request) => {
        asked.push(new URL(request.url).pathname)
        const response = await fetch(request)
        // A token that is at its end as soon as it is there.
        return request.url.includes('/auth/')
          ? Response.json({ ...((await response.json()) as object), expiresIn: 0 }, { status: response.status })
          : response
      }
    })
    const [me] = await Promise.all([
      orThrow(bincard.GET('/v1/me')),
      orThrow(bincard.GET('/v1/me')),
      orThrow(bincard.GET('/v1/me'))
    ])
    await orThrow(bincard.GET('/v1/me'))
    expect(me.username).toBe(counter.keeper.person.username)
    expect(asked.filter((url) => url.includes('/auth/'))).toEqual(['/v1/auth/tokens', '/v1/auth/refresh'])
  })

  test('signs in again when the service no longer takes its token, and goes on', async () => {
    const bincard = createBincardClient(keeper())
    await orThrow(bincard.GET('/v1/me'))
    h.clock.advance({ days: 60 })
    expect((await orThrow(bincard.GET('/v1/me'))).username).toBe(counter.keeper.person.username)
    h.clock.advance({ days: -60 })
  })

  test('sends a POST again whose answer was lost, and it takes effect once', async () => {
    const part = await h.make.part()
    let lost = 0
    const bincard = createBincardClient({
      ...keeper(),
      fetch: async (request) => {
        const response = await fetch(request)
        if (!request.url.endsWith('/slips') || lost === 2) return response
        lost++
        throw new TypeError('fetch failed')
      }
    })
    const answer = await bincard.POST('/v1/warehouses/{warehouse}/slips', await issue(part.number))
    expect(answer.response.headers.get('idempotent-replayed')).toBe('true')
    expect(answer.data?.state).toBe('awaiting-signatures')
    expect(await slips(part.number)).toBe(1)
  })

  test('waits as long as the service says, and no PUT is sent a second time', async () => {
    const sent: string[] = []
    const failing = (status: number, headers: Record<string, string>) =>
      createBincardClient({
        baseUrl,
        apiKey: 'bck_000000000000_x',
        attempts: 2,
        pauseMs: 1,
        fetch: async (request) => (sent.push(request.method), new Response('away', { status, headers }))
      })
    const started = performance.now()
    const { error, response } = await failing(429, { 'retry-after': '1' }).PUT('/v1/me/password', {
      body: { currentPassword: 'x', newPassword: 'y' }
    })
    expect({ error, status: response.status, sent }).toEqual({ error: 'away', status: 429, sent: ['PUT', 'PUT'] })
    expect(performance.now() - started).toBeGreaterThan(990)
    await failing(503, {}).PUT('/v1/me/password', { body: { currentPassword: 'x', newPassword: 'y' } })
    expect(sent).toHaveLength(3)
  })

  test('throws a refusal with its code, also of the sign-in and of whatever stands in between', async () => {
    const bincard = createBincardClient({ baseUrl, token: async () => counter.keeper.person.token })
    const unknown = orThrow(bincard.POST('/v1/warehouses/{warehouse}/slips', await issue('NO-SUCH-PART')))
    await expect(unknown).rejects.toMatchObject({
      name: 'BincardProblem',
      code: 'PartUnknown',
      status: 422,
      problem: { errors: [{ pointer: '/lines/0/part' }] }
    })
    const stranger = createBincardClient({ ...keeper(), password: 'wrong' })
    await expect(stranger.GET('/v1/me')).rejects.toMatchObject({ code: 'CredentialsWrong', status: 401 })
    const proxied = createBincardClient({
      baseUrl,
      apiKey: 'k',
      attempts: 1,
      fetch: async () =>
        Object.defineProperty(new Response('<h1>Bad gateway</h1>', { status: 502 }), 'url', {
          value: `${baseUrl}/v1/me`
        })
    })
    await expect(orThrow(proxied.GET('/v1/me'))).rejects.toBeInstanceOf(BincardProblem)
    await expect(orThrow(proxied.GET('/v1/me'))).rejects.toMatchObject({ code: 'NotAProblem', status: 502 })
  })
})
