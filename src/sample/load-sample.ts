// The sample company: a small after-sales network with its catalogue, people, stock and some weeks of work.
//
// Everything enters through the verbs that the API calls, in one transaction: a first start that is killed halfway leaves
// nothing behind, and the next one loads it anew. The row `sample` of `setting`, written in the same transaction, says that
// it is there. Two processes that start together wait for each other; the second finds the row. The month ends follow,
// warehouse by warehouse; the row says which months are due until all are through, so that the next start goes on with them.
import { readFile } from 'node:fs/promises'
import { parse } from 'csv-parse/sync'
import type { FastifyBaseLogger } from 'fastify'
import { sweepAlertsNightly } from '../alerts/alerts.jobs.ts'
import { addSupersession } from '../catalogue/add-supersession.ts'
import { approveControlledPart } from '../catalogue/approve-controlled-part.ts'
import { authoriseSupplier } from '../catalogue/authorise-supplier.ts'
import { createSupplier } from '../catalogue/create-supplier.ts'
import { importPartUnits } from '../catalogue/import-part-units.ts'
import { importParts } from '../catalogue/import-parts.ts'
import { updateSupplier } from '../catalogue/update-supplier.ts'
import type { Context, Duty } from '../identity/actor.ts'
import { assignDuty } from '../identity/assign-duty.ts'
import { createPerson } from '../identity/create-person.ts'
import { actingAs, actorOf, identityChanged, systemActor } from '../identity/directory.ts'
import { checkPassword, GIVEN_PASSWORD_MINIMUM, hashPassword, verifyPassword } from '../identity/passwords.ts'
import { ensureMonth } from '../ledger/movement-partitions.ts'
import { inTransaction, openContext, type Runtime } from '../platform/context.ts'
import { run, statement } from '../platform/database.ts'
import { Refusal } from '../platform/errors.ts'
import { requestJob } from '../platform/job-runs.ts'
import { computeReorderLevels } from '../replenishment/reorder.jobs.ts'
import { createRegion } from '../warehouses/create-region.ts'
import { importWarehouses } from '../warehouses/import-warehouses.ts'
import { leaveTheShelf } from './leave-the-shelf.ts'
import { endedMonths, endMonths } from './month-ends.ts'
import { serveOutlets } from './serve-outlets.ts'
import { daysAgo, OPENED_DAYS_AGO, playSomeWeeks, type StockRow } from './some-weeks.ts'

interface SampleState {
  passwordHash: string
  /** Month ends that are not through in every warehouse. */
  monthsDue: string[]
}

const LOCK = statement<never>(`select pg_advisory_xact_lock(7305003)`)
const STATE = statement<SampleState>(
  `select value->>'passwordHash' as "passwordHash", coalesce(value->'monthsDue', '[]') as "monthsDue" from setting where name = 'sample'`
)
const IN_USE = statement<{ inUse: boolean }>(
  `select exists (select from warehouse) or exists (select from part) or exists (select from person where id <> 0) as "inUse"`
)
const NOTE = statement<never>(`insert into setting (name, value) values ('sample', $1::jsonb)`)
const MONTHS_ENDED = statement<never>(`update setting set value = value - 'monthsDue' where name = 'sample'`)

const csvText = (name: string): Promise<string> => readFile(new URL(`./${name}.csv`, import.meta.url), 'utf8')
const csvRows = async <Row>(name: string): Promise<Row[]> => parse<Row>(await csvText(name), { columns: true })

export interface LoadSample {
  /** Of all its accounts. */
  password: string
  log: FastifyBaseLogger
}

/**
 * Loads the sample company into an empty store, or goes on with its month ends where an earlier run was broken off; does nothing
 * where it is loaded already.
 * @returns whether it was loaded now
 * @throws Refusal 409 `StoreInUse` for a store that holds something else, 422 `PasswordTooShort`
 */
export async function loadSample(runtime: Runtime, { password, log }: LoadSample): Promise<boolean> {
  checkPassword(password, GIVEN_PASSWORD_MINIMUM)
  const openLane = () => openContext(runtime, systemActor, log)
  const system = openLane()
  const isNew = (await stateOf(system)) === undefined && (await loadCompany(system, password))
  const months = (await stateOf(system))?.monthsDue ?? []
  if (months.length > 0) {
    const stock = await csvRows<StockRow>('stock')
    const warehouses = [...new Set(stock.map(({ warehouse }) => warehouse))]
    await endMonths(openLane, { warehouses, months })
    await run(system, MONTHS_ENDED, [])
  }
  // What is worth ordering, and what is due, is worked out by the first worker, like every night.
  if (isNew) {
    await requestJob(system, computeReorderLevels, { full: false })
    await requestJob(system, sweepAlertsNightly)
  }
  return isNew
}

/** Everything but the month ends. */
async function loadCompany(system: Context, password: string): Promise<boolean> {
  await refuseStoreInUse(system)
  const passwordHash = await hashPassword(password)
  // A month's partition is made in a transaction of its own, which would wait for ours.
  for (const days of [OPENED_DAYS_AGO, 30, 15, 0]) await ensureMonth(system, daysAgo(system, days))
  return inTransaction(system, async (ctx) => {
    await run(ctx.em, LOCK, [])
    if ((await stateOf(ctx)) !== undefined) return false
    await refuseStoreInUse(ctx)
    await loadNetwork(ctx)
    await loadPeople(ctx, passwordHash)
    await loadCatalogue(ctx)
    await playSomeWeeks(ctx, await csvRows<StockRow>('stock'))
    await serveOutlets(ctx)
    await leaveTheShelf(ctx)
    const state = { passwordHash, monthsDue: endedMonths(ctx), loadedAt: ctx.clock.now().toString() }
    await run(ctx.em, NOTE, [JSON.stringify(state)])
    return true
  })
}

