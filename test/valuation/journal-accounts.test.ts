import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DUTIES } from '../../src/identity/actor.ts'
import { accountsOf, JOURNAL_ROLES } from '../../src/valuation/journal-accounts.ts'
import { callerFor, type Caller } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadeWarehouse } from '../support/make.ts'

let h: Harness
let finance: Caller
/** The finance supervisor of the warehouse, and of another one. */
let supervisor: Caller
let warehouse: MadeWarehouse
let other: MadeWarehouse
beforeAll(async () => {
  h = await openHarness()
  warehouse = await h.make.warehouse({ code: 'SZ01' })
  other = await h.make.warehouse({ code: 'GZ01' })
  finance = callerFor(h, await h.make.person({ grants: [{ duty: 'hq-finance' }] }))
  supervisor = callerFor(h, await h.make.person({ grants: [{ duty: 'finance-supervisor', warehouse: 'SZ01' }] }))
})
afterAll(() => h.close())

const own = (role: string, account: string) => ({ role, account, name: `own ${role}`, nameZh: '自有' })
const set = (department: string, accounts: object[], caller = finance) =>
  caller.put(`/v1/journal-accounts/${department}`, { accounts })
const read = async (department: string, caller = finance) =>
  (await caller.get(`/v1/journal-accounts/${department}`)).body
interface Account {
  role: string
  account: string
  own: boolean
}
const ownOf = async (department: string) =>
  (await read(department)).accounts.flatMap((row: Account) => (row.own ? [`${row.role} ${row.account}`] : []))

test('every role has a default account', async () => {
  const { department, accounts } = await read('*', callerFor(h, await h.make.person()))
  expect(department).toBe('*')
  expect(accounts.map(({ role }: Account) => role)).toEqual(JOURNAL_ROLES)
  expect(accounts.find(({ role }: Account) => role === 'depreciation-expense')).toEqual({
    role: 'depreciation-expense',
    roleNameZh: '营业费用—备件折旧',
    account: '6601.08',
    name: 'Operating expense: depreciation of spare parts',
    nameZh: '营业费用—备件折旧',
    own: true
  })
  expect(await ownOf('SZ01')).toEqual([])
})

describe('the accounts of a department', () => {
  test('go before the default, role by role', async () => {
    const { status, body } = await set(
      'SZ01',
      [own('depreciation-expense', '6601.18'), own('inventory', '1405.18')],
      supervisor
    )
    expect([status, body.department]).toEqual([200, 'SZ01'])
    expect(await ownOf('SZ01')).toEqual(['inventory 1405.18', 'depreciation-expense 6601.18'])
    expect(await ownOf('GZ01')).toEqual([])

    const accounts = await accountsOf(h.contextOf(finance.person.actor), [warehouse.id, other.id])
    expect([...accounts.keys()].sort()).toEqual([warehouse.id, other.id].sort())
    for (const of of accounts.values()) expect(Object.keys(of).sort()).toEqual(JOURNAL_ROLES.toSorted())
    expect(accounts.get(warehouse.id)?.inventory).toEqual({ account: '1405.18', name: 'own inventory', nameZh: '自有' })
    expect(accounts.get(other.id)?.inventory).toMatchObject({ account: '1405.01' })
    expect(accounts.get(warehouse.id)?.['scrap-loss']).toEqual(accounts.get(other.id)?.['scrap-loss'])
  })

  test('are replaced as a whole; none gives it back to the default', async () => {
    await set('SZ01', [own('inventory', '1405.18')])
    await set('SZ01', [own('scrap-loss', '6711.18')])
    expect(await ownOf('SZ01')).toEqual(['scrap-loss 6711.18'])
    await set('SZ01', [])
    expect(await ownOf('SZ01')).toEqual([])
  })

  test('set by many at once are what one of them sent', async () => {
    const wanted = Array.from({ length: 6 }, (_, index) => `1405.${index}`)
    const outcomes = await Promise.all(wanted.map((account) => set('SZ01', [own('inventory', account)])))
    expect(outcomes.map(({ status }) => status)).toEqual(wanted.map(() => 200))
    expect(wanted.map((account) => `inventory ${account}`)).toContain((await ownOf('SZ01'))[0])
    await set('SZ01', [])
  })

  test('are noted with who set them', async () => {
    await set('GZ01', [own('inventory', '1405.33')])
    const [event] = await h.sql(
      `select person_id as "personId", details from audit_event where subject = 'warehouse:GZ01' and action = 'journal-accounts.set' order by id desc limit 1`
    )
    expect(event).toEqual({ personId: finance.person.id, details: { accounts: [own('inventory', '1405.33')] } })
    await set('GZ01', [])
  })
})

