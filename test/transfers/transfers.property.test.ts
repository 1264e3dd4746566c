import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHarness, type Harness } from '../support/harness.ts'
import { dispatch, must, openPair, order, read, receive, type Pair } from './transferring.ts'

const TIMEOUT = 240_000
const runs = (otherwise: number) => Number(process.env['PROPERTY_RUNS'] ?? otherwise)

let h: Harness
beforeAll(async () => {
  h = await openHarness()
})
afterAll(() => h.close())

type Step =
  | { do: 'send'; share: number }
  | { do: 'receive'; share: number; damaged: boolean; missing: boolean; posts: boolean }
  | { do: 'reverse'; which: number }
  | { do: 'cancel'; which: number }
  | { do: 'call-back' }
  | { do: 'withdraw' }

const share = fc.double({ min: 0.2, max: 1, noNaN: true })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('send' as const), share }),
  fc.record({
    do: fc.constant('receive' as const),
    share,
    damaged: fc.boolean(),
    missing: fc.boolean(),
    posts: fc.boolean()
  }),
  fc.record({ do: fc.constant('reverse' as const), which: fc.nat() }),
  fc.record({ do: fc.constant('cancel' as const), which: fc.nat() }),
  fc.record({ do: fc.constant('call-back' as const) }),
  fc.record({ do: fc.constant('withdraw' as const) })
)

const amounts = (transfer: any) =>
  Object.fromEntries(
    Object.entries<{ cost: string; accumulatedDepreciation: string }>(transfer.value).map(([kind, value]) => [
      kind,
      [BigInt(value.cost.replace('.', '')), BigInt(value.accumulatedDepreciation.replace('.', ''))]
    ])
  ) as Record<string, [bigint, bigint]>

/** Does what can be done of a step; refusals are part of it. */
async function take(pair: Pair, number: string, said: Step): Promise<void> {
  const { giver, receiver } = pair
  const transfer = await read(pair, number)
  const [line] = transfer.lines
  const part = (of: string, by: number) => String(Math.max(1, Math.floor(Number(of) * by)))
  switch (said.do) {
    case 'send': {
      const open = Number(line.quantity) - Number(line.sent) - Number(line.beingSent)
      if (open > 0) await dispatch(pair, number, { lines: [{ line: 1, quantity: part(String(open), said.share) }] })
      return
    }
    case 'receive': {
      const arrived = Math.floor(Number(line.inTransit) * said.share)
      const damaged = said.damaged && arrived > 1 ? 1 : 0
      const missing = said.missing && arrived > 2 ? 1 : 0
      const body = {
        lines: [
          {
            line: 1,
            quantity: String(arrived - damaged - missing),
            ...(damaged > 0 && { damaged: '1' }),
            ...(missing > 0 && { missing: '1' }),
            responsible: 'carrier'
          }
        ]
      }
      const answer = await receiver.keeper.post(`/v1/transfers/${number}/in-slip`, body)
      if (answer.status === 201 && said.posts) must(await receiver.signAndPost(answer.body.slip.number), 200)
      return
    }
    case 'reverse': {
      const posted = transfer.slips.filter(({ state, kind }: any) => state === 'posted' && kind !== 'reversal')
      const slip = posted[said.which % Math.max(1, posted.length)]
      const isReversed = transfer.slips.some(({ reverses }: any) => reverses === slip?.number)
      if (slip === undefined || isReversed) return
      const counter = slip.warehouse === giver.warehouse ? giver : receiver
      const answer = await counter.keeper.post(`/v1/slips/${slip.number}/reversal`, { reason: 'by mistake' })
      if (answer.body.code === 'GoodsArrived') return
      const reversal = must(answer).number
      const outcome = await counter.signAndPost(reversal)
      // What was called back and then sent once more is no longer there whole.
      const isSentAgain =
        slip.kind === 'transfer-in' &&
        counter === giver &&
        transfer.slips.findLastIndex(({ kind }: any) => kind === 'transfer-out') > transfer.slips.indexOf(slip)
      if (isSentAgain && outcome.body.code === 'GoodsAlreadyGone') {
        must(await counter.keeper.post(`/v1/slips/${reversal}/cancellation`, { reason: 'by mistake' }), 200)
        return
      }
      must(outcome, 200)
      return
    }
    case 'cancel': {
      const open = transfer.slips.filter(({ state }: any) => state === 'awaiting-signatures')
      const slip = open[said.which % Math.max(1, open.length)]
      if (slip === undefined) return
      const counter = slip.warehouse === giver.warehouse ? giver : receiver
      must(await counter.keeper.post(`/v1/slips/${slip.number}/cancellation`, { reason: 'by mistake' }), 200)
      return
    }
    case 'call-back': {
      const answer = await giver.keeper.post(`/v1/transfers/${number}/call-back`, { reason: 'never arrived' })
      if (answer.status === 201) must(await giver.signAndPost(answer.body.slip.number), 200)
      return
    }
    case 'withdraw': {
      const claim = transfer.claims.find(({ state, kind }: any) => state === 'open' && kind === 'missing')
      if (claim !== undefined)
        must(
          await receiver.signers['finance-supervisor'].post(`/v1/transfers/${number}/claims/${claim.claim}/decision`, {
            decision: 'withdrawn',
            reason: 'it turned up'
          }),
          200
        )
    }
  }
}

