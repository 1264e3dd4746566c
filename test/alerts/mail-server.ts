import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'

export interface ReceivedMail {
  to: string
  from: string
  subject: string
  text: string
  messageId: string
  /** As it came over the wire. */
  raw: string
}

/** A real SMTP server on this machine. */
export interface MailServer {
  port: number
  mails: ReceivedMail[]
  /** Refuses recipients from now on with this status; 0 takes them. */
  refuseWith(status: number): void
  /** Refuses the sender from now on with this status; 0 takes it. */
  refuseSenderWith(status: number): void
  close(): Promise<void>
}

export async function openMailServer(port = 0): Promise<MailServer> {
  const mails: ReceivedMail[] = []
  let status = 0
  let senderStatus = 0
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    logger: false,
    closeTimeout: 100,
    onMailFrom: (_address, _session, done) =>
      done(senderStatus === 0 ? null : Object.assign(new Error('not for you'), { responseCode: senderStatus })),
    onRcptTo: (_address, _session, done) =>
      done(status === 0 ? null : Object.assign(new Error('mailbox is not here'), { responseCode: status })),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        mails.push(read(Buffer.concat(chunks).toString('latin1'), session.envelope))
        done()
      })
    }
  })
  server.on('error', () => undefined)
  server.listen(port, '127.0.0.1')
  await once(server.server, 'listening')
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    refuseWith: (next) => {
      status = next
    },
    refuseSenderWith: (next) => {
      senderStatus = next
    },
    close: () => new Promise((closed) => server.close(() => closed()))
  }
}

function read(raw: string, envelope: { mailFrom: unknown; rcptTo: { address: string }[] }): ReceivedMail {
  const [head = '', ...body] = raw.split('\r\n\r\n')
  const headers = new Map(
    head
      .replaceAll(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map((line): [string, string] => {
        const [name = '', ...value] = line.split(': ')
        return [name.toLowerCase(), value.join(': ')]
      })
  )
  const content = body.join('\r\n\r\n')
  const encoding = headers.get('content-transfer-encoding') ?? '7bit'
  const bytes =
    encoding === 'base64'
      ? Buffer.from(content, 'base64')
      : encoding === 'quoted-printable'
        ? quotedPrintable(content.replaceAll(/=\r\n/g, ''))
        : Buffer.from(content, 'latin1')
  return {
    to: envelope.rcptTo.map(({ address }) => address).join(', '),
    from: headers.get('from') ?? '',
    subject: words(headers.get('subject') ?? ''),
    text: bytes.toString('utf8').replaceAll('\r\n', '\n'),
    messageId: headers.get('message-id') ?? '',
    raw
  }
}

const quotedPrintable = (text: string): Buffer =>
  Buffer.from(
    text.replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1'
  )

/** RFC 2047. */
const words = (header: string): string =>
  header
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?utf-8\?([BQ])\?([^?]*)\?=/gi, (_all, encoding: string, text: string) =>
      (encoding.toUpperCase() === 'B'
        ? Buffer.from(text, 'base64')
        : quotedPrintable(text.replaceAll('_', ' '))
      ).toString('latin1')
    )
    .replaceAll(/[\u0080-\u00ff]+/g, (bytes) => Buffer.from(bytes, 'latin1').toString('utf8'))
