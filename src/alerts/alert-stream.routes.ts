import { Readable } from 'node:stream'
import fp from 'fastify-plugin'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../identity/actor.ts'
import { actingAs } from '../identity/directory.ts'
import { instant } from '../platform/clock.ts'
import type { Runtime } from '../platform/context.ts'
import { Refusal } from '../platform/errors.ts'
import { problems } from '../platform/schemas.ts'
import { AlertFeed, type AlertHappening } from './alert-feed.ts'
import { alertView } from './alert-view.ts'
import { AlertStreamHeaders, AlertStreamQuery } from './alerts.schemas.ts'

interface AlertStreamOptions {
  /** Streams of this process, and of them those of one caller. */
  most: number
  mostOfOne: number
  pollMs: number
  /** A comment is sent after so long without an event. */
  heartbeatMs: number
  /** Credentials and duties are looked at again after so long. */
  recheckMs: number
  /** Whoever takes nothing for so long is cut off. */
  stalledMs: number
}

const OPTIONS: AlertStreamOptions = {
  most: 1_000,
  mostOfOne: 20,
  pollMs: 1_000,
  heartbeatMs: 15_000,
  recheckMs: 15_000,
  stalledMs: 30_000
}
const RETRY_AFTER_SECONDS = 30

declare module 'fastify' {
  interface FastifyInstance {
    alertStreams: AlertStreamOptions & { open: number }
  }
}

/** What streams are counted and timed by; registered before their route. */
export const alertStreams = fp(
  async (app) => {
    app.decorate('alertStreams', { ...OPTIONS, open: 0 })
  },
  { name: 'alert-streams' }
)

/** Alerts as they happen, for screens that stay open. */
export const alertStreamRoutes: FastifyPluginAsyncTypebox<{ runtime: Runtime }> = async (app, { runtime }) => {
  const held = app.alertStreams
  const feed = new AlertFeed({ pool: runtime.database.pool, log: app.log, held })
  const byCaller = new Map<string, number>()
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())

  function enter({ key }: { key: string }): () => void {
    const own = byCaller.get(key) ?? 0
    if (held.open >= held.most || own >= held.mostOfOne) {
      const limit =
        own >= held.mostOfOne ? `you have ${own} streams of alerts open` : `${held.open} streams of alerts are open`
      throw new Refusal(
        'TooManyStreams',
        503,
        `${limit}, which is as many as there may be; close one, or ask GET /v1/alerts from time to time`,
        { retryAfterSeconds: RETRY_AFTER_SECONDS }
      )
    }
    held.open++
    byCaller.set(key, own + 1)
    return () => {
      held.open--
      const left = (byCaller.get(key) ?? 1) - 1
      if (left === 0) byCaller.delete(key)
      else byCaller.set(key, left)
      feed.leave()
    }
  }

  async function* textOf(
    request: FastifyRequest,
    { isMine, last }: { isMine: boolean; last: number | undefined },
    over: AbortSignal
  ): AsyncGenerator<string> {
    let ctx: Context = request.ctx
    let lookedAt = performance.now()
    let saidAt = lookedAt
    const isStale = () => performance.now() - lookedAt >= held.recheckMs
    // An id that was never given out starts at what is new.
    let position = Math.min(last ?? feed.position, feed.position)
    yield 'retry: 5000\n\n'
    while (!over.aborted) {
      if (isStale()) {
        lookedAt = performance.now()
        try {
          ctx = actingAs(request.ctx, await app.actorAgain(request))
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          // A key that asks too often may go on with what it has.
          if (error.status !== 429) return yield ended(error.code, error.message)
        }
      }
      if (feed.position > position) {
        const { events, upTo } = await feed.after(ctx, position, isMine)
        let isWhole = true
        for (const event of events) {
          // A slow reader may take a page longer than its duties last.
          isWhole = !isStale()
          if (!isWhole) break
          yield happened(ctx, event)
          position = event.id
          saidAt = performance.now()
        }
        if (isWhole) position = upTo
        continue
      }
      await feed.change(position, held.heartbeatMs - (performance.now() - saidAt), over)
      if (!over.aborted && performance.now() - saidAt >= held.heartbeatMs) {
        saidAt = performance.now()
        yield ': still here\n\n'
      }
    }
    if (closing.signal.aborted) yield ended('ServiceStopping', 'this process stops; connect again')
  }

  app.get(
    '/alerts/stream',
    {
      exposeHeadRoute: false,
      schema: {
        operationId: 'streamAlerts',
        tags: ['alerts'],
        summary: 'Alerts as they happen (预警实时推送)',
        description:
          'Server-sent events (text/event-stream) about alerts of the warehouses you see and those that name you, or with mine=true about those you are told of. Each has the `id` by which Last-Event-ID goes on after it, an `event` (raised, acknowledged, escalated, reminded, resolved) and `data`: JSON with `event`, `at`, `by`, `details` and the whole `alert` in your language. Without Last-Event-ID it begins with what is new. A comment comes every 15 seconds. Your duties are looked at again while it lasts; an event `end` says why it ends: your credentials do, or the process stops. 503 if too many are open.',
        produces: ['text/event-stream'],
        querystring: AlertStreamQuery,
        headers: AlertStreamHeaders,
        response: {
          200: Type.String({
            description: 'Events until you leave',
            examples: ['id: 204\nevent: raised\ndata: {"event":"raised","at":"2026-11-21T08:30:00Z","alert":{}}\n\n']
          }),
          ...problems
        }
      }
    },
    async (request, reply) => {
      const leave = enter(request.ctx.actor)
      const over = new AbortController()
      const signal = AbortSignal.any([over.signal, closing.signal])
      const { raw } = reply
      const leaveOnce = () => {
        over.abort()
        leave()
      }
      if (raw.closed) leaveOnce()
      else raw.once('close', leaveOnce)
      await feed.join()
      const last = request.headers['last-event-id']
      const text = Readable.from(
        textOf(
          request,
          { isMine: request.query.mine === true, last: last === undefined ? undefined : Number(last) },
          signal
        )
      )
      raw.once('close', () => text.destroy())
      raw.setTimeout(held.stalledMs, () => {
        // Heartbeats are taken even where nothing happens; what is not taken waits.
        if (raw.writableLength > 0) raw.destroy()
        else raw.setTimeout(held.stalledMs)
      })
      return reply
        .headers({
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
          // A proxy that collects answers would keep events back.
          'x-accel-buffering': 'no'
        })
        .send(text as never)
    }
  )
}

function happened(ctx: Context, { id, event, at, by, what, alert }: AlertHappening): string {
  const data = { event, at: instant(at), by, details: what, alert: alertView(ctx, alert, ctx.actor.language) }
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

const ended = (code: string, detail: string): string => `event: end\ndata: ${JSON.stringify({ code, detail })}\n\n`
