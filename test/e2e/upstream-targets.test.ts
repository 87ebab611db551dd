import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { testCertificates } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawUpstream, step, type RawUpstream } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World } from '../support/world.ts'

async function startNamed(name: string, port?: number): Promise<RawUpstream> {
  return await startRawUpstream(rawResponse({ body: name, headers: [['Connection', 'close']] }), port === undefined ? {} : { port })
}

async function bodies(world: World, count: number): Promise<string[]> {
  const seen: string[] = []
  for (let n = 0; n < count; n++) seen.push((await world.client.get('/')).body)
  return seen
}

describe('several targets of one upstream', () => {
  test('take turns', async () => {
    await using a = await startNamed('a')
    await using b = await startNamed('b')
    await using c = await startNamed('c')
    await using world = await startWorld({ upstream: { targets: [a.url, b.url, c.url] } })
    expect(await bodies(world, 6)).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
  })

  test('passive health: one that refuses is passed over unseen, left out after its failures, and comes back', async () => {
    const port = await freePort()
    await using a = await startNamed('a')
    await using world = await startWorld({ upstream: { targets: [`http://127.0.0.1:${port}`, a.url], health: { failures: 2, cooldown: '300ms' } } })
    expect(await bodies(world, 6)).toEqual(Array(6).fill('a'))
    expect(world.log.filter(({ msg }) => msg === 'target is out of turn')).toHaveLength(1)
    const gauge = async (): Promise<string> => (await world.metrics.registry.metrics()).match(new RegExp(`target_healthy.*${port}"} (\\d)`))?.[1] ?? ''
    expect(await gauge()).toBe('0')

    await using b = await startNamed('b', port)
    await waitFor(async () => (await bodies(world, 2)).includes('b'), 'the target to come back')
    expect(b.requestCount).toBeGreaterThan(0)
    expect(await gauge()).toBe('1')
    expect(world.log.filter(({ msg }) => msg === 'target is back')).toHaveLength(1)
  })

  test('when none is healthy the least bad is still tried', async () => {
    const port = await freePort()
    await using world = await startWorld({ upstream: { targets: [`http://127.0.0.1:${port}`], health: { failures: 1, cooldown: '1h' } } })
    expect((await world.client.get('/')).status).toBe(502)
    await using _back = await startNamed('back', port)
    expect(await bodies(world, 1)).toEqual(['back'])
  })

  test('active health: one whose probe fails is left out although it accepts, until a probe is good again', async () => {
    let isWell = false
    await using a = await startNamed('a')
    const sick = createServer((request, response) => {
      if (request.url === '/health') response.writeHead(isWell ? 200 : 503).end()
      else response.end('sick')
    })
    await new Promise<void>((resolve) => { sick.listen(0, '127.0.0.1', resolve) })
    const { port } = sick.address() as { port: number }
    await using world = await startWorld({ upstream: { targets: [`http://127.0.0.1:${port}`, a.url], health: { path: '/health', interval: '30ms', failures: 2 } } })
    const isOut = async (): Promise<boolean> => (await bodies(world, 4)).every((body) => body === 'a')
    await waitFor(isOut, 'the sick target to be left out')
    expect(await bodies(world, 10)).toEqual(Array(10).fill('a'))
    isWell = true
    await waitFor(async () => !(await isOut()), 'the target to come back')
    sick.closeAllConnections()
    await new Promise((resolve) => { sick.close(resolve) })
  })

  test('what was sent is never sent to another target', async () => {
    await using a = await startRawUpstream(step.end())
    await using b = await startNamed('b')
    await using world = await startWorld({ upstream: { targets: [a.url, b.url] } })
    expect((await world.client.post('/', { body: 'x' })).status).toBe(502)
    expect((await world.client.get('/')).body).toBe('b')
    expect([a.requestCount, b.requestCount]).toEqual([1, 1])
  })

  test('a body that was not sent goes whole to the next target', async () => {
    const port = await freePort()
    await using b = await startRawUpstream()
    await using world = await startWorld({ upstream: { targets: [`http://127.0.0.1:${port}`, b.url] } })
    const body = Buffer.alloc(300_000, 'y')
    expect((await world.client.post('/', { body })).status).toBe(200)
    expect(b.lastRequest.body.equals(body)).toBe(true)
    expect((await world.client.post('/', { body, headers: { 'transfer-encoding': 'chunked' } })).status).toBe(200)
    expect(b.lastRequest.body.equals(body)).toBe(true)
  })
})

describe('kinds of target', () => {
  test('HTTPS, verified against its authority', async () => {
    const { server, caFile } = testCertificates()
    await using upstream = await startRawUpstream(rawResponse({ body: 'over TLS' }), { tls: server })
    await using world = await startWorld({ upstream: { targets: [upstream.url], tls: { caFile } } })
    expect(await world.client.get('/')).toMatchObject({ status: 200, body: 'over TLS' })
    expect(await world.client.get('/')).toMatchObject({ status: 200, body: 'over TLS' })
    expect(upstream.connectionCount).toBe(1)
  })

  test('HTTPS under another name', async () => {
    const { server, caFile } = testCertificates()
    await using upstream = await startRawUpstream(rawResponse({ body: 'named' }), { tls: server })
    await using world = await startWorld({ upstream: { targets: [upstream.url], tls: { caFile, servername: 'localhost' } } })
    expect(await world.client.get('/')).toMatchObject({ status: 200, body: 'named' })
  })

  test('HTTPS cut within a close-delimited body', async () => {
    const { server, caFile } = testCertificates()
    await using upstream = await startRawUpstream(['HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc', step.reset()], { tls: server })
    await using world = await startWorld({ upstream: { targets: [upstream.url], tls: { caFile } } })
    await expect(world.client.get('/')).rejects.toThrow()
  })

  test('a unix socket', async () => {
    await using upstream = await startRawUpstream(rawResponse({ body: 'over a file' }), { unix: true })
    await using world = await startWorld({ upstream: { targets: [upstream.url] } })
    expect(await world.client.post('/', { body: 'x' })).toMatchObject({ status: 200, body: 'over a file' })
    expect(upstream.lastRequest.body.toString()).toBe('x')
  })
})
