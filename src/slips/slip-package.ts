// A slip as evidence that needs no server: what it said, who signed it, what it moved, and a seal.
//
// The seal is an Ed25519 signature of the service over the SHA-256 of the RFC 8785 form of everything else in the package. One
// changed byte of any value breaks it. Inside, every signature names the hash of the content it was given for, and that hash is
// computed anew. The key pair is made once per database; its public half is in the package and at `readPackageKey`, so that an
// auditor can hold one against the other.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { requireSight, type Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { named } from '../platform/schemas.ts'
import { contentHash } from '../signing/content-hash.ts'
import { listSlipEvents } from './slips.queries.ts'
import { loadSlip, slipContent, slipHash, viewOf } from './slip.ts'

const FORMAT = 'bincard-slip-package/1'
const anything = Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true })

export const SlipPackage = named(
  'SlipPackage',
  Type.Object({
    format: Type.Literal(FORMAT),
    issuedAt: Type.String(),
    state: Type.String(),
    content: anything,
    contentHash: Type.String(),
    signedContent: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        ...anything,
        description: 'The document that was signed in the stead of the slip, e.g. the count it adjusts for'
      })
    ),
    signatures: Type.Array(anything),
    posting: Type.Union([anything, Type.Null()]),
    history: Type.Array(anything),
    seal: Type.Object({
      algorithm: Type.Literal('Ed25519'),
      publicKey: Type.String({ description: 'SPKI, base64' }),
      hash: Type.String({ description: 'SHA-256 of the package without its seal' }),
      signature: Type.String({ description: 'base64' })
    })
  })
)
export type SlipPackage = Static<typeof SlipPackage>

/** Reads what was signed in the stead of a slip; undefined if it is not a document of theirs. */
type SignedContentReader = (ctx: Context, number: string) => Promise<Record<string, unknown> | undefined>
const readers: SignedContentReader[] = []

/** A room whose documents are signed in the stead of slips says here how their content is read: it lies above this one. */
export const readSignedContentBy = (reader: SignedContentReader): void => {
  readers.push(reader)
}

async function signedContentOf(ctx: Context, number: string): Promise<Record<string, unknown>> {
  for (const reader of readers) {
    const content = await reader(ctx, number)
    if (content !== undefined) return content
  }
  throw new Error(`nobody knows what was signed as ${number}`)
}

const KEY = statement<{ value: { privateKey: string } }>(`select value from setting where name = 'slip-package-key'`)
const KEEP_KEY = statement<never>(
  `insert into setting (name, value) values ('slip-package-key', $1::jsonb) on conflict do nothing`
)

async function sealingKey(ctx: Context): Promise<KeyObject> {
  const [kept] = await run(ctx, KEY, [])
  if (kept !== undefined)
    return createPrivateKey({ key: Buffer.from(kept.value.privateKey, 'base64'), format: 'der', type: 'pkcs8' })
  const { privateKey } = generateKeyPairSync('ed25519')
  await run(ctx, KEEP_KEY, [
    JSON.stringify({ privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64') })
  ])
  return sealingKey(ctx)
}

const publicText = (key: KeyObject): string => key.export({ format: 'der', type: 'spki' }).toString('base64')

/** The public key that this service's packages are sealed with; pin it before you trust a package. */
export const readPackageKey = async (ctx: Context) => ({
  algorithm: 'Ed25519' as const,
  publicKey: publicText(createPublicKey(await sealingKey(ctx)))
})

/** A slip as a signed package. */
export async function exportSlip(ctx: Context, { number }: { number: string }): Promise<SlipPackage> {
  const { slip, warehouse } = await loadSlip(ctx, number)
  requireSight(ctx, warehouse)
  const view = await viewOf(ctx, slip, warehouse)
  const { items: history } = await listSlipEvents(ctx, { number })
  const sealed = {
    format: FORMAT,
    issuedAt: ctx.clock.now().toString(),
    state: slip.state,
    content: slipContent(slip, warehouse),
    contentHash: slipHash(slip, warehouse),
    ...(slip.signedAs !== null && { signedContent: await signedContentOf(ctx, slip.signedAs.number) }),
    signatures: view.signatures,
    posting:
      view.postedAt === null
        ? null
        : {
            postedBy: view.postedBy,
            postedAt: view.postedAt,
            handedTo: view.handedTo,
            deliveredBy: view.deliveredBy,
            authorisedBy: view.authorisedBy,
            releasedBecause: view.releasedBecause,
            lines: view.lines.map(({ line, movements }) => ({ line, movements }))
          },
    history
  } as const
  const key = await sealingKey(ctx)
  const hash = contentHash(sealed)
  return {
    ...sealed,
    seal: {
      algorithm: 'Ed25519',
      publicKey: publicText(createPublicKey(key)),
      hash,
      signature: sign(null, Buffer.from(hash, 'hex'), key).toString('base64')
    }
  }
}

const isPackage = Compile(SlipPackage)

/**
 * Verifies a package offline.
 * @param text the file as it was received
 * @param publicKey the service's key, base64, if it is known from elsewhere; without it the package is only held against itself
 * @returns what is wrong; nothing if it is genuine
 */
export function verifySlipPackage(text: string, publicKey?: string): string[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    return [`it is not JSON: ${(error as Error).message}`]
  }
  if (!isPackage.Check(parsed))
    return [
      `it is not a ${FORMAT} document: ${isPackage.Errors(parsed)[0]?.instancePath ?? ''} is missing or malformed`
    ]
  const { seal, ...sealed } = parsed
  const faults: string[] = []
  if (Object.keys(seal).length !== 4) faults.push('the seal has other members than it should')
  if (contentHash(sealed) !== seal.hash)
    faults.push('the hash of the seal is not that of the package: something in it was changed')
  if (publicKey !== undefined && publicKey !== seal.publicKey)
    faults.push('it is sealed with another key than the one given')
  if (!isSealed(seal)) faults.push('the signature of the seal does not verify')
  if (contentHash(parsed.content) !== parsed.contentHash)
    faults.push('the content does not have the hash that is stated')
  // Where another document was signed, the slip names it, and the signatures are of that one.
  const signed = parsed.signedContent
  if (signed !== undefined && signed['number'] !== parsed.content['reference'])
    faults.push('what was signed is another document than the one the slip names')
  const signedHash = signed === undefined ? parsed.contentHash : contentHash(signed)
  for (const signature of parsed.signatures) {
    if (signature['contentHash'] !== signedHash)
      faults.push(
        `the signature of ${String(signature['signedBy'])} (${String(signature['duty'])}) is of another content`
      )
  }
  return faults
}

function isSealed({ publicKey, hash, signature }: SlipPackage['seal']): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
    const given = Buffer.from(signature, 'base64')
    // Base64 and DER have more than one way to write the same thing; only the one we write is ours.
    return (
      publicText(key) === publicKey &&
      given.toString('base64') === signature &&
      verify(null, Buffer.from(hash, 'hex'), key, given)
    )
  } catch {
    return false
  }
}
