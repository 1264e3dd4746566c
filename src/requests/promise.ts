import type { Calendar } from '../platform/working-days.ts'
import { thousandths } from '../platform/decimal.ts'

// When goods can be promised that nobody has (R-REQ-1). From what is on its way to the centre, if enough of it comes on a day that
// somebody gave and is not spoken for by what waits in front; else from the lead time of the part, in calendar days from today, and two
// working days to hand it on; else by the working days that a backorder may take (R-REQ-2). What should have come already stands for no day.

export const PROMISE_BASES = ['expected-receipt', 'reorder-policy', 'lead-time', 'default', 'person'] as const
export type PromiseBasis = (typeof PROMISE_BASES)[number]

export interface Prospects {
  /** What waits in front for the same goods. */
  ahead: string
  /** What is on its way to the centre, the first to come first. */
  arrivals: readonly { name: string; on: string; quantity: string }[]
  policyLeadTimeDays: number | null
  partLeadTimeDays: number | null
}

/** Working days from the day on which goods reach the centre by lead time until an outlet has them. */
const HANDING_ON = 2

export interface GoodsPromise {
  on: string
  basis: Exclude<PromiseBasis, 'person'>
  /** The expected receipt with which there is enough. */
  document: string | null
}

/** @param defaultDays working days that a backorder may take where nothing is known */
export function promiseOf(
  quantity: string,
  { ahead, arrivals, policyLeadTimeDays, partLeadTimeDays }: Prospects,
  { today, calendar, defaultDays }: { today: string; calendar: Pick<Calendar, 'addWorkingDays'>; defaultDays: number }
): GoodsPromise {
  let missing = thousandths(ahead) + thousandths(quantity)
  for (const { name, on, quantity: coming } of arrivals.filter((arrival) => arrival.on >= today)) {
    missing -= thousandths(coming)
    if (missing <= 0n) return { on, basis: 'expected-receipt', document: name }
  }
  const leadTimeDays = policyLeadTimeDays ?? partLeadTimeDays
  if (leadTimeDays === null)
    return { on: calendar.addWorkingDays(today, defaultDays), basis: 'default', document: null }
  const reached = Temporal.PlainDate.from(today).add({ days: leadTimeDays }).toString()
  return {
    on: calendar.addWorkingDays(reached, HANDING_ON),
    basis: policyLeadTimeDays === null ? 'lead-time' : 'reorder-policy',
    document: null
  }
}
