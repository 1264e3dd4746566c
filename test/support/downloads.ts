import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { readXlsx } from 'hucre'
import { XLSX } from '../../src/platform/xlsx.ts'
import type { Caller } from './counter.ts'
import type { Harness } from './harness.ts'

export interface Download {
  status: number
  headers: Record<string, string>
  bytes: Buffer
  text: string
  sha256: string
}

const ACCEPT = { csv: 'text/csv', xlsx: XLSX, json: 'application/json' }

/** What comes over the wire, byte for byte. */
export async function download(
  h: Harness,
  { person }: Caller,
  path: string,
  as: keyof typeof ACCEPT
): Promise<Download> {
  const answer = await h.api
    .get(path)
    .auth(person.token, { type: 'bearer' })
    .set('accept', ACCEPT[as])
    .buffer(true)
    .parse((response, done) => {
      const chunks: Buffer[] = []
      const stream = response as unknown as IncomingMessage
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => done(null, Buffer.concat(chunks)))
      stream.on('error', (error) => done(error, null))
    })
  const bytes = answer.body as Buffer
  return {
    status: answer.status,
    headers: answer.headers as unknown as Record<string, string>,
    bytes,
    text: bytes.toString('utf8'),
    sha256: createHash('sha256').update(bytes).digest('hex')
  }
}

/** Rows of a CSV without its byte-order mark and headings; no cell of these tests has a comma or a quote. */
export const cells = (csv: string): string[][] =>
  csv
    .replace('\uFEFF', '')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','))

/** The sheets of a workbook, read by another library than the one that wrote it. */
export const sheetsOf = async ({ bytes }: Download) => (await readXlsx(bytes)).sheets
