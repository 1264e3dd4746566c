import type { Job } from './platform/queue.ts'

/** Every job, by room. */
export const jobs: Job[] = []
