import { Type, type Static } from 'typebox'
import { Language } from '../identity/identity.schemas.ts'
import { closed, Instant, limitAndCursor, named, nullable, oneOf, pageOf } from '../platform/schemas.ts'

const STATES = ['waiting', 'sent', 'dead'] as const

const Id = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Number of the mail', examples: ['17'] })
export const MailParams = Type.Object({ id: Id }, closed)

export const MailView = named(
  'Mail',
  Type.Object(
    {
      id: Id,
      person: Type.String({ description: 'Username' }),
      kind: oneOf(['digest', 'alert'], 'The digest of a day, or alerts that could not wait for it'),
      to: Type.String({ description: 'E-mail address' }),
      subject: Type.String(),
      language: Language,
      state: oneOf(
        STATES,
        'waiting until the server takes it; dead when it was refused, or ten times not taken in about a day'
      ),
      attempts: Type.Integer(),
      nextAttemptAt: nullable(Instant),
      problem: nullable(Type.String({ description: 'What the server said last' })),
      writtenAt: Instant,
      settledAt: nullable(Instant)
    },
    {
      ...closed,
      description: 'An e-mail about alerts (预警邮件)',
      examples: [
        {
          id: '17',
          person: 'keeper@hq',
          kind: 'digest',
          to: 'wang.fang@example.com',
          subject: '[备件预警] 2026-11-20 日报:未了 3 条,新增 1 条',
          language: 'zh',
          state: 'dead',
          attempts: 10,
          nextAttemptAt: null,
          problem: 'connect ECONNREFUSED 10.0.0.25:25',
          writtenAt: '2026-11-19T23:30:00Z',
          settledAt: '2026-11-21T00:12:00Z'
        }
      ]
    }
  )
)
export type MailView = Static<typeof MailView>
export const MailPage = pageOf(MailView)

export const MailsQuery = Type.Object(
  { state: Type.Optional(oneOf(STATES, 'Only those in this state')), ...limitAndCursor },
  closed
)
export const RetryMailBody = Type.Object({}, { ...closed, examples: [{}] })
