import { Agent } from 'node:http'
import type { ClientRequest, IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session, { type SessionData } from 'express-session'
import { createProxyMiddleware } from 'http-proxy-middleware'
import { createClient } from 'redis'
import { announce, settingsOf } from '../child.ts'

/**
 * What teams build by hand today: express 5, express-session on connect-redis, http-proxy-middleware with a keep-alive agent.
 *
 * The session's data goes to the application as a plain JSON header (unsigned: cheaper than what the gateway does), and what the
 * application answers in X-Session-Patch is put into the session, which express-session stores before it ends the response.
 */
const { upstream, redisUrl } = settingsOf<{ upstream: string, redisUrl: string }>()

const redis = createClient({ url: redisUrl })
await redis.connect()

const app = express()
app.disable('x-powered-by')
app.set('trust proxy', false)
app.use(session({
  store: new RedisStore({ client: redis, prefix: 'express:' }),
  secret: 'the benchmark is not a production system',
  name: 'session',
  resave: false,
  saveUninitialized: false,
  cookie: { httpOnly: true, sameSite: 'lax', secure: false },
}))

type WithSession = IncomingMessage & { session: Record<string, unknown> }

app.use(createProxyMiddleware({
  target: upstream,
  agent: new Agent({ keepAlive: true }),
  on: {
    proxyReq: (proxyRequest: ClientRequest, request: IncomingMessage) => {
      const { cookie: _, ...data } = (request as WithSession).session as unknown as SessionData
      proxyRequest.setHeader('x-session', JSON.stringify(data))
    },
    proxyRes: (proxyResponse: IncomingMessage, request: IncomingMessage) => {
      const patch = proxyResponse.headers['x-session-patch']
      if (typeof patch !== 'string') return
      delete proxyResponse.headers['x-session-patch']
      Object.assign((request as WithSession).session, JSON.parse(patch))
    },
  },
}))

const server: Server = app.listen(0, '127.0.0.1', 1024, () => announce((server.address() as AddressInfo).port))
server.keepAliveTimeout = 120_000
