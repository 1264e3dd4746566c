import ipaddr from 'ipaddr.js'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

const Settings = Type.Object({
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 3000,
    description: 'a TCP port, 0 to 65535 (0 takes a free one)'
  }),
  HOST: Type.String({ minLength: 1, default: '0.0.0.0', description: 'address to listen on' }),
  DATA_DIR: Type.Optional(Type.String({ minLength: 1, description: 'the folder of the embedded database' })),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      description: 'a postgres:// URL; without it the embedded database is used'
    })
  ),
  DATABASE_POOL_SIZE: Type.Integer({
    minimum: 2,
    maximum: 500,
    default: 10,
    description: '2 to 500 connections per process'
  }),
  STATEMENT_TIMEOUT_SECONDS: Type.Integer({
    minimum: 0,
    maximum: 86_400,
    default: 60,
    description: '0 to 86400 seconds that one database statement of a request may take; 0 sets no limit'
  }),
  REDIS_URL: Type.Optional(
    Type.String({ pattern: '^rediss?://', description: 'a redis:// URL; without it the queue lives in PostgreSQL' })
  ),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'fatal, error, warn, info, debug, trace or silent'
  }),
  LATE_SIGNATURE_HOURS: Type.Integer({
    minimum: 1,
    maximum: 720,
    default: 24,
    description: 'hours until a signature that an emergency release lacks is due'
  }),
  COUNT_DAYS_BEFORE_MONTH_END: Type.Integer({
    minimum: 0,
    maximum: 27,
    default: 10,
    description: '0 to 27 days before the end of a month from which its month-end count may be opened'
  }),
  DEFAULT_LEAD_TIME_DAYS: Type.Integer({
    minimum: 1,
    maximum: 730,
    default: 30,
    description: '1 to 730 days from order to receipt of parts whose lead time nobody entered'
  }),
  REORDER_REPEAT_DAYS: Type.Integer({
    minimum: 1,
    maximum: 365,
    default: 14,
    description: '1 to 365 days for which a need that somebody rejected is not proposed again'
  }),
  REQUEST_DAYS_IN_STOCK: Type.Integer({
    minimum: 1,
    maximum: 100,
    default: 2,
    description: '1 to 100 working days within which what was in stock is issued to an outlet'
  }),
  REQUEST_DAYS_BACKORDERED: Type.Integer({
    minimum: 1,
    maximum: 250,
    default: 15,
    description: '1 to 250 working days within which what was not in stock is issued to an outlet'
  }),
  BACKORDER_ANSWER_DAYS: Type.Integer({
    minimum: 1,
    maximum: 90,
    default: 7,
    description: '1 to 90 days within which a backorder is answered'
  }),
  RESERVATION_DAYS: Type.Integer({
    minimum: 1,
    maximum: 250,
    default: 14,
    description: '1 to 250 working days for which goods of a request are kept for an outlet that does not fetch them'
  }),
  CONFIRMATION_DAYS: Type.Integer({
    minimum: 1,
    maximum: 100,
    default: 5,
    description:
      '1 to 100 working days for which goods that came for a backorder wait for the outlet to confirm its need'
  }),
  RECALL_SECOND_SIGNATURE_PARTS: Type.Integer({
    minimum: 1,
    maximum: 2000,
    default: 50,
    description: '1 to 2000 parts; a recall of more waits for the signature of a second person'
  }),
  RECALL_SECOND_SIGNATURE_SHARE: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 0.2,
    description:
      '0 to 1; a recall of several parts that lie for more than this share of the cost of all stock waits for the signature of a second person'
  }),
  TRANSIT_ALERT_DAYS: Type.Integer({
    minimum: 1,
    maximum: 365,
    default: 7,
    description: '1 to 365 days for which goods of a transfer may be in transit before both ends are alerted'
  }),
  LOAN_DAYS: Type.Integer({
    minimum: 1,
    maximum: 365,
    default: 30,
    description:
      '1 to 365 days until which a keeper lends, extends and reserves a loaner; beyond, the department head extends'
  }),
  LOANER_NOTICE_DAYS: Type.Integer({
    minimum: 1,
    maximum: 60,
    default: 3,
    description: '1 to 60 days from one notice that a repair is ready to the next'
  }),
  LOANER_NOTICE_REPEATS: Type.Integer({
    minimum: 0,
    maximum: 20,
    default: 3,
    description: '0 to 20 times that the notice that a repair is ready is repeated before it is escalated'
  }),
  BUSINESS_TIME_ZONE: Type.String({ default: 'Asia/Shanghai', description: 'an IANA time zone such as Asia/Shanghai' }),
  JWT_SECRET: Type.Optional(Type.String({ minLength: 32, description: 'at least 32 characters' })),
  ACCESS_TOKEN_MINUTES: Type.Integer({ minimum: 1, maximum: 1440, default: 60, description: '1 to 1440 minutes' }),
  REFRESH_TOKEN_DAYS: Type.Integer({ minimum: 1, maximum: 365, default: 30, description: '1 to 365 days' }),
  OIDC_ISSUER: Type.Optional(
    Type.String({ pattern: '^https?://', description: 'the URL of an OpenID Connect issuer' })
  ),
  OIDC_AUDIENCE: Type.Optional(
    Type.String({ minLength: 1, description: 'audience an OIDC token must carry; bincard if left away' })
  ),
  SAMPLE_PASSWORD: Type.Optional(
    Type.String({ minLength: 8, description: 'the password of the sample accounts, at least 8 characters' })
  ),
  SMTP_URL: Type.Optional(
    Type.String({
      pattern: '^smtps?://',
      description: 'an smtp:// or smtps:// URL, with user and password if need be; without it no e-mail is sent'
    })
  ),
  MAIL_FROM: Type.Optional(
    Type.String({
      pattern: '^[^\\r\\n]*[^@\\s<]+@[^@\\s>]+>?$',
      description: 'whom e-mails come from, such as bincard <bincard@example.com>'
    })
  ),
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^?#]*[^?#/]$',
      description:
        'where people reach the service, such as https://bincard.example.com, for links in e-mails; no slash at the end'
    })
  ),
  WEBHOOK_ALLOWED_NETWORKS: Type.String({
    default: '',
    pattern: '^([0-9A-Fa-f.:]+/[0-9]{1,3}(,[0-9A-Fa-f.:]+/[0-9]{1,3})*)?$',
    description:
      'networks such as 10.20.0.0/16,fd00:1::/64 (CIDR, separated by commas) to which webhooks may go although they are private'
  }),
  TRUST_PROXY: Type.Boolean({
    default: false,
    description: 'true (behind a reverse proxy that sets X-Forwarded-For) or false'
  }),
  RATE_LIMIT_PER_MINUTE: Type.Integer({
    minimum: 0,
    default: 0,
    description: 'a number of requests per minute and API key; 0 leaves it to each key'
  }),
  LOGIN_ATTEMPTS_PER_MINUTE: Type.Integer({
    minimum: 1,
    default: 10,
    description: 'a number from 1 of failed sign-ins per minute, account and address'
  })
})
export type Config = Static<typeof Settings>

