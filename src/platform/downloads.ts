import type { Readable } from 'node:stream'
import fp from 'fastify-plugin'
import type { FastifyReply } from 'fastify'
import { Refusal } from './errors.ts'

// A file is read from the database while it is sent, over a connection of its own for as long as the client takes. So that nobody
// who reads slowly, or not at all, keeps the others waiting: files together hold half of the connections, and who takes nothing is
// cut off.

/** A client that takes nothing for so long is cut off. */
const STALLED_MS = 30_000
const RETRY_AFTER_SECONDS = 10

declare module 'fastify' {
  interface FastifyInstance {
    downloads: { readonly most: number; readonly stalledMs: number; open: number }
  }
}

/**
 * What `sendFile` counts by; registered before every route that sends a file.
 * @param options `connections` that the process has to the database
 */
export const downloads = fp<{ connections: number; stalledMs?: number }>(
  async (app, { connections, stalledMs = STALLED_MS }) => {
    app.decorate('downloads', { most: Math.max(1, Math.floor(connections / 2)), stalledMs, open: 0 })
  },
  { name: 'downloads' }
)

/**
 * Sends a file that is read from the database while it is sent.
 * @param headers of the answer; a refusal has none of them
 * @param open begins to read; not asked if the file is not sent
 * @throws Refusal 503 `TooManyDownloads`
 */
export function sendFile(reply: FastifyReply, headers: Record<string, string>, open: () => Readable): FastifyReply {
  const { downloads: held } = reply.server
  if (held.open >= held.most) {
    throw new Refusal(
      'TooManyDownloads',
      503,
      `${held.most} ${held.most === 1 ? 'file is' : 'files are'} being sent, which is as many as the service sends at once; try again in a few seconds`,
      { retryAfterSeconds: RETRY_AFTER_SECONDS }
    )
  }
  const file = open()
  held.open++
  file.once('close', () => held.open--)
  const { raw } = reply
  // Also after a HEAD, whose answer ends before the file does.
  raw.once('close', () => file.destroy())
  raw.setTimeout(held.stalledMs, () => {
    // If all was taken that is there, it is the database that takes its time, which has a limit of its own.
    if (raw.writableLength > 0) raw.destroy()
    else raw.setTimeout(held.stalledMs)
  })
  return reply.headers(headers).send(file)
}
