import { expect, test } from 'vitest'
import { readConfig } from '../../src/platform/config.ts'

const SECRET = 'a secret that is long enough for anything'

/** What `readConfig` says about one wrong variable, on one line. */
function complaint(env: NodeJS.ProcessEnv): string {
  try {
    readConfig(env)
  } catch (error) {
    return (error as Error).message.split('\n').slice(1).join('\n').trim()
  }
  return 'accepted'
}

test('with nothing set the service runs on the embedded database, port 3000, Shanghai time', () => {
  expect(readConfig({})).toEqual({
    PORT: 3000,
    HOST: '0.0.0.0',
    DATABASE_POOL_SIZE: 10,
    STATEMENT_TIMEOUT_SECONDS: 60,
    LOG_LEVEL: 'info',
    LATE_SIGNATURE_HOURS: 24,
    COUNT_DAYS_BEFORE_MONTH_END: 10,
    DEFAULT_LEAD_TIME_DAYS: 30,
    REORDER_REPEAT_DAYS: 14,
    REQUEST_DAYS_IN_STOCK: 2,
    REQUEST_DAYS_BACKORDERED: 15,
    BACKORDER_ANSWER_DAYS: 7,
    RESERVATION_DAYS: 14,
    CONFIRMATION_DAYS: 5,
    LOANER_NOTICE_DAYS: 3,
    LOANER_NOTICE_REPEATS: 3,
    LOAN_DAYS: 30,
    RECALL_SECOND_SIGNATURE_PARTS: 50,
    RECALL_SECOND_SIGNATURE_SHARE: 0.2,
    TRANSIT_ALERT_DAYS: 7,
    BUSINESS_TIME_ZONE: 'Asia/Shanghai',
    ACCESS_TOKEN_MINUTES: 60,
    REFRESH_TOKEN_DAYS: 30,
    TRUST_PROXY: false,
    WEBHOOK_ALLOWED_NETWORKS: '',
    RATE_LIMIT_PER_MINUTE: 0,
    LOGIN_ATTEMPTS_PER_MINUTE: 10
  })
})

test('an empty variable counts as not set', () => {
  expect(readConfig({ PORT: '', DATABASE_URL: '', LOG_LEVEL: '' })).toMatchObject({ PORT: 3000, LOG_LEVEL: 'info' })
})

test.for([
  ['PORT', 'eighty', 'PORT is "eighty"; it must be a TCP port, 0 to 65535 (0 takes a free one)'],
  ['PORT', '3000.5', 'PORT is "3000.5"; it must be a TCP port, 0 to 65535 (0 takes a free one)'],
  ['PORT', '0x50', 'PORT is "0x50"; it must be a TCP port, 0 to 65535 (0 takes a free one)'],
  ['PORT', '70000', 'PORT is "70000"; it must be a TCP port, 0 to 65535 (0 takes a free one)'],
  [
    'DATABASE_URL',
    'mysql://u:p@db/x',
    'DATABASE_URL is not usable; it must be a postgres:// URL; without it the embedded database is used'
  ],
  [
    'STATEMENT_TIMEOUT_SECONDS',
    '60s',
    'STATEMENT_TIMEOUT_SECONDS is "60s"; it must be 0 to 86400 seconds that one database statement of a request may take; 0 sets no limit'
  ],
  ['DATABASE_POOL_SIZE', '1', 'DATABASE_POOL_SIZE is "1"; it must be 2 to 500 connections per process'],
  [
    'REDIS_URL',
    'localhost:6379',
    'REDIS_URL is not usable; it must be a redis:// URL; without it the queue lives in PostgreSQL'
  ],
  ['LOG_LEVEL', 'loud', 'LOG_LEVEL is "loud"; it must be fatal, error, warn, info, debug, trace or silent'],
  [
    'BUSINESS_TIME_ZONE',
    'Shanghai',
    'BUSINESS_TIME_ZONE is "Shanghai"; it must be an IANA time zone such as Asia/Shanghai'
  ],
  ['JWT_SECRET', 'short', 'JWT_SECRET is not usable; it must be at least 32 characters'],
  ['ACCESS_TOKEN_MINUTES', '0', 'ACCESS_TOKEN_MINUTES is "0"; it must be 1 to 1440 minutes'],
  ['REFRESH_TOKEN_DAYS', 'week', 'REFRESH_TOKEN_DAYS is "week"; it must be 1 to 365 days'],
  ['OIDC_ISSUER', 'keycloak', 'OIDC_ISSUER is "keycloak"; it must be the URL of an OpenID Connect issuer'],
  [
    'SAMPLE_PASSWORD',
    'hello',
    'SAMPLE_PASSWORD is not usable; it must be the password of the sample accounts, at least 8 characters'
  ],
  [
    'WEBHOOK_ALLOWED_NETWORKS',
    '10.0.0.0/33',
    'WEBHOOK_ALLOWED_NETWORKS is "10.0.0.0/33"; it must be networks such as 10.20.0.0/16,fd00:1::/64 (CIDR, separated by commas) to which webhooks may go although they are private'
  ],
  [
    'SMTP_URL',
    'smtp.example.com',
    'SMTP_URL is not usable; it must be an smtp:// or smtps:// URL, with user and password if need be; without it no e-mail is sent'
  ],
  [
    'MAIL_FROM',
    'bincard',
    'MAIL_FROM is "bincard"; it must be whom e-mails come from, such as bincard <bincard@example.com>'
  ],
  [
    'TRUST_PROXY',
    'maybe',
    'TRUST_PROXY is "maybe"; it must be true (behind a reverse proxy that sets X-Forwarded-For) or false'
  ],
  [
    'RATE_LIMIT_PER_MINUTE',
    '-1',
    'RATE_LIMIT_PER_MINUTE is "-1"; it must be a number of requests per minute and API key; 0 leaves it to each key'
  ],
  [
    'LOGIN_ATTEMPTS_PER_MINUTE',
    '0',
    'LOGIN_ATTEMPTS_PER_MINUTE is "0"; it must be a number from 1 of failed sign-ins per minute, account and address'
  ]
] as const)('%s=%s is refused with what would be right', ([name, value, said]) => {
  expect(complaint({ JWT_SECRET: SECRET, [name]: value })).toBe(`- ${said}`)
})

test('every fault is named at once, and no secret is repeated', () => {
  const said = complaint({ PORT: 'x', JWT_SECRET: 'hunter2', DATABASE_URL: 'http://user:hunter2@db' })

  expect(said.split('\n').map((line) => line.trim().split(' ')[1])).toEqual(['PORT', 'DATABASE_URL', 'JWT_SECRET'])
  expect(said).not.toContain('hunter2')
})

test('a configured database without a secret or an issuer is refused', () => {
  expect(complaint({ DATABASE_URL: 'postgres://db/bincard' })).toContain(
    'neither JWT_SECRET (at least 32 characters) nor OIDC_ISSUER is'
  )
  expect(complaint({ DATABASE_URL: 'postgres://db/bincard', JWT_SECRET: SECRET })).toBe('accepted')
  expect(complaint({ DATABASE_URL: 'postgres://db/bincard', OIDC_ISSUER: 'https://id.example.com' })).toBe('accepted')
})

test('a mail server without a sender is refused', () => {
  expect(complaint({ SMTP_URL: 'smtp://mail.example.com' })).toContain('SMTP_URL is set but MAIL_FROM is not')
  expect(readConfig({ SMTP_URL: 'smtp://mail.example.com', MAIL_FROM: 'bincard@example.com' })).toMatchObject({
    MAIL_FROM: 'bincard@example.com'
  })
})
