import { GatewayError, MutationRefusedError, SessionRequiredError, SessionConflictError, StoreUnavailableError } from '../errors.ts'
import type { ResponseHeaders } from '../http/response-headers.ts'
import { NO_MUTATION, readMutation, type Mutation } from '../session/mutation.ts'
import { NO_SESSION, type Committed, type Opened } from '../session/sessions.ts'
import { valueAt } from '../session/paths.ts'
import type { Admitted } from './admit.ts'
import { adoptOld, readAppCookies } from './app-cookies.ts'
import type { Gateway } from './gateway.ts'
import type { Route } from './route.ts'
import { readSignedMutation } from './signed-mutation.ts'

/** Opens the session the route asks for. `session: none` costs nothing: no store call. */
export async function openSession(gateway: Gateway, admitted: Admitted): Promise<Opened> {
  const { route, cookies } = admitted
  if (route.session === 'none') return NO_SESSION
  const startedAt = performance.now()
  let opened: Opened
  try {
    opened = await gateway.sessions.open(cookies.candidates)
    if (!opened.loaded && route.adapter) opened = await adoptOld(gateway, route.adapter, admitted, opened)
  } catch (error) {
    opened = withoutStore(gateway, route, error)
  }
  if (cookies.candidates.length > 0) gateway.metrics.phase('open', (performance.now() - startedAt) / 1_000)
  if (route.session === 'require' && !isEntitled(route, opened)) throw opened.unavailable ?? new SessionRequiredError()
  return opened
}

function isEntitled({ requireValue }: Route, { loaded }: Opened): boolean {
  return loaded !== undefined && (requireValue === undefined || requireValue.allowed.has(valueAt(loaded.session.data, requireValue.path)))
}

/** What the route says of a store that failed: throws the error, or goes on without a session. */
function withoutStore(gateway: Gateway, { onStoreError }: Route, error: unknown): Opened {
  if (onStoreError === 'fail' || !(error instanceof GatewayError) || error.source !== 'store') throw error
  gateway.metrics.error(error.code)
  gateway.log.warn({ code: error.code, err: error.message }, 'the session could not be opened: the route goes on without')
  return { ...NO_SESSION, wasPresented: true, unavailable: error instanceof StoreUnavailableError ? error : new StoreUnavailableError(gateway.store.kind, 'read this session', error) }
}

const NOTHING_COMMITTED: Committed = { cookie: { kind: 'keep' }, outcome: 'none' }

/** Reads the mutation from the response head and stores it. Resolves when it is stored; rejects with nothing half applied. */
export async function commitMutation(gateway: Gateway, admitted: Admitted, opened: Opened, status: number, head: ResponseHeaders): Promise<Committed> {
  const { route } = admitted
  if (route.session === 'none') return NOTHING_COMMITTED
  const mutation = readAnswer(gateway, admitted, opened, status, head)
  if (mutation.kind === 'none' && !gateway.sessions.isRefreshDue(opened, route.touch)) return NOTHING_COMMITTED

  const startedAt = performance.now()
  try {
    const committed = await gateway.sessions.commit(opened, mutation, { touch: route.touch, check: gateway.checkStorable })
    if (committed.outcome !== 'none') gateway.metrics.commit(committed.outcome)
    gateway.tunnels.committed(opened, committed)
    if (committed.outcome === 'dropped') gateway.metrics.mutationDropped()
    return committed
  } catch (error) {
    if (route.onCommitFailure !== 'forward' || !isStoreFailure(error)) throw error
    gateway.metrics.mutationLost(route.name)
    gateway.log.error({ route: route.name, code: error.code, err: error.message }, 'a mutation was lost: the store failed and the route forwards')
    return NOTHING_COMMITTED
  } finally {
    if (mutation.kind !== 'none') gateway.metrics.phase('commit', (performance.now() - startedAt) / 1_000)
  }
}

function isStoreFailure(error: unknown): error is GatewayError {
  return error instanceof StoreUnavailableError || error instanceof SessionConflictError
}

/** What the answer changes, said by header and, with an adapter, by the app's own cookies. */
function readAnswer(gateway: Gateway, admitted: Admitted, opened: Opened, status: number, head: ResponseHeaders): Mutation {
  const { adapter, persistOn, session } = admitted.route
  const counts = persistOn === 'always' || status < 500
  const asked = counts ? readRouteMutation(gateway, admitted, opened, head) : NO_MUTATION
  if (!adapter) return asked
  const mutation = readAppCookies(adapter, admitted, opened, head, asked)
  if (mutation.kind !== 'none' && session === 'read') throw new MutationRefusedError('forbidden', 'this route only reads the session')
  return counts ? mutation : NO_MUTATION
}

function readRouteMutation(gateway: Gateway, { route }: Admitted, opened: Opened, head: ResponseHeaders): Mutation {
  const { mutation } = head
  if (mutation.patch.length + mutation.control.length + mutation.signed.length === 0) return NO_MUTATION
  if (route.session === 'read') throw new MutationRefusedError('forbidden', 'this route only reads the session')
  if (route.mutationKeys) return readSignedMutation(mutation, { rules: route.mutations, keys: route.mutationKeys, audience: gateway.issuer, opened, now: gateway.clock() })
  if (mutation.signed.length > 0) throw new MutationRefusedError('signature', 'this route takes no signed mutations')
  return readMutation(mutation, route.mutations)
}
