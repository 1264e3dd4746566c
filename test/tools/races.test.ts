import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endDuty } from '../../src/identity/end-duty.ts'
import { systemActor } from '../../src/identity/directory.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { Refusal } from '../../src/platform/errors.ts'
import { lockTools, moveTools } from '../../src/tools/custody.ts'
import { handOverTools } from '../../src/tools/hand-over-tools.ts'
import { issueTools } from '../../src/tools/issue-tools.ts'
import { returnAll } from '../../src/tools/return-all.ts'
import { returnTools } from '../../src/tools/return-tools.ts'
import { signToolDocument } from '../../src/tools/sign-tool-document.ts'
import { transferTools } from '../../src/tools/transfer-tools.ts'
import { cancelToolDocument, refuseToolDocument } from '../../src/tools/withdraw-tool-document.ts'
import type { Caller } from '../support/counter.ts'
import { outcome, tally } from '../support/outcomes.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import { named, openTools, type ToolCounter } from './tools-counter.ts'

// Through the verbs, with no HTTP in between: many at once, and many in a row.

let h: Harness
beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
})
afterAll(() => h.close())

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 6)

const as = ({ person }: Caller) => h.contextOf(person.actor)

test('one tool that ten issue at once is issued once (R-TOOL-1)', async () => {
  const at = await openTools(h)
  const [serial] = await at.tools(1)
  const issue = (by: Caller, to: Caller) =>
    outcome(issueTools(as(by), { warehouse: at.warehouse, technician: to.person.username, tools: named([serial]) }))
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      issue(index % 2 === 0 ? at.keeper : at.otherKeeper, index % 3 === 0 ? at.technician : at.colleague)
    )
  )
  expect(tally(outcomes)).toEqual({ done: 1, ToolHeld: 9 })
  expect(await h.sql('select state from tool_document where warehouse_id = $1', [at.warehouseId])).toEqual([
    { state: 'awaiting-signatures' }
  ])
})

test('a document that is signed, refused and cancelled at once ends one way', async () => {
  const at = await openTools(h)
  for (let round = 0; round < 5; round++) {
    const [serial] = await at.tools(1)
    const { number } = await at.issue([serial])
    const outcomes = await Promise.all([
      outcome(signToolDocument(as(at.technician), { number })),
      outcome(signToolDocument(as(at.technician), { number })),
      outcome(refuseToolDocument(as(at.technician), { number, reason: 'x' })),
      outcome(cancelToolDocument(as(at.keeper), { number, reason: 'x' }))
    ])
    expect(tally(outcomes)).toEqual({ done: 1, ToolDocumentSettled: 3 })
    expect((await at.tool(serial)).state).toBe(outcomes[0] === 'done' || outcomes[1] === 'done' ? 'custody' : 'shelf')
  }
})

test('a hand-over that is drawn up while a return is signed takes nothing that is back on the shelf', async () => {
  const at = await openTools(h)
  for (let round = 0; round < 5; round++) {
    const serials = await at.tools(2)
    await at.issued(serials)
    const { number } = await returnTools(as(at.technician), { warehouse: at.warehouse, tools: named(serials) })
    const [signed, handed] = await Promise.all([
      outcome(signToolDocument(as(at.keeper), { number })),
      outcome(
        handOverTools(as(at.technician), {
          warehouse: at.warehouse,
          to: at.colleague.person.username,
          tools: named(serials.toReversed())
        })
      )
    ])
    expect(signed).toBe('done')
    // Before the return took effect it holds them, after it they are on the shelf.
    expect(['ToolHeld', 'ToolNotThere']).toContain(handed)
    expect((await at.tool(serials[0])).state).toBe('shelf')
  }
})

test('a return, a hand-over and the return of everything that are drawn up at once have each tool once', async () => {
  const at = await openTools(h)
  for (let round = 0; round < 5; round++) {
    const serials = await at.tools(3)
    await at.issued(serials)
    await Promise.all([
      outcome(
        returnTools(as(at.keeper), {
          warehouse: at.warehouse,
          technician: at.technician.person.username,
          tools: named(serials)
        })
      ),
      outcome(
        handOverTools(as(at.technician), {
          warehouse: at.warehouse,
          to: at.colleague.person.username,
          tools: named(serials.slice(1).toReversed())
        })
      ),
      outcome(returnAll(as(at.otherKeeper), { username: at.technician.person.username }))
    ])
    const open = await h.sql<{ serial: string }>(
      `select t.serial from tool_document_line l join tool t on t.id = l.tool_id where l.open and l.warehouse_id = $1`,
      [at.warehouseId]
    )
    expect(new Set(open.map(({ serial }) => serial)).size).toBe(open.length)
    for (const { number } of (
      await at.keeper.get(`/v1/tool-documents?warehouse=${at.warehouse}&state=awaiting-signatures`)
    ).body.items)
      await cancelToolDocument(as(at.keeper), { number, reason: 'x' })
    const { documents } = await returnAll(as(at.keeper), { username: at.technician.person.username })
    for (const { number } of documents) await signToolDocument(as(at.keeper), { number })
  }
})

