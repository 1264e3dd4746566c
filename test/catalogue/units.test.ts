import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toStockUnits } from '../../src/catalogue/units.ts'
import { Refusal } from '../../src/platform/errors.ts'

const part = {
  number: 'P-1',
  unit: 'piece',
  units: [
    { unit: 'box', factor: '12.000' },
    { unit: 'gram', factor: '0.001' }
  ]
}
const refusal = (work: () => unknown): Refusal => {
  try {
    work()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('a box of 12 is issued singly', () => {
  expect(toStockUnits(part, '2', 'box')).toBe('24')
  expect(toStockUnits(part, '0.25', 'box')).toBe('3')
  expect(toStockUnits(part, '5', 'piece')).toBe('5')
  expect(toStockUnits(part, '7', 'gram')).toBe('0.007')
})

test('a unit the part does not have is refused, and the ones it has are named', () => {
  const { code, status, message, extra } = refusal(() => toStockUnits(part, '1', 'pallet'))
  expect([code, status, extra['accepted']]).toEqual(['UnitNotOfPart', 422, ['piece', 'box', 'gram']])
  expect(message).toContain('piece, box, gram')
})

test('a fourth place and more than the ledger holds are refused', () => {
  expect(refusal(() => toStockUnits(part, '0.5', 'gram')).code).toBe('QuantityNotExact')
  expect(refusal(() => toStockUnits(part, '999999999999', 'box')).code).toBe('QuantityTooLarge')
})

const thousandths = (limit: number) =>
  fc.integer({ min: 1, max: limit }).map((units) => ({
    units: BigInt(units),
    text: `${Math.floor(units / 1000)}.${String(units % 1000).padStart(3, '0')}`
  }))

test('conversion is exact or refused, never rounded', () => {
  fc.assert(
    fc.property(thousandths(1_000_000_000), thousandths(10_000_000), (quantity, factor) => {
      const product = quantity.units * factor.units
      const convert = () =>
        toStockUnits({ number: 'P', unit: 'piece', units: [{ unit: 'u', factor: factor.text }] }, quantity.text, 'u')
      if (product % 1000n !== 0n) return refusal(convert).code === 'QuantityNotExact'
      if (product / 1000n > 999_999_999_999_999n) return refusal(convert).code === 'QuantityTooLarge'
      const [whole, places = ''] = convert().split('.')
      return BigInt(`${whole}${places.padEnd(3, '0')}`) === product / 1000n
    })
  )
})
