import type { Harness } from './harness.ts'

/**
 * Makers of what tests need, each with defaults, e.g. `make.person({ duties: ['keeper'] })`. A room adds its own here.
 * Every maker mints fresh names, so that tests in one file do not meet.
 */
export const makers = (_harness: Pick<Harness, 'runtime' | 'clock' | 'sql' | 'contextOf'>) => ({})

export type Makers = ReturnType<typeof makers>
