import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { readOrMake, startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/embedded-postgres.ts'

const quiet = () => undefined
const log = { info: quiet, warn: quiet, error: quiet }

vi.setConfig({ testTimeout: 120_000 })

let dataDir: string
const servers: EmbeddedPostgres[] = []

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'bincard-embedded-'))
  await chmod(dataDir, 0o755)
})

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
  const pid = await postmasterPid()
  if (pid !== undefined) process.kill(pid, 'SIGQUIT')
  await gone(pid)
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
})

async function start(): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, log })
  servers.push(server)
  return server
}

async function rows(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

async function postmasterPid(): Promise<number | undefined> {
  const text = await readFile(path.join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')
  return Number(text.split('\n')[0]) || undefined
}

async function gone(pid: number | undefined): Promise<void> {
  for (let attempt = 0; pid !== undefined && attempt < 500; attempt++) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await sleep(20)
  }
}

/** A service of its own on the data folder, killed the hard way once its database answers; the database outlives it. */
async function killedService(statement = 'select 1'): Promise<void> {
  const module = new URL('../../src/platform/embedded-postgres.ts', import.meta.url).href
  const script = `
    import { Client } from 'pg'
    import { startEmbeddedPostgres } from ${JSON.stringify(module)}
    const log = { info () {}, warn () {}, error () {} }
    const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log })
    const client = new Client({ connectionString: server.url() })
    await client.connect()
    await client.query(${JSON.stringify(statement)})
    process.stdout.write('started')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('the first start makes a UTF-8 database that only this machine reaches, with a password', async () => {
  const server = await start()

  expect(
    await rows(
      server.url(),
      `select current_setting('server_version_num')::int / 10000 as version, pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, datlocale as locale,
              current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets,
              current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous, current_setting('TimeZone') as zone
         from pg_database where datname = current_database()`
    )
  ).toEqual([
    {
      version: 18,
      encoding: 'UTF8',
      provider: 'b',
      locale: 'C.UTF-8',
      addresses: '127.0.0.1',
      sockets: '',
      fsync: 'on',
      synchronous: 'on',
      zone: 'UTC'
    }
  ])
  await expect(rows(Object.assign(new URL(server.url()), { password: 'guess' }).href, 'select 1')).rejects.toThrow(
    'password authentication failed'
  )
  expect((await stat(path.join(dataDir, 'database-password'))).mode & 0o777).toBe(0o600)
})

test('what was stored is there after stop and start', async () => {
  const first = await start()
  await rows(first.url(), 'create table kept as select 42 as answer')
  await first.stop()
  expect(existsSync(path.join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false)

  const second = await start()

  expect(await rows(second.url(), 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('a service killed the hard way leaves its database running; the next one adopts it and stops it', async () => {
  await killedService()
  const orphan = await postmasterPid()

  const server = await start()

  expect(await postmasterPid()).toBe(orphan)
  expect(server.isOwner).toBe(true)
  await server.stop()
  expect(await postmasterPid()).toBeUndefined()
})

test('after service and database were killed the store recovers, and nothing committed is lost', async () => {
  await killedService('create table kept as select 42 as answer')
  const pid = await postmasterPid()
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
  await gone(pid)
  // The number in the stale file has come round: it is now another process, this one.
  const pidFile = path.join(dataDir, 'postgres', 'postmaster.pid')
  const [, ...others] = (await readFile(pidFile, 'utf8')).split('\n')
  await writeFile(pidFile, [process.pid, ...others].join('\n'))

  const server = await start()

  expect(await rows(server.url(), 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('a second process on the same folder is a guest: it shares the server and does not stop it', async () => {
  const module = new URL('../../src/platform/embedded-postgres.ts', import.meta.url).href
  const server = await start()
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(module)}
    const log = { info () {}, warn () {}, error () {} }
    const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log })
    await server.stop()
    process.stdout.write(JSON.stringify({ isOwner: server.isOwner, url: server.url() }))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [answer] = (await once(child.stdout, 'data')) as [Buffer]
  await once(child, 'exit')

  expect(JSON.parse(answer.toString())).toEqual({ isOwner: false, url: server.url() })
  expect(await rows(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a database that dies under its service comes back on the same port', async () => {
  const server = await start()
  const pid = await postmasterPid()
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
  await gone(pid)

  await expect
    .poll(() => rows(server.url(), 'select 1 as one').catch(() => 'away'), { timeout: 20_000 })
    .toEqual([{ one: 1 }])
})

test('a first start that was killed halfway does not stand in the way', async () => {
  await mkdir(path.join(dataDir, 'postgres.new', 'base'), { recursive: true })
  await writeFile(path.join(dataDir, 'starting'), JSON.stringify({ pid: 999_999_999, startedAt: null }))

  const server = await start()

  expect(await rows(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a server that does not start says why', async () => {
  const first = await start()
  await first.stop()
  await writeFile(path.join(dataDir, 'postgres', 'postgresql.auto.conf'), 'shared_buffers = lots\n')

  await expect(start()).rejects.toThrow(/did not start[^]*invalid value for parameter "shared_buffers"/)
})

test('of many who make a secret at once, all get that of the first', async () => {
  const file = path.join(dataDir, 'new', 'sample-password')

  const secrets = await Promise.all(Array.from({ length: 20 }, (_, index) => readOrMake(file, () => `secret ${index}`)))

  expect(new Set(secrets)).toEqual(new Set([(await readFile(file, 'utf8')).trim()]))
  expect(await readdir(path.dirname(file))).toEqual(['sample-password'])
})

test('a generated secret is made once and is for its owner only', async () => {
  const file = path.join(dataDir, 'jwt-secret')

  expect([await readOrMake(file, () => 'first'), await readOrMake(file, () => 'second')]).toEqual(['first', 'first'])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})
