import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { releaseReservations, reserveAll, shrinkReservation, type Want } from '../../src/ledger/reserve.ts'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { kernel, type Kernel, type Shelf } from '../support/kernel.ts'

let h: Harness
let here: Kernel
let there: Kernel
beforeAll(async () => {
  h = await openHarness({ poolSize: 16 })
})
afterAll(() => h.close())
beforeEach(async () => {
  here = await kernel(h)
  there = await kernel(h)
})

const want = (ledger: Kernel, shelf: Shelf, quantity: string, reservedFor = 'REQ-1'): Want => ({
  ...ledger.keyOf(shelf),
  quantity,
  reservedFor
})
const reserved = async (ledger: Kernel, shelf: Shelf): Promise<string> => {
  const [row] = await h.sql<{ reserved: string }>(
    `select trim_scale(reserved)::text as reserved from balance where warehouse_id = $1 and part_id = $2`,
    [ledger.warehouse.id, shelf.partId]
  )
  return row?.reserved ?? '0'
}
const verified = async () => {
  for (const ledger of [here, there])
    expect((await verifyLedger(ledger.ctx, { warehouse: ledger.warehouse.code })).findings).toEqual([])
}
const shared = async (stock: { here: string; there: string }): Promise<Shelf> => {
  const shelf = await here.shelf()
  await here.receive(shelf, stock.here, '1.00')
  await there.receive(shelf, stock.there, '1.00')
  return shelf
}

test('goods of several warehouses are promised together (R-STK-4)', async () => {
  const shelf = await shared({ here: '5', there: '3' })
  const outcome = await reserveAll(here.ctx, [want(here, shelf, '5', 'REQ-1/1'), want(there, shelf, '2', 'REQ-1/2')])
  expect(outcome).toEqual({ ids: [expect.any(String), expect.any(String)] })
  expect([await reserved(here, shelf), await reserved(there, shelf)]).toEqual(['5', '2'])
  expect(
    await h.sql(
      `select reserved_for as for, trim_scale(quantity)::text as quantity from reservation where id = any ($1) order by id`,
      ['ids' in outcome ? outcome.ids : []]
    )
  ).toEqual([
    { for: 'REQ-1/1', quantity: '5' },
    { for: 'REQ-1/2', quantity: '2' }
  ])
  await verified()
})

test('if one of them is short none is promised, and it is said which and what there was', async () => {
  const shelf = await shared({ here: '5', there: '3' })
  const nowhere = await here.shelf()
  expect(
    await reserveAll(here.ctx, [want(here, shelf, '5'), want(there, shelf, '4'), want(here, nowhere, '0.001')])
  ).toEqual({
    short: [
      { index: 1, available: '3', blocked: '0' },
      { index: 2, available: '0', blocked: '0' }
    ]
  })
  expect([await reserved(here, shelf), await reserved(there, shelf)]).toEqual(['0', '0'])
  expect(await reserveAll(here.ctx, [])).toEqual({ ids: [] })
})

test('the same goods named twice in one call are counted twice', async () => {
  const shelf = await shared({ here: '5', there: '3' })
  expect(await reserveAll(here.ctx, [want(here, shelf, '3'), want(there, shelf, '1'), want(here, shelf, '3')])).toEqual(
    { short: [{ index: 2, available: '2', blocked: '0' }] }
  )
  expect(await reserveAll(here.ctx, [want(here, shelf, '3'), want(here, shelf, '2')])).toMatchObject({
    ids: [expect.any(String), expect.any(String)]
  })
  expect(await reserved(here, shelf)).toBe('5')
  await verified()
})

test('a promise is released once, and shrinks by what is still open of it', async () => {
  const shelf = await shared({ here: '9', there: '3' })
  const [first, second] = [await here.reserve(shelf, '4'), await here.reserve(shelf, '5')]
  const elsewhere = await there.reserve(shelf, '3')
  await here.post([here.entry(shelf, '-1', { reservationId: first })])
  const key = (id: string) => ({ warehouseId: here.warehouse.id, id })

  expect(await shrinkReservation(here.ctx, { ...key(first), by: '2' })).toMatchObject({ quantity: '2', left: '1' })
  expect(await shrinkReservation(here.ctx, { ...key(first), by: '2' })).toMatchObject({ quantity: '1', left: '0' })
  expect(await shrinkReservation(here.ctx, { ...key(first), by: '2' })).toEqual({ quantity: '0', left: '0' })
  const both = [key(second), { warehouseId: there.warehouse.id, id: elsewhere }]
  expect((await releaseReservations(here.ctx, both)).map(({ quantity }) => quantity).toSorted()).toEqual(['3', '5'])
  expect(await releaseReservations(here.ctx, both)).toEqual([])
  expect([await reserved(here, shelf), await reserved(there, shelf)]).toEqual(['0', '0'])
  await verified()
})

test('many who want the same few goods of several warehouses in whatever order get no more than there is, and none waits for ever', async () => {
  const shelves = await Promise.all(Array.from({ length: 3 }, () => shared({ here: '4', there: '4' })))
  const places = shelves.flatMap((shelf) => [
    { ledger: here, shelf },
    { ledger: there, shelf }
  ])
  const wishes = Array.from({ length: 40 }, (_, n) =>
    places
      .map((place, index) => ({ place, order: (index * 7 + n * 5) % 11 }))
      .toSorted((a, b) => a.order - b.order)
      .slice(0, 2 + (n % 4))
      .map(({ place }) => want(place.ledger, place.shelf, '1', `REQ-${n}`))
  )
  const outcomes = await Promise.all(
    wishes.map(async (wants, n) => {
      const outcome = await reserveAll(here.ctx, wants)
      if ('short' in outcome) return 0
      // Every third lets go again, while others still want.
      if (n % 3 > 0) return outcome.ids.length
      const keys = outcome.ids.map((id, index) => ({ warehouseId: wants[index]?.warehouseId ?? 0, id }))
      await releaseReservations(here.ctx, keys.toReversed())
      return 0
    })
  )
  const promised = await Promise.all(places.map(({ ledger, shelf }) => reserved(ledger, shelf)))
  expect(promised.every((quantity) => Number(quantity) <= 4)).toBe(true)
  expect(promised.reduce((sum, quantity) => sum + Number(quantity), 0)).toBe(
    outcomes.reduce((sum, got) => sum + got, 0)
  )
  await verified()
})
