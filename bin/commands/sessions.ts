import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { systemClock } from '../../src/clock.ts'
import type { Config } from '../../src/config/schema.ts'
import { currentRevocations, parseRevocations, revocationLine } from '../../src/session/revocations.ts'
import { openAdminClient } from '../admin-client.ts'
import type { ConfigArguments } from '../arguments.ts'
import { CommandError, EXIT_FAILURE, UsageError } from '../errors.ts'
import { openConfig } from '../open-config.ts'
import { textTable } from '../text-table.ts'

interface Listed {
  readonly handle: string
  readonly subject: string | null
  readonly created: string
  readonly lastUse: string
  readonly expires: string
  readonly permanent: boolean
  readonly bytes: number
}

const PAGE = 1_000

/** Prints a table, or with `json` one object a line. Exit code 0, also when there is none. */
export async function runSessionsList(args: ConfigArguments, options: { readonly subject?: string | undefined; readonly limit: number; readonly json: boolean }): Promise<number> {
  const { subject, limit, json } = options
  if (!Number.isInteger(limit) || limit < 1) throw new UsageError('--limit must be a whole number from 1')
  const admin = await openAdminClient(args)
  const sessions: Listed[] = []
  let cursor: string | undefined
  do {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, limit - sessions.length)), ...(subject === undefined ? {} : { subject }), ...(cursor === undefined ? {} : { cursor }) })
    const { body } = await admin.send('GET', `/sessions?${query.toString()}`)
    const page = body as { readonly sessions: readonly Listed[]; readonly next?: string }
    sessions.push(...page.sessions)
    cursor = page.next
  } while (cursor !== undefined && sessions.length < limit)
  if (json) process.stdout.write(sessions.map((session) => `${JSON.stringify(session)}\n`).join(''))
  else process.stdout.write(tableOf(sessions))
  if (cursor !== undefined) process.stderr.write(`there are more; --limit ${sessions.length * 10} shows them\n`)
  return 0
}

function tableOf(sessions: readonly Listed[]): string {
  if (sessions.length === 0) return 'no sessions\n'
  const rows = sessions.map(({ handle, subject, created, lastUse, expires, bytes }) => [handle, printable(subject ?? '-'), shortTime(created), shortTime(lastUse), shortTime(expires), String(bytes)])
  return textTable([['HANDLE', 'SUBJECT', 'CREATED', 'LAST USE', 'EXPIRES', 'BYTES'], ...rows], '')
}

/** A subject comes from the app: nothing of it may speak to the terminal. */
function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1).replace(/[^\x20-\x7e\u00a1-\uffff]/g, '?')
}

function shortTime(text: string): string {
  return text.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
}

/** Prints one session as JSON. Exit code 1 when there is none. */
export async function runSessionsShow(args: ConfigArguments, { handle, values }: { readonly handle: string; readonly values: boolean }): Promise<number> {
  const { status, body } = await (await openAdminClient(args)).send('GET', `/sessions/${encodeURIComponent(handle)}${values ? '?values=1' : ''}`)
  if (status === 404) return none(handle)
  process.stdout.write(`${JSON.stringify(body, null, 2)}\n`)
  return 0
}

export interface RevokeOptions {
  readonly handle?: string | undefined
  readonly subject?: string | undefined
  readonly all: boolean
}

/** Ends one session, all of a subject, or all there are: exactly one of the three must be asked for. */
export async function runSessionsRevoke(args: ConfigArguments, { handle, subject, all }: RevokeOptions): Promise<number> {
  if ([handle !== undefined, subject !== undefined, all].filter(Boolean).length !== 1) throw new UsageError('sessions revoke needs one of: HANDLE, --subject S, --all')
  if (handle === undefined && args.flags['admin'] === undefined) {
    const { loaded: { config } } = await openConfig(args)
    if (config.store.kind === 'cookie') return endCookieSessions(config, config.store.notBeforeFile, subject)
  }
  const admin = await openAdminClient(args)
  const path = handle === undefined ? `/sessions?${new URLSearchParams(subject === undefined ? { all: '1', confirm: 'all' } : { subject }).toString()}` : `/sessions/${encodeURIComponent(handle)}`
  const { status, body } = await admin.send('DELETE', path)
  if (status === 404) return none(handle ?? '')
  const { revoked } = body as { readonly revoked?: number }
  if (revoked === undefined) throw new CommandError('the answer says nothing of what was ended')
  process.stdout.write(`ended ${revoked} ${revoked === 1 ? 'session' : 'sessions'}\n`)
  return 0
}

/** Beyond it the lines that end nothing any more are left out. Every gateway reads the file at each reload. */
const TIDY_BYTES = 16_384

/** No gateway has these sessions: what ends them is a line in a file, which every gateway that has the file reads again by itself. */
async function endCookieSessions({ session }: Config, file: string | undefined, subject: string | undefined): Promise<number> {
  if (file === undefined) throw new CommandError('the sessions are in the browsers: set store.notBefore in the configuration, or name a file there as store.notBeforeFile, which this command then writes')
  if (subject !== undefined && session.subject === undefined) throw new CommandError('the configuration does not say whose a session is: set session.subject')
  const now = systemClock()
  const known = await readFile(file, 'utf8')
  const revocations = known.length > TIDY_BYTES ? parseRevocations(known) : undefined
  if (revocations) await writeFile(file, currentRevocations(revocations, now, session.absolute) + revocationLine(now, subject))
  else await appendFile(file, `${known.endsWith('\n') ? '' : '\n'}${revocationLine(now, subject)}`)
  process.stdout.write(`ended what ${subject === undefined ? 'began' : 'this subject began'} before ${new Date(now).toISOString()}, as soon as the gateways have read ${file}\n`)
  return 0
}

function none(handle: string): number {
  process.stderr.write(`there is no live session ${handle}\n`)
  return EXIT_FAILURE
}
