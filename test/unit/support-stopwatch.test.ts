import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startStopwatch } from '../support/stopwatch.ts'

test('counts computing in full, also after the event loop came back to it', async () => {
  const elapsed = startStopwatch()
  const before = process.cpuUsage()
  while (process.cpuUsage(before).user < 100_000);
  expect(elapsed()).toBeGreaterThan(90)
  await sleep(20)
  expect(elapsed()).toBeGreaterThan(90)
})

test('does not count what the machine took away', async () => {
  const elapsed = startStopwatch()
  await sleep(20)
  const startedAt = performance.now()
  const stop = spawn('sh', ['-c', `kill -STOP ${process.pid}; sleep 0.5; kill -CONT ${process.pid}`], { stdio: 'ignore' })
  await new Promise((resolve) => { stop.once('exit', resolve) })
  await sleep(20)
  expect(performance.now() - startedAt).toBeGreaterThan(500)
  expect(elapsed()).toBeLessThan(300)
})
