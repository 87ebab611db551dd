import assert from 'node:assert/strict'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigInvalidError } from '../../../src/errors.ts'
import { minimalWith, secretNamed } from '../../support/config-samples.ts'
import type { FuzzedParser } from '../parser.ts'

const SECRETS = ['cookie', 'assertion', 'password'].map(secretNamed)

/** A text is a configuration or ConfigInvalidError with a problem per mistake; no message shows a piece of a secret. */
export const parser: FuzzedParser = {
  seeds: [
    stringify(minimalWith({})), stringify(minimalWith({ listen: ['127.0.0.1:0'], session: { idle: '5m', cookie: { name: 'sid', secure: false } }, limits: { maxBody: '1MB' }, trustedProxies: ['10.0.0.0/8'] })),
    stringify(minimalWith({ store: { kind: 'redis', url: `redis://me:${secretNamed('password')}@h:1` }, 'routes.0.mutations': { allow: ['patch'], signed: true } })),
    'listen: ${PORT:-127.0.0.1:1}\nroutes: [*a]\n', '- 1\n- 2', 'a: &a [*a]', 'x: {{}}', '? [a]\n: b', '%YAML 1.1\n---\na: 0o7\n', '"', 'keys: !!binary aGk=', 'a: 1\na: 2', '<<: {a: 1}',
  ],
  words: ['\n', '  ', ': ', '- ', '#', '"', '\'', '[', ']', '{', '}', '&a ', '*a', '!!str ', '|\n', '>-\n', '? ', '---\n', '...\n', '${', '${X:-', '}', '~', 'true', '30m', '1MB', 'listen: ', 'store: ', 'kind: file', 'session: ', 'routes:\n', 'upstreams:\n', '__proto__: ', 'path: /', '<<: *a', '\u2028', '\ufeff'],
  maxBytes: 4_096,
  async check(input) {
    const text = input.toString()
    const said = await loadConfig({ text, file: 'gate.yaml', env: {} }).then(({ warnings }) => JSON.stringify(warnings), messageOf)
    for (const secret of SECRETS) {
      for (let at = 0; at + 12 <= secret.length; at++) assert.ok(!said.includes(secret.slice(at, at + 12)), 'a message shows a secret')
    }
  },
}

function messageOf(error: unknown): string {
  if (!(error instanceof ConfigInvalidError)) throw error
  assert.ok(error.problems.length > 0)
  return `${error.message}${JSON.stringify(error.problems)}`
}
