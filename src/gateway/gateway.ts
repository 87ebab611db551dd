import type { Clock } from '../clock.ts'
import type { IsTrusted } from '../http/addresses.ts'
import type { OwnNames } from '../http/field-names.ts'
import type { ReadRequestHeaders } from '../http/request-headers.ts'
import type { ReadResponseHeaders } from '../http/response-headers.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Deadlines } from '../proxy/deadlines.ts'
import type { ClientLimits } from '../proxy/forward.ts'
import type { Upstream } from '../proxy/upstream-pool.ts'
import type { SessionStore } from '../stores/store.ts'
import type { Inventory } from '../session/inventory.ts'
import type { Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import type { RouteTable } from './route.ts'
import type { RateLimiter } from './rate-limit.ts'
import type { SessionCookies } from './session-cookies.ts'
import type { Tunnels } from './tunnels.ts'

export interface RequestLimits extends ClientLimits {
  readonly maxHeaderCount: number
  readonly maxTargetBytes: number
}

/** One generation of the configuration, immutable. Each request sees exactly one. */
export interface Gateway {
  readonly routes: RouteTable
  readonly upstreams: readonly Upstream[]
  readonly sessions: Sessions
  readonly store: SessionStore
  /** For operators. */
  readonly inventory: Inventory
  /** Throws SessionTooLargeError when a state is over session.maxBytes, or over what an upstream that sees it accepts. */
  readonly checkStorable: (next: Session) => void
  readonly cookies: SessionCookies
  readonly names: OwnNames
  /** `iss` of assertions and `aud` of signed mutations. */
  readonly issuer: string
  readonly readRequestHeaders: ReadRequestHeaders
  readonly readResponseHeaders: ReadResponseHeaders
  readonly isTrusted: IsTrusted
  readonly via: string
  readonly limits: RequestLimits
  readonly rateLimiter: RateLimiter | undefined
  readonly deadlines: Deadlines
  readonly jwks: object
  readonly clock: Clock
  readonly log: Log
  readonly logRequests: boolean
  readonly metrics: Metrics
  /** Shared by all generations of this process. */
  readonly tunnels: Tunnels
  /** Closes the store and the upstreams when nothing uses them any more. */
  close(): Promise<void>
}
