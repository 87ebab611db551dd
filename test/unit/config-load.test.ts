import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { makeLeaf } from '../support/certificates.ts'
import { load, minimal, minimalWith, problemsOf, secretNamed } from '../support/config-samples.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'config-load-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function write(name: string, content: string | Uint8Array, mode = 0o600): Promise<string> {
  const file = join(directory, name)
  await writeFile(file, content, { mode })
  return file
}

describe('the least configuration', () => {
  test('gets every default, in milliseconds and bytes', async () => {
    const { config, warnings } = await load(minimal)
    expect(config.listen).toEqual([{ kind: 'tcp', host: '127.0.0.1', port: 8080 }])
    expect(config.session).toMatchObject({ idle: 1_800_000, absolute: 86_400_000, maxBytes: 16_384 })
    expect(config.upstreams['app']?.timeouts).toEqual({ connect: 1_000, firstByte: 30_000, idle: 60_000, total: 0 })
    expect(warnings).toEqual([])
  })

  test.each([
    ['plain HTTP on loopback', {}, { name: 'session', secure: false }],
    ['a unix socket', { listen: 'unix:/run/gate.sock' }, { name: 'session', secure: false }],
    ['HTTPS in front', { trustedProxies: ['10.0.0.0/8'] }, { name: '__Host-session', secure: true }],
    ['HTTPS in front, beyond loopback', { listen: '0.0.0.0:8080', trustedProxies: ['10.0.0.0/8'] }, { name: '__Host-session', secure: true }],
    ['HTTPS in front and a domain', { trustedProxies: ['10.0.0.1'], 'session.cookie.domain': 'example.com' }, { name: '__Secure-session', secure: true }],
    ['HTTPS in front and a path', { trustedProxies: ['10.0.0.1'], 'session.cookie.path': '/app', 'routes.0.path': '/app' }, { name: '__Secure-session', secure: true }],
    ['secure asked for on loopback', { 'session.cookie.secure': true }, { name: '__Host-session', secure: true }],
    ['plain HTTP beyond loopback, meant', { listen: '0.0.0.0:8080', 'session.cookie.secure': false }, { name: 'session', secure: false }],
    ['a name of its own', { 'session.cookie.name': 'sid' }, { name: 'sid', secure: false }],
  ])('the cookie on %s', async (_, changes, expected) => {
    expect((await load(minimalWith(changes))).config.session.cookie).toMatchObject(expected)
  })
})

describe('YAML', () => {
  test.each([
    ['a key given twice', 'listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n', /twice/, 'gate.yaml:2'],
    ['two documents', 'a: 1\n---\nb: 2\n', /several documents/, 'gate.yaml:2'],
    ['a tab', 'session:\n\tidle: 30m\n', /tab/, 'gate.yaml:2'],
    ['an open bracket', 'routes: [\n', /not valid YAML/, undefined],
    ['an unknown tag', 'issuer: !!js/function x\n', /tag/, 'gate.yaml:1'],
    ['an unquoted *', 'keys: *nothing\n', /alias/, 'gate.yaml:1'],
    ['a list', '- listen\n', /expected a map of keys/, undefined],
    ['a text', 'listen\n', /expected a map of keys/, undefined],
  ])('%s is refused', async (_, text, message, at) => {
    const [problem] = await problemsOf({ text, file: 'gate.yaml' })
    expect(problem?.message).toMatch(message)
    if (at !== undefined) expect(problem?.at).toBe(at)
  })

  test('an alias bomb is refused, quickly', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 20 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`)]
    const before = performance.now()
    expect((await problemsOf({ text: lines.join('\n') }))[0]?.message).toMatch(/too many values/)
    expect(performance.now() - before).toBeLessThan(5_000)
  })

  test.each(['[', '{a: ', '- '])('100 000 times "%s" is a problem, not a crash', async (opening) => {
    expect(await problemsOf({ text: opening.repeat(100_000) })).not.toHaveLength(0)
  })

  test('anchors may be used', async () => {
    const text = `${stringify({ ...minimal, routes: undefined })}routes:\n  - &r { path: /a, upstream: app }\n  - { path: /b, upstream: app, expose: &e [user] , writable: *e }\n`
    expect((await loadConfig({ text, env: {} })).config.routes[1]?.writable).toEqual(['user'])
  })

  test('a key with nothing but comments under it means the defaults', async () => {
    const text = `${stringify(minimal)}session:\n  # idle: 5m\nlog:\n`
    expect((await loadConfig({ text, env: {} })).config.session.idle).toBe(1_800_000)
  })
})

