import { Person } from './identity/identity.entities.ts'
import type { Options } from '@mikro-orm/postgresql'

/** Every entity. Balances, lots, movements and slips are written by SQL in their own rooms and have none. */
export const entities: NonNullable<Options['entities']> = [Person]
