import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifyLedger } from '../../src/ledger/verify-ledger.ts'
import { compare, isRight } from '../../src/replay/compare.ts'
import { expectationOf, type Expectation } from '../../src/replay/expectation.ts'
import { openLedger, type LedgerSource } from '../../src/replay/ledger-folder.ts'
import { playLedger, type Played } from '../../src/replay/play-ledger.ts'
import { replayClock } from '../../src/replay/replay-clock.ts'
import { refusalLines, reportLines, writeRefusals } from '../../src/replay/report.ts'
import { openHarness, type Harness } from '../support/harness.ts'

// Seven months of another company's ledger, played through slips with three signatures.

const folder = fileURLToPath(new URL('../data/adventureworks', import.meta.url))
const expectFile = path.join(folder, 'month_end_balances.csv')

let h: Harness
let source: LedgerSource
let expectation: Expectation
let played: Played

beforeAll(async () => {
  h = await openHarness()
  source = await openLedger(folder)
  expectation = await expectationOf(source)
  played = await playLedger(
    { ...h.runtime, clock: replayClock('2010-12-28', 'Asia/Shanghai') },
    { source, warehouse: 'AW', log: pino({ level: 'silent' }) }
  )
}, 120_000)
afterAll(() => h.close())

test('every month-end balance of the source comes out, and what differs is owed (R-STK-4)', async () => {
  const comparison = await compare({ source, expectation, played, expectFile })

  expect(comparison).toEqual({
    refusals: { right: 66, of: 66, wrong: [] },
    unrefused: [],
    equation: { right: 216, of: 216, wrong: [] },
    matches: { right: 112, of: 112, wrong: [] },
    negativeMatches: { right: 86, of: 86, wrong: [] },
    differences: { right: 18, of: 18, wrong: [] },
    leftOut: 0
  })
  expect(isRight(comparison)).toBe(true)
  expect(reportLines(expectation, played, comparison)).toContain(
    '112 of 112 month-end balances match (products that never go negative)'
  )
})

test('the ledger verifies, and its figures are those of the movements of the source', async () => {
  expect(await verifyLedger(played.keeper, { warehouse: 'AW' })).toMatchObject({ ok: true, findings: [] })
  expect(
    await h.sql(
      `select count(*)::int as slips, count(*) filter (where cardinality(preparers) = 1)::int as "ofOneKeeper" from slip where state = 'posted'`
    )
  ).toEqual([{ slips: played.slips, ofOneKeeper: played.slips }])
  expect(
    await h.sql(
      `select count(*)::int as slips from slip s where state = 'posted' and 3 <> (select count(distinct person_id) from signature g where g.warehouse_id = s.warehouse_id and g.document_id = s.id and g.voided_at is null)`
    )
  ).toEqual([{ slips: 0 }])
})

test('a short issue is amended to what is there and signed anew, and the rest goes out when goods come in', async () => {
  const [first] = played.refusals.filter(({ product }) => product.key === '212')

  expect(first).toMatchObject({
    day: '2010-12-29',
    wanted: 24_000n,
    available: 4_000n,
    later: [{ day: '2010-12-30', quantity: 20_000n }],
    owed: 0n
  })
  expect(await h.sql('select version > 1 as amended, note from slip where number = $1', [first?.slip])).toEqual([
    { amended: true, note: '9 of 21 lines are short (缺货)' }
  ])
  expect(
    await h.sql(
      `select count(*)::int as "voided" from signature where voided_at is not null and document_id = (select id from slip where number = $1)`,
      [first?.slip]
    )
  ).toEqual([{ voided: 3 }])
  expect(refusalLines(played)[0]).toMatch(
    /^ {2}HL-U509-R \(ProductKey 212\): short 7 times, 2010-12-29 to 2011-07-01; 303 refused, 303 handed out later, 0 still owed$/
  )
})

