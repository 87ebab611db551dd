import { stringify } from 'yaml'
import type { Totals } from './cookie-facts.ts'
import { lifetimeText, type ProposedRule } from './judge.ts'

const DAY_MS = 86_400_000

/** The rules as a fragment of a configuration, with what speaks for each. Names no value of any cookie. */
export function fragmentOf(rules: readonly ProposedRule[], upstream: string, { requests, logins, logouts }: Totals): string {
  const head = [
    `# Proposed by "sessiongate learn" from ${counted(requests, 'request')}, ${counted(logins, 'login')} and ${counted(logouts, 'logout')} seen.`,
    '# Look it through, put it in the place of these sections of your configuration, and run: sessiongate check',
    ...missing(logins, logouts).map((sentence) => `# ${sentence}`),
    ...lifetimeLines(rules),
    ...nameLines(rules),
    'upstreams:',
    `  app: { targets: [${JSON.stringify(upstream)}] }`,
    'routes:',
    '  - path: /',
    '    upstream: app',
  ]
  if (rules.length === 0) return `${[...head, '    cookies: []             # none was seen'].join('\n')}\n`
  return `${[...head, '    cookies:', ...rules.flatMap(linesOf)].join('\n')}\n`
}

/** What a run without a login or a logout cannot know. */
export function missing(logins: number, logouts: number): string[] {
  return [
    ...(logins === 0 ? ['No login was seen: what changes there is not known. Learn again, and log in.'] : []),
    ...(logouts === 0 ? ['No logout was seen: what is deleted there is not known.'] : []),
  ]
}

/** `3 requests`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function lifetimeLines(rules: readonly ProposedRule[]): string[] {
  const lived = rules.map(({ neededLifetimeMs }) => neededLifetimeMs ?? 0)
  const longest = Math.max(0, ...lived)
  if (longest === 0) return []
  const text = longest >= DAY_MS ? `${Math.ceil(longest / DAY_MS)}d` : `${Math.ceil(longest / 60_000)}m`
  const rule = rules[lived.indexOf(longest)] as ProposedRule
  return [
    `# A stored cookie ends with the session: ${rule.name} lives ${lifetimeText(longest)} today, so give the session as long:`,
    `# session: { idle: ${text}, absolute: ${text} }`,
  ]
}

/** Two cookies of one name cannot be told apart, and `session` is the gateway's own where it speaks plain HTTP. */
function nameLines(rules: readonly ProposedRule[]): string[] {
  if (!rules.some(({ name, isPattern }) => !isPattern && name === 'session')) return []
  return [
    '# The app has a cookie of the name that the gateway\'s own has by default, so that one is called something else here.',
    'session:',
    '  cookie: { name: gate-session }',
  ]
}

function linesOf({ reasons, checks, ...rule }: ProposedRule): string[] {
  const members = [
    `${rule.isPattern ? 'pattern' : 'name'}: ${scalar(rule.name)}`, `do: ${rule.do}`,
    rule.adopt && 'adopt: true',
    rule.paths.length > 0 && `path: [${rule.paths.map(scalar).join(', ')}]`,
    rule.domain !== undefined && `domain: ${scalar(rule.domain)}`,
  ]
  return [
    `      # ${reasons.join('; ')}`,
    ...checks.map((check) => `      # Look at this: ${check}`),
    `      - { ${members.filter((member) => member !== false).join(', ')} }`,
  ]
}

/** Always quoted: a cookie may be called `no`, `1e3` or `*`. */
function scalar(text: string): string {
  return stringify(text, { defaultStringType: 'QUOTE_DOUBLE' }).trim()
}
