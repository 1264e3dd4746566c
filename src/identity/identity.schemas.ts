import { Type, type Static } from 'typebox'
import {
  closed,
  Day,
  Instant,
  limitAndCursor,
  named,
  nullable,
  pageOf,
  ref,
  text,
  WarehouseCode
} from '../platform/schemas.ts'
import { DUTIES, DUTY_NAMES } from './actor.ts'

export const Username = Type.String({
  pattern: '^[a-z0-9][a-z0-9._@-]{1,59}$',
  description: 'User name (用户名): 2 to 60 lower-case letters, digits, dots, dashes, underscores or @',
  examples: ['keeper@hq']
})
export const Language = Type.Enum(['zh', 'en'], {
  description: 'Language of documents and messages (语言)',
  examples: ['zh']
})
const PersonName = Type.String({
  minLength: 1,
  maxLength: 100,
  pattern: '\\S',
  description: 'Name (姓名)',
  examples: ['王芳']
})
const Email = Type.String({
  format: 'email',
  maxLength: 200,
  description: 'E-mail address (邮箱)',
  examples: ['wang.fang@example.com']
})
const NewPassword = Type.String({
  minLength: 10,
  maxLength: 200,
  description: 'Password of at least 10 characters (密码)',
  examples: ['correct horse battery staple']
})
const GivenPassword = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'Password (密码)',
  examples: ['correct horse battery staple']
})
export const RegionCode = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]{0,19}$',
  description: 'Region code (区域代码)',
  examples: ['SOUTH']
})
const Id = Type.Integer({ minimum: 1, maximum: 2_147_483_647, examples: [17] })

export const DutyName = named(
  'Duty',
  Type.Enum([...DUTIES], {
    description: `Duty (岗位): ${DUTIES.map((duty) => `${duty} ${DUTY_NAMES[duty]}`).join(', ')}`,
    examples: ['keeper']
  })
)

const place = {
  warehouse: nullable(WarehouseCode),
  region: nullable(RegionCode)
}

// Signing in

export const SignInBody = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: 60, description: 'User name (用户名)', examples: ['keeper@hq'] }),
    password: GivenPassword
  },
  closed
)

export const TokenView = named(
  'Token',
  Type.Object(
    {
      accessToken: Type.String({
        description: 'Send it as `Authorization: Bearer …`',
        examples: ['eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl']
      }),
      tokenType: Type.Literal('Bearer'),
      expiresIn: Type.Integer({ description: 'Life of the access token in seconds', examples: [3600] }),
      refreshToken: Type.String({ description: 'Good for one refresh', examples: ['bcr_q0d3mXxS1…'] }),
      refreshExpiresIn: Type.Integer({ description: 'Life of the refresh token in seconds', examples: [2592000] })
    },
    { ...closed, description: 'Access and refresh token (令牌)' }
  )
)
export type TokenView = Static<typeof TokenView>

export const RefreshBody = Type.Object(
  {
    refreshToken: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'The refresh token received last (刷新令牌)',
      examples: ['bcr_q0d3mXxS1…']
    })
  },
  closed
)

export const GrantView = named(
  'Grant',
  Type.Object(
    { duty: ref(DutyName), ...place, validFrom: Day, validTo: nullable(Day), onBehalfOf: nullable(Username) },
    {
      ...closed,
      description:
        'A duty in force: in a warehouse, in a region, or everywhere when both are null; onBehalfOf names the absent person (岗位授权)'
    }
  )
)

export const MeView = named(
  'Me',
  Type.Object(
    {
      username: Username,
      name: Type.String({ examples: ['王芳'] }),
      language: Language,
      credential: Type.Enum(['token', 'api-key'], { description: 'What the request was made with' }),
      access: Type.Enum(['read', 'write']),
      grants: Type.Array(ref(GrantView))
    },
    { ...closed, description: 'Who is asking, with the duties in force today (本人)' }
  )
)
export type MeView = Static<typeof MeView>

export const ChangePasswordBody = Type.Object(
  { currentPassword: GivenPassword, newPassword: NewPassword },
  {
    ...closed,
    examples: [{ currentPassword: 'correct horse battery staple', newPassword: 'nine blue herons at dawn' }]
  }
)

// People

