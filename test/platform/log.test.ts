import { expect, test } from 'vitest'
import { openLog } from '../../src/platform/log.ts'

async function logged(write: (log: Awaited<ReturnType<typeof openLog>>) => void): Promise<Record<string, unknown>[]> {
  const lines: string[] = []
  write(await openLog({ LOG_LEVEL: 'info' }, { write: (line) => void lines.push(line) }))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('no secret reaches the log, however deep it lies', async () => {
  const secret = 'hunter2'
  const lines = await logged((log) => {
    log.info({ password: secret, token: secret }, 'flat')
    log.info(
      {
        body: { password: secret, refreshToken: secret },
        headers: { authorization: secret, cookie: secret, 'x-api-key': secret }
      },
      'nested'
    )
    log.info({ request: { headers: { authorization: secret, 'set-cookie': secret } } }, 'deeper')
    log.child({ accessToken: secret }).warn('of a child')
  })

  expect(lines.map(({ msg }) => msg)).toEqual(['flat', 'nested', 'deeper', 'of a child'])
  expect(JSON.stringify(lines)).not.toContain(secret)
})

test('a request is logged without its headers and without secrets of its query', async () => {
  const [line] = await logged((log) =>
    log.info(
      {
        req: {
          method: 'GET',
          url: '/v1/x?part=A&access_token=hunter2&code=hunter2',
          ip: '10.0.0.7',
          headers: { authorization: 'hunter2' }
        }
      },
      'answered'
    )
  )

  expect(line).toMatchObject({
    level: 'info',
    req: { method: 'GET', url: '/v1/x?part=A&access_token=…&code=…', from: '10.0.0.7' }
  })
})
