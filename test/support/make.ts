import { randomBytes, scryptSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { accessClaims } from '../../src/identity/access-token.ts'
import type { Actor, Duty } from '../../src/identity/actor.ts'
import { actorOf } from '../../src/identity/directory.ts'
import type { WarehouseKind } from '../../src/warehouses/warehouses.entities.ts'
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

export interface MadeRegion {
  id: number
  code: string
}

export interface MadeWarehouse {
  id: number
  code: string
  regionId: number
  /** The code of its region. */
  region: string
}

export interface MadePart {
  id: number
  number: string
  unit: string
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
  },

  region: async ({
    code = fresh('R').toUpperCase(),
    name = code,
    nameZh = null
  }: { code?: string; name?: string; nameZh?: string | null } = {}): Promise<MadeRegion> => {
    const [region] = await sql<{ id: number }>(
      'insert into region (code, name, name_zh) values ($1, $2, $3) returning id',
      [code, name, nameZh]
    )
    return { id: region.id, code }
  },

  /** A warehouse in a region, by code, which is entered if need be; without one in a region of its own. */
  warehouse: async ({
    code = fresh('W').toUpperCase(),
    name = code,
    nameZh = null,
    kind = 'outlet',
    region = `R-${code}`.slice(0, 20),
    parent = null,
    closedOn = null
  }: {
    code?: string
    name?: string
    nameZh?: string | null
    kind?: WarehouseKind
    region?: string
    parent?: string | null
    closedOn?: string | null
  } = {}): Promise<MadeWarehouse> => {
    await sql('insert into region (code, name) values ($1, $1) on conflict do nothing', [region])
    const [warehouse] = await sql<{ id: number; regionId: number }>(
      `insert into warehouse (code, name, name_zh, kind, region_id, parent_id, named_at, closed_on)
       values ($1, $2, $3, $4, (select id from region where code = $5), (select id from warehouse where code = $6), '2000-01-01', $7)
       returning id, region_id as "regionId"`,
      [code, name, nameZh, kind, region, parent, closedOn]
    )
    return { id: warehouse.id, code, regionId: warehouse.regionId, region }
  },

  part: async ({
    number = fresh('P').toUpperCase(),
    name = `part ${number}`,
    nameZh = null,
    specification = null,
    colour = null,
    unit = 'piece',
    units = {},
    category = null,
    standardCost = null,
    controlled = false,
    active = true,
    exchangeDueDays = null,
    oldPartValue = null,
    serialised = false
  }: {
    number?: string
    name?: string
    nameZh?: string | null
    specification?: string | null
    colour?: string | null
    unit?: string
    /** Further units and their factors, `{ box: '12' }`. */
    units?: Record<string, string>
    category?: string | null
    standardCost?: string | null
    controlled?: boolean
    active?: boolean
    /** An exchange part since ever, whose old part is due back so many days after the issue. */
    exchangeDueDays?: number | null
    oldPartValue?: string | null
    serialised?: boolean
  } = {}): Promise<MadePart> => {
    const [part] = await sql<{ id: number }>(
      `insert into part (number, name, name_zh, specification, colour, unit, category, standard_cost, controlled, active,
                         exchange_due_days, old_part_value, serialised, exchange_since)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, case when $11::int is not null then '2000-01-01'::timestamptz end) returning id`,
      [
        number,
        name,
        nameZh,
        specification,
        colour,
        unit,
        category,
        standardCost,
        controlled,
        active,
        exchangeDueDays,
        oldPartValue,
        serialised
      ]
    )
    for (const [further, factor] of Object.entries(units))
      await sql('insert into part_unit (part_id, unit, factor) values ($1, $2, $3)', [part.id, further, factor])
    return { id: part.id, number, unit }
  },

  /** A supplier, authorised since ever for the parts that are named. */
  supplier: async ({
    code = fresh('S').toUpperCase(),
    name = code,
    active = true,
    parts = []
  }: { code?: string; name?: string; active?: boolean; parts?: string[] } = {}): Promise<{
    id: number
    code: string
  }> => {
    const [supplier] = await sql<{ id: number }>(
      'insert into supplier (code, name, active) values ($1, $2, $3) returning id',
      [code, name, active]
    )
    await sql(
      `insert into supplier_authorisation (supplier_id, part_id, valid_from) select $1, id, '2000-01-01' from part where number = any ($2::text[])`,
      [supplier.id, parts]
    )
    return { id: supplier.id, code }
  }
})

export type Makers = ReturnType<typeof makers>
