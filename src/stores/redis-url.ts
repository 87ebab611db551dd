/** Where one Redis is, and as whom to go there. */
export interface RedisAddress {
  readonly host?: string
  readonly port?: number
  /** Of a unix socket, instead of host and port. */
  readonly path?: string
  readonly username?: string
  readonly password?: string
  readonly db: number
  readonly secure: boolean
}

const DEFAULT_PORT = 6379

/**
 * Parses `redis://[user[:password]@]host[:port][/db]`, `rediss://...` (TLS) or `unix:///path/to.sock[?db=N]`.
 * Throws a TypeError that does not repeat the URL, which may hold a password.
 */
export function parseRedisUrl(text: string): RedisAddress {
  if (!URL.canParse(text)) throw new TypeError('the Redis URL cannot be parsed')
  const url = new URL(text)
  const credentials = {
    ...(url.username ? { username: decodeURIComponent(url.username) } : {}),
    ...(url.password ? { password: decodeURIComponent(url.password) } : {}),
  }
  switch (url.protocol) {
    case 'unix:':
      return { path: decodeURIComponent(url.pathname), ...credentials, db: dbOf(url.searchParams.get('db') ?? ''), secure: false }
    case 'redis:':
    case 'rediss:':
      return {
        host: url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1',
        port: Number(url.port || DEFAULT_PORT),
        ...credentials,
        db: dbOf(url.pathname.slice(1)),
        secure: url.protocol === 'rediss:',
      }
    default:
      throw new TypeError('a Redis URL begins with redis://, rediss:// or unix://')
  }
}

/** Parses `host:port`, `[v6]:port`. */
export function parseRedisNode(text: string): { readonly host: string; readonly port: number } {
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  if (!host) throw new TypeError(`expected host:port, found "${text}"`)
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
}

function dbOf(text: string): number {
  if (!/^\d{0,4}$/.test(text)) throw new TypeError(`the database of a Redis URL is a number, found "${text}"`)
  return Number(text || 0)
}
