import { defineEntity, p, type InferEntity } from '@mikro-orm/postgresql'
import { Person } from '../identity/identity.entities.ts'
import { Warehouse } from '../warehouses/warehouses.entities.ts'

/** Criticality classes of R-CAT-1: A stops the customer's product, B hinders it, C does neither. */
export const CRITICALITIES = ['A', 'B', 'C'] as const
export type Criticality = (typeof CRITICALITIES)[number]

export const Part = defineEntity({
  name: 'Part',
  tableName: 'part',
  uniques: [
    { name: 'part_number_taken', properties: ['number'] },
    { name: 'part_id_number', properties: ['id', 'number'] }
  ],
  indexes: [
    { name: 'part_category', properties: ['category', 'number'] },
    {
      name: 'part_number_taken_in_another_case',
      expression: 'create unique index "part_number_taken_in_another_case" on "part" (upper(number))'
    },
    { name: 'part_search', expression: 'create index "part_search" on "part" using gin (search_grams(search_text))' },
    {
      name: 'part_by_loaner_family',
      expression: 'create index "part_by_loaner_family" on "part" (loaner_family) where loaner_family is not null'
    }
  ],
  checks: [
    { name: 'part_criticality_unknown', expression: `criticality = ANY (ARRAY['A'::text, 'B'::text, 'C'::text])` },
    { name: 'part_standard_cost_negative', expression: 'standard_cost >= (0)::numeric' },
    { name: 'part_list_price_negative', expression: 'list_price >= (0)::numeric' },
    { name: 'part_lead_time_negative', expression: 'lead_time_days >= 0' },
    { name: 'part_pack_size_not_positive', expression: 'pack_size > (0)::numeric' },
    { name: 'part_exchange_due_days_not_positive', expression: 'exchange_due_days > 0' },
    { name: 'part_old_part_value_negative', expression: 'old_part_value >= (0)::numeric' },
    {
      name: 'part_old_part_of_exchange_part',
      expression: 'exchange_due_days IS NOT NULL OR old_part_value IS NULL AND NOT serialised'
    },
    {
      name: 'part_exchange_says_since_when',
      expression: '(exchange_due_days IS NULL) = (exchange_since IS NULL)'
    }
  ],
  properties: {
    id: p.integer().primary().generated('by default as identity'),
    /** 货号; never changes. */
    number: p.text(),
    name: p.text(),
    nameZh: p.text().nullable(),
    specification: p.text().nullable(),
    colour: p.text().nullable(),
    /** The family of a loaner model (备用机): its units have serial numbers and move by the documents of loaners only. */
    loanerFamily: p.text().nullable(),
    /** The stock unit: what balances and movements are counted in. */
    unit: p.text().default('piece'),
    category: p.text().nullable(),
    /** Per stock unit. */
    standardCost: p.decimal('string').precision(18).scale(4).nullable(),
    listPrice: p.decimal('string').precision(18).scale(2).nullable(),
    criticality: p.text().$type<Criticality>().nullable(),
    leadTimeDays: p.integer().nullable(),
    packSize: p.decimal('string').precision(15).scale(3).nullable(),
    /** 监控件: needs an approval before it is ordered or requested (R-CAT-2). */
    controlled: p.boolean().default(false),
    active: p.boolean().default(true),
    version: p.integer().default(1),
    /** An exchange part (R-REQ-6): its old part is due back so many days after the issue. */
    exchangeDueDays: p.integer().nullable(),
    /** Compensation for an old part that never comes back; list price, else standard cost, unless given. */
    oldPartValue: p.decimal('string').precision(18).scale(2).nullable(),
    /** Old parts come back by serial number. */
    serialised: p.boolean().default(false),
    /** Since when it is an exchange part. */
    exchangeSince: p.datetime().nullable(),
    /** Number, names and specification in one, folded for searching; the database makes it. */
    searchText: p.text().generated('(part_search_text(number, name, name_zh, specification)) stored').lazy().hidden()
  }
})
export type Part = InferEntity<typeof Part>

