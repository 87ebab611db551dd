/** What a client knows of one request: when it began and ended, what the app saw, and what became of its change. */
export interface Observation {
  readonly startedAt: number
  readonly endedAt: number
  /** `acknowledged`: the answer came. `refused`: certainly not applied. `unknown`: the store was away, so it may or may not be. */
  readonly outcome: 'acknowledged' | 'refused' | 'unknown'
  /** What the app was told; undefined when its answer never came. */
  readonly seen: Seen | undefined
}

export interface Seen {
  readonly isNew: boolean
  readonly version: string
  readonly count: number
  readonly register: string
  /** The own member of each client. */
  readonly own: Readonly<Record<string, number>>
}

/** A promise that was broken, told so that a person can start looking. */
export interface Violation {
  readonly promise: 'lost update' | 'forked register' | 'went backwards' | 'came back' | 'vanished' | 'never written'
  readonly detail: string
}

/** The gateway lets a load join one that began so much earlier (src/session/loader.ts): it may miss what was stored since. */
const FRESHNESS_MS = 5

interface Step { readonly from: string; readonly to: string; readonly outcome: Observation['outcome'] }

/**
 * The history of one session, checked while it grows and when it is over. Counter steps and register writes carry if-version, so
 * each acknowledged one must have been alone with the version it saw; members of one client each are plain patches.
 */
export class SessionHistory {
  readonly violations: Violation[] = []
  /** Two acknowledged writes over one value: a violation, unless the session was just then ended, which drops late writes. */
  readonly forks: Violation[] = []
  acknowledged = 0
  readonly #countedAt: number[] = []
  #perhapsCounted = 0
  readonly #steps: Step[] = []
  readonly #successors = new Map<string, string>()
  readonly #own = new Map<string, { acknowledged: number; perhaps: Set<number> }>()
  #endedAt = Infinity
  #floor = { count: 0, at: 0 }
  #newest = { version: '', at: 0 }
  readonly #retired = new Map<string, number>()

  counter({ outcome, endedAt }: Observation): void {
    if (outcome === 'acknowledged') this.#countedAt.push(endedAt)
    if (outcome === 'unknown') this.#perhapsCounted++
  }

  register(observation: Observation, to: string): void {
    const from = observation.seen?.register
    if (observation.outcome === 'acknowledged' && from !== undefined) {
      const rival = this.#successors.get(from)
      if (rival !== undefined) this.forks.push({ promise: 'forked register', detail: `both ${rival} and ${to} were acknowledged as written over ${from}` })
      this.#successors.set(from, to)
    }
    this.#steps.push({ from: from ?? '', to, outcome: observation.outcome })
  }

  own({ outcome }: Observation, client: string, value: number): void {
    const known = this.#own.get(client) ?? { acknowledged: 0, perhaps: new Set<number>() }
    if (outcome === 'acknowledged') {
      known.acknowledged = value
      known.perhaps.clear()
    } else if (outcome === 'unknown') known.perhaps.add(value)
    this.#own.set(client, known)
  }

  /** A logout was acknowledged: whoever asks from here on must find nothing. */
  destroyed({ endedAt }: Observation): void { this.#endedAt = Math.min(this.#endedAt, endedAt) }

  /** Checks one answer against everything that was certain before it was asked for. */
  observe({ startedAt, endedAt, seen, outcome }: Observation): void {
    if (outcome === 'acknowledged') this.acknowledged++
    if (!seen) return
    const certainAt = startedAt - FRESHNESS_MS
    if (certainAt > this.#endedAt) {
      if (!seen.isNew) this.#violate('came back', `seen at version ${seen.version} after its logout was acknowledged`)
      return
    }
    if (seen.isNew) return
    const floor = this.#countedAt.findLastIndex((at) => at <= certainAt) + 1
    if (seen.count < floor) this.#violate('went backwards', `the counter showed ${seen.count} after ${floor} steps were acknowledged`)
    if (certainAt > this.#floor.at && seen.count < this.#floor.count) this.#violate('went backwards', `the counter showed ${seen.count} after ${this.#floor.count}`)
    if (seen.count > this.#floor.count) this.#floor = { count: seen.count, at: endedAt }
    this.#observeVersion(seen.version, certainAt, endedAt)
  }

  #observeVersion(version: string, certainAt: number, endedAt: number): void {
    const retiredAt = this.#retired.get(version)
    if (retiredAt !== undefined && certainAt > retiredAt) this.#violate('went backwards', `version ${version} was seen again after a newer one`)
    if (version === this.#newest.version || certainAt <= this.#newest.at) return
    if (this.#newest.version !== '') this.#retired.set(this.#newest.version, endedAt)
    this.#newest = { version, at: endedAt }
  }

  /** The end: what is stored against all that was acknowledged. */
  conclude(final: Seen): void {
    if (this.#endedAt < Infinity) {
      if (!final.isNew) this.#violate('came back', 'there at the end, after its logout was acknowledged')
      return
    }
    if (final.isNew) return this.#violate('vanished', `${this.acknowledged} acknowledged operations, and nothing is stored`)
    this.violations.push(...this.forks)
    const least = this.#countedAt.length
    const most = least + this.#perhapsCounted
    if (final.count < least) this.#violate('lost update', `the counter is ${final.count}, but ${least} steps were acknowledged`)
    if (final.count > most) this.#violate('never written', `the counter is ${final.count}, but at most ${most} steps were made`)
    this.#concludeRegister(final.register)
    for (const [client, { acknowledged, perhaps }] of this.#own) {
      const value = final.own[client] ?? 0
      if (value !== acknowledged && !perhaps.has(value)) this.#violate('lost update', `the member of ${client} is ${value}, but ${acknowledged} was acknowledged last`)
    }
  }

  #concludeRegister(value: string): void {
    const overwritten = this.#successors.get(value)
    if (overwritten !== undefined) this.#violate('lost update', `the register is ${value}, over which ${overwritten} was acknowledged`)
    const written = this.#steps.some(({ to, outcome }) => to === value && outcome !== 'refused')
    if (value !== '' && !written) this.#violate('never written', `the register is ${value}`)
    if (value === '' && this.#successors.size > 0) this.#violate('lost update', 'the register is empty')
  }

  #violate(promise: Violation['promise'], detail: string): void { this.violations.push({ promise, detail }) }
}
