import { defineEntity, p, type InferEntity } from '@mikro-orm/postgresql'

/** Somebody who acts. Rooms relate their documents to it; people themselves are written by SQL in this room. */
export const Person = defineEntity({
  name: 'Person',
  tableName: 'person',
  uniques: [{ name: 'person_username_taken', properties: ['username'] }],
  indexes: [{ name: 'person_name', properties: ['name', 'id'] }],
  checks: [
    { name: 'person_username_malformed', expression: `username ~ '^[a-z0-9][a-z0-9._@-]{1,59}$'::text` },
    { name: 'person_language_unknown', expression: `language = ANY (ARRAY['zh'::text, 'en'::text])` },
    { name: 'person_locked_says_why', expression: `(locked_at IS NULL) = (locked_because IS NULL)` }
  ],
  properties: {
    id: p.integer().primary().generated('by default as identity'),
    /** Lower case; what the person signs in with and what paths and documents show. */
    username: p.text(),
    name: p.text(),
    language: p.text().$type<'zh' | 'en'>().default('zh'),
    email: p.text().nullable(),
    /** PHC string; null for people who sign in elsewhere and for `system`. */
    passwordHash: p.text().nullable().hidden().lazy(),
    active: p.boolean().default(true),
    /** Access tokens from before are refused. */
    tokensValidFrom: p.datetime().nullable(),
    /** Everything the person signs in with is refused since then; duties go on. */
    lockedAt: p.datetime().nullable(),
    lockedBecause: p.text().nullable(),
    createdAt: p.datetime().defaultRaw('now()'),
    createdBy: () =>
      p
        .manyToOne(Person)
        .joinColumn('created_by')
        .ref()
        .nullable()
        .deleteRule('no action')
        .updateRule('no action')
        .foreignKeyName('person_created_by_unknown')
        .index(false)
  }
})
export type Person = InferEntity<typeof Person>
