import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { requireOpen, warehouseByCode } from '../../src/warehouses/directory.ts'
import { inTransaction } from '../../src/platform/context.ts'
import { createWarehouse } from '../../src/warehouses/create-warehouse.ts'
import { callsAs, type Caller } from '../support/calls.ts'
import { openCounter } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'

let h: Harness
let administrator: Caller
let person: MadePerson
beforeAll(async () => {
  h = await openHarness()
  person = await h.make.person({ grants: [{ duty: 'administrator' }] })
  administrator = callsAs(h, person)
})
afterAll(() => h.close())
afterEach(() => h.clock.set(DEFAULT_TIME))

/** A head office, a centre, a branch and an outlet, each under the one before. */
async function tree() {
  const head = await h.make.warehouse({ kind: 'head-office' })
  const centre = await h.make.warehouse({ kind: 'regional-centre', parent: head.code })
  const branch = await h.make.warehouse({ kind: 'branch', parent: centre.code, region: centre.region })
  const outlet = await h.make.warehouse({ kind: 'outlet', parent: branch.code, region: centre.region })
  return { head, centre, branch, outlet }
}
const move = (code: string, parent: string | null) => administrator.post(`/v1/warehouses/${code}/move`, { parent })

describe('the tree (R-ORG-1)', () => {
  test('a warehouse is entered in a region, under a parent', async () => {
    const { centre } = await tree()
    await administrator.post('/v1/regions', { code: 'NORTH', name: 'North', nameZh: '华北' })
    const body = {
      code: 'BJ-07',
      name: 'Beijing 7',
      nameZh: '北京七店',
      kind: 'outlet',
      region: 'NORTH',
      parent: centre.code,
      address: '朝阳区',
      contact: '王芳',
      phone: '010'
    }
    const created = await administrator.post('/v1/warehouses', body)
    expect([created.status, created.headers['location'], created.headers['etag'], created.body]).toEqual([
      201,
      '/v1/warehouses/BJ-07',
      '"1"',
      { ...body, closedOn: null, version: 1 }
    ])
    expect((await administrator.post('/v1/warehouses', body)).body.code).toBe('WarehouseCodeTaken')
    expect((await administrator.post('/v1/warehouses', { ...body, code: 'BJ-08', region: 'NOWHERE' })).body.code).toBe(
      'RegionUnknown'
    )
    expect((await administrator.post('/v1/warehouses', { ...body, code: 'BJ-08', parent: 'NOBODY' })).body.code).toBe(
      'ParentUnknown'
    )
    expect((await administrator.post('/v1/warehouses', { ...body, code: 'bj' })).status).toBe(400)
  })

  test('each kind hangs under the kinds above it, a van under any of them, and none but the head office alone', async () => {
    const { head, centre, branch, outlet } = await tree()
    const hang = async (kind: string, parent: string | null, code: string) =>
      (await administrator.post('/v1/warehouses', { code, name: code, kind, region: centre.region, parent })).status
    expect(await hang('outlet', centre.code, 'T-1')).toBe(201)
    expect(await hang('van', outlet.code, 'T-2')).toBe(201)
    expect(await hang('van', branch.code, 'T-3')).toBe(201)
    expect(await hang('van', null, 'T-4')).toBe(422)
    expect(await hang('outlet', null, 'T-5')).toBe(422)
    expect((await move(centre.code, null)).body).toMatchObject({
      code: 'WarehouseMisplaced',
      detail: 'a regional-centre hangs under head-office; name its parent: only the head office has none'
    })
    expect(await hang('outlet', head.code, 'T-6')).toBe(422)
    expect(await hang('branch', outlet.code, 'T-7')).toBe(422)
    expect(await hang('head-office', head.code, 'T-8')).toBe(422)
    const refused = await administrator.post('/v1/warehouses', {
      code: 'T-9',
      name: 'x',
      kind: 'regional-centre',
      region: centre.region,
      parent: outlet.code
    })
    expect([refused.body.code, refused.body.detail]).toEqual([
      'WarehouseMisplaced',
      `${outlet.code} is an outlet; a regional-centre may hang under head-office`
    ])
  })

  test('there is one open head office, also when several ask at once', async () => {
    const { head, centre } = await tree()
    const enter = (code: string) =>
      administrator.post('/v1/warehouses', { code, name: code, kind: 'head-office', region: head.region })
    const refused = await enter('HQ-2')
    expect([refused.status, refused.body.code]).toEqual([409, 'HeadOfficeExists'])

    const closedOn = '2020-01-01'
    const open = await h.sql<{ id: number }>(
      `update warehouse set closed_on = $1 where kind = 'head-office' and closed_on is null returning id`,
      [closedOn]
    )
    try {
      const answers = await Promise.all(['HQ-3', 'HQ-4', 'HQ-5'].map(enter))
      expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409])
      // The closed one does not come back beside it, nor what hangs under it.
      expect((await administrator.post(`/v1/warehouses/${head.code}/reopening`)).body.code).toBe('HeadOfficeExists')
      await h.sql(`update warehouse set closed_on = $2 where id = $1`, [centre.id, closedOn])
      expect((await administrator.post(`/v1/warehouses/${centre.code}/reopening`)).body.code).toBe('WarehouseClosed')
    } finally {
      await h.sql(`update warehouse set closed_on = $1 where code in ('HQ-3', 'HQ-4', 'HQ-5')`, [closedOn])
      await h.sql('update warehouse set closed_on = null where id = any ($1)', [open.map(({ id }) => id)])
    }
  })

  test('a warehouse shows what is above and what is below it', async () => {
    const { head, centre, branch, outlet } = await tree()
    const read = await administrator.get(`/v1/warehouses/${branch.code}`)
    expect(read.body.path.map(({ code }: { code: string }) => code)).toEqual([head.code, centre.code])
    expect(read.body.children.map(({ code }: { code: string }) => code)).toEqual([outlet.code])
    expect(read.body).toMatchObject({ parent: centre.code, region: centre.region, kind: 'branch' })
  })

  test('moving never closes a circle', async () => {
    const { centre, branch, outlet } = await tree()
    expect((await move(centre.code, outlet.code)).body.code).toBe('WarehouseTreeCircular')
    expect((await move(branch.code, branch.code)).body.code).toBe('WarehouseTreeCircular')
    const moved = await move(outlet.code, centre.code)
    expect([moved.status, moved.body.parent, moved.body.version]).toEqual([200, centre.code, 2])
    expect((await administrator.post(`/v1/warehouses/${outlet.code}/move`, { parent: branch.code })).status).toBe(200)
  })

  test('what has something open below it is not closed; what is closed takes no children', async () => {
    const { branch, outlet } = await tree()
    const early = await administrator.post(`/v1/warehouses/${branch.code}/closing`)
    expect([early.status, early.body.code, early.body.children]).toEqual([409, 'WarehouseHasChildren', [outlet.code]])
    const closed = await administrator.post(`/v1/warehouses/${outlet.code}/closing`, { closedOn: '2026-11-30' })
    expect([closed.status, closed.body.closedOn]).toEqual([200, '2026-11-30'])
    expect((await administrator.post(`/v1/warehouses/${branch.code}/closing`, { closedOn: '2026-11-30' })).status).toBe(
      200
    )

    h.clock.set('2026-11-30T09:00')
    expect((await administrator.post(`/v1/warehouses/${outlet.code}/closing`)).body.code).toBe('WarehouseClosed')
    expect(
      (
        await administrator.post('/v1/warehouses', {
          code: 'LATE-1',
          name: 'x',
          kind: 'van',
          region: branch.region,
          parent: outlet.code
        })
      ).body.code
    ).toBe('WarehouseClosed')
    const facts = await warehouseByCode(h.contextOf(person.actor), outlet.code)
    expect(() => requireOpen(facts, '2026-11-29')).not.toThrow()
    expect(() => requireOpen(facts, '2026-11-30')).toThrow('is closed from 2026-11-30 on')
    const open = await administrator.get(`/v1/warehouses?parent=${branch.code}&open=false`)
    expect(open.body.items.map(({ code }: { code: string }) => code)).toEqual([outlet.code])
  })
})

