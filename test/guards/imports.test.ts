import { readFile } from 'node:fs/promises'
import { globSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

/** Rooms by level; a room imports only what lies below it, never sideways or up. */
const LEVELS: Record<string, number> = {
  platform: 0,
  identity: 1,
  catalogue: 2,
  warehouses: 2,
  operations: 2,
  ledger: 3,
  signing: 3,
  slips: 4,
  counts: 5,
  transfers: 5,
  deposits: 5,
  loaners: 5,
  tools: 5,
  requests: 6,
  'old-parts': 6,
  recalls: 6,
  valuation: 6,
  replenishment: 6,
  handovers: 6,
  'tool-losses': 6,
  'custody-rounds': 6,
  purchasing: 7,
  alerts: 7,
  webhooks: 7,
  sample: 8,
  replay: 8
}
const IMPORT = /(?:^|\n)\s*(?:import|export)\b[^'"]*?from\s+['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]\s*\)/g

test('imports go down the levels, never sideways or up', async () => {
  const wrong: string[] = []
  for (const file of globSync('src/*/**/*.ts')) {
    const room = file.split(path.sep)[1] ?? ''
    if (LEVELS[room] === undefined) wrong.push(`${file}: src/${room} has no level; give it one here`)
    for (const [, from, lazily] of (await readFile(file, 'utf8')).matchAll(IMPORT)) {
      const target = path.join(path.dirname(file), from ?? lazily ?? '')
      const [top, other = ''] = target.split(path.sep)
      if (top !== 'src' || other === room) continue
      // The schema is one graph: entities may relate to entities of any room.
      if (file.endsWith('.entities.ts') && target.endsWith('.entities.ts')) continue
      if (!((LEVELS[other] ?? Infinity) < (LEVELS[room] ?? -1))) wrong.push(`${file} imports ${target}`)
    }
  }
  expect(wrong).toEqual([])
})
