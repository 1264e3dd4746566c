import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifySlipPackage } from '../../src/slips/slip-package.ts'
import { openCounter, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter
let text: string
let key: string

beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
  const part = await counter.stocked()
  const slip = await counter.posted({
    kind: 'issue',
    reference: 'RO-1',
    note: '急件',
    lines: [{ part: part.number, quantity: '2' }]
  })
  text = (await counter.keeper.get(`/v1/slips/${slip.number}/package`)).text
  key = (await counter.keeper.get('/v1/slip-package-key')).body.publicKey
})
afterAll(() => h.close())

test('a posted slip exports as a package that verifies offline', () => {
  expect(verifySlipPackage(text)).toEqual([])
  expect(verifySlipPackage(text, key)).toEqual([])
})

test('it holds what was said, who signed it and what it moved', () => {
  const slip = JSON.parse(text)
  expect(slip).toMatchObject({
    state: 'posted',
    content: { reference: 'RO-1', note: '急件', lines: [{ quantity: '-2' }] },
    signatures: [{ duty: 'department-head', contentHash: slip.contentHash }, {}, {}],
    posting: { postedBy: counter.keeper.person.username, lines: [{ movements: [{ quantity: '-2', cost: '-25.00' }] }] }
  })
})

test('one changed byte, anywhere, is found', () => {
  const bytes = Buffer.from(text)
  const survivors: number[] = []
  for (let position = 0; position < bytes.length; position++) {
    const changed = Buffer.from(bytes)
    changed[position] = changed[position] === 0x30 ? 0x31 : 0x30
    if (verifySlipPackage(changed.toString()).length === 0) survivors.push(position)
  }
  expect(survivors).toEqual([])
})

test('a package sealed by somebody else fails against the pinned key', () => {
  expect(verifySlipPackage(text, key.replace(/.{4}=*$/, 'AAA='))).toContain(
    'it is sealed with another key than the one given'
  )
  expect(verifySlipPackage('no JSON at all')).toHaveLength(1)
  expect(verifySlipPackage('{}')).toHaveLength(1)
})

test('the command line says so with its exit code', { timeout: 30_000 }, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'bincard-package-'))
  const genuine = path.join(folder, 'genuine.json')
  const forged = path.join(folder, 'forged.json')
  await writeFile(genuine, text)
  await writeFile(forged, text.replace('"RO-1"', '"RO-2"'))
  const cli = (file: string) =>
    promisify(execFile)(process.execPath, ['src/cli.ts', 'verify-package', file, '--key', key])
  expect((await cli(genuine)).stdout).toContain('is genuine')
  await expect(cli(forged)).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('does not verify') })
})