describe('all problems at once', () => {
  const text = `
wrkers: 2
listen: nowhere
keys:
  cookie: [{ id: c1, secret: short }]
  assertion: [{ id: a1, alg: HS257, secret: ${secretNamed('a')} }]
session:
  idle: 30
  absolut: 2h
  touchInterval: 1 minute
store: { kind: radis }
upstreams:
  app: { targets: ["http://127.0.0.1:5000/path"] }
routes:
  - { path: /x, upstream: ap }
  - { path: /y, sesion: none }
  - { path: /z, upstream: app, session: requird, loginUrl: javascript:alert(1) }
idle: 3m
`
  test('each with its path, its line and a remedy', async () => {
    const problems = await problemsOf({ text, file: 'gate.yaml' })
    const seen = Object.fromEntries(problems.map(({ path, message, at }) => [path, [message, at]]))
    expect(seen).toMatchObject({
      wrkers: [expect.stringContaining('did you mean "workers"?'), 'gate.yaml:2'],
      'listen': [expect.stringContaining('host:port'), 'gate.yaml:3'],
      'keys.cookie.0.secret': [expect.stringContaining('sessiongate keys generate'), 'gate.yaml:5'],
      'keys.assertion.0.alg': [expect.stringContaining('did you mean HS256?'), 'gate.yaml:6'],
      'session.idle': [expect.stringContaining('"30m"'), 'gate.yaml:8'],
      'session.absolut': [expect.stringContaining('did you mean "absolute"?'), 'gate.yaml:9'],
      'session.touchInterval': [expect.stringContaining('a number and a unit'), 'gate.yaml:10'],
      'store.kind': [expect.stringContaining('did you mean redis?'), 'gate.yaml:11'],
      'upstreams.app.targets.0': [expect.stringContaining('without a path'), 'gate.yaml:13'],
      'routes.0.upstream': [expect.stringContaining('did you mean app?'), 'gate.yaml:15'],
      'routes.1.sesion': [expect.stringContaining('did you mean "session"?'), 'gate.yaml:16'],
      'routes.1.upstream': [expect.stringContaining('is missing'), 'gate.yaml:16'],
      'routes.2.session': [expect.stringContaining('did you mean require?'), 'gate.yaml:17'],
      'routes.2.loginUrl': [expect.stringContaining('a path or an http(s) URL'), 'gate.yaml:17'],
      idle: [expect.stringContaining('session.idle'), 'gate.yaml:18'],
    })
    expect(problems).toHaveLength(15)
  })

  test('in the order of the file', async () => {
    const lines = (await problemsOf({ text, file: 'gate.yaml' })).map(({ at }) => Number(at?.split(':')[1]))
    expect(lines).toEqual(lines.toSorted((a, b) => a - b))
  })

  test('an empty file misses what it must have', async () => {
    expect((await problemsOf({ text: '' })).map(({ path }) => path)).toEqual(['keys', 'upstreams', 'routes'])
  })

  test('a wrong value hides no rule of the map it is in', async () => {
    const problems = await problemsOf({ tree: minimalWith({ 'session.touchInterval': 5, 'session.idle': '48h', 'session.cookie.sameSite': 'none', 'session.cookie.secure': false }) })
    expect(problems.map(({ path }) => path).toSorted()).toEqual(['session.cookie.sameSite', 'session.idle', 'session.touchInterval'])
  })

  test.each([
    ['yes is text', { 'session.permanent': 'yes' }, 'session.permanent', /true or false/],
    ['a list for a map', { session: [] }, 'session', /expected a map/],
    ['a map for a list', { routes: { path: '/' } }, 'routes', /expected a list, not a map/],
    ['a text for a list item', { 'routes.0': 'x' }, 'routes.0', /expected a map of keys, not text/],
    ['a number too large', { workers: 9_999 }, 'workers', /512|auto/],
    ['a bare size', { 'session.maxBytes': 16_384 }, 'session.maxBytes', /"16KB"/],
    ['a snake_case key', { 'session.max_bytes': '1KB' }, 'session.max_bytes', /did you mean "maxBytes"/],
    ['a key of another store', { store: { kind: 'file', keyPrefix: 'x' } }, 'store.keyPrefix', /not a key here/],
    ['no kind of store', { store: { url: 'redis://h' } }, 'store.kind', /is missing|expected one of/],
    ['a name with a space', { upstreams: { 'my app': { targets: ['http://h:1'] } } }, 'upstreams.(a key of 6 characters)', /expected a name/],
    ['an empty upstream', { 'upstreams.app': null }, 'upstreams.app', /not nothing/],
    ['secret:value without a space', { 'keys.cookie.0': { id: 'c1', 'secret:abc': null } }, 'keys.cookie.0.(a key of 10 characters)', /space after the colon/],
  ])('%s', async (_, changes, path, message) => {
    const problems = await problemsOf({ tree: minimalWith(changes) })
    expect(problems.find((problem) => problem.path === path)?.message).toMatch(message)
  })
})

