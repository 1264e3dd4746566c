import { expect, test } from 'vitest'
import { checkPassword, hashPassword, verifyPassword } from '../../src/identity/passwords.ts'

test('a stored password says how it was made and fits only itself', async () => {
  const stored = await hashPassword('correct horse battery')

  expect(stored).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(await verifyPassword('correct horse battery', stored)).toBe(true)
  expect(await verifyPassword('correct horse batterx', stored)).toBe(false)
  expect(await hashPassword('correct horse battery')).not.toBe(stored)
})

test('the same characters composed differently are the same password', async () => {
  expect(await verifyPassword('cafe\u0301 cafe\u0301', await hashPassword('caf\u00e9 caf\u00e9'))).toBe(true)
})

test('without a stored password the work is done all the same and the answer is no', async () => {
  const before = process.cpuUsage()
  expect(await verifyPassword('correct horse battery', undefined)).toBe(false)
  const { user } = process.cpuUsage(before)
  // Three passes over 32 MiB cost tens of milliseconds on any machine; nothing at all would cost microseconds.
  expect(user).toBeGreaterThan(5_000)
})

test('nine characters are too few for people, whatever the script', () => {
  expect(() => checkPassword('九个汉字不够长的啊')).toThrow(/at least 10 characters/)
  expect(() => checkPassword('十个汉字就已经够长了啊')).not.toThrow()
  expect(() => checkPassword('12345678', 8)).not.toThrow()
})
