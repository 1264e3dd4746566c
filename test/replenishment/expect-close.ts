import { expect } from 'vitest'

/** Holds a figure against the expected one; the tolerance is absolute or relative, whichever is kinder. */
export function expectClose(
  actual: number | null | undefined,
  expected: number,
  tolerance: number,
  what: string
): void {
  const difference = Math.abs((actual ?? Number.NaN) - expected)
  const isClose = difference <= tolerance * Math.max(1, Math.abs(expected))
  expect(isClose, `${what}: ${actual} instead of ${expected}`).toBe(true)
}
