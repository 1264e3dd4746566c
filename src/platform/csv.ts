import { createHash } from 'node:crypto'
import { pipeline as pipe, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify'
import { CompiledQuery } from 'kysely'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from './context.ts'
import { sendFile } from './downloads.ts'

/** True if the caller asked for CSV by `Accept: text/csv`. */
export const wantsCsv = (request: FastifyRequest): boolean => /\btext\/csv\b/.test(request.headers.accept ?? '')

/** Rows of a query through a server-side cursor, `chunk` at a time: memory stays flat whatever the length. */
export async function* rowsOf<Row>(
  ctx: Context,
  text: string,
  values: readonly unknown[],
  chunk = 500
): AsyncGenerator<Row> {
  for await (const { rows } of ctx.em
    .getKysely()
    .getExecutor()
    .stream<Row>(CompiledQuery.raw(text, [...values]), chunk))
    yield* rows
}

/** Member of a row → heading. */
export type CsvColumns<Row extends object> = Partial<Record<keyof Row & string, string>>

/**
 * Rows as UTF-8 CSV with a byte-order mark, so that spreadsheet programs read Chinese right.
 * A text cell that a spreadsheet would run as a formula is prefixed with an apostrophe; numbers are left as they are.
 */
function csvOf<Row extends object>(columns: CsvColumns<Row>, rows: AsyncIterable<Row>): Readable {
  // Whichever of the two ends early ends the other: a reader that goes away closes the cursor behind the rows.
  return pipe(
    Readable.from(records(columns, rows)),
    stringify({ bom: true, cast: { string: harmless } }),
    () => undefined
  )
}

// As lists: looking each member up by its path costs as much again as writing it.
async function* records<Row extends object>(
  columns: CsvColumns<Row>,
  rows: AsyncIterable<Row>
): AsyncGenerator<unknown[]> {
  const members = Object.keys(columns) as (keyof Row & string)[]
  yield Object.values(columns)
  for await (const row of rows) yield members.map((member) => row[member])
}

/** SHA-256, in hex, of the file that `sendCsv` would send. */
export async function csvHash<Row extends object>(columns: CsvColumns<Row>, rows: AsyncIterable<Row>): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(csvOf(columns, rows), hash)
  return hash.digest('hex')
}

/**
 * Streams rows as a CSV file.
 * @param headers further ones of the answer
 * @throws Refusal 503 `TooManyDownloads`
 */
export function sendCsv<Row extends object>(
  reply: FastifyReply,
  fileName: string,
  columns: CsvColumns<Row>,
  rows: AsyncIterable<Row>,
  headers: Record<string, string> = {}
) {
  return sendFile(
    reply,
    {
      ...headers,
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': `attachment; filename="${fileName.replaceAll(/[^\w.-]/g, '_')}"`
    },
    () => csvOf(columns, rows)
  )
}

const harmless = (value: string): string => (/^[=+@\t\r]|^-(?![0-9.]+$)/.test(value) ? `'${value}` : value)
