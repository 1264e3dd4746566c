import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/platform/config.ts'
import { DestinationForbidden, openSender } from '../../src/webhooks/agent.ts'
import { isPublic, networksOf, requireDestination, type Resolve } from '../../src/webhooks/destinations.ts'

const allowing = (networks: string) => networksOf(readConfig({ WEBHOOK_ALLOWED_NETWORKS: networks }))
const named =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
const refusal = (url: string, networks = '', look: Resolve = named('8.8.8.8')) =>
  requireDestination(url, allowing(networks), look).then(
    () => 'accepted',
    (error: unknown) => (error as Error).message
  )

test('only addresses of the public internet are public', () => {
  const privately = `
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254
    172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1
    203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1
    ::127.0.0.1 ::ffff:8.8.8.8 ::ffff:127.0.0.1 64:ff9b::a00:1 64:ff9b:1::a00:1 2002:a00:1:: 2001:0:1::1 2001:db8::1
    fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 100::1 4000::1`
    .trim()
    .split(/\s+/)
  expect(privately.filter(isPublic)).toEqual([])
  expect(['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700:4700::1111'].filter((address) => !isPublic(address))).toEqual(
    []
  )
})

test('a URL is refused with the reason when it is entered', async () => {
  expect(await refusal('https://8.8.8.8/hooks')).toBe('accepted')
  expect(await refusal('https://erp.example.com/hooks')).toBe('accepted')
  expect(await refusal('http://erp.example.com/hooks')).toContain('it is not encrypted')
  expect(await refusal('ftp://erp.example.com/hooks')).toContain('the scheme is ftp')
  expect(await refusal('https://erp@erp.example.com/hooks')).toContain('it holds a user name or password')
  expect(await refusal('https://erp.example.com/hooks#top')).toContain('it has a fragment')
  expect(await refusal('https://erp.example.com/hooks', '', named('8.8.8.8', '10.1.2.3'))).toContain(
    'erp.example.com is 10.1.2.3, which is no public address'
  )
  // However an address is written, it is the same one.
  for (const host of ['127.0.0.1', '127.1', '0x7f000001', '2130706433', '0177.0.0.1', '[::1]', '[::ffff:127.0.0.1]'])
    expect(await refusal(`https://${host}/hooks`), host).toContain('is no public address')
})

test('a name that cannot be looked up now is looked up when it is called', async () => {
  const nobody: Resolve = () => Promise.reject(new Error('ENOTFOUND'))
  expect(await refusal('https://erp.example.com/hooks', '', nobody)).toBe('accepted')
  expect(await refusal('http://erp.example.com/hooks', '10.0.0.0/8', nobody)).toContain('it is not encrypted')
})

test('an operator allows networks, http within them too', async () => {
  expect(await refusal('http://10.1.2.3:8080/hooks', '10.0.0.0/8,fd00::/8')).toBe('accepted')
  expect(await refusal('http://[fd00::17]/hooks', '10.0.0.0/8,fd00::/8')).toBe('accepted')
  expect(await refusal('https://11.1.2.3/hooks', '10.0.0.0/8')).toBe('accepted')
  expect(await refusal('http://11.1.2.3/hooks', '10.0.0.0/8')).toContain('it is not encrypted')
  expect(await refusal('http://[::ffff:10.1.2.3]/hooks', '10.0.0.0/8')).toBe('accepted')
  expect(await refusal('https://192.168.1.1/hooks', '10.0.0.0/8')).toContain('is no public address')
})

test('a network that is none is told at start', () => {
  for (const wrong of ['10.0.0.0', '10.0.0.0/33', 'private', '10.0.0.0/8;fd00::/8'])
    expect(() => readConfig({ WEBHOOK_ALLOWED_NETWORKS: wrong }), wrong).toThrow('WEBHOOK_ALLOWED_NETWORKS is')
})

describe('when it connects', () => {
  let server: Server
  let port: number
  let calls = 0
  beforeAll(async () => {
    server = createServer((_request, response) => {
      calls++
      response.end('secret of the inside')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => server.close())
  const call = async (url: string, networks: string, look?: Resolve): Promise<unknown> => {
    const { agent } = openSender(allowing(networks), look === undefined ? {} : { look })
    try {
      const { origin, pathname } = new URL(url)
      const { statusCode, body } = await agent.request({ origin, path: pathname, method: 'POST' })
      await body.dump()
      return statusCode
    } catch (error) {
      return error
    } finally {
      await agent.destroy()
    }
  }

  test('a name that was public and is private now gets nowhere (DNS rebinding)', async () => {
    const before = calls
    const rebound = named('127.0.0.1')
    expect(await call(`https://erp.example.com:${port}/`, '', rebound)).toBeInstanceOf(DestinationForbidden)
    expect(await call(`http://erp.example.com:${port}/`, '', rebound)).toBeInstanceOf(DestinationForbidden)
    expect(await call(`https://erp.example.com:${port}/`, '', named('8.8.8.8', '127.0.0.1'))).toBeInstanceOf(
      DestinationForbidden
    )
    expect(calls).toBe(before)
  })

  test('an address that is written as a number is looked at too', async () => {
    const before = calls
    for (const url of [`https://127.0.0.1:${port}/`, `http://127.0.0.1:${port}/`, `http://[::ffff:127.0.0.1]:${port}/`])
      expect(await call(url, ''), url).toBeInstanceOf(DestinationForbidden)
    expect(await call(`http://8.8.8.8:${port}/`, '')).toBeInstanceOf(DestinationForbidden)
    expect(calls).toBe(before)
  })

  test('an allowed one is called, by number and by name', async () => {
    expect(await call(`http://127.0.0.1:${port}/`, '127.0.0.0/8')).toBe(200)
    expect(await call(`http://inside.example.com:${port}/`, '127.0.0.0/8', named('127.0.0.1'))).toBe(200)
  })
})
