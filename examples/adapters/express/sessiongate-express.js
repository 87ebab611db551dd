// Express sessions from sessiongate: copy this file into your app (plain ESM, Node 18 or newer, nothing to install).
//
//   import { sessiongate } from './sessiongate-express.js'
//   app.use(sessiongate({ secrets: { a1: process.env.ASSERTION_SECRET }, audience: 'app' }))
//
// `req.session` works as with express-session: assign members, change nested values, `regenerate(cb)`, `destroy(cb)`, `save(cb)`,
// `reload(cb)`, `cookie.maxAge`; and as with cookie-session: `req.session = null`. The data lives in the gateway: it arrives in
// X-Session-Assertion, and what differs when the head is sent leaves in X-Session-Patch. Changes after the head are lost, as with
// every session that travels in headers; streaming routes change the session first. A request that did not come through the
// gateway has `req.session === undefined`.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { setImmediate } from 'node:timers'
import { isDeepStrictEqual } from 'node:util'

/**
 * @param {{ secrets?: Record<string, string>, audience?: string, prefix?: string, verify?: (token: string) => object | undefined | Promise<object>,
 *   onRefused?: (request: object) => void }} options `secrets`: key id -> secret, as in the gateway's keys.assertion; `audience`:
 *   this upstream's name there; `verify`: instead of both, for keys that are not HS256 (see examples/verify/node)
 */
export function sessiongate({ secrets, audience, prefix = 'X-Session-', verify, onRefused = () => {} }) {
  if (!verify && !(secrets && audience)) throw new TypeError('sessiongate: give secrets and audience, or verify')
  const keys = new Map(Object.entries(secrets ?? {}))
  const claimsOf = verify ?? ((token) => verifyAssertion(token, keys, audience))
  const field = `${prefix}Assertion`.toLowerCase()

  return function sessiongateMiddleware(req, res, next) {
    const token = req.headers[field]
    const proceed = (claims) => {
      if (claims) begin(req, res, claims, prefix)
      else if (token !== undefined) onRefused(req)
      next()
    }
    const claims = typeof token === 'string' ? claimsOf(token) : undefined
    if (claims instanceof Promise) claims.catch(() => undefined).then(proceed).catch(next)
    else proceed(claims)
  }
}

function begin(req, res, claims, prefix) {
  const state = { before: claims.data, sid: claims.sid, permanent: claims.permanent === true, cleared: false, rotated: false, wants: {} }
  openSession(req, state)
  beforeHead(res, () => emit(req, res, state, prefix))
}

/** The claims of a compact JWS, or undefined unless HS256 by a known key, for this audience, not expired, nothing critical. */
export function verifyAssertion(token, secrets, audience) {
  const parts = token.split('.')
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) return undefined
  const [head, body, signature] = parts
  const header = parseSegment(head)
  if (header?.alg !== 'HS256' || header.typ !== 'session+jwt' || Object.hasOwn(header, 'crit')) return undefined
  const secret = secrets.get(header.kid)
  if (secret === undefined) return undefined
  const expected = Buffer.from(createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url'))
  const given = Buffer.from(signature)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  const claims = parseSegment(body)
  if (claims?.aud !== audience || typeof claims.exp !== 'number' || claims.exp <= Date.now() / 1000) return undefined
  return isObject(claims.data) ? claims : undefined
}

/** `{ patch, control }` by which the gateway turns `before` into `after`, two plain JSON objects; `patch` undefined: none. */
export function difference(before, after, cleared = false) {
  if (cleared && Object.keys(before).length > 0) {
    return Object.keys(after).length > 0 ? { patch: after, control: ['replace'] } : { patch: undefined, control: ['destroy'] }
  }
  const patch = mergePatchOf(before, after)
  if (patch === NEEDS_NULL) return { patch: after, control: ['replace'] }
  return { patch: Object.keys(patch).length > 0 ? patch : undefined, control: [] }
}

