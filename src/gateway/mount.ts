/** A path prefix the app does not know, and where browsers see it. */
export interface Mount {
  /** Without a trailing slash; empty when nothing is stripped. */
  readonly prefix: string
  readonly publicOrigin: string
  /** The authorities by which the app may name itself. */
  readonly ownAuthorities: readonly string[]
}

/** `/app/x?y` below `/app` becomes `/x?y`. Walks the raw target, in which characters of the prefix may be percent-encoded. */
export function stripPrefix(target: string, prefix: string): string {
  let raw = 0
  for (let i = 0; i < prefix.length; i++) raw += target.charAt(raw) === '%' && prefix.charAt(i) !== '%' ? 3 : 1
  const rest = target.slice(raw)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Puts the prefix back on Location, Content-Location and cookie paths, and the public origin in place of the app's own. */
export function mountResponse(fields: string[], mount: Mount): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    const value = fields[i + 1] as string
    if (name === 'location' || name === 'content-location') fields[i + 1] = mountLocation(value, mount)
    else if (name === 'set-cookie' && mount.prefix !== '') fields[i + 1] = mountCookiePath(value, mount.prefix)
  }
}

function mountLocation(location: string, { prefix, publicOrigin, ownAuthorities }: Mount): string {
  if (location.startsWith('/') && !location.startsWith('//')) return prefix + location
  const [, authority, rest = ''] = /^(?:https?:)?\/\/([^/?#]+)([^]*)$/i.exec(location) ?? []
  if (authority === undefined || !ownAuthorities.includes(authority.toLowerCase())) return location
  return publicOrigin + prefix + (rest.startsWith('/') || rest === '' ? rest : `/${rest}`)
}

/** Browsers take a `__Host-` cookie only with Path=/ (RFC 6265bis section 4.1.3), so that one stays. */
function mountCookiePath(line: string, prefix: string): string {
  if (/^[ \t]*__host-/i.test(line)) return line
  return line.replace(/(;\s*path\s*=\s*)(\/[^;]*)/gi, (_, attribute: string, path: string) => attribute + (path === '/' ? prefix : prefix + path))
}