export const PersonParams = Type.Object({ username: Username }, closed)
export const CreatePersonBody = Type.Object(
  { username: Username, name: PersonName, language: Type.Optional(Language), email: Type.Optional(nullable(Email)) },
  { ...closed, examples: [{ username: 'wang.fang', name: '王芳', language: 'zh' }] }
)
export const UpdatePersonBody = Type.Object(
  {
    name: Type.Optional(PersonName),
    language: Type.Optional(Language),
    email: Type.Optional(nullable(Email)),
    active: Type.Optional(Type.Boolean({ description: 'false: may no longer sign in or act (停用)' }))
  },
  { ...closed, minProperties: 1, examples: [{ language: 'en' }] }
)
export const SetPasswordBody = Type.Object({ password: NewPassword }, closed)
export const LockAccountBody = Type.Object(
  { reason: text(500, 'Why (锁定原因)', '账号被盗用') },
  { ...closed, examples: [{ reason: '账号被盗用' }] }
)
export const PeopleQuery = Type.Object(
  {
    search: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'Part of the user name, name or e-mail address',
        examples: ['王']
      })
    ),
    active: Type.Optional(Type.Boolean({ description: 'Only active or only inactive people' })),
    ...limitAndCursor
  },
  closed
)

export const PersonView = named(
  'Person',
  Type.Object(
    {
      username: Username,
      name: Type.String({ examples: ['王芳'] }),
      language: Language,
      email: nullable(Type.String({ examples: ['wang.fang@example.com'] })),
      active: Type.Boolean(),
      hasPassword: Type.Boolean({
        description: 'false: signs in through the OpenID Connect issuer, or not at all yet'
      }),
      lockedAt: nullable({ ...Instant, description: 'Refused since then, with every token and key; duties go on' }),
      lockedBecause: nullable(Type.String()),
      createdAt: Instant
    },
    { ...closed, description: 'A person (人员)' }
  )
)
export type PersonView = Static<typeof PersonView>
export const PersonPage = pageOf(PersonView)

// Duties

const endedAt = nullable({ ...Instant, description: 'Ended at once at this moment, whatever the last day was to be' })

export const AssignDutyBody = Type.Object(
  {
    duty: ref(DutyName),
    warehouse: Type.Optional(WarehouseCode),
    region: Type.Optional(RegionCode),
    validFrom: Type.Optional({ ...Day, description: 'First day; today if left away' }),
    validTo: Type.Optional(nullable({ ...Day, description: 'Last day; open-ended if left away' }))
  },
  {
    ...closed,
    description: 'Names a warehouse or a region; neither means everywhere',
    examples: [{ duty: 'keeper', warehouse: 'HQ', validFrom: '2026-12-01' }]
  }
)
export const DutyParams = Type.Object({ username: Username, id: Id }, closed)
export const EndDutyBody = Type.Object(
  {
    validTo: Type.Optional({
      ...Day,
      description: 'Last day on which it is held, today or later; left away, it ends at once, and endedAt says when'
    })
  },
  { ...closed, examples: [{ validTo: '2026-11-30' }] }
)
export const DutyView = named(
  'DutyAssignment',
  Type.Object(
    {
      id: Id,
      username: Username,
      name: Type.String({ examples: ['王芳'] }),
      duty: ref(DutyName),
      ...place,
      validFrom: Day,
      validTo: nullable(Day),
      endedAt,
      assignedBy: Username
    },
    { ...closed, description: 'A duty of a person in a warehouse, in a region, or everywhere (岗位任命)' }
  )
)
export type DutyView = Static<typeof DutyView>
export const DutyPage = pageOf(DutyView)
export const DutiesQuery = Type.Object(
  {
    on: Type.Optional({ ...Day, description: 'Only duties held on this day, if only for a part of it' }),
    ...limitAndCursor
  },
  closed
)
export const WarehouseDutiesParams = Type.Object({ warehouse: WarehouseCode }, closed)

// Delegation

export const DelegateBody = Type.Object(
  {
    from: Type.Optional({
      ...Username,
      description: 'Who is absent; oneself if left away. Only an administrator delegates for others'
    }),
    to: { ...Username, description: 'Who stands in (代理人)', examples: ['technician@hq'] },
    duty: Type.Optional(ref(DutyName)),
    validFrom: Type.Optional({ ...Day, description: 'First day; today if left away' }),
    validTo: { ...Day, description: 'Last day, at most a year after the first' },
    reason: Type.String({ minLength: 1, maxLength: 500, description: 'Why, such as leave (原因)', examples: ['年假'] })
  },
  {
    ...closed,
    description: 'Without a duty all of them are delegated',
    examples: [{ to: 'technician@hq', duty: 'keeper', validFrom: '2026-12-01', validTo: '2026-12-15', reason: '年假' }]
  }
)
export const DelegationParams = Type.Object({ id: Id }, closed)
export const DelegationView = named(
  'Delegation',
  Type.Object(
    {
      id: Id,
      from: Username,
      to: Username,
      duty: nullable(ref(DutyName)),
      validFrom: Day,
      validTo: Day,
      endedAt,
      reason: Type.String({ examples: ['年假'] }),
      delegatedBy: Username
    },
    { ...closed, description: 'Standing in during leave; duty null means all of them (岗位代理)' }
  )
)
export type DelegationView = Static<typeof DelegationView>
export const DelegationPage = pageOf(DelegationView)
export const DelegationsQuery = Type.Object(
  { person: Type.Optional({ ...Username, description: 'Only delegations from or to this person' }), ...limitAndCursor },
  closed
)

