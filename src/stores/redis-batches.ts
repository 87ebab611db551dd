import type { Clock } from '../clock.ts'
import { createBatches, MAX_BATCH, type Ask, type Understanding } from './batches.ts'
import type { Attempt, RedisClient } from './redis-client.ts'
import type { RedisScript } from './redis-script.ts'
import { StoreRefusal } from './refusal.ts'

/** What a script said of one key. */
export interface Answer {
  /** The character it begins with (redis-script.ts). */
  readonly letter: number
  /** What follows. */
  readonly value: Buffer | undefined
  /** It may have run before, its answer lost; so what it met may be its own work, or what another has made of that. */
  readonly isRepeated: boolean
}

/** Loads and scripts of one turn of the event loop, asked for at once where one node has all keys. */
export interface RedisBatches {
  /** The string at a key. */
  get: Ask<string, Buffer | null>
  /** Runs the script on the key, with what it takes for each. Running it again after a failure must do no harm. */
  run<T>(script: RedisScript, key: string, args: readonly (string | Buffer)[], understanding: Understanding<Answer, T>): Promise<T>
}

interface Run {
  readonly key: string
  readonly args: readonly (string | Buffer)[]
}

export function createRedisBatches(client: RedisClient, clock: Clock): RedisBatches {
  const { atEndOfTurn } = client
  const limit = client.partOf ? 1 : MAX_BATCH
  const isDivisible = (error: unknown): boolean => error instanceof StoreRefusal
  const get = createBatches({ limit, ask: getAll, isDivisible, atEndOfTurn })
  const runners = new Map<RedisScript, Ask<Run, Answer>>()

  /** A `get` of several tells a key of another type from none no more: whatever is not found is asked for again. */
  async function getAll(keys: string[]): Promise<(Buffer | null)[]> {
    if (keys.length === 1) return [await client.send('get', keys)]
    const values = await client.send('mget', keys) as unknown as (Buffer | null)[]
    if (values.includes(null)) await Promise.all(values.map(async (value, i) => { values[i] = value ?? await client.send('get', [keys[i] as string]) }))
    return values
  }

  function runAll(script: RedisScript): (runs: readonly Run[], isAgain: boolean) => Promise<Answer[]> {
    return async (runs, isAgain) => {
      const attempt: Attempt = { isRepeated: isAgain }
      const reply = await client.evaluate(script, keysAndArgsOf(runs), attempt) as Buffer | Buffer[]
      return answersIn(reply, attempt.isRepeated === true)
    }
  }

  /** By loops: flatMap costs V8 as much as the rest of the command. */
  function keysAndArgsOf(runs: readonly Run[]): (string | Buffer)[] {
    const list: (string | Buffer)[] = [String(runs.length)]
    for (const { key } of runs) list.push(key)
    list.push(String(clock()))
    for (const { args } of runs) for (const arg of args) list.push(arg)
    return list
  }

  function runnerOf(script: RedisScript): Ask<Run, Answer> {
    const known = runners.get(script)
    if (known) return known
    const fresh = createBatches({ limit, ask: runAll(script), isDivisible, atEndOfTurn })
    runners.set(script, fresh)
    return fresh
  }

  return { get, run: (script, key, args, understanding) => runnerOf(script)({ key, args }, understanding) }
}

/** One string where every answer is a letter alone. */
function answersIn(reply: Buffer | readonly Buffer[], isRepeated: boolean): Answer[] {
  const answers: Answer[] = []
  if (Buffer.isBuffer(reply)) for (const letter of reply) answers.push({ letter, value: undefined, isRepeated })
  else for (const one of reply) answers.push({ letter: one[0] as number, value: one.subarray(1), isRepeated })
  return answers
}