test(
  'what was sent is received, damaged, missing, called back or in transit, to the cent, whatever happens in whatever order (R-AGE-7)',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 99_999 }),
        fc.array(step, { minLength: 6, maxLength: 12 }),
        async (tenThousandths, steps) => {
          const pair = await openPair(h)
          const part = await h.make.part()
          // Two lots of nine and five months, with charges that do not divide evenly.
          for (const receivedOn of ['2026-02-10', '2026-06-10'])
            await pair.giver.posted({
              kind: 'opening',
              lines: [
                {
                  part: part.number,
                  quantity: '5',
                  unitCost: `3.${String(tenThousandths).padStart(4, '0').slice(0, 4)}`,
                  receivedOn
                }
              ]
            })
          const { number } = await order(pair, [{ part: part.number, quantity: '9' }])
          await dispatch(pair, number, { lines: [{ line: 1, quantity: '7' }] })
          await receive(pair, number, [{ line: 1, quantity: '2' }])
          for (const said of steps) {
            await take(pair, number, said)
            const value = amounts(await read(pair, number))
            for (const place of [0, 1] as const)
              expect(
                ['received', 'damaged', 'missing', 'calledBack', 'inTransit'].reduce(
                  (sum, kind) => sum + (value[kind]?.[place] ?? 0n),
                  0n
                )
              ).toBe(value['sent']?.[place])
          }
          const value = amounts(await read(pair, number))
          const [moved] = await h.sql<{ cost: string; charge: string }>(
            `select coalesce(sum(cost), 0)::text as cost, coalesce(sum(charge), 0)::text as charge from movement where warehouse_id = $1 and part_id = $2`,
            [pair.receiver.warehouseId, part.id]
          )
          const cents = (amount: string) => BigInt(Math.round(Number(amount) * 100))
          // The receiver's books have exactly what the transfer says it received.
          expect([cents(moved?.cost ?? '0'), cents(moved?.charge ?? '0')]).toEqual(
            [0, 1].map((place) => (value['received']?.[place] ?? 0n) + (value['damaged']?.[place] ?? 0n))
          )
          expect(await pair.giver.verify()).toMatchObject({ ok: true })
          expect(await pair.receiver.verify()).toMatchObject({ ok: true })
        }
      ),
      { numRuns: runs(4), endOnFailure: true, interruptAfterTimeLimit: TIMEOUT - 20_000 }
    )
  },
  TIMEOUT
)
