import { SingleBar } from 'cli-progress'
import { Command, InvalidArgumentError, Option } from 'commander'
import { backtestLines } from './replenishment/backtest-report.ts'
import { backtest } from './replenishment/backtest.ts'
import { readDemandFile } from './replenishment/demand-file.ts'
import { SERVICE_MEASURES, type ServiceMeasure } from './replenishment/reorder-level.ts'

// `npm run backtest -- FILE`: what forecasts and reorder levels would have been worth in the last months of recorded demand.

interface Options {
  months: number
  leadTimeDays: number
  service: number
  measure: ServiceMeasure
  json?: boolean
}

const wholeNumber = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('give a whole number from 1')
  return number
}
const share = (text: string): number => {
  const number = Number(text)
  if (!(number > 0 && number < 1)) throw new InvalidArgumentError('give a share strictly between 0 and 1, such as 0.95')
  return number
}

const program = new Command('backtest')
  .description(
    'forecasts the last months of recorded demand from those before, and plays the reorder levels through them'
  )
  .argument(
    '<file>',
    'CSV: part,1998-01,1998-02,… a line per part; empty where a month before or after was not recorded'
  )
  .option('--months <count>', 'how many of the last months are tested', wholeNumber, 12)
  .option('--lead-time-days <days>', 'from order to receipt', wholeNumber, 30)
  .option('--service <share>', 'target of the reorder levels', share, 0.95)
  .addOption(
    new Option('--measure <measure>', 'what the target measures').choices(SERVICE_MEASURES).default('cycle-service')
  )
  .option('--json', 'the figures as JSON')
  .showHelpAfterError()
  .action(run)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

async function run(file: string, { months, leadTimeDays, service, measure, json }: Options): Promise<void> {
  const demand = await readDemandFile(file)
  const bar = process.stderr.isTTY
    ? new SingleBar({ format: '{bar} {percentage}% | {value}/{total} parts', hideCursor: true, clearOnComplete: true })
    : undefined
  bar?.start(demand.series.length, 0)
  const result = backtest(demand, {
    months,
    leadTimeDays,
    target: { measure, level: service },
    onProgress: (done) => bar?.update(done)
  })
  bar?.stop()
  process.stdout.write(`${json === true ? JSON.stringify(result, null, 2) : backtestLines(result).join('\n')}\n`)
}
