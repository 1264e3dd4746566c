import { purgeRefreshTokens } from './refresh-tokens.ts'
import { defineJob } from '../platform/queue.ts'

// A refresh token is purged if and only if it expired at least a day ago; used and revoked ones stay until then, so that a copy
// that comes late is still recognised. A second run finds nothing to delete.
export const purgeExpiredRefreshTokens = defineJob({
  name: 'identity.purge-refresh-tokens',
  schedule: { pattern: '30 3 * * *' },
  run: async (ctx) => ({ purged: await purgeRefreshTokens(ctx) })
})