describe('environment variables', () => {
  test.each([
    ['${A}', { A: 'one' }, 'one'],
    ['${A}-${B}', { A: 'one', B: 'two' }, 'one-two'],
    ['${A:-none}', {}, 'none'],
    ['${A:-none}', { A: '' }, 'none'],
    ['${A:-none}', { A: 'one' }, 'one'],
    ['a$${A}', { A: 'one' }, 'a${A}'],
    ['${A}', { A: '${B}', B: 'two' }, '${B}'],
    ['$A', { A: 'one' }, '$A'],
  ])('%s with %o is %s', async (text, env, expected) => {
    expect((await load(minimalWith({ issuer: text }), { env })).config.issuer).toBe(expected)
  })

  test('an unset one is a problem that names it', async () => {
    expect(await problemsOf({ tree: minimalWith({ issuer: '${NOPE}' }) })).toEqual([{ path: 'issuer', message: expect.stringContaining('NOPE is not set') as string }])
  })

  test('one that is no variable at all is a problem', async () => {
    expect((await problemsOf({ tree: minimalWith({ issuer: '${no pe}' }) }))[0]?.message).toMatch(/not \$\{NAME\}/)
  })

  test('names of the prototype are not variables', async () => {
    expect((await problemsOf({ tree: minimalWith({ issuer: '${constructor}' }) }))[0]?.message).toMatch(/not set/)
  })

  test('may hold numbers and booleans', async () => {
    const { config } = await load(minimalWith({ workers: '${W}', 'session.permanent': '${P:-true}', 'limits.maxHeaderCount': '${H}' }), { env: { W: '2', H: '100' } })
    expect(config).toMatchObject({ workers: 2, session: { permanent: true }, limits: { maxHeaderCount: 100 } })
  })
})

