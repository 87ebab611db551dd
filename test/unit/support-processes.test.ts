import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freePort, isListening, waitForPort } from '../support/ports.ts'
import { runProcess, startProcess, startTypeScript } from '../support/processes.ts'
import { waitFor } from '../support/wait-for.ts'

const node = (script: string) => startProcess(process.execPath, ['-e', script])

describe('a child process', () => {
  test('its output, exit code and signal are seen', async () => {
    expect(await runProcess('sh', ['-c', 'echo out; echo err >&2; printf unfinished; exit 3'])).toEqual({
      code: 3, signal: null, stdout: 'out\nunfinished', stderr: 'err',
    })
    expect(await runProcess('sh', ['-c', 'kill -9 $$'])).toMatchObject({ code: null, signal: 'SIGKILL' })
    expect(await runProcess('cat', [], { input: 'hello' })).toMatchObject({ stdout: 'hello' })
    expect(await runProcess('sh', ['-c', 'echo $A-$B'], { env: { A: '1', B: undefined } })).toMatchObject({ stdout: '1-' })
  })

  test('waits for lines and JSON entries, past and future', async () => {
    await using child = node(`console.log('{"level":30,"msg":"ready","port":1}'); setTimeout(() => console.error('late 42'), 50); setInterval(() => {}, 1e3)`)
    expect(await child.waitForJson((entry) => entry['msg'] === 'ready')).toEqual({ level: 30, msg: 'ready', port: 1 })
    expect(await child.waitForLine(/late (\d+)/)).toBe('late 42')
    expect(await child.waitForLine(/late/, { stream: 'stderr' })).toBe('late 42')
    expect(child.jsonLines()).toHaveLength(1)
    await expect(child.waitForLine(/late/, { stream: 'stdout', timeoutMs: 20 })).rejects.toThrow(/no line \/late\/ from .* within 20 ms/s)
  })

  test('a child that ends first says why', async () => {
    await using child = node(`console.error('cannot listen'); process.exitCode = 4`)
    await expect(child.waitForLine(/ready/)).rejects.toThrow(/ended \({"code":4,"signal":null}\) without line \/ready\/; it said:\n\ncannot listen/)
  })

  test('a command that does not exist rejects', async () => {
    await expect(runProcess('/no/such/command')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('stop is polite first, and hard with those who do not listen', async () => {
    await using polite = node(`process.on('SIGTERM', () => process.exit(0)); console.log('up'); setInterval(() => {}, 1e3)`)
    await polite.waitForLine(/up/)
    expect(await polite.stop()).toEqual({ code: 0, signal: null })
    await using deaf = node(`process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1e3)`)
    await deaf.waitForLine(/up/)
    expect(await deaf.stop(50)).toEqual({ code: null, signal: 'SIGKILL' })
  })

  test('dispose takes the grandchildren too', async () => {
    const port = await freePort()
    {
      await using child = node(`
        require('child_process').spawn(process.execPath, ['-e', 'require("net").createServer().listen(${port}, "127.0.0.1")'], { stdio: 'ignore' })
        setInterval(() => {}, 1e3)`)
      await waitForPort(port)
      expect(child.exit).toBeUndefined()
    }
    await waitFor(async () => !await isListening(port), 'closed port')
  })
})

describe('running TypeScript', () => {
  test('with .ts imports, parameter properties and true line numbers, and again from the cache', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'typescript-'))
    const main = join(directory, 'main.ts')
    writeFileSync(join(directory, 'part.ts'), `export type Name = string\nexport class Part { constructor(readonly name: Name) {} }\n`)
    writeFileSync(main, `import { Part, type Name } from './part.ts'
interface Unused { a: 1 }
const name: Name = process.argv[2] ?? ''
console.log(new Part(name).name satisfies string)
throw new Error('on line 5')\n`)
    for (const word of ['one', 'two']) {
      await using child = startTypeScript(main, [word])
      expect(await child.exited).toEqual({ code: 1, signal: null })
      expect(child.stdout).toBe(word)
      expect(child.stderr).toMatch(/main\.ts:5/)
    }
    await rm(directory, { recursive: true })
  })
})