describe('closing', () => {
  const close = (code: string, closedOn?: string) =>
    administrator.post(`/v1/warehouses/${code}/closing`, closedOn === undefined ? {} : { closedOn })
  const reopen = (code: string) => administrator.post(`/v1/warehouses/${code}/reopening`)

  test('a warehouse with stock or unfinished slips is not closed: nobody could get them out again', async () => {
    const counter = await openCounter(h)
    const part = await counter.stocked({ quantity: '2' })
    const refused = await close(counter.warehouse, '2026-12-31')
    expect([refused.status, refused.body.code, refused.body.parts]).toEqual([409, 'WarehouseHasStock', [part.number]])

    const issue = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '2' }] })
    const unfinished = await close(counter.warehouse, '2026-12-31')
    expect([unfinished.status, unfinished.body.code, unfinished.body.slips]).toEqual([
      409,
      'WarehouseHasSlips',
      [issue.number]
    ])

    expect((await counter.signAndPost(issue.number)).status).toBe(200)
    const moved = await close(counter.warehouse)
    expect([moved.status, moved.body.code, moved.body.detail]).toEqual([
      409,
      'WarehouseHasMoved',
      `something moved in warehouse ${counter.warehouse} on 2026-11-20; the first day on which nothing moves is 2026-11-21 at the earliest`
    ])
    expect((await close(counter.warehouse, '2026-11-21')).status).toBe(200)
  })

  test('a warehouse is not closed before it was there', async () => {
    const { outlet } = await tree()
    await h.sql(`update warehouse set named_at = '2026-11-10T02:00:00Z' where id = $1`, [outlet.id])
    const refused = await close(outlet.code, '1999-01-01')
    expect([refused.status, refused.body.code]).toEqual([422, 'ClosingBeforeOpening'])
    await administrator.post(`/v1/warehouses/${outlet.code}/renaming`, { name: 'Another' })
    expect((await close(outlet.code, '2026-11-09')).body.code).toBe('ClosingBeforeOpening')
    expect((await close(outlet.code, '2026-11-10')).status).toBe(200)
  })

  test('what is closed is neither renamed nor moved, and may be reopened; a closing ahead may be called off', async () => {
    const { outlet, centre } = await tree()
    expect((await reopen(outlet.code)).body.code).toBe('WarehouseOpen')
    await close(outlet.code)
    const refused = [
      await administrator.post(`/v1/warehouses/${outlet.code}/renaming`, { name: 'x' }),
      await move(outlet.code, centre.code),
      await close(outlet.code, '2026-12-01')
    ]
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [409, 'WarehouseClosed']))
    const row = `code,name,kind,region\n${outlet.code},x,outlet,${outlet.region}\n`
    expect((await administrator.upload('/v1/imports/warehouses', row)).body.rows[0].problems).toEqual([
      `warehouse ${outlet.code} is closed; reopen it before it is renamed or moved`
    ])

    const reopened = await reopen(outlet.code)
    expect([reopened.status, reopened.body.closedOn, reopened.headers['etag']]).toEqual([200, null, '"3"'])
    expect((await administrator.post(`/v1/warehouses/${outlet.code}/renaming`, { name: 'x' })).status).toBe(200)
    await close(outlet.code, '2026-12-31')
    expect((await reopen(outlet.code)).body.closedOn).toBe(null)
  })
})

