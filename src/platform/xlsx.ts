import { Readable, Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { WorkbookWriter } from '@cj-tech-master/excelts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendFile } from './downloads.ts'

// Spreadsheets (Office Open XML), written row by row. What is decided here:
// - The same rows give the same bytes: no clock and no chance is in a file, so that a statement can be told by its SHA-256.
// - A decimal string becomes a number if a spreadsheet keeps all its digits, else it stays text: figures are never rounded.
// - Text stays text, whatever it begins with: nothing is ever a formula.

export const XLSX = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'

/** True if the caller asked for a spreadsheet by `Accept`. */
export const wantsXlsx = (request: FastifyRequest): boolean => (request.headers.accept ?? '').includes(XLSX)

/** How the cells of a column are shown; decimals and days come as the API writes them. */
export type XlsxFormat = 'text' | 'integer' | 'quantity' | 'money' | 'unit-cost' | 'rate' | 'day' | 'month'

const NUMBER_FORMATS: Record<XlsxFormat, string> = {
  text: '@',
  integer: '#,##0',
  quantity: '#,##0.000',
  money: '#,##0.00',
  'unit-cost': '#,##0.0000',
  rate: '0.00%',
  day: 'yyyy-mm-dd',
  month: 'yyyy-mm'
}

const WIDTHS: Record<XlsxFormat, number> = {
  text: 18,
  integer: 10,
  quantity: 14,
  money: 16,
  'unit-cost': 14,
  rate: 10,
  day: 12,
  month: 10
}

export interface XlsxColumn {
  /** English and Chinese as in a CSV, `accumulated depreciation 累计折旧`; in the sheet the Chinese stands above the English. */
  heading: string
  /** Text if left away. */
  as?: XlsxFormat
  /** In characters; by the format if left away. */
  width?: number
  /** The column is added up, exactly, in a bold row at the end. */
  total?: boolean
}

/** One sheet; make it by `sheetOf`, which holds its columns against its rows. */
export interface XlsxSheet {
  name: string
  title: readonly string[]
  columns: Readonly<Record<string, XlsxColumn>>
  rows: AsyncIterable<object> | Iterable<object>
}

/**
 * Describes a sheet.
 * @param sheet `name` is cut to what a spreadsheet takes (31 characters); `title` lines stand above the headings; a column may be its
 *   heading alone; a member of a row without a column is left out
 */
export const sheetOf = <Row extends object>(sheet: {
  name: string
  title?: readonly string[]
  columns: Partial<Record<keyof Row & string, XlsxColumn | string>>
  rows: AsyncIterable<Row> | Iterable<Row>
}): XlsxSheet => ({
  name: sheet.name,
  title: sheet.title ?? [],
  rows: sheet.rows,
  columns: Object.fromEntries(
    Object.entries<XlsxColumn | string | undefined>(sheet.columns).flatMap(([member, column]) =>
      column === undefined ? [] : [[member, typeof column === 'string' ? { heading: column } : column]]
    )
  )
})

/** `attachment` with the name for old readers and, by RFC 5987, in full. */
export function attachment(fileName: string): string {
  const ascii = fileName.replaceAll(/[^\w.-]/g, '_')
  const full = encodeURIComponent(fileName).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`
  )
  return `attachment; filename="${ascii}"${ascii === fileName ? '' : `; filename*=UTF-8''${full}`}`
}

/**
 * Streams sheets as a workbook; memory does not grow with the rows.
 * @param fileName with its ending; Chinese is fine
 * @throws Refusal 503 `TooManyDownloads`
 */
export function sendXlsx(reply: FastifyReply, fileName: string, sheets: readonly XlsxSheet[]) {
  return sendFile(reply, { 'content-type': XLSX, 'content-disposition': attachment(fileName) }, () =>
    workbookOf(sheets)
  )
}

/** What a sheet of a spreadsheet program holds, headings and all. */
const ROWS_PER_SHEET = 1_048_576
/** For so long rows are written before anybody else gets a turn. */
const TURN_MS = 10

/**
 * The bytes of a workbook. Rows are asked for as the bytes are read, one sheet after the other; who stops reading closes the source.
 * @param rowsPerSheet more than that go on in a sheet of the same name and a number, under the same headings
 */
export const workbookOf = (
  sheets: readonly XlsxSheet[],
  { rowsPerSheet = ROWS_PER_SHEET }: { rowsPerSheet?: number } = {}
): Readable => Readable.from(bytesOf(sheets, rowsPerSheet), { objectMode: false })

async function* bytesOf(sheets: readonly XlsxSheet[], rowsPerSheet: number): AsyncGenerator<Uint8Array> {
  // Loaded by who first asks for a spreadsheet: it is a quarter of a second and 70 MB that most processes never need.
  const { WorkbookWriter } = await import('@cj-tech-master/excelts')
  let written: Uint8Array[] = []
  const sink = new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      written.push(chunk)
      done()
    }
  })
  const take = () => written.splice(0)
  try {
    const never = new Date(0)
    const book = withoutClock(
      new WorkbookWriter({
        stream: sink,
        useStyles: true,
        created: never,
        modified: never,
        creator: 'bincard',
        lastModifiedBy: 'bincard'
      })
    )
    const names = sheetNames()
    for (const sheet of sheets) {
      const page = pagesOf(book, sheet, names, rowsPerSheet)
      let turn = performance.now()
      for await (const row of sheet.rows) {
        page.add(row as Record<string, unknown>)
        if (performance.now() - turn < TURN_MS) continue
        await setImmediate()
        yield* take()
        turn = performance.now()
      }
      page.end()
      yield* take()
    }
    await book.commit()
    yield* take()
  } finally {
    sink.destroy()
  }
}

/** The library stamps every part of the archive with the time; all get the first moment that an archive can name. */
function withoutClock(book: WorkbookWriter): WorkbookWriter {
  const { zip } = book
  const add = zip.add.bind(zip)
  zip.add = (part) => {
    Object.assign(part, { dosTime: 0, dosDate: (1 << 5) | 1, extraField: new Uint8Array(0) })
    add(part)
  }
  return book
}

const FONT = { name: 'Calibri', family: 2, size: 11 }
const BOLD = { ...FONT, bold: true }
const STYLES = Object.fromEntries(Object.entries(NUMBER_FORMATS).map(([as, numFmt]) => [as, { numFmt }])) as Record<
  XlsxFormat,
  { numFmt: string }
>

/** The sheets that one list of rows fills, one after the other. */
function pagesOf(book: WorkbookWriter, sheet: XlsxSheet, nameOf: (wanted: string) => string, rowsPerSheet: number) {
  const columns = Object.entries(sheet.columns).map(([member, column]) => ({ member, as: 'text' as const, ...column }))
  // One object for all cells of a format: the library knows it again, and makes the style of any other one anew, which takes longer than
  // all else about a cell.
  const styles = columns.map(({ as }) => STYLES[as])
  const headingRows = sheet.title.length + 1
  const sums = new Map(columns.flatMap(({ member, total }) => (total === true ? [[member, ZERO]] : [])))

  const open = () => {
    const page = book.addWorksheet(nameOf(sheet.name), { views: [{ state: 'frozen', ySplit: headingRows }] })
    page.columns = columns.map(({ as, width = WIDTHS[as] }) => ({ width, style: { numFmt: NUMBER_FORMATS[as] } }))
    for (const line of sheet.title) {
      const row = page.addRow([textCell(line)])
      row.getCell(1).style = { font: BOLD }
      row.commit()
    }
    const headings = page.addRow(columns.map(({ heading }) => twoLines(heading)))
    headings.height = 32
    headings.eachCell((cell) => {
      cell.style = { font: BOLD, alignment: { wrapText: true, vertical: 'middle', horizontal: 'center' } }
    })
    headings.commit()
    return page
  }

  let page = open()
  let filled = headingRows
  const room = () => {
    if (filled === rowsPerSheet) {
      page.commit()
      page = open()
      filled = headingRows
    }
    filled++
    return page
  }

  return {
    add: (row: Record<string, unknown>) => {
      for (const [member, sum] of sums) sums.set(member, plus(sum, row[member]))
      const added = room().addRow(columns.map(({ member, as }) => cellOf(row[member], as)))
      added.eachCell((cell, column) => {
        cell.style = styles[column - 1] ?? {}
      })
      added.commit()
    },
    /** Writes the totals and ends the last sheet. */
    end: () => {
      if (sums.size > 0) {
        const labelled = columns.find(({ member, as }) => as === 'text' && !sums.has(member))?.member
        const totals = room().addRow(
          columns.map(({ member, as }) => {
            const sum = sums.get(member)
            if (sum !== undefined) return cellOf(decimalOf(sum), as)
            return member === labelled ? '合计 total' : null
          })
        )
        totals.font = BOLD
        totals.commit()
      }
      page.commit()
    }
  }
}

/** Names as a spreadsheet program takes them: at most 31 characters, some signs never, no name twice whatever its case. */
function sheetNames(): (wanted: string) => string {
  const LONGEST = 31
  const taken = new Set<string>()
  return (wanted) => {
    const plain = wanted.replaceAll(/[\\/?*[\]:]/g, ' ').replaceAll(/^'+|'+$/g, '') || 'Sheet'
    for (let number = 1; ; number++) {
      const suffix = number === 1 ? '' : ` (${number})`
      const name = plain.slice(0, LONGEST - suffix.length).trimEnd() + suffix
      if (taken.has(name.toLowerCase())) continue
      taken.add(name.toLowerCase())
      return name
    }
  }
}

/** `cost 金额` → 金额 over cost. A heading in one language stays one line. */
function twoLines(heading: string): string {
  const [, english, chinese] = /^(.*?[^\p{sc=Han}])\s+(\p{sc=Han}.*)$/u.exec(heading) ?? []
  return english === undefined ? heading : `${chinese}\n${english.trim()}`
}

const LONGEST_TEXT = 32_767
const textCell = (text: string): string => text.slice(0, LONGEST_TEXT)

function cellOf(value: unknown, as: XlsxFormat): string | number | boolean | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'number' || typeof value === 'boolean') return value
  const text = textOf(value)
  if (as === 'text') return textCell(text)
  if (as === 'day' || as === 'month') return dayNumber(as === 'month' ? `${text}-01` : text) ?? textCell(text)
  return exactNumber(text) ?? textCell(text)
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Spreadsheets reckon in binary and show fifteen digits. */
const EXACT_DIGITS = 15

/** The number of a decimal string, or undefined if a spreadsheet would not keep all its digits. */
function exactNumber(decimal: string): number | undefined {
  const [, whole, places = ''] = /^-?(\d+)(?:[.](\d+))?$/.exec(decimal) ?? []
  if (whole === undefined) return undefined
  const significant = `${whole}${places}`.replace(/^0+/, '').replace(/0+$/, '')
  return significant.length > EXACT_DIGITS ? undefined : Number(decimal) + 0
}

// Day 60 of spreadsheets is 29 February 1900, which never was: days before it would be shown one off.
const DAY_ZERO = Temporal.PlainDate.from('1899-12-30')
const FIRST_RIGHT_DAY = '1900-03-01'

/** Lists of lots name the same days over and over. */
const dayNumbers = new Map<string, number>()
const MOST_DAYS = 10_000

/** A calendar day as spreadsheets count them, or undefined if it is none or before they count right. */
function dayNumber(day: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || day < FIRST_RIGHT_DAY) return undefined
  const known = dayNumbers.get(day)
  if (known !== undefined) return known
  const { days } = Temporal.PlainDate.from(day).since(DAY_ZERO, { largestUnit: 'days' })
  if (dayNumbers.size >= MOST_DAYS) dayNumbers.clear()
  dayNumbers.set(day, days)
  return days
}

/** An exact sum: an integer count of 10^-places. */
interface Sum {
  units: bigint
  places: number
}
const ZERO: Sum = { units: 0n, places: 0 }

function plus(sum: Sum, value: unknown): Sum {
  if (value === null || value === undefined) return sum
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:[.](\d+))?$/.exec(textOf(value)) ?? []
  if (whole === undefined) throw new Error(`${textOf(value)} is no decimal and cannot be added up`)
  const places = Math.max(sum.places, fraction.length)
  const units = BigInt(`${sign}${whole}${fraction.padEnd(places, '0')}`)
  return { units: sum.units * 10n ** BigInt(places - sum.places) + units, places }
}

function decimalOf({ units, places }: Sum): string {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, '0')
  const text = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
  return units < 0n ? `-${text}` : text
}