/** JSON that fits a header field: everything but printable ASCII is escaped. */
export function asciiJson(value) {
  return JSON.stringify(value).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A merge patch (RFC 7396) has no way to set a member to null. */
const NEEDS_NULL = Symbol('needs null')

function mergePatchOf(before, after) {
  const members = Object.keys(before).filter((name) => !Object.hasOwn(after, name)).map((name) => [name, null])
  for (const [name, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, name) ? before[name] : undefined
    if (isObject(old) && isObject(value)) {
      const nested = mergePatchOf(old, value)
      if (nested === NEEDS_NULL) return NEEDS_NULL
      if (Object.keys(nested).length > 0) members.push([name, nested])
    } else if (!isDeepStrictEqual(old, value)) {
      if (holdsNull(value)) return NEEDS_NULL
      members.push([name, value])
    }
  }
  return Object.fromEntries(members) // defines members, so "__proto__" is plain data
}

function holdsNull(value) {
  return value === null || (isObject(value) && Object.values(value).some(holdsNull))
}

function openSession(req, state) {
  const start = (data) => {
    const session = Object.create(sessionMethods(req, state, start))
    for (const [name, value] of Object.entries(JSON.parse(JSON.stringify(data)))) {
      Object.defineProperty(session, name, { value, writable: true, enumerable: true, configurable: true })
    }
    req.session = session
    req.sessionID = state.sid
  }
  start(state.before)
}

/** express-session's methods, out of the way of the data. Callbacks come later, as there. */
function sessionMethods(req, state, start) {
  const later = (callback) => callback && setImmediate(callback)
  return {
    get id() { return state.sid },
    get cookie() { return cookieOf(state) },
    save(callback) { later(callback); return this },
    touch() { return this },
    reload(callback) { start(state.before); later(callback); return req.session },
    rotate() { state.rotated = true; return this },
    regenerate(callback) { state.cleared = state.rotated = true; start({}); later(callback); return req.session },
    destroy(callback) { state.cleared = true; req.session = undefined; later(callback); return this },
  }
}

/** Only what has a meaning here: how long the browser keeps the cookie. The rest of it is the gateway's. */
function cookieOf(state) {
  const keepFor = (milliseconds) => {
    const lasts = typeof milliseconds === 'number' && milliseconds > 0
    state.wants = { permanent: lasts, idleSeconds: lasts ? Math.ceil(milliseconds / 1000) : undefined }
  }
  return {
    set maxAge(milliseconds) { keepFor(milliseconds) },
    get maxAge() { return state.wants.idleSeconds === undefined ? null : state.wants.idleSeconds * 1000 },
    set expires(date) { keepFor(date instanceof Date ? date.getTime() - Date.now() : undefined) },
  }
}

function emit(req, res, state, prefix) {
  if (!req.session) state.cleared = true
  const after = JSON.parse(JSON.stringify({ ...req.session }))
  const { patch, control } = difference(state.before, after, state.cleared)
  const holdsData = Object.keys(after).length > 0 || Object.keys(state.before).length > 0
  if (!control.includes('destroy') && holdsData) {
    const { permanent, idleSeconds } = state.wants
    if (state.rotated) control.push('rotate')
    if (permanent !== undefined && permanent !== state.permanent) control.push(permanent ? 'permanent' : 'transient')
    if (idleSeconds !== undefined) control.push(`idle=${idleSeconds}`)
  }
  if (patch) res.setHeader(`${prefix}Patch`, asciiJson(patch))
  if (control.length > 0) res.setHeader(`${prefix}Control`, control.join(', '))
}

/** Every way to send a head ends in writeHead, also `res.end()` without one. Informational heads are not the answer's. */
function beforeHead(res, action) {
  const writeHead = res.writeHead
  let done = false
  res.writeHead = function (status, ...rest) {
    if (!done && status >= 200) {
      done = true
      action()
    }
    return writeHead.call(this, status, ...rest)
  }
}

function parseSegment(segment) {
  try {
    const value = JSON.parse(Buffer.from(segment, 'base64url').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
