import { afterAll, beforeAll, expect, test } from 'vitest'
import { inTransaction } from '../../src/platform/context.ts'
import { openTransfer } from '../../src/transfers/open-transfer.ts'
import { withdrawTransfer } from '../../src/transfers/withdraw-transfer.ts'
import { warehouseByCode } from '../../src/warehouses/directory.ts'
import { openCounter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

const reservedOf = async (warehouseId: number, partId: number) =>
  (
    await h.sql<{ reserved: string }>(
      `select trim_scale(reserved)::text as reserved from balance where warehouse_id = $1 and part_id = $2 and ownership = 'own' and condition = 'qualified'`,
      [warehouseId, partId]
    )
  )[0]?.reserved

test('a transfer that another room opens promises its goods, and is withdrawn until they leave', async () => {
  const giver = await openCounter(h)
  const receiver = await openCounter(h)
  const part = await giver.stocked({ quantity: '5' })
  const ctx = h.contextOf(giver.keeper.person.actor)
  const [from, to] = [await warehouseByCode(ctx, giver.warehouse), await warehouseByCode(ctx, receiver.warehouse)]
  const line = { partId: part.id, part: part.number, ownership: 'own' as const, quantity: '3' }

  const opened = await inTransaction(ctx, (inner) =>
    openTransfer(inner, { from, to, lines: [{ ...line, reserveFor: 'REQ/1.1' }], because: 'for a request' })
  )
  expect(await reservedOf(giver.warehouseId, part.id)).toBe('3')
  await expect(
    inTransaction(ctx, (inner) => openTransfer(inner, { from, to, lines: [line], because: 'too much' }))
  ).rejects.toMatchObject({
    code: 'InsufficientStock',
    extra: { lines: [{ part: part.number, wanted: '3', available: '2' }] }
  })

  const withdraw = () =>
    inTransaction(ctx, (inner) =>
      withdrawTransfer(inner, { warehouseId: from.id, id: opened.id, because: 'not needed' })
    )
  expect(await withdraw()).toBe(true)
  expect(await withdraw()).toBe(false)
  expect(await reservedOf(giver.warehouseId, part.id)).toBe('0')
  expect(await giver.verify()).toMatchObject({ ok: true })
})
