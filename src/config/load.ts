import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigInvalidError, type ConfigProblem } from '../errors.ts'
import { checkCertificateFiles } from './certificate-files.ts'
import { crossCheck } from './cross-checks.ts'
import { expandEnv } from './expand-env.ts'
import { digestOf, type FilesRead } from './files-read.ts'
import { type Flags, mergeFlags } from './flags.ts'
import { isAffected, parseTree } from './parse-tree.ts'
import { resolveDefaults } from './resolve-defaults.ts'
import { isOptional, schemasAt, typedText } from './schema-walk.ts'
import { type Config, configShape } from './schema.ts'
import { readSecretFiles, reasonOf } from './secret-files.ts'
import { shownPath } from './shown-path.ts'
import { isMembers, mapTree, pathText, valueAt, withValue } from './tree.ts'
import type { YamlSource } from './yaml-source.ts'

export type { Config } from './schema.ts'

/** Where a configuration comes from. Flags win over the file (or the text in its place), the file over the defaults. */
export interface ConfigSource {
  readonly file?: string | undefined
  /** The YAML itself, instead of reading `file`; `file` then only names it in messages. */
  readonly text?: string | undefined
  /** The tree itself, instead of YAML. */
  readonly tree?: unknown
  /** `store.url` -> value; see flags.ts. */
  readonly flags?: Flags | undefined
  /** For `${NAME}`; default: the process's. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** What relative paths in the file are relative to; default: the file's directory, else the working directory. */
  readonly baseDir?: string | undefined
}

export interface LoadedConfig {
  readonly config: Config
  /** What works and is still worth a second look. */
  readonly warnings: readonly ConfigProblem[]
  /** Everything that was read: the file itself, secrets, keys, certificates. */
  readonly files: FilesRead
}

/**
 * The configuration, complete and checked. Rejects with ConfigInvalidError, which lists every problem there is, each with its path,
 * its line and a remedy; values are never quoted, since any may be a secret.
 */
export async function loadConfig(source: ConfigSource): Promise<LoadedConfig> {
  const baseDir = resolve(source.baseDir ?? (source.file === undefined ? '.' : dirname(source.file)))
  const { yaml, files } = await readSource(source)
  const findings = new Findings(source, yaml)
  if (yaml.problems.length > 0) throw findings.error(yaml.problems.map((problem) => findings.located(problem)))
  if (yaml.tree !== undefined && !isMembers(yaml.tree)) throw findings.error([{ path: '', message: 'expected a map of keys, such as "listen: 127.0.0.1:8080"' }])

  const tree = await completeTree(source, yaml.tree, baseDir, findings)
  const { config: parsed, findings: schemaFindings } = parseTree(tree, findings.broken)
  schemaFindings.forEach(({ path, message, place }) => findings.problem({ path, message }, pathText(place)))
  if (parsed === undefined) throw findings.error()

  const config = resolveDefaults(parsed, baseDir)
  crossCheck(config, findings.judge(tree))
  const certificates = await checkCertificateFiles(config)
  certificates.problems.filter(({ path }) => !isAffected(findings.broken, path)).forEach((problem) => findings.problem(problem))
  if (findings.problems.length > 0) throw findings.error()
  return { config, warnings: findings.warnings, files: new Map([...files, ...findings.files, ...certificates.files]) }
}

/** File, then environment, then flags, then secret files: the tree the schema judges. */
async function completeTree(source: ConfigSource, fileTree: unknown, baseDir: string, findings: Findings): Promise<unknown> {
  const env = source.env ?? process.env
  const expanded = expandEnv(withoutEmpty(fileTree), env)
  const flagged = expandEnv(source.flags ?? {}, env)
  expanded.problems.forEach((problem) => findings.problem(problem))
  flagged.problems.forEach(({ path, message }) => findings.problem({ path: `--${path}`, message }, path))

  const typed = mapTree(expanded.tree, (value, path) => {
    if (typeof value !== 'string' || !expanded.expanded.has(pathText(path))) return value
    return typedText(value, schemasAt(configShape, path, expanded.tree))
  })
  const merged = mergeFlags(typed, isMembers(flagged.tree) ? flagged.tree : {}, resolve('.'))
  findings.flagPaths = merged.paths
  merged.problems.forEach((problem) => findings.problem(problem))

  const secrets = await readSecretFiles(merged.tree, baseDir)
  secrets.problems.forEach((problem) => findings.problem(problem))
  secrets.missing.forEach((path) => findings.broken.add(path))
  findings.warnings.push(...secrets.warnings)
  findings.files = secrets.files
  return secrets.tree
}

