import type { Harness } from './harness.ts'
import type { MadePerson } from './make.ts'

/** HTTP in somebody's name. */
export const callsAs = (h: Harness, person: MadePerson) => {
  const bearer = { type: 'bearer' } as const
  return {
    get: (path: string) => h.api.get(path).auth(person.token, bearer),
    post: (path: string, body: object = {}) => h.api.post(path).auth(person.token, bearer).send(body),
    patch: (path: string, body: object, headers: Record<string, string> = {}) =>
      h.api.patch(path).auth(person.token, bearer).set(headers).send(body),
    put: (path: string, body: object, headers: Record<string, string> = {}) =>
      h.api.put(path).auth(person.token, bearer).set(headers).send(body),
    upload: (path: string, csv: string | Buffer, type = 'text/csv') =>
      h.api.post(path).auth(person.token, bearer).set('content-type', type).send(csv)
  }
}
export type Caller = ReturnType<typeof callsAs>
