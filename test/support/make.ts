import { randomBytes, scryptSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { accessClaims } from '../../src/identity/access-token.ts'
import type { Actor, Duty } from '../../src/identity/actor.ts'
import { actorOf } from '../../src/identity/directory.ts'
import type { Harness } from './harness.ts'

/** A duty for `make.person`: a warehouse or region by code or id; neither means everywhere. */
export interface MadeGrant {
  duty: Duty
  warehouse?: string | number
  region?: string | number
  validFrom?: string
  validTo?: string | null
}

export interface MadePerson {
  id: number
  username: string
  password: string
  /** An access token that outlives whatever a test does to the clock. */
  token: string
  actor: Actor
}

const PASSWORD = 'a password of tests'
// The stored hash says what it cost; this one is cheap, so that signing in costs a test nothing.
const SALT = Buffer.alloc(16)
const bare = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
const PASSWORD_HASH = `$scrypt$ln=4,r=8,p=1$${bare(SALT)}$${bare(scryptSync(PASSWORD, SALT, 32, { N: 16, r: 8, p: 1 }))}`

let minted = 0
/** A short name that no other test of this file has. */
const fresh = (prefix: string): string => `${prefix}-${++minted}${randomBytes(2).toString('hex')}`

/**
 * Makers of what tests need, each with defaults, e.g. `make.person({ grants: [{ duty: 'keeper', warehouse: 'HQ' }] })`. A room adds its own here.
 * Every maker mints fresh names, so that tests in one file do not meet.
 */
export const makers = ({ runtime, clock, sql }: Pick<Harness, 'runtime' | 'clock' | 'sql' | 'contextOf'>) => ({
  /** A person with duties since ever, past every rule; signs in with `password`. */
  person: async ({
    username = fresh('person'),
    name = username,
    grants = []
  }: { username?: string; name?: string; grants?: MadeGrant[] } = {}): Promise<MadePerson> => {
    const [person] = await sql<{ id: number }>(
      'insert into person (username, name, password_hash, created_by) values ($1, $2, $3, 0) returning id',
      [username, name, PASSWORD_HASH]
    )
    if (person === undefined) throw new Error('no person')
    for (const { duty, warehouse = null, region = null, validFrom = '2000-01-01', validTo = null } of grants) {
      await sql(
        `insert into duty_assignment (person_id, duty, warehouse_id, region_id, valid_from, valid_to, assigned_by, assigned_at)
         values ($1, $2, (select id from warehouse where code = $3::text or id::text = $3::text), (select id from region where code = $4::text or id::text = $4::text), $5, $6, 0, now())`,
        [
          person.id,
          duty,
          warehouse === null ? null : String(warehouse),
          region === null ? null : String(region),
          validFrom,
          validTo
        ]
      )
    }
    const claims = accessClaims({ clock, config: runtime.config }, person.id)
    const token = await new SignJWT({ ...claims, exp: claims.exp + 10 * 365 * 86_400 })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .sign(new TextEncoder().encode(runtime.config.JWT_SECRET))
    return { id: person.id, username, password: PASSWORD, token, actor: await actorOf(runtime, username) }
  }
})

export type Makers = ReturnType<typeof makers>