describe('flags', () => {
  test.each([
    ['store.url', 'redis://h:1', { store: { kind: 'redis', url: 'redis://h:1' } }],
    ['store.url', 'postgres://h/db', { store: { kind: 'postgres' } }],
    ['store.kind', 'memory', { store: { kind: 'memory' } }],
    ['session.idle', '20m', { session: { idle: 1_200_000 } }],
    ['session.permanent', 'true', { session: { permanent: true } }],
    ['session.cookie.name', '123', { session: { cookie: { name: '123' } } }],
    ['workers', '3', { workers: 3 }],
    ['workers', 'auto', { workers: 'auto' }],
    ['admin', 'false', { admin: false }],
    ['listen', ['127.0.0.1:1', '127.0.0.1:2'], { listen: [{ port: 1 }, { port: 2 }] }],
    ['trustedProxies', '10.0.0.1', { trustedProxies: ['10.0.0.1'] }],
    ['routes.0.session', 'read', { routes: [{ session: 'read' }] }],
    ['routes.0.expose', ['user', 'cart.*'], { routes: [{ expose: ['user', 'cart.*'] }] }],
    ['upstreams.app.targets', 'http://h:2', { upstreams: { app: { targets: [{ origin: 'http://h:2' }] } } }],
    ['upstreams.app.targets.0', 'http://h:3', { upstreams: { app: { targets: [{ origin: 'http://h:3' }] } } }],
  ])('--%s %s', async (name, value, expected) => {
    expect((await load(minimal, { flags: { [name]: value } })).config).toMatchObject(expected)
  })

  test.each([
    ['sesion.idle', /did you mean --session.idle/],
    ['idel', /no such option/],
    ['__proto__.x', /no such option/],
    ['routes', /no such option/],
    ['routes.7.session', /no item at this position/],
  ])('--%s is refused', async (name, message) => {
    const [problem] = await problemsOf({ tree: minimal, flags: { [name]: '20m' } })
    expect(problem).toMatchObject({ path: `--${name}`, message: expect.stringMatching(message) as string })
  })

  test('a wrong value names the flag, not a line', async () => {
    expect(await problemsOf({ text: stringify({ ...minimal, session: { idle: '5m' } }), flags: { 'session.idle': '20' } }))
      .toEqual([{ path: 'session.idle', at: '--session.idle', message: expect.stringContaining('unit') as string }])
  })

  test('a secret given as a flag replaces the file\'s secretFile, and the reverse', async () => {
    const tree = minimalWith({ 'keys.cookie.0': { id: 'c1', secretFile: '/nowhere' } })
    const { config } = await load(tree, { flags: { 'keys.cookie.0.secret': secretNamed('flag') } })
    expect(config.keys.cookie[0]?.secret).toBe(secretNamed('flag'))
  })

  test('everything can be said with flags', async () => {
    const { config } = await loadConfig({ env: {}, flags: {
      'keys.cookie.0.id': 'c1', 'keys.cookie.0.secret': secretNamed('c'), 'keys.assertion.0.id': 'a1', 'keys.assertion.0.alg': 'HS256',
      'keys.assertion.0.secret': secretNamed('a'), 'upstreams.web.targets': 'http://127.0.0.1:5000', 'routes.0.upstream': 'web',
    } })
    expect(config.routes[0]?.upstream).toBe('web')
  })
})

