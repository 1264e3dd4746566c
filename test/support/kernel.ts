import { post, type Condition, type Entry, type Movement, type Ownership } from '../../src/ledger/post.ts'
import { ensureMonth } from '../../src/ledger/movement-partitions.ts'
import type { BalanceKey } from '../../src/ledger/reserve.ts'
import type { Context } from '../../src/identity/actor.ts'
import { Refusal } from '../../src/platform/errors.ts'
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
  on: string
  movements: Movement[]
}

/** The ledger without documents around it: slips are rows, written past every rule, in a warehouse of its own. */
export async function kernel(h: Harness) {
  const warehouse = await h.make.warehouse()
  const person = await h.make.person({ grants: [{ duty: 'stock-controller' }] })
  const ctx: Context = h.contextOf(person.actor)
  let written = 0

  const on = (day: string | undefined): string => day ?? h.clock.today()

  const slip = async (entries: readonly Entry[], day = h.clock.today(), kind = 'adjustment'): Promise<string> => {
    await ensureMonth(ctx, day)
    const [row] = await h.sql<{ id: string }>(
      `insert into slip (warehouse_id, number, kind, state, occurred_on, duties, preparers, prepared_at) values ($1, $2, $3, 'approved', $4, '{a,b,c}', '{0}', now()) returning id`,
      [
        warehouse.id,
        `${warehouse.code}-ADJ-${day.slice(0, 7).replace('-', '')}-${String(++written).padStart(5, '0')}`,
        kind,
        day
      ]
    )
    for (const { line, partId, quantity, ownership, condition } of entries) {
      await h.sql(
        `insert into slip_line (warehouse_id, slip_id, line_no, part_id, quantity, unit, unit_quantity, ownership, condition) values ($1, $2, $3, $4, $5, 'piece', abs($5::numeric), $6, $7)`,
        [warehouse.id, row.id, line, partId, quantity, ownership, condition]
      )
    }
    return row.id
  }

  const write = async (
    entries: readonly Entry[],
    { day, source }: { day?: string | undefined; source?: PostedSlip }
  ): Promise<PostedSlip> => {
    const id = await slip(entries, on(day))
    const movements = await post(h.contextOf(person.actor), {
      warehouseId: warehouse.id,
      slipId: id,
      occurredOn: on(day),
      postedAt: h.clock.now().toString(),
      entries,
      source: source === undefined ? undefined : { slipId: source.id, day: source.on }
    })
    await h.sql(
      `update slip set state = 'posted', posted_at = now(), posted_by = 0 where warehouse_id = $1 and id = $2`,
      [warehouse.id, id]
    )
    return { id, on: on(day), movements }
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
    post: async (entries: readonly Entry[], { on: day }: { on?: string } = {}) =>
      (await write(entries, { day })).movements,
    postSlip: (entries: readonly Entry[], { on: day }: { on?: string } = {}) => write(entries, { day }),
    undo: async (source: PostedSlip, entries: readonly Entry[], { on: day }: { on?: string } = {}) =>
      (await write(entries, { day, source })).movements,
    undoSlip: (source: PostedSlip, entries: readonly Entry[], { on: day }: { on?: string } = {}) =>
      write(entries, { day, source }),
    receive: async (
      shelf: Shelf,
      quantity: string,
      unitCost: string | null,
      { on: day, receivedOn }: { on?: string; receivedOn?: string } = {}
    ) => (await write([entry(shelf, quantity, { unitCost, receivedOn })], { day })).movements,
    issue: async (shelf: Shelf, quantity: string, { on: day }: { on?: string } = {}) =>
      (await write([entry(shelf, `-${quantity}`)], { day })).movements,
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
