import { Type } from 'typebox'
import { DUTIES } from '../identity/actor.ts'
import { Instant, named, nullable, oneOf } from '../platform/schemas.ts'

export const SigningDuty = oneOf(DUTIES, 'The duty that is signed for')

/** What somebody signs by: whoever sends the hash of what they read is not made to sign anything else. */
export const ReadContentHash = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the content the signer has read; another content is refused'
})

export const SignatureView = named(
  'Signature',
  Type.Object({
    duty: SigningDuty,
    signedBy: Type.String({ description: 'User name' }),
    onBehalfOf: nullable(Type.String({ description: 'Who was stood in for' })),
    decision: oneOf(['approve', 'refuse'], 'Decision'),
    comment: nullable(Type.String()),
    contentHash: Type.String({ description: 'SHA-256 of the content at the moment of signing' }),
    signedAt: Instant
  })
)
