import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { load, minimalWith, problemsOf, secretNamed } from '../support/config-samples.ts'

type Changes = Readonly<Record<string, unknown>>
const behindTls: Changes = { trustedProxies: ['10.0.0.0/8'] }
const twoUpstreams: Changes = { 'upstreams.api': { targets: ['http://127.0.0.1:6000'] } }

const ed25519 = generateKeyPairSync('ed25519')
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const privatePem = (pair: { privateKey: { export(options: object): unknown } }, options: object = {}): string => String(pair.privateKey.export({ type: 'pkcs8', format: 'pem', ...options }))
const publicPem = (pair: { publicKey: { export(options: object): unknown } }): string => String(pair.publicKey.export({ type: 'spki', format: 'pem' }))
const signing = (alg: string, privateKey: string): Changes => ({ 'keys.assertion.0': { id: 'a1', alg, privateKey } })
const verifying = (alg: string, publicKey: string): Changes => ({ 'upstreams.app.mutationKeys': [{ id: 'm1', alg, publicKey }], 'routes.0.mutations': { signed: true } })

describe('refused', () => {
  test.each<[string, Changes, string, RegExp]>([
    // Cookie (security case CF3)
    ['__Host- with a domain', { ...behindTls, 'session.cookie.name': '__Host-s', 'session.cookie.domain': 'a.example' }, 'session.cookie.domain', /__Host-/],
    ['__Host- with a path', { ...behindTls, 'session.cookie.name': '__Host-s', 'session.cookie.path': '/x' }, 'session.cookie.path', /__Host-/],
    ['__Host- that is not secure', { 'session.cookie.name': '__Host-s' }, 'session.cookie.name', /not Secure/],
    ['__hOsT- in another case', { 'session.cookie.name': '__hOsT-s' }, 'session.cookie.name', /not Secure/],
    ['__Secure- that is not secure', { 'session.cookie.name': '__Secure-s', 'session.cookie.secure': false }, 'session.cookie.name', /not Secure/],
    ['__Http- for scripts', { ...behindTls, 'session.cookie.name': '__Http-s', 'session.cookie.httpOnly': false }, 'session.cookie.name', /HttpOnly/],
    ['a cookie name with ;', { 'session.cookie.name': 'a;b' }, 'session.cookie.name', /cookie name/],
    ['a cookie name with a line break', { 'session.cookie.name': 'a\r\nb' }, 'session.cookie.name', /cookie name/],
    ['a cookie path with ;', { 'session.cookie.path': '/a;b' }, 'session.cookie.path', /no ; or space/],
    ['a cookie domain with ;', { 'session.cookie.domain': 'a.example; Path=/' }, 'session.cookie.domain', /host name/],
    ['a cookie domain with a dot in front', { 'session.cookie.domain': '.a.example' }, 'session.cookie.domain', /leading dot/],
    ['SameSite=None that is not secure', { 'session.cookie.sameSite': 'none' }, 'session.cookie.sameSite', /Secure/],
    ['partitioned that is not secure', { 'session.cookie.partitioned': true }, 'session.cookie.partitioned', /Secure/],
    ['a cookie line over 4096 bytes', { 'session.cookie.path': `/${'x'.repeat(4_000)}`, 'routes.0.path': `/${'x'.repeat(4_000)}` }, 'session.cookie', /4096/],
    ['a cookie path over 1024 bytes', { 'session.cookie.path': `/${'x'.repeat(1_100)}`, 'routes.0.path': `/${'x'.repeat(1_100)}` }, 'session.cookie.path', /1024/],
    // Where HTTPS ends
    ['plain HTTP beyond loopback', { listen: '0.0.0.0:8080' }, 'listen', /`tls`.*`trustedProxies`.*secure: false/],
    ['one of two listeners beyond loopback', { listen: ['127.0.0.1:8080', '192.0.2.1:8080'] }, 'listen', /plain HTTP/],
    // Header prefix (CF4)
    ...['X-', 'Set-', 'Content-', 'X-Forwarded-', 'X-Forwarded-Session-', 'Sec-', 'If-', 'Accept-', 'Proxy-Auth-', 'Cookie-', 'x-request-', 'Transfer-']
      .map((prefix): [string, Changes, string, RegExp] => [`the prefix ${prefix}`, { headerPrefix: prefix }, 'headerPrefix', /choose a prefix of your own/]),
    ['a prefix without -', { headerPrefix: 'XSession' }, 'headerPrefix', /ending in "-"/],
    ['a prefix with a space', { headerPrefix: 'X Session-' }, 'headerPrefix', /letters, digits/],
    // Keys
    ['one secret for cookies and assertions', { 'keys.assertion.0.secret': secretNamed('cookie') }, 'keys.assertion.0.secret', /same secret as keys.cookie.0/],
    ['one secret for cookies and records', { 'keys.record': [{ id: 'r1', secret: secretNamed('cookie') }] }, 'keys.record.0.secret', /same secret/],
    ['one secret under two ids', { 'keys.cookie.1': { id: 'c2', secret: secretNamed('cookie') } }, 'keys.cookie.1.secret', /same secret/],
    ['one secret for assertions and mutations', { 'upstreams.app.mutationKeys': [{ id: 'm1', alg: 'HS256', secret: secretNamed('assertion') }] }, 'upstreams.app.mutationKeys.0.secret', /same secret/],
    ['two keys of one id', { 'keys.cookie.1': { id: 'c1', secret: secretNamed('other') } }, 'keys.cookie', /same id/],
    ['no key', { 'keys.cookie': [] }, 'keys.cookie', /at least one key/],
    ['a key without a secret', { 'keys.cookie.0': { id: 'c1' } }, 'keys.cookie.0.secret', /`secretFile`/],
    ['a key id with a dot', { 'keys.cookie.0.id': 'a.b' }, 'keys.cookie.0.id', /A-Z/],
    ['EdDSA with a P-256 key', signing('EdDSA', privatePem(p256)), 'keys.assertion.0.privateKey', /Ed25519 key, this is prime256v1/],
    ['ES256 with an Ed25519 key', signing('ES256', privatePem(ed25519)), 'keys.assertion.0.privateKey', /P-256 key, this is ed25519/],
    ['ES256 with a P-384 key', signing('ES256', privatePem(p384)), 'keys.assertion.0.privateKey', /secp384r1/],
    ['a public key to sign with', signing('EdDSA', publicPem(ed25519)), 'keys.assertion.0.privateKey', /private key in PEM/],
    ['half a PEM', signing('EdDSA', privatePem(ed25519).slice(0, 60)), 'keys.assertion.0.privateKey', /cannot be parsed/],
    ['a PEM with a passphrase', signing('EdDSA', privatePem(ed25519, { cipher: 'aes-256-cbc', passphrase: 'x' })), 'keys.assertion.0.privateKey', /passphrase/],
    ['EdDSA with a secret', { 'keys.assertion.0': { id: 'a1', alg: 'EdDSA', secret: secretNamed('x') } }, 'keys.assertion.0.secret', /not a key here/],
    ['a private key to verify with', verifying('EdDSA', privatePem(ed25519)), 'upstreams.app.mutationKeys.0.publicKey', /private key/],
    ['a public key of another curve', verifying('ES256', publicPem(p384)), 'upstreams.app.mutationKeys.0.publicKey', /P-256/],
    // Routes and upstreams
    ['a route to nowhere', { 'routes.0.upstream': 'apq' }, 'routes.0.upstream', /did you mean app/],
    ['a route to the prototype', { 'routes.0.upstream': 'constructor' }, 'routes.0.upstream', /no such upstream/],
    ['a route twice', { routes: [{ upstream: 'app' }, { upstream: 'app', path: '/' }] }, 'routes.1', /same host and path as routes.0/],
    ['a route twice, hosts in other case', { routes: [{ upstream: 'app', host: 'a.example' }, { upstream: 'app', host: 'A.Example' }] }, 'routes.1', /same host and path/],
    ['signed mutations without keys', { 'routes.0.mutations': { signed: true } }, 'routes.0.mutations.signed', /upstreams.app.mutationKeys/],
    ['a cookie domain that is not the host\'s', { ...behindTls, 'session.cookie.domain': 'a.example', 'routes.0.host': 'b.example' }, 'routes.0.host', /refuse a cookie for a.example/],
    ['a cookie domain that only ends like the host', { ...behindTls, 'session.cookie.domain': 'a.example', 'routes.0.host': 'xa.example' }, 'routes.0.host', /refuse/],
    ['a login page behind itself', { 'routes.0.session': 'require', 'routes.0.loginUrl': '/login?next=1' }, 'routes.0.loginUrl', /never be reached/],
    ['a login URL without require', { 'routes.0.loginUrl': '/login' }, 'routes.0.loginUrl', /session: require/],
    ['a login URL of another scheme', { 'routes.0.session': 'require', 'routes.0.loginUrl': '//evil.example/' }, 'routes.0.loginUrl', /path or an http/],
    ['an expose path with a star inside', { 'routes.0.expose': ['a.*.b'] }, 'routes.0.expose.0', /expected a path/],
    ['a target with a path', { 'upstreams.app.targets': ['http://h:1/x'] }, 'upstreams.app.targets.0', /without a path/],
    ['a target with a user', { 'upstreams.app.targets': ['http://me:secret@h:1'] }, 'upstreams.app.targets.0', /user/],
    ['no target', { 'upstreams.app.targets': [] }, 'upstreams.app.targets', /at least one/],
    ['the gateway as its own upstream', { 'upstreams.app.targets': ['http://localhost:8080'] }, 'upstreams.app.targets.0', /circle/],
    // Listeners
    ['one address twice', { listen: ['127.0.0.1:8080', '127.0.0.1:8080'] }, 'listen.1', /same address/],
    ['an address within another', { ...behindTls, listen: ['0.0.0.0:8080', '127.0.0.1:8080'] }, 'listen.1', /same address/],
    ['localhost and its address', { listen: ['localhost:8080', '127.0.0.1:8080'] }, 'listen.1', /same address/],
    ['the admin listener on the front', { admin: '127.0.0.1:8080' }, 'admin', /its own/],
    ['one socket file twice', { listen: ['unix:/a', 'unix:/a'] }, 'listen.1', /same address/],
    ['a port over 65535', { listen: '127.0.0.1:65536' }, 'listen', /host:port/],
    ['a relative socket path', { listen: 'unix:run/x.sock' }, 'listen', /unix:\/path/],
    ['a proxy that is a name', { trustedProxies: ['proxy.internal'] }, 'trustedProxies.0', /IP address or a network/],
    ['a network of 33 bits', { trustedProxies: ['10.0.0.0/33'] }, 'trustedProxies.0', /IP address or a network/],
    ['memory with workers', { workers: 2, store: { kind: 'memory' } }, 'store.kind', /cannot be shared by 2/],
    ['sentinels and a cluster', { store: { kind: 'redis', sentinel: { name: 'm', nodes: ['h:1'] }, cluster: ['h:1'] } }, 'store.cluster', /not both/],
    ['a certificate that is not there', { tls: { certFile: '/nowhere/c.pem', keyFile: '/nowhere/k.pem' } }, 'tls.certFile', /no such file/],
    // Lifetimes and sizes
    ['idle over absolute', { 'session.idle': '25h' }, 'session.idle', /session.absolute/],
    ['idle of zero', { 'session.idle': '0s' }, 'session.idle', /more than zero/],
    ['an assertion that lives no second', { 'assertion.lifetime': '500ms' }, 'assertion.lifetime', /at least 2s/],
    ['a connect timeout of zero', { 'upstreams.app.timeouts': { connect: '0ms' } }, 'upstreams.app.timeouts.connect', /more than zero/],
    ['a duration without a unit', { 'session.idle': '30' }, 'session.idle', /number and a unit/],
    ['a fraction', { 'session.idle': '1.5h' }, 'session.idle', /number and a unit/],
    ['a negative duration', { 'session.idle': '-5m' }, 'session.idle', /number and a unit/],
    ['a limit per subject without a subject', { 'session.maxPerSubject': 3 }, 'session.maxPerSubject', /session.subject/],
  ])('%s', async (_, changes, path, message) => {
    const problems = await problemsOf({ tree: minimalWith(changes) })
    expect(problems.find((problem) => problem.path === path)?.message, JSON.stringify(problems)).toMatch(message)
  })
})

