import { inject } from 'vitest'

/** The Redis database of this number; each test file that needs one takes its own. Null where there is no Redis. */
export function redisDatabase(number: number): string | null {
  const url = inject('redisUrl')
  return url === null ? null : Object.assign(new URL(url), { pathname: `/${number}` }).href
}
