import type { Context } from '../identity/actor.ts'
import { defineJob } from '../platform/queue.ts'
import { remindCustomers } from './notices.ts'
import { expireLoanerReservations } from './reserve-loaner.ts'

// Ready notices that are due (R-LOAN-3), in the morning of every day; what is due is defined in notices.ts. A second run on a day tells
// nobody twice.
export const remindOfReadyRepairs = defineJob({
  name: 'loaners.remind',
  schedule: { pattern: '30 8 * * *' },
  run: (ctx: Context) => remindCustomers(ctx)
})

// Reservations whose last day is past; a second run finds none.
export const expireReservations = defineJob({
  name: 'loaners.expire-reservations',
  schedule: { pattern: '5 0 * * *' },
  run: (ctx: Context) => expireLoanerReservations(ctx)
})
