import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { vi } from 'vitest'

export interface Received {
  headers: IncomingHttpHeaders
  body: string
  json: { type: string; timestamp: string; data: Record<string, unknown> }
  path: string
}

/** Another system: a real HTTP server on this machine. */
export interface Receiver {
  url: string
  received: Received[]
  /** How it answers from now on; at first with 204. */
  answer(how: Answering): void
  /** `type` of everything it has received. */
  types(): string[]
  close(): Promise<void>
}
export type Answering = (response: ServerResponse, request: Received, count: number) => void | Promise<void>

export const answering =
  (status: number, headers: Record<string, string> = {}, body = ''): Answering =>
  (response) => {
    response.writeHead(status, headers).end(body)
  }

export async function openReceiver(how: Answering = answering(204)): Promise<Receiver> {
  const received: Received[] = []
  let answer = how
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const one = { headers: request.headers, body, json: JSON.parse(body), path: request.url ?? '' }
      received.push(one)
      void answer(response, one, received.length)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hooks`,
    received,
    answer: (next) => {
      answer = next
    },
    types: () => received.map(({ json }) => json.type),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

/** What a receiver that knows the secret makes of a request, at the moment at which it was sent. */
export function verified(secret: string, { headers, body }: Received): unknown {
  vi.useFakeTimers({ toFake: ['Date'], now: Number(headers['webhook-timestamp']) * 1000 })
  try {
    return new Webhook(secret).verify(body, headers as Record<string, string>)
  } finally {
    vi.useRealTimers()
  }
}
