const ATTEMPTS = 4

/**
 * Does a whole transaction again that PostgreSQL chose to break off because it and another one waited for each other (SQLSTATE 40P01,
 * 40001). Who holds goods of several warehouses in an order of its own (what the search for a request gives, and what it displaces) may
 * meet who holds them in the order of their keys (a recall).
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

/** Somebody was faster: what was read is no longer so, and the transaction is done again from its start. */
export class Overtaken extends Error {
  readonly code = '40001'
}
