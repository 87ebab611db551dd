import type { ConnectionOptions } from 'node:tls'

/** Giving any turns TLS on; the server is always verified. */
export type SqlTls = Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>

/**
 * The connection string with a password that was given beside it; one in the string itself stays when none is given. As a query
 * parameter where the string names no host to put it before (`postgres:///db?host=/run/postgresql`).
 * Throws a TypeError that does not repeat the string, which may hold a password.
 */
export function withPassword(text: string, password: string | undefined): string {
  if (!URL.canParse(text)) throw new TypeError('the connection string cannot be parsed')
  if (password === undefined) return text
  const url = new URL(text)
  if (url.hostname === '') url.searchParams.set('password', password)
  else url.password = encodeURIComponent(password)
  return url.href
}
