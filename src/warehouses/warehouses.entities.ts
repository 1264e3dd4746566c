import { defineEntity, p, type InferEntity } from '@mikro-orm/postgresql'

/** The levels of R-ORG-1, and the technician's van, in the order they hang under each other. */
export const WAREHOUSE_KINDS = ['head-office', 'regional-centre', 'branch', 'outlet', 'van'] as const
export type WarehouseKind = (typeof WAREHOUSE_KINDS)[number]

export const Region = defineEntity({
  name: 'Region',
  tableName: 'region',
  uniques: [{ name: 'region_code_taken', properties: ['code'] }],
  checks: [{ name: 'region_code_malformed', expression: `code ~ '^[A-Z0-9][A-Z0-9-]{0,19}$'::text` }],
  properties: {
    id: p.integer().primary().generated('by default as identity'),
    code: p.text(),
    name: p.text(),
    nameZh: p.text().nullable()
  }
})
export type Region = InferEntity<typeof Region>

export const Warehouse = defineEntity({
  name: 'Warehouse',
  tableName: 'warehouse',
  uniques: [{ name: 'warehouse_code_taken', properties: ['code'] }],
  indexes: [
    { name: 'warehouse_region', properties: ['region', 'code'] },
    { name: 'warehouse_parent', properties: ['parent', 'code'] }
  ],
  checks: [
    { name: 'warehouse_code_malformed', expression: `code ~ '^[A-Z0-9][A-Z0-9-]{0,19}$'::text` },
    {
      name: 'warehouse_kind_unknown',
      expression: `kind = ANY (ARRAY['head-office'::text, 'regional-centre'::text, 'branch'::text, 'outlet'::text, 'van'::text])`
    },
    { name: 'warehouse_own_parent', expression: 'parent_id <> id' }
  ],
  properties: {
    id: p.integer().primary().generated('by default as identity'),
    /** Never changes. */
    code: p.text(),
    name: p.text(),
    nameZh: p.text().nullable(),
    kind: p.text().$type<WarehouseKind>(),
    region: () =>
      p
        .manyToOne(Region)
        .ref()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('warehouse_region_unknown')
        .index(false),
    parent: () =>
      p
        .manyToOne(Warehouse)
        .ref()
        .nullable()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('warehouse_parent_unknown')
        .index(false),
    address: p.text().nullable(),
    contact: p.text().nullable(),
    phone: p.text().nullable(),
    /** Since when it bears its present name. */
    namedAt: p.datetime().defaultRaw('now()'),
    closedOn: p.date().nullable(),
    version: p.integer().default(1)
  }
})
export type Warehouse = InferEntity<typeof Warehouse>

/** A name the warehouse bore before (R-ORG-1). */
export const WarehouseName = defineEntity({
  name: 'WarehouseName',
  tableName: 'warehouse_name',
  indexes: [{ name: 'warehouse_name_warehouse', properties: ['warehouse', 'fromAt'] }],
  properties: {
    id: p.integer().primary().generated('by default as identity'),
    warehouse: () =>
      p
        .manyToOne(Warehouse)
        .ref()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('warehouse_name_warehouse_unknown')
        .index(false),
    name: p.text(),
    nameZh: p.text().nullable(),
    fromAt: p.datetime(),
    toAt: p.datetime()
  }
})
export type WarehouseName = InferEntity<typeof WarehouseName>
