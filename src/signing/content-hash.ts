import { createHash } from 'node:crypto'
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
