import type { CookieAction } from '../adapters/cookies/rules.ts'
import type { CookieFacts } from './cookie-facts.ts'

/** A rule for `route.cookies`, and why. */
export interface ProposedRule {
  readonly name: string
  readonly isPattern: boolean
  readonly do: CookieAction
  readonly adopt: boolean
  /** Where browsers hold it, when it is not the default. */
  readonly paths: readonly string[]
  readonly domain: string | undefined
  /** What was seen that speaks for it. */
  readonly reasons: readonly string[]
  /** What the operator has to look at before believing it. */
  readonly checks: readonly string[]
  /** How long the session has to live so that this cookie lives as long as before, ms. */
  readonly neededLifetimeMs: number | undefined
}

const DAY_MS = 86_400_000
/** As many as a rule takes. */
const MAX_PATHS = 10
/** From here on a value cannot be guessed, so whoever has it may be somebody. */
const SECRET_BITS = 64

/** The rules for everything that was seen: names before patterns, since the first rule that fits counts. */
export function proposeRules(all: readonly CookieFacts[]): readonly ProposedRule[] {
  const endsWithBrowser = all.some((facts) => isCredential(facts) && facts.timesSet > 0 && facts.lifetimeMs === undefined)
  const proposals = all.map((facts) => propose(facts, endsWithBrowser))
  return proposals.sort((a, b) => Number(a.isPattern) - Number(b.isPattern) || b.name.length - a.name.length || (a.name < b.name ? -1 : 1))
}

function propose(facts: CookieFacts, endsWithBrowser: boolean): ProposedRule {
  const decided = decide(facts, endsWithBrowser)
  const isStored = decided.do === 'store'
  const isAdopted = isStored && facts.timesSentUnknown > 0
  const [domain] = facts.domains
  const shared = domain === undefined || decided.do === 'pass' || decided.do === 'drop' ? [] : [`it is set for ${domain}: other hosts there no longer get it`]
  return {
    name: facts.name, isPattern: facts.isPattern, do: decided.do, adopt: isAdopted,
    paths: isStored && facts.paths.join() !== '/' ? facts.paths.slice(0, MAX_PATHS) : [],
    domain: isStored ? domain : undefined,
    reasons: [...decided.reasons, ...(isAdopted ? ['visitors bring one along from before: adopt'] : [])],
    checks: [...(decided.checks ?? []), ...shared, ...flaskChecks(facts)],
    neededLifetimeMs: isStored ? facts.lifetimeMs : undefined,
  }
}

/** There is something better for Flask than keeping its cookie. */
function flaskChecks({ name, isReadable }: CookieFacts): string[] {
  return name === 'session' && isReadable ? ['if this is a Flask app: adapter: { kind: flask, ... } in its place keeps parallel changes (docs/recipes/flask.md)'] : []
}

interface Decision {
  readonly do: CookieAction
  readonly reasons: readonly string[]
  readonly checks?: readonly string[]
}

function decide(facts: CookieFacts, endsWithBrowser: boolean): Decision {
  const { known, timesSet, timesDeleted, lifetimeMs, equalFields, equalHeaders } = facts
  const bySight = sightsOf(facts)
  const isDoubleSubmit = equalFields.length > 0 || equalHeaders.length > 0
  if (known?.use === 'analytics') {
    if (timesSet === 0) return { do: 'drop', reasons: [`analytics (${known.whose}), by its name`, 'set by scripts; the app was not seen to set it'] }
    return { do: 'pass', reasons: [`analytics (${known.whose}), by its name`, 'the app itself sets it'] }
  }
  if (known?.use === 'balancer') return { do: 'pass', reasons: [`names a server for ${known.whose}`, 'worth nothing to a thief, and the browser is where it belongs'] }
  if (known?.use === 'csrf' || isDoubleSubmit) return { do: 'pass', reasons: [...doubleSubmitReasons(facts), 'pages or scripts send it back, so the browser has to hold it', ...bySight] }
  if (timesSet === 0 && timesDeleted === 0) return unset(facts)
  if (known?.use === 'preference') return { do: 'pass', reasons: [`a preference of ${known.whose}`, ...bySight] }
  if (isRemembered(facts, endsWithBrowser)) {
    return {
      do: 'encrypt', reasons: [`remember me: it lives ${lifetimeText(lifetimeMs ?? 0)}${known?.use === 'remember' ? '' : ', beside a session cookie that ends with the browser'}`, ...bySight, 'sealed in the browser it outlives the session, as it should'],
      checks: ['who copies it from a browser can use it behind the gateway until it expires; store ends it with the session instead'],
    }
  }
  if (isCredential(facts)) return { do: 'store', reasons: [...(known ? [`the session of ${known.whose}, by its name`] : []), ...bySight], ...credentialChecks(facts) }
  if (facts.timesSentUnknown > 0 && !facts.isHttpOnly) return { do: 'pass', reasons: ['scripts write it, too: the browser sent a value the app had not set', ...bySight] }
  if (facts.isHttpOnly) return { do: 'encrypt', reasons: [...bySight, 'no script can read it, so nothing is lost when it is sealed, and nobody can change it'] }
  return { do: 'pass', reasons: [...bySight, 'no sign that it says who somebody is'], ...(facts.bits >= SECRET_BITS ? { checks: ['it looks random: if the app takes it for a login, store it'] } : {}) }
}

