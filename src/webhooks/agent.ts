import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { callbackify } from 'node:util'
import { Agent, buildConnector } from 'undici'
import type { Config } from '../platform/config.ts'
import { literalOf, mayConnect, networksOf, resolve, type Network, type Resolve } from './destinations.ts'

/** How long a receiver may take. */
export interface Limits {
  /** Until it is connected. */
  connectMs: number
  /** Until everything is said, whatever trickles in meanwhile. */
  wholeMs: number
}
export const LIMITS: Limits = { connectMs: 5_000, wholeMs: 15_000 }

/** Connections to receivers, and how long they may take. */
export interface Sender {
  agent: Agent
  limits: Limits
}

/** An address to which webhooks never go. */
export class DestinationForbidden extends Error {
  constructor(address: string, isEncrypted: boolean) {
    super(
      isEncrypted
        ? `${address} is no public address; an operator may allow its network by WEBHOOK_ALLOWED_NETWORKS`
        : `${address} is called without TLS and not within WEBHOOK_ALLOWED_NETWORKS`
    )
    this.name = 'DestinationForbidden'
  }
}

/**
 * Keeps connections alive, and makes none to a forbidden address: the addresses of a name are looked at when it connects (so that a
 * name that was public when it was entered and is private now gets nowhere), a literal one before, and the one that the socket ended
 * up at once more. Redirects are not followed: nobody asks for it.
 */
export function openSender(
  networks: readonly Network[],
  { limits = LIMITS, look = resolve }: { limits?: Limits; look?: Resolve } = {}
): Sender {
  const guarded = (isEncrypted: boolean): LookupFunction => {
    const addressesOf = callbackify(async (hostname: string): Promise<[LookupAddress, ...LookupAddress[]]> => {
      const [first, ...more] = await look(hostname)
      if (first === undefined) throw new Error(`${hostname} has no address`)
      const forbidden = [first, ...more].find(({ address }) => !mayConnect(address, isEncrypted, networks))
      if (forbidden !== undefined) throw new DestinationForbidden(forbidden.address, isEncrypted)
      return [first, ...more]
    })
    return (hostname, options, done) =>
      addressesOf(hostname, (error, addresses) => {
        if (error !== null) done(error, [])
        else if (options.all === true) done(null, addresses)
        else done(null, addresses[0].address, addresses[0].family)
      })
  }
  const connectors = [false, true].map((isEncrypted) =>
    buildConnector({ timeout: limits.connectMs, allowH2: false, lookup: guarded(isEncrypted) })
  )
  const connect: buildConnector.connector = (options, done) => {
    const isEncrypted = options.protocol === 'https:'
    const literal = literalOf(options.hostname)
    if (literal !== null && !mayConnect(literal, isEncrypted, networks))
      return done(new DestinationForbidden(literal, isEncrypted), null)
    connectors[Number(isEncrypted)]?.(options, (...outcome) => {
      // A failed connection comes with an error alone.
      const socket = outcome[1] as (typeof outcome)[1] | undefined
      const address = socket?.remoteAddress ?? ''
      if (!socket || mayConnect(address, isEncrypted, networks)) return done(...outcome)
      socket.destroy()
      done(new DestinationForbidden(address, isEncrypted), null)
    })
  }
  return {
    agent: new Agent({ connect, connections: 32, pipelining: 1, keepAliveTimeout: 10_000 }),
    limits
  }
}

// One per configuration, so that connections live on from one delivery to the next.
const senders = new WeakMap<Config, Sender>()

export function senderOf(config: Config): Sender {
  let sender = senders.get(config)
  if (sender === undefined) {
    sender = openSender(networksOf(config))
    senders.set(config, sender)
  }
  return sender
}
