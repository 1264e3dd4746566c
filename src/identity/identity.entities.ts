import { defineEntity, p, type InferEntity } from '@mikro-orm/postgresql'

/** Somebody who acts. Rooms relate their documents to it; people themselves are written by SQL in this room. */
export const Person = defineEntity({
  name: 'Person',
  tableName: 'person',
  properties: {
    id: p.integer().primary(),
    /** Lower case; what the person signs in with and what paths and documents show. */
    username: p.text(),
    name: p.text(),
    language: p.text().default('zh'),
    email: p.text().nullable(),
    /** PHC string; null for people who sign in elsewhere and for `system`. */
    passwordHash: p.text().nullable().hidden().lazy(),
    active: p.boolean().default(true),
    createdAt: p.datetime().defaultRaw('now()')
  }
})
export type Person = InferEntity<typeof Person>
