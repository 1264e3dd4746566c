import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { Refusal } from './errors.ts'

/** The request header by which a change says which version it is a change of. */
export const IfMatch = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      maxLength: 200,
      description: 'ETag of the version that is changed; another one is refused with 412',
      examples: ['"3"']
    })
  )
})

export const etagOf = (version: number): string => `"${version}"`

/** A document as the answer, with its version as the ETag. */
export function tagged<Versioned extends { version: number }>(reply: FastifyReply, document: Versioned): Versioned {
  reply.header('etag', etagOf(document.version))
  return document
}

/**
 * Refuses a change of a version that is no longer the present one. Without the header, or with `*`, the present one is meant.
 * @throws Refusal 412 `VersionStale`
 */
export function requireMatch(ifMatch: string | undefined, version: number): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return
  const tags = ifMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  if (tags.includes(etagOf(version))) return
  throw new Refusal(
    'VersionStale',
    412,
    `somebody changed this meanwhile: If-Match is ${ifMatch}, the present version is ${etagOf(version)}; read it again and repeat the change`,
    {
      extra: { current: etagOf(version) }
    }
  )
}
