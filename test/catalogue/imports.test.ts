import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let controller: Caller
beforeAll(async () => {
  h = await openHarness()
  controller = callsAs(h, await h.make.person({ grants: [{ duty: 'stock-controller' }] }))
})
afterAll(() => h.close())

const importParts = (csv: string | Buffer, apply = false) => controller.upload(`/v1/imports/parts?apply=${apply}`, csv)
const part = async (number: string) => (await controller.get(`/v1/parts/${encodeURIComponent(number)}`)).body

describe('parts from CSV', () => {
  test('a dry run says what every row would do and does none of it; applied, the answer is the same', async () => {
    await h.make.part({ number: 'IMP-OLD', name: 'Old name', colour: 'red', standardCost: '3.5' })
    await h.make.part({ number: 'IMP-SAME', name: 'Same', standardCost: '1' })
    const csv =
      '\uFEFF货号,货名,中文名称,标准成本,监控件\r\nIMP-NEW,"Valve, small",小阀,12.50,是\r\nIMP-OLD,New name,,4,\r\nIMP-SAME,Same,,1.000,否\r\n'
    const rows = [
      { line: 2, key: 'IMP-NEW', outcome: 'create', problems: [] },
      { line: 3, key: 'IMP-OLD', outcome: 'update', problems: [] },
      { line: 4, key: 'IMP-SAME', outcome: 'unchanged', problems: [] }
    ]
    const counts = { create: 1, update: 1, unchanged: 1, refused: 0 }

    const dry = await importParts(csv)
    expect([dry.status, dry.body]).toEqual([200, { applied: false, counts, rows }])
    expect((await controller.get('/v1/parts/IMP-NEW')).status).toBe(404)

    const applied = await importParts(csv, true)
    expect([applied.status, applied.body]).toEqual([200, { applied: true, counts, rows }])
    expect(await part('IMP-NEW')).toMatchObject({
      name: 'Valve, small',
      nameZh: '小阀',
      standardCost: '12.5000',
      controlled: true,
      unit: 'piece',
      active: true,
      version: 1
    })
    expect(await part('IMP-OLD')).toMatchObject({ name: 'New name', colour: 'red', standardCost: '4.0000', version: 2 })
    expect(await part('IMP-SAME')).toMatchObject({ version: 1 })

    expect((await importParts(csv, true)).body.counts).toEqual({ create: 0, update: 0, unchanged: 3, refused: 0 })
    expect((await controller.get('/v1/parts?q=小阀')).body.items).toHaveLength(1)
  })

  test('exchange parts are imported with the days, value and serials of their old parts (R-REQ-6)', async () => {
    await h.make.part({ number: 'IMP-X-OLD', name: 'was none' })
    const csv = [
      '货号,货名,旧件返还天数,旧件赔偿价,序列号管理',
      'IMP-X-NEW,Motor,30,120,是',
      'IMP-X-OLD,was none,14,,否',
      'IMP-X-BAD,Pump,,35,否'
    ].join('\n')
    const refused = await importParts(csv, true)
    expect([refused.status, refused.body.rows[2].problems[0]]).toEqual([
      422,
      expect.stringContaining('oldPartValue is of an exchange part')
    ])
    const good = csv.split('\n').slice(0, 3).join('\n')
    expect((await importParts(good, true)).body.counts).toEqual({ create: 1, update: 1, unchanged: 0, refused: 0 })
    expect(await part('IMP-X-NEW')).toMatchObject({ exchangeDueDays: 30, oldPartValue: '120.00', serialised: true })
    expect(await part('IMP-X-OLD')).toMatchObject({ exchangeDueDays: 14, oldPartValue: null, serialised: false })
    expect((await importParts(good, true)).body.counts).toEqual({ create: 0, update: 0, unchanged: 2, refused: 0 })
  })

  test('one refused row keeps all others out, and every row says why', async () => {
    await h.make.part({ number: 'IMP-UNIT', unit: 'piece' })
    const csv = [
      'number,name,unit,standardCost,leadTimeDays,criticality,active',
      'IMP-A,Good,piece,1.00,3,b,yes',
      'IMP-B,,piece,-1,soon,Z,perhaps',
      'IMP-A,Again,piece,1,3,A,no',
      'IMP-UNIT,Other unit,box,1,3,A,yes',
      'IMP-C,Short'
    ].join('\n')
    const dry = await importParts(csv)
    expect(dry.body.counts).toEqual({ create: 1, update: 0, unchanged: 0, refused: 4 })
    expect(dry.body.rows).toEqual([
      { line: 2, key: 'IMP-A', outcome: 'create', problems: [] },
      {
        line: 3,
        key: 'IMP-B',
        outcome: 'refused',
        problems: [
          expect.stringContaining('name is empty; it must be: Name'),
          expect.stringContaining(
            'standardCost is "-1"; it must be: Cost of one stock unit, a decimal string with at most four places'
          ),
          expect.stringContaining('leadTimeDays is "soon"'),
          expect.stringContaining('criticality is "Z"'),
          'active is "perhaps"; it must be: true or false (是/否)'
        ]
      },
      { line: 4, key: 'IMP-A', outcome: 'refused', problems: ['line 2 is about IMP-A already'] },
      {
        line: 5,
        key: 'IMP-UNIT',
        outcome: 'refused',
        problems: [expect.stringContaining('the stock unit of part IMP-UNIT is piece and never changes')]
      },
      { line: 6, key: 'IMP-C', outcome: 'refused', problems: ['the row has 2 cells, the heading 7'] }
    ])

    const applied = await importParts(csv, true)
    expect([applied.status, applied.body.code, applied.body.rows, applied.body.counts, applied.body.applied]).toEqual([
      422,
      'ImportRefused',
      dry.body.rows,
      dry.body.counts,
      false
    ])
    expect((await controller.get('/v1/parts/IMP-A')).status).toBe(404)
  })

  test('a file that cannot be read is refused as a whole, saying what would be right', async () => {
    const code = async (csv: string | Buffer) => {
      const { status, body } = await importParts(csv)
      return [status, body.code, body.detail]
    }
    const gbk = Buffer.concat([
      Buffer.from('number,name\nG-1,'),
      Buffer.from([0xc9, 0xb2, 0xb3, 0xb5, 0xc6, 0xac]),
      Buffer.from('\n')
    ])
    expect(await code(gbk)).toEqual([400, 'NotUtf8', expect.stringContaining('GBK')])
    expect(await code(Buffer.from('\uFEFFnumber,name\n', 'utf16le'))).toEqual([
      400,
      'NotUtf8',
      expect.stringContaining('UTF-16')
    ])
    expect(await code('number,name,weight\nA,b,1\n')).toEqual([
      422,
      'CsvHeadings',
      expect.stringContaining('the heading "weight" is not known; known are number')
    ])
    expect(await code('number,货号,name\nA,A,b\n')).toEqual([
      422,
      'CsvHeadings',
      expect.stringContaining('two headings mean number')
    ])
    expect(await code('number\nA\n')).toEqual([422, 'CsvHeadings', expect.stringContaining('name is missing')])
    expect(await code('number,name\nA,"b\n')).toEqual([422, 'CsvMalformed', expect.stringMatching(/line \d/)])
    expect(await code('number,name\n')).toEqual([422, 'CsvEmpty', expect.any(String)])
    const json = await controller.upload('/v1/imports/parts', '{}', 'application/json')
    expect([json.status, json.body.detail]).toEqual([415, 'the body is application/json; send text/csv'])
    expect((await controller.upload('/v1/imports/parts?aply=true', 'number,name\nA,b\n')).status).toBe(400)
    expect((await controller.upload('/v1/parts', 'number,name\nA,b\n')).status).toBe(415)
  })

  test('a repeated Idempotency-Key imports once', async () => {
    const person = await h.make.person({ grants: [{ duty: 'stock-controller' }] })
    const send = () =>
      h.api
        .post('/v1/imports/parts?apply=true')
        .auth(person.token, { type: 'bearer' })
        .set('content-type', 'text/csv')
        .set('idempotency-key', 'k1')
        .send('number,name\nIDEM-1,x\n')
    const [first, second] = [await send(), await send()]
    expect([first.body.counts.create, second.body.counts.create, second.headers['idempotent-replayed']]).toEqual([
      1,
      1,
      'true'
    ])
  })

  test('20,000 rows in one statement after another', async () => {
    const csv = [
      'number,name,nameZh,specification',
      ...Array.from(
        { length: 20_000 },
        (_, index) => `BULK-${index},Compressor valve ${index},压缩机阀${index},${index} x 77 mm`
      )
    ].join('\n')
    const applied = await importParts(csv, true)
    expect(applied.body.counts).toEqual({ create: 20_000, update: 0, unchanged: 0, refused: 0 })
    expect((await controller.get('/v1/parts?q=BULK-19999')).body.items).toHaveLength(1)
    const again = await importParts(csv.replaceAll('Compressor', 'Pump'), true)
    expect(again.body.counts).toEqual({ create: 0, update: 20_000, unchanged: 0, refused: 0 })
  })
})

