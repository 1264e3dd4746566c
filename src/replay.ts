import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { SingleBar } from 'cli-progress'
import { Command, InvalidArgumentError } from 'commander'
import { pino } from 'pino'
import { openContext } from './platform/context.ts'
import { systemActor } from './identity/directory.ts'
import { verifyLedger } from './ledger/verify-ledger.ts'
import { entities } from './orm.ts'
import { readConfig } from './platform/config.ts'
import { migrate, openDatabase, type Database } from './platform/database.ts'
import { startEmbeddedPostgres } from './platform/embedded-postgres.ts'
import { openLog } from './platform/log.ts'
import { checkExpected, compare, isRight } from './replay/compare.ts'
import { compareStatements, isTied } from './replay/compare-statements.ts'
import { readExpectedDepreciation } from './replay/expected-depreciation.ts'
import { expectationOf } from './replay/expectation.ts'
import { openLedger } from './replay/ledger-folder.ts'
import { playLedger, type Played } from './replay/play-ledger.ts'
import { replayClock } from './replay/replay-clock.ts'
import { databaseFault, orSay } from './start-fault.ts'
import { monthLines, refusalLines, reportLines, statementLines, writeRefusals } from './replay/report.ts'

// `npm run replay -- DIR`: plays a stock ledger of another system through the service, and checks what comes out.

interface Options {
  expect?: string
  closeMonths?: boolean
  expectDepreciation?: string
  refusals?: string
  warehouse: string
  products?: number
  to?: string
  keep?: string
  intoDatabase?: boolean
}

const MIB = 1024 * 1024
const QUARTERS = [25, 50, 75, 100]

const positive = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('give a whole number from 1')
  return number
}
const day = (text: string): string => {
  try {
    return Temporal.PlainDate.from(text).toString()
  } catch {
    throw new InvalidArgumentError('give a day such as 2013-06-30')
  }
}

const program = new Command('replay')
  .description(
    'plays a ledger (ledger_products.csv and ledger_movements.csv, either with .gz) through slips with three signatures, into DATABASE_URL or an embedded database of its own'
  )
  .argument('<folder>', 'folder of the ledger')
  .option('--expect <file>', 'CSV of ProductKey, month, UnitsBalance (or .gz): every month-end balance is compared')
  .option('--close-months', 'count and close every month on the way; the statements are held against the source')
  .option(
    '--expect-depreciation <file>',
    'with --close-months: JSON of units, original cost and charge of some products by month, compared with the statements'
  )
  .option('--refusals <file>', 'write every refused posting to this CSV file')
  .option('--warehouse <code>', 'code of the warehouse that is made for it', 'AW')
  .option('--products <count>', 'only the first so many products with movements', positive)
  .option('--to <day>', 'only up to this day', day)
  .option('--into-database', 'also into a store that is in use; what is played stays there for ever')
  .option('--keep <folder>', 'keep the embedded database there; look at it with DATA_DIR=<folder> npm start')
  .showHelpAfterError()
  .action(replay)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

async function replay(folder: string, options: Options): Promise<void> {
  const config = readConfig({
    ...process.env,
    JWT_SECRET: process.env['JWT_SECRET'] ?? randomBytes(48).toString('base64url')
  })
  const log = await openLog(
    { LOG_LEVEL: config.LOG_LEVEL === 'info' ? 'warn' : config.LOG_LEVEL },
    pino.destination({ dest: 2, sync: true })
  )
  if (options.expectDepreciation !== undefined && options.closeMonths !== true)
    throw new Error(
      '--expect-depreciation compares statements, which months have when they are closed: add --close-months'
    )
  const lastExpected = options.expect === undefined ? '' : await checkExpected(options.expect)
  const depreciation =
    options.expectDepreciation === undefined ? undefined : await readExpectedDepreciation(options.expectDepreciation)
  if (options.refusals !== undefined) await requireFolderOf(options.refusals)
  const source = await openLedger(folder, options)
  const expectation = await expectationOf(source)
  print(
    `${folder}: ${source.products.size} products, ${expectation.rows} rows on ${expectation.days} days, ${expectation.months[0]} to ${expectation.months.at(-1)}`
  )
  // After the last day nothing moves, but what is expected of later months is charged: they are closed as well.
  const until = [
    expectation.months.at(-1) ?? '',
    ...(source.isPartial ? [] : [lastExpected, ...(depreciation?.months ?? []).map(({ month }) => month)])
  ].reduce((latest, month) => (month > latest ? month : latest))

  await using closing = new AsyncDisposableStack()
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(new Error('stopped')))
  const databaseUrl = config.DATABASE_URL ?? (await openEmbedded(options.keep, log, closing))
  const database = await openDatabase({ url: databaseUrl, entities, poolSize: config.DATABASE_POOL_SIZE })
  closing.defer(() => database.close())
  const isUsed = await orSay(isInUse(database), (cause) => databaseFault(databaseUrl, cause))
  if (isUsed && options.intoDatabase !== true)
    throw new Error(
      'this store is in use: it holds people or movements, and what is played could never be removed from it. Leave DATABASE_URL away, name an empty database, or say --into-database'
    )
  await migrate(database)
  const runtime = { database, config, clock: replayClock('2000-01-01', config.BUSINESS_TIME_ZONE) }

  const meter = openMeter(expectation.rows)
  const played = await playLedger(runtime, {
    source,
    warehouse: options.warehouse,
    log,
    closeMonths: options.closeMonths === true ? { expectation, until } : undefined,
    onDay: meter.onDay,
    signal: stopping.signal
  })
  meter.end(played)

  const { ok, findings } = await verifyLedger(openContext(runtime, systemActor, log), { warehouse: options.warehouse })
  print(`self-check of the ledger: ${ok ? 'ok' : `${findings.length} findings`}`)
  for (const finding of findings.slice(0, 20)) print(`  WRONG: ${JSON.stringify(finding)}`)
  const comparison = await compare({ source, expectation, played, expectFile: options.expect })
  if (played.refusals.length > 0) print(['', ...refusalLines(played), ''].join('\n'))
  for (const line of reportLines(expectation, played, comparison)) print(line)
  let areTied = true
  if (options.closeMonths === true) {
    const statements = await compareStatements({ source, played, until, expected: depreciation })
    areTied = isTied(statements)
    for (const line of [...statementLines(played, statements), ...monthLines(played, statements)]) print(line)
    print(`peak memory with that: ${peak()}`)
  }
  if (options.refusals !== undefined) {
    await writeRefusals(options.refusals, played.refusals)
    print(`every refused posting: ${options.refusals}`)
  }
  if (!ok || !isRight(comparison) || !areTied) process.exitCode = 1
}

