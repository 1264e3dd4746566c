import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { problems, ref } from '../platform/schemas.ts'
import { countWorkingDays, readCalendarYear } from './calendar.queries.ts'
import {
  CalendarYearParams,
  CalendarYearView,
  SetCalendarYearBody,
  WorkingDaysQuery,
  WorkingDaysView
} from './calendar.schemas.ts'
import { setCalendarYear } from './set-calendar-year.ts'

const tags = ['calendar']

/** The working days that deadlines are counted in. */
export const calendarRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/calendar/years/:year',
    {
      schema: {
        operationId: 'readCalendarYear',
        tags,
        summary: 'Days off and make-up working days of a year (放假安排)',
        description:
          'For everybody. A year without a notice is answered with isKnown false and no days: Monday to Friday count as working days until it is entered.',
        params: CalendarYearParams,
        response: { 200: ref(CalendarYearView), ...problems }
      }
    },
    (request) => readCalendarYear(request.ctx, request.params)
  )

  app.put(
    '/calendar/years/:year',
    {
      schema: {
        operationId: 'setCalendarYear',
        tags,
        summary: 'Enter the notice of a year (录入放假安排)',
        description:
          'Duty: administrator everywhere. Replaces what was entered or shipped for the year. Every process counts by it within seconds.',
        params: CalendarYearParams,
        body: SetCalendarYearBody,
        response: { 200: ref(CalendarYearView), ...problems }
      }
    },
    (request) => setCalendarYear(request.ctx, { ...request.params, ...request.body })
  )

  app.get(
    '/calendar/working-days',
    {
      schema: {
        operationId: 'countWorkingDays',
        tags,
        summary: 'Count working days, or find the day some working days on (工作日计算)',
        description:
          'For everybody. With from and to: how many working days there are after the one, up to and including the other. With start and add: the how manieth working day after start, answered as `to`. Without any of them: the next working day.',
        querystring: WorkingDaysQuery,
        response: { 200: ref(WorkingDaysView), ...problems }
      }
    },
    (request) => countWorkingDays(request.ctx, request.query)
  )
}
