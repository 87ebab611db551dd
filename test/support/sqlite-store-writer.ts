import { systemClock } from '../../src/clock.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { createSqliteStore } from '../../src/stores/sqlite.ts'

/** A process that writes to a SQLite store: `path create|count times` or `path fill`, until the disk is full. */
const [path = '', task, times = '0'] = process.argv.slice(2)
const store = createSqliteStore({ path })
const later = (systemClock() + 3_600_000) as EpochMs

switch (task as 'create' | 'count' | 'fill') {
  case 'create':
    for (let index = 0; index < Number(times); index++) {
      await store.create(`key ${index}`, Buffer.from(`key ${index}`), later)
      process.stdout.write(`key ${index}\n`)
    }
    break
  case 'count':
    for (let added = 0; added < Number(times);) {
      const record = (await store.load('counter'))!
      const next = Number(Buffer.from(record.bytes).toString()) + 1
      if ((await store.replace('counter', record.version, Buffer.from(String(next)), later)).outcome === 'stored') added++
    }
    break
  case 'fill': {
    let refusal = ''
    for (let index = 0; refusal === ''; index++) await store.create(`filler ${index}`, Buffer.alloc(10_000), later).catch((error: Error) => { refusal = error.message })
    process.stdout.write(`${JSON.stringify({ refusal, isReadable: await store.load('filler 0') !== undefined })}\n`)
  }
}
await store.close()
