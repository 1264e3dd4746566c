import { requireDutyEverywhere, type Context } from '../identity/actor.ts'
import { recordAudit } from '../identity/audit.ts'
import { inTransaction } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal, type FieldProblem } from '../platform/errors.ts'
import type { AgingBucketView } from './valuation-settings.schemas.ts'

const LIST = statement<AgingBucketView>(
  `select from_months as "fromMonths", to_months as "toMonths", name, name_zh as "nameZh" from aging_bucket order by from_months`
)

/** The classes of age, youngest first; every age lies in exactly one (R-AGE-1). */
export const listAgingBuckets = (ctx: Context): Promise<AgingBucketView[]> => run(ctx, LIST, [])

// Who replaces the list keeps others from doing so until it is done; readers see the old list or the new one.
const LOCK = statement<never>(`select pg_advisory_xact_lock(7305007)`)
const CLEAR = statement<never>(`delete from aging_bucket`)
const INSERT = statement<never>(`
insert into aging_bucket (from_months, to_months, name, name_zh)
select * from unnest($1::int[], $2::int[], $3::text[], $4::text[])`)

/**
 * Replaces the classes of age as a whole. Statements of closed months keep the classes they were made with.
 * @throws Refusal 422 `BucketsNotContiguous` or `BucketNameRepeated`
 */
export async function setAgingBuckets(
  ctx: Context,
  { buckets }: { buckets: readonly AgingBucketView[] }
): Promise<AgingBucketView[]> {
  requireDutyEverywhere(ctx, 'hq-finance')
  const gap = firstGap(buckets)
  if (gap !== undefined) {
    throw new Refusal(
      'BucketsNotContiguous',
      422,
      'the buckets begin with month 0 or 1, each begins one month after the one before ends, and the last alone has no end',
      { errors: [gap] }
    )
  }
  const repeated = buckets.findIndex(({ name }, index) => buckets.findIndex((other) => other.name === name) < index)
  if (repeated !== -1) {
    throw new Refusal('BucketNameRepeated', 422, 'every bucket has a name of its own', {
      errors: [{ pointer: `/buckets/${repeated}/name`, detail: 'is given twice', sent: buckets[repeated]?.name }]
    })
  }
  return inTransaction(ctx, async (ctx) => {
    await run(ctx, LOCK, [])
    await run(ctx, CLEAR, [])
    await run(ctx, INSERT, [
      buckets.map(({ fromMonths }) => fromMonths),
      buckets.map(({ toMonths }) => toMonths),
      buckets.map(({ name }) => name),
      buckets.map(({ nameZh }) => nameZh)
    ])
    await recordAudit(ctx, 'aging-buckets.set', 'aging-buckets:*', { buckets })
    return listAgingBuckets(ctx)
  })
}

/** The first bucket that leaves an age out or takes one twice. */
function firstGap(buckets: readonly AgingBucketView[]): FieldProblem | undefined {
  for (const [index, { fromMonths, toMonths }] of buckets.entries()) {
    const before = buckets[index - 1]
    const isLast = index === buckets.length - 1
    // Ages begin with 1; a list may begin with 0 as the rule book writes it.
    if (before === undefined ? fromMonths > 1 : fromMonths !== (before.toMonths ?? Infinity) + 1) {
      return {
        pointer: `/buckets/${index}/fromMonths`,
        detail: before === undefined ? 'the first bucket begins elsewhere' : 'does not follow on the bucket before',
        sent: fromMonths,
        accepted: before === undefined ? '0 or 1' : (before.toMonths ?? 0) + 1
      }
    }
    const pointer = `/buckets/${index}/toMonths`
    if (isLast && toMonths !== null)
      return { pointer, detail: 'older goods would have no bucket', sent: toMonths, accepted: null }
    if (!isLast && toMonths === null)
      return { pointer, detail: 'only the last bucket has no end', sent: null, accepted: `${fromMonths} or more` }
    if (toMonths !== null && toMonths < fromMonths)
      return { pointer, detail: 'ends before it begins', sent: toMonths, accepted: `${fromMonths} or more` }
  }
  return undefined
}
