import { GatewayError, MutationRefusedError, SessionRequiredError, SessionConflictError, StoreUnavailableError } from '../errors.ts'
import type { ResponseHeaders } from '../http/response-headers.ts'
import { NO_MUTATION, readMutation, type Mutation } from '../session/mutation.ts'
import { NO_SESSION, type Committed, type Opened } from '../session/sessions.ts'
import type { Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'
import { readSignedMutation } from './signed-mutation.ts'

/** Opens the session the route asks for. `session: none` costs nothing: no store call. */
export async function openSession(gateway: Gateway, { route, cookies }: Admitted): Promise<Opened> {
  if (route.session === 'none') return NO_SESSION
  const startedAt = performance.now()
  const opened = await openOrPolicy(gateway, route.onStoreError, cookies.candidates)
  if (cookies.candidates.length > 0) gateway.metrics.phase('open', (performance.now() - startedAt) / 1_000)
  if (route.session === 'require' && !opened.loaded) throw opened.unavailable ?? new SessionRequiredError()
  return opened
}

async function openOrPolicy(gateway: Gateway, policy: 'fail' | 'anonymous', candidates: readonly string[]): Promise<Opened> {
  try {
    return await gateway.sessions.open(candidates)
  } catch (error) {
    if (policy === 'fail' || !(error instanceof GatewayError) || error.source !== 'store') throw error
    gateway.metrics.error(error.code)
    gateway.log.warn({ code: error.code, err: error.message }, 'the session could not be opened: the route goes on without')
    return { ...NO_SESSION, wasPresented: true, unavailable: error instanceof StoreUnavailableError ? error : new StoreUnavailableError(gateway.store.kind, 'read this session', error) }
  }
}

const NOTHING_COMMITTED: Committed = { cookie: { kind: 'keep' }, outcome: 'none' }

/** Reads the mutation from the response head and stores it. Resolves when it is stored; rejects with nothing half applied. */
export async function commitMutation(gateway: Gateway, admitted: Admitted, opened: Opened, status: number, head: ResponseHeaders): Promise<Committed> {
  const { route } = admitted
  if (route.session === 'none') return NOTHING_COMMITTED
  const mutation = route.persistOn === 'non-5xx' && status >= 500 ? NO_MUTATION : readRouteMutation(gateway, admitted, opened, head)
  if (mutation.kind === 'none' && !opened.loaded) return NOTHING_COMMITTED

  const startedAt = performance.now()
  try {
    const committed = await gateway.sessions.commit(opened, mutation, { touch: route.touch, check: gateway.checkStorable })
    if (committed.outcome !== 'none') gateway.metrics.commit(committed.outcome)
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
    gateway.tunnels.committed(opened, committed)
}

function isStoreFailure(error: unknown): error is GatewayError {
  return error instanceof StoreUnavailableError || error instanceof SessionConflictError
}

function readRouteMutation(gateway: Gateway, { route }: Admitted, opened: Opened, head: ResponseHeaders): Mutation {
  const { mutation } = head
  if (mutation.patch.length + mutation.control.length + mutation.signed.length === 0) return NO_MUTATION
  if (route.session === 'read') throw new MutationRefusedError('forbidden', 'this route only reads the session')
  if (route.mutationKeys) return readSignedMutation(mutation, { rules: route.mutations, keys: route.mutationKeys, audience: gateway.issuer, opened, now: gateway.clock() })
  if (mutation.signed.length > 0) throw new MutationRefusedError('signature', 'this route takes no signed mutations')
  return readMutation(mutation, route.mutations)
}
