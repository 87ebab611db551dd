// A process that writes to a file store until it is killed: argv is the directory, a mode, and a name for this writer.
// mode `fill`: records until one is refused, then what else is refused, as JSON. mode `create`: a new record after another; each acknowledged key is printed. mode `count`: adds 1 to the record `counter`, `argv[5]` times.
import { writeSync } from 'node:fs'
import type { EpochMs } from '../../src/session/session.ts'
import { createFileStore } from '../../src/stores/file.ts'

const [, , path = '', mode = '', name = '', times = '0'] = process.argv
const store = createFileStore({ path })
const later = (Date.now() + 3_600_000) as EpochMs
const say = (line: string) => writeSync(1, `${line}\n`)               // out at once, whatever kills this process

async function createForEver(lane: number): Promise<never> {
  for (let index = 0; ; index++) {
    const key = `${name}-${lane}-${index}`
    const { outcome } = await store.create(key, Buffer.from(key.repeat(20)), later)
    if (outcome === 'stored') say(key)
  }
}

async function count(): Promise<void> {
  for (let added = 0; added < Number(times);) {
    const record = await store.load('counter')
    if (!record) throw new Error('the counter is gone')
    const next = Number(Buffer.from(record.bytes).toString()) + 1
    const { outcome } = await store.replace('counter', record.version, Buffer.from(String(next)), later)
    if (outcome === 'stored') added++
  }
  await store.close()
}

async function fill(): Promise<void> {
  process.on('SIGXFSZ', () => {})                                     // a limit on file sizes is met with an error, not with death
  const outcomes: string[] = []
  const attempt = (call: Promise<unknown>) => call.then(() => outcomes.push('done'), (error: Error) => outcomes.push(error.message))
  let created = 0
  while (outcomes.at(-1) === undefined || outcomes.at(-1) === 'done') await attempt(store.create(`${name}-${created++}`, Buffer.alloc(10_000), later))
  outcomes.splice(0)
  for (let again = 0; again < 10; again++) await attempt(store.create(`${name}-again-${again}`, Buffer.alloc(10_000), later))
  const readable = await store.load(`${name}-0`) !== undefined && await store.load(`${name}-${created - 2}`) !== undefined
  say(JSON.stringify({ created, outcomes, readable }))
  await store.close()
}

if (mode === 'fill') await fill()
if (mode === 'create') await Promise.all(Array.from({ length: 8 }, (_, lane) => createForEver(lane)))
if (mode === 'count') await count()
