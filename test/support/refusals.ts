import { expect } from 'vitest'
import type { Bytes } from './raw-answers.ts'
import { connectRaw, type RawReply } from './raw-client.ts'
import type { World } from './world.ts'

/** A case of a table: bytes a client sends, and what the gateway does with them. */
export interface RefusedCase {
  readonly id: string
  readonly what: string
  readonly send: Bytes
  /** The status, or those that are equally right. */
  readonly status: number | readonly number[]
  /** False: the connection may go on. Default: it must be closed. */
  readonly closes?: boolean
}

/** Sends the bytes on a connection of their own and checks the answer, the end of the connection, and that no upstream saw any of it. */
export async function expectRefused(world: World, { send, status, closes = true }: RefusedCase): Promise<RawReply> {
  world.upstream.forget()
  using client = await connectRaw(world.url)
  const reply = await client.request(send)
  expect(typeof status === 'number' ? [status] : status).toContain(reply.status)
  expect(reply.truncated).toBe(false)
  if (closes) {
    expect(await client.waitForClose(), 'how the connection ended').toBe('fin')
    expect(client.reader.unread.toString('latin1'), 'a second answer').toBe('')
  }
  await expectUpstreamSawNothing(world)
  return reply
}

/** The next ordinary request is served and is the only one the upstream knows of. */
export async function expectUpstreamSawNothing(world: World): Promise<void> {
  const next = await world.newClient().get('/next-ordinary-request')
  expect(next.status).toBe(200)
  expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/next-ordinary-request'])
}
