import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { cloneDatabase } from './support/harness.ts'
import { redisDatabase } from './support/redis.ts'

const SECRET = 'a secret that is long enough for anything'

vi.setConfig({ testTimeout: 120_000 })

let dataDir: string
const children: ChildProcess[] = []

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'bincard-process-'))
  await chmod(dataDir, 0o755)
})

afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGKILL')
  const pid = await postmasterPid()
  if (pid !== undefined) process.kill(pid, 'SIGQUIT')
  await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

const postmasterPid = async (): Promise<number | undefined> =>
  Number((await readFile(path.join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]) ||
  undefined

interface Running {
  child: ChildProcess
  output(): string
  errors(): string
}

/** One of the service's processes as its own program, on this test's data folder and a free port. */
function run(file: string, env: NodeJS.ProcessEnv = {}, args: string[] = []): Running {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../src/${file}`, import.meta.url)), ...args], {
    env: { PATH: process.env['PATH'], PORT: '0', DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  children.push(child)
  let [output, errors] = ['', '']
  child.stdout?.on('data', (data: Buffer) => (output += data))
  child.stderr?.on('data', (data: Buffer) => (errors += data))
  return { child, output: () => output, errors: () => errors }
}

async function said({ child, output, errors }: Running, pattern: RegExp): Promise<string> {
  for (let attempt = 0; attempt < 1_200; attempt++) {
    const [, found] = pattern.exec(output()) ?? []
    if (found !== undefined) return found
    if (child.exitCode !== null) break
    await sleep(50)
  }
  throw new Error(`the process did not say ${pattern}:\n${output()}${errors()}`)
}

const listening = (running: Running): Promise<string> => said(running, /listening at (http:\/\/127\.0\.0\.1:[0-9]+)/)
const working = (running: Running): Promise<string> => said(running, /(worker ready)/)

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal)
    await once(child, 'exit')
  }
  return child.exitCode
}

async function statusOf(url: string): Promise<unknown> {
  const response = await fetch(url)
  return [response.status, await response.json()]
}

const READY = [200, { status: 'ready', database: 'ready', queue: 'ready' }]

test('npm start serves the API, its documentation and jobs on its own database, and SIGTERM closes all of it', async () => {
  const service = run('main.ts', { HOST: '127.0.0.1' })
  const url = await listening(service)
  await working(service)

  expect(await statusOf(`${url}/health`)).toEqual([
    200,
    { status: 'ok', version: expect.any(String), uptimeSeconds: expect.any(Number) }
  ])
  expect(await statusOf(`${url}/ready`)).toEqual(READY)
  expect(await said(service, /(http:\/\/127\.0\.0\.1:[0-9]+\/docs)/)).toBe(`${url}/docs`)
  expect((await fetch(`${url}/docs`)).status).toBe(200)

  const began = performance.now()
  // npm and a supervisor may each pass the signal on.
  service.child.kill('SIGTERM')
  expect(await end(service.child, 'SIGTERM')).toBe(0)
  expect(performance.now() - began).toBeLessThan(10_000)
  expect(await postmasterPid()).toBeUndefined()
})

test('after kill -9 of the service, and then of service and database, the next start works', async () => {
  const first = run('main.ts', { HOST: '127.0.0.1' })
  await listening(first)
  await end(first.child, 'SIGKILL')

  const second = run('main.ts', { HOST: '127.0.0.1' })
  expect(await statusOf(`${await listening(second)}/ready`)).toEqual(READY)
  await end(second.child, 'SIGKILL')
  const pid = await postmasterPid()
  if (pid !== undefined) process.kill(pid, 'SIGKILL')

  const third = run('main.ts', { HOST: '127.0.0.1' })
  expect(await statusOf(`${await listening(third)}/ready`)).toEqual(READY)
  expect(await end(third.child, 'SIGTERM')).toBe(0)
})

test('SIGTERM lets a request that was begun finish', async () => {
  const database = await cloneDatabase()
  const server = run('server.ts', { HOST: '127.0.0.1', DATABASE_URL: database.url, JWT_SECRET: SECRET })
  const { port } = new URL(await listening(server))
  const body = JSON.stringify({ username: 'nobody@hq', password: 'wrong' })
  const socket = connect(Number(port), '127.0.0.1')
  const answer = everythingFrom(socket)
  socket.write(
    `POST /v1/auth/tokens HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body.slice(0, 5)}`
  )
  await sleep(200)

  server.child.kill('SIGTERM')
  await said(server, /(shutting down)/)
  await sleep(200)
  socket.write(body.slice(5))

  expect(await answer).toMatch(/^HTTP\/1\.1 401 /)
  if (server.child.exitCode === null) await once(server.child, 'exit')
  expect(server.child.exitCode).toBe(0)
  await database.drop()
})

async function everythingFrom(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

test.for([
  { store: 'PostgreSQL', redisUrl: undefined, isHere: true },
  { store: 'Redis', redisUrl: redisDatabase(2) ?? undefined, isHere: redisDatabase(2) !== null }
])(
  'server and worker run as two processes on a configured database, with the queue in $store',
  async ({ redisUrl, isHere }, { skip }) => {
    skip(!isHere, 'no Redis here')
    const database = await cloneDatabase()
    const env = {
      HOST: '127.0.0.1',
      DATABASE_URL: database.url,
      JWT_SECRET: SECRET,
      ...(redisUrl !== undefined && { REDIS_URL: redisUrl })
    }
    const server = run('server.ts', env)
    const worker = run('worker.ts', env)

    expect(await statusOf(`${await listening(server)}/ready`)).toEqual(READY)
    await working(worker)

    expect([await end(server.child, 'SIGTERM'), await end(worker.child, 'SIGINT')]).toEqual([0, 0])
    await database.drop()
  }
)

test('on a configured database that is empty, the start says how to get in, and no longer once somebody is', async () => {
  const database = await cloneDatabase()
  const env = { HOST: '127.0.0.1', DATABASE_URL: database.url, JWT_SECRET: SECRET }
  const first = run('main.ts', env)
  await said(first, /(bincard is ready)/)
  expect(await said(first, /(create-admin <username>)/)).toBe('create-admin <username>')
  const cli = run('cli.ts', env, ['create-admin', 'boss@hq'])
  await once(cli.child, 'close')
  expect(await end(first.child, 'SIGTERM')).toBe(0)

  const second = run('main.ts', env)
  await said(second, /(bincard is ready[^]*\/docs\n\n)/)
  await sleep(100)
  expect(second.output()).not.toContain('create-admin')

  await end(second.child, 'SIGTERM')
  await database.drop()
})

test('a Node that is too old is told in one line', async () => {
  const old = `Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } })`
  const check = fileURLToPath(new URL('../src/check-node.mjs', import.meta.url))
  const child = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${old}`, '--import', check, '--eval', 'console.log("started")'],
    { stdio: ['ignore', 'pipe', 'pipe'] }
  )
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data))
  await once(child, 'close')

  expect(child.exitCode).toBe(1)
  expect(text).toMatch(/^bincard needs Node 26 and this is v[^\n]*\n$/)
})

