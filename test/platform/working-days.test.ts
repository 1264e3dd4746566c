import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calendarFrom, chineseCalendar, shippedNotices } from '../../src/platform/working-days.ts'

// What is expected was worked out outside of this service from the State Council's notices; the status of every day of 2018 to
// 2026 agrees with the npm package chinese-days 1.5.7.

const daysOf = (month: string) =>
  Array.from({ length: Temporal.PlainYearMonth.from(month).daysInMonth }, (_, index) =>
    Temporal.PlainYearMonth.from(month)
      .toPlainDate({ day: index + 1 })
      .toString()
  )

describe('the calendar of the State Council (放假安排)', () => {
  test('knows holidays, bridge days and make-up working days (R-REQ-2)', () => {
    const days = {
      '2025-01-01': false,
      '2025-05-31': false,
      '2025-06-02': false,
      '2025-06-03': true,
      '2026-04-06': false,
      '2026-06-19': false,
      '2026-06-21': false,
      // Make-up working days: a Sunday, and a Monday that a later notice took out of the holidays again.
      '2025-01-26': true,
      '2020-02-03': true
    }
    expect(Object.fromEntries(Object.keys(days).map((day) => [day, chineseCalendar.isWorkingDay(day)]))).toEqual(days)
  })

  test.for([
    ['2025-06', 20],
    ['2025-07', 23],
    ['2025-08', 21]
  ] as const)('%s has %i working days', ([month, expected]) => {
    expect(daysOf(month).filter(chineseCalendar.isWorkingDay)).toHaveLength(expected)
  })

  test('counts the n-th working day strictly after a day (R-REQ-2)', () => {
    const cases = [
      ['2025-05-30', 1, '2025-06-03'],
      ['2025-06-27', 1, '2025-06-30'],
      ['2025-04-03', 1, '2025-04-07'],
      ['2026-06-18', 2, '2026-06-23'],
      ['2026-04-03', 1, '2026-04-07'],
      // No working day after a day is that day, also if it is off.
      ['2026-10-01', 0, '2026-10-01']
    ] as const
    expect(cases.map(([start, n]) => [start, n, chineseCalendar.addWorkingDays(start, n)])).toEqual(cases)
  })

  test('counts the working days after one day up to another', () => {
    const cases = [
      ['2025-05-26', '2025-06-06', 8],
      ['2026-06-15', '2026-06-26', 8],
      ['2026-03-30', '2026-04-10', 8],
      ['2026-04-07', '2026-04-07', 0],
      ['2026-04-10', '2026-03-30', 0]
    ] as const
    expect(cases.map(([from, to]) => [from, to, chineseCalendar.countWorkingDays(from, to)])).toEqual(cases)
  })

  test('a day of late December may be off by the notice of the next year', () => {
    // 2018-12-29 was worked for 2018-12-31; 2022-12-31 belongs to New Year of 2023.
    expect(
      ['2018-12-29', '2018-12-31', '2022-12-31', '2022-12-30'].map((day) => chineseCalendar.isWorkingDay(day))
    ).toEqual([true, false, false, true])
  })

  test('a year without a notice is told apart: Monday to Friday count, and isKnown is false', () => {
    const days = ['2026-12-31', '2027-01-01', '2027-01-02', '2017-12-29']
    expect(days.map((day) => [chineseCalendar.isKnown(day), chineseCalendar.isWorkingDay(day)])).toEqual([
      [true, true],
      [false, true],
      [false, false],
      [false, true]
    ])
    expect(shippedNotices.map(({ year }) => year)).toEqual([2018, 2019, 2020, 2021, 2022, 2023, 2024, 2025, 2026])
  })

  test('goes by the last notice of a year, and by the later year where two name the same day', () => {
    const notice = (year: number, date: string, isOffDay: boolean) => ({
      year,
      source: 'test',
      days: [{ date, isOffDay, name: '元旦' }]
    })
    const calendar = calendarFrom([
      notice(2027, '2026-12-31', true),
      notice(2026, '2026-12-31', false),
      notice(2025, '2025-03-03', true),
      notice(2025, '2025-03-04', true)
    ])
    expect(['2026-12-31', '2025-03-03', '2025-03-04'].map((day) => calendar.isWorkingDay(day))).toEqual([
      false,
      true,
      false
    ])
  })

  test('refuses to count backwards or in parts, and what is no day', () => {
    for (const n of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => chineseCalendar.addWorkingDays('2026-04-03', n)).toThrow(RangeError)
    expect(() => chineseCalendar.isWorkingDay('2026-02-30')).toThrow(RangeError)
  })

  test('adding and counting undo each other', () => {
    const day = fc
      .integer({ min: 0, max: 4000 })
      .map((days) => Temporal.PlainDate.from('2017-06-01').add({ days }).toString())
    fc.assert(
      fc.property(day, fc.integer({ min: 1, max: 60 }), (start, n) => {
        const end = chineseCalendar.addWorkingDays(start, n)
        expect(chineseCalendar.isWorkingDay(end)).toBe(true)
        expect(chineseCalendar.countWorkingDays(start, end)).toBe(n)
      })
    )
  })
})
