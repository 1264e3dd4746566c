import { randomUUID } from 'node:crypto'
import {
  LogController,
  type FastifyBaseLogger,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions
} from 'fastify'
import fp from 'fastify-plugin'
import { pino, type DestinationStream, type LoggerOptions } from 'pino'
import type { Config } from './config.ts'

const SECRET_MEMBERS = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'password',
  'newPassword',
  'currentPassword',
  'accessToken',
  'refreshToken',
  'token',
  'secret',
  'apiKey'
]
const secretMembers = new Set(SECRET_MEMBERS.map((name) => name.toLowerCase()))
/** Whether what a member of this name holds is never shown, neither in the log nor to who sent it. */
export const isSecretMember = (name: string): boolean => secretMembers.has(name.toLowerCase())

const SECRET_PARAMETER = /([?&](?:[^=&]*(?:token|secret|password|key)|code)=)[^&]*/gi

const quoted = (name: string): string => (/^\w+$/.test(name) ? name : `["${name}"]`)
const below = (parent: string, name: string): string =>
  quoted(name).startsWith('[') ? `${parent}${quoted(name)}` : `${parent}.${name}`

/** Secrets at the top, one and two levels down, e.g. `password`, `body.password`, `req.headers.authorization`. */
const redact: LoggerOptions['redact'] = {
  paths: SECRET_MEMBERS.flatMap((name) => [quoted(name), below('*', name), below('*.*', name)]),
  censor: '[not logged]'
}

/**
 * The log of a process: JSON lines, or readable lines on a terminal. No secrets in either.
 * @param stream where to; standard output if left away
 */
export async function openLog(
  { LOG_LEVEL }: Pick<Config, 'LOG_LEVEL'>,
  stream?: DestinationStream
): Promise<FastifyBaseLogger> {
  const options: LoggerOptions = {
    level: LOG_LEVEL,
    redact,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    serializers: {
      err: pino.stdSerializers.err,
      req: (request: FastifyRequest) => ({
        method: request.method,
        url: request.url.replace(SECRET_PARAMETER, '$1…'),
        from: request.ip
      }),
      res: (reply: FastifyReply) => ({ status: reply.statusCode })
    }
  }
  return pino(options, stream ?? (await prettyOnTerminal()) ?? pino.destination({ dest: 1, sync: true }))
}

/** `pino-pretty` is there in development only; without it a terminal gets JSON too. */
async function prettyOnTerminal(): Promise<DestinationStream | undefined> {
  if (!process.stdout.isTTY) return undefined
  try {
    const { default: pretty } = await import('pino-pretty')
    return pretty({ sync: true, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname' })
  } catch {
    return undefined
  }
}

// What is logged of every answer is named here and has had its secrets taken out, so it is not searched for them once more:
// that would be a sixth of the work of a small request.
const unsearched = new WeakMap<FastifyBaseLogger, FastifyBaseLogger>()

function answersLog(log: FastifyBaseLogger): FastifyBaseLogger {
  let answers = unsearched.get(log)
  if (answers === undefined) {
    answers = log.child({}, { redact: [] })
    unsearched.set(log, answers)
  }
  return answers
}

/** One line per request, when it is answered. */
class OneLinePerRequest extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(err: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    const details = { req: request, res: reply, milliseconds: Math.round(reply.elapsedTime * 10) / 10 }
    if (err) request.log.error({ ...details, err }, 'answer broken off')
    else if (request.routeOptions.logLevel !== 'silent')
      answersLog(request.server.log).info({ requestId: request.id, ...details }, 'answered')
  }
}

/** A request keeps the id its caller or proxy gave it, if it looks like one, else it gets its own. */
export const requestIds = {
  logController: new OneLinePerRequest({ requestIdLogLabel: 'requestId' }),
  requestIdHeader: false,
  genReqId: ({ headers: { 'x-request-id': given } }) =>
    typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
} satisfies Pick<FastifyServerOptions, 'logController' | 'requestIdHeader' | 'genReqId'>

/** Tells the caller the id under which the log speaks of this request. */
export const answeredRequestIds = fp(
  async (app) => {
    app.addHook('onRequest', async (request, reply) => {
      reply.header('x-request-id', request.id)
    })
  },
  { name: 'request-ids' }
)
