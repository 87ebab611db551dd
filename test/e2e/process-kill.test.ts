import { expect, test } from 'vitest'
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts'
import { httpClient } from '../support/http-client.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'

const KILLS = Number(process.env['KILLS'] ?? 4)

test.each(['SIGKILL', 'SIGTERM'] as const)(`PR3: %s at ${KILLS} random points never loses an acknowledged mutation nor tears the record`, async (signal) => {
  await using upstream = await startRawUpstream(undefined, { keepRequests: 5, keepBytes: false })
  const reached = new Set<string>()
  upstream.respond((request) => {
    const name = new URL(request.target, 'http://x').searchParams.get('set')
    if (name !== null) reached.add(name)
    return rawResponse({ headers: name === null ? [] : [['X-Session-Patch', JSON.stringify({ [name]: 1 })]], body: 'ok' })
  })
  let gateway: GatewayProcess = await startGatewayProcess({ upstream: upstream.url, config: { session: { maxBytes: '64KB', maxMembers: 10_000 }, upstreams: { app: { targets: [upstream.url], maxHeaderBytes: 65_536 } } } })
  using browser = httpClient(gateway.url)
  await browser.get('/?set=first')
  const cookie = browser.jar.headerFor('/') ?? ''
  const acknowledged = new Set(['first'])

  for (let kill = 0; kill < KILLS; kill++) {
    let isRunning = true
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; isRunning; n++) {
        const name = `k${kill}w${writer}n${n}`
        using client = httpClient(gateway.url)
        const reply = await client.get(`/?set=${name}`, { headers: { cookie } }).catch(() => undefined)
        if (reply?.status === 200) acknowledged.add(name)
        if (reply === undefined) return
      }
    })
    const target = acknowledged.size + 5 + Math.floor(Math.random() * 40)
    while (acknowledged.size < target) await new Promise(setImmediate)
    gateway.child.signal(signal)
    await gateway.child.exited
    isRunning = false
    await Promise.all(writers)
    if (signal === 'SIGTERM') expect([...reached].filter((name) => !acknowledged.has(name)), 'what had reached the app is answered').toEqual([])
    gateway = await gateway.restart()
  }

  using reader = httpClient(gateway.url)
  expect((await reader.get('/', { headers: { cookie } })).status).toBe(200)
  const token = upstream.lastRequest.header('x-session-assertion') ?? ''
  const { data } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { data: Record<string, number> }
  expect([...acknowledged].filter((name) => data[name] !== 1)).toEqual([])
  await gateway[Symbol.asyncDispose]()
}, 60_000 + KILLS * 3_000)
