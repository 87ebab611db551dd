import { connect as connectTls } from 'node:tls'
import { join } from 'node:path'
import { readFileSync, statSync } from 'node:fs'
import { expect, test } from 'vitest'
import { makeLeaf, testCertificates } from '../support/certificates.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { freePort } from '../support/ports.ts'
import { connectRaw } from '../support/raw-client.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'

const SETS = rawResponse({ headers: [['X-Session-Patch', '{"a":1}']], body: 'ok' })

test('a TLS listener gives a __Host- cookie with Secure, says https upstream, and takes new certificates on reload', async () => {
  await using upstream = await startRawUpstream()
  upstream.respond(SETS)
  const { server, ca } = testCertificates()
  const port = await freePort()
  const config = { listen: `127.0.0.1:${port}`, tls: { certFile: server.certFile, keyFile: server.keyFile } }
  await using gateway = await startGatewayProcess({ upstream: upstream.url, config })

  await using client = await connectRaw({ host: '127.0.0.1', port, tls: { ca, servername: 'localhost' } })
  await client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const reply = await client.readResponse()
  expect(reply.header('set-cookie')).toMatch(/^__Host-session=c1\.[^;]+; Path=\/; Secure; HttpOnly; SameSite=Lax$/)
  expect(upstream.lastRequest.header('x-forwarded-proto')).toBe('https')

  const next = makeLeaf({ names: ['localhost', 'renewed.example'] })
  gateway.write({ ...config, tls: { certFile: next.certFile, keyFile: next.keyFile } })
  gateway.child.signal('SIGHUP')
  await waitFor(async () => (await namesOf(port, ca)).includes('renewed.example'), 'the new certificate')
})

function namesOf(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost' }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? '')
      socket.destroy()
    }).on('error', reject)
  })
}

test('unix sockets on both sides, a leftover socket file included', async () => {
  await using upstream = await startRawUpstream(undefined, { unix: true })
  upstream.respond(SETS)
  const path = join(process.env['TMPDIR'] ?? '/tmp', `sessiongate-${process.pid}.sock`)
  const config = { listen: `unix:${path}` }
  await using first = await startGatewayProcess({ upstream: upstream.url, config })
  await first.child.kill()
  expect(statSync(path).isSocket()).toBe(true)

  await using second = await first.restart()
  await using client = await connectRaw(`unix:${path}`)
  await client.send('GET /x HTTP/1.1\r\nHost: app.example\r\n\r\n')
  const reply = await client.readResponse()
  expect(reply.status).toBe(200)
  expect(reply.header('set-cookie')).toContain('session=')
  expect(upstream.lastRequest.header('host')).toBe('app.example')
  expect(readFileSync(second.configFile, 'utf8')).toContain('unix:')
})