test('the default is set by the finance of the head office, with every role', async () => {
  const before = (await read('*')).accounts
  const all = JOURNAL_ROLES.map((role, index) => own(role, `9${index}`))
  expect((await set('*', all)).body.accounts.map(({ account }: Account) => account)).toEqual(
    all.map(({ account }) => account)
  )
  expect((await read('SZ01')).accounts[0]).toMatchObject({ account: '90', own: false })
  expect((await set('*', all.slice(2))).body).toMatchObject({
    status: 422,
    code: 'AccountMissing',
    missing: JOURNAL_ROLES.slice(0, 2)
  })
  expect((await set('*', [])).body).toMatchObject({ code: 'AccountMissing' })
  await set(
    '*',
    before.map(({ role, account, name, nameZh }: Account & { name: string; nameZh: string }) => ({
      role,
      account,
      name,
      nameZh
    }))
  )
  expect((await read('*')).accounts).toEqual(before)
})

test('the list shows the default and what one may see, page by page', async () => {
  await set('SZ01', [own('inventory', '1405.18')])
  await set('GZ01', [own('inventory', '1405.19')])
  const departments = async (caller: Caller, query = '') => {
    const found: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body } = await caller.get(`/v1/journal-accounts?limit=5${query}${cursor && `&cursor=${cursor}`}`)
      found.push(...body.items.map((row: { department: string }) => row.department))
      cursor = body.nextCursor as string | null
    }
    return found
  }
  const defaults = JOURNAL_ROLES.map(() => '*')
  expect(await departments(finance)).toEqual([...defaults, 'GZ01', 'SZ01'])
  expect(await departments(supervisor)).toEqual([...defaults, 'SZ01'])
  expect(await departments(supervisor, '&department=GZ01')).toEqual([])
  expect(await departments(finance, '&department=GZ01')).toEqual(['GZ01'])
})

describe('refused is', () => {
  test('one role twice', async () => {
    const { body } = await set('SZ01', [own('inventory', '1'), own('inventory', '2')])
    expect(body).toMatchObject({ status: 422, code: 'RoleRepeated', errors: [{ pointer: '/accounts/1/role' }] })
  })

  test.for([
    [{ ...own('inventory', '1405'), role: 'stock' }],
    [own('inventory', '')],
    [own('inventory', '=1+1')],
    [{ role: 'inventory', account: '1405' }],
    [{ ...own('inventory', '1405'), colour: 'red' }]
  ])('what is no account: %o', async (accounts) => {
    expect((await set('SZ01', accounts as object[])).status).toBe(400)
  })

  test('a department that does not exist, to read and to write', async () => {
    for (const caller of [finance, supervisor]) {
      expect((await set('NOWHERE', [], caller)).body).toMatchObject({ status: 404, code: 'NotFound' })
      expect(await read('NOWHERE', caller)).toMatchObject({ status: 404, code: 'NotFound' })
    }
    expect((await set('sz01', [])).status).toBe(400)
  })

  test('a warehouse one may not see, exactly like one that does not exist', async () => {
    expect(await read('GZ01', supervisor)).toMatchObject({ status: 404, detail: expect.stringContaining('GZ01') })
    expect((await set('GZ01', [], supervisor)).body).toMatchObject({ status: 404, code: 'NotFound' })
  })

  test('everybody but finance', async () => {
    for (const duty of DUTIES.filter((each) => each !== 'hq-finance' && each !== 'finance-supervisor')) {
      const caller = callerFor(h, await h.make.person({ grants: [{ duty, warehouse: 'SZ01' }] }))
      expect((await set('SZ01', [], caller)).body).toMatchObject({ status: 403, code: 'DutyRequired' })
    }
  })

  test('the default to everybody but the finance of the head office', async () => {
    expect((await set('*', [], supervisor)).body).toMatchObject({ status: 403, code: 'DutyRequired' })
  })
})
