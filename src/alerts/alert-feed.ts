// Events of alerts for streams. One poller for each process asks for what is new, however many streams there are; each takes it from memory, as
// far as its reader may see it. A stream that is behind what is kept in memory reads on from the database. What is sent is made when the
// reader takes it, so a slow reader holds up nobody and fills no memory.
//
// The ids of events grow in the order of commits (see reconcile.ts): none turns up later below one that was read.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Pool } from 'pg'
import { covers, grantsToday, sightOf, type Context } from '../identity/actor.ts'
import { run, statement } from '../platform/database.ts'
import { isNamed, isTold, names, toldBy } from './addressees.ts'
import type { AlertEventName } from './alert-kinds.ts'
import { ALERT_COLUMNS, alertJoins, type AlertRow } from './alert-view.ts'

/** Something that happened to an alert, with the alert as it was when it was read. */
export interface AlertHappening {
  id: number
  event: AlertEventName
  at: string
  by: string | null
  what: Record<string, unknown> | null
  alert: AlertRow
}

type Row = AlertRow & {
  eventId: string
  event: AlertEventName
  at: string
  by: string | null
  what: AlertHappening['what']
}

const HAPPENED = `
select e.id::text as "eventId", e.event, e.at, doer.username as by, e.details as what, ${ALERT_COLUMNS}
  from alert_event e
  join alert a on a.warehouse_id = e.warehouse_id and a.id = e.alert_id
  left join person doer on doer.id = e.person_id
  ${alertJoins}`
const AFTER = statement<Row>(`${HAPPENED}
 where e.id > $1::bigint order by e.id limit $2`)
const SEEN_AFTER = statement<Row>(`${HAPPENED}
 where e.id > $1::bigint and e.id <= $2::bigint
   and ($4 or a.warehouse_id = any ($5::int[]) or w.region_id = any ($6::int[]) or ${names('$8')})
   and (not $7 or ${isTold('$8', '$9', '$10', '$11')})
 order by e.id limit $3`)
const NEWEST = statement<{ id: string }>(`select coalesce(max(id), 0)::text as id from alert_event`)

const happening = ({ eventId, event, at, by, what, ...alert }: Row): AlertHappening => ({
  id: Number(eventId),
  event,
  at,
  by,
  what,
  alert
})

/** How many events are kept in memory, and how many one question answers. */
const KEPT = 2_000
const PAGE = 500

export class AlertFeed {
  readonly #pool: Pool
  readonly #log: FastifyBaseLogger
  readonly #held: { readonly pollMs: number }
  #kept: AlertHappening[] = []
  /** The last event that was read; undefined while nobody listens. */
  #position: number | undefined
  #listeners = 0
  #isPolling = false
  readonly #waiting = new Set<() => void>()

  constructor({ pool, log, held }: { pool: Pool; log: FastifyBaseLogger; held: { readonly pollMs: number } }) {
    this.#pool = pool
    this.#log = log
    this.#held = held
  }

  get position(): number {
    return this.#position ?? 0
  }

  /** Begins to listen; polls while somebody does. */
  async join(): Promise<void> {
    this.#listeners++
    if (this.#position !== undefined) return
    const [newest] = (await this.#pool.query<{ id: string }>(NEWEST.text)).rows
    this.#position ??= Number(newest?.id ?? 0)
    if (this.#isPolling) return
    this.#isPolling = true
    void this.#poll()
  }

  leave(): void {
    this.#listeners--
  }

  async #poll(): Promise<void> {
    let isAway = false
    while (this.#listeners > 0) {
      try {
        const rows = (await this.#pool.query<Row>(AFTER.text, [this.position, PAGE])).rows.map(happening)
        isAway = false
        const last = rows.at(-1)
        if (last !== undefined) {
          this.#kept = [...this.#kept, ...rows].slice(-KEPT)
          this.#position = last.id
          for (const wake of this.#waiting) wake()
        }
        if (rows.length === PAGE) continue
      } catch (err) {
        if (!isAway) this.#log.warn({ err }, 'events of alerts cannot be read; trying again')
        isAway = true
      }
      await sleep(this.#held.pollMs, undefined, { ref: false })
    }
    this.#position = undefined
    this.#kept = []
    this.#isPolling = false
  }

  /** Resolves when there may be something new, after `ms` or when `signal` is given. */
  change(after: number, ms: number, signal: AbortSignal): Promise<void> {
    if (this.position > after || signal.aborted || ms <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, ms).unref()
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  /**
   * What happened after an event, as far as the actor may see it.
   * @returns and the id up to which that is all
   */
  async after(ctx: Context, position: number, isMine: boolean): Promise<{ events: AlertHappening[]; upTo: number }> {
    const [oldest] = this.#kept
    if (oldest !== undefined && position >= oldest.id - 1) {
      const maySee = visibleTo(ctx, isMine)
      const from = this.#kept.findIndex(({ id }) => id > position)
      const page = from < 0 ? [] : this.#kept.slice(from, from + PAGE)
      return { events: page.filter(({ alert }) => maySee(alert)), upTo: page.at(-1)?.id ?? position }
    }
    const upTo = this.position
    const { everywhere, warehouseIds, regionIds } = sightOf(ctx)
    const values = [position, upTo, PAGE, everywhere, warehouseIds, regionIds, isMine, ...toldBy(ctx)]
    const events = (await run(ctx, SEEN_AFTER, values)).map(happening)
    return { events, upTo: events.length === PAGE ? (events.at(-1)?.id ?? upTo) : upTo }
  }
}

function visibleTo(ctx: Context, isMine: boolean): (alert: AlertRow) => boolean {
  const grants = grantsToday(ctx)
  return ({ warehouseId: id, warehouse: code, regionId, addressedTo, people }) =>
    isNamed(ctx, { people }) ||
    grants.some((grant) => covers(grant, { id, code, regionId }) && (!isMine || addressedTo.includes(grant.duty)))
}
