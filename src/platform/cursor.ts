import { Refusal } from './errors.ts'

/** What a value of a key is: text, a bigint as text, or a whole number. */
export type KeyKind = 'text' | 'id' | 'integer'

const IS_KIND: Record<KeyKind, (value: string | number) => boolean> = {
  text: (value) => typeof value === 'string',
  id: (value) => typeof value === 'string' && /^\d{1,18}$/.test(value),
  integer: (value) => typeof value === 'number'
}

/**
 * Keyset cursors: the sort key of the last row, opaque to the client.
 * @param columns how many values the key has, or of what kind each is; a cursor of another list is refused
 */
export function readCursor(
  cursor: string | undefined,
  columns: number | readonly KeyKind[]
): (string | number)[] | null {
  if (cursor === undefined) return null
  const isKey = (key: (string | number)[]): boolean =>
    typeof columns === 'number'
      ? key.length === columns
      : key.length === columns.length && columns.every((kind, place) => IS_KIND[kind](key[place] ?? ''))
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(key) && key.every(isKeyValue) && isKey(key)) return key
  } catch {
    // falls through to the refusal: the text was not one of our cursors
  }
  throw cursorInvalid(cursor)
}

/** What a cursor is told that another list gave out, or nobody. */
export const cursorInvalid = (cursor: unknown): Refusal =>
  new Refusal(
    'CursorInvalid',
    400,
    'the cursor is not one this list gave out; leave it away to start at the first page',
    {
      errors: [
        { pointer: '?cursor', detail: 'unknown cursor', sent: cursor, accepted: 'nextCursor of the page before' }
      ]
    }
  )

const isKeyValue = (value: unknown): value is string | number =>
  (typeof value === 'string' && !value.includes('\0') && value.isWellFormed()) ||
  (typeof value === 'number' && Number.isSafeInteger(value))

/** Cuts the extra row that a list asked for to learn whether there is a next page. */
export function pageFrom<Row>(rows: Row[], limit: number, keyOf: (row: Row) => (string | number)[]) {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  const nextCursor =
    rows.length > limit && last !== undefined ? Buffer.from(JSON.stringify(keyOf(last))).toString('base64url') : null
  return { items, nextCursor }
}
