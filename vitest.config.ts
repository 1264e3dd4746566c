import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Every file has a database of its own; a slow shared machine is no reason to fail.
    testTimeout: 120_000,
    hookTimeout: 300_000,
    teardownTimeout: 30_000
  }
})