test('a technician whose duty ends while tools are issued to them has papers or has left, never both (R-TOOL-3)', async () => {
  for (let round = 0; round < 12; round++) {
    const at = await openTools(h)
    const { username, id } = at.technician.person
    const tools = named(await at.tools(1))
    const [duty] = await h.sql<{ id: number }>('select id from duty_assignment where person_id = $1', [id])
    const issue = () => outcome(issueTools(as(at.keeper), { warehouse: at.warehouse, technician: username, tools }))
    const end = () => outcome(endDuty(h.contextOf(systemActor), { username, id: duty.id }))
    const [issued, ended] =
      round % 2 === 0 ? await Promise.all([issue(), end()]) : (await Promise.all([end(), issue()])).toReversed()
    expect([
      ['done', 'CustodyOpen'],
      ['NotTechnician', 'done']
    ]).toContainEqual([issued, ended])
  }
})

const rollsOf = async (at: ToolCounter, other: ToolCounter) =>
  h.sql<{ serial: string; state: string; holder: string | null; owner: string }>(
    `select t.serial, t.state, p.username as holder, w.code as owner
       from tool t join warehouse w on w.id = t.warehouse_id left join person p on p.id = t.holder_id
      where t.warehouse_id in ($1, $2) order by t.serial`,
    [at.warehouseId, other.warehouseId]
  )

/** The journal played from its beginning: each entry begins where the last ended; answers where each tool is then. */
async function played(at: ToolCounter, other: ToolCounter) {
  const entries = await h.sql<any>(
    `select t.serial, e.seq, e.from_place, e.from_warehouse_id, e.from_person_id, e.to_place, e.warehouse_id, e.to_person_id, p.username as holder, w.code as owner
       from custody_entry e join tool t on t.id = e.tool_id join warehouse w on w.id = e.warehouse_id left join person p on p.id = e.to_person_id
      where t.warehouse_id in ($1, $2) order by t.serial, e.seq`,
    [at.warehouseId, other.warehouseId]
  )
  const places = new Map<string, any>()
  for (const entry of entries) {
    const last = places.get(entry.serial)
    expect([entry.seq, entry.from_place, entry.from_warehouse_id, entry.from_person_id]).toEqual(
      last === undefined ? [1, null, null, null] : [last.seq + 1, last.to_place, last.warehouse_id, last.to_person_id]
    )
    places.set(entry.serial, entry)
  }
  return [...places.values()].map(({ serial, to_place: state, holder, owner }) => ({ serial, state, holder, owner }))
}

