// What lies longer than the holding period, as SQL. Said once, because whoever proposes, gives or requests goods of other warehouses
// goes by the same (R-AGE-6).

/** Lots `l` of a part in a warehouse that are own, qualified, not blocked and past the holding period on the day `today`; all as SQL. */
export const agedLots = (warehouse: string, part: string, today: string): string => `
  lot l where l.warehouse_id = ${warehouse} and l.part_id = ${part} and l.ownership = 'own' and l.condition = 'qualified' and not l.exhausted and not l.blocked
         and l.aged_month + ${holdingMonths(today)} <= month_index(${today})`

/** The holding period in months: the months free of charge of the policy in force (R-AGE-1). */
export const holdingMonths = (today: string): string => `
  (select d.grace_months from depreciation_policy d where d.effective_from <= ${today} and (d.effective_until is null or d.effective_until > ${today}))`
