// The client that drives the service and its ceiling alike, and the arithmetic over what it saw.
import { Agent, request } from 'node:http'

export interface Call {
  method: 'GET' | 'POST'
  path: string
  token?: string | undefined
  body?: object | undefined
}

/** A server to drive, over connections that stay open. */
export class Client {
  readonly #port: number
  readonly #agent: Agent

  constructor(port: number, clients: number) {
    this.#port = port
    this.#agent = new Agent({ keepAlive: true, maxSockets: clients, maxFreeSockets: clients, scheduling: 'fifo' })
  }

  /** The body of an answer that says all went well; anything else is an error. */
  call({ method, path, token, body }: Call): Promise<string> {
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const outgoing = request(
      {
        agent: this.#agent,
        host: '127.0.0.1',
        port: this.#port,
        method,
        path,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(sent !== undefined && { 'content-type': 'application/json', 'content-length': sent.length })
        }
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const status = incoming.statusCode ?? 0
          if (status >= 200 && status < 300) resolve(text)
          else reject(new Error(`${method} ${path} answered ${status}: ${text.slice(0, 500)}`))
        })
      }
    )
    outgoing.on('error', reject)
    outgoing.end(sent)
    return promise
  }

  close(): void {
    this.#agent.destroy()
  }
}

export interface Slice {
  operationsPerSecond: number
  latencies: number[]
}

/** Does `operations` one after the other in each of `clients` lanes, each lane taking the next one that is left. */
export async function slice<Item>(
  clients: number,
  items: readonly Item[],
  operation: (item: Item) => Promise<unknown>
): Promise<Slice> {
  const latencies: number[] = []
  let next = 0
  const lane = async () => {
    while (next < items.length) {
      const item = items[next++]
      const begun = performance.now()
      await operation(item)
      latencies.push(performance.now() - begun)
    }
  }
  const begun = performance.now()
  await Promise.all(Array.from({ length: clients }, lane))
  return { operationsPerSecond: (items.length * 1000) / (performance.now() - begun), latencies }
}

/** One of two servers under comparison: makes ready what a slice will need, outside the measured time, and answers the slice. */
export type Side = (operations: number) => Promise<Slice>

export interface Figures {
  operationsPerSecond: number
  p50Ms: number
  p99Ms: number
}

export interface Comparison {
  a: Figures
  b: Figures
  /** Median over the pairs of slices of a's operations per second by b's. */
  ratio: number
  /** The lowest and the highest of the pairs, which tell how noisy the machine was. */
  ratioRange: [number, number]
  /** a's p99 latency by b's, over all slices. */
  p99Ratio: number
}

/** Alternates slices, a b b a a b …, so that whatever slows the machine down meets both. */
export async function compare(
  a: Side,
  b: Side,
  { slices, operations, warmUp }: { slices: number; operations: number; warmUp: number }
): Promise<Comparison> {
  for (const side of [a, b]) await side(warmUp)
  const seen = { a: [] as Slice[], b: [] as Slice[] }
  for (let index = 0; index < slices; index++) {
    for (const name of index % 2 === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const)) {
      seen[name].push(await (name === 'a' ? a : b)(operations))
    }
  }
  const ratios = seen.a.map(
    (one, index) => one.operationsPerSecond / (seen.b[index]?.operationsPerSecond ?? Number.NaN)
  )
  const figures = { a: figuresOf(seen.a), b: figuresOf(seen.b) }
  return {
    ...figures,
    ratio: round(quantile(ratios, 0.5), 3),
    ratioRange: [round(Math.min(...ratios), 3), round(Math.max(...ratios), 3)],
    p99Ratio: round(figures.a.p99Ms / figures.b.p99Ms, 2)
  }
}

function figuresOf(slices: readonly Slice[]): Figures {
  const latencies = slices.flatMap((one) => one.latencies)
  return {
    operationsPerSecond: round(
      quantile(
        slices.map((one) => one.operationsPerSecond),
        0.5
      ),
      1
    ),
    p50Ms: round(quantile(latencies, 0.5), 2),
    p99Ms: round(quantile(latencies, 0.99), 2)
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  const position = (sorted.length - 1) * share
  const [low, high] = [sorted[Math.floor(position)], sorted[Math.ceil(position)]]
  return low + (high - low) * (position - Math.floor(position))
}

export const round = (value: number, places: number): number => Number(value.toFixed(places))
