import fc from 'fast-check'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { newSecret } from '../../src/config/state-directory.ts'
import { proposeRules } from '../../src/learn/judge.ts'
import { learningTree, startLearner } from '../../src/learn/learn.ts'
import { fragmentOf } from '../../src/learn/proposal-text.ts'
import { load } from '../support/config-samples.ts'
import { httpClient } from '../support/http-client.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'

/** Found again wherever it gets to, in any case and encoding that keeps letters. */
const CANARY = 'zqx'
const secret = fc.string({ unit: fc.constantFrom(...'abAB019_-'), maxLength: 30 }).map((text) => `${CANARY}${text}`)
const written = fc.tuple(secret, fc.constantFrom('', '"', '%3D')).map(([text, around]) => `${around}${text}${around}`)
const name = fc.constantFrom('sid', 'connect.sid', 'XSRF-TOKEN', 'remember_me', '_ga', 'wordpress_sec_0123456789abcdef0123456789abcdef', 'theme', 'a')
const attributes = fc.constantFrom('', '; HttpOnly', '; Path=/; Max-Age=86400; HttpOnly', '; Max-Age=0', '; Domain=example.com', '; Path=/shop')
/** Where a value may hide: where names are expected too. */
const setLine = fc.tuple(name, written, attributes).chain(([cookie, value, rest]) => fc.constantFrom(`${cookie}=${value}${rest}`, `${value}${rest}`, `=${value}${rest}`, `${cookie}=${value}; Path=/${value}`, `${cookie}=${value}; Path=/x; Domain=${value}`))
const sentPair = fc.tuple(name, written).chain(([cookie, value]) => fc.constantFrom(`${cookie}=${value}`, value, `=${value}`))
const body = fc.tuple(fc.constantFrom('password', '_token', 'user[name]'), written).chain(([field, value]) => fc.constantFrom<readonly [string, string]>(
  ['application/x-www-form-urlencoded', `${field}=${value}`], ['application/x-www-form-urlencoded', value], ['application/x-www-form-urlencoded', `${value}=${value}`],
  ['application/json', JSON.stringify({ [field]: value, [value]: [value] })], ['application/json', `{"${value}`],
  ['multipart/form-data; boundary=b', `--b\r\nContent-Disposition: form-data; name="${value}"\r\n\r\n${value}\r\n--b--\r\n`],
))
const step = fc.record({ sends: fc.array(sentPair, { maxLength: 4 }), sets: fc.array(setLine, { maxLength: 4 }), form: body, token: written, path: fc.constantFrom('/', '/login', '/logout', '/shop/x') })

test('whatever goes by, nothing that is kept, logged or proposed holds a value', { timeout: 30_000 }, async () => {
  await using upstream = await startRawUpstream()
  const port = await freePort()
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => { logged.push(line) } })
  const learner = await startLearner(await load(learningTree(upstream.url, newSecret), { flags: { listen: `127.0.0.1:${port}` } }), log)
  onTestFinished(() => learner.stop())
  await using client = httpClient(`http://127.0.0.1:${port}`)
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
    const before = learner.totals().requests
    for (const { sends, sets, form: [type, text], token, path } of steps) {
      upstream.respondOnce(rawResponse({ headers: sets.map((line) => ['Set-Cookie', line] as const), body: 'ok' }))
      const headers = { host: 'www.example.com', 'content-type': type, 'x-token': token, ...(sends.length > 0 && { cookie: sends.join('; ') }) }
      expect((await client.post(path, { headers, body: text, anonymous: true })).status).toBe(200)
    }
    const totals = learner.totals()
    expect(totals.requests).toBe(before + steps.length)
    const rules = proposeRules(learner.facts())
    const all = [JSON.stringify(learner.facts(), (_key, value: unknown) => (value instanceof RegExp ? value.source : value)), JSON.stringify(rules), fragmentOf(rules, upstream.url, totals), ...logged].join('\n')
    expect(all.toLowerCase()).not.toContain(CANARY)
  }), { numRuns: 200 })
})
