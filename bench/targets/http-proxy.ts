import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import httpProxy from 'http-proxy'
import { announce, settingsOf } from '../child.ts'

/** The baseline: bare http-proxy 1.18.1 with a keep-alive agent, no session, no hooks. */
const { upstream } = settingsOf<{ upstream: string }>()

const proxy = httpProxy.createProxyServer({ target: upstream, agent: new Agent({ keepAlive: true }) })
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response) response.writeHead(502)
  response.end()
})

const server = createServer((request, response) => proxy.web(request, response))
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', 1024, () => announce((server.address() as AddressInfo).port))
