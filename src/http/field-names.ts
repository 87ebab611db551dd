/** A flat list of field lines as node:http gives and takes them: name, value, name, value, ... Order is kept. */
export type RawHeaders = readonly string[]

/** Connection-level fields, never forwarded (RFC 9110 section 7.6.1), and those meant for the nearest proxy (section 11.7). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings',
  'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization',
])

export function isHopByHop(lowerName: string): boolean {
  return HOP_BY_HOP.has(lowerName)
}

/** The name a careless server may take it for: CGI and WSGI map every character but letters and digits to one. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}

/** The three fields of the protocol under one prefix, and the test for everything the gateway owns. */
export interface OwnNames {
  readonly assertion: string
  readonly patch: string
  readonly control: string
  readonly mutation: string
  /** Whether a canonical name lies under the prefix. */
  owns(canonical: string): boolean
}

/** `X-Session-` -> `X-Session-Assertion` and so on. */
export function ownNames(prefix: string): OwnNames {
  const canonicalPrefix = canonicalName(prefix)
  return {
    assertion: `${prefix}Assertion`,
    patch: canonicalName(`${prefix}Patch`),
    control: canonicalName(`${prefix}Control`),
    mutation: canonicalName(`${prefix}Mutation`),
    owns: (canonical) => canonical.startsWith(canonicalPrefix),
  }
}

/** Remembers a pure function of field names; bounded, because clients choose the names. */
export function memoizeByName<T>(classify: (name: string) => T, maxNames = 1_000): (name: string) => T {
  const known = new Map<string, T>()
  return (name) => {
    const found = known.get(name)
    if (found !== undefined) return found
    const value = classify(name)
    if (known.size < maxNames && name.length <= 64) known.set(name, value)
    return value
  }
}

/** Options of Connection that name no field. */
const CONNECTION_OPTIONS: ReadonlySet<string> = new Set(['close', 'keep-alive', 'upgrade'])
const NO_NAMES: readonly string[] = []

/** The fields a Connection line names, lower case (RFC 9110 section 7.6.1). */
export function namedByConnection(value: string): readonly string[] {
  if (CONNECTION_OPTIONS.has(value)) return NO_NAMES
  return listOf(value).filter((option) => !CONNECTION_OPTIONS.has(option))
}

/** The members of a comma-separated list, lower case, empty ones left out. */
export function listOf(value: string): string[] {
  return value.split(',').map((item) => item.trim().toLowerCase()).filter((item) => item !== '')
}