// API keys

export const IssueApiKeyBody = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 100,
      pattern: '\\S',
      description: 'What uses the key (用途)',
      examples: ['ERP bridge']
    }),
    person: Type.Optional({
      ...Username,
      description: 'For whom the key acts; oneself if left away. Only an administrator issues keys for others'
    }),
    access: Type.Optional(Type.Enum(['read', 'write'], { default: 'read', description: 'A read key changes nothing' })),
    duties: Type.Optional(
      Type.Array(ref(DutyName), {
        minItems: 1,
        maxItems: DUTIES.length,
        uniqueItems: true,
        description: 'At most these duties of the person; all if left away'
      })
    ),
    warehouses: Type.Optional(
      Type.Array(WarehouseCode, {
        minItems: 1,
        maxItems: 100,
        uniqueItems: true,
        description: 'At most these warehouses; all of the person if left away'
      })
    ),
    expiresOn: { ...Day, description: 'Last day of use, at most two years ahead (有效期)' },
    rateLimitPerMinute: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100_000, description: 'Requests per minute', examples: [600] })
    )
  },
  { ...closed, examples: [{ name: 'ERP bridge', access: 'write', duties: ['keeper'], expiresOn: '2027-12-31' }] }
)
const apiKey = {
  id: Type.String({ examples: ['4f2a90c1d7e3'] }),
  name: Type.String({ examples: ['ERP bridge'] }),
  person: Username,
  access: Type.Enum(['read', 'write']),
  duties: nullable(Type.Array(ref(DutyName))),
  warehouses: nullable(Type.Array(WarehouseCode)),
  rateLimitPerMinute: nullable(Type.Integer()),
  issuedBy: Username,
  issuedAt: Instant,
  expiresAt: Instant,
  revokedAt: nullable(Instant),
  lastUsedAt: nullable(Instant)
}
export const ApiKeyView = named(
  'ApiKey',
  Type.Object(apiKey, { ...closed, description: 'A key for a machine, without its secret (接口密钥)' })
)
export type ApiKeyView = Static<typeof ApiKeyView>
export const ApiKeyPage = pageOf(ApiKeyView)
export const IssuedApiKeyView = named(
  'IssuedApiKey',
  Type.Object(
    {
      ...apiKey,
      key: Type.String({
        description: 'The key itself, shown this once; send it as `x-api-key`',
        examples: ['bck_4f2a90c1d7e3_…']
      })
    },
    { ...closed, description: 'A new API key with its secret (新接口密钥)' }
  )
)
export type IssuedApiKeyView = Static<typeof IssuedApiKeyView>
export const ApiKeyParams = Type.Object(
  {
    id: Type.String({
      pattern: '^[0-9a-f]{12}$',
      description: 'Key id, the middle part of the key',
      examples: ['4f2a90c1d7e3']
    })
  },
  closed
)
export const ApiKeysQuery = Type.Object(
  { person: Type.Optional({ ...Username, description: 'Only keys of this person' }), ...limitAndCursor },
  closed
)

// Audit

export const AuditQuery = Type.Object(
  {
    subject: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Kind and key', examples: ['person:keeper@hq'] })
    ),
    person: Type.Optional({ ...Username, description: 'Only deeds of this person' }),
    ...limitAndCursor
  },
  closed
)
export const AuditEventView = named(
  'AuditEvent',
  Type.Object(
    {
      id: Type.String({ examples: ['1042'] }),
      at: Instant,
      person: Username,
      actor: Type.String({ description: 'Person, API key or system', examples: ['person:7'] }),
      action: Type.String({ examples: ['duty.assigned'] }),
      subject: Type.String({ examples: ['person:keeper@hq'] }),
      details: Type.Object({}, { additionalProperties: true })
    },
    { ...closed, description: 'Who did what to what (操作记录)' }
  )
)
export type AuditEventView = Static<typeof AuditEventView>
export const AuditEventPage = pageOf(AuditEventView)
