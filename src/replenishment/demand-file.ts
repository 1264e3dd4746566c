import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { CsvError, parse } from 'csv-parse'

/** Recorded demand of one part. */
export interface DemandSeries {
  part: string
  /** Which of the months of the file is the first recorded one, from 0. */
  from: number
  demand: number[]
}

export interface DemandFile {
  /** `2026-01`, consecutive, oldest first. */
  months: string[]
  series: DemandSeries[]
}

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/
const HEADING = 'the first line names the columns: part, then the months, e.g. part,1998-01,1998-02'
/** Faults that are told at once. */
const SHOWN = 5

/**
 * Reads demand by part and month from a CSV file: `part,1998-01,1998-02,…`, the months one after the other. An empty cell is a month that
 * was not recorded, which is no zero: a part may start late and end early, but between two figures a figure is missing.
 *
 * @throws Error that names the first faults with line and month, and what would be right
 */
export async function readDemandFile(file: string): Promise<DemandFile> {
  const parser = parse({ relaxColumnCount: true, skipEmptyLines: true, bom: true, info: true, trim: true })
  pipeline(createReadStream(file), parser, () => undefined)
  let months: string[] | undefined
  const series: DemandSeries[] = []
  const lineOf = new Map<string, number>()
  const faults: string[] = []
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      if (months === undefined) {
        months = monthsOf(record)
        continue
      }
      const found: string[] = []
      const [part = ''] = record
      const first = lineOf.get(part)
      if (part === '') found.push('the part is missing; every line starts with its number')
      else if (first !== undefined) found.push(`line ${first} is about ${part} already; a part has one line`)
      else lineOf.set(part, info.lines)
      if (record.length !== months.length + 1)
        found.push(`there are ${record.length} cells, the heading has ${months.length + 1}`)
      else series.push(seriesOf(record, months, found))
      faults.push(...found.map((fault) => `line ${info.lines}: ${fault}`))
    }
  } catch (error) {
    throw new Error(`${file} ${readFault(error)}`, { cause: error })
  }
  if (months === undefined) throw new Error(`${file} is empty; ${HEADING}`)
  if (faults.length > 0)
    throw new Error(
      [
        `${file} is refused:`,
        ...faults.slice(0, SHOWN).map((fault) => `  ${fault}`),
        ...(faults.length > SHOWN ? [`  and ${faults.length - SHOWN} more`] : [])
      ].join('\n')
    )
  if (series.length === 0) throw new Error(`${file} has headings but no parts; a line each is wanted`)
  return { months, series }
}

function monthsOf([part, ...months]: string[]): string[] {
  const refuse = (what: string): never => {
    throw new Error(`its heading is not right: ${what}; ${HEADING}`)
  }
  if (part !== 'part') refuse(`the first column is ${JSON.stringify(part)}, not part`)
  if (months.length === 0) refuse('it has no months')
  for (const [index, month] of months.entries()) {
    if (!MONTH.test(month)) refuse(`column ${index + 2} is ${JSON.stringify(month)}, which is no month`)
    const before = months[index - 1]
    if (before === undefined) continue
    const due = Temporal.PlainYearMonth.from(before).add({ months: 1 }).toString()
    if (month !== due) refuse(`after ${before} comes ${due}, but column ${index + 2} is ${month}`)
  }
  return months
}

function seriesOf([part = '', ...cells]: string[], months: readonly string[], faults: string[]): DemandSeries {
  const isRecorded = (cell: string) => cell !== ''
  const from = cells.findIndex(isRecorded)
  const to = cells.findLastIndex(isRecorded) + 1
  if (from === -1) faults.push(`${part} has no month recorded; leave the line out`)
  const demand: number[] = []
  for (let i = Math.max(0, from); i < to; i++) {
    const cell = cells[i] ?? ''
    const where = `${part} in ${months[i]}`
    if (cell === '')
      faults.push(
        `${where} is empty, between months with figures: that is a gap, not a zero; write 0 if nothing was wanted, or the figure`
      )
    else if (!/^-?\d+([.]\d+)?$/.test(cell))
      faults.push(`${where} is ${JSON.stringify(cell.slice(0, 40))}; a number such as 3 or 2.5 is wanted`)
    else if (cell.startsWith('-') && Number(cell) !== 0)
      faults.push(`${where} is ${cell}; demand is not below 0: count returns against the month of their issue`)
    demand.push(Math.abs(Number(cell)))
  }
  return { part, from: Math.max(0, from), demand }
}

function readFault(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'does not exist; name a CSV file'
    case 'EISDIR':
      return 'is a folder; name a CSV file in it'
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this account'
  }
  if (error instanceof CsvError) return `is not CSV: ${error.message}`
  return `is refused: ${(error as Error).message}`
}
