import type { Gateway } from './gateway.ts'

/** A generation in use. It is closed when it was replaced and its last request has ended. */
export interface Lease {
  readonly gateway: Gateway
  release(): void
}

/** The current generation, swapped as one reference. */
export interface LiveGateway {
  /** The generation for one request, from its first byte to its last. */
  lease(): Lease
  current(): Gateway
  /** New requests see `next` from here on; the old generation ends when it is idle, or at the latest after `drainMs`. */
  swap(next: Gateway, drainMs: number): Promise<void>
}

interface Generation {
  readonly gateway: Gateway
  users: number
  whenIdle: (() => void) | undefined
}

export function createLiveGateway(first: Gateway): LiveGateway {
  let current: Generation = { gateway: first, users: 0, whenIdle: undefined }

  return {
    current: () => current.gateway,
    lease() {
      const generation = current
      generation.users++
      let isReleased = false
      return {
        gateway: generation.gateway,
        release() {
          if (isReleased) return
          isReleased = true
          if (--generation.users === 0) generation.whenIdle?.()
        },
      }
    },
    async swap(next, drainMs) {
      const previous = current
      current = { gateway: next, users: 0, whenIdle: undefined }
      await idle(previous, drainMs)
      await previous.gateway.close()
    },
  }
}

function idle(generation: Generation, drainMs: number): Promise<void> {
  if (generation.users === 0) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, drainMs).unref()
    generation.whenIdle = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}
