import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createItsdangerousSigner, type ItsdangerousSigner, type KeyDerivation } from '../../src/adapters/flask/itsdangerous.ts'
import { decodeFlaskCookie } from '../../src/adapters/flask/session-cookie.ts'
import type { Clock } from '../../src/clock.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

interface CookieVector {
  id: string, kind: string, note: string, cookie: string, valid: boolean, payload_json: string | null
  secret: string | null, secret_b64: string, fallbacks: string[], salt: string, key_derivation: KeyDerivation, digest: string, verify_at: number, max_age: number
}
const all = JSON.parse(readFileSync(new URL('../vectors/flask-cookie-vectors.json', import.meta.url), 'utf8')) as CookieVector[]
const vectors = all.filter(({ kind }) => kind === 'flask-cookie')
/** Not a question of the cookie here, but of the second it is opened in, or of its size. */
const OTHERWISE = new Set(['future-1s', 'zip-bomb-512k', 'ts-5-bytes', 'ts-zero', 'legacy-024-offset-ts'])
/** What any Python makes of it: the last of two equal names; no spaces between. The members' own texts stay. */
const REPRINTED: Readonly<Record<string, string>> = { 'signed-dup-keys': '{"a":2}', 'signed-spaces': '{"a":"é中"}' }

function signerOf(vector: CookieVector): ItsdangerousSigner {
  return createItsdangerousSigner({
    secrets: [Buffer.from(vector.secret_b64, 'base64'), ...vector.fallbacks], salt: vector.salt, keyDerivation: vector.key_derivation, digest: vector.digest,
  })
}

function worldFor(vector: CookieVector, adapter: object = {}, options: WorldOptions = {}): Promise<World> {
  const clock: Clock = () => vector.verify_at * 1_000 as EpochMs
  return startWorld({
    clock,
    session: { cookie: { name: 'sid', secure: false }, absolute: '31d' },
    ...options,
    routes: [{
      adapter: {
        kind: 'flask', secretKey: vector.secret_b64, secretKeyEncoding: 'base64', salt: vector.salt, keyDerivation: vector.key_derivation, digest: vector.digest,
        fallbacks: vector.fallbacks.map((secret) => ({ secretKey: Buffer.from(secret).toString('base64') })), permanentLifetime: `${vector.max_age}s`, ...adapter,
      },
    }],
  })
}

/** The payload in the cookie the app got with its last request; undefined when it got none. */
function handedDown(world: World, vector: CookieVector): string | undefined {
  const value = /(?:^|; )session=([^;]*)/.exec(world.upstream.lastRequest.all('cookie').join('; '))?.[1]
  if (value === undefined) return undefined
  const decoded = decodeFlaskCookie(value, { signer: signerOf(vector), foreignTags: 'carry' })
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.payloadText
}

describe.each(vectors.filter(({ id }) => !OTHERWISE.has(id)))('$id: $note', (vector) => {
  const isSession = vector.valid && vector.payload_json !== null && !/^\s*(\{\s*\}|null)\s*$/.test(vector.payload_json)

  test('an old cookie in the browser', async () => {
    await using world = await worldFor(vector)
    const reply = await world.client.get('/', { headers: { cookie: `session=${vector.cookie}` } })
    expect(reply.status).toBe(200)
    expect(reply.all('set-cookie').some((line) => line.startsWith('session=; Expires=Thu, 01 Jan 1970'))).toBe(true)
    if (!isSession) {
      expect(handedDown(world, vector)).toBeUndefined()
      return expect(world.client.jar.get('sid')).toBeUndefined()
    }
    const expected = REPRINTED[vector.id] ?? vector.payload_json
    expect(handedDown(world, vector)).toBe(expected)
    await world.client.get('/')
    expect(handedDown(world, vector)).toBe(expected)
    expect(world.lastClaims()).toMatchObject({ new: false })
  })
})

const settable = vectors.filter(({ valid, payload_json }) => valid && payload_json?.startsWith('{"'))

test.each(settable)('a cookie the app sets comes back byte for byte: $id', async (vector) => {
  await using world = await worldFor(vector)
  world.upstream.respondOnce(rawResponse({ headers: [['Set-Cookie', `session=${vector.cookie}; HttpOnly; Path=/`]], body: 'ok' }))
  const reply = await world.client.get('/')
  expect(reply.all('set-cookie').map((line) => line.split('=')[0])).toEqual(['sid'])
  await world.client.get('/')
  expect(handedDown(world, vector)).toBe(REPRINTED[vector.id] ?? vector.payload_json)
})

test('a session that one small cookie blows up to more than may be stored begins anew, and is no error', async () => {
  const vector = vectors.find(({ id }) => id === 'zip-bomb-512k') as CookieVector
  await using world = await worldFor(vector)
  const reply = await world.client.get('/', { headers: { cookie: `session=${vector.cookie}` } })
  expect(reply.status).toBe(200)
  expect(handedDown(world, vector)).toBeUndefined()
  expect(world.client.jar.get('sid')).toBeUndefined()
})

test('an app with the clock of 2011 is signed for by its own clock, and its old cookies are taken over', async () => {
  const vector = vectors.find(({ id }) => id === 'legacy-024-offset-ts') as CookieVector
  await using world = await worldFor(vector, { legacyTimestamps: true })
  await world.client.get('/', { headers: { cookie: `session=${vector.cookie}` } })
  const handed = /session=([^;]*)/.exec(world.upstream.lastRequest.all('cookie').join())?.[1] ?? ''
  const signer = createItsdangerousSigner({ secrets: [Buffer.from(vector.secret_b64, 'base64')], salt: vector.salt, legacyTimestamps: true })
  const read = decodeFlaskCookie(handed, { signer, limit: { nowSeconds: vector.verify_at, maxAgeSeconds: 60 } })
  expect(read).toMatchObject({ ok: true })
  expect(decodeFlaskCookie(handed, { signer: signerOf(vector), limit: { nowSeconds: vector.verify_at, maxAgeSeconds: 60 } })).toEqual({ ok: false, reason: 'expired' })
})

test.each([['a second', 1, true], ['two minutes', 120, false]])('a cookie of an app whose clock is %s ahead', async (_what, seconds, isTaken) => {
  const vector = vectors.find(({ id }) => id === 'login') as CookieVector
  await using world = await worldFor({ ...vector, verify_at: vector.verify_at - 60 - seconds })
  await world.client.get('/', { headers: { cookie: `session=${vector.cookie}` } })
  expect(handedDown(world, vector)).toBe(isTaken ? vector.payload_json : undefined)
})
