import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemActor } from '../../src/identity/directory.ts'
import { calendarOf, forgetCalendar } from '../../src/platform/working-days.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let administrator: Caller
let keeper: Caller
beforeAll(async () => {
  h = await openHarness()
  await h.make.warehouse({ code: 'HQ', region: 'HOME' })
  administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  keeper = callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: 'HQ' }] }))
})
afterAll(() => h.close())
afterEach(async () => {
  await h.sql('delete from calendar_year')
  forgetCalendar(h.contextOf(systemActor))
})

const NEW_YEAR = { date: '2027-01-01', isOffDay: true, name: '元旦' }
const enter = (year: number, days: object[], by = administrator) =>
  by.put(`/v1/calendar/years/${year}`, { source: '国办发明电〔2026〕9号', days })
const workingDays = async (query: object) =>
  (await keeper.get(`/v1/calendar/working-days?${new URLSearchParams(query as Record<string, string>).toString()}`))
    .body

describe('the calendar of a year (放假安排)', () => {
  test('is the shipped notice, with where it can be read', async () => {
    const { body } = await keeper.get('/v1/calendar/years/2026')
    expect(body).toMatchObject({
      year: 2026,
      isKnown: true,
      origin: 'shipped',
      source: 'https://www.gov.cn/zhengce/zhengceku/202511/content_7047091.htm',
      setBy: null,
      setAt: null
    })
    expect(body.days[0]).toEqual({ date: '2026-01-01', isOffDay: true, name: '元旦' })
  })

  test('says that it is not known as long as nobody entered it', async () => {
    expect((await keeper.get('/v1/calendar/years/2027')).body).toEqual({
      year: 2027,
      isKnown: false,
      origin: null,
      source: null,
      days: [],
      setBy: null,
      setAt: null
    })
  })

  test('is entered by an administrator, counts at once and is noted with who entered it', async () => {
    expect(await workingDays({ start: '2026-12-31', add: '1' })).toEqual({
      from: '2026-12-31',
      to: '2027-01-01',
      workingDays: 1,
      unknownYears: [2027]
    })
    const { status, body } = await enter(2027, [{ date: '2027-01-03', isOffDay: false, name: '元旦' }, NEW_YEAR])
    expect([status, body]).toEqual([
      200,
      {
        year: 2027,
        isKnown: true,
        origin: 'entered',
        source: '国办发明电〔2026〕9号',
        days: [NEW_YEAR, { date: '2027-01-03', isOffDay: false, name: '元旦' }],
        setBy: administrator.person.username,
        setAt: '2026-11-20T02:00:00Z'
      }
    ])
    expect((await keeper.get('/v1/calendar/years/2027')).body).toEqual(body)
    // New Year is off, the Sunday after it is worked.
    expect(await workingDays({ start: '2026-12-31', add: '1' })).toEqual({
      from: '2026-12-31',
      to: '2027-01-03',
      workingDays: 1,
      unknownYears: []
    })
    const [event] = await h.sql(
      `select person_id as "personId", action, details from audit_event where subject = 'calendar-year:2027' order by id desc limit 1`
    )
    expect(event).toMatchObject({
      personId: administrator.person.id,
      action: 'calendar-year.set',
      details: { source: '国办发明电〔2026〕9号', days: body.days }
    })
  })

  test('of a shipped year may be amended: what was entered last goes before all else', async () => {
    expect(await workingDays({ from: '2026-10-08', to: '2026-10-09' })).toMatchObject({ workingDays: 1 })
    await enter(2026, [{ date: '2026-10-09', isOffDay: true, name: '国庆节' }])
    expect(await workingDays({ from: '2026-10-08', to: '2026-10-09' })).toMatchObject({ workingDays: 0 })
    // The whole year is replaced, not the one day.
    expect(await workingDays({ from: '2026-09-30', to: '2026-10-01' })).toMatchObject({ workingDays: 1 })
    await enter(2026, [{ date: '2026-10-01', isOffDay: true, name: '国庆节' }])
    expect(await workingDays({ from: '2026-10-08', to: '2026-10-09' })).toMatchObject({ workingDays: 1 })
    expect(await workingDays({ from: '2026-09-30', to: '2026-10-01' })).toMatchObject({ workingDays: 0 })
  })

  test('takes days of December before and January after, weekends off and worked Mondays, as notices have them', async () => {
    const days = [
      { date: '2026-12-31', isOffDay: true, name: '元旦' },
      { date: '2027-01-02', isOffDay: true, name: '元旦' },
      { date: '2027-02-15', isOffDay: false, name: '春节' },
      { date: '2028-01-02', isOffDay: false, name: '元旦' }
    ]
    expect((await enter(2027, days)).body.days).toEqual(days)
    expect(await workingDays({ from: '2026-12-30', to: '2026-12-31' })).toMatchObject({ workingDays: 0 })
    expect(await workingDays({ from: '2028-01-01', to: '2028-01-02' })).toEqual({
      from: '2028-01-01',
      to: '2028-01-02',
      workingDays: 1,
      unknownYears: [2028]
    })
  })

  test('refuses days of another year and days given twice, naming each (R-ERR-1)', async () => {
    const outside = await enter(2027, [
      NEW_YEAR,
      { ...NEW_YEAR, date: '2026-11-30' },
      { ...NEW_YEAR, date: '2028-02-01' }
    ])
    expect([outside.status, outside.body]).toMatchObject([
      422,
      {
        code: 'DayOutsideYear',
        errors: [
          { pointer: '/days/1/date', sent: '2026-11-30', accepted: '2026-12-01 to 2028-01-31' },
          { pointer: '/days/2/date', sent: '2028-02-01' }
        ]
      }
    ])
    const twice = await enter(2027, [NEW_YEAR, { ...NEW_YEAR, isOffDay: false }])
    expect([twice.status, twice.body]).toMatchObject([
      422,
      { code: 'DayRepeated', errors: [{ pointer: '/days/1/date', sent: '2027-01-01' }] }
    ])
    expect((await enter(2027, [])).status).toBe(400)
    expect((await enter(1999, [NEW_YEAR])).status).toBe(400)
    expect((await enter(2027, [{ ...NEW_YEAR, date: '2027-02-30' }])).status).toBe(400)
    expect((await keeper.get('/v1/calendar/years/2027')).body.isKnown).toBe(false)
  })

  test('is entered by nobody but an administrator everywhere', async () => {
    const others = [
      keeper,
      callerFor(h, await h.make.person({ grants: [{ duty: 'administrator', warehouse: 'HQ' }] })),
      callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
    ]
    for (const other of others)
      expect((await enter(2027, [NEW_YEAR], other)).body).toMatchObject({ status: 403, code: 'DutyRequired' })
    expect(await h.sql('select 1 from calendar_year')).toEqual([])
  })

  test('is read again by every process within seconds, and not more often', async () => {
    const ctx = h.contextOf(systemActor)
    const calendar = await calendarOf(ctx)
    expect(await calendarOf(ctx)).toBe(calendar)
    expect(calendar.isKnown('2027-01-01')).toBe(false)
    await enter(2027, [NEW_YEAR])
    expect((await calendarOf(ctx)).isKnown('2027-01-01')).toBe(true)
  })
})

