import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { parseAddress, type Address } from '../src/config/address.ts'
import type { ConfigArguments } from './arguments.ts'
import { CommandError, UsageError } from './errors.ts'
import { openConfig } from './open-config.ts'

export interface AdminReply {
  readonly status: number
  readonly body: unknown
}

/** Speaks to the admin listener of a running gateway. */
export interface AdminClient {
  /** Rejects with CommandError when nothing answers there, or the answer is a refusal (but for 404). */
  send(method: 'GET' | 'DELETE', path: string): Promise<AdminReply>
}

const TIMEOUT_MS = 60_000

/** By `--admin` (a URL or an address), else by the configuration. */
export async function openAdminClient(args: ConfigArguments): Promise<AdminClient> {
  const { admin } = args.flags
  const address = admin === undefined ? await configuredAddress(args) : addressOf(admin)
  return { send: (method, path) => send(address, method, path) }
}

function addressOf(admin: unknown): Address {
  const address = typeof admin === 'string' ? parseAddress(admin.replace(/^http:\/\//, '').replace(/\/$/, '')) : undefined
  if (!address) throw new UsageError('--admin must be an address or a URL, such as http://127.0.0.1:9090 or unix:/run/admin.sock')
  return address
}

async function configuredAddress(args: ConfigArguments): Promise<Address> {
  const { loaded: { config } } = await openConfig(args)
  if (config.admin === false) throw new CommandError('the configuration turns the admin listener off (admin: false), and it is what answers this')
  return config.admin
}

async function send(address: Address, method: string, path: string): Promise<AdminReply> {
  const where = address.kind === 'unix' ? `unix:${address.path}` : `http://${address.host}:${address.port}`
  const target = address.kind === 'unix' ? { socketPath: address.path } : { host: connectable(address.host), port: address.port }
  const { status, answer } = await new Promise<{ status: number; answer: string }>((resolve, reject) => {
    const fail = (error: Error): void => reject(new CommandError(`no gateway answers at ${where} (${error.message}); is it running, and is --admin right?`))
    const outgoing = request({ ...target, method, path, timeout: TIMEOUT_MS }, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, answer }), fail)
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`)))
    outgoing.on('error', fail)
    outgoing.end()
  })
  const body = parsed(answer)
  if (body === undefined) throw new CommandError(`what answers at ${where} is not the admin listener of sessiongate`)
  if (status !== 200 && status !== 404) throw new CommandError(`refused (${status}): ${(body as { error?: string }).error ?? 'no reason given'}`)
  return { status, body }
}

/** A listener on all addresses is reached on loopback. */
function connectable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer)
  } catch {
    return undefined
  }
}
