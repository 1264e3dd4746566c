import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let controller: Caller
let keeper: Caller
beforeAll(async () => {
  h = await openHarness()
  const warehouse = await h.make.warehouse()
  controller = callsAs(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
  keeper = callsAs(
    h,
    await h.make.person({
      grants: [
        { duty: 'keeper', warehouse: warehouse.code },
        { duty: 'stock-controller', warehouse: warehouse.code }
      ]
    })
  )
})
afterAll(() => h.close())

const brakePad = {
  number: 'BK/82 红',
  name: 'Brake pad',
  nameZh: '前刹车片',
  specification: 'Ø 160 mm',
  colour: 'red',
  unit: '片',
  category: 'brakes',
  standardCost: '12.5',
  listPrice: '59',
  criticality: 'A',
  leadTimeDays: 14,
  packSize: '4',
  controlled: true
}

describe('parts (R-CAT-1)', () => {
  test('a part keeps number, names, specification, colour, unit, category, costs, class, lead time and pack size', async () => {
    const created = await controller.post('/v1/parts', brakePad)
    expect(created.status).toBe(201)
    expect(created.headers['location']).toBe('/v1/parts/BK%2F82%20%E7%BA%A2')
    expect(created.headers['etag']).toBe('"1"')
    const view = {
      ...brakePad,
      standardCost: '12.5000',
      listPrice: '59.00',
      packSize: '4.000',
      active: true,
      exchangeDueDays: null,
      oldPartValue: null,
      serialised: false,
      units: [],
      version: 1
    }
    expect(created.body).toEqual(view)

    const read = await keeper.get(created.headers['location'])
    expect([read.status, read.body]).toEqual([200, view])
  })

  test('an exchange part says when its old part is due back and what it is worth; nothing else does (R-REQ-6)', async () => {
    const { number } = await h.make.part()
    const value = await controller.patch(`/v1/parts/${number}`, { oldPartValue: '35', serialised: true })
    expect([value.status, value.body.code, value.body.errors]).toEqual([
      422,
      'NotAnExchangePart',
      [
        expect.objectContaining({ pointer: '/oldPartValue', sent: '35' }),
        expect.objectContaining({ pointer: '/serialised', sent: true })
      ]
    ])
    const made = await controller.patch(`/v1/parts/${number}`, {
      exchangeDueDays: 30,
      oldPartValue: '35',
      serialised: true
    })
    expect(made.body).toMatchObject({ exchangeDueDays: 30, oldPartValue: '35.00', serialised: true })
    const since = async () =>
      (await h.sql<{ since: Date | null }>('select exchange_since as since from part where number = $1', [number]))[0]
        .since
    const first = await since()
    h.clock.advance({ hours: 1 })
    await controller.patch(`/v1/parts/${number}`, { exchangeDueDays: 14 })
    expect(await since()).toEqual(first)

    const half = await controller.patch(`/v1/parts/${number}`, { exchangeDueDays: null })
    expect([half.status, half.body.code]).toEqual([422, 'NotAnExchangePart'])
    const ended = await controller.patch(`/v1/parts/${number}`, {
      exchangeDueDays: null,
      oldPartValue: null,
      serialised: false
    })
    expect([ended.status, ended.body.exchangeDueDays, await since()]).toEqual([200, null, null])
    const none = await controller.post('/v1/parts', { number: `${number}-X`, name: 'exchange', oldPartValue: '1' })
    expect([none.status, none.body.code]).toEqual([422, 'NotAnExchangePart'])
    const listed = await controller.post('/v1/parts', { number: `${number}-Y`, name: 'exchange', exchangeDueDays: 7 })
    expect(listed.status).toBe(201)
    const { items } = (await controller.get(`/v1/parts?exchange=true&q=${number}`)).body
    expect(items.map((part: { number: string }) => part.number)).toEqual([`${number}-Y`])
  })

  test('a number of sixty Chinese characters is still a path', async () => {
    const number = '备'.repeat(60)
    await h.make.part({ number })
    expect((await keeper.get(`/v1/parts/${encodeURIComponent(number)}`)).body.number).toBe(number)
  })

  test('a number is taken once', async () => {
    const { number } = await h.make.part()
    const again = await controller.post('/v1/parts', { number, name: 'another' })
    expect([again.status, again.body.code]).toEqual([409, 'PartNumberTaken'])
  })

  test('a change with a stale If-Match is refused, without one it counts', async () => {
    const { number } = await h.make.part({ colour: 'red' })
    const first = await controller.patch(
      `/v1/parts/${number}`,
      { colour: null, listPrice: '62.00' },
      { 'if-match': '"1"' }
    )
    expect([first.status, first.headers['etag'], first.body.colour, first.body.listPrice]).toEqual([
      200,
      '"2"',
      null,
      '62.00'
    ])

    const stale = await controller.patch(`/v1/parts/${number}`, { colour: 'blue' }, { 'if-match': '"1"' })
    expect([stale.status, stale.body.code, stale.body.current]).toEqual([412, 'VersionStale', '"2"'])

    const careless = await controller.patch(`/v1/parts/${number}`, { colour: 'blue' })
    expect([careless.status, careless.body.colour, careless.body.version]).toEqual([200, 'blue', 3])
  })

  test('number and stock unit never change', async () => {
    const { number } = await h.make.part()
    for (const change of [{ number: 'X' }, { unit: 'box' }]) {
      const refused = await controller.patch(`/v1/parts/${number}`, change)
      expect([refused.status, refused.body.code]).toEqual([400, 'InvalidInput'])
    }
  })

  test('writing needs the duty everywhere; reading needs to be signed in', async () => {
    const { number } = await h.make.part()
    const refused = [
      await keeper.post('/v1/parts', { number: 'X-1', name: 'x' }),
      await keeper.patch(`/v1/parts/${number}`, { name: 'x' }),
      await keeper.put(`/v1/parts/${number}/units`, { units: [] }),
      await keeper.upload('/v1/imports/parts', 'number,name\nX-1,x\n'),
      await keeper.upload('/v1/imports/part-units', `number,unit,factor\n${number},box,2\n`)
    ]
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'DutyRequired']))
    expect((await h.api.get(`/v1/parts/${number}`)).status).toBe(401)
    expect((await keeper.get('/v1/parts/NO-SUCH-PART')).status).toBe(404)
  })

  test('units are stated as a whole, and the stock unit is not one of them', async () => {
    const { number } = await h.make.part({ unit: 'piece' })
    const set = await controller.put(
      `/v1/parts/${number}/units`,
      {
        units: [
          { unit: 'box', factor: '12' },
          { unit: 'pair', factor: '2' }
        ]
      },
      { 'if-match': '"1"' }
    )
    expect([set.status, set.body.units, set.body.version]).toEqual([
      200,
      [
        { unit: 'pair', factor: '2.000' },
        { unit: 'box', factor: '12.000' }
      ],
      2
    ])

    expect((await controller.put(`/v1/parts/${number}/units`, { units: [] }, { 'if-match': '"1"' })).status).toBe(412)
    expect(
      (await controller.put(`/v1/parts/${number}/units`, { units: [{ unit: 'piece', factor: '1' }] })).body.code
    ).toBe('UnitIsStockUnit')
    expect(
      (
        await controller.put(`/v1/parts/${number}/units`, {
          units: [
            { unit: 'box', factor: '1' },
            { unit: 'box', factor: '2' }
          ]
        })
      ).body.code
    ).toBe('UnitRepeated')
    expect((await controller.put(`/v1/parts/${number}/units`, { units: [{ unit: 'box', factor: '0' }] })).status).toBe(
      400
    )
    expect(
      (await controller.put(`/v1/parts/${number}/units`, { units: [{ unit: 'box', factor: '6' }] })).body.units
    ).toEqual([{ unit: 'box', factor: '6.000' }])
  })
})

