import type { Address } from './address.ts'
import { coreOf, schemasAt } from './schema-walk.ts'
import { type Config, configShape } from './schema.ts'
import { SECRET_MEMBERS } from './secret-files.ts'
import { isMembers, mapTree, type Path } from './tree.ts'
import { duration, durationText, size, sizeText } from './units.ts'

export const REDACTED = '(redacted)'

/**
 * The whole configuration as an operator would write it, every default included and every secret redacted: units are back, addresses
 * and targets are text. With its secrets put in again it loads to the same configuration.
 */
export function effectiveConfig(config: Config): unknown {
  const written = { ...config, listen: config.listen.map(addressText), admin: config.admin === false ? false : addressText(config.admin) }
  const withTargets = mapTree(written, (value) => (isMembers(value) && typeof value['origin'] === 'string' ? value['text'] : value))
  return mapTree(withTargets, (value, path) => redacted(withUnit(value, path, withTargets), path))
}

export function addressText(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/** `redis://user:hunter2@host` -> `redis://user:(redacted)@host`; query parameters can carry secrets too. */
export function redactedUrl(url: string): string {
  return url.replace(/^([a-z+]+:\/\/[^/@]*?:)[^/]*@/i, `$1${REDACTED}@`).replace(/([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&]*/gi, `$1${REDACTED}`)
}

function withUnit(value: unknown, path: Path, tree: unknown): unknown {
  if (typeof value !== 'number') return value
  const forms = schemasAt(configShape, path, tree).map(coreOf)
  if (forms.includes(coreOf(duration))) return durationText(value)
  return forms.includes(coreOf(size)) ? sizeText(value) : value
}

function redacted(value: unknown, path: Path): unknown {
  const name = String(path.at(-1))
  if (path[0] === 'store' && path[1] === 'options' && typeof value === 'string') return REDACTED
  if (typeof value !== 'string') return value
  if (SECRET_MEMBERS.includes(name) && name !== 'publicKey') return REDACTED
  return name === 'url' ? redactedUrl(value) : value
}
