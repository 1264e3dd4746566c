import { describe, expect, test } from 'vitest'
import { classify, methodFor } from '../../src/replenishment/classification.ts'
import carparts from '../data/forecasts/croston-carparts.json' with { type: 'json' }
import { expectClose } from './expect-close.ts'

test.each(carparts.cases)(
  'part $part has the interval and variation that R computes',
  ({ demand, stats, class_sbc }) => {
    const { demandClass, adi, cv2, nonzero } = classify(demand)
    expect(nonzero).toBe(stats.nonzero)
    expectClose(adi, stats.mean_interval, carparts.tolerance, 'ADI')
    expectClose(cv2, stats.cv2_sample, carparts.tolerance, 'CV²')
    expect(demandClass === 'smooth' ? 'Croston' : 'SBA').toBe(class_sbc)
  }
)

describe('classes after Syntetos, Boylan and Croston (R-ORD-1)', () => {
  const every = (months: number, ...sizes: number[]) =>
    sizes.flatMap((size) => [...Array.from({ length: months - 1 }, () => 0), size])

  test.each([
    ['smooth', [4, 5, 4, 6, 5, 4]],
    ['erratic', [1, 20, 1, 1, 30, 2]],
    ['intermittent', every(3, 2, 2, 3, 2)],
    ['lumpy', every(3, 1, 20, 1, 30)],
    ['none', [0, 0, 0]],
    ['none', []]
  ])('%s', (demandClass, demand) => expect(classify(demand).demandClass).toBe(demandClass))

  test('the limits belong to the lower class', () => {
    // 25 demands in 33 months: ADI 1.32.
    const atTheLimit = [...every(2, 1, 1, 1, 1, 1, 1, 1, 1), ...every(1, ...Array.from({ length: 17 }, () => 1))]
    expect(classify(atTheLimit)).toMatchObject({ adi: 1.32, demandClass: 'smooth' })
    expect(classify([0, ...atTheLimit]).demandClass).toBe('intermittent')
  })

  test('a single demand has no variation, and quiet months at the end do not count into the interval', () => {
    expect(classify([0, 3, 0, 0, 0])).toEqual({ demandClass: 'intermittent', adi: 2, cv2: null, nonzero: 1 })
    expect(classify([3])).toEqual({ demandClass: 'smooth', adi: 1, cv2: null, nonzero: 1 })
    expect(classify([0, 0])).toEqual({ demandClass: 'none', adi: null, cv2: null, nonzero: 0 })
  })
})

describe('the method for a class', () => {
  const methodOf = (demand: number[]) => methodFor(demand, classify(demand))
  const steady = [4, 5, 4, 6, 5, 4, 5, 5, 4, 6, 5, 4]
  const seldom = [2, 0, 0, 3, 0, 0, 2, 0, 0, 2, 0, 3]

  test('is Croston for smooth demand, SBA for other, none without', () => {
    expect(methodOf(steady)).toBe('croston')
    expect(methodOf(seldom)).toBe('sba')
    expect(methodOf([1, 20, 1, 1, 30, 2])).toBe('sba')
    expect(methodOf([0, 0])).toBeNull()
  })

  test('is TSB where demand has stopped or began late, but not for what may be chance', () => {
    const zeros = (count: number) => Array.from({ length: count }, () => 0)
    expect(methodOf([...steady, 0])).toBe('croston')
    expect(methodOf([...steady, 0, 0])).toBe('tsb')
    expect(methodOf([...seldom, ...zeros(4)])).toBe('sba')
    expect(methodOf([...seldom, ...zeros(8)])).toBe('tsb')
    expect(methodOf([...zeros(4), ...seldom])).toBe('sba')
    expect(methodOf([...zeros(8), ...seldom])).toBe('tsb')
  })
})
