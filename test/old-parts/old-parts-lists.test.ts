import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerFor } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { openExchanging, type Exchanging } from './exchanging.ts'

let h: Harness
let x: Exchanging
let old: string
let late: string
let back: string
beforeAll(async () => {
  h = await openHarness()
  x = await openExchanging(h)
  const part = async (exchangeDueDays: number) => x.exchangePart({ exchangeDueDays })
  ;[old, late, back] = [await part(30), await part(5), await part(60)]
  await x.issued(old, '2')
  await x.issued(late)
  await x.issued(back)
  await x.returned([{ part: back, grade: 'scrap' }])
  h.clock.advance({ hours: 24 * 10 })
})
afterAll(() => h.close())

const parts = ({ body }: { body: any }) => body.items.map(({ part }: { part: string }) => part)

test('outstanding old parts are listed per outlet, the longest due first (R-REQ-6)', async () => {
  const list = (query: string) => x.clerk.get(`/v1/old-parts?outlet=${x.outlet}${query}`)
  expect(parts(await list(''))).toEqual([late, old, back])
  expect(parts(await list('&state=outstanding'))).toEqual([late, old])
  expect(parts(await list('&state=returned'))).toEqual([back])
  expect(parts(await list('&state=written-off'))).toEqual([])
  expect(parts(await list('&overdue=true'))).toEqual([late])
  expect(parts(await list('&overdue=false'))).toEqual([old, back])
  expect(parts(await list(`&part=${old}`))).toEqual([old])
  expect((await list('&state=outstanding')).body.items[0]).toMatchObject({
    overdue: true,
    daysOverdue: 5,
    value: '35.00'
  })
  expect((await list('&state=lost')).status).toBe(400)

  const first = await list('&limit=2')
  expect(parts(first)).toEqual([late, old])
  const second = await list(`&limit=2&cursor=${first.body.nextCursor}`)
  expect([parts(second), second.body.nextCursor]).toEqual([[back], null])
  expect((await list('&cursor=nonsense')).body.code).toBe('CursorInvalid')
  expect(parts(await x.centre.keeper.get(`/v1/old-parts?centre=${x.centre.warehouse}`))).toEqual([late, old, back])
})

test('the same as a file for the spreadsheet', async () => {
  const csv = await x.clerk.get(`/v1/old-parts?outlet=${x.outlet}&state=outstanding`, { accept: 'text/csv' })
  const [heading, ...lines] = csv.text.trim().split('\n')
  expect(heading).toContain('due on 应返日期')
  expect(lines.map((line) => line.split(',')[4])).toEqual([late, old])
})

test('a summary per outlet: how many, what they come to, the oldest day (R-REQ-6)', async () => {
  const everywhere = callerFor(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  const summary = await everywhere.get(`/v1/old-parts/summary?centre=${x.centre.warehouse}`)
  const [{ regionId }] = await h.sql<{ regionId: number }>(
    'select region_id as "regionId" from warehouse where code = $1',
    [x.outlet]
  )
  const [region] = await h.sql<{ code: string }>('select code from region where id = $1', [regionId])
  const row = {
    outlet: x.outlet,
    name: x.outlet,
    nameZh: null,
    region: region?.code,
    oldParts: 2,
    quantity: '3',
    value: '105.00',
    overdue: 1,
    overdueValue: '35.00',
    oldestDueOn: '2026-11-25'
  }
  expect(summary.body).toEqual({ items: [row], nextCursor: null })
  expect((await everywhere.get(`/v1/old-parts/summary?region=${region?.code}`)).body.items).toEqual([row])
  expect((await everywhere.get('/v1/old-parts/summary?region=NO-SUCH')).status).toBe(404)
  const csv = await everywhere.get('/v1/old-parts/summary', { accept: 'text/csv' })
  expect(csv.text).toContain(`${x.outlet},${x.outlet},,${region?.code},2,3,105.00,1,35.00,2026-11-25`)
})

test('what alerts look at is what is outstanding', async () => {
  expect(
    await h.sql(
      `select part.number as part, trim_scale(o.quantity)::text as quantity, due_on::text as due, value::text as value
         from old_part_outstanding o join part on part.id = o.part_id where warehouse_id = $1 order by due_on`,
      [x.outletId]
    )
  ).toEqual([
    { part: late, quantity: '1', due: '2026-11-25', value: '35.00' },
    { part: old, quantity: '2', due: '2026-12-20', value: '70.00' }
  ])
})
