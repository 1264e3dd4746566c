import { connect, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import Fastify, { type FastifyInstance } from 'fastify'
import { downloads, sendFile } from '../../src/platform/downloads.ts'
import { errorHandler } from '../../src/platform/error-handler.ts'
import { openCounting } from '../support/counting.ts'
import { openHarness } from '../support/harness.ts'

const STALLED_MS = 300

let app: FastifyInstance
let endless = 0
beforeAll(async () => {
  app = Fastify()
  await app.register(errorHandler)
  await app.register(downloads, { connections: 3, stalledMs: STALLED_MS })
  app.get('/endless', (_request, reply) =>
    sendFile(reply, { 'content-disposition': 'attachment' }, () =>
      Readable.from(
        (async function* () {
          endless++
          try {
            while (true) yield 'x'.repeat(65_536)
          } finally {
            endless--
          }
        })()
      )
    )
  )
  app.get('/slow', (_request, reply) =>
    sendFile(reply, {}, () =>
      Readable.from(
        (async function* () {
          yield 'begun'
          await setTimeout(4 * STALLED_MS)
          yield ', ended'
        })()
      )
    )
  )
  await app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => app.close())

const portOf = (of: FastifyInstance) => (of.server.address() as AddressInfo).port

/** Asks and never reads the answer. */
async function askOnly(port: number, path: string, headers: Record<string, string> = {}): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  socket.on('error', () => undefined)
  await new Promise((done) => socket.once('connect', done))
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  return socket
}

test('who asks for a file and takes nothing of it is cut off, and the rows behind it end', async () => {
  const port = portOf(app)
  const socket = await askOnly(port, '/endless')
  await expect.poll(() => endless).toBe(1)
  const refused = await fetch(`http://127.0.0.1:${port}/slow`)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('10')
  expect(refused.headers.get('content-disposition')).toBeNull()
  expect(await refused.json()).toMatchObject({ code: 'TooManyDownloads' })

  await expect.poll(() => [endless, app.downloads.open], { timeout: 10 * STALLED_MS }).toEqual([0, 0])
  socket.destroy()
})

test('who waits for a slow source is not cut off, and a HEAD holds nothing', async () => {
  const url = `http://127.0.0.1:${portOf(app)}`
  expect(await (await fetch(`${url}/slow`)).text()).toBe('begun, ended')
  await fetch(`${url}/endless`, { method: 'HEAD' })
  await expect.poll(() => [endless, app.downloads.open]).toEqual([0, 0])
})

test('those who do not read their count sheets leave connections for everybody else', async () => {
  const h = await openHarness({ poolSize: 3 })
  try {
    const c = await openCounting(h)
    const { id: part } = await c.stocked()
    const { number } = await c.open()
    await h.sql(
      `insert into count_line (warehouse_id, count_id, line_no, part_id, ownership, condition, active)
       select warehouse_id, id, n, $2, 'own', 'qualified', false from stock_count, generate_series(2, 20000) n where number = $1`,
      [number, part]
    )
    const sockets = await Promise.all(
      [1, 2, 3].map(() =>
        askOnly(portOf(h.app), `/v1/counts/${number}/sheet`, { authorization: `Bearer ${c.keeper.person.token}` })
      )
    )
    await expect.poll(() => h.app.downloads.open).toBe(1)
    await setTimeout(500)

    expect((await c.keeper.get(`/v1/counts/${number}`)).status).toBe(200)
    for (const [path, accept] of [
      [`/v1/counts/${number}/sheet`, 'text/html'],
      [`/v1/counts/${number}/lines`, 'text/csv'],
      [`/v1/warehouses/${c.warehouse}/periods/2026-11/stock-report`, 'text/csv']
    ] as const)
      expect((await c.signers['finance-supervisor'].get(path, { accept })).body.code, path).toBe('TooManyDownloads')

    for (const socket of sockets) socket.destroy()
    await expect.poll(() => h.app.downloads.open, { timeout: 5_000 }).toBe(0)
    expect((await c.keeper.get(`/v1/counts/${number}/lines?differs=true`, { accept: 'text/csv' })).status).toBe(200)
  } finally {
    await h.close()
  }
})
