import type { Config } from '../config/schema.ts'
import type { LoadedConfig } from '../config/load.ts'
import { systemClock } from '../clock.ts'
import { handleRequest } from '../gateway/handle-request.ts'
import type { Log } from '../log.ts'
import { startServer } from '../processes/server.ts'
import { createFactBook, type CookieFacts, type Totals } from './cookie-facts.ts'
import { createDigester } from './seen.ts'
import { watchExchange } from './watch-exchange.ts'

/** A gateway that keeps no session, changes nothing and remembers what it saw of cookies. */
export interface Learner {
  facts(): readonly CookieFacts[]
  totals(): Totals
  stop(): Promise<void>
}

/** Runs it. Rejects as any start does, when an address is taken for example. */
export async function startLearner(loaded: LoadedConfig, log: Log): Promise<Learner> {
  const book = createFactBook()
  const watching = { digester: createDigester(), clock: systemClock, seen: book.record }
  const server = await startServer(loaded, log, (gateway, request, response) => {
    watchExchange(request, response, watching)
    return handleRequest(gateway, request, response)
  })
  return { facts: book.facts, totals: book.totals, stop: () => server.stop() }
}

/** The configuration of a gateway that passes everything: to be loaded with what the operator adds to it. */
export function learningTree(upstream: string, newSecret: () => string): { readonly [key in keyof Config]?: unknown } {
  return {
    admin: false,
    keys: { cookie: [{ id: 'learn', secret: newSecret() }], assertion: [{ id: 'learn', alg: 'HS256', secret: newSecret() }] },
    store: { kind: 'memory' },
    // A name no app has: a Set-Cookie under our own name would be taken for an attack on it, and removed.
    session: { cookie: { name: 'sessiongate-learn', secure: false } },
    upstreams: { app: { targets: [upstream] } },
    routes: [{ path: '/', upstream: 'app', session: 'none' }],
    shutdown: { drain: '2s' },
    log: { level: 'warn' },
  }
}
