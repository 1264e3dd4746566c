import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callsAs } from '../support/calls.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { openHandingOver, type HandingOver } from './handing-over.ts'

let h: Harness
let administrator: Caller
beforeAll(async () => {
  h = await openHarness()
  h.clock.set('2026-11-20T10:00')
  administrator = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
})
afterAll(() => h.close())

const person = fc.integer({ min: 0, max: 2 })
const step = fc.oneof(
  fc.record({ kind: fc.constant('give' as const), who: person }),
  fc.record({ kind: fc.constant('give-region' as const), who: person }),
  fc.record({ kind: fc.constant('end' as const), who: person }),
  fc.record({ kind: fc.constant('close' as const), who: person }),
  fc.record({ kind: fc.constant('reopen' as const), who: person }),
  fc.record({ kind: fc.constant('work' as const), who: person }),
  fc.record({ kind: fc.constant('hand-over' as const), who: person, to: person })
)
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

async function take(at: HandingOver, people: Caller[], region: string, part: string, one: Step): Promise<void> {
  const who = people[one.who] ?? at.keeper
  const { username, id } = who.person
  const patch = (active: boolean) => callsAs(h, administrator.person).patch(`/v1/people/${username}`, { active })
  switch (one.kind) {
    case 'give':
      await administrator.post(`/v1/people/${username}/duties`, { duty: 'keeper', warehouse: at.warehouse })
      return
    case 'give-region':
      await administrator.post(`/v1/people/${username}/duties`, { duty: 'keeper', region })
      return
    case 'end': {
      const held = await h.sql<{ id: number }>(
        'select id from duty_assignment where person_id = $1 and ended_at is null order by id',
        [id]
      )
      await Promise.all(held.map((duty) => administrator.post(`/v1/people/${username}/duties/${duty.id}/end`, {})))
      return
    }
    case 'close':
      await patch(false)
      return
    case 'reopen':
      await patch(true)
      return
    case 'work':
      await who.post(`/v1/warehouses/${at.warehouse}/slips`, {
        kind: 'issue',
        lines: [{ part, quantity: '1' }]
      })
      return
    case 'hand-over': {
      const incoming = people[one.to] ?? at.keeper
      const { body } = await who.post(`/v1/warehouses/${at.warehouse}/handovers`, {
        incoming: incoming.person.username,
        because: '轮岗'
      })
      if (body.number === undefined) return
      await who.post(`/v1/handovers/${body.number}/submission`)
      const signing = [
        [who, 'outgoing-keeper'],
        [incoming, 'incoming-keeper'],
        [at.signers['department-head'], 'department-head'],
        [at.signers['finance-supervisor'], 'finance-supervisor']
      ] as const
      for (const [signer, party] of signing)
        await signer.post(`/v1/handovers/${body.number}/signatures`, { party, decision: 'approve' })
      // What could not be signed does not stand in the way of the next one.
      await at.signers['department-head'].post(`/v1/handovers/${body.number}/cancellation`, { reason: '未成' })
    }
  }
}

test('whatever is given, ended, closed and handed over in whatever order: goods are never without an acting keeper (R-ORG-3)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 10 }), async (steps) => {
      const at = await openHandingOver(h)
      const part = await at.stocked({ quantity: '20' })
      const people = [at.keeper, at.incoming, callerFor(h, await h.make.person())]
      const [{ region }] = await h.sql<{ region: string }>(
        'select region.code as region from warehouse join region on region.id = region_id where warehouse.id = $1',
        [at.warehouseId]
      )
      for (const one of steps) {
        await take(at, people, region, part.number, one)
        const [{ keepers }] = await h.sql<{ keepers: number }>(
          `select count(*)::int as keepers from duty_assignment g join person on person.id = g.person_id and person.active join warehouse w on w.id = $1
            where g.duty = 'keeper' and g.ended_at is null and g.valid_from <= $2 and (g.valid_to is null or g.valid_to >= $2)
              and (g.warehouse_id = w.id or g.region_id = w.region_id)`,
          [at.warehouseId, h.clock.today()]
        )
        expect(keepers, JSON.stringify(one)).toBeGreaterThan(0)
        h.clock.advance({ seconds: 40 })
      }
    }),
    { numRuns: 12 }
  )
}, 120_000)