export const PartUnit = defineEntity({
  name: 'PartUnit',
  tableName: 'part_unit',
  checks: [{ name: 'part_unit_factor_not_positive', expression: 'factor > (0)::numeric' }],
  properties: {
    part: () =>
      p
        .manyToOne(Part)
        .ref()
        .primary()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('part_unit_part_unknown')
        .index(false),
    unit: p.text().primary(),
    /** Stock units in one such unit. */
    factor: p.decimal('string').precision(15).scale(3)
  }
})
export type PartUnit = InferEntity<typeof PartUnit>

export const Supplier = defineEntity({
  name: 'Supplier',
  tableName: 'supplier',
  uniques: [{ name: 'supplier_code_taken', properties: ['code'] }],
  checks: [{ name: 'supplier_code_malformed', expression: `code ~ '^[A-Z0-9][A-Z0-9-]{0,19}$'::text` }],
  properties: {
    id: p.integer().primary().generated('by default as identity'),
    code: p.text(),
    name: p.text(),
    nameZh: p.text().nullable(),
    active: p.boolean().default(true)
  }
})
export type Supplier = InferEntity<typeof Supplier>

export const SupplierAuthorisation = defineEntity({
  name: 'SupplierAuthorisation',
  tableName: 'supplier_authorisation',
  indexes: [{ name: 'supplier_authorisation_part', properties: ['part'] }],
  checks: [{ name: 'supplier_authorisation_ends_before_it_begins', expression: 'valid_to >= valid_from' }],
  properties: {
    supplier: () =>
      p
        .manyToOne(Supplier)
        .ref()
        .primary()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('supplier_authorisation_supplier_unknown')
        .index(false),
    part: () =>
      p
        .manyToOne(Part)
        .ref()
        .primary()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('supplier_authorisation_part_unknown')
        .index(false),
    validFrom: p.date().primary(),
    validTo: p.date().nullable()
  }
})
export type SupplierAuthorisation = InferEntity<typeof SupplierAuthorisation>

export const Supersession = defineEntity({
  name: 'Supersession',
  tableName: 'supersession',
  indexes: [{ name: 'supersession_successor', properties: ['successor'] }],
  checks: [
    { name: 'supersession_of_itself', expression: 'part_id <> successor_id' },
    { name: 'supersession_factor_not_positive', expression: 'factor > (0)::numeric' },
    { name: 'supersession_ends_before_it_begins', expression: 'valid_to >= valid_from' }
  ],
  properties: {
    part: () =>
      p
        .manyToOne(Part)
        .ref()
        .primary()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('supersession_part_unknown')
        .index(false),
    successor: () =>
      p
        .manyToOne(Part)
        .ref()
        .primary()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('supersession_successor_unknown')
        .index(false),
    validFrom: p.date().primary(),
    validTo: p.date().nullable(),
    /** How many successors replace one. */
    factor: p.decimal('string').precision(15).scale(3).default('1'),
    bothWays: p.boolean().default(false)
  }
})
export type Supersession = InferEntity<typeof Supersession>

export const ControlledApproval = defineEntity({
  name: 'ControlledApproval',
  tableName: 'controlled_approval',
  indexes: [{ name: 'controlled_approval_part', properties: ['part', 'warehouse'] }],
  checks: [
    { name: 'controlled_approval_quantity_not_positive', expression: 'quantity > (0)::numeric' },
    { name: 'controlled_approval_overdrawn', expression: 'used >= (0)::numeric AND used <= quantity' },
    { name: 'controlled_approval_ends_before_it_begins', expression: 'valid_to >= valid_from' }
  ],
  properties: {
    id: p.integer().primary().generated('by default as identity'),
    part: () =>
      p
        .manyToOne(Part)
        .ref()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('controlled_approval_part_unknown')
        .index(false),
    warehouse: () =>
      p
        .manyToOne(Warehouse)
        .ref()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('controlled_approval_warehouse_unknown')
        .index(false),
    quantity: p.decimal('string').precision(15).scale(3),
    used: p.decimal('string').precision(15).scale(3).default('0'),
    reason: p.text(),
    approvedBy: () =>
      p
        .manyToOne(Person)
        .ref()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('controlled_approval_approver_unknown')
        .fieldName('approved_by')
        .index(false),
    approvedAt: p.datetime(),
    validFrom: p.date(),
    validTo: p.date()
  }
})
export type ControlledApproval = InferEntity<typeof ControlledApproval>