describe('working days (R-REQ-2)', () => {
  test('are counted after one day up to another, or added to a day', async () => {
    expect(await workingDays({ from: '2026-06-15', to: '2026-06-26' })).toEqual({
      from: '2026-06-15',
      to: '2026-06-26',
      workingDays: 8,
      unknownYears: []
    })
    expect(await workingDays({ start: '2026-06-18', add: '2' })).toEqual({
      from: '2026-06-18',
      to: '2026-06-23',
      workingDays: 2,
      unknownYears: []
    })
    expect(await workingDays({ start: '2026-10-01', add: '0' })).toMatchObject({ to: '2026-10-01', workingDays: 0 })
  })

  test('begin with today where no day is given: without any question, the next working day', async () => {
    // The clock stands on Friday, 20 November.
    expect(await workingDays({})).toEqual({
      from: '2026-11-20',
      to: '2026-11-23',
      workingDays: 1,
      unknownYears: []
    })
    expect(await workingDays({ to: '2026-11-24' })).toMatchObject({ from: '2026-11-20', workingDays: 2 })
    expect(await workingDays({ from: '2026-11-16' })).toMatchObject({ to: '2026-11-20', workingDays: 4 })
    expect(await workingDays({ add: '15' })).toMatchObject({ from: '2026-11-20', to: '2026-12-11' })
  })

  test('name every year whose notice is not known', async () => {
    expect(await workingDays({ from: '2026-12-01', to: '2028-01-03' })).toMatchObject({ unknownYears: [2027, 2028] })
  })

  test('refuse two questions at once, days in the wrong order, and days without a calendar', async () => {
    expect(await workingDays({ from: '2026-11-20', add: '2' })).toMatchObject({ status: 422, code: 'QuestionsMixed' })
    expect(await workingDays({ from: '2026-11-20', to: '2026-11-19' })).toMatchObject({
      status: 422,
      code: 'DaysReversed'
    })
    expect(await workingDays({ start: '9999-12-31', add: '2' })).toMatchObject({
      status: 422,
      code: 'OutsideCalendar',
      errors: [{ pointer: '?start', sent: '9999-12-31' }]
    })
    expect(await workingDays({ start: '2026-11-20', add: '-1' })).toMatchObject({ status: 400 })
  })

  test('are told to whoever is signed in, and to nobody else', async () => {
    expect((await h.api.get('/v1/calendar/working-days')).status).toBe(401)
    const nobody = callerFor(h, await h.make.person())
    expect((await nobody.get('/v1/calendar/working-days')).status).toBe(200)
  })
})