test('a balance that is off by one, or of something that was not played, is found', async () => {
  const temporary = await mkdtemp(path.join(tmpdir(), 'bincard-replay-test-'))
  const wrong = path.join(temporary, 'wrong.csv')
  await writeFile(wrong, 'ProductKey,month,UnitsBalance\n310,2011-03,1\n212,2011-01,-1\n999,2011-01,0\n')

  const comparison = await compare({ source, expectation, played, expectFile: wrong })
  await writeRefusals(path.join(temporary, 'refusals.csv'), played.refusals)
  const refusals = await readFile(path.join(temporary, 'refusals.csv'), 'utf8')
  await rm(temporary, { recursive: true })

  expect(isRight(comparison)).toBe(false)
  expect(comparison.matches).toMatchObject({ right: 0, of: 2 })
  expect(refusals.split('\n').slice(0, 2)).toEqual([
    'ProductKey,part,day,slip,wanted,available,refused,handedOutLater,stillOwed',
    expect.stringMatching(/^212,HL-U509-R,2010-12-29,AW-OUT-201012-00001,24,4,20,2010-12-30 20 AW-OUT-201012-00002,0$/)
  ])
  expect(refusals.trim().split('\n')).toHaveLength(played.refusals.length + 1)
})

test('the same ledger is not played twice into one warehouse', async () => {
  const again = playLedger(
    { ...h.runtime, clock: replayClock('2010-12-28', 'Asia/Shanghai') },
    { source, warehouse: 'AW', log: pino({ level: 'silent' }) }
  )

  await expect(again).rejects.toMatchObject({ code: 'RegionCodeTaken' })
})

test('an issue of which nothing is there is cancelled, and what never comes in stays owed', async () => {
  const small = await mkdtemp(path.join(tmpdir(), 'bincard-replay-test-'))
  await writeFile(
    path.join(small, 'ledger_products.csv'),
    'ProductKey,ProductNumber,Name,OpeningDate,OpeningBalance,OpeningUnitCost\n1,BOLT,Bolt,2012-02-28,0,0.2500\n2,BOLT,Bolt,2012-02-28,1.5,0.2500\n'
  )
  await writeFile(
    path.join(small, 'ledger_movements.csv'),
    'MovementDate,ProductKey,UnitCost,UnitsIn,UnitsOut\n2012-02-29,1,0.2500,0,5\n2012-03-01,1,0.3000,0,1\n2012-03-02,1,0.3000,5.5,2\n2012-03-02,2,0.3000,0,1.5\n'
  )
  const bolts = await openLedger(small)
  const outcome = await playLedger(
    { ...h.runtime, clock: replayClock('2012-02-28', 'Asia/Shanghai') },
    { source: bolts, warehouse: 'BOLTS', log: pino({ level: 'silent' }) }
  )
  const comparison = await compare({ source: bolts, expectation: await expectationOf(bolts), played: outcome })
  await rm(small, { recursive: true })

  expect(await h.sql(`select number, state from slip where number like 'BOLTS-OUT%' order by number`)).toEqual([
    { number: 'BOLTS-OUT-201202-00001', state: 'cancelled' },
    { number: 'BOLTS-OUT-201203-00001', state: 'cancelled' },
    { number: 'BOLTS-OUT-201203-00002', state: 'posted' },
    { number: 'BOLTS-OUT-201203-00003', state: 'posted' }
  ])
  expect(
    outcome.refusals.map(({ day, wanted, available, later, owed }) => ({
      day,
      wanted,
      available,
      later: later.map(({ quantity }) => quantity),
      owed
    }))
  ).toEqual([
    { day: '2012-02-29', wanted: 5_000n, available: 0n, later: [5_000n], owed: 0n },
    { day: '2012-03-01', wanted: 1_000n, available: 0n, later: [500n], owed: 500n },
    { day: '2012-03-02', wanted: 2_000n, available: 0n, later: [], owed: 2_000n }
  ])
  expect(isRight(comparison)).toBe(true)
  expect(
    await h.sql(
      `select trim_scale(on_hand)::text as "onHand" from balance join warehouse on warehouse.id = warehouse_id where code = 'BOLTS' order by part_number`
    )
  ).toEqual([{ onHand: '0' }, { onHand: '0' }])
})