const accepted = Settings.properties as Record<string, { description?: string }>

/**
 * Reads and checks the environment. Throws one Error that names every variable that is wrong, what was given
 * (never for secrets) and what would be right.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given: Record<string, unknown> = {}
  for (const name of Object.keys(Settings.properties)) {
    if (env[name] !== undefined && env[name] !== '') given[name] = env[name]
  }
  const defaults = Value.Default(Settings, { ...given }) as Record<string, unknown>
  const config = Value.Convert(Settings, { ...defaults })
  // Conversion would make 3000 of 3000.5; what is no whole number stays the text it is and is refused.
  for (const [name, { type }] of Object.entries(Settings.properties as Record<string, { type?: string }>)) {
    const text = given[name]
    if (type === 'integer' && typeof text === 'string' && !/^\d+$/.test(text))
      (config as Record<string, unknown>)[name] = text
  }
  const faults = new Map<string, string>()
  for (const error of Value.Errors(Settings, config)) {
    const name = error.instancePath.split('/')[1] ?? ''
    faults.set(
      name,
      `${name} is ${shown(name, given[name])}; it must be ${accepted[name]?.description ?? error.message}`
    )
  }
  const checked = config as Config
  if (!faults.has('BUSINESS_TIME_ZONE') && !isTimeZone(checked.BUSINESS_TIME_ZONE)) {
    faults.set(
      'BUSINESS_TIME_ZONE',
      `BUSINESS_TIME_ZONE is "${checked.BUSINESS_TIME_ZONE}"; it must be ${accepted['BUSINESS_TIME_ZONE']?.description}`
    )
  }
  const networks = faults.has('WEBHOOK_ALLOWED_NETWORKS') ? '' : checked.WEBHOOK_ALLOWED_NETWORKS
  if (networks.split(',').some((network) => network !== '' && !ipaddr.isValidCIDR(network))) {
    faults.set(
      'WEBHOOK_ALLOWED_NETWORKS',
      `WEBHOOK_ALLOWED_NETWORKS is "${networks}"; it must be ${accepted['WEBHOOK_ALLOWED_NETWORKS']?.description}`
    )
  }
  if (checked.SMTP_URL !== undefined && checked.MAIL_FROM === undefined && !faults.has('SMTP_URL'))
    faults.set('MAIL_FROM', `SMTP_URL is set but MAIL_FROM is not; it must be ${accepted['MAIL_FROM']?.description}`)
  if (checked.DATABASE_URL !== undefined && checked.JWT_SECRET === undefined && checked.OIDC_ISSUER === undefined) {
    faults.set(
      'JWT_SECRET',
      'DATABASE_URL is set but neither JWT_SECRET (at least 32 characters) nor OIDC_ISSUER is; tokens would not survive a restart or be the same in two processes'
    )
  }
  if (faults.size > 0) throw new ConfigurationFault([...faults.values()])
  return checked
}

export class ConfigurationFault extends Error {
  constructor(faults: string[]) {
    super(`the configuration is not usable:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
    this.name = 'ConfigurationFault'
  }
}

const shown = (name: string, value: unknown): string =>
  /SECRET|PASSWORD|URL/.test(name) ? 'not usable' : JSON.stringify(value)

function isTimeZone(name: string): boolean {
  try {
    Temporal.Now.plainDateISO(name)
    return true
  } catch {
    return false
  }
}
