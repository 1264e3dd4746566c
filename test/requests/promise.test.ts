import { expect, test } from 'vitest'
import { chineseCalendar } from '../../src/platform/working-days.ts'
import { promiseOf, type Prospects } from '../../src/requests/promise.ts'

const ON = { today: '2026-11-20', calendar: chineseCalendar, defaultDays: 15 }
const promised = (quantity: string, prospects: Partial<Prospects> = {}) =>
  promiseOf(quantity, { ahead: '0', arrivals: [], policyLeadTimeDays: null, partLeadTimeDays: null, ...prospects }, ON)
const arrivals = [
  { name: 'HQ-PLN-202611-00001/1', on: '2026-11-27', quantity: '5' },
  { name: 'HQ-PLN-202611-00001/2', on: '2026-12-04', quantity: '10' }
]

test('what is on its way is promised with the arrival that brings enough (R-REQ-1)', () => {
  expect(promised('5', { arrivals })).toEqual({
    on: '2026-11-27',
    basis: 'expected-receipt',
    document: 'HQ-PLN-202611-00001/1'
  })
  expect(promised('5.001', { arrivals })).toMatchObject({ on: '2026-12-04', document: 'HQ-PLN-202611-00001/2' })
})

test('what waits in front is served first from it', () => {
  expect(promised('1', { arrivals, ahead: '5' })).toMatchObject({ on: '2026-12-04' })
  expect(promised('1', { arrivals, ahead: '15', partLeadTimeDays: 10 })).toMatchObject({ basis: 'lead-time' })
})

test('what should have come already stands for no day', () => {
  const late = [{ name: 'X/1', on: '2026-11-19', quantity: '100' }]
  expect(promised('1', { arrivals: late })).toMatchObject({ basis: 'default' })
  expect(promised('1', { arrivals: [{ name: 'X/1', on: '2026-11-20', quantity: '1' }] })).toMatchObject({
    on: '2026-11-20'
  })
})

test('else the lead time of the policy, of the part, or the days a backorder may take', () => {
  // Sunday the 29th, and two working days.
  expect(promised('1', { policyLeadTimeDays: 9, partLeadTimeDays: 60 })).toEqual({
    on: '2026-12-01',
    basis: 'reorder-policy',
    document: null
  })
  expect(promised('1', { partLeadTimeDays: 0 })).toEqual({ on: '2026-11-24', basis: 'lead-time', document: null })
  expect(promised('1')).toEqual({ on: '2026-12-11', basis: 'default', document: null })
})
