import { nearestFlag } from '../src/config/flags.ts'
import { nearestName } from '../src/config/nearest-name.ts'

const COMMANDS: readonly string[] = ['serve', 'check', 'init', 'keys', 'assertion', 'sessions', 'migrate', 'learn', 'bench', 'schema']
const OPTIONS: readonly string[] = [
  'config', 'upstream', 'print', 'alg', 'ring', 'id', 'out', 'step', 'audience', 'path', 'rounds', 'duration', 'concurrency', 'subject', 'limit', 'json', 'values', 'all', 'admin', 'from', 'source', 'key-prefix', 'dry-run', 'for', 'help', 'version',
]
const NEEDS: Readonly<Record<string, string>> = { keys: 'keys needs one of: generate, rotate', assertion: 'assertion needs: verify', sessions: 'sessions needs one of: list, show, revoke' }

/** yargs's sentence about a command line, in plainer words and with the option or command that was probably meant. */
export function explainMistake(message: string, argv: readonly string[]): string {
  const [, unknown] = /^Unknown (?:arguments?|commands?): (.+)$/.exec(message) ?? []
  if (unknown !== undefined) return [...new Set(unknown.split(', '))].map((name) => explainUnknown(name, argv)).join('; ')
  if (message.startsWith('Not enough non-option arguments')) return NEEDS[argv[0] ?? ''] ?? 'something is missing after the command'
  const [, needy] = /^Not enough arguments following: (.+)$/.exec(message) ?? []
  if (needy !== undefined) return `${dashed(needy)} needs a value`
  const [, option, allowed] = /Argument: ([^,]+),[^]*Choices: ([^]+)$/.exec(message) ?? []
  if (option !== undefined) return `${dashed(option)} must be one of ${(allowed ?? '').trim()}`
  const [, required] = /^Missing required arguments?: (.+)$/.exec(message) ?? []
  if (required !== undefined) return required.split(', ').map((name) => `${dashed(name)} is needed`).join('; ')
  return message
}

function explainUnknown(name: string, argv: readonly string[]): string {
  const isOption = argv.some((token) => token === `--${name}` || token.startsWith(`--${name}=`) || token === `--no-${name}` || token === `-${name}`)
  if (isOption) {
    const near = nearestName(name, OPTIONS) ?? nearestFlag(name)
    return `there is no option ${dashed(name)}${near === undefined ? '' : `; did you mean --${near}?`}`
  }
  if (argv[0] !== name) return `unexpected argument "${name}"`
  const near = nearestName(name, COMMANDS)
  return `there is no command "${name}"; ${near === undefined ? `there are: ${COMMANDS.join(', ')}` : `did you mean ${near}?`}`
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`
}