const stateOf = async (ctx: Context): Promise<SampleState | undefined> => (await run(ctx.em, STATE, []))[0]

async function refuseStoreInUse(ctx: Context): Promise<void> {
  if (await isInUse(ctx)) {
    throw new Refusal(
      'StoreInUse',
      409,
      'this store holds warehouses, parts or people already; the sample company is loaded into an empty one only'
    )
  }
}

const isInUse = async (ctx: Context): Promise<boolean> => (await run(ctx.em, IN_USE, []))[0]?.inUse ?? false

/**
 * What every start of the embedded database does: loads the sample into an empty store, and makes sure that its accounts have
 * the password that is about to be shown.
 * @param password asked for only where there is a sample
 * @returns the password; undefined where the store holds something else
 */
export async function openSample(
  runtime: Runtime,
  { password, log }: { password: () => Promise<string>; log: FastifyBaseLogger }
): Promise<{ password: string } | undefined> {
  const ctx = openContext(runtime, systemActor, log)
  const state = await stateOf(ctx)
  if (state === undefined && (await isInUse(ctx))) return undefined
  const sample = { password: await password() }
  if (state === undefined || state.monthsDue.length > 0) {
    log.info('loading the sample company')
    const began = performance.now()
    await loadSample(runtime, { ...sample, log })
    log.info({ seconds: ((performance.now() - began) / 1000).toFixed(1) }, 'the sample company is there')
  }
  if (state !== undefined && !(await verifyPassword(sample.password, state.passwordHash)))
    await changePassword(ctx, state, sample.password)
  return sample
}

const CHANGE_PASSWORD = statement<never>(`
with changed as (update person set password_hash = $2 where password_hash = $1)
update setting set value = value || jsonb_build_object('passwordHash', $2::text) where name = 'sample'`)

/** Of the accounts that still have the one they were made with: whoever chose another one keeps it. */
async function changePassword(ctx: Context, { passwordHash }: SampleState, password: string): Promise<void> {
  checkPassword(password, GIVEN_PASSWORD_MINIMUM)
  const fresh = await hashPassword(password)
  await inTransaction(ctx, async (inner) => {
    await run(inner.em, CHANGE_PASSWORD, [passwordHash, fresh])
    await identityChanged(inner)
  })
}

async function loadNetwork(ctx: Context): Promise<void> {
  await createRegion(ctx, { code: 'HEAD', name: 'Head office', nameZh: '总公司' })
  await createRegion(ctx, { code: 'SOUTH', name: 'South China', nameZh: '华南区域' })
  await createRegion(ctx, { code: 'EAST', name: 'East China', nameZh: '华东区域' })
  await importWarehouses(ctx, { csv: await csvText('warehouses'), apply: true })
}

async function loadPeople(ctx: Context, passwordHash: string): Promise<void> {
  const people = await csvRows<{ username: string; name: string; duty: Duty; warehouse: string }>('people')
  const validFrom = daysAgo(ctx, 365)
  for (const { username, name, duty, warehouse } of people) {
    await createPerson(ctx, { username, name, passwordHash })
    await assignDuty(ctx, { username, duty, validFrom, ...(warehouse !== '' && { warehouse }) })
  }
}

async function loadCatalogue(ctx: Context): Promise<void> {
  await importParts(ctx, { csv: await csvText('parts'), apply: true })
  await importPartUnits(ctx, { csv: await csvText('part-units'), apply: true })
  const validFrom = daysAgo(ctx, 365)
  const suppliers = await csvRows<{ code: string; name: string; active: string }>('suppliers')
  for (const { code, name } of suppliers) await createSupplier(ctx, { code, name })
  for (const { supplier, part } of await csvRows<{ supplier: string; part: string }>('authorisations')) {
    await authoriseSupplier(ctx, { code: supplier, part, validFrom })
  }
  for (const { code, active } of suppliers)
    if (active === 'false') await updateSupplier(ctx, { code, change: { active: false } })

  // The crank arms of each class replace those below; one wide guide pulley is replaced by two narrow tension pulleys.
  await addSupersession(ctx, { number: 'CA-5965', successor: 'CA-6738', validFrom })
  await addSupersession(ctx, { number: 'CA-6738', successor: 'CA-7457', validFrom })
  await addSupersession(ctx, { number: 'GP-0982', successor: 'TP-0923', factor: '2', validFrom })
  await addSupersession(ctx, { number: 'HS-0296', successor: 'HS-2451', bothWays: true, validFrom })

  const controller = actingAs(ctx, await actorOf(ctx.em, 'stock-controller@hq'))
  const validTo = Temporal.PlainDate.from(ctx.clock.today()).add({ days: 60 }).toString()
  await approveControlledPart(controller, {
    part: 'CS-9183',
    warehouse: 'SZ01',
    quantity: '6',
    reason: '华南区域高级牙盘备货',
    validTo
  })
  await approveControlledPart(controller, {
    part: 'RW-R820',
    warehouse: 'SH11',
    quantity: '2',
    reason: '两台待修整车等件',
    validTo
  })
}
