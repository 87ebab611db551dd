import { access } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { addressText } from '../../src/config/effective.ts'
import type { Flags } from '../../src/config/flags.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createFile, newSecret } from '../../src/config/state-directory.ts'
import { positiveDuration } from '../../src/config/units.ts'
import { target } from '../../src/config/upstream-schema.ts'
import type { Totals } from '../../src/learn/cookie-facts.ts'
import { proposeRules, type ProposedRule } from '../../src/learn/judge.ts'
import { learningTree, startLearner } from '../../src/learn/learn.ts'
import { counted, fragmentOf, missing } from '../../src/learn/proposal-text.ts'
import { createLog } from '../../src/log.ts'
import { CommandError, UsageError } from '../errors.ts'
import { textTable } from '../text-table.ts'

export interface LearnOptions {
  readonly upstream: string
  readonly for?: string | undefined
  readonly out?: string | undefined
  /** Keys of the configuration, `listen` first of all. */
  readonly flags: Flags
}

/** Passes everything on until it is told to stop, then prints what it would do with each cookie, and why. Prints no cookie's value. */
export async function runLearn({ upstream, for: duration, out, flags }: LearnOptions): Promise<number> {
  if (!target.safeParse(upstream).success) throw new UsageError('--upstream must be http://host:port, https://host:port or unix:/path')
  const forMs = duration === undefined ? undefined : positiveDuration.safeParse(duration)
  if (forMs?.success === false) throw new UsageError('--for must be a duration with a unit, such as 10m')
  if (out !== undefined && await access(out).then(() => true, () => false)) throw new CommandError(`${out} exists; it is left as it is`)

  const loaded = await loadConfig({ tree: learningTree(upstream, newSecret), flags })
  const { listen, log, tls } = loaded.config
  const learner = await startLearner(loaded, await createLog({ ...log, fd: 2 }))
  const addresses = listen.map((address) => (address.kind === 'unix' ? addressText(address) : `${tls ? 'https' : 'http'}://${addressText(address)}`))
  say(`learning in front of ${upstream}: go to ${addresses.join(' or ')}`)
  say(`log in, look around, log out, and once with "remember me"; ${duration === undefined ? 'then press Ctrl-C' : `ends after ${duration}, or with Ctrl-C`}`)
  await ended(forMs?.data)
  await learner.stop()

  const totals = learner.totals()
  const rules = proposeRules(learner.facts())
  say(`\n${summaryOf(rules, totals)}`)
  const fragment = fragmentOf(rules, upstream, totals)
  if (out === undefined) process.stdout.write(fragment)
  else if (await createFile(out, fragment, 0o644)) say(`wrote ${out}`)
  else throw new CommandError(`${out} exists; it is left as it is`)
  return 0
}

/** The time is up, or somebody has had enough. */
async function ended(afterMs: number | undefined): Promise<void> {
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  try {
    await sleep(Math.min(afterMs ?? MAX_TIMER_MS, MAX_TIMER_MS), undefined, { signal: stop.signal })
  } catch {
    // The signal that was asked for.
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

/** What a timer can hold: 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1

function summaryOf(rules: readonly ProposedRule[], { requests, logins, logouts, unnameable }: Totals): string {
  return [
    `seen: ${counted(requests, 'request')}, ${counted(logins, 'login')}, ${counted(logouts, 'logout')}, ${counted(rules.length, 'cookie')}\n`,
    textTable(rules.map((rule) => [rule.name, rule.do, rule.reasons.join('; ')])),
    ...rules.flatMap(({ name, checks }) => checks.map((check) => `look at ${name}: ${check}\n`)),
    ...missing(logins, logouts).map((sentence) => `${sentence}\n`),
    unnameable > 0 ? `${counted(unnameable, 'cookie')} left out: too many, or names no rule can say\n` : '',
  ].join('')
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
