import { Type, type Static } from 'typebox'
import { closed, Day, Instant, named, nullable, oneOf } from '../platform/schemas.ts'

/** Outside of these years nobody counts working days, and every sum of days still has four digits of year. */
export const FIRST_YEAR = 2000
export const LAST_YEAR = 2100

const Year = Type.Integer({
  minimum: FIRST_YEAR,
  maximum: LAST_YEAR,
  description: 'Year of the notice',
  examples: [2027]
})

export const CalendarYearParams = Type.Object({ year: Year })

const NoticeDay = Type.Object(
  {
    date: Type.String({ ...Day, description: 'Day that the notice names' }),
    isOffDay: Type.Boolean({ description: 'true for a day off, false for a make-up working day (调休上班)' }),
    name: Type.String({ minLength: 1, maxLength: 50, description: 'What it is off or worked for', examples: ['春节'] })
  },
  closed
)

const Source = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '\\S',
  description: 'Where the notice can be read',
  examples: ['https://www.gov.cn/zhengce/zhengceku/202511/content_7047091.htm']
})

export const CalendarYearView = named(
  'CalendarYear',
  Type.Object(
    {
      year: Year,
      isKnown: Type.Boolean({
        description: 'Whether the notice of the year is known; if not, Monday to Friday count as working days'
      }),
      origin: nullable(
        oneOf(['shipped', 'entered'], 'shipped with the service, or entered by an administrator; null if not known')
      ),
      source: nullable(Type.String({ description: 'Where the notice can be read' })),
      days: Type.Array(NoticeDay, { description: 'By date; every other day goes by its weekday' }),
      setBy: nullable(Type.String({ description: 'User name of who entered it' })),
      setAt: nullable(Instant)
    },
    { ...closed, description: 'Days off and make-up working days of a year (放假安排)' }
  )
)
export type CalendarYearView = Static<typeof CalendarYearView>

export const SetCalendarYearBody = Type.Object(
  {
    source: Source,
    days: Type.Array(NoticeDay, {
      minItems: 1,
      maxItems: 150,
      description:
        'Every day that the notice names, in the year, in December before it or in January after it; the form of github NateScarlet/holiday-cn'
    })
  },
  {
    ...closed,
    examples: [
      {
        source: '国务院办公厅关于2027年部分节假日安排的通知',
        days: [
          { date: '2027-01-01', isOffDay: true, name: '元旦' },
          { date: '2027-01-03', isOffDay: false, name: '元旦' },
          { date: '2027-10-01', isOffDay: true, name: '国庆节' }
        ]
      }
    ]
  }
)
export type SetCalendarYearBody = Static<typeof SetCalendarYearBody>

export const WorkingDaysQuery = Type.Object(
  {
    from: Type.Optional(
      Type.String({ ...Day, description: 'Count the working days after this day; today', examples: ['2026-11-02'] })
    ),
    to: Type.Optional(
      Type.String({ ...Day, description: '… up to and including this one; today', examples: ['2026-11-30'] })
    ),
    start: Type.Optional(Type.String({ ...Day, description: 'Find a working day after this day; today' })),
    add: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 3660, description: '… the how manieth; the first', examples: [2] })
    )
  },
  closed
)
export type WorkingDaysQuery = Static<typeof WorkingDaysQuery>

export const WorkingDaysView = named(
  'WorkingDays',
  Type.Object(
    {
      from: Day,
      to: Day,
      workingDays: Type.Integer({ minimum: 0, description: 'Working days after `from`, up to and including `to`' }),
      unknownYears: Type.Array(Type.Integer(), {
        description: 'Years between them without a notice, in which Monday to Friday were counted'
      })
    },
    {
      ...closed,
      description: 'Working days by the Chinese calendar (工作日)',
      examples: [{ from: '2026-06-18', to: '2026-06-23', workingDays: 2, unknownYears: [] }]
    }
  )
)
export type WorkingDaysView = Static<typeof WorkingDaysView>
