import {
  ControlledApproval,
  Part,
  PartUnit,
  Supersession,
  Supplier,
  SupplierAuthorisation
} from './catalogue/catalogue.entities.ts'
import { Person } from './identity/identity.entities.ts'
import { Region, Warehouse, WarehouseName } from './warehouses/warehouses.entities.ts'
import type { Options } from '@mikro-orm/postgresql'

/** Every entity. Balances, lots, movements and slips are written by SQL in their own rooms and have none. */
export const entities: NonNullable<Options['entities']> = [
  Person,
  Region,
  Warehouse,
  WarehouseName,
  Part,
  PartUnit,
  Supplier,
  SupplierAuthorisation,
  Supersession,
  ControlledApproval
]
