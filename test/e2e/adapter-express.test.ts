import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express, { type Request, type RequestHandler } from 'express'
import { createLocalJWKSet } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { startWorld } from '../support/world.ts'

type Verify = (token: string, keys: unknown, alg: string, audience: string) => Promise<object>
type Options = { verify: (token: string) => Promise<object>, onRefused: (request: unknown) => void }
type WithSession = Request & { session?: Record<string, unknown> }

// Plain JavaScript without types, as an app would copy it.
const examples = new URL('../../examples/', import.meta.url)
const { sessiongate } = await import(new URL('adapters/express/sessiongate-express.js', examples).href) as { sessiongate: (options: Options) => RequestHandler }
const { verify } = await import(new URL('verify/node/verify.js', examples).href) as { verify: Verify }

test.for(['EdDSA', 'ES256'] as const)('an Express app verifies %s with jose and the public key alone', async (alg) => {
  const { publicKey, privateKey } = alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwks = createLocalJWKSet({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'p1', alg }] })
  const refused: unknown[] = []
  const app = express()
  app.use(sessiongate({ verify: (token) => verify(token, jwks, alg, 'app'), onRefused: (request) => refused.push(request) }))
  app.use((request, response) => {
    const { session } = request as WithSession
    if (!session) return void response.status(403).send('no session')
    session.count = Number(session.count ?? 0) + 1
    response.json(session)
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => { server.close() })
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using world = await startWorld({
    upstream: { targets: [target] },
    config: {
      keys: {
        cookie: [{ id: 'c1', secret: 'c00kie-9f8e7d6c5b4a39281706f5e4d3c2b1a0' }],
        assertion: [{ id: 'p1', alg, privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }) }],
      },
    },
  })

  expect((await world.client.get('/')).json()).toEqual({ count: 1 })
  expect((await world.client.get('/')).json()).toEqual({ count: 2 })

  const forged = await fetch(target, { headers: { 'x-session-assertion': 'e30.e30.AAAA' } })
  expect([forged.status, refused.length]).toEqual([403, 1])
})
