export { afterDeadlock } from '../platform/after-deadlock.ts'

/** Somebody was faster: what was read is no longer so, and the transaction is done again from its start. */
export class Overtaken extends Error {
  readonly code = '40001'
}
