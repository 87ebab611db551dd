import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { makeLeaf, makeSelfSigned, testCertificates } from '../support/certificates.ts'
import { connectRaw, httpClient } from '../support/raw-client.ts'
import { echoJson, rawResponse, startRawUpstream, step } from '../support/raw-upstream.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe('certificates', () => {
  test('the leaf is the authority’s, for loopback, and made once', () => {
    const { ca, server } = testCertificates()
    const leaf = new X509Certificate(server.cert)
    expect(leaf.verify(new X509Certificate(ca).publicKey)).toBe(true)
    expect([leaf.checkHost('localhost'), leaf.checkIP('127.0.0.1'), leaf.checkHost('example.com')]).toEqual(['localhost', '127.0.0.1', undefined])
    expect(testCertificates().server).toBe(server)
  })

  test('an upstream and clients speak TLS, verified', async () => {
    const { ca, server } = testCertificates()
    await using upstream = await startRawUpstream(echoJson(), { tls: server })
    await using client = await connectRaw({ port: upstream.port, tls: { ca } })
    expect((await client.request(GET)).json()).toMatchObject({ method: 'GET' })
    using browser = httpClient(upstream.url, { ca })
    expect((await browser.get('/x')).json()).toMatchObject({ target: '/x' })
    expect(upstream.url).toMatch(/^https:/)
  })

  test('a reset under TLS is a reset', async () => {
    await using upstream = await startRawUpstream([rawResponse({ headers: [['Content-Length', '9']], body: 'abc' }), step.reset()], { tls: testCertificates().server })
    using browser = httpClient(upstream.url)
    await expect(browser.get('/')).rejects.toMatchObject({ code: 'ECONNRESET' })
    await using client = await connectRaw(upstream.url)
    expect(await client.request(GET)).toMatchObject({ truncated: true })
  })

  test.each([
    ['expired', () => makeLeaf({ days: 0 }), 'CERT_HAS_EXPIRED'],
    ['for another name', () => makeLeaf({ names: ['example.com'] }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['self-signed', () => makeSelfSigned('127.0.0.1'), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('a certificate that is %s is refused by a client that looks', async (_name, make, code) => {
    await using upstream = await startRawUpstream(undefined, { tls: make() })
    await expect(connectRaw({ port: upstream.port, tls: { ca: testCertificates().ca } })).rejects.toMatchObject({ code })
  })
})
