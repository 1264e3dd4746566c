import { Refusal } from './errors.ts'

/**
 * Refuses a list of days that would end before it begins, and could only be empty.
 * @throws Refusal 422 `DaysReversed`
 */
export function requireDaysInOrder({ from, to }: { from?: string | undefined; to?: string | undefined }): void {
  if (from === undefined || to === undefined || from <= to) return
  throw new Refusal('DaysReversed', 422, `from ${from} is after to ${to}; the first day comes first`, {
    errors: [{ pointer: '?from', detail: 'is after ?to', sent: from, accepted: `${to} or earlier` }]
  })
}
