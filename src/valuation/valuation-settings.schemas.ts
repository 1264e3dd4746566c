import { Type, type Static } from 'typebox'
import { closed, limitAndCursor, Month, named, nullable, oneOf, pageOf, ref } from '../platform/schemas.ts'
import { JOURNAL_ROLES, JOURNAL_ROLE_NAMES } from './journal-accounts.ts'

const GraceMonths = Type.Integer({
  minimum: 0,
  maximum: 60,
  description: 'Months without a charge, the month of receipt being the first (保管期)'
})
const Rate = Type.String({
  pattern: '^(0|[1-9][0-9]?)([.][0-9]{1,4})?$',
  description: 'Part of the original cost that one month charges, a decimal string with at most four places, at most 1',
  examples: ['0.08']
})
const ChargeCount = Type.Integer({ minimum: 0, maximum: 240, description: 'Months that charge' })

export const DepreciationPolicyView = named(
  'DepreciationPolicy',
  Type.Object(
    {
      effectiveFrom: Type.String({ ...Month, description: 'First month it holds in; 0001-01 of the first one' }),
      effectiveUntil: nullable(
        Type.String({ ...Month, description: 'Last month it holds in; null if none is set after it' })
      ),
      graceMonths: GraceMonths,
      rate: Rate,
      chargeCount: ChargeCount,
      state: oneOf(['past', 'in-force', 'scheduled'], 'in-force in the current month')
    },
    {
      ...closed,
      description: 'How lots are depreciated from a month on (折旧政策)',
      examples: [
        {
          effectiveFrom: '0001-01',
          effectiveUntil: null,
          graceMonths: 3,
          rate: '0.08',
          chargeCount: 12,
          state: 'in-force'
        }
      ]
    }
  )
)
export type DepreciationPolicyView = Static<typeof DepreciationPolicyView>
export const DepreciationPolicyList = named(
  'DepreciationPolicyList',
  Type.Object({ items: Type.Array(ref(DepreciationPolicyView)) }, closed)
)

export const SetDepreciationPolicyBody = Type.Object(
  {
    effectiveFrom: Type.String({ ...Month, description: 'First month it holds in: the current one or a later one' }),
    graceMonths: GraceMonths,
    rate: Rate,
    chargeCount: ChargeCount
  },
  { ...closed, examples: [{ effectiveFrom: '2027-01', graceMonths: 3, rate: '0.05', chargeCount: 20 }] }
)
export type SetDepreciationPolicyBody = Static<typeof SetDepreciationPolicyBody>

export const DepreciationPolicyParams = Type.Object({
  effectiveFrom: Type.String({ ...Month, description: 'First month of the policy', examples: ['2027-01'] })
})
export const WithdrawDepreciationPolicyBody = Type.Object(
  { reason: Type.String({ minLength: 1, maxLength: 500 }) },
  { ...closed, examples: [{ reason: '方案未批准' }] }
)

const Name = Type.String({ minLength: 1, maxLength: 100 })

export const AgingBucketView = named(
  'AgingBucket',
  Type.Object(
    {
      fromMonths: Type.Integer({
        minimum: 0,
        maximum: 1200,
        description: 'Youngest age, in months as R-AGE-1 counts: 1 in the month of receipt'
      }),
      toMonths: nullable(Type.Integer({ minimum: 0, maximum: 1200, description: 'Oldest age; null: without end' })),
      name: Name,
      nameZh: Name
    },
    {
      ...closed,
      description: 'A class of age (库龄段)',
      examples: [{ fromMonths: 4, toMonths: 6, name: '4-6 months', nameZh: '4–6个月' }]
    }
  )
)
export type AgingBucketView = Static<typeof AgingBucketView>
export const AgingBucketList = named(
  'AgingBucketList',
  Type.Object({ items: Type.Array(ref(AgingBucketView)) }, closed)
)
export const SetAgingBucketsBody = Type.Object(
  { buckets: Type.Array(ref(AgingBucketView), { minItems: 1, maxItems: 24 }) },
  {
    ...closed,
    examples: [
      {
        buckets: [
          { fromMonths: 0, toMonths: 3, name: '0-3 months', nameZh: '0–3个月' },
          { fromMonths: 4, toMonths: 12, name: '4-12 months', nameZh: '4–12个月' },
          { fromMonths: 13, toMonths: null, name: 'over 12 months', nameZh: '12个月以上' }
        ]
      }
    ]
  }
)

const Role = oneOf(
  JOURNAL_ROLES,
  `What is booked: ${JOURNAL_ROLES.map((role) => `${role} ${JOURNAL_ROLE_NAMES[role]}`).join(', ')}`
)
const Department = Type.String({
  pattern: '^([*]|[A-Z0-9][A-Z0-9-]{0,19})$',
  description: 'Warehouse code, or * for all without an account of their own (部门)',
  examples: ['HQ']
})
const Account = Type.String({
  pattern: '^[0-9A-Za-z][0-9A-Za-z.-]{0,29}$',
  description: 'Account of the general ledger (科目编码)',
  examples: ['6601.08']
})

export const JournalAccountView = named(
  'JournalAccount',
  Type.Object(
    { department: Department, role: Role, account: Account, name: Name, nameZh: nullable(Name) },
    {
      ...closed,
      description: 'The account of a role, as it was set for a department (科目设置)',
      examples: [
        {
          department: '*',
          role: 'depreciation-expense',
          account: '6601.08',
          name: 'Operating expense: spare parts depreciation',
          nameZh: '营业费用—备件折旧'
        }
      ]
    }
  )
)
export type JournalAccountView = Static<typeof JournalAccountView>
export const JournalAccountPage = pageOf(JournalAccountView)

export const JournalAccountQuery = Type.Object({ department: Type.Optional(Department), ...limitAndCursor }, closed)
export type JournalAccountQuery = Static<typeof JournalAccountQuery>
export const DepartmentParams = Type.Object({ department: Department })

export const DepartmentAccountsView = named(
  'DepartmentAccounts',
  Type.Object(
    {
      department: Department,
      accounts: Type.Array(
        Type.Object(
          {
            role: Role,
            roleNameZh: Type.String(),
            account: Account,
            name: Name,
            nameZh: nullable(Name),
            own: Type.Boolean({ description: 'Set for this department; otherwise the default' })
          },
          closed
        )
      )
    },
    { ...closed, description: 'The accounts a department books to, one per role (部门科目)' }
  )
)
export type DepartmentAccountsView = Static<typeof DepartmentAccountsView>

export const SetJournalAccountsBody = Type.Object(
  {
    accounts: Type.Array(
      Type.Object({ role: Role, account: Account, name: Name, nameZh: Type.Optional(nullable(Name)) }, closed),
      { maxItems: JOURNAL_ROLES.length }
    )
  },
  {
    ...closed,
    examples: [
      {
        accounts: [
          {
            role: 'depreciation-expense',
            account: '6601.18',
            name: 'Depreciation of the branch',
            nameZh: '分部备件折旧'
          }
        ]
      }
    ]
  }
)
export type SetJournalAccountsBody = Static<typeof SetJournalAccountsBody>
