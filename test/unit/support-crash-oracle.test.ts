import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { watchChild, watchCrashes, type CrashOracle } from '../support/crash-oracle.ts'
import { openDescriptors, residentBytes } from '../support/process-health.ts'
import { startProcess } from '../support/processes.ts'
import { connectRaw, rawRequest } from '../support/raw-client.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe('the oracle over this process', () => {
  test('is content with a case that cleans up after itself, again and again', async () => {
    using oracle = watchCrashes()
    for (let turn = 0; turn < 3; turn++) {
      const upstream = await startRawUpstream()
      await rawRequest(upstream.port, GET)
      await upstream.close()
      await oracle.assertClean()
    }
  })

  test.each<[string, () => void, RegExp]>([
    ['an unhandled rejection', () => { void Promise.reject(new Error('planted')) }, /unhandledRejection: Error: planted/],
    ['an uncaught exception', () => { setImmediate(() => { throw new Error('planted') }) }, /uncaughtException: Error: planted/],
    ['a listener leak', leakListeners, /MaxListenersExceededWarning/],
    ['a process warning', () => { process.emitWarning('old', 'DeprecationWarning', 'DEP9999') }, /DeprecationWarning: old/],
  ])('reports %s once', async (_name, plant, finding) => {
    using oracle = watchCrashes()
    plant()
    await expect(oracle.assertClean()).rejects.toThrow(finding)
    await oracle.assertClean()
  })

  test('reports open descriptors, naming the port', async () => {
    await using upstream = await startRawUpstream()
    using oracle = watchCrashes({ settleMs: 30 })
    await using _client = await connectRaw(upstream.url)
    await expect(oracle.assertClean()).rejects.toThrow(new RegExp(`more open descriptors than before: .*port ${upstream.port}`))
  })

  test('waits for descriptors that are about to close', async () => {
    await using upstream = await startRawUpstream()
    using oracle = watchCrashes()
    const client = await connectRaw(upstream.url)
    setTimeout(() => { client.close() }, 50)
    await oracle.assertClean()
  })

  test('reports memory that is kept, not memory that is garbage', async () => {
    using oracle = watchCrashes({ settleMs: 30, growthBytes: 8 * 1024 * 1024 })
    makeArray(1)
    await oracle.assertClean()
    const kept = makeArray(2)
    await expect(oracle.assertClean()).rejects.toThrow(/the heap grew by \d+\.\d MB/)
    expect(kept).toHaveLength(2_000_000)
  })

  test('does not swallow what nobody asked about, and gives the handlers back', () => {
    const before = process.listeners('unhandledRejection')
    const oracle = watchCrashes()
    expect(process.listeners('unhandledRejection')).not.toEqual(before)
    process.emit('unhandledRejection', new Error('unasked'), Promise.resolve())
    expect(() => { oracle[Symbol.dispose]() }).toThrow(/unasked/)
    expect(process.listeners('unhandledRejection')).toEqual(before)
  })
})

describe('the oracle over a child', () => {
  test('sees its death, its complaints, its descriptors and its memory', async () => {
    await using child = startProcess(process.execPath, ['-e', `
      const kept = []
      process.stdin.on('data', () => {})
      process.on('SIGUSR2', () => { kept.push(require('fs').openSync('/dev/null'), Buffer.alloc(80e6, 1)); console.log('grown') })
      process.on('SIGHUP', () => { for (let i = 0; i < 11; i++) process.on('x', () => {}); console.log('leaked') })
      process.on('SIGTERM', () => { Promise.reject(new Error('planted')) })
      setInterval(() => {}, 1000)
      console.log('ready')`])
    await child.waitForLine(/ready/)
    using oracle: CrashOracle = watchChild(child, { settleMs: 50 })
    await oracle.assertClean()

    child.signal('SIGUSR2')
    await child.waitForLine(/grown/)
    await expect(oracle.assertClean()).rejects.toThrow(/1 more open descriptors than before: \/dev\/null\nresident memory of \d+ grew/)

    child.signal('SIGHUP')
    await child.waitForLine(/MaxListenersExceeded/, { stream: 'stderr' })
    await expect(oracle.assertClean()).rejects.toThrow(/stderr: .*MaxListenersExceededWarning/)

    child.signal('SIGTERM')
    await child.exited
    await expect(oracle.assertClean()).rejects.toThrow(/ended: \{"code":1,"signal":null\}; its last words:[^]*Error: planted/)
  })

  test('reads descriptors and memory of any process', async () => {
    expect(openDescriptors().size).toBeGreaterThan(2)
    expect(residentBytes()).toBeGreaterThan(10_000_000)
    await using child = startProcess('sleep', ['30'])
    expect(openDescriptors(child.pid).get('0')).toBe('/dev/null')
    await child.kill()
    expect(residentBytes(child.pid)).toBe(0)
  })
})

function leakListeners(): void {
  const emitter = new EventEmitter()
  for (let at = 0; at < 11; at++) emitter.on('x', () => {})
}

function makeArray(millions: number): number[] {
  return Array.from({ length: millions * 1_000_000 }, (_, at) => at + 0.5)
}
