import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Address } from '../config/address.ts'

/** Whether this process should get traffic, and if not, why: one line per cause, for people. */
export interface Readiness {
  readonly isReady: boolean
  readonly causes: readonly string[]
}

/** What the operators' listener shows. Nothing of it ever holds an id, a cookie or an assertion. */
export interface AdminSources {
  readiness(): Promise<Readiness>
  /** Prometheus text format. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
  /** JWK set of the assertion keys. */
  jwks(): object
  /** Further paths: resolves to true when it answered. */
  api?(request: IncomingMessage, response: ServerResponse): Promise<boolean>
}

export interface Admin {
  close(): Promise<void>
}

/** The admin listener: /livez, /readyz, /metrics, /jwks.json. Rejects when the address is taken. */
export async function openAdmin(address: Address, sources: AdminSources): Promise<Admin> {
  const server = createServer((request, response) => {
    answer(request, response, sources).catch(() => send(response, 500, 'text/plain', 'error\n'))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }, resolve)
  })
  return {
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, sources: AdminSources): Promise<void> {
  const path = (request.url ?? '').replace(/\?.*/s, '')
  if (await sources.api?.(request, response)) return
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'text/plain', 'method not allowed\n')
  switch (path) {
    case '/livez': return send(response, 200, 'text/plain', 'ok\n')
    case '/readyz': {
      const { isReady, causes } = await sources.readiness()
      return send(response, isReady ? 200 : 503, 'text/plain', isReady ? 'ok\n' : `${causes.join('\n')}\n`)
    }
    case '/metrics': {
      const { contentType, text } = await sources.metrics()
      return send(response, 200, contentType, text)
    }
    case '/jwks.json': return send(response, 200, 'application/jwk-set+json', `${JSON.stringify(sources.jwks())}\n`, { 'Cache-Control': 'public, max-age=60' })
    default: return send(response, 404, 'text/plain', 'not found; there are /livez, /readyz, /metrics, /jwks.json and /sessions\n')
  }
}

export function send(response: ServerResponse, status: number, contentType: string, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store', ...headers })
  response.end(body)
}
