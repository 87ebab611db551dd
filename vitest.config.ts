import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Deadlines are asserted in milliseconds against real servers; where others share the cores, one may come late.
    retry: process.env.CI ? 2 : 0,
    dangerouslyIgnoreUnhandledErrors: false,
  },
})
