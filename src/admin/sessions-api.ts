import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Address } from '../config/address.ts'
import { GatewayError } from '../errors.ts'
import type { Log } from '../log.ts'
import { NotScannableError, type Inventory, type SessionFacts } from '../session/inventory.ts'
import { send } from './admin.ts'
import { redacted } from './redacted.ts'
import { isOperator } from './same-machine.ts'

export interface SessionsApiOptions {
  readonly address: Address
  /** The inventory now in force, or why there is none. */
  readonly inventory: () => Inventory | string
  readonly log: Log
}

export type AdminApi = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

const ROOT = '/sessions'
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

/** What was asked for cannot be done as asked; the message is for the operator. */
class ApiError extends Error {
  constructor(readonly status: number, message: string) {
    super(message)
  }
}

/**
 * The operators' API on the admin listener, in JSON: GET and DELETE /sessions and /sessions/HANDLE (docs/operations.md). Resolves to
 * false for any other path. What is ended is logged; no id and no cookie is ever in an answer.
 */
export function createSessionsApi({ address, inventory: currentInventory, log }: SessionsApiOptions): AdminApi {
  async function serve(request: IncomingMessage, url: URL): Promise<object> {
    if (!isOperator(request, address)) throw new ApiError(403, 'this is not for web pages: no Origin, and a Host that is an address or localhost')
    const inventory = currentInventory()
    if (typeof inventory === 'string') throw new ApiError(501, inventory)
    const handle = url.pathname.slice(ROOT.length + 1)
    switch (request.method) {
      case 'GET': return handle === '' ? list(inventory, url.searchParams) : show(inventory, handle, url.searchParams)
      case 'DELETE': return handle === '' ? revokeMany(inventory, url.searchParams) : revokeOne(inventory, handle)
      default: throw new ApiError(405, 'only GET and DELETE')
    }
  }

  async function list(inventory: Inventory, query: URLSearchParams): Promise<object> {
    const { subject, limit = String(DEFAULT_LIMIT), cursor } = read(query, ['subject', 'limit', 'cursor'])
    if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > MAX_LIMIT) throw new ApiError(400, `limit must be 1 to ${MAX_LIMIT}`)
    if (subject !== undefined) return { sessions: (await inventory.listOf(subject)).slice(0, Number(limit)).map(shown) }
    const { sessions, next } = await inventory.list(cursor, Number(limit))
    return { sessions: sessions.map(shown), ...(next === undefined ? {} : { next }) }
  }

  async function show(inventory: Inventory, handle: string, query: URLSearchParams): Promise<object> {
    const { values } = read(query, ['values'])
    const found = await inventory.find(handle)
    if (!found) throw new ApiError(404, 'there is no live session of this handle')
    if (values === '1') log.warn({ session: handle }, 'an operator looked at the values of a session')
    return { ...shown(found), data: values === '1' ? found.data : redacted(found.data) }
  }

  async function revokeOne(inventory: Inventory, handle: string): Promise<object> {
    if (!await inventory.revoke(handle)) throw new ApiError(404, 'there is no live session of this handle')
    log.warn({ session: handle }, 'an operator ended a session')
    return { revoked: 1 }
  }

  async function revokeMany(inventory: Inventory, query: URLSearchParams): Promise<object> {
    const { subject, all, confirm } = read(query, ['subject', 'all', 'confirm'])
    if ((subject === undefined) === (all === undefined)) throw new ApiError(400, 'give subject, or all=1 and confirm=all')
    if (subject === undefined && (all !== '1' || confirm !== 'all')) throw new ApiError(400, 'to end every session of every user, give all=1 and confirm=all')
    const revoked = subject === undefined ? await inventory.revokeAll() : await inventory.revokeOf(subject)
    log.warn({ revoked, of: subject === undefined ? 'everybody' : 'one subject' }, 'an operator ended sessions')
    return { revoked }
  }

  return async (request, response) => {
    const url = URL.canParse(request.url ?? '', 'http://admin') ? new URL(request.url ?? '', 'http://admin') : undefined
    if (!url || !(url.pathname === ROOT || url.pathname.startsWith(`${ROOT}/`))) return false
    try {
      answer(response, 200, await serve(request, url))
    } catch (error) {
      answer(response, statusOf(error), { error: messageOf(error) })
      if (statusOf(error) === 500) log.error({ err: error }, 'the operators\' API failed')
    }
    return true
  }
}

/** The named parameters, each at most once; throws for any other. */
function read<Name extends string>(query: URLSearchParams, names: readonly Name[]): { readonly [K in Name]?: string } {
  const unknown = [...query.keys()].find((name, at, all) => !names.includes(name as Name) || all.indexOf(name) !== at)
  if (unknown !== undefined) throw new ApiError(400, `the parameter ${JSON.stringify(unknown)} is not known here, or comes twice`)
  return Object.fromEntries(query) as { readonly [K in Name]?: string }
}

function shown({ handle, subject, createdAt, touchedAt, expiresAt, permanent, bytes }: SessionFacts): object {
  return {
    handle, subject: subject ?? null, created: timeOf(createdAt), lastUse: timeOf(touchedAt), expires: timeOf(expiresAt), permanent, bytes,
  }
}

function timeOf(instant: number): string {
  return new Date(instant).toISOString()
}

function answer(response: ServerResponse, status: number, body: object): void {
  send(response, status, 'application/json', `${JSON.stringify(body)}\n`)
}

function statusOf(error: unknown): number {
  if (error instanceof ApiError || error instanceof GatewayError) return error.status
  return error instanceof NotScannableError ? 501 : 500
}

function messageOf(error: unknown): string {
  return statusOf(error) === 500 || !(error instanceof Error) ? 'a bug: see the log' : error.message
}
