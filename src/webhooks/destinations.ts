// Where webhooks may go. Whoever may enter an endpoint could otherwise have the service call what only the service can reach: its
// database, the metadata of a cloud, machines of the office (SSRF). So only https to public addresses, and whatever the operator
// allowed by WEBHOOK_ALLOWED_NETWORKS. A name is no proof: it is looked up when it is entered, so that a mistake is told at once, and
// what counts is the address that a connection is really made to, each time one is made (`agent.ts`).
import { lookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import ipaddr from 'ipaddr.js'
import type { Config } from '../platform/config.ts'
import { Refusal } from '../platform/errors.ts'

export type Network = [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number]

/** Addresses of a name, as `dns.lookup` has them. Tests give their own. */
export type Resolve = (name: string) => Promise<LookupAddress[]>

const LOOKUP_LIMIT_MS = 3_000

export const resolve: Resolve = (name) =>
  new Promise((done, failed) => {
    const timer = setTimeout(
      () => failed(new Error(`no address of ${name} within ${LOOKUP_LIMIT_MS} ms`)),
      LOOKUP_LIMIT_MS
    )
    lookup(name, { all: true }, (error, addresses) => {
      clearTimeout(timer)
      if (error === null) done(addresses)
      else failed(error)
    })
  })

/** The networks of WEBHOOK_ALLOWED_NETWORKS. Throws on one that is none. */
export const networksOf = ({ WEBHOOK_ALLOWED_NETWORKS: text }: Pick<Config, 'WEBHOOK_ALLOWED_NETWORKS'>): Network[] =>
  text === '' ? [] : text.split(',').map((cidr) => ipaddr.parseCIDR(cidr))

/** Public by its number, and yet answered by the machine that hosts this one: Azure's metadata and DNS. */
const NEVER = new Set(['168.63.129.16'])

/** Whether an address lies in a network that the operator allowed. */
export function isAllowedPrivately(address: string, networks: readonly Network[]): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address)
  return networks.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits))
}

/**
 * Whether an address is one of the public internet: global unicast. Private, loop-back, link-local, shared, multicast, documentation
 * and reserved ones are not, nor IPv6 that carries an IPv4 address inside (mapped, NAT64, 6to4, Teredo), which could be any of them.
 */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address) || address.includes('%')) return false
  const parsed = ipaddr.parse(address)
  if (NEVER.has(parsed.toString()) || parsed.range() !== 'unicast') return false
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST)
}
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')

/** Whether a connection to an address may be made; without TLS only where the operator allowed it. */
export const mayConnect = (address: string, isEncrypted: boolean, networks: readonly Network[]): boolean =>
  isAllowedPrivately(address, networks) || (isEncrypted && isPublic(address))

/** The address that a URL names by its number, without the brackets of IPv6; null for a name. */
export function literalOf(hostname: string): string | null {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(bare) ? bare : null
}

/**
 * Refuses a URL to which nothing may be sent. A name that cannot be looked up now is accepted: it is looked up at every connection.
 * @returns the URL as it is called
 * @throws Refusal 422 `DestinationForbidden`
 */
export async function requireDestination(
  text: string,
  networks: readonly Network[],
  look: Resolve = resolve
): Promise<string> {
  const refused = (detail: string, accepted = 'an https URL of a public address') =>
    new Refusal('DestinationForbidden', 422, `webhooks do not go to ${text}: ${detail}`, {
      errors: [{ pointer: '/url', detail, sent: text, accepted }]
    })
  if (!URL.canParse(text)) throw refused('it is no URL')
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(`the scheme is ${url.protocol.slice(0, -1)}`)
  if (url.username !== '' || url.password !== '')
    throw refused(
      'it holds a user name or password; receivers know the service by its signature',
      'the URL without them'
    )
  if (url.hash !== '') throw refused('it has a fragment, which is never sent', 'the URL without what follows #')
  const isEncrypted = url.protocol === 'https:'
  const literal = literalOf(url.hostname)
  const addresses = literal === null ? await addressesOf(url.hostname, look) : [literal]
  if (!isEncrypted && (addresses.length === 0 || !addresses.every((address) => isAllowedPrivately(address, networks))))
    throw refused('it is not encrypted', 'an https URL; http only within WEBHOOK_ALLOWED_NETWORKS')
  const forbidden = addresses.find((address) => !mayConnect(address, isEncrypted, networks))
  if (forbidden !== undefined) {
    throw refused(
      `${literal === null ? `${url.hostname} is ${forbidden}, which` : forbidden} is no public address; an operator may allow its network by WEBHOOK_ALLOWED_NETWORKS`
    )
  }
  return url.href
}

async function addressesOf(hostname: string, look: Resolve): Promise<string[]> {
  try {
    return (await look(hostname)).map(({ address }) => address)
  } catch {
    return []
  }
}
