import type { Method } from './forecast.ts'

/** Classes of demand (需求分类); `none` has not been asked for at all. */
export const DEMAND_CLASSES = ['none', 'smooth', 'erratic', 'intermittent', 'lumpy'] as const
export type DemandClass = (typeof DEMAND_CLASSES)[number]

/** Months between demands above which demand is intermittent. */
export const ADI_LIMIT = 1.32
/** Squared coefficient of variation of the sizes above which they are erratic. */
export const CV2_LIMIT = 0.49

export interface Classification {
  demandClass: DemandClass
  /** Mean interval between months with demand; the first counts from the start. Null without demand. */
  adi: number | null
  /** Squared coefficient of variation of the sizes. Null with fewer than two. */
  cv2: number | null
  /** Months with demand. */
  nonzero: number
}

/**
 * Classes a series after Syntetos, Boylan & Croston (2005): sizes that vary (CV² > 0.49) are erratic or lumpy, demand that comes seldom
 * (ADI > 1.32) is intermittent or lumpy, the rest is smooth; the limits themselves belong to the lower class.
 *
 * ADI is the mean of the intervals between months with demand, the first counted from the start of the series, so that quiet months at
 * the end do not enter: the number of the last month with demand ÷ months with demand. CV² is of the sizes of months with demand, with
 * the sample variance (n − 1). With a single demand CV² is unknown and taken as none: the series is smooth or intermittent. Without any
 * the class is `none`.
 */
export function classify(demand: readonly number[]): Classification {
  let nonzero = 0
  let last = 0
  let sum = 0
  for (const [index, month] of demand.entries()) {
    if (!(month > 0)) continue
    nonzero++
    last = index + 1
    sum += month
  }
  if (nonzero === 0) return { demandClass: 'none', adi: null, cv2: null, nonzero }
  const adi = last / nonzero
  const mean = sum / nonzero
  let squares = 0
  for (const month of demand) if (month > 0) squares += (month - mean) ** 2
  const cv2 = nonzero < 2 ? null : squares / (nonzero - 1) / mean ** 2
  const isErratic = (cv2 ?? 0) > CV2_LIMIT
  const demandClass = adi > ADI_LIMIT ? (isErratic ? 'lumpy' : 'intermittent') : isErratic ? 'erratic' : 'smooth'
  return { demandClass, adi, cv2, nonzero }
}

/**
 * The method for a class: Croston where demand is smooth, SBA otherwise, the regions in which either has the smaller error after
 * Syntetos, Boylan & Croston (2005) and Kostenko & Hyndman (2006). TSB where a series is quiet at one of its ends: Croston and SBA stand
 * still while nothing is asked for (Teunter, Syntetos & Babai 2011), and start with the first interval, which weighs for long.
 */
export function methodFor(demand: readonly number[], { demandClass, nonzero }: Classification): Method | null {
  if (demandClass === 'none') return null
  if (isQuietAtAnEnd(demand, nonzero)) return 'tsb'
  return demandClass === 'smooth' ? 'croston' : 'sba'
}

/** How unlikely the quiet months at an end must be before the series is quiet there. */
const QUIET_CHANCE = 0.05

/**
 * Whether the months before the first demand or since the last one are so many that they would come by chance less than one time in
 * twenty, if demand came there as it does between: each month with probability k/(m + 1), k months with demand in the m months from the
 * first to the last one. The month more keeps a part that was wanted every month from being quiet after the first month without.
 */
function isQuietAtAnEnd(demand: readonly number[], nonzero: number): boolean {
  const isDemand = (month: number) => month > 0
  const first = demand.findIndex(isDemand)
  const last = demand.findLastIndex(isDemand)
  const quiet = Math.max(first, demand.length - 1 - last)
  return (1 - nonzero / (last - first + 2)) ** quiet < QUIET_CHANCE
}