/** `session:` with nothing but comments under it means "the defaults", not null. */
function withoutEmpty(tree: unknown): unknown {
  let result = tree
  mapTree(tree, (value, path) => {
    const inList = Array.isArray(valueAt(tree, path.slice(0, -1)))
    if (value === null && !inList && schemasAt(configShape, path).some(isOptional)) result = withValue(result, path, undefined)
    return value
  })
  return result
}

async function readSource({ file, text, tree }: ConfigSource): Promise<{ readonly yaml: YamlSource, readonly files: FilesRead }> {
  const files = new Map<string, string>()
  if (tree !== undefined || (file === undefined && text === undefined)) return { yaml: { tree, problems: [], lineOf: () => undefined }, files }
  const { parseYaml } = await import('./yaml-source.ts')    // 30 ms that a start without a file saves
  if (text !== undefined) return { yaml: parseYaml(text), files }
  try {
    const bytes = await readFile(file ?? '')
    files.set(resolve(file ?? ''), digestOf(bytes))
    return { yaml: parseYaml(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), files }
  } catch (error) {
    const message = error instanceof TypeError ? 'is not UTF-8 text' : `cannot be read: ${reasonOf(error)}`
    return { yaml: { tree: undefined, problems: [{ path: '', message }], lineOf: () => undefined }, files }
  }
}

/** Collects what is wrong and knows where each was written. */
class Findings {
  readonly problems: ConfigProblem[] = []
  readonly warnings: ConfigProblem[] = []
  files: FilesRead = new Map()
  /** Paths already known to be wrong; nothing that follows from them is reported. */
  readonly broken = new Set<string>()
  flagPaths: ReadonlySet<string> = new Set()

  constructor(private readonly source: ConfigSource, private readonly yaml: YamlSource) {}

  problem(problem: ConfigProblem, place: string = problem.path): void {
    this.broken.add(place)
    this.problems.push(this.located(problem, place))
  }

  judge(tree: unknown): Parameters<typeof crossCheck>[1] {
    const known = new Set(this.broken)
    const holds = (paths: readonly string[]): boolean => !paths.some((path) => isAffected(known, path))
    return {
      problem: (path, message, ...also) => void (holds([path, ...also]) && this.problems.push(this.located({ path, message }, path))),
      warn: (path, message, ...also) => void (holds([path, ...also]) && this.warnings.push(this.located({ path, message }, path))),
      isWritten: (path) => valueAt(tree, path.split('.')) !== undefined,
      isSound: (path) => ![...known].some((wrong) => path === wrong || path.startsWith(`${wrong}.`)),
    }
  }

  /** In the order of the file; what has no line comes first. */
  error(problems: readonly ConfigProblem[] = this.problems): ConfigInvalidError {
    const lineOf = ({ at }: ConfigProblem): number => Number(/[: ](\d+)$/.exec(at ?? '')?.[1] ?? 0)
    return new ConfigInvalidError(problems.toSorted((a, b) => lineOf(a) - lineOf(b)), this.source.file)
  }

  located({ path, message, at }: ConfigProblem, place: string = path): ConfigProblem {
    if (path.startsWith('--')) return { path, message }
    const shown = shownPath(path)
    if (at !== undefined) return { path: shown, message, at: this.source.file === undefined ? at : at.replace(/^line /, `${this.source.file}:`) }
    const flag = [...this.flagPaths].find((name) => name === place || place.startsWith(`${name}.`))
    if (flag !== undefined) return { path: shown, message, at: `--${flag}` }
    const line = this.yaml.lineOf(place.split('.'))
    if (line === undefined) return { path: shown, message }
    return { path: shown, message, at: this.source.file === undefined ? `line ${line}` : `${this.source.file}:${line}` }
  }
}