describe('secret files', () => {
  const withFile = (file: string): unknown => minimalWith({ 'keys.cookie.0': { id: 'c1', secretFile: file } })

  test.each([
    ['one trailing newline', '\n'],
    ['a Windows one', '\r\n'],
    ['none', ''],
  ])('%s is dropped', async (_, ending) => {
    const file = await write('ok', `${secretNamed('file')}${ending}`)
    const { config, files, warnings } = await load(withFile(file))
    expect(config.keys.cookie[0]).toEqual({ id: 'c1', secret: secretNamed('file'), secretFile: file })
    expect([...files.keys()]).toEqual([file])
    expect(warnings).toEqual([])
  })

  test.each([
    ['two trailing newlines', `${secretNamed('x')}\n\n`, /white space/],
    ['a leading space', ` ${secretNamed('x')}`, /starts with white space/],
    ['a byte order mark', `\uFEFF${secretNamed('x')}`, /byte order mark/],
    ['nothing in it', '', /empty/],
    ['a newline alone', '\n', /empty/],
    ['half a secret', secretNamed('x').slice(0, 20), /shorter than 32 bytes/],
    ['bytes that are no text', new Uint8Array([0xff, 0xfe, 1, 2]), /not UTF-8/],
    ['a sample', 'change-me-change-me-change-me-change-me', /well-known/],
    ['a repeated letter', 'aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd', /too few different/],
    ['a megabyte', 'x'.repeat(1_048_576), /larger than 64 KB/],
  ])('a file with %s is refused', async (_, content, message) => {
    const file = await write('bad', content)
    const [problem, ...others] = await problemsOf({ tree: withFile(file) })
    expect(others).toEqual([])
    expect(problem?.message).toMatch(message)
  })

  test.each([
    ['that does not exist', (): Promise<string> => Promise.resolve(join(directory, 'none')), /no such file/],
    ['that is a directory', async (): Promise<string> => {
      await mkdir(join(directory, 'sub'), { recursive: true })
      return join(directory, 'sub')
    }, /not a file|a directory/],
    ['that leads round in a circle', async (): Promise<string> => {
      await symlink(join(directory, 'loop'), join(directory, 'loop'))
      return join(directory, 'loop')
    }, /cannot be read/],
  ])('a file %s is one problem', async (_, make, message) => {
    const problems = await problemsOf({ tree: withFile(await make()) })
    expect(problems).toEqual([{ path: 'keys.cookie.0.secretFile', message: expect.stringMatching(message) as string }])
  })

  test('a file everybody can read is a warning', async () => {
    const file = await write('open', secretNamed('open'))
    await chmod(file, 0o644)
    expect((await load(withFile(file))).warnings).toEqual([{ path: 'keys.cookie.0.secretFile', message: expect.stringContaining('chmod 600') as string }])
  })

  test('relative ones start at the configuration file', async () => {
    await write('relative', secretNamed('relative'))
    const file = await write('gate.yaml', stringify(withFile('relative')))
    const { config, files } = await loadConfig({ file, env: {} })
    expect(config.keys.cookie[0]?.secret).toBe(secretNamed('relative'))
    expect(config.store).toMatchObject({ path: join(directory, 'data') })
    expect([...files.keys()]).toEqual([file, join(directory, 'relative')])
  })

  test('secret and secretFile together are refused', async () => {
    const file = await write('both', secretNamed('both'))
    const problems = await problemsOf({ tree: minimalWith({ 'keys.cookie.0.secretFile': file }) })
    expect(problems).toEqual([{ path: 'keys.cookie.0.secretFile', message: 'give either this or secret, not both' }])
  })

  test('passwords have them too', async () => {
    const file = await write('password', 'hunter2\n')
    const { config } = await load(minimalWith({ store: { kind: 'redis', passwordFile: file, sentinel: { name: 'm', nodes: ['h:1'], passwordFile: file } } }))
    expect(config.store).toMatchObject({ password: 'hunter2', sentinel: { password: 'hunter2' } })
  })
})

describe('certificates', () => {
  const withTls = (certFile: string, keyFile: string): unknown => minimalWith({ listen: '0.0.0.0:8443', tls: { certFile, keyFile } })

  test('a pair makes the listeners HTTPS and the cookie __Host-; both files are watched', async () => {
    const { certFile, keyFile } = makeLeaf()
    const { config, files } = await load(withTls(certFile, keyFile))
    expect(config.session.cookie).toMatchObject({ name: '__Host-session', secure: true })
    expect([...files.keys()]).toEqual([certFile, keyFile])
  })

  test('a key of another certificate, or half a file, is a problem', async () => {
    const [one, other] = [makeLeaf(), makeLeaf()]
    expect(await problemsOf({ tree: withTls(one.certFile, other.keyFile) })).toEqual([{ path: 'tls', message: 'the certificate and the key do not belong together' }])
    const half = await write('half.pem', '-----BEGIN CERTIFICATE-----\nMIIB')
    expect((await problemsOf({ tree: withTls(half, one.keyFile) }))[0]?.message).toMatch(/half written/)
  })
})

test('a configuration file that cannot be read is a problem', async () => {
  expect((await problemsOf({ file: join(directory, 'absent.yaml') }))[0]?.message).toMatch(/cannot be read: no such file/)
  expect((await problemsOf({ file: await write('latin1.yaml', new Uint8Array([0x61, 0x3a, 0x20, 0xe9])) }))[0]?.message).toMatch(/UTF-8/)
})
