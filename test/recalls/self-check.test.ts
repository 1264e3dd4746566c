import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { moved, must, openRecalling, type Recalling } from './recalling.ts'

// Goods of two receipts: some moved to another warehouse, some issued and come back, some promised. Then all of the first receipt is recalled.

let h: Harness
let network: Recalling
let giver: Counter
let receiver: Counter
/** What the SQL of the cases names: `:part`, `:giver`, `:receiver`, `:recall`, `:first` (lot), `:other` (lot), `:arrived` (lot), `:back` (lot). */
let names: Record<string, string>
beforeAll(async () => {
  h = await openHarness()
  network = await openRecalling(h)
  ;[giver, receiver] = [await network.counter(), await network.counter()]
  const part = await h.make.part()
  const receive = async () =>
    (await giver.posted({ kind: 'receipt', lines: [{ part: part.number, quantity: '5', unitCost: '2' }] })).lines[0]
      .movements[0].lot
  const [first, other] = [await receive(), await receive()]
  await moved(h, { from: giver, to: receiver, part: part.number, quantity: '2' })
  const issue = await giver.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '2' }] })
  const back = await giver.posted({
    kind: 'return',
    reference: issue.number,
    reason: 'unused',
    lines: [{ part: part.number, quantity: '1' }]
  })
  const recall = await network.recall({ scopes: [{ lots: [`${giver.warehouse}/${first}`] }] })
  const paper = must(
    await giver.keeper.post(`/v1/recalls/${recall.number}/return-slips`, { warehouse: giver.warehouse, to: 'scrap' }),
    201
  )
  must(await giver.signAndPost(paper.slips[0]), 200)
  const [row] = await h.sql<{ recall: string; arrived: string }>(
    `select r.id::text as recall, l.id::text as arrived from recall r, lot l where r.number = $1 and l.warehouse_id = $2`,
    [recall.number, receiver.warehouseId]
  )
  names = {
    part: String(part.id),
    giver: String(giver.warehouseId),
    receiver: String(receiver.warehouseId),
    recall: row.recall,
    arrived: row.arrived,
    first,
    other,
    back: back.lines[0].movements[0].lot
  }
})
afterAll(() => h.close())

const named = (text: string): string => text.replaceAll(/:(\w+)/g, (_, name: string) => names[name] ?? `:${name}`)
const found = async (): Promise<string[]> => {
  const { body } = await network.controller.get('/v1/ledger/verification')
  return [...new Set<string>(body.findings.map(({ check }: { check: string }) => check))].sort()
}

test('the self-check of the ledger finds nothing where nothing is wrong', async () => {
  expect(await found()).toEqual([])
})

// Past the service: what a hand in the database did, and how it is taken back.
test.for([
  [
    'a lot that is free although a recall blocks it',
    ['blocked-equals-blocked-lots', 'lot-is-blocked-by-a-recall'],
    'update lot set blocked = false where warehouse_id = :receiver and id = :arrived',
    'update lot set blocked = true where warehouse_id = :receiver and id = :arrived'
  ],
  [
    'goods that are free, and their lot with them',
    ['lot-is-blocked-by-a-recall'],
    'with freed as (update lot set blocked = false where warehouse_id = :receiver and id = :arrived) update balance set blocked = 0 where warehouse_id = :receiver',
    'with held as (update lot set blocked = true where warehouse_id = :receiver and id = :arrived) update balance set blocked = 2 where warehouse_id = :receiver'
  ],
  [
    'a balance of which too little is blocked',
    ['blocked-equals-blocked-lots'],
    'update balance set blocked = 1 where warehouse_id = :receiver',
    'update balance set blocked = 2 where warehouse_id = :receiver'
  ],
  [
    'a block that is forgotten',
    ['lot-is-blocked-by-a-recall', 'what-is-recalled-is-blocked'],
    'delete from lot_block where warehouse_id = :receiver',
    'insert into lot_block values (:receiver, :arrived, :recall)'
  ],
  [
    'a block by a recall that is not about the lot',
    ['lot-is-blocked-by-a-recall', 'what-is-recalled-is-blocked'],
    'insert into lot_block values (:giver, :other, :recall)',
    'delete from lot_block where warehouse_id = :giver and lot_id = :other'
  ],
  [
    'a scope that was lifted without the recall',
    ['recall-is-in-force-as-it-says', 'what-is-recalled-is-blocked'],
    'update recall_scope set lifted_at = now() where recall_id = :recall',
    'update recall_scope set lifted_at = null where recall_id = :recall'
  ],
  [
    'a scope that is about something else than the recall says',
    ['recall-is-in-force-as-it-says'],
    `update recall_scope set received_from = '2000-01-01' where recall_id = :recall`,
    'update recall_scope set received_from = null where recall_id = :recall'
  ],
  [
    'a recall that says it is lifted',
    ['recall-is-in-force-as-it-says'],
    'update recall_line set lifted_at = now() where recall_id = :recall',
    'update recall_line set lifted_at = null where recall_id = :recall'
  ],
  [
    'goods that forgot where they come from',
    ['goods-know-their-first-lot'],
    'update lot set origin_warehouse_id = null, origin_lot_id = null where warehouse_id = :giver and id = :back',
    'update lot set origin_warehouse_id = :giver, origin_lot_id = :first where warehouse_id = :giver and id = :back'
  ],
  [
    'goods that came from another warehouse and say they are of another lot',
    ['line-moved-what-it-names', 'what-is-recalled-is-blocked'],
    'update lot set origin_lot_id = :other where warehouse_id = :receiver and id = :arrived',
    'update lot set origin_lot_id = :first where warehouse_id = :receiver and id = :arrived'
  ],
  [
    'goods of a lot that is not there',
    ['goods-know-their-first-lot', 'line-moved-what-it-names', 'what-is-recalled-is-blocked'],
    'update lot set origin_lot_id = 999999999 where warehouse_id = :receiver and id = :arrived',
    'update lot set origin_lot_id = :first where warehouse_id = :receiver and id = :arrived'
  ],
  [
    'a line that brought something in at another cost',
    ['line-moved-what-it-names'],
    'update slip_line set cost_in = cost_in + 1 where warehouse_id = :receiver',
    'update slip_line set cost_in = cost_in - 1 where warehouse_id = :receiver'
  ],
  [
    'a line that names another lot than left',
    ['line-moved-what-it-names'],
    'update slip_line set lot_id = :other where warehouse_id = :giver and lot_id = :first',
    'update slip_line set lot_id = :first where warehouse_id = :giver and lot_id = :other'
  ],
  [
    'a promise that nobody keeps any more, and that no recall broke',
    ['promise-has-its-reason'],
    'update reservation set broken_by = 999999999, released_at = now() where warehouse_id = :giver',
    'update reservation set broken_by = null, released_at = null where warehouse_id = :giver'
  ]
] as [string, string[], string, string][])('it finds %s (R-REQ-7)', async ([, checks, harm, remedy]) => {
  await h.sql(named(harm))
  const after = await found()
  await h.sql(named(remedy))
  expect(after).toEqual(checks)
  expect(await found()).toEqual([])
})
