import { afterAll, beforeAll, expect, test } from 'vitest'
import { callsAs, type Caller } from '../support/calls.ts'
import { openHarness, type Harness } from '../support/harness.ts'
import type { MadePerson } from '../support/make.ts'

let h: Harness
let person: MadePerson
let administrator: Caller
beforeAll(async () => {
  h = await openHarness()
  person = await h.make.person({ grants: [{ duty: 'administrator' }] })
  administrator = callsAs(h, person)
})
afterAll(() => h.close())

const upload = (csv: string, apply = false) => administrator.upload(`/v1/imports/warehouses?apply=${apply}`, csv)
const outcomes = (answer: { body: { rows: { outcome: string }[] } }) => answer.body.rows.map(({ outcome }) => outcome)

test('warehouses come from CSV with their parents in any order, renames go into the history', async () => {
  const region = await h.make.region()
  await h.make.warehouse({ code: 'I-HQ', kind: 'head-office' })
  await h.make.warehouse({ code: 'I-OLD', name: 'Old', region: region.code })
  const csv = `仓库代码,名称,类型,区域,上级\nI-OUT,Outlet,服务网点,${region.code},I-BR\nI-BR,Branch,branch,${region.code},I-RC\nI-RC,Centre,中心库,${region.code},I-HQ\nI-OLD,New,outlet,${region.code},I-BR\n`
  const dry = await upload(csv)
  expect(outcomes(dry)).toEqual(['create', 'create', 'create', 'update'])
  expect((await administrator.get('/v1/warehouses/I-RC')).status).toBe(404)

  const applied = await upload(csv, true)
  expect([applied.status, applied.body.rows]).toEqual([200, dry.body.rows])
  const outlet = await administrator.get('/v1/warehouses/I-OUT')
  expect(outlet.body.path.map(({ code }: { code: string }) => code)).toEqual(['I-HQ', 'I-RC', 'I-BR'])
  expect(
    (await administrator.get('/v1/warehouses/I-OLD/names')).body.items.map(({ name }: { name: string }) => name)
  ).toEqual(['New', 'Old'])
  expect(outcomes(await upload(csv, true))).toEqual(['unchanged', 'unchanged', 'unchanged', 'unchanged'])
  await h.sql(`update warehouse set closed_on = '2020-01-01' where code = 'I-HQ'`)
})

test('rows that do not fit into the tree are refused, and with them the file', async () => {
  const region = await h.make.region()
  await h.make.warehouse({ code: 'J-BR', kind: 'branch', region: region.code })
  await h.make.warehouse({ code: 'J-SHUT', kind: 'branch', region: region.code, closedOn: '2026-01-01' })
  const csv = `code,name,kind,region,parent\nJ-1,x,outlet,${region.code},J-BR\nJ-2,x,outlet,NOWHERE,J-BR\nJ-3,x,outlet,${region.code},NOBODY\nJ-4,x,branch,${region.code},J-1\nJ-5,x,van,${region.code},\nJ-BR,x,outlet,${region.code},\nJ-HQ,x,head-office,${region.code},\nJ-HQ2,x,head-office,${region.code},\nJ-6,x,outlet,${region.code},J-SHUT\nj7,x,kiosk,${region.code},\n`
  const dry = await upload(csv)
  expect(
    dry.body.rows.map(({ outcome, problems }: { outcome: string; problems: string[] }) => [outcome, ...problems])
  ).toEqual([
    ['create'],
    ['refused', 'there is no region NOWHERE; enter it first'],
    ['refused', 'there is no warehouse NOBODY to hang it under, nor a right row for it in the file'],
    ['refused', 'J-1 is an outlet; a branch may hang under regional-centre'],
    [
      'refused',
      'a van hangs under outlet, branch, regional-centre, head-office; name its parent: only the head office has none'
    ],
    ['refused', 'warehouse J-BR is a branch and stays one; close it and enter another one'],
    ['create'],
    ['refused', 'J-HQ is the head office, and there is one; close it first'],
    ['refused', 'warehouse J-SHUT is closed; hang it under an open one'],
    ['refused', expect.stringContaining('code is "j7"'), expect.stringContaining('kind is "kiosk"')]
  ])
  const applied = await upload(csv, true)
  expect([applied.status, applied.body.code, applied.body.rows]).toEqual([422, 'ImportRefused', dry.body.rows])
  expect((await administrator.get('/v1/warehouses/J-1')).status).toBe(404)
})

test('the reference network of 46 + 836 + 3,000 warehouses and their vans is imported and listed page by page (R-ORG-1)', async () => {
  const regions = await Promise.all(Array.from({ length: 7 }, () => h.make.region()))
  const region = (index: number) => regions[index % 7].code
  const lines = [
    'code,name,kind,region,parent',
    `N-HQ,Head office,head-office,${region(0)},`,
    ...Array.from({ length: 46 }, (_, i) => `N-RC-${i},Centre ${i},regional-centre,${region(i)},N-HQ`),
    ...Array.from({ length: 836 }, (_, i) => `N-BR-${i},Branch ${i},branch,${region(i % 46)},N-RC-${i % 46}`),
    ...Array.from(
      { length: 3000 },
      (_, i) => `N-OUT-${i},服务站 ${i},outlet,${region((i % 836) % 46)},N-BR-${i % 836}`
    ),
    ...Array.from({ length: 200 }, (_, i) => `N-VAN-${i},Van ${i},van,${region(((i * 15) % 836) % 46)},N-OUT-${i * 15}`)
  ]
  const applied = await upload(lines.join('\n'), true)
  expect([applied.status, applied.body.counts]).toEqual([200, { create: 4083, update: 0, unchanged: 0, refused: 0 }])

  const keeper = callsAs(h, await h.make.person({ grants: [{ duty: 'keeper', region: region(3) }] }))
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body }: { body: { items: { code: string; region: string }[]; nextCursor: string | null } } =
      await keeper.get(`/v1/warehouses?limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`)
    seen.push(...body.items.map(({ code }) => code))
    cursor = body.nextCursor
    expect(body.items.every((warehouse) => warehouse.region === region(3))).toBe(true)
  }
  expect(seen).toEqual([...new Set(seen)])
  expect(seen).toHaveLength(lines.filter((line) => line.split(',')[3] === region(3)).length)

  const search = await administrator.get('/v1/warehouses').query({ q: '服务站 29', kind: 'outlet', limit: 200 })
  expect(search.body.items).toHaveLength(
    Array.from({ length: 3000 }, (_, i) => String(i)).filter((i) => i.startsWith('29')).length
  )
  const van = await administrator.get('/v1/warehouses/N-VAN-7')
  expect(van.body.path.map(({ kind }: { kind: string }) => kind)).toEqual([
    'head-office',
    'regional-centre',
    'branch',
    'outlet'
  ])
  expect((await administrator.get('/v1/warehouses/N-HQ')).body.children).toHaveLength(46)
})