describe('searching', () => {
  beforeAll(async () => {
    await h.make.part({
      number: 'SRCH-1',
      name: 'Compressor valve',
      nameZh: '压缩机阀门',
      specification: 'R410A 100%',
      category: 'cooling'
    })
    await h.make.part({
      number: 'SRCH-2',
      name: 'Door gasket',
      nameZh: '门封条',
      specification: '600_x',
      category: 'doors',
      controlled: true
    })
    await h.make.part({
      number: 'SRCH-3',
      name: 'Drum belt',
      nameZh: '滚筒皮带',
      specification: 'ＰＪ６',
      category: 'doors',
      active: false
    })
  })
  const found = async (query: Record<string, string>) => {
    const { body } = await keeper.get('/v1/parts').query(query)
    return (body.items as { number: string }[])
      .map(({ number }) => number)
      .filter((number) => number.startsWith('SRCH'))
  }

  test('any part of number, names or specification is found, Chinese and English, in any case and width', async () => {
    expect(await found({ q: 'srch-' })).toEqual(['SRCH-1', 'SRCH-2', 'SRCH-3'])
    expect(await found({ q: 'VALVE' })).toEqual(['SRCH-1'])
    expect(await found({ q: 'mpres' })).toEqual(['SRCH-1'])
    expect(await found({ q: '缩机' })).toEqual(['SRCH-1'])
    expect(await found({ q: '门' })).toEqual(['SRCH-1', 'SRCH-2'])
    expect(await found({ q: '门封条' })).toEqual(['SRCH-2'])
    expect(await found({ q: 'pj6' })).toEqual(['SRCH-3'])
    expect(await found({ q: 'ｖａｌｖｅ' })).toEqual(['SRCH-1'])
    expect(await found({ q: 'b' })).toEqual(['SRCH-3'])
  })

  test('all words must occur, in any order; letters of LIKE mean themselves', async () => {
    expect(await found({ q: 'valve 压缩' })).toEqual(['SRCH-1'])
    expect(await found({ q: 'valve gasket' })).toEqual([])
    expect(await found({ q: '100%' })).toEqual(['SRCH-1'])
    expect(await found({ q: '0_x' })).toEqual(['SRCH-2'])
    expect(await found({ q: 'r%a' })).toEqual([])
    expect(await found({ q: '\\' })).toEqual([])
  })

  test('words are not found across two fields', async () => {
    expect(await found({ q: 'valve压' })).toEqual([])
    expect(await found({ q: '1compressor' })).toEqual([])
  })

  test('category, controlled and active narrow the search, pages follow each other', async () => {
    expect(await found({ q: 'srch', category: 'doors' })).toEqual(['SRCH-2', 'SRCH-3'])
    expect(await found({ q: 'srch', controlled: 'true' })).toEqual(['SRCH-2'])
    expect(await found({ q: 'srch', active: 'false' })).toEqual(['SRCH-3'])

    const first = await keeper.get('/v1/parts').query({ q: 'srch', limit: 2 })
    expect(first.body.items.map(({ number }: { number: string }) => number)).toEqual(['SRCH-1', 'SRCH-2'])
    const second = await keeper.get('/v1/parts').query({ q: 'srch', limit: 2, cursor: first.body.nextCursor })
    expect([second.body.items.map(({ number }: { number: string }) => number), second.body.nextCursor]).toEqual([
      ['SRCH-3'],
      null
    ])

    expect((await keeper.get('/v1/parts?cursor=nonsense')).body.code).toBe('CursorInvalid')
    expect((await keeper.get('/v1/parts?colour=red')).status).toBe(400)
  })
})

test('a number that differs from another in case only, or names no path, is refused; looking up stays exact', async () => {
  const administrator = callsAs(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
  expect((await administrator.post('/v1/parts', { number: 'zz-1', name: 'x' })).status).toBe(201)
  const refused = await administrator.post('/v1/parts', { number: 'ZZ-1', name: 'x' })
  expect([refused.status, refused.body.code, refused.body.detail]).toEqual([
    409,
    'PartNumberTaken',
    'part zz-1 exists already, and numbers differ by more than upper and lower case; change it with PATCH or choose another number'
  ])
  expect((await administrator.get('/v1/parts/ZZ-1')).status).toBe(404)
  for (const number of ['.', '..'])
    expect((await administrator.post('/v1/parts', { number, name: 'x' })).status).toBe(400)
  expect((await administrator.post('/v1/parts', { number: '...', name: 'x' })).status).toBe(201)
})