test('units from CSV', async () => {
  await h.make.part({ number: 'U-1', unit: 'piece', units: { box: '12', pair: '2' } })
  const csv = '货号,单位,换算率\nU-1,box,10\nU-1,pair,2.000\nU-1,carton,144\n'
  const rows = [
    { line: 2, key: 'U-1 box', outcome: 'update', problems: [] },
    { line: 3, key: 'U-1 pair', outcome: 'unchanged', problems: [] },
    { line: 4, key: 'U-1 carton', outcome: 'create', problems: [] }
  ]
  expect((await controller.upload('/v1/imports/part-units', csv)).body.rows).toEqual(rows)
  expect((await part('U-1')).version).toBe(1)
  expect((await controller.upload('/v1/imports/part-units?apply=true', csv)).body.rows).toEqual(rows)
  expect(await part('U-1')).toMatchObject({
    version: 2,
    units: [
      { unit: 'pair', factor: '2.000' },
      { unit: 'box', factor: '10.000' },
      { unit: 'carton', factor: '144.000' }
    ]
  })

  const refused = await controller.upload(
    '/v1/imports/part-units?apply=true',
    'number,unit,factor\nU-1,piece,1\nNO-SUCH,box,2\nU-1,box,0\n'
  )
  expect(refused.status).toBe(422)
  expect(refused.body.rows.map(({ problems }: { problems: string[] }) => problems[0])).toEqual([
    'piece is the stock unit of part U-1, its factor is always 1',
    'the catalogue has no part NO-SUCH',
    expect.stringContaining('factor is "0"; it must be: Quantity greater than zero')
  ])
})