test('whatever is issued, returned, handed over, transferred and lost, each tool is in one place at every position; custody lists, shelves and what has ended are the register (R-TOOL-1)', async () => {
  const step = fc.record({
    kind: fc.oneof(
      { weight: 8, arbitrary: fc.constant('sign') },
      { weight: 3, arbitrary: fc.constantFrom('issue', 'hand-over') },
      { weight: 2, arbitrary: fc.constantFrom('return', 'find') },
      { weight: 1, arbitrary: fc.constantFrom('transfer', 'refuse', 'cancel', 'lose', 'all') }
    ),
    tool: fc.nat(5),
    more: fc.nat(5),
    who: fc.nat(4),
    whom: fc.nat(2),
    document: fc.nat(20)
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 60, size: 'max' }), async (steps) => {
      const [at, other] = [await openTools(h), await openTools(h)]
      const [guest] = await h.sql<{ id: number }>('select id from person where username = $1', [
        at.colleague.person.username
      ])
      await h.sql(
        `insert into duty_assignment (person_id, duty, warehouse_id, valid_from, assigned_by, assigned_at) values ($1, 'technician', $2, '2000-01-01', 0, now())`,
        [guest.id, other.warehouseId]
      )
      const serials = await at.tools(6)
      const technicians = [at.technician, at.colleague, other.technician]
      const drawn: string[] = []
      const keep = async (work: Promise<{ number: string }>) => {
        try {
          drawn.push((await work).number)
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
        }
      }
      for (const { kind, tool, more, who, whom, document } of steps) {
        // Mostly one that is there, so that more than refusals happen.
        const serial = serials[tool] ?? ''
        const tools = named(document % 3 === 0 ? [...new Set([serial, serials[more] ?? ''])] : [serial])
        const [where] = await h.sql<{ owner: string; holder: string | null }>(
          `select w.code as owner, p.username as holder from tool t join warehouse w on w.id = t.warehouse_id left join person p on p.id = t.holder_id where t.serial = $1`,
          [serial]
        )
        const number = drawn.at(-1 - (document % 3))
        const from =
          technicians.find(({ person }) => who < 3 && person.username === where.holder) ?? technicians[who % 3]
        const to = technicians[whom].person.username
        const shop = document % 5 === 0 ? other : where.owner === at.warehouse ? at : other
        const { warehouse } = shop
        if (kind === 'issue') await keep(issueTools(as(shop.keeper), { warehouse, technician: to, tools }))
        else if (kind === 'return')
          await keep(returnTools(as(shop.keeper), { warehouse, technician: from.person.username, tools }))
        else if (kind === 'hand-over')
          await keep(handOverTools(as(shop.keeper), { warehouse, from: from.person.username, to, tools }))
        else if (kind === 'transfer')
          await keep(transferTools(as(shop.keeper), { warehouse, to: (shop === at ? other : at).warehouse, tools }))
        else if (kind === 'all')
          await returnAll(as(shop.keeper), { username: from.person.username }).then(
            ({ documents }) => drawn.push(...documents.map((one) => one.number)),
            (error: unknown) => {
              if (!(error instanceof Refusal)) throw error
            }
          )
        else if (kind === 'lose' || kind === 'find')
          await inTransaction(as(at.keeper), async (inner) => {
            const [{ id }] = await h.sql<{ id: string }>(
              `select id::text as id from tool where serial = any ($1) order by ($2 and state = 'lost') desc, serial = $3 desc limit 1`,
              [serials, kind === 'find', serial]
            )
            const [held] = await lockTools(inner, [id])
            if (held.openDocument !== null) return
            if (kind === 'lose' && (held.state === 'custody' || held.state === 'shelf'))
              await moveTools(inner, { tools: [held], to: { place: 'lost' }, kind: 'lost' })
            if (kind === 'find' && held.state === 'lost')
              await moveTools(inner, { tools: [held], to: { place: 'shelf' }, kind: 'found' })
          })
        else if (number !== undefined) {
          const signers = [at.technician, at.colleague, other.technician, at.otherKeeper, other.otherKeeper]
          for (const signer of signers)
            await outcome(
              kind === 'sign'
                ? signToolDocument(as(signer), { number })
                : kind === 'refuse'
                  ? refuseToolDocument(as(signer), { number, reason: 'x' })
                  : cancelToolDocument(as(signer), { number, reason: 'x' })
            )
        }
      }
      const rolls = await rollsOf(at, other)
      expect(rolls).toHaveLength(6)
      expect(await played(at, other)).toEqual(rolls)
      // As people see it: the custody lists, the shelves, and what has ended, are the register.
      const lists = await Promise.all(
        technicians.map(
          async (technician) =>
            (await technician.get(`/v1/technicians/${technician.person.username}/custody`)).body.tools
        )
      )
      const byState = await Promise.all(
        [at, other].flatMap((shop) =>
          ['shelf', 'lost', 'scrapped'].map(
            async (state) =>
              (await shop.keeper.get(`/v1/tools?warehouse=${shop.warehouse}&state=${state}&limit=200`)).body.items
          )
        )
      )
      expect(
        [...lists, ...byState]
          .flat()
          .map(({ serial }: any) => serial)
          .sort()
      ).toEqual([...serials].sort())
    }),
    { numRuns: RUNS, seed: 20261120 }
  )
  // All of that has happened.
  expect(
    (await h.sql<{ kind: string }>('select distinct kind from custody_entry order by kind')).map(({ kind }) => kind)
  ).toEqual(['found', 'handed-over', 'issued', 'lost', 'registered', 'returned', 'transferred'])
}, 240_000)