test('a wrong configuration is one message without a stack', async () => {
  const service = run('main.ts', { PORT: 'eighty', DATABASE_URL: 'postgres://127.0.0.1/bincard' })
  await once(service.child, 'exit')

  expect(service.child.exitCode).toBe(1)
  expect(service.output()).toBe('')
  expect(service.errors()).toBe(
    `the configuration is not usable:
  - PORT is "eighty"; it must be a TCP port, 0 to 65535 (0 takes a free one)
  - DATABASE_URL is set but neither JWT_SECRET (at least 32 characters) nor OIDC_ISSUER is; tokens would not survive a restart or be the same in two processes
`
  )
})

test.for(['main.ts', 'server.ts'])(
  '%s says in one line that a port is taken, before it begins anything',
  async (file) => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const service = run(file, { HOST: '127.0.0.1', PORT: String(port) })
    await once(service.child, 'close')
    other.close()

    expect([service.child.exitCode, service.output(), service.errors()]).toEqual([
      1,
      '',
      `\nbincard did not start: port ${port} on 127.0.0.1 is taken; stop what listens there, or choose another port: PORT=${port < 65_535 ? port + 1 : port - 1}\n`
    ])
    expect(await readdir(dataDir)).toEqual([])
  }
)

test('a Redis that does not answer is said in words', async () => {
  const service = run('main.ts', { REDIS_URL: 'redis://127.0.0.1:1' })
  await once(service.child, 'exit')

  expect(service.child.exitCode).toBe(1)
  expect(service.errors()).toContain(
    'bincard did not start: the queue at REDIS_URL does not answer: nothing listens at 127.0.0.1:1;'
  )
  expect(await postmasterPid()).toBeUndefined()
})

