/** Whose fault an error is. */
export type ErrorSource = 'operator' | 'client' | 'store' | 'upstream'

/**
 * What is exceptional and expected to happen in production. `code` is stable: a metric label, a log field and a heading of
 * docs/errors.md. Anything that is not a GatewayError is a bug.
 */
export abstract class GatewayError extends Error {
  abstract readonly code: string
  abstract readonly source: ErrorSource
  /** The HTTP status the client gets. */
  abstract readonly status: number
  /** Whether the same request may be sent again with a hope of success. */
  readonly retryable: boolean = false

  override get name(): string {
    return this.constructor.name
  }
}

export interface ConfigProblem {
  /** Where, in the operator's own words: `routes.0.session`. */
  readonly path: string
  /** What is wrong and what to do. */
  readonly message: string
  /** Where it was written: `sessiongate.yaml:12`, or the flag. */
  readonly at?: string
}

/** `routes.0.session: what is wrong (sessiongate.yaml:12)`. */
export function problemText({ path, message, at }: ConfigProblem): string {
  return `${path ? `${path}: ` : ''}${message}${at ? ` (${at})` : ''}`
}

/** The configuration cannot be used. Carries every problem, not the first. */
export class ConfigInvalidError extends GatewayError {
  readonly code = 'ERR_CONFIG_INVALID'
  readonly source = 'operator'
  readonly status = 500

  constructor(readonly problems: readonly ConfigProblem[], readonly file?: string) {
    super(`invalid configuration${file ? ` in ${file}` : ''}:\n${problems.map((p) => `  ${problemText(p)}`).join('\n')}`)
  }
}

abstract class ClientError extends GatewayError {
  readonly source = 'client'
}

/** The client's message is malformed or ambiguous. `status` is 400 unless a more precise one exists (405, 417, 426, 505). */
export class RequestInvalidError extends ClientError {
  readonly code = 'ERR_REQUEST_INVALID'

  constructor(reason: string, readonly status: number = 400) {
    super(reason)
  }
}

/** No route serves this target: 404, or 421 when no route serves the host (RFC 9110 section 15.5.20). */
export class RouteNotFoundError extends ClientError {
  readonly code = 'ERR_ROUTE_NOT_FOUND'

  constructor(readonly status: 404 | 421) {
    super(status === 421 ? 'no route serves this host' : 'no route serves this path')
  }
}

/** The route requires a session (or a value in it) and the visitor has none. */
export class SessionRequiredError extends ClientError {
  readonly code = 'ERR_SESSION_REQUIRED'
  readonly status = 401

  constructor() {
    super('this route requires a session')
  }
}

/** The user has as many sessions as session.maxPerSubject allows, and onMaxPerSubject is reject. The login was not stored. */
export class SessionLimitError extends ClientError {
  readonly code = 'ERR_SESSION_LIMIT'
  readonly status = 409

  constructor(readonly limit: number) {
    super(`this user already has ${limit === 1 ? 'a session' : `${limit} sessions`}, which is all there may be; log out elsewhere first`)
  }
}

/** A WebSocket handshake from an origin the route does not allow (RFC 6455 section 10.2). */
export class OriginRefusedError extends ClientError {
  readonly code = 'ERR_ORIGIN_REFUSED'
  readonly status = 403

  constructor() {
    super('this origin may not open a WebSocket here')
  }
}

/** The request has passed through this gateway too often (RFC 5842 section 7.2). */
export class LoopDetectedError extends ClientError {
  readonly code = 'ERR_LOOP_DETECTED'
  readonly status = 508

  constructor() {
    super('the request is going round in circles: an upstream points back at this gateway')
  }
}

/** The client is over a limit it can wait out. */
export class RateLimitedError extends ClientError {
  readonly code = 'ERR_RATE_LIMITED'
  readonly status = 429
  override readonly retryable = true

  constructor() {
    super('too many requests')
  }
}

export class BodyTooLargeError extends ClientError {
  readonly code = 'ERR_BODY_TOO_LARGE'
  readonly status = 413

  constructor(readonly limitBytes: number) {
    super(`the request body exceeds ${limitBytes} bytes`)
  }
}

