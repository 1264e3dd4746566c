import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import canonicalize from 'canonicalize'

/**
 * SHA-256, in hex, of a document's content as RFC 8785 canonical JSON: the same content gives the same hash whatever the
 * order of its members (R-SIG-2).
 */
export function contentHash(content: object): string {
  const text = canonicalize(content)
  if (text === undefined) throw new Error('a document has content')
  return createHash('sha256').update(text).digest('hex')
}

const SLICE = 1000

/**
 * The same hash, of a document whose `lines` may be a hundred thousand: it is worked out slice by slice, and whatever else the
 * process has to do is done between.
 */
export async function longContentHash({ lines, ...head }: { lines: readonly object[] }): Promise<string> {
  const { before, after } = aroundLines(head)
  const hash = createHash('sha256').update(before)
  for (let start = 0; start < lines.length; start += SLICE) {
    if (start > 0) await setImmediate()
    const slice = canonicalize(lines.slice(start, start + SLICE)) ?? '[]'
    hash.update(`${start === 0 ? '' : ','}${slice.slice(1, -1)}`)
  }
  return hash.update(after).digest('hex')
}

/** The canonical text of a document before its lines and after them, where the database writes the lines itself. */
export function aroundLines(head: object): { before: string; after: string } {
  const [before = '', after] = (canonicalize({ ...head, lines: [] }) ?? '').split('"lines":[]')
  if (after === undefined) throw new Error('a document has lines')
  return { before: `${before}"lines":[`, after: `]${after}` }
}
