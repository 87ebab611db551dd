import { setTimeout as sleep } from 'node:timers/promises'
import type { Relay } from '../support/relay.ts'
import type { Server } from '../support/servers/process.ts'

/** What can be done to a store and its network. */
export interface Victim {
  readonly server: Server
  /** The network of each gateway to the store. */
  readonly relays: readonly Relay[]
  /** Faults only this kind of store has. */
  readonly own?: Readonly<Record<string, () => Promise<unknown>>>
  /** Whether what it acknowledged survives SIGKILL. */
  readonly isDurable: boolean
}

export interface Nemesis {
  /** How often each fault was injected. */
  readonly injected: Readonly<Record<string, number>>
  /** Ends all faults; resolves when the store is whole. */
  stop(): Promise<void>
}

/** Injects one fault after the other, each for a moment, in an order given by `seed`, until stopped. */
export function startNemesis(victim: Victim, { calmMs = 150, faultMs = 120, seed = 1 }: { calmMs?: number; faultMs?: number; seed?: number } = {}): Nemesis {
  const random = randomFrom(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const { server } = victim
  const relay = (): Relay => pick(victim.relays)
  const hold = (): Promise<void> => sleep(faultMs * (0.5 + random() * 3))

  const faults: Record<string, () => Promise<unknown>> = {
    pause: async () => { server.pause(); await hold(); server.resume() },
    'slow network': async () => { const one = relay(); one.set({ latencyMs: 20, jitterMs: 60 }); await hold(); one.heal() },
    'slow replies': async () => { const one = relay(); one.set({ latencyMs: 120 }, 'down'); await hold(); one.heal() },
    'black hole': async () => { const one = relay(); one.set({ blackHole: true }, pick(['up', 'down', 'both'] as const)); await hold(); one.heal() },
    'replies held back': async () => { const one = relay(); one.set({ hold: true }, 'down'); await hold(); one.heal() },
    'cut in a reply': async () => { const one = relay(); one.set({ resetAfterBytes: Math.floor(random() * 2_000) }, 'down'); await hold(); one.heal() },
    'cut in a request': async () => { const one = relay(); one.set({ resetAfterBytes: Math.floor(random() * 4_000) }, 'up'); await hold(); one.heal() },
    resets: async () => { for (let i = 0; i < 5; i++) { relay().resetAll(); await sleep(10) } },
    'refused connections': async () => { const one = relay(); one.refuse(); one.resetAll(); await hold(); await one.accept() },
    ...(victim.isDurable ? { kill: async () => { await server.kill(); await hold(); await server.restart() } } : {}),
    ...victim.own,
  }
  const injected: Record<string, number> = Object.fromEntries(Object.keys(faults).map((name) => [name, 0]))
  let isStopped = false

  async function run(): Promise<void> {
    let order: string[] = []
    while (!isStopped) {
      if (order.length === 0) order = Object.keys(faults).map((name) => ({ name, at: random() })).sort((a, b) => a.at - b.at).map(({ name }) => name)
      const name = order.pop() as string
      await faults[name]?.()
      injected[name] = (injected[name] ?? 0) + 1
      await sleep(calmMs * random())
    }
  }
  const running = run()

  return {
    injected,
    async stop() {
      isStopped = true
      await running
    },
  }
}

/** A small generator (mulberry32), so that a run can be told again. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