export class HeadersTooLargeError extends ClientError {
  readonly code = 'ERR_HEADERS_TOO_LARGE'
  readonly status = 431

  constructor(reason: string) {
    super(reason)
  }
}

export class TargetTooLongError extends ClientError {
  readonly code = 'ERR_TARGET_TOO_LONG'
  readonly status = 414

  constructor(readonly limitBytes: number) {
    super(`the request target exceeds ${limitBytes} bytes`)
  }
}

/** The backend did not answer. Says nothing about whether the session exists, so never treat it as "no session". */
export class StoreUnavailableError extends GatewayError {
  readonly code = 'ERR_STORE_UNAVAILABLE'
  readonly source = 'store'
  readonly status = 503
  override readonly retryable = true

  constructor(readonly store: string, readonly operation: string, cause: unknown) {
    super(`session store "${store}" failed to ${operation}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** Other writers were first, too many times in a row. */
export class SessionConflictError extends GatewayError {
  readonly code = 'ERR_SESSION_CONFLICT'
  readonly source = 'store'
  readonly status = 503
  override readonly retryable = true

  constructor(readonly attempts: number) {
    super(`the session was changed by others ${attempts} times during this commit`)
  }
}

/** The stored bytes are not a record this version can read. They are kept for diagnosis. */
export class SessionCorruptError extends GatewayError {
  readonly code = 'ERR_SESSION_CORRUPT'
  readonly source = 'store'
  readonly status = 503

  constructor(reason: string, cause?: unknown) {
    super(`the stored session cannot be read: ${reason}`, { cause })
  }
}

abstract class UpstreamError extends GatewayError {
  readonly source = 'upstream'
  readonly status: number = 502
}

/** Why a mutation was refused; a metric label. */
export type RefusalReason =
  | 'duplicate' | 'encoding' | 'json' | 'type' | 'number' | 'depth' | 'members' | 'bytes'
  | 'directive' | 'exclusive' | 'forbidden' | 'writable' | 'signature' | 'version'

/** The upstream's mutation is invalid or not allowed: nothing of it was applied. */
export class MutationRefusedError extends UpstreamError {
  readonly code = 'ERR_MUTATION_REFUSED'

  constructor(readonly reason: RefusalReason, detail: string) {
    super(`mutation refused (${reason}): ${detail}`)
  }
}

/** The session would exceed session.maxBytes, or what an upstream accepts as a header. Nothing was stored. */
export class SessionTooLargeError extends UpstreamError {
  readonly code = 'ERR_SESSION_TOO_LARGE'

  constructor(readonly bytes: number, readonly limitBytes: number, what: string) {
    super(`${what} would take ${bytes} bytes, over the limit of ${limitBytes}`)
  }
}

/** No connection to any target (refused, DNS, TLS, connect timeout). Nothing was sent. */
export class UpstreamConnectError extends UpstreamError {
  readonly code = 'ERR_UPSTREAM_CONNECT'

  constructor(readonly upstream: string, cause: unknown) {
    super(`upstream "${upstream}" cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** The upstream's message is not valid HTTP, or one we must not relay. */
export class UpstreamProtocolError extends UpstreamError {
  readonly code = 'ERR_UPSTREAM_PROTOCOL'

  constructor(readonly upstream: string, reason: string, cause?: unknown) {
    super(`upstream "${upstream}" broke the protocol: ${reason}`, { cause })
  }
}

/** The upstream closed the connection before the message was complete. */
export class UpstreamAbortedError extends UpstreamError {
  readonly code = 'ERR_UPSTREAM_ABORTED'

  constructor(readonly upstream: string, cause?: unknown) {
    super(`upstream "${upstream}" closed the connection early`, { cause })
  }
}

/** 504 while no byte of the response was sent; afterwards the client's connection is destroyed. */
export class UpstreamTimeoutError extends UpstreamError {
  readonly code = 'ERR_UPSTREAM_TIMEOUT'
  override readonly status = 504

  constructor(readonly upstream: string, readonly phase: 'connect' | 'firstByte' | 'idle' | 'total') {
    super(`upstream "${upstream}" exceeded its ${phase} timeout`)
  }
}
