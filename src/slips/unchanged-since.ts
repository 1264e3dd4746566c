import { Refusal } from '../platform/errors.ts'

const ATTEMPTS = 5

/**
 * Read, decide, write if unchanged. `attempt` reads a document without locking it, decides, and writes under the condition
 * that its version is still the one it read; it answers undefined if it was not, and is then made again from the start. So a
 * verb costs two round trips, holds its locks only while the database works, and still decides on what is there.
 */
export async function unchangedSince<Result>(attempt: () => Promise<Result | undefined>): Promise<Result> {
  for (let count = 0; count < ATTEMPTS; count++) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new Refusal(
    'DocumentBusy',
    409,
    'others are changing this document at the same moment; read it again and repeat'
  )
}
