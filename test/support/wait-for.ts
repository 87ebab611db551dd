import { setTimeout as sleep } from 'node:timers/promises'

/** What `what` may be: a sentence, or a function so that the message can say how far things had come. */
export type Description = string | (() => string)

/** The promise's outcome, or a rejection naming `what` after `timeoutMs`. The timer never outlives the promise. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what: Description): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${describe(what)} within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, expired])
  } finally {
    clearTimeout(timer)
  }
}

/** Polls `condition` until it holds and returns its first truthy value; rejects naming `what` after `timeoutMs`. */
export async function waitFor<T>(
  condition: () => T | Promise<T>, what: Description = 'expected condition', timeoutMs = 5_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() >= deadline) throw new Error(`no ${describe(what)} within ${timeoutMs} ms`)
    await sleep(5)
  }
}

function describe(what: Description): string {
  return typeof what === 'string' ? what : what()
}