describe('accepted, with a warning', () => {
  test.each<[string, Changes, string, RegExp]>([
    ['plain HTTP beyond loopback that is meant', { listen: '0.0.0.0:8080', 'session.cookie.secure': false }, 'session.cookie.secure', /in the clear/],
    ['an admin listener for everyone', { admin: '0.0.0.0:9090' }, 'admin', /asks for no password/],
    ['public keys that nobody can fetch', { admin: false, ...signing('EdDSA', privatePem(ed25519)) }, 'admin', /served nowhere/],
    ['a network of everyone', { trustedProxies: ['0.0.0.0/0'] }, 'trustedProxies.0', /trusts everyone/],
    ['an upstream without a route', twoUpstreams, 'upstreams.api', /no route/],
    ['mutation keys nobody asks for', { 'upstreams.app.mutationKeys': [{ id: 'm1', alg: 'HS256', secret: secretNamed('m') }] }, 'upstreams.app.mutationKeys', /never asked for/],
    ['a session no header can carry', { 'session.maxBytes': '32KB' }, 'session.maxBytes', /carries about \d+/],
    ['a header too small for the session', { 'upstreams.app.maxHeaderBytes': 1_024 }, 'upstreams.app.maxHeaderBytes', /larger ones are refused/],
    ['a route the cookie does not reach', { 'session.cookie.path': '/app' }, 'routes.0.path', /only below session.cookie.path/],
    ['a login nobody may write', { 'session.rotateOn': ['user.id'], 'routes.0.writable': ['cart'] }, 'session.rotateOn.0', /no route may write user.id/],
    ['upstream TLS without an https target', { 'upstreams.app.tls': { servername: 'x' } }, 'upstreams.app.tls', /no effect/],
    ['any upstream certificate', { 'upstreams.app': { targets: ['https://127.0.0.1:1'], tls: { rejectUnauthorized: false } } }, 'upstreams.app.tls.rejectUnauthorized', /between/],
  ])('%s', async (_, changes, path, message) => {
    const { warnings } = await load(minimalWith(changes))
    expect(warnings.find((warning) => warning.path === path)?.message, JSON.stringify(warnings)).toMatch(message)
  })
})

