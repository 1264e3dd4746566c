import type { AddressInfo } from 'node:net'
import type { Harness } from './harness.ts'

/** A server-sent event as it came; comments have neither id nor event. */
export interface SentEvent {
  id?: string
  event?: string
  data?: any
  comment?: string
}

export interface OpenStream {
  status: number
  headers: Headers
  /** The next event that is no comment; waits for it, and fails if the stream ends. */
  next(): Promise<SentEvent>
  /** The next thing of any kind; undefined at the end. */
  any(): Promise<SentEvent | undefined>
  close(): void
}

/** Opens a stream of server-sent events. */
export async function openStream(
  h: Pick<Harness, 'app'>,
  path: string,
  headers: Record<string, string>
): Promise<OpenStream> {
  const leaving = new AbortController()
  const { port } = h.app.server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: leaving.signal })
  // Taken at once: a body that nobody has begun to read is cancelled when its answer is collected as garbage.
  const pieces = eventsOf((answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream() as never))
  const any = async () => (await pieces.next()).value as SentEvent | undefined
  return {
    status: answer.status,
    headers: answer.headers,
    any,
    next: async () => {
      for (;;) {
        const event = await any()
        if (event === undefined) throw new Error('the stream ended')
        if (event.event !== undefined) return event
      }
    },
    close: () => leaving.abort()
  }
}

async function* eventsOf(pieces: ReadableStream<string>): AsyncGenerator<SentEvent> {
  let text = ''
  for await (const piece of pieces as unknown as AsyncIterable<string>) {
    text += piece
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
      const [id, event, data] = [field('id'), field('event'), field('data')]
      yield {
        ...(id !== undefined && { id }),
        ...(event !== undefined && { event }),
        ...(data !== undefined && { data: JSON.parse(data) as unknown }),
        ...(lines[0]?.startsWith(':') && { comment: lines[0].slice(1).trim() })
      }
    }
  }
}

/** What an operation that never ends answers at first, in the shape of an ordinary answer. */
export async function firstOfStream(
  h: Pick<Harness, 'app'>,
  path: string,
  token?: string
): Promise<{ status: number; text: string; body: any; headers: Record<string, string> }> {
  const leaving = new AbortController()
  const { port } = h.app.server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: leaving.signal
  })
  const { status } = answer
  const answered = Object.fromEntries(answer.headers)
  if (status >= 300) {
    const text = await answer.text()
    return { status, text, body: JSON.parse(text), headers: answered }
  }
  const first = await answer.body?.getReader().read()
  leaving.abort()
  return { status, text: new TextDecoder().decode(first?.value), body: {}, headers: answered }
}
