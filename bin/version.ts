import { readFileSync } from 'node:fs'

/** The package's version; package.json is one level above `bin` in the sources, two in `dist`. */
export function packageVersion(): string {
  for (const above of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(above, import.meta.url), 'utf8')) as { name?: string; version?: string }
      if (name === 'sessiongate' && version !== undefined) return version
    } catch {
      continue
    }
  }
  return 'unknown'
}
