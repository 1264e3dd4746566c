/** One thing that was wrong with what was sent (R-ERR-1). `pointer` is an RFC 6901 pointer into the body, `?name` for a query parameter, `{name}` for one of the path. */
export interface FieldProblem {
  pointer: string
  detail: string
  sent?: unknown
  accepted?: unknown
}

/** The name of the constraint that an error of PostgreSQL is about. */
export const constraintOf = (error: unknown): string | undefined =>
  (error as { constraint?: string } | null)?.constraint

/** How many offenders a refusal names before it only counts the rest. */
export const NAMED_OFFENDERS = 5

/**
 * An expected failure: the caller asked for something a rule, a right or a state forbids.
 * Anything else that is thrown is a bug and is answered 500 without its message.
 *
 * @param code a noun in PascalCase, stable for clients (`InsufficientStock`)
 * @param status 400 shape, 401 no credentials, 403 not your duty, 404 missing or hidden, 409 the state forbids it, 422 a rule forbids it
 * @param detail one sentence that says what would be right
 */
export class Refusal extends Error {
  readonly code: string
  readonly status: number
  readonly errors: FieldProblem[]
  /** Further members of the problem document, e.g. what was available. */
  readonly extra: Record<string, unknown>
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: string,
    status: number,
    detail: string,
    details: { errors?: FieldProblem[]; extra?: Record<string, unknown>; retryAfterSeconds?: number } = {}
  ) {
    super(detail)
    this.name = 'Refusal'
    this.code = code
    this.status = status
    this.errors = details.errors ?? []
    this.extra = details.extra ?? {}
    this.retryAfterSeconds = details.retryAfterSeconds
  }
}

export const notFound = (what: string, key: string): Refusal =>
  new Refusal('NotFound', 404, `there is no ${what} ${key}, or you may not see it`)

/** `InsufficientStock` → `urn:bincard:problem:insufficient-stock` */
export const problemType = (code: string): string =>
  `urn:bincard:problem:${code.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '-').toLowerCase()}`

/** The RFC 9457 document of a refusal. */
export function problemOf(refusal: Refusal, instance: string) {
  return {
    type: problemType(refusal.code),
    title: refusal.code.replace(/(?<=[a-z0-9])(?=[A-Z])/g, ' '),
    status: refusal.status,
    code: refusal.code,
    detail: refusal.message,
    instance,
    ...(refusal.errors.length > 0 && { errors: refusal.errors }),
    ...refusal.extra
  }
}
