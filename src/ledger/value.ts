// The value of a lot as SQL. It is a function of what is on hand and of the month, never a running total:
//
//   ρ(m, P)      the summed depreciation rates of a lot aged from month m up to and including month P: nothing in its first
//                three months, then one rate a month, twelve times (R-AGE-1, R-AGE-2). A policy that is followed by another charges
//                the months of its own time; together never more than the longest of them charges in all: what shall remain remains
//   cost(q)      round(unit cost · q, 2)
//   charge(q, P) round(unit cost · q · ρ(m, P), 2)
//
// `lot_cost` of migration 0004 and `lot_charge` of migration 0006 are the last two; a lot of goods that came back has constants beside (see there).

/**
 * ρ as an expression, so that the planner sees through it: called as a function it costs ten times as much.
 * @param aged month index of the lot's first month; @param until month index of P
 */
export const rateSum = (aged: string, until: string): string =>
  `(select coalesce(least(sum(policy.rate * ${chargesTaken(aged, until)}), ${rateCap(until)}), 0) from depreciation_policy policy)`

/** What no lot is charged more than up to P, over the policies `policy`. */
export function rateCap(until: string): string {
  return `max(policy.rate * policy.charge_count) filter (where policy.from_month <= ${until})`
}

/** How many charges of the policy `policy` a lot has had up to and including P; parameters as in `rateSum`. */
export function chargesTaken(aged: string, until: string): string {
  return `greatest(0, least(${until}, policy.until_month, ${aged} + policy.grace_months + policy.charge_count - 1) - greatest(policy.from_month, ${aged} + policy.grace_months) + 1)`
}

/** The accumulated depreciation of what a lot `l` has on hand, charged up to and including the month before `today`. */
export const chargeOnHand = (today: string): string =>
  `(case when l.unit_cost = 0 then 0 else lot_charge(l.unit_cost, l.on_hand, ${rateSum('l.aged_month', `month_index(${today}::date) - 1`)} - l.rate_skipped, l.charge_residue, l.charge_in) end)`

/** The original cost of what a lot `l` has on hand. */
export const COST_ON_HAND = 'lot_cost(l.unit_cost, l.on_hand, l.cost_residue)'
