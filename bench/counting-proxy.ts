// Stands between a process and PostgreSQL and counts how often the process waits for an answer.
import { createServer, connect, type AddressInfo } from 'node:net'

const PARSED_TYPES = new Set(['S', 'Q'])

/**
 * A proxy to the server of `url` that counts round trips: a Sync ends a prepared statement's, a Query is one by itself.
 * Only connections of `applicationName` count, so that the queue's do not.
 */
export async function startCountingProxy(url: string, applicationName: string) {
  const target = new URL(url)
  let roundTrips = 0
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname)
    const count = messageCounter(applicationName, () => roundTrips++)
    client.on('data', count)
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      socket.on('error', () => {
        client.destroy()
        upstream.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((server.address() as AddressInfo).port)
  return {
    url: through.href,
    /** Round trips while `work` runs. */
    during: async (work: () => Promise<unknown>): Promise<number> => {
      const before = roundTrips
      await work()
      return roundTrips - before
    },
    close: () => server.close()
  }
}

/** Reads what a client sends: a start message without a type, then messages of a type byte and a length that counts itself. */
function messageCounter(applicationName: string, onRoundTrip: () => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0)
  let isStarted = false
  let isCounted = false
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    for (;;) {
      const header = isStarted ? 1 : 0
      if (pending.length < header + 4) return
      const end = header + pending.readUInt32BE(header)
      if (pending.length < end) return
      if (!isStarted) {
        isStarted = true
        isCounted = pending.subarray(8, end).toString().split('\0').includes(applicationName)
      } else if (isCounted && PARSED_TYPES.has(String.fromCodePoint(pending[0] ?? 0))) {
        onRoundTrip()
      }
      pending = pending.subarray(end)
    }
  }
}