describe('names (R-ORG-1)', () => {
  test('an outlet keeps its rename history', async () => {
    const { outlet } = await tree()
    await h.sql(
      `update warehouse set name = 'First', name_zh = '一店', named_at = '2026-01-01T00:00:00Z' where id = $1`,
      [outlet.id]
    )
    const renamed = await administrator.post(`/v1/warehouses/${outlet.code}/renaming`, {
      name: 'Second',
      nameZh: '二店'
    })
    expect([renamed.status, renamed.body.name, renamed.body.version]).toEqual([200, 'Second', 2])
    h.clock.advance({ days: 3 })
    await administrator.post(`/v1/warehouses/${outlet.code}/renaming`, { name: 'Third' })
    expect((await administrator.post(`/v1/warehouses/${outlet.code}/renaming`, { name: 'Third' })).body.code).toBe(
      'NameUnchanged'
    )

    expect((await administrator.get(`/v1/warehouses/${outlet.code}/names`)).body.items).toEqual([
      { name: 'Third', nameZh: null, fromAt: '2026-11-23T02:00:00.000Z', toAt: null },
      { name: 'Second', nameZh: '二店', fromAt: '2026-11-20T02:00:00.000Z', toAt: '2026-11-23T02:00:00.000Z' },
      { name: 'First', nameZh: '一店', fromAt: '2026-01-01T00:00:00.000Z', toAt: '2026-11-20T02:00:00.000Z' }
    ])
  })
})

test('regions are entered, renamed and listed', async () => {
  await administrator.post('/v1/regions', { code: 'WEST', name: 'West' })
  expect((await administrator.post('/v1/regions', { code: 'WEST', name: 'West' })).body.code).toBe('RegionCodeTaken')
  const changed = await administrator.patch('/v1/regions/WEST', { nameZh: '西部' })
  expect([changed.status, changed.body]).toEqual([200, { code: 'WEST', name: 'West', nameZh: '西部' }])
  expect((await administrator.get('/v1/regions?limit=200')).body.items).toContainEqual(changed.body)
  expect((await administrator.patch('/v1/regions/NONE', { name: 'x' })).status).toBe(404)
})

