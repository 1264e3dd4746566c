import { Type, type Static } from 'typebox'
import { RegionCode } from '../identity/identity.schemas.ts'
import {
  closed,
  Instant,
  limitAndCursor,
  named,
  nullable,
  oneOf,
  pageOf,
  ref,
  WarehouseCode
} from '../platform/schemas.ts'
import { WANTED_TYPES, WEBHOOK_EVENT_TYPES, WebhookEventName } from './webhook-events.ts'

export const ENDPOINT_STATES = ['active', 'paused', 'disabled'] as const
export const DELIVERY_STATES = ['waiting', 'delivered', 'dead'] as const

const Id = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Number of the webhook', examples: ['3'] })
const DeliveryId = Type.String({
  pattern: '^[1-9][0-9]{0,17}$',
  description: 'Number of the message within the webhook',
  examples: ['4711']
})
export const WebhookParams = Type.Object({ id: Id }, closed)
export const DeliveryParams = Type.Object({ id: Id, delivery: DeliveryId }, closed)

const Url = Type.String({
  minLength: 8,
  maxLength: 2000,
  pattern: '^https?://\\S+$',
  description:
    'Where events are sent (接收地址): https to a public address; private addresses, and http, only in networks that WEBHOOK_ALLOWED_NETWORKS names. Without user name, password or fragment',
  examples: ['https://erp.example.com/hooks/bincard']
})
const Description = Type.String({ minLength: 1, maxLength: 200, pattern: '\\S', examples: ['ERP 接口'] })
const Events = nullable(
  Type.Array(WebhookEventName, {
    minItems: 1,
    maxItems: WANTED_TYPES.length,
    uniqueItems: true,
    description: 'The events it wants; null for all, also those that are yet to come',
    examples: [['slip.posted', 'slip.reversed']]
  })
)

export const CreateWebhookBody = Type.Object(
  {
    url: Url,
    description: Type.Optional(Description),
    events: Type.Optional(Events),
    warehouse: Type.Optional({ ...WarehouseCode, description: 'Only what happens in this warehouse' }),
    region: Type.Optional({ ...RegionCode, description: 'Only what happens in warehouses of this region' })
  },
  {
    ...closed,
    examples: [
      {
        url: 'https://erp.example.com/hooks/bincard',
        description: 'ERP 接口',
        events: ['slip.posted', 'slip.reversed'],
        warehouse: 'HQ'
      }
    ]
  }
)
export type CreateWebhookBody = Static<typeof CreateWebhookBody>

export const UpdateWebhookBody = Type.Object(
  {
    url: Type.Optional(Url),
    description: Type.Optional(nullable(Description)),
    events: Type.Optional(Events),
    active: Type.Optional(
      Type.Boolean({ description: 'false pauses it; true switches it on, also after the service disabled it' })
    )
  },
  { ...closed, minProperties: 1, examples: [{ events: ['slip.posted'], active: true }] }
)
export type UpdateWebhookBody = Static<typeof UpdateWebhookBody>

const webhook = {
  id: Id,
  url: Type.String(),
  description: nullable(Type.String()),
  events: nullable(Type.Array(Type.String(), { description: 'Null: all' })),
  warehouse: nullable(WarehouseCode),
  region: nullable(RegionCode),
  state: oneOf(
    ENDPOINT_STATES,
    'active; paused by a person; disabled by the service, see disabledBecause. What happens while it is not active is not sent, and can be replayed'
  ),
  disabledBecause: nullable(
    Type.String({
      description:
        'Why the service switched it off: the receiver answered 410, or a delivery was given up and nothing had arrived for 72 hours'
    })
  ),
  disabledAt: nullable(Instant),
  failingSince: nullable({ ...Instant, description: 'When the first attempt failed since one arrived' }),
  restsUntil: nullable({ ...Instant, description: 'Nothing is tried before, because everything fails' }),
  waiting: Type.Integer({ description: 'Deliveries on their way, counted up to 1000' }),
  dead: Type.Integer({ description: 'Deliveries given up, counted up to 1000' }),
  oldSecretValidUntil: nullable({
    ...Instant,
    description: 'Until then everything carries the signature of the secret before the last rotation, too'
  }),
  createdBy: Type.String({ description: 'Username' }),
  createdAt: Instant
}
const WEBHOOK_EXAMPLE = {
  id: '3',
  url: 'https://erp.example.com/hooks/bincard',
  description: 'ERP 接口',
  events: ['slip.posted', 'slip.reversed'],
  warehouse: 'HQ',
  region: null,
  state: 'active',
  disabledBecause: null,
  disabledAt: null,
  failingSince: null,
  restsUntil: null,
  waiting: 0,
  dead: 0,
  oldSecretValidUntil: null,
  createdBy: 'admin',
  createdAt: '2026-11-20T02:00:00Z'
}

export const WebhookView = named(
  'Webhook',
  Type.Object(webhook, {
    ...closed,
    description: 'Another system that is told what happens (事件推送)',
    examples: [WEBHOOK_EXAMPLE]
  })
)
export type WebhookView = Static<typeof WebhookView>
export const WebhookPage = pageOf(WebhookView)

const Secret = Type.String({
  description:
    'Shown once. Receivers verify the header webhook-signature with it, by a library of Standard Webhooks (standardwebhooks.com)',
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']
})
export const CreatedWebhookView = named(
  'CreatedWebhook',
  Type.Object(
    { ...webhook, secret: Secret },
    { ...closed, examples: [{ ...WEBHOOK_EXAMPLE, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }] }
  )
)
export type CreatedWebhookView = Static<typeof CreatedWebhookView>

