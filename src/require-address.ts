import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Config } from './platform/config.ts'
import { listenFault, orSay } from './start-fault.ts'

/**
 * Looks whether the API will be able to listen where it is told to, before anything else is begun: opening a new store takes a while. Another
 * process may still take the port meanwhile, and then listening says the same.
 */
export async function requireAddress({ HOST: host, PORT: port }: Pick<Config, 'HOST' | 'PORT'>): Promise<void> {
  const look = createServer().listen({ host, port })
  await orSay(once(look, 'listening'), (cause) => listenFault({ HOST: host, PORT: port }, cause))
  look.close()
  await once(look, 'close')
}