/** Only ever sent: by scripts, or it is older than this run. */
function unset(facts: CookieFacts): Decision {
  if (facts.known?.use === 'session' || facts.known?.use === 'remember') {
    return { do: 'store', reasons: [`the session of ${facts.known.whose}, by its name`, 'the app was not seen to set it'], checks: ['log in while learning, so that it is seen'] }
  }
  const checks = facts.bits >= SECRET_BITS ? ['it looks random: if it is a login from before, log in while learning, so that it is seen'] : []
  return { do: 'pass', reasons: ['the app was not seen to set it: scripts do, or it is older'], checks }
}

function isRemembered({ known, lifetimeMs, bits, isHttpOnly }: CookieFacts, endsWithBrowser: boolean): boolean {
  if (known?.use === 'session' || lifetimeMs === undefined || lifetimeMs <= DAY_MS) return false
  return known?.use === 'remember' || (endsWithBrowser && isHttpOnly && bits >= SECRET_BITS)
}

/** Whoever has it is somebody. */
function isCredential({ known, isHttpOnly, bits, isReadable, changesAtLogin, timesSet, timesSetAtLogin, isDeletedAtLogout }: CookieFacts): boolean {
  if (known?.use === 'session' || known?.use === 'remember') return true
  const isSecret = bits >= SECRET_BITS || isReadable
  return isSecret && (isHttpOnly || changesAtLogin || isDeletedAtLogout || (timesSet > 0 && timesSet === timesSetAtLogin))
}

function credentialChecks({ isHttpOnly, timesSet }: CookieFacts): { checks?: readonly string[] } {
  return isHttpOnly || timesSet === 0 ? {} : { checks: ['it is not HttpOnly: a script of the app could read it. None was seen to send it back'] }
}

function doubleSubmitReasons({ known, equalFields, equalHeaders }: CookieFacts): string[] {
  const named = known?.use === 'csrf' ? ['a CSRF token, by its name'] : []
  const same = [...equalHeaders.map((name) => `header ${name}`), ...equalFields.map((name) => `form field ${name}`)]
  return same.length === 0 ? named : [...named, `the same value came as ${same.join(' and as ')} (double submit)`]
}

/** What was seen, in the words of an operator. */
function sightsOf(facts: CookieFacts): string[] {
  const { isHttpOnly, timesSet, timesSetAtLogin, changesAtLogin, isDeletedAtLogout, timesDeleted, bits, isReadable, lifetimeMs } = facts
  return [
    isHttpOnly && 'HttpOnly',
    timesSet > 0 && !isHttpOnly && 'scripts can read it',
    isReadable ? 'whoever holds it can read it (a JWT, or signed JSON)' : bits >= SECRET_BITS ? `looks random (${bits} bits or so)` : timesSet > 0 && 'easily guessed',
    changesAtLogin && 'changes at login',
    !changesAtLogin && timesSet > 0 && timesSet === timesSetAtLogin && 'set at login only',
    isDeletedAtLogout ? 'deleted at logout' : timesDeleted > 0 && 'deleted by the app',
    timesSet > 0 && (lifetimeMs === undefined ? 'ends with the browser' : `lives ${lifetimeText(lifetimeMs)}`),
  ].filter((sight) => sight !== false)
}

export function lifetimeText(ms: number): string {
  const [amount, unit] = ms >= DAY_MS ? [ms / DAY_MS, 'day'] : ms >= 3_600_000 ? [ms / 3_600_000, 'hour'] : [Math.max(1, ms / 60_000), 'minute']
  const rounded = Math.round(amount)
  return `${rounded} ${unit}${rounded === 1 ? '' : 's'}`
}
