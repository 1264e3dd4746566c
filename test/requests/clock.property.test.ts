import fc from 'fast-check'
import { expect, test } from 'vitest'
import { calendarFrom, chineseCalendar, shippedNotices } from '../../src/platform/working-days.ts'
import { dueOn, workingDaysUsed, yearsWithoutNotice, type PausedDays } from '../../src/requests/clock.ts'

// The clocks of R-REQ-2, by the calendar of 2024 to 2026 and for any pauses.

const day = fc
  .integer({ min: 0, max: 900 })
  .map((days) => Temporal.PlainDate.from('2024-01-01').add({ days }).toString())
const pause = fc
  .tuple(day, fc.integer({ min: 0, max: 40 }))
  .map(([from, days]): PausedDays => ({ from, to: Temporal.PlainDate.from(from).add({ days }).toString() }))
const pauses = fc.array(pause, { maxLength: 5 })
const workingDays = fc.integer({ min: 1, max: 30 })

test('a clock is due on a working day on which exactly so many were used (R-REQ-2)', () => {
  fc.assert(
    fc.property(day, workingDays, pauses, (start, days, paused) => {
      const due = dueOn(start, days, paused, chineseCalendar)
      expect(due > start).toBe(true)
      expect(chineseCalendar.isWorkingDay(due)).toBe(true)
      expect(workingDaysUsed(start, due, paused, chineseCalendar)).toBe(days)
      const before = Temporal.PlainDate.from(due).subtract({ days: 1 }).toString()
      expect(workingDaysUsed(start, before, paused, chineseCalendar)).toBe(days - 1)
    })
  )
})

test('a pause never makes it due earlier, and one of n working days before it is due makes it due n later', () => {
  fc.assert(
    fc.property(day, workingDays, pauses, pause, (start, days, paused, more) => {
      const due = dueOn(start, days, paused, chineseCalendar)
      expect(dueOn(start, days, [...paused, more], chineseCalendar) >= due).toBe(true)
    })
  )
  fc.assert(
    fc.property(day, workingDays, fc.nat(), fc.integer({ min: 0, max: 20 }), (start, days, seed, length) => {
      const due = dueOn(start, days, [], chineseCalendar)
      // Begins before the last working day that counts.
      const from = chineseCalendar.addWorkingDays(start, seed % days)
      const to = Temporal.PlainDate.from(from).add({ days: length }).toString()
      const n = chineseCalendar.countWorkingDays(from, to)
      expect(dueOn(start, days, [{ from, to }], chineseCalendar)).toBe(chineseCalendar.addWorkingDays(due, n))
    })
  )
})

test('pauses that overlap or follow each other are one', () => {
  fc.assert(
    fc.property(day, workingDays, day, fc.nat({ max: 20 }), fc.nat({ max: 20 }), (start, days, from, a, b) => {
      const plus = (n: number) => Temporal.PlainDate.from(from).add({ days: n }).toString()
      const whole = [{ from, to: plus(a + b) }]
      for (const parts of [
        [
          { from, to: plus(a) },
          { from: plus(a), to: plus(a + b) }
        ],
        [
          { from, to: plus(a + b) },
          { from: plus(a), to: plus(a + b) }
        ]
      ])
        expect(dueOn(start, days, parts, chineseCalendar)).toBe(dueOn(start, days, whole, chineseCalendar))
    })
  )
})

test.for([
  // Asked for on the last day before National Day 2026: 1 to 7 October are off, 10 October is worked.
  { start: '2026-09-30', days: 2, paused: [], due: '2026-10-09' },
  { start: '2026-09-30', days: 15, paused: [], due: '2026-10-27' },
  // On a day off: the day after is the first working day.
  { start: '2026-10-03', days: 2, paused: [], due: '2026-10-09' },
  // Asked on 9 October, answered on the 13th: the 10th, 12th and 13th do not count.
  { start: '2026-09-30', days: 15, paused: [{ from: '2026-10-09', to: '2026-10-13' }], due: '2026-10-30' },
  // Spring Festival 2026: 15 to 23 February are off, the 14th and 28th are worked.
  { start: '2026-02-13', days: 2, paused: [], due: '2026-02-24' },
  { start: '2026-02-14', days: 15, paused: [], due: '2026-03-13' },
  // A pause over the festival takes only the days on which people work.
  { start: '2026-02-13', days: 2, paused: [{ from: '2026-02-14', to: '2026-02-24' }], due: '2026-02-25' },
  // Asked and answered on one day.
  { start: '2026-11-20', days: 2, paused: [{ from: '2026-11-23', to: '2026-11-23' }], due: '2026-11-24' }
])('$days working days from $start are over on $due', ({ start, days, paused, due }) => {
  expect(dueOn(start, days, paused, chineseCalendar)).toBe(due)
})

test('a clock that runs into a year without a notice says so', () => {
  const calendar = calendarFrom(shippedNotices.filter(({ year }) => year <= 2026))
  expect(yearsWithoutNotice('2026-12-30', '2026-12-31', calendar)).toEqual([])
  expect(yearsWithoutNotice('2026-12-30', '2027-01-04', calendar)).toEqual([2027])
})
