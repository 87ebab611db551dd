import type { Deadlines, Watched } from '../proxy/deadlines.ts'
import { GOING_AWAY, POLICY_VIOLATION } from '../proxy/frames.ts'
import type { Relay } from '../proxy/relay.ts'
import type { SessionId } from '../session/session.ts'
import type { Committed, Opened } from '../session/sessions.ts'

/**
 * The open WebSockets of this process. One that was opened with a session ends with it, by close code 1008: at once when the
 * session ends in this process, within `recheckMs` when it expires or ends elsewhere. Spans generations of the configuration.
 */
export interface Tunnels {
  /** `session`: undefined when the handshake had none. `remove` must follow. */
  add(tunnel: Relay, session: SessionId | undefined, recheckMs: number): void
  remove(tunnel: Relay): void
  /** Follows what a request has done to its session. */
  committed(opened: Opened, committed: Committed): void
  /** Ends all, because this process stops. */
  closeAll(): void
  count(): number
}

export interface TunnelsOptions {
  readonly deadlines: Deadlines
  /** The id under which a session lives now; undefined when it has ended. Rejects when that cannot be known. */
  readonly currentId: (id: SessionId) => Promise<SessionId | undefined>
}

/** Store reads for rechecks at a time; more wait for their turn. */
const MAX_RECHECKS = 16

export function createTunnels({ deadlines, currentId }: TunnelsOptions): Tunnels {
  const all = new Map<Relay, TunnelsOfSession | undefined>()
  const bySession = new Map<SessionId, TunnelsOfSession>()
  let rechecks = 0

  async function recheck(entry: TunnelsOfSession): Promise<void> {
    if (rechecks >= MAX_RECHECKS) return
    entry.deadlineAt = Infinity
    rechecks++
    try {
      const current = await currentId(entry.id)
      if (current === undefined) end(entry.id)
      else if (current !== entry.id) move(entry.id, current)
    } catch {
      // A store that is away ends no session.
    } finally {
      rechecks--
      entry.scheduleNext()
    }
  }

  function end(id: SessionId): void {
    for (const tunnel of bySession.get(id)?.tunnels ?? []) tunnel.close(POLICY_VIOLATION, 'session ended')
    forget(id)
  }

  function forget(id: SessionId): void {
    const entry = bySession.get(id)
    if (entry) deadlines.unwatch(entry)
    bySession.delete(id)
  }

  function move(from: SessionId, to: SessionId): void {
    const entry = bySession.get(from)
    if (!entry) return
    forget(from)
    for (const tunnel of entry.tunnels) hold(tunnel, to, entry.recheckMs)
  }

  function hold(tunnel: Relay, id: SessionId, recheckMs: number): void {
    const entry = bySession.get(id) ?? new TunnelsOfSession(id, recheckMs, recheck)
    bySession.set(id, entry)
    deadlines.watch(entry)
    entry.tunnels.add(tunnel)
    all.set(tunnel, entry)
  }

  return {
    add(tunnel, session, recheckMs) {
      if (session === undefined) all.set(tunnel, undefined)
      else hold(tunnel, session, recheckMs)
    },
    remove(tunnel) {
      const entry = all.get(tunnel)
      all.delete(tunnel)
      if (entry?.tunnels.delete(tunnel) && entry.tunnels.size === 0 && bySession.get(entry.id) === entry) forget(entry.id)
    },
    committed({ loaded }, { outcome, cookie }) {
      if (bySession.size === 0 || !loaded) return
      if (outcome === 'destroyed') end(loaded.session.id)
      else if (outcome === 'rotated' && cookie.kind === 'set') move(loaded.session.id, cookie.id)
    },
    closeAll() {
      for (const tunnel of all.keys()) tunnel.close(GOING_AWAY, 'shutting down')
    },
    count: () => all.size,
  }
}

/** The tunnels of one session, looked at together: one store read for all of them. */
class TunnelsOfSession implements Watched {
  readonly tunnels = new Set<Relay>()
  deadlineAt = Infinity
  slot: number | undefined

  constructor(readonly id: SessionId, readonly recheckMs: number, private readonly recheck: (entry: TunnelsOfSession) => Promise<void>) {
    this.scheduleNext()
  }

  onDeadline(): void {
    void this.recheck(this)
  }

  /** Not all at the same moment for ever, though they may have come together. */
  scheduleNext(): void {
    this.deadlineAt = performance.now() + this.recheckMs * (0.8 + Math.random() * 0.2)
  }
}