test('a change with a stale If-Match is refused', async () => {
  const { outlet, head } = await tree()
  const path = `/v1/warehouses/${outlet.code}`
  const changed = await administrator.patch(path, { contact: '李强', region: head.region }, { 'if-match': '"1"' })
  expect([changed.status, changed.headers['etag'], changed.body.contact, changed.body.region]).toEqual([
    200,
    '"2"',
    '李强',
    head.region
  ])
  const stale = await administrator.patch(path, { contact: 'x' }, { 'if-match': '"1"' })
  expect([stale.status, stale.body.code]).toEqual([412, 'VersionStale'])
  for (const [act, body] of [
    ['renaming', { name: 'x' }],
    ['move', { parent: null }],
    ['closing', {}],
    ['reopening', {}]
  ] as const) {
    const refused = await h.api
      .post(`${path}/${act}`)
      .auth(person.token, { type: 'bearer' })
      .set('if-match', '"1"')
      .send(body)
    expect([act, refused.status]).toEqual([act, 412])
  }
  expect((await administrator.patch(path, { region: 'NOWHERE' })).body.code).toBe('RegionUnknown')
})

describe('who sees and who writes (R-ORG-2)', () => {
  test('a foreign warehouse is hidden in every list and answers 404', async () => {
    const { centre, branch, outlet, head } = await tree()
    const stranger = await h.make.warehouse({ kind: 'outlet', parent: branch.code })
    const here = callsAs(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: outlet.code }] }))
    const region = callsAs(h, await h.make.person({ grants: [{ duty: 'keeper', region: centre.region }] }))
    const codes = (answer: { body: { items: { code: string }[] } }) => answer.body.items.map(({ code }) => code).sort()

    expect(codes(await here.get('/v1/warehouses'))).toEqual([outlet.code])
    expect(codes(await region.get('/v1/warehouses'))).toEqual([centre.code, branch.code, outlet.code].sort())
    for (const path of [head.code, `${head.code}/names`, stranger.code])
      expect((await here.get(`/v1/warehouses/${path}`)).status).toBe(404)
    expect(
      (await here.get(`/v1/warehouses/${outlet.code}`)).body.path.map(({ code }: { code: string }) => code)
    ).toEqual([head.code, centre.code, branch.code])
    expect(
      (await region.get(`/v1/warehouses/${branch.code}`)).body.children.map(({ code }: { code: string }) => code)
    ).toEqual([outlet.code])
    expect((await here.get('/v1/warehouses/NOBODY')).body.detail).toBe(
      (await here.get(`/v1/warehouses/${head.code}`)).body.detail.replace(head.code, 'NOBODY')
    )
  })

  test('writing needs the duty everywhere', async () => {
    const { outlet, branch } = await tree()
    const keeper = callsAs(
      h,
      await h.make.person({ grants: [{ duty: 'keeper' }, { duty: 'administrator', warehouse: outlet.code }] })
    )
    const path = `/v1/warehouses/${outlet.code}`
    const refused = [
      await keeper.post('/v1/regions', { code: 'X', name: 'x' }),
      await keeper.patch(`/v1/regions/${outlet.region}`, { name: 'x' }),
      await keeper.post('/v1/warehouses', { code: 'X', name: 'x', kind: 'outlet', region: outlet.region }),
      await keeper.patch(path, { contact: 'x' }),
      await keeper.post(`${path}/renaming`, { name: 'x' }),
      await keeper.post(`${path}/move`, { parent: branch.code }),
      await keeper.post(`${path}/closing`),
      await keeper.post(`${path}/reopening`),
      await keeper.upload('/v1/imports/warehouses', 'code,name,kind,region\nX,x,outlet,X\n')
    ]
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'DutyRequired']))
  })
})

describe('the directory', () => {
  test('a warehouse is asked for once, and a change here counts at once', async () => {
    const { outlet } = await tree()
    const ctx = h.contextOf(person.actor)
    expect((await warehouseByCode(ctx, outlet.code)).name).toBe(outlet.code)
    await h.sql(`update warehouse set name = 'changed elsewhere' where id = $1`, [outlet.id])
    expect((await warehouseByCode(ctx, outlet.code)).name).toBe(outlet.code)
    await administrator.post(`/v1/warehouses/${outlet.code}/renaming`, { name: 'changed here' })
    expect((await warehouseByCode(ctx, outlet.code)).name).toBe('changed here')
    await expect(warehouseByCode(ctx, 'NOBODY')).rejects.toMatchObject({ status: 404 })
  })

  test('what is rolled back was never there', async () => {
    const { branch } = await tree()
    const ctx = h.contextOf(person.actor)
    await expect(
      inTransaction(ctx, async (ctx) => {
        await createWarehouse(ctx, {
          code: 'GHOST',
          name: 'x',
          kind: 'outlet',
          region: branch.region,
          parent: branch.code
        })
        expect((await warehouseByCode(ctx, 'GHOST')).name).toBe('x')
        throw new Error('after all not')
      })
    ).rejects.toThrow('after all not')
    await expect(warehouseByCode(ctx, 'GHOST')).rejects.toMatchObject({ status: 404 })
  })
})
