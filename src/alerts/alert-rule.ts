import type { AlertKind } from './alert-kinds.ts'

/**
 * What the query of a rule may use: `$1` today, `$2` this instant, `$3` the business time zone, `$4` the next working day and `$5` the one
 * after it, `$6` the days for which goods may be in transit.
 */
export interface AlertRule {
  kind: AlertKind
  /**
   * What `about_id` is, and so by what the rule is asked for some only: a part, a lot, a document, the outlet of a deposit, or the
   * warehouse as a whole.
   */
  about: 'part' | 'lot' | 'document' | 'deposit' | 'warehouse'
  /**
   * Rows (warehouse_id, subject, about_id, duty, details), one per warehouse and subject; `duty` is told besides those of the policy.
   * @param isSome only of those in `asked (warehouse_id, about_id)`
   */
  causes(isSome: boolean): string
  /** Whether the rows have `people` as well: ids of those who are told because the cause names them, whatever duties they hold. */
  namesPeople?: true
  /** What else is published when it is raised: an event, and members of its details. */
  publishes?: { event: string; members: readonly string[] }
}

export const decimal = (value: string): string => `trim_scale(${value})::text`
export const utc = (value: string): string => `to_char(${value} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`

export const NAMED_PART = `'part', part.number, 'name', part.name, 'nameZh', part.name_zh, 'unit', part.unit`
