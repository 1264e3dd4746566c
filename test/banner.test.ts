import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { banner, stockCommand } from '../src/banner.ts'

test('without the sample only the documentation is announced', () => {
  expect(banner({ url: 'http://localhost:3000' })).toBe(
    '\n  bincard is ready.\n\n  Documentation    http://localhost:3000/docs\n\n'
  )
})

test('without an administrator the command that creates one is shown', () => {
  expect(banner({ url: 'http://localhost:3000', isWithoutAdministrator: true })).toContain(
    '  npm run bincard -- create-admin <username>\n'
  )
})

test('with the sample its accounts, their password and the command are shown', () => {
  const shown = banner({ url: 'http://localhost:3000', sample: { password: 'birch-otter-17' } })

  expect(shown).toContain('keeper@hq, department-head@hq')
  expect(shown).toContain('birch-otter-17\n')
  expect(shown).toContain(stockCommand('http://localhost:3000', 'birch-otter-17'))
})

test('the command signs in and then asks for the stock, whatever is in the password', async () => {
  const asked: unknown[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (data: Buffer) => (body += data))
    request.on('end', () => {
      asked.push([request.method, request.url, request.headers.authorization, body])
      response.end(request.url === '/v1/auth/tokens' ? '{"accessToken":"abc.def-1","expiresIn":3600}' : '{"items":[]}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', stockCommand(url, `it's "$HOME" \\ 密码`)])
  await new Promise((resolve) => server.close(resolve))

  expect(stdout).toBe('{"items":[]}')
  expect(asked).toEqual([
    ['POST', '/v1/auth/tokens', undefined, JSON.stringify({ username: 'keeper@hq', password: `it's "$HOME" \\ 密码` })],
    ['GET', '/v1/warehouses/HQ/stock', 'Bearer abc.def-1', '']
  ])
})
