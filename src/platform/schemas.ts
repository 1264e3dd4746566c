import { Type, type Static, type TSchema } from 'typebox'

/** Every schema that the API names; `app.ts` registers them before any route. */
export const namedSchemas: TSchema[] = []

/** Gives a schema a name in the OpenAPI document; use it in routes through `ref`. */
export function named<T extends TSchema>(name: string, schema: T): T & { $id: string } {
  const withId = { ...schema, $id: name } as T & { $id: string }
  namedSchemas.push(withId)
  return withId
}

/** A reference to a named schema that keeps its static type. */
export const ref = <T extends TSchema & { $id: string }>(schema: T) =>
  Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })

/**
 * A value or null. Written as a list of types where the schema has one type: the serializer then looks at the value, while it
 * runs a validator for every member of an `anyOf`.
 */
export const nullable = <T extends TSchema>(schema: T) => {
  const { type, enum: values, anyOf } = schema as { type?: unknown; enum?: unknown[]; anyOf?: unknown }
  if (typeof type !== 'string' || type === 'object' || type === 'array' || anyOf !== undefined)
    return Type.Unsafe<Static<T> | null>(Type.Union([schema, Type.Null()]))
  return Type.Unsafe<Static<T> | null>({
    ...schema,
    type: [type, 'null'],
    ...(values !== undefined && { enum: [...values, null] })
  })
}

/** One of a list of words. */
export const oneOf = <const Values extends readonly string[]>(values: Values, description: string) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: [...values], description })

/** Closed on purpose: an unknown member is a spelling mistake somebody wants to hear about. */
export const closed = { additionalProperties: false } as const

export const Quantity = Type.String({
  pattern: '^(0|[1-9][0-9]{0,11})([.][0-9]{1,3})?$',
  description: 'Quantity, a decimal string with at most three places',
  examples: ['5', '0.125']
})

/** Strictly more than zero; the pattern cannot say so legibly, so the minimum is in words and checked by the verb. */
export const PositiveQuantity = Type.String({
  pattern: '^(?!0+([.]0+)?$)(0|[1-9][0-9]{0,11})([.][0-9]{1,3})?$',
  description: 'Quantity greater than zero, a decimal string with at most three places',
  examples: ['5', '0.125']
})

export const SignedQuantity = Type.String({
  pattern: '^-?(0|[1-9][0-9]{0,11})([.][0-9]{1,3})?$',
  description: 'Quantity with sign, a decimal string with at most three places',
  examples: ['-2', '5']
})

/** What somebody writes: something at least, and not blanks alone. */
export const text = (maxLength: number, description: string, example?: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: '\\S',
    description,
    ...(example !== undefined && { examples: [example] })
  })

export const Money = Type.String({
  pattern: '^-?(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$',
  description: 'Amount in the business currency, a decimal string with at most two places',
  examples: ['12.50']
})

export const UnitCost = Type.String({
  pattern: '^(0|[1-9][0-9]{0,13})([.][0-9]{1,4})?$',
  description: 'Cost of one stock unit, a decimal string with at most four places',
  examples: ['12.5000']
})

/** A calendar day in the business time zone. */
export const Day = Type.String({
  format: 'date',
  description: 'Day in the business time zone',
  examples: ['2026-11-21']
})
export const Month = Type.String({
  pattern: '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])$',
  description: 'Calendar month',
  examples: ['2026-11']
})
export const Instant = Type.String({
  format: 'date-time',
  description: 'Instant, RFC 3339 in UTC',
  examples: ['2026-11-21T08:30:00Z']
})

export const WarehouseCode = Type.String({
  pattern: '^[A-Z0-9][A-Z0-9-]{0,19}$',
  description: 'Warehouse code (仓库代码)',
  examples: ['HQ']
})
export const PartNumber = Type.String({
  minLength: 1,
  maxLength: 60,
  // . and .. name no part in a path.
  pattern: '^(?![.]{1,2}$)\\S(.*\\S)?$',
  description: 'Part number (货号)',
  examples: ['CH-0234']
})

export const limitAndCursor = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Rows per page' })),
  cursor: Type.Optional(Type.String({ maxLength: 500, description: 'nextCursor of the page before' }))
}

/** A page of a list: `items` and the cursor of the next page, null on the last one. */
export const pageOf = <T extends TSchema & { $id: string }>(item: T) =>
  named(`${item.$id}Page`, Type.Object({ items: Type.Array(ref(item)), nextCursor: nullable(Type.String()) }, closed))

export const Problem = named(
  'Problem',
  Type.Object(
    {
      type: Type.String({ examples: ['urn:bincard:problem:insufficient-stock'] }),
      title: Type.String(),
      status: Type.Integer(),
      code: Type.String({ examples: ['InsufficientStock'] }),
      detail: Type.String(),
      instance: Type.String(),
      errors: Type.Optional(
        Type.Array(
          Type.Object({
            pointer: Type.String({
              description: 'JSON pointer into the body, ?name of a query parameter, or {name} of a path parameter'
            }),
            detail: Type.String(),
            sent: Type.Optional(Type.Unknown()),
            accepted: Type.Optional(Type.Unknown())
          })
        )
      )
    },
    { additionalProperties: true, description: 'RFC 9457 problem document (错误说明)' }
  )
)

/** The answers every operation may give besides its own. */
export const problems = { '4xx': ref(Problem), '5xx': ref(Problem) }
