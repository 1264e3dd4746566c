import { post, type Condition, type Entry, type Movement, type Ownership } from '../../src/ledger/post.ts'
import { ensureMonth } from '../../src/ledger/movement-partitions.ts'
import { releaseReservations, reserveAll, type BalanceKey } from '../../src/ledger/reserve.ts'
import type { Context } from '../../src/identity/actor.ts'
import { Refusal } from '../../src/platform/errors.ts'
import type { SlipKind } from '../../src/slips/slip-kinds.ts'
import type { Harness } from './harness.ts'

/** A place in the ledger: part, ownership, condition. */
export interface Shelf {
  partId: number
  part: string
  ownership: Ownership
  condition: Condition
}

export interface PostedSlip {
  id: string
  number: string
  on: string
  movements: Movement[]
}

/** How a slip is written: its day, and what finance reads of it. */
interface Writing {
  on?: string | undefined
  kind?: SlipKind | undefined
  reference?: string | undefined
  counterparty?: string | undefined
}

/** The ledger without documents around it: slips are rows, written past every rule, in a warehouse of its own unless one is given. */
export async function kernel(h: Harness, given?: { id: number; code: string }) {
  const warehouse = given ?? (await h.make.warehouse())
  const person = await h.make.person({ grants: [{ duty: 'stock-controller' }] })
  const ctx: Context = h.contextOf(person.actor)
  let written = 0

  const on = (day: string | undefined): string => day ?? h.clock.today()

  const writeSlip = async (
    entries: readonly Entry[],
    { on: day = h.clock.today(), kind = 'adjustment', reference, counterparty }: Writing,
    source?: PostedSlip
  ): Promise<{ id: string; number: string }> => {
    await ensureMonth(ctx, day)
    const number = `${warehouse.code}-ROW-${day.slice(0, 7).replace('-', '')}-${String(++written).padStart(5, '0')}`
    const [row] = await h.sql<{ id: string }>(
      `insert into slip (warehouse_id, number, kind, state, occurred_on, duties, preparers, prepared_at, reference, counterparty, source_slip_id)
       values ($1, $2, $3, 'approved', $4, '{a,b,c}', '{0}', now(), $5, $6, $7) returning id`,
      [
        warehouse.id,
        number,
        kind,
        day,
        reference ?? null,
        counterparty ?? null,
        kind === 'return' || kind === 'reversal' ? (source?.id ?? null) : null
      ]
    )
    for (const { line, partId, quantity, ownership, condition } of entries) {
      await h.sql(
        `insert into slip_line (warehouse_id, slip_id, line_no, part_id, quantity, unit, unit_quantity, ownership, condition) values ($1, $2, $3, $4, $5, 'piece', abs($5::numeric), $6, $7)`,
        [warehouse.id, row.id, line, partId, quantity, ownership, condition]
      )
    }
    return { id: row.id, number }
  }

  const slip = async (entries: readonly Entry[], day = h.clock.today()): Promise<string> =>
    (await writeSlip(entries, { on: day })).id

  const write = async (entries: readonly Entry[], writing: Writing, source?: PostedSlip): Promise<PostedSlip> => {
    const day = on(writing.on)
    const { id, number } = await writeSlip(entries, { ...writing, on: day }, source)
    const set = (assignments: string) =>
      h.sql(`update slip set ${assignments} where warehouse_id = $1 and id = $2`, [warehouse.id, id])
    try {
      const movements = await post(h.contextOf(person.actor), {
        warehouseId: warehouse.id,
        slipId: id,
        occurredOn: day,
        postedAt: h.clock.now().toString(),
        entries,
        source: source === undefined ? undefined : { slipId: source.id, day: source.on }
      })
      await set(`state = 'posted', posted_at = now(), posted_by = 0`)
      return { id, number, on: day, movements }
    } catch (error) {
      await set(`state = 'cancelled'`)
      throw error
    }
  }

  const entry = (shelf: Shelf, quantity: string, more: Partial<Entry> = {}): Entry => ({
    line: 1,
    ...shelf,
    quantity,
    ...more
  })

  return {
    ctx,
    warehouse,
    entry,
    slip,
    /** A part nobody has stock of yet. */
    shelf: async (): Promise<Shelf> => {
      const part = await h.make.part()
      return { partId: part.id, part: part.number, ownership: 'own', condition: 'qualified' }
    },
    keyOf: (shelf: Shelf): BalanceKey => ({ warehouseId: warehouse.id, ...shelf }),
    post: async (entries: readonly Entry[], writing: Writing = {}) => (await write(entries, writing)).movements,
    postSlip: (entries: readonly Entry[], writing: Writing = {}) => write(entries, writing),
    undo: async (source: PostedSlip, entries: readonly Entry[], writing: Writing = {}) =>
      (await write(entries, writing, source)).movements,
    undoSlip: (source: PostedSlip, entries: readonly Entry[], writing: Writing = {}) => write(entries, writing, source),
    receive: async (
      shelf: Shelf,
      quantity: string,
      unitCost: string | null,
      { on: day, receivedOn }: { on?: string; receivedOn?: string } = {}
    ) => (await write([entry(shelf, quantity, { unitCost, receivedOn })], { on: day })).movements,
    issue: async (shelf: Shelf, quantity: string, { on: day }: { on?: string } = {}) =>
      (await write([entry(shelf, `-${quantity}`)], { on: day })).movements,
    /** The id of the reservation; it must not be short. */
    reserve: async (shelf: Shelf, quantity: string, reservedFor = 'REQ-1'): Promise<string> => {
      const reserved = await reserveAll(ctx, [{ warehouseId: warehouse.id, ...shelf, quantity, reservedFor }])
      if ('short' in reserved) throw new Refusal('InsufficientStock', 409, JSON.stringify(reserved.short))
      return reserved.ids[0] ?? ''
    },
    /** What became available again. */
    release: async (id: string): Promise<string> => {
      const [released] = await releaseReservations(ctx, [{ warehouseId: warehouse.id, id }])
      return released?.quantity ?? '0'
    },
    onHand: async ({ partId, ownership, condition }: Shelf): Promise<string> => {
      const [row] = await h.sql<{ onHand: string }>(
        `select trim_scale(on_hand)::text as "onHand" from balance where warehouse_id = $1 and part_id = $2 and ownership = $3 and condition = $4`,
        [warehouse.id, partId, ownership, condition]
      )
      return row?.onHand ?? '0'
    },
    refusal: async (attempt: Promise<unknown>): Promise<Refusal> => {
      try {
        await attempt
      } catch (error) {
        if (error instanceof Refusal) return error
        throw error
      }
      throw new Error('it was not refused')
    }
  }
}
export type Kernel = Awaited<ReturnType<typeof kernel>>
