import assert from 'node:assert/strict'
import { createCookieAdapter } from '../../../src/adapters/cookies/cookie-adapter.ts'
import { createJarShelf } from '../../../src/adapters/cookies/jar.ts'
import { createRuleFinder, nameExactly, nameLike, type CookieRule } from '../../../src/adapters/cookies/rules.ts'
import { createCookieSealer } from '../../../src/adapters/cookies/seal.ts'
import { mountResponse } from '../../../src/gateway/mount.ts'
import { ownNames } from '../../../src/http/field-names.ts'
import { createResponseHeadersReader } from '../../../src/http/response-headers.ts'
import { applyChange, NO_MUTATION } from '../../../src/session/mutation.ts'
import type { EpochMs, Session, SessionId, Version } from '../../../src/session/session.ts'
import { fieldLines, type FuzzedParser } from '../parser.ts'

const NOW = 1_800_000_000_000 as EpochMs
const rule = (names: RegExp, action: CookieRule['do']): CookieRule => ({ names, do: action, adopts: undefined, lifetimeMs: 0 })
const ruleOf = createRuleFinder([rule(nameExactly('keep'), 'store'), rule(nameLike('seal*'), 'encrypt'), rule(nameExactly('gone'), 'drop')])
const adapter = createCookieAdapter({
  upstream: 'app', ruleOf, sealer: createCookieSealer([{ id: 'c1', secret: 'one' }], 'app'), subject: undefined,
  clock: () => NOW, permanentByDefault: false, maySetPermanence: true, session: undefined,
})
const readHead = createResponseHeadersReader(ownNames('X-Session-'), '__Host-session')
const request = { lines: [], candidates: [], host: 'shop.example.com', path: '/app/x' }
const SESSION: Session = { id: 'A'.repeat(43) as SessionId, handle: 'h', data: {}, permanent: false, createdAt: NOW, touchedAt: NOW, idleMs: 1_000, absoluteMs: 2_000 }
const MOUNT = { prefix: '/app', publicOrigin: 'https://shop.example.com', ownAuthorities: ['127.0.0.1:5000'] }

/** Ours never reaches a browser from an upstream; what is stored is found again and sent once; what is sealed is never sent open. */
export const parser: FuzzedParser = {
  seeds: [
    'keep=1; Path=/app; HttpOnly', 'keep=2; Domain=example.com; Max-Age=60; Secure', 'seal-x="a b"; Expires=Wed, 21 Oct 2099 07:28:00 GMT', 'gone=1', 'other=1; path=/x; PATH=/',
    '__Host-session=x', ' __HOST-SESSION =x; Path=/', '=keep=1', 'keep', 'keep=; Max-Age=0', 'keep=a\nkeep=b; Domain=com\nseal=', 'keep=1; Domain=.shop.example.com; Max-Age=-1; SameSite=None',
  ],
  words: ['keep', 'keep=', 'seal=', 'gone=', '__Host-session', '__host-session=', ';', '; ', '=', '; Domain=', 'example.com', 'com', '; Path=', '/app', '/', '; Max-Age=', '; Expires=', 'Wed, 21 Oct 2099 07:28:00 GMT', '0', '-', '99999999999', '\n', '"', '\t', '\xa0'],
  check(input) {
    const head = readHead(fieldLines(input).flatMap((line) => ['Set-Cookie', line]), adapter.claims)
    const { mutation, setCookies } = adapter.readAnswer(head.claimedCookies, request, undefined, NO_MUTATION)
    const forBrowser = [...head.fields.filter((_, i) => i % 2 === 1), ...setCookies]
    for (const line of forBrowser) {
      const [name = ''] = line.split(';', 1)[0]?.split('=') ?? []
      assert.notEqual(name.trim().toLowerCase(), '__host-session')
      assert.notEqual(name.trim(), 'keep')
    }
    mountResponse(forBrowser.flatMap((line) => ['set-cookie', line]), MOUNT)
    if (mutation.kind === 'none') return
    assert.equal(mutation.kind, 'change')
    if (mutation.kind !== 'change') return
    const session = applyChange(SESSION, mutation)
    const jar = JSON.parse(JSON.stringify(session.jar ?? {})) as Session['jar']
    assert.deepStrictEqual(jar, session.jar)
    const stored = createJarShelf('app').read(jar)
    assert.equal(stored.length, Object.keys(jar ?? {}).length)
    const sent = adapter.cookieLinesFor(request, { session, version: 'v' as Version } as Parameters<typeof adapter.cookieLinesFor>[1])
    assert.ok(sent.length <= stored.length)
    for (const line of sent) assert.doesNotMatch(line, /[\r\n\0;]/)
  },
}
