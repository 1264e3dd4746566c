import type { Duty } from '../identity/actor.ts'

/** Who keeps parts, units and supersession, everywhere. */
export const CATALOGUE_DUTIES = ['stock-controller', 'administrator'] as const satisfies Duty[]

/** Who keeps suppliers and what they may deliver, everywhere. */
export const SUPPLIER_DUTIES = ['purchaser', 'stock-controller', 'administrator'] as const satisfies Duty[]
