import { createItsdangerousSigner } from '../../src/adapters/flask/itsdangerous.ts'
import { decodeFlaskCookie, FLASK_COOKIE_SALT } from '../../src/adapters/flask/session-cookie.ts'
import { encodeBody } from '../../src/adapters/flask/url-safe-body.ts'
import type { World } from './world.ts'

export const FLASK_SECRET = 'the-key-of-the-app-0123456789abcdef'
const signer = createItsdangerousSigner({ secrets: [FLASK_SECRET], salt: FLASK_COOKIE_SALT })

/** A value the app with FLASK_SECRET would put into its cookie. `at`: ms since the epoch, default now. */
export function flaskCookie(payload: string, at = Date.now()): string {
  return signer.signAt(encodeBody(payload), Math.floor(at / 1_000))
}

/** The Set-Cookie field with which the app sets its session. */
export function setsFlask(payload: string, at?: number): readonly [string, string] {
  return ['Set-Cookie', `session=${flaskCookie(payload, at)}; HttpOnly; Path=/`]
}

/** The Set-Cookie field with which Flask deletes an emptied session. */
export const deletesFlask: readonly [string, string] = ['Set-Cookie', 'session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/']

export interface SeenByFlask {
  readonly payload: string
  readonly signedAt: number
}

/** What the app found in its session cookie with the request it saw last; undefined: it got none. */
export function seenByFlask(world: World): SeenByFlask | undefined {
  const lines = world.upstream.lastRequest.all('cookie')
  if (lines.length > 1) throw new Error('the app got several Cookie lines, which servers join with a comma')
  const values = [...(lines[0] ?? '').matchAll(/(?:^|; )session=([^;]*)/g)].map(([, value]) => value ?? '')
  if (values.length > 1) throw new Error('the app got its cookie twice')
  if (values[0] === undefined) return undefined
  const decoded = decodeFlaskCookie(values[0], { signer, foreignTags: 'carry' })
  if (!decoded.ok) throw new Error(`the app would refuse its cookie: ${decoded.reason}`)
  return { payload: decoded.payloadText, signedAt: decoded.issuedAtSeconds * 1_000 }
}
