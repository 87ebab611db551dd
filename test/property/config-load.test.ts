import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { expandEnv } from '../../src/config/expand-env.ts'
import { loadConfig } from '../../src/config/load.ts'
import { editDistance, nearestName } from '../../src/config/nearest-name.ts'
import { ConfigInvalidError } from '../../src/errors.ts'
import { minimalWith, secretNamed } from '../support/config-samples.ts'

const SECRETS = [secretNamed('cookie'), secretNamed('assertion'), secretNamed('record'), secretNamed('password')]
const full = stringify(minimalWith({
  listen: ['127.0.0.1:0'], 'keys.record': [{ id: 'r1', secret: secretNamed('record') }], session: { idle: '5m', cookie: { name: 'sid' } },
  store: { kind: 'redis', url: `redis://me:${secretNamed('password')}@h:1`, password: secretNamed('password') }, limits: { maxBody: '1MB' },
}))

/** What loading says: nothing, or the message of a ConfigInvalidError. Anything else fails the test. */
async function verdictOf(text: string): Promise<string> {
  try {
    const { warnings } = await loadConfig({ text, file: 'gate.yaml', env: {} })
    return JSON.stringify(warnings)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigInvalidError)
    expect((error as ConfigInvalidError).problems.length).toBeGreaterThan(0)
    return `${(error as ConfigInvalidError).message}${JSON.stringify((error as ConfigInvalidError).problems)}`
  }
}

/** Twelve characters of a secret in a row. */
function leakIn(text: string): string | undefined {
  for (const secret of SECRETS) {
    for (let start = 0; start + 12 <= secret.length; start++) {
      if (text.includes(secret.slice(start, start + 12))) return secret.slice(start, start + 12)
    }
  }
  return undefined
}

const PIECES = ['\n', ' ', '  ', ':', ': ', '-', '- ', '#', '"', '\'', '[', ']', '{', '}', ',', '&a ', '*a', '!t ', '|\n', '>\n', '? ', '%', '@', '`', '\t', '---\n', '${', '${X}', '${X:-y}', '}', '~', 'null', 'true', '1', '__proto__', '\u2028', '\uFEFF', '\0', '<<: *a']
const edit = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), piece: fc.constantFrom(...PIECES) }),
  fc.record({ kind: fc.constant('delete' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant('repeat' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 60 }) }),
)

function applyEdits(text: string, edits: readonly (typeof edit extends fc.Arbitrary<infer T> ? T : never)[]): string {
  return edits.reduce((current, change) => {
    const at = change.at % (current.length + 1)
    if (change.kind === 'insert') return current.slice(0, at) + change.piece + current.slice(at)
    if (change.kind === 'delete') return current.slice(0, at) + current.slice(at + change.length)
    return current.slice(0, at) + current.slice(at, at + change.length) + current.slice(at)
  }, text)
}

describe('whatever the file holds, loading ends in a configuration or in ConfigInvalidError', () => {
  test('a good file with a few wrong keystrokes, whose secrets stay secret', async () => {
    await fc.assert(fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 6 }), async (edits) => {
      expect(leakIn(await verdictOf(applyEdits(full, edits)))).toBeUndefined()
    }), { numRuns: 500 })
  }, 60_000)

  test('any text', async () => {
    await fc.assert(fc.asyncProperty(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((pieces) => pieces.join(''))), async (text) => {
      await verdictOf(text)
    }), { numRuns: 500 })
  }, 60_000)

  test('any values in place of right ones', async () => {
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constantFrom(...SECRETS, '${X}', '30m', 'auto', '/'))
    const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'kind', 'id', 'path', ...SECRETS)), leaf, { maxKeys: 3 }))
    const place = fc.constantFrom('listen', 'tls', 'admin', 'workers', 'keys', 'keys.cookie', 'keys.cookie.0', 'keys.assertion.0.alg', 'session', 'session.cookie', 'session.idle', 'store', 'store.kind', 'upstreams', 'upstreams.app', 'upstreams.app.targets', 'routes', 'routes.0', 'routes.0.mutations', 'limits', 'log.level')
    await fc.assert(fc.asyncProperty(fc.dictionary(place, value, { minKeys: 1, maxKeys: 4 }), async (changes) => {
      expect(leakIn(await verdictOf(JSON.stringify(minimalWith(changes))))).toBeUndefined()
    }), { numRuns: 400 })
  }, 60_000)

  test('any flags', async () => {
    const name = fc.oneof(fc.string(), fc.constantFrom('store.url', 'listen', 'routes.0.session', 'routes.1.upstream', 'upstreams.x.targets.0', 'keys.cookie.0.secretFile', 'workers', 'a.b', '__proto__', 'routes.0', 'store.kind'))
    await fc.assert(fc.asyncProperty(fc.dictionary(name, fc.oneof(fc.string(), fc.array(fc.string(), { maxLength: 2 })), { maxKeys: 4 }), async (flags) => {
      await loadConfig({ text: full, flags, env: {} }).catch((error: unknown) => expect(error).toBeInstanceOf(ConfigInvalidError))
    }), { numRuns: 400 })
  }, 60_000)
})

describe('environment expansion', () => {
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/)

  test('text without ${ stays as it is', () => {
    fc.assert(fc.property(fc.string().filter((text) => !text.includes('${')), (text) => {
      expect(expandEnv({ text }, {})).toMatchObject({ tree: { text }, problems: [] })
    }))
  })

  test('a variable\'s value arrives exactly, whatever is in it', () => {
    fc.assert(fc.property(name, fc.string({ unit: 'binary' }), fc.string().filter((text) => !text.includes('$')), (variable, value, around) => {
      expect(expandEnv([`${around}\${${variable}}${around}`], { [variable]: value }).tree).toEqual([around + value + around])
    }))
  })

  test('a default arrives exactly when the variable is not set or empty', () => {
    fc.assert(fc.property(name, fc.string().filter((text) => !text.includes('}')), fc.constantFrom(undefined, ''), (variable, fallback, value) => {
      expect(expandEnv([`\${${variable}:-${fallback}}`], value === undefined ? {} : { [variable]: value }).tree).toEqual([fallback])
    }))
  })

  test('what is escaped comes out as it would have been written', () => {
    fc.assert(fc.property(fc.string(), (text) => {
      const escaped = text.replaceAll('${', '$${')
      fc.pre(!escaped.includes('$$${'))
      expect(expandEnv([escaped], {})).toMatchObject({ tree: [text], problems: [] })
    }))
  })
})

test('the nearest name is never far, and a name itself is nearest', () => {
  const names = ['idle', 'absolute', 'touchInterval', 'cookie', 'maxBytes']
  fc.assert(fc.property(fc.string({ maxLength: 20 }), fc.constantFrom(...names), (text, known) => {
    expect(nearestName(known, names)).toBe(known)
    const near = nearestName(text, names)
    if (near !== undefined) expect(editDistance(text.toLowerCase().replace(/[-_]/g, ''), near.toLowerCase())).toBeLessThanOrEqual(Math.max(1, text.length / 3))
    expect(editDistance(text, known)).toBe(editDistance(known, text))
  }))
})