test('a file that is not UTF-8 by its own word, or not separated by commas, is told so', async () => {
  const csv = 'number,name\nSEP-1,x\n'
  const gbk = await controller.upload('/v1/imports/parts', csv, 'text/csv; charset=gbk')
  expect([gbk.status, gbk.body.code, gbk.body.detail]).toEqual([
    415,
    'CharsetNotSupported',
    'the file is said to be gbk; save it as "CSV UTF-8" and send it as text/csv; charset=utf-8'
  ])
  for (const type of ['text/csv; charset=utf-8', 'text/csv;charset="UTF-8"; header=present', 'text/csv'])
    expect((await controller.upload('/v1/imports/parts', csv, type)).status).toBe(200)
  const said = []
  for (const separator of [';', '\t', '，']) {
    const { status, body } = await controller.upload('/v1/imports/parts', csv.replaceAll(',', separator))
    said.push([status, body.code, body.detail.split(';')[0]])
  }
  expect(said).toEqual([
    [422, 'CsvSeparator', 'the columns are separated by semicolons'],
    [422, 'CsvSeparator', 'the columns are separated by tabs'],
    [422, 'CsvSeparator', 'the columns are separated by full-width commas (，)']
  ])
})

test('two numbers that differ in case only are one part twice', async () => {
  await h.make.part({ number: 'CASE-1' })
  const csv = 'number,name\ncase-1,x\nCase-2,x\nCASE-2,x\n..,x\n'
  const { body } = await controller.upload('/v1/imports/parts', csv)
  expect(
    body.rows.map(({ outcome, problems }: { outcome: string; problems: string[] }) => [outcome, ...problems])
  ).toEqual([
    ['refused', 'part CASE-1 is there, and numbers differ by more than upper and lower case; write it CASE-1'],
    ['create'],
    ['refused', 'line 3 is about CASE-2 already'],
    ['refused', expect.stringContaining('number is ".."')]
  ])
})
