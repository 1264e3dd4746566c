/**
 * As `replaced (part_id, target_id, factor)`: parts that are replaced one way today, each with the end of its chain and how many of that
 * stand for one of it (R-CAT-4). Of several successors the one that is still bought counts, then the newest, then the first by number.
 *
 * Parts that replace each other both ways stay apart: both are bought and issued, so each has its own demand, and adding them up would
 * order the same need twice. What the other one has is looked at when something is proposed.
 * @param today the day, as SQL
 */
export const replacedParts = (today: string): string => `
  direct as (
    select distinct on (s.part_id) s.part_id, s.successor_id, s.factor::numeric as factor
      from supersession s
      join part successor on successor.id = s.successor_id
     where not s.both_ways and s.valid_from <= ${today} and (s.valid_to is null or s.valid_to >= ${today})
     order by s.part_id, successor.active desc, s.valid_from desc, successor.number
  ), chain (part_id, target_id, factor, steps) as (
    select part_id, successor_id, factor, 1 from direct
     union all
    select chain.part_id, direct.successor_id, chain.factor * direct.factor, chain.steps + 1
      from chain
      join direct on direct.part_id = chain.target_id
     where chain.steps < 20
  ), replaced as materialized (
    select distinct on (part_id) part_id, target_id, factor from chain order by part_id, steps desc
  )`
