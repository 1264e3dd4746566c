import { randomBytes, randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Presets, SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { pino } from 'pino'
import { buildApp } from './app.ts'
import { createFirstAdministrator } from './identity/create-first-administrator.ts'
import type { Context } from './identity/actor.ts'
import { actorOf, systemActor } from './identity/directory.ts'
import { jobs } from './jobs.ts'
import { verifyLedger } from './ledger/verify-ledger.ts'
import { listJobs, readJob } from './operations/jobs.queries.ts'
import { entities } from './orm.ts'
import { systemClock } from './platform/clock.ts'
import { readConfig } from './platform/config.ts'
import { openContext } from './platform/context.ts'
import { openDatabase } from './platform/database.ts'
import { Refusal } from './platform/errors.ts'
import { runTracked, type RunState } from './platform/job-runs.ts'
import { openLog } from './platform/log.ts'
import { documentText } from './platform/openapi-document.ts'
import { checkPayload } from './platform/queue.ts'
import { configOrExit } from './process.ts'
import { loadSample } from './sample/load-sample.ts'
import { openService, samplePassword, type Service } from './service.ts'
import { verifySlipPackage } from './slips/slip-package.ts'
import { closingSystem, continueClosingRun, readClosingRun, startClosingRun } from './valuation/close-many.ts'
import type { ClosingRunView } from './valuation/closing.schemas.ts'
import packageJson from '../package.json' with { type: 'json' }

// The command line. It works on DATABASE_URL or, without one, on the embedded database of DATA_DIR, beside a running service too.

const program = new Command('bincard')
  .description('spare-parts warehouse service')
  .version(packageJson.version)
  .showHelpAfterError()

program
  .command('migrate')
  .description('bring the database schema up to date')
  .action(() =>
    onService(async () => {
      print('the schema is up to date')
    })
  )

program
  .command('create-admin')
  .argument('<username>', 'e.g. admin')
  .option('--name <name>', 'full name; the user name if left away')
  .option('--password-stdin', 'read the password from the first line of standard input')
  .description('create the first administrator; asks for a password on a terminal, else makes one and prints it')
  .action((username: string, { name, passwordStdin }: { name?: string; passwordStdin?: boolean }) =>
    onService(async ({ runtime, log }) => {
      const chosen = passwordStdin ? await firstLine() : await askPassword()
      const password = chosen === '' ? randomBytes(15).toString('base64url') : chosen
      await createFirstAdministrator(openContext(runtime, systemActor, log), { username, password, name })
      print(`${username} is administrator${chosen === '' ? `; password: ${password}` : ''}`)
    })
  )

program
  .command('sample')
  .description('load the sample company into an empty store; its password is SAMPLE_PASSWORD, or made and printed')
  .action(() =>
    onService(async ({ runtime, log, isEmbedded }) => {
      const { config } = runtime
      const password = isEmbedded
        ? await samplePassword(config)
        : (config.SAMPLE_PASSWORD ?? randomBytes(9).toString('base64url'))
      const isNew = await loadSample(runtime, { password, log })
      print(
        isNew
          ? `the sample company is loaded; the password of admin, keeper@hq and all others: ${password}`
          : 'the sample company was loaded earlier; nothing was changed'
      )
    })
  )

program
  .command('verify')
  .option('--warehouse <code>', 'only this warehouse')
  .description('self-check of the ledger; exit code 1 if it finds a fault')
  .action(({ warehouse }: { warehouse?: string }) =>
    onService(async ({ runtime, log }) => {
      const { ok, findings } = await verifyLedger(openContext(runtime, systemActor, log), { warehouse })
      for (const finding of findings)
        print(`${finding.check}: ${finding.warehouse} ${finding.subject}: ${finding.expected}, found ${finding.found}`)
      print(ok ? 'the ledger is in order' : `${findings.length} findings`)
      if (!ok) process.exitCode = 1
    })
  )

program
  .command('close-month')
  .argument('<month>', 'e.g. 2026-10')
  .option('--region <code>', 'only the warehouses of this region')
  .option('--as <username>', 'close in the name of this person and by their duties; as the service itself if left away')
  .description(
    'close a month in all warehouses and draw the progress; exit code 1 if some could not be closed (批量月结)'
  )
  .action((period: string, { region, as }: { region?: string; as?: string }) =>
    onService(async ({ runtime, log }) => {
      if (!/^[0-9]{4}-(0[1-9]|1[0-2])$/.test(period)) throw new Error(`${period} is no month; give one such as 2026-10`)
      const actor = as === undefined ? closingSystem : await actorOf(runtime, as)
      const ctx = openContext(runtime, actor, log)
      const run = await startOrJoin(ctx, { period, region })
      const { warehouses, ...figures } = await watchClosing(ctx, run)
      for (const { warehouse, missing } of warehouses)
        print(`${warehouse}: ${missing.map(({ detail }) => detail).join('; ')}`)
      const { closed, alreadyClosed, refused, failed } = figures
      print(
        `run ${run}: ${closed} closed, ${alreadyClosed} closed earlier, ${refused} with something missing, ${failed} failed`
      )
      if (refused + failed > 0) process.exitCode = 1
    })
  )

program
  .command('jobs')
  .option('--state <state>', 'only those that are queued, running, done or dead')
  .description('the latest runs of background jobs (后台任务)')
  .action(({ state }: { state?: RunState }) =>
    onService(async ({ runtime, log }) => {
      const { items } = await listJobs(openContext(runtime, systemActor, log), { state, limit: 50 })
      for (const { id, name, state: is, progress, problem } of items) {
        const figures =
          progress === null ? '' : ` ${progress.done}${progress.total === null ? '' : ` of ${progress.total}`}`
        print(`${id} ${name} ${is}${figures}${problem === null ? '' : `: ${problem}`}`)
      }
    })
  )

program
  .command('run-job')
  .argument('<name>', 'e.g. replenishment.compute-levels')
  .option('--payload <json>', 'what the job is given, as JSON')
  .description('run a background job here and now, and draw how far it is (立即执行任务)')
  .action((name: string, { payload: text }: { payload?: string }) =>
    onService(async ({ runtime, log }) => {
      const job = jobs.find((known) => known.name === name)
      if (job === undefined)
        throw new Error(`there is no job ${name}; there are ${jobs.map((known) => known.name).join(', ')}`)
      const payload: unknown = text === undefined ? undefined : JSON.parse(text)
      checkPayload(job, payload)
      const ctx = openContext(runtime, systemActor, log)
      const bar = progressBar()
      try {
        const ended = await runTracked(
          ctx,
          { name, payload, run: undefined, slot: `cli-${randomUUID()}` },
          (progress) =>
            job.run(ctx, payload, (done, total) => {
              bar.draw({ done, total: total ?? null })
              return progress(done, total)
            })
        )
        print(`${name}: ${JSON.stringify(ended?.result ?? null)}`)
      } finally {
        bar.stop()
      }
    })
  )

program
  .command('watch-job')
  .argument('<id>', 'as the API answered it')
  .description('draw how far a background job is, until it ends; exit code 1 if it failed for good (任务进度)')
  .action((id: string) =>
    onService(async ({ runtime, log }) => {
      const ctx = openContext(runtime, systemActor, log)
      const bar = progressBar()
      for (;;) {
        const { name, state, progress, result, problem } = await readJob(ctx, { id })
        if (progress !== null) bar.draw(progress)
        if (state !== 'done' && state !== 'dead') {
          await sleep(500)
          continue
        }
        bar.stop()
        print(`${name} ${state}: ${problem ?? JSON.stringify(result)}`)
        if (state === 'dead') process.exitCode = 1
        return
      }
    })
  )

program
  .command('verify-package')
  .argument('<file>', 'a slip exported as a signed package')
  .option(
    '--key <base64>',
    'the service’s public key, from GET /v1/slip-package-key; without it the package is only held against itself'
  )
  .description('verify an exported slip offline; exit code 1 if anything in it was changed')
  .action(async (file: string, { key }: { key?: string }) => {
    const faults = verifySlipPackage(await readFile(file, 'utf8'), key)
    for (const fault of faults) print(fault)
    print(
      faults.length === 0
        ? `${file} is genuine${key === undefined ? ' by the key it carries; give --key to know whose that is' : ''}`
        : `${file} does not verify`
    )
    if (faults.length > 0) process.exitCode = 1
  })

program
  .command('openapi')
  .argument('[file]', 'write it there instead')
  .description('print the OpenAPI document')
  .action(async (file: string | undefined) => {
    const text = documentText(await openapiDocument())
    if (file === undefined) process.stdout.write(text)
    else await writeFile(file, text)
  })

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

/** Runs a command on the database, migrated, and closes everything after it. Warnings go to standard error, answers to standard output. */
async function onService(work: (service: Service) => Promise<void>): Promise<void> {
  const config = configOrExit()
  const log = await openLog(
    { LOG_LEVEL: config.LOG_LEVEL === 'info' ? 'warn' : config.LOG_LEVEL },
    pino.destination({ dest: 2, sync: true })
  )
  await using closing = new AsyncDisposableStack()
  await work(await openService(config, log, closing))
}

/** How far a job is, drawn on standard error from the first figure on. */
function progressBar() {
  const bar = new SingleBar(
    { format: '{bar} {percentage}% | {value}/{total}', stream: process.stderr },
    Presets.shades_classic
  )
  return {
    draw: ({ done, total }: { done: number; total: number | null }) => {
      if (!bar.isActive) bar.start(total ?? done, done)
      if (total !== null) bar.setTotal(total)
      bar.update(done)
    },
    stop: () => bar.stop()
  }
}

/** A run that is under way for the same month and region is joined. */
async function startOrJoin(ctx: Context, given: { period: string; region: string | undefined }): Promise<string> {
  try {
    return (await startClosingRun(ctx, given)).id
  } catch (error) {
    const underWay = error instanceof Refusal ? error.extra['run'] : undefined
    if (typeof underWay !== 'string') throw error
    print(`run ${underWay} is under way; joining it`)
    return underWay
  }
}

/** Works on a run beside whatever workers there are, and draws how far it is; answers its outcome with all that could not be closed. */
async function watchClosing(ctx: Context, run: string): Promise<Omit<ClosingRunView, 'nextCursor'>> {
  const bar = new SingleBar(
    { format: '{bar} {percentage}% | {value}/{total} warehouses | {refused} refused', stream: process.stderr },
    Presets.shades_classic
  )
  const look = async () => {
    const progress = await readClosingRun(ctx, { id: run, limit: 200 })
    bar.update(progress.total - progress.pending, { refused: progress.refused + progress.failed })
    return progress
  }
  bar.start((await readClosingRun(ctx, { id: run })).total, 0, { refused: 0 })
  try {
    let seen = performance.now()
    const onSettled = () => {
      if (performance.now() - seen < 200) return
      seen = performance.now()
      void look().catch(() => undefined)
    }
    for (;;) {
      const { settled } = await continueClosingRun(ctx, { run, onSettled })
      const progress = await look()
      if (progress.state !== 'done') {
        // What is left is in the hands of another worker.
        if (settled === 0) await sleep(500)
        continue
      }
      const warehouses = [...progress.warehouses]
      for (let cursor = progress.nextCursor; cursor !== null;) {
        const page = await readClosingRun(ctx, { id: run, limit: 200, cursor })
        warehouses.push(...page.warehouses)
        cursor = page.nextCursor
      }
      return { ...progress, warehouses }
    }
  } finally {
    bar.stop()
  }
}

/** The document comes from the route schemas alone: nothing is connected to. */
async function openapiDocument(): Promise<object> {
  const config = readConfig({
    DATABASE_URL: 'postgres://127.0.0.1:9/none',
    JWT_SECRET: 'not used for signing anything here'
  })
  const database = await openDatabase({ url: config.DATABASE_URL ?? '', entities, poolSize: 2 })
  const app = await buildApp(
    { database, config, clock: systemClock(config.BUSINESS_TIME_ZONE) },
    { logger: pino({ level: 'silent' }) }
  )
  try {
    return app.swagger()
  } finally {
    await app.close()
    await database.close()
  }
}

/** What is typed at the terminal, unseen; nothing where there is no terminal. */
async function askPassword(): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return ''
  process.stderr.write('Password (Enter makes one): ')
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: unseen, terminal: true })
  try {
    return await terminal.question('')
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin })) return line
  throw new Error('standard input is empty; give the password on its first line')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
