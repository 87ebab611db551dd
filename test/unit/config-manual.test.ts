import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { configJsonSchema, inputSchema, type JsonSchema } from '../../src/config/manual/json-schema.ts'
import { manualText } from '../../src/config/manual/markdown.ts'
import { sectionsOf } from '../../src/config/manual/reference.ts'
import { minimal, problemsOf, secretNamed } from '../support/config-samples.ts'

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const example = read('config.example.yaml')
/** A key that is off stands behind a "#" and no space, what is in it behind "#" and at least two; prose has just one. */
const switchedOn = (text: string): string => text.replace(/^( *)#(?=\S| {2})/gm, '$1')
/** The example in parts, one for each top-level key, on or off. */
const parts = example.split(/^(?=#?[a-zA-Z]+:)/m)

const ed25519 = generateKeyPairSync('ed25519')
const env = {
  COOKIE_SECRET: secretNamed('cookie'), ASSERTION_SECRET: secretNamed('assertion'), RECORD_SECRET: secretNamed('record'), MUTATION_SECRET: secretNamed('mutation'),
  ASSERTION_KEY_PEM: ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), MUTATION_KEY_PEM: ed25519.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  REDIS_PASSWORD: 'r', SENTINEL_PASSWORD: 's', PGPASSWORD: 'p', MYSQL_PASSWORD: 'm', FLASK_SECRET_KEY: secretNamed('flask'), FLASK_SECRET_KEY_OLD: secretNamed('flask old'),
}

describe('what is made from the schema is up to date (npm run docs)', () => {
  test('config.schema.json', () => expect(read('config.schema.json')).toBe(`${JSON.stringify(configJsonSchema(), null, 2)}\n`))
  test('docs/configuration.md', () => expect(read('docs/configuration.md')).toBe(manualText()))
})

test('every key says what it means', () => {
  expect(sectionsOf(inputSchema()).flatMap(({ title, rows }) => rows.filter(({ meaning }) => meaning === '').map(({ key }) => `${title}.${key}`))).toEqual([])
})

describe('config.example.yaml', () => {
  test('names its schema for editors', () => expect(example.split('\n')[0]).toBe('# yaml-language-server: $schema=./config.schema.json'))

  test('is valid as it stands and shows the defaults', async () => {
    const shown = await loadConfig({ text: example, env })
    expect(shown.warnings).toEqual([])
    expect(shown.config).toEqual((await loadConfig({ tree: minimal, env })).config)
  })

  test('has every key of the schema', () => {
    const missing = keysOf(inputSchema()).filter((path) => {
      const [top = '', ...names] = path.split('.')
      const texts = parts.filter((part) => switchedOn(part).startsWith(`${top}:`)).map(switchedOn)
      return !texts.some((text) => new RegExp(`(^|[\\s{,-])${names.at(-1) ?? top}:`, 'm').test(text))
    })
    expect(missing).toEqual([])
  })

  test.each(parts.filter((part) => /^#store:/.test(part)).map((part) => [/kind: (\w+)/.exec(part)?.[1], part]))('its store %s is valid', async (kind, part) => {
    const { store } = withoutFiles(parse(switchedOn(part ?? ''))) as { store: Record<string, unknown> }
    const { sentinel, cluster, ...common } = store
    for (const variant of kind === 'redis' ? [{ ...common, sentinel }, { ...common, cluster }] : [common]) {
      expect((await loadConfig({ tree: { ...minimal, store: variant }, env })).config.store.kind).toBe(kind)
    }
  })

  test('each key that is off can be switched on', async () => {
    const tree = withoutFiles(parse(switchedOn(parts.filter((part) => !/^#/.test(part)).join('')), { uniqueKeys: false })) as object
    expect(tree).toMatchObject({
      keys: { assertion: [{}, { alg: 'EdDSA' }, {}], record: [{}, {}] }, session: { maxPerSubject: 5, cookie: { domain: 'example.com' } },
      upstreams: { app: { health: { path: '/healthz' }, mutationKeys: [{}, {}, {}, {}] } }, routes: [{ timeouts: { firstByte: '120s' }, maxBody: '100MB' }],
    })
    // What needs the file it names, or contradicts the choice shown beside it.
    expect((await problemsOf({ tree, env })).map(({ path }) => path)).toEqual([
      'keys.assertion.2.privateKey', 'keys.record.1.secret', 'upstreams.app.mutationKeys.1.secret', 'upstreams.app.mutationKeys.3.publicKey',
      'routes.0.adapter.fallbacks.1.secretKey', 'routes.0.loginUrl', 'routes.0.requireValue',
      'session.cookie.domain',
    ])
  })
})

function withoutFiles(tree: unknown): unknown {
  return JSON.parse(JSON.stringify(tree, (key, value: unknown) => (key.endsWith('File') ? undefined : value)))
}

/** Every key of the schema by its path, free names and positions left out. */
function keysOf(schema: JsonSchema, path = ''): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => [path + name, ...keysOf(property, `${path}${name}.`)])
  const inner = [schema.items, schema.additionalProperties, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])]
  return [...new Set([...own, ...inner.flatMap((one) => (typeof one === 'object' ? keysOf(one, path) : []))])]
}
