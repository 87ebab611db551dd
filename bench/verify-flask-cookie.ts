import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'

/**
 * What Flask does with its session cookie, written anew so that the proof does not lean on what is measured: itsdangerous'
 * URLSafeTimedSerializer with HMAC-SHA1 keys derived by HMAC from the salt `cookie-session`.
 * @returns the session's data; the members of the benchmark need no tags.
 */
export function verifyFlaskCookie(cookies: string, secretKey: string): Readonly<Record<string, unknown>> {
  const value = /(?:^|; )session=([^;]+)/.exec(cookies)?.[1] ?? ''
  const [body = '', stamp = '', signature] = value.split('.')
  const key = createHmac('sha1', secretKey).update('cookie-session').digest()
  assert.equal(signature, createHmac('sha1', key).update(`${body}.${stamp}`).digest('base64url'), 'the cookie is signed for Flask')
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as Readonly<Record<string, unknown>>
}
