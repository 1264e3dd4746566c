import type { MigrationObject } from '@mikro-orm/core'
import { Platform } from './0001-platform.ts'

/** Every migration in the order it is applied. Append only. */
export const migrations: MigrationObject[] = [{ name: '0001-platform', class: Platform }]