describe('accepted, without a word', () => {
  test.each<[string, Changes]>([
    ['two routes of one path on two hosts', { routes: [{ upstream: 'app', host: 'a.example' }, { upstream: 'app', host: 'b.example' }, { upstream: 'app' }] }],
    ['a login page beside the route it guards', { routes: [{ upstream: 'app', session: 'require', loginUrl: '/login' }, { path: '/login', upstream: 'app' }] }],
    ['a login page elsewhere', { 'routes.0.session': 'require', 'routes.0.loginUrl': 'https://login.example/' }],
    ['a sub-domain of the cookie\'s domain', { ...behindTls, 'session.cookie.domain': 'example.com', 'routes.0.host': 'shop.example.com:8443' }],
    ['another host without a session', { ...behindTls, 'session.cookie.domain': 'example.com', 'routes.0.host': 'other.example', 'routes.0.session': 'none' }],
    ['any free ports', { listen: ['127.0.0.1:0', '127.0.0.1:0'], admin: '127.0.0.1:0' }],
    ['proxies in every form', { trustedProxies: ['10.0.0.5', '10.0.0.0/8', 'fd00::/8', '::1', 'unix'] }],
    ['rotateOn under a writable parent', { 'session.rotateOn': ['user.id'], 'routes.0.writable': ['user.*'] }],
    ['an EdDSA key', signing('EdDSA', privatePem(ed25519))],
    ['an ES256 key', signing('ES256', privatePem(p256))],
    ['an EdDSA mutation key', verifying('EdDSA', publicPem(ed25519))],
    ['a prefix of one\'s own', { headerPrefix: 'Acme-' }],
    ['an idle limit of none', { 'upstreams.app.timeouts': { idle: '0ms' } }],
    ['an app on another port of this machine', { 'upstreams.app.targets': ['http://localhost:8081'] }],
  ])('%s', async (_, changes) => {
    expect((await load(minimalWith(changes))).warnings).toEqual([])
  })
})

test('nothing is said that only follows from another problem', async () => {
  const problems = await problemsOf({ tree: minimalWith({ listen: '0.0.0.0:8080', trustedProxies: 'x', 'routes.0.path': 'no-slash', 'routes.1': { upstream: 'app' } }) })
  expect(problems.map(({ path }) => path).toSorted()).toEqual(['routes.0.path', 'trustedProxies'])
})

test.each<[Record<string, unknown>, readonly string[]]>([
  [{}, []], [{ 'session.subject': 'user.id' }, ['user.id']], [{ 'session.subject': 'user.id', 'session.rotateOn': [] }, []],
  [{ 'session.subject': 'user.id', 'session.rotateOn': ['role'] }, ['role']],
])('%j rotates on %j', async (changes, rotateOn) => {
  expect((await load(minimalWith(changes))).config.session.rotateOn).toEqual(rotateOn)
})

test('a subject that nobody may write is said once', async () => {
  const { warnings } = await load(minimalWith({ 'session.subject': 'user.id', 'routes.0.writable': ['cart'] }))
  expect(warnings.map(({ path }) => path)).toEqual(['session.subject'])
})
