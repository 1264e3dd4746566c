const ATTEMPTS = 4

/** Somebody was faster: what was read is no longer so, and the transaction is done again from its start. */
export class Overtaken extends Error {
  readonly code = '40001'
}

/**
 * Does a whole transaction again that PostgreSQL chose to break off because it and another one waited for each other (SQLSTATE 40P01,
 * 40001). Plans of requests hold goods of several warehouses in an order that the search gives, and what they displace besides.
 */
export async function afterDeadlock<Result>(transaction: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction()
    } catch (error) {
      const { code } = (error ?? {}) as { code?: unknown }
      if (attempt === ATTEMPTS || (code !== '40P01' && code !== '40001')) throw error
    }
  }
}
