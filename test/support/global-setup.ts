import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { entities } from '../../src/orm.ts'
import { migrate, openDatabase } from '../../src/platform/database.ts'
import { startEmbeddedPostgres } from '../../src/platform/embedded-postgres.ts'
import { migrateQueue } from '../../src/platform/queue.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A PostgreSQL server on which databases may be made. */
    serverUrl: string
    /** The migrated database that every test file clones. */
    template: string
    /** Redis whose databases 1 and up are the tests' own, one per test file; null where there is none. */
    redisUrl: string | null
  }
}

const FOLDER_PREFIX = 'bincard-test-'

/** One PostgreSQL server and, where there is one, one Redis for the whole run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['TEST_DATABASE_URL']
  const server =
    given === undefined
      ? await startServer()
      : { url: given, template: `bincard_template_${process.pid}`, stop: async () => undefined }
  await makeTemplate(server.url, server.template)
  const redis = await findRedis()
  project.provide('serverUrl', server.url)
  project.provide('template', server.template)
  project.provide('redisUrl', redis.url)
  return async () => {
    await redis.stop()
    if (given !== undefined) await dropTemplate(server.url, server.template)
    await server.stop()
  }
}

async function startServer() {
  await sweep()
  const dataDir = path.join(tmpdir(), `${FOLDER_PREFIX}${process.pid}`)
  await mkdir(dataDir)
  // The server may run under another account, which must be able to pass.
  await chmod(dataDir, 0o755)
  const quiet = () => undefined
  const server = await startEmbeddedPostgres({
    dataDir,
    unsafeForTests: true,
    log: { info: quiet, warn: quiet, error: console.error }
  })
  return {
    url: server.url('postgres'),
    template: 'bincard_template',
    stop: async () => {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    }
  }
}

/** Ends servers and removes folders of earlier runs that were killed before they could. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = name.startsWith(FOLDER_PREFIX) ? Number(name.slice(FOLDER_PREFIX.length)) : 0
    if (!(owner > 0) || (owner !== process.pid && isAlive(owner))) continue
    const folder = path.join(tmpdir(), name)
    const pid = Number(
      (await readFile(path.join(folder, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]
    )
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (pid > 0 && commandLine.includes(folder)) process.kill(pid, 'SIGQUIT')
    await rm(folder, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function makeTemplate(serverUrl: string, template: string): Promise<void> {
  await onServer(serverUrl, (client) => client.query(`create database ${template}`))
  const url = Object.assign(new URL(serverUrl), { pathname: `/${template}` }).href
  const database = await openDatabase({ url, entities, poolSize: 2 })
  try {
    await migrate(database)
    await migrateQueue(database)
  } finally {
    await database.close()
  }
  await onServer(serverUrl, (client) =>
    client.query(`alter database ${template} with is_template true allow_connections false`)
  )
}

const dropTemplate = (serverUrl: string, template: string) =>
  onServer(serverUrl, async (client) => {
    await client.query(`alter database ${template} with is_template false`)
    await client.query(`drop database ${template}`)
  })

async function onServer(connectionString: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

/** The Redis that was given, else one started from the PATH, else none, and then it is said. */
async function findRedis(): Promise<{ url: string | null; stop(): Promise<void> }> {
  // Never REDIS_URL: the tests wipe what they find.
  const given = process.env['REDIS_URL_TEST']
  if (given) return { url: given, stop: async () => undefined }
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status !== 0) {
    console.warn(
      '\n!! No redis-server here and no REDIS_URL_TEST: the tests of the queue on Redis do not run now. They run in CI (.ci/run).\n'
    )
    return { url: null, stop: async () => undefined }
  }
  const port = await freePort()
  const redis = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: 'ignore', cwd: tmpdir() }
  )
  await answering(port, redis)
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      redis.kill('SIGTERM')
      if (redis.exitCode === null && redis.signalCode === null) await once(redis, 'exit')
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

async function answering(port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) break
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false
    )
    socket.destroy()
    if (isOpen) return
    await sleep(50)
  }
  throw new Error('redis-server did not start')
}