test.for([
  [{ DATA_DIR: '/etc/hostname' }, /the data folder \/etc\/hostname is not a folder.*DATA_DIR/],
  [{ DATA_DIR: '/etc/hostname/below' }, /the data folder \/etc\/hostname\/below is not a folder.*DATA_DIR/],
  [{ HOST: '192.0.2.1' }, /HOST is 192\.0\.2\.1, which is no address of this machine/],
  [{ HOST: 'nope.invalid' }, /HOST is nope\.invalid, a name that is not known here/],
  [{ DATABASE_URL: 'postgres://u:hunter2@nope.invalid/x' }, /the host nope\.invalid in DATABASE_URL is not known here/],
  [{ DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x' }, /no PostgreSQL answers at 127\.0\.0\.1:1 of DATABASE_URL/]
] as const)('a start with %o says what to change', async ([env, words]) => {
  const service = run('main.ts', { HOST: '127.0.0.1', JWT_SECRET: SECRET, ...env })
  await once(service.child, 'close')

  expect(service.child.exitCode).toBe(1)
  expect(service.errors()).toMatch(new RegExp(`^\\nbincard did not start: ${words.source}`))
  expect(service.errors()).not.toContain('hunter2')
})

test('a database that does not exist is said with how to create it', async () => {
  const database = await cloneDatabase()
  const url = Object.assign(new URL(database.url), { pathname: '/no_such_database' }).href
  const service = run('server.ts', { DATABASE_URL: url, JWT_SECRET: SECRET })
  await once(service.child, 'close')
  await database.drop()

  expect(service.errors()).toBe(
    '\nbincard did not start: the database no_such_database of DATABASE_URL does not exist; create it, e.g. createdb no_such_database, or name another\n'
  )
})

test('the command line migrates and creates the first administrator once', async () => {
  const first = run('cli.ts', {}, ['create-admin', 'boss@hq'])
  await once(first.child, 'close')
  const again = run('cli.ts', {}, ['create-admin', 'other@hq'])
  await once(again.child, 'close')

  expect([first.child.exitCode, first.output(), first.errors()]).toEqual([
    0,
    expect.stringMatching(/^boss@hq is administrator; password: \S{16,}\n$/),
    ''
  ])
  expect([again.child.exitCode, again.output(), again.errors()]).toEqual([
    1,
    '',
    'there is already an administrator; ask them to appoint another one\n'
  ])
})

const LEDGER = fileURLToPath(new URL('data/adventureworks', import.meta.url))

test('a replay reads what it is to compare with before it plays anything', async () => {
  const replay = run('replay.ts', {}, [LEDGER, '--products', '1', '--to', '2010-12-29', '--expect', '/nope'])
  await once(replay.child, 'close')

  expect([replay.child.exitCode, replay.output()]).toEqual([1, ''])
  expect(replay.errors()).toContain("ENOENT: no such file or directory, open '/nope'")
})

test('a replay leaves a store that is in use alone unless it is told otherwise', async () => {
  const database = await cloneDatabase()
  const env = { DATABASE_URL: database.url, JWT_SECRET: SECRET }
  const played = ['--products', '1', '--to', '2010-12-30']
  const cli = run('cli.ts', env, ['create-admin', 'boss@hq'])
  await once(cli.child, 'close')

  const refused = run('replay.ts', env, [LEDGER, ...played])
  await once(refused.child, 'close')
  expect([refused.child.exitCode, refused.errors()]).toEqual([1, expect.stringContaining('--into-database')])

  const told = run('replay.ts', env, [LEDGER, ...played, '--into-database'])
  await once(told.child, 'close')
  expect([told.child.exitCode, told.errors()]).toEqual([0, ''])
  expect(told.output()).toContain('self-check of the ledger: ok')
  await database.drop()
})

test('the command line prints the OpenAPI document without any database', async () => {
  const cli = run('cli.ts', { DATA_DIR: '/nowhere' }, ['openapi'])
  await once(cli.child, 'close')

  expect(cli.errors()).toBe('')
  expect(JSON.parse(cli.output())).toMatchObject({ openapi: '3.1.0', info: { title: 'bincard' } })
})

test('the command line runs a job under a row that can be asked about, and refuses one that is not there', async () => {
  const database = await cloneDatabase()
  const env = { DATABASE_URL: database.url, JWT_SECRET: SECRET }
  const command = async (...args: string[]) => {
    const cli = run('cli.ts', env, args)
    await once(cli.child, 'close')
    return { code: cli.child.exitCode, output: cli.output(), errors: cli.errors() }
  }
  try {
    expect(await command('run-job', 'replenishment.compute-levels', '--payload', '{"full":true}')).toMatchObject({
      code: 0,
      output: expect.stringContaining('replenishment.compute-levels: {"')
    })
    expect(await command('run-job', 'replenishment.compute-levels', '--payload', '{"full":1}')).toMatchObject({
      code: 1,
      output: '',
      errors: expect.stringContaining('the payload of job replenishment.compute-levels is wrong')
    })
    expect(await command('run-job', 'replenishment.dance')).toMatchObject({
      code: 1,
      errors: expect.stringContaining('there is no job replenishment.dance; there are platform.purge, ')
    })
    const listed = await command('jobs', '--state', 'done')
    expect(listed.output).toMatch(/^[0-9]+ replenishment\.compute-levels done/)
    const [id = ''] = listed.output.split(' ')
    expect(await command('watch-job', id)).toMatchObject({
      code: 0,
      output: expect.stringContaining('replenishment.compute-levels done: {"')
    })
  } finally {
    await database.drop()
  }
})
