import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { effectiveConfig, REDACTED, redactedUrl } from '../../src/config/effective.ts'
import { loadConfig } from '../../src/config/load.ts'
import { mapTree, valueAt } from '../../src/config/tree.ts'
import { durationText, sizeText } from '../../src/config/units.ts'
import { load, minimal, minimalWith, secretNamed } from '../support/config-samples.ts'

const rich = minimalWith({
  listen: ['127.0.0.1:0', '[::1]:8443', 'unix:/run/gate.sock'],
  admin: false,
  workers: 'auto',
  'keys.record': [{ id: 'r1', secret: secretNamed('record') }],
  session: { idle: '90s', absolute: '36h', maxBytes: '1500B', cookie: { name: 'sid' } },
  store: { kind: 'redis', url: 'rediss://me:canary-password-1@h:6380/2?x=1', password: 'canary-password-2', sentinel: { name: 'm', nodes: ['h:1'], password: 'canary-password-3' } },
  'upstreams.app': { targets: ['http://127.0.0.1:5000', 'unix:/run/app.sock'], timeouts: { total: '0ms' } },
  'routes.0': { upstream: 'app', host: 'Shop.example', maxBody: '1GB', timeouts: { firstByte: '2m' } },
})

describe('the effective configuration', () => {
  test('loads to the same configuration when its secrets are put in again', async () => {
    const { config } = await load(rich)
    const restored = mapTree(effectiveConfig(config), (value, path) => {
      if (typeof value !== 'string' || !value.includes(REDACTED)) return value
      return valueAt(config, path)
    })
    expect((await loadConfig({ text: stringify(restored), env: {} })).config).toEqual(config)
  })

  test('shows no secret', async () => {
    const { config } = await load(rich)
    const text = stringify(effectiveConfig(config))
    expect(text).not.toMatch(/canary/)
    for (const name of ['cookie', 'assertion', 'record']) expect(text).not.toContain(secretNamed(name))
    expect(text.match(/\(redacted\)/g)?.length).toBeGreaterThanOrEqual(6)
  })

  test('shows nothing of what a custom store is given', async () => {
    const { config } = await load(minimalWith({ store: { kind: 'custom', module: 'x', options: { region: 'eu', nested: { apiKey: 'canary' } } } }))
    expect(JSON.stringify(effectiveConfig(config))).not.toMatch(/canary|"eu"/)
  })

  test('writes numbers with their units', async () => {
    const effective = effectiveConfig((await load(minimal)).config)
    expect(valueAt(effective, ['session', 'idle'])).toBe('30m')
    expect(valueAt(effective, ['limits', 'maxBody'])).toBe('10MB')
    expect(valueAt(effective, ['limits', 'maxHeaderCount'])).toBe(200)
    expect(valueAt(effective, ['upstreams', 'app', 'timeouts', 'total'])).toBe('0ms')
  })
})

test.each([
  ['redis://:pw@h/0', 'redis://:(redacted)@h/0'],
  ['redis://u:p@ss@h', 'redis://u:(redacted)@h'],
  ['mongodb+srv://u:pw@h/db?authSource=x', 'mongodb+srv://u:(redacted)@h/db?authSource=x'],
  ['postgres://u@h/db?password=pw&x=1', 'postgres://u@h/db?password=(redacted)&x=1'],
  ['redis://h:6379/0', 'redis://h:6379/0'],
])('%s is shown as %s', (url, shown) => expect(redactedUrl(url)).toBe(shown))

test('units lose nothing', () => {
  fc.assert(fc.property(fc.nat(2 ** 31), (amount) => {
    const number = (text: string): number => Number(/^\d+/.exec(text)?.[0])
    const per: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }
    for (const text of [durationText(amount), sizeText(amount)]) expect(number(text) * (per[text.replace(/^\d+/, '')] ?? Number.NaN)).toBe(amount)
  }))
})
