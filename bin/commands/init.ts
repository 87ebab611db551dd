import { access, mkdir } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { createFile } from '../../src/config/state-directory.ts'
import { target } from '../../src/config/upstream-schema.ts'
import { CommandError, UsageError } from '../errors.ts'
import { keyFileContent, newKey, type Alg, type NewKey } from '../new-key.ts'

export interface InitOptions {
  readonly directory: string
  readonly upstream: string
  readonly alg: Alg
}

/** Writes sessiongate.yaml and its two keys into a directory. Overwrites nothing: with one of the files there, none is written. */
export async function runInit({ directory, upstream, alg }: InitOptions): Promise<number> {
  if (!target.safeParse(upstream).success) throw new UsageError('--upstream must be http://host:port, https://host:port or unix:/path')
  const cookie = newKey('cookie', 'HS256')
  const assertion = newKey('assertion', alg)
  const root = resolve(directory)
  const configFile = join(root, 'sessiongate.yaml')
  const files = [
    { file: join(root, 'keys', 'cookie'), content: keyFileContent(cookie), mode: 0o600 },
    { file: join(root, 'keys', alg === 'HS256' ? 'assertion' : 'assertion.pem'), content: keyFileContent(assertion), mode: 0o600 },
    ...(assertion.publicKey === undefined ? [] : [{ file: join(root, 'keys', 'assertion.pub.pem'), content: assertion.publicKey, mode: 0o644 }]),
    { file: configFile, content: starterConfig(upstream, cookie, assertion), mode: 0o644 },
  ]
  for (const { file } of files) {
    if (await access(file).then(() => true, () => false)) throw new CommandError(`${file} exists; nothing was written`)
  }
  await mkdir(join(root, 'keys'), { recursive: true, mode: 0o700 })
  for (const { file, content, mode } of files) {
    if (!await createFile(file, content, mode)) throw new CommandError(`${file} exists; it is left as it is`)
  }
  process.stdout.write(nextSteps(files.map(({ file }) => relative('.', file) || file), relative('.', configFile), assertion))
  return 0
}

function nextSteps(files: readonly string[], configFile: string, { alg, id }: NewKey): string {
  const verify = alg === 'HS256'
    ? 'The app verifies X-Session-Assertion with the secret in keys/assertion (HS256)'
    : `The app verifies X-Session-Assertion with keys/assertion.pub.pem, or http://127.0.0.1:9090/jwks.json (${alg})`
  return [
    ...files.map((file) => `wrote ${file}`), '',
    'Next:',
    `  1. Look through ${configFile}; every key is explained in docs/configuration.md`,
    `  2. sessiongate check -c ${configFile}`,
    `  3. sessiongate -c ${configFile}`,
    `${verify}, key id ${id}, audience "app".`,
    'Keep the keys out of version control. Whoever has keys/cookie can make session cookies.', '',
  ].join('\n')
}

function starterConfig(upstream: string, cookie: NewKey, assertion: NewKey): string {
  const assertionFile = assertion.alg === 'HS256' ? 'secretFile: keys/assertion' : 'privateKeyFile: keys/assertion.pem'
  return `# sessiongate: a reverse proxy that owns the session. All keys: docs/configuration.md
# Relative paths start at this file. \${NAME} and \${NAME:-default} take environment variables.
# After a change: sessiongate check -c sessiongate.yaml

# Where browsers reach the gateway. Plain HTTP is for this machine only; for the world, either give \`tls\` a certificate
# (certFile, keyFile) or name the HTTPS proxy in front of the gateway in \`trustedProxies\`. The session cookie is then
# __Host-session and Secure by itself.
listen: 127.0.0.1:8080
# tls: { certFile: /etc/ssl/site.pem, keyFile: /etc/ssl/site.key }
# trustedProxies: [10.0.0.0/8]

# /livez /readyz /metrics /jwks.json; asks for no password, so keep it on this machine.
admin: 127.0.0.1:9090

keys:
  cookie:          # signs the cookie; the first signs, all verify
    - { id: ${cookie.id}, secretFile: keys/cookie }
  assertion:       # signs the header the app reads its session from
    - { id: ${assertion.id}, alg: ${assertion.alg}, ${assertionFile} }

session:
  idle: 30m        # ends this long after its last use
  absolute: 24h    # ends this long after it began
  # subject: user.id        # which value says who the user is
  # rotateOn: [user.id]     # a new session id at login

# file: durable, on this machine. Several machines: { kind: redis, url: redis://127.0.0.1:6379/0 }
store: { kind: file, path: data }

upstreams:
  app:
    targets: ["${upstream}"]

routes:            # the longest path wins
  - path: /
    upstream: app
    session: use   # none | read | use | require
`
}
