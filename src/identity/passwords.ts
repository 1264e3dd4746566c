import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { promisify } from 'node:util'
import { Refusal } from '../platform/errors.ts'

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)

// OWASP Password Storage Cheat Sheet: scrypt with N = 2^15, r = 8, p = 3 is one of the settings of equal strength; it needs 32 MiB.
const COST = { ln: 15, r: 8, p: 3 }
const KEY_LENGTH = 32
const LONGEST = 200

/** What people choose for themselves or an administrator for them. */
export const PASSWORD_MINIMUM = 10
/** What an installation may give to accounts it makes itself, such as the sample company. */
export const GIVEN_PASSWORD_MINIMUM = 8

const deriveKey = (password: string, salt: Buffer, { ln, r, p }: typeof COST, length: number): Promise<Buffer> =>
  // The same letters typed on two keyboards may arrive composed differently.
  derive(password.normalize('NFKC'), salt, length, { N: 2 ** ln, r, p, maxmem: 192 * 2 ** ln * r })

/** `$scrypt$ln=15,r=8,p=3$<salt>$<hash>`, the PHC string format; each call has a salt of its own. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const key = await deriveKey(password, salt, COST, KEY_LENGTH)
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${encode(salt)}$${encode(key)}`
}

/**
 * Whether a password fits a stored hash. Without a hash (unknown person, no password) it works exactly as long
 * and answers false, so that the time tells nobody which user names exist.
 */
export async function verifyPassword(password: string, phc: string | null | undefined): Promise<boolean> {
  const stored = phc == null ? undefined : parse(phc)
  const { cost, salt, key } = stored ?? NOBODY
  const derived = await deriveKey(password.slice(0, LONGEST), salt, cost, key.length)
  return timingSafeEqual(derived, key) && stored !== undefined
}

/** @throws Refusal 422 `PasswordTooShort`, `PasswordTooLong` */
export function checkPassword(password: string, minimum: number = PASSWORD_MINIMUM): void {
  const length = Array.from(password).length
  if (length < minimum)
    throw new Refusal(
      'PasswordTooShort',
      422,
      `a password has at least ${minimum} characters; a sentence of four words is easy to keep`
    )
  if (password.length > LONGEST)
    throw new Refusal('PasswordTooLong', 422, `a password has at most ${LONGEST} characters`)
}

const encode = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')

const NOBODY = { cost: COST, salt: randomBytes(16), key: randomBytes(KEY_LENGTH) }

function parse(phc: string): typeof NOBODY {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc)
  if (match === null) throw new Error('a stored password hash is not a scrypt PHC string')
  const [, ln, r, p, salt = '', key = ''] = match
  return {
    cost: { ln: Number(ln), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, 'base64'),
    key: Buffer.from(key, 'base64')
  }
}