/** Whether somebody has worked in this store; asked before anything is written, so its tables may be missing. */
async function isInUse({ pool }: Database): Promise<boolean> {
  for (const [table, anything] of [
    ['person', 'select from person where id <> 0'],
    ['movement', 'select from movement']
  ] as const) {
    const there = await pool.query('select where to_regclass($1) is not null', [table])
    if (there.rowCount === 1 && (await pool.query(`${anything} limit 1`)).rowCount === 1) return true
  }
  return false
}

async function requireFolderOf(file: string): Promise<void> {
  const folder = path.dirname(path.resolve(file))
  await access(folder, constants.W_OK).catch((cause: unknown) => {
    throw new Error(`${file} cannot be written: ${(cause as Error).message}`, { cause })
  })
}

async function openEmbedded(
  keep: string | undefined,
  log: Parameters<typeof startEmbeddedPostgres>[0]['log'],
  closing: AsyncDisposableStack
): Promise<string> {
  const dataDir = keep === undefined ? await mkdtemp(path.join(tmpdir(), 'bincard-replay-')) : path.resolve(keep)
  await mkdir(dataDir, { recursive: true })
  if (keep === undefined) {
    // The database may run under another account, which must be able to pass.
    await chmod(dataDir, 0o755)
    closing.defer(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }))
  }
  const postgres = await startEmbeddedPostgres({ dataDir, log })
  closing.defer(() => postgres.stop())
  return postgres.url()
}

/** Progress on a terminal as a bar, elsewhere as lines; rate and memory when it is over. */
function openMeter(rows: number) {
  const began = performance.now()
  const memory: string[] = []
  let done = 0
  let told = 0
  const bar = process.stdout.isTTY
    ? new SingleBar({
        format: '{bar} {percentage}% | {value}/{total} rows | {rate} slips/s | {remaining} left | {memory}',
        hideCursor: true
      })
    : undefined
  const rss = () => `${Math.round(process.memoryUsage.rss() / MIB)} MiB`
  const state = ({ slips }: Played) => {
    const seconds = (performance.now() - began) / 1000
    return {
      rate: (slips / seconds).toFixed(0),
      remaining: `${Math.round((seconds / done) * (rows - done))} s`,
      memory: rss()
    }
  }
  bar?.start(rows, 0, { rate: '-', remaining: '-', memory: rss() })
  return {
    onDay: (played: Played, dayRows: number) => {
      done += dayRows
      const percent = Math.floor((done / rows) * 100)
      while (memory.length < QUARTERS.length && percent >= (QUARTERS[memory.length] ?? Infinity))
        memory.push(`${QUARTERS[memory.length]} % ${rss()}`)
      if (bar !== undefined) bar.update(done, state(played))
      else if (percent >= told + 10) {
        told = percent - (percent % 10)
        const { rate, remaining, memory: now } = state(played)
        print(`${told} %: ${played.slips} slips, ${rate} slips/s, ${remaining} left, ${now}`)
      }
    },
    end: ({ slips, lines, closed }: Played) => {
      bar?.stop()
      const months = closed.reduce((sum, { countSeconds, closeSeconds }) => sum + countSeconds + closeSeconds, 0)
      const seconds = (performance.now() - began) / 1000 - months
      print(
        `posted ${slips} slips with ${lines} lines in ${seconds.toFixed(1)} s: ${(slips / seconds).toFixed(1)} slips/s, ${(lines / seconds).toFixed(0)} lines/s (each written, signed by three and posted)`
      )
      print(`memory of this process: ${memory.join(', ')}; peak ${peak()}`)
    }
  }
}

function peak(): string {
  return `${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
