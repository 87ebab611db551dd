import { once } from 'node:events'
import { realpathSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort, startChild, outputOf } from './child.ts'
import { planGateway } from './gateway-config.ts'
import { median } from './statistics.ts'
import { gatewayScript, MissingError, startWorld, type World } from './world.ts'

export const STARTUP_BAR_MS = 400
const GIVE_UP_MS = 15_000
const POLL_MS = 2

/** Milliseconds from starting the process to the first answer of the application through it, one value per start. File store. */
export async function measureStartup(starts: number): Promise<number[]> {
  const world = await startWorld({ redis: false })
  try {
    const times: number[] = []
    for (let i = 0; i < starts; i++) times.push(await startOnce(world, i))
    return times
  } finally {
    await world.stop()
  }
}

async function startOnce(world: World, round: number): Promise<number> {
  const port = await freePort()
  const { config } = planGateway(world, 'startup', 'use', 'file')
  const file = join(world.directory, `startup-${round}.yaml`)
  await writeFile(file, JSON.stringify({ ...config, listen: `127.0.0.1:${port}` }))
  const startedAt = performance.now()
  const child = await startChild(process.execPath, [gatewayScript(), 'serve', '-c', file], { NODE_ENV: 'production' })
  try {
    while (!await answers(port)) {
      if (performance.now() - startedAt > GIVE_UP_MS || child.process.exitCode !== null) throw new Error(`the gateway does not serve:\n${outputOf(child)}`)
      await delay(POLL_MS)
    }
    return performance.now() - startedAt
  } finally {
    await child.stop()
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    const [response] = await once(get({ host: '127.0.0.1', port, path: '/plain', agent: false }), 'response') as [IncomingMessage]
    response.resume()
    await once(response, 'end')
    return response.statusCode === 200
  } catch {
    return false
  }
}

async function main(): Promise<number> {
  const times = await measureStartup(10)
  const middle = median(times)
  const isMet = middle < STARTUP_BAR_MS
  console.log(`${isMet ? 'ok' : 'MISSED'}  start to first served request: median ${middle.toFixed(0)} ms of ${times.length} starts (${Math.min(...times).toFixed(0)}..${Math.max(...times).toFixed(0)}; bar: ${STARTUP_BAR_MS} ms)`)
  return isMet ? 0 : 1
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main().catch((error: unknown) => {
    console.error(error instanceof MissingError ? `bench: ${error.message}` : error)
    return 1
  })
}