export const RotatedSecretView = named(
  'RotatedWebhookSecret',
  Type.Object(
    { secret: Secret, oldSecretValidUntil: Instant },
    {
      ...closed,
      examples: [{ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', oldSecretValidUntil: '2026-11-21T02:00:00Z' }]
    }
  )
)
export type RotatedSecretView = Static<typeof RotatedSecretView>

export const WebhooksQuery = Type.Object(
  {
    warehouse: Type.Optional({ ...WarehouseCode, description: 'Only those of this warehouse' }),
    state: Type.Optional(oneOf(ENDPOINT_STATES, 'Only those in this state')),
    ...limitAndCursor
  },
  closed
)

export const NothingBody = Type.Object({}, { ...closed, examples: [{}] })

// Events

export const WebhookEventView = named(
  'WebhookEvent',
  Type.Object(
    {
      event: oneOf(WEBHOOK_EVENT_TYPES, 'Name of the event'),
      summary: Type.String(),
      example: Type.Object(
        {
          type: Type.String(),
          timestamp: Instant,
          data: Type.Object({}, { additionalProperties: true })
        },
        { ...closed, description: 'What is sent' }
      )
    },
    {
      ...closed,
      examples: [
        {
          event: 'period.closed',
          summary: 'A month was closed in a warehouse (月结)',
          example: {
            type: 'period.closed',
            timestamp: '2026-11-20T02:00:00Z',
            data: { warehouse: 'HQ', period: '2026-10' }
          }
        }
      ]
    }
  )
)
export type WebhookEventView = Static<typeof WebhookEventView>
export const WebhookEventList = named(
  'WebhookEventList',
  Type.Object({ items: Type.Array(ref(WebhookEventView)) }, closed)
)

// Deliveries

const Attempt = Type.Object(
  {
    at: Instant,
    milliseconds: Type.Integer(),
    status: nullable(Type.Integer({ description: 'Of HTTP; null where nothing was answered' })),
    problem: nullable(Type.String({ description: 'Why it did not arrive; null if it did' })),
    response: nullable(Type.String({ description: 'The beginning of what the receiver answered, 1 kB at most' }))
  },
  closed
)
const delivery = {
  id: DeliveryId,
  webhookId: Type.String({ description: 'The header webhook-id; the same at every attempt', examples: ['msg_1f0e…'] }),
  event: oneOf(WEBHOOK_EVENT_TYPES, 'Name of the event'),
  occurredAt: Instant,
  state: oneOf(DELIVERY_STATES, 'waiting until it is delivered, or dead after eleven attempts in about a day'),
  attempts: Type.Integer({ description: 'Since it was sent for the first time, or anew' }),
  nextAttemptAt: nullable({ ...Instant, description: 'At the earliest; null if it waits no more' }),
  settledAt: nullable(Instant),
  log: Type.Array(Attempt, { description: 'The last twenty attempts, newest first' })
}
const DELIVERY_EXAMPLE = {
  id: '4711',
  webhookId: 'msg_1f0e4a7c9b8d4c6fa1e2d3c4b5a69788',
  event: 'slip.posted',
  occurredAt: '2026-11-20T02:00:00Z',
  state: 'waiting',
  attempts: 1,
  nextAttemptAt: '2026-11-20T02:00:05Z',
  settledAt: null,
  log: [
    {
      at: '2026-11-20T02:00:00Z',
      milliseconds: 12,
      status: 500,
      problem: 'the receiver answered 500',
      response: 'try later'
    }
  ]
}
export const WebhookDelivery = named(
  'WebhookDelivery',
  Type.Object(delivery, { ...closed, description: 'One event on its way (推送记录)', examples: [DELIVERY_EXAMPLE] })
)
export type WebhookDelivery = Static<typeof WebhookDelivery>
export const WebhookDeliveryPage = pageOf(WebhookDelivery)
export const WebhookDeliveryView = named(
  'WebhookDeliveryWithBody',
  Type.Object(
    { ...delivery, body: Type.String({ description: 'What is sent, to the byte' }) },
    { ...closed, examples: [{ ...DELIVERY_EXAMPLE, body: '{"type":"slip.posted",…}' }] }
  )
)
export type WebhookDeliveryView = Static<typeof WebhookDeliveryView>

export const DeliveriesQuery = Type.Object(
  {
    state: Type.Optional(oneOf(DELIVERY_STATES, 'Only those in this state; dead is the dead-letter list')),
    event: Type.Optional(oneOf(WEBHOOK_EVENT_TYPES, 'Only those of this event')),
    ...limitAndCursor
  },
  closed
)

export const ReplayBody = Type.Object(
  {
    from: { ...Instant, description: 'Events that happened then or later' },
    to: Type.Optional({ ...Instant, description: 'And before; until now if left away' }),
    events: Type.Optional(
      Type.Array(WebhookEventName, {
        minItems: 1,
        maxItems: WANTED_TYPES.length,
        description: 'Only these of those it wants'
      })
    ),
    onlyFailed: Type.Optional(
      Type.Boolean({
        description: 'Leaves away what has arrived, and of events of more than 30 days ago what the log has no more'
      })
    )
  },
  { ...closed, examples: [{ from: '2026-11-19T00:00:00Z', onlyFailed: true }] }
)
export type ReplayBody = Static<typeof ReplayBody>
export const ReplayView = named(
  'WebhookReplay',
  Type.Object(
    { queued: Type.Integer({ description: 'Deliveries that are sent, for the first time or anew' }) },
    { ...closed, examples: [{ queued: 17 }] }
  )
)
