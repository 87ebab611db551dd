import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { HeaderList } from '../http-framing.ts'
import { freePort } from '../ports.ts'
import { echoJson, startRawUpstream } from '../raw-upstream.ts'
import { serverDirectory, startServer } from './process.ts'

/** What an app behind a server sees of a request: names as CGI and WSGI spell them (`HTTP_X_A`), duplicates joined as that server does. */
export interface SeenByApp {
  readonly method: string
  readonly target: string
  readonly fields: Readonly<Record<string, string>>
  /** As latin1 text. */
  readonly body: string
}

/** A real server in front of an app that answers with what it sees. */
export interface EchoServer extends AsyncDisposable {
  readonly name: string
  readonly url: string
  /** What an answer's body, as latin1 text, says of the request. */
  seenIn(answer: string): SeenByApp
}

const ECHO_APP = `
import json, os, sys

def seen(environ, body):
    fields = {name: value for name, value in environ.items() if name.startswith('HTTP_') or name in ('CONTENT_TYPE', 'REMOTE_USER')}
    target = environ.get('RAW_URI') or environ['REQUEST_URI']
    return json.dumps({'method': environ['REQUEST_METHOD'], 'target': target, 'fields': fields, 'body': body.decode('latin1')})

def app(environ, start_response):
    answer = seen(environ, environ['wsgi.input'].read()).encode()
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(answer)))])
    return [answer]

if __name__ == '__main__':
    environ = {name.decode('latin1'): value.decode('latin1') for name, value in os.environb.items()}
    print('Content-Type: application/json\\n\\n' + seen(environ, sys.stdin.buffer.read()))
`

/** All four: gunicorn (WSGI), Apache (CGI), nginx (proxying, underscores allowed) and node:http. None is left when one cannot start. */
export async function startEchoServers(): Promise<EchoServer[]> {
  const outcomes = await Promise.allSettled([startGunicorn(), startApache(), startNginx(), startNode()])
  const started = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (!failed) return started
  await Promise.all(started.map((server) => server[Symbol.asyncDispose]()))
  throw failed.reason
}

async function startGunicorn(): Promise<EchoServer> {
  const [port, directory] = [await freePort(), echoDirectory()]
  const server = await startServer({
    binary: 'gunicorn', debianPackage: 'gunicorn', directory, isUp: () => isServing(port),
    args: ['--bind', `127.0.0.1:${port}`, '--workers', '1', '--timeout', '10', '--worker-tmp-dir', directory, '--limit-request-field_size', '16384', 'echo:app'],
  })
  return { name: 'gunicorn', url: `http://127.0.0.1:${port}`, seenIn: JSON.parse, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

async function startApache(): Promise<EchoServer> {
  const [port, directory] = [await freePort(), echoDirectory()]
  const modules = ['mpm_prefork', 'authz_core', 'alias', 'cgi'].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)
  writeFileSync(`${directory}/httpd.conf`, [
    `ServerRoot ${directory}`, `Listen 127.0.0.1:${port}`, 'ServerName localhost', 'PidFile httpd.pid', 'ErrorLog error.log', ...modules, ...process.getuid?.() === 0 ? ['User nobody', 'Group nogroup'] : [],
    'StartServers 1', 'MinSpareServers 1', 'MaxSpareServers 2', 'AllowEncodedSlashes NoDecode', 'MergeSlashes Off', 'HttpProtocolOptions Strict LenientMethods Allow0.9',
    `ScriptAliasMatch ".*" ${directory}/echo.py`, `<Directory ${directory}>`, 'Require all granted', 'Options +ExecCGI', 'CGIPassAuth On', '</Directory>', '',
  ].join('\n'))
  const server = await startServer({ binary: 'apache2', debianPackage: 'apache2', directory, isUp: () => isServing(port), args: ['-X', '-f', `${directory}/httpd.conf`] })
  return { name: 'apache', url: `http://127.0.0.1:${port}`, seenIn: JSON.parse, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** nginx shows what it understood by what it sends on. */
async function startNginx(): Promise<EchoServer> {
  const behind = await startRawUpstream(echoJson())
  const [port, directory] = [await freePort(), echoDirectory()]
  mkdirSync(`${directory}/temp`)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/temp/${name};`).join(' ')
  writeFileSync(`${directory}/nginx.conf`, `
    daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr;
    events { worker_connections 64; }
    http { access_log off; ${temporary} underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
      server { listen 127.0.0.1:${port}; location / { proxy_pass ${behind.url}; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection ""; } } }
  `)
  const server = await startServer({ binary: 'nginx', debianPackage: 'nginx', directory, isUp: () => isServing(port), args: ['-p', directory, '-c', `${directory}/nginx.conf`] })
  return {
    name: 'nginx', url: `http://127.0.0.1:${port}`, seenIn: seenInRawEcho,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await behind[Symbol.asyncDispose]()
    },
  }
}

async function startNode(): Promise<EchoServer> {
  const server = createServer((request: IncomingMessage, response) => {
    void buffer(request).then((body) => {
      const headers = Array.from({ length: request.rawHeaders.length / 2 }, (_, i) => request.rawHeaders.slice(i * 2, i * 2 + 2))
      response.end(JSON.stringify({ method: request.method, target: request.url, headers, body: body.toString('latin1') }), 'latin1')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    name: 'node', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seenIn: seenInRawEcho,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function seenInRawEcho(answer: string): SeenByApp {
  const { method, target, headers, body } = JSON.parse(answer) as { method: string; target: string; headers: HeaderList; body: string }
  const fields = new Map<string, string>()
  for (const [name, value] of headers) {
    const cgi = name.toUpperCase().replace(/[^A-Z0-9]/g, '_')
    const key = cgi === 'CONTENT_TYPE' ? cgi : `HTTP_${cgi}`
    const before = fields.get(key)
    fields.set(key, before === undefined ? value : `${before}${cgi === 'COOKIE' ? '; ' : ', '}${value}`)
  }
  return { method, target, fields: Object.fromEntries(fields), body }
}

/** With the echo app in it, readable for servers that give up root. */
function echoDirectory(): string {
  const directory = serverDirectory()
  writeFileSync(`${directory}/echo.py`, `#!/usr/bin/python3${ECHO_APP}`)
  chmodSync(`${directory}/echo.py`, 0o755)
  chmodSync(directory, 0o755)
  return directory
}

async function isServing(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect').finally(() => socket.destroy())
}
