import { createTransport } from 'nodemailer'
import type { Config } from './config.ts'

/** A mail in plain text. */
export interface Outgoing {
  to: string
  subject: string
  text: string
  /** Without angle brackets; the same at every attempt, so that a server or reader that has it can tell. */
  messageId: string
}

/** Why a mail was not taken. */
export interface MailFault {
  problem: string
  /** `mail`: the server will never take it. `now`: it does not take this one at the moment. `server`: it is not there, or takes nothing. */
  fault: 'mail' | 'now' | 'server'
}

export interface Mailer {
  /** Null if the server took it. Never throws. */
  send(mail: Outgoing): Promise<MailFault | null>
  close(): void
}

const LIMIT_MS = 10_000

/** What nodemailer throws: its own code, the status of SMTP, and the command that it answered. */
type SmtpError = Error & { code?: string; responseCode?: number; command?: string }

/** Sends by SMTP_URL, over connections that are kept open. Undefined where none is configured. */
export function openMailer({
  SMTP_URL: url,
  MAIL_FROM: from
}: Pick<Config, 'SMTP_URL' | 'MAIL_FROM'>): Mailer | undefined {
  if (url === undefined || from === undefined) return undefined
  const transport = createTransport(
    {
      url,
      pool: true,
      maxConnections: 2,
      connectionTimeout: LIMIT_MS,
      greetingTimeout: LIMIT_MS,
      socketTimeout: 2 * LIMIT_MS,
      dnsTimeout: LIMIT_MS,
      // What is sent is text that was written here; no path or URL in it is ever opened.
      disableFileAccess: true,
      disableUrlAccess: true
    },
    { from }
  )
  const domain = /@([^>\s]+)/.exec(from)?.[1] ?? 'bincard'
  return {
    send: async ({ to, subject, text, messageId }) => {
      try {
        await transport.sendMail({
          // As an address, so that nothing in it is read as a list of them.
          to: { name: '', address: to },
          subject,
          text,
          messageId: `<${messageId}@${domain}>`,
          headers: { 'Auto-Submitted': 'auto-generated' }
        })
        return null
      } catch (error) {
        const { code, responseCode = 0, message, command } = error as SmtpError
        // Who will not have the sender, wants a password first or is about to close says so to every mail.
        const isOfServer = command === 'MAIL FROM' || responseCode === 421 || responseCode === 530
        const isOfMail = !isOfServer && (code === 'EENVELOPE' || code === 'EMESSAGE')
        return {
          problem: message.slice(0, 500),
          fault: !isOfMail ? 'server' : responseCode >= 500 ? 'mail' : 'now'
        }
      }
    },
    close: () => transport.close()
  }
}

// One per configuration, so that connections live on from one run of the job to the next.
const mailers = new WeakMap<Config, Mailer | undefined>()

export function mailerOf(config: Config): Mailer | undefined {
  if (!mailers.has(config)) mailers.set(config, openMailer(config))
  return mailers.get(config)
}
