import type { Context } from '../identity/actor.ts'
import { publish } from '../platform/outbox.ts'

/** Says that deliveries of an endpoint are due, now or in a moment; the consumer of the room starts its pump. */
export const WEBHOOK_DUE = 'webhook.due'

/** Has the pumps of endpoints started once what is written now is committed. */
export const endpointsDue = (ctx: Context, endpoints: readonly string[], delayMs?: number): Promise<void> =>
  publish(
    ctx,
    endpoints.map((endpoint) => ({
      subject: `webhook:${endpoint}`,
      event: WEBHOOK_DUE,
      payload: { endpoint, ...(delayMs !== undefined && { delayMs }) }
    }))
  )
