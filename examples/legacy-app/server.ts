// A legacy app behind sessiongate: plain node:http, no store, no cookie code. Everything it knows of a visitor arrives with the
// request, and everything it wants remembered leaves with the response.
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { randomBytes } from 'node:crypto'
import { bypassedPage, countOf, homePage, itemsOf, notFoundPage } from './pages.ts'
import { changeSession, readSession } from './session.ts'
import type { SessionChange, SessionView } from './session.ts'

const MAX_FORM_BYTES = 8192
const MAX_ITEMS = 50

export interface LegacyAppOptions {
  /** The secrets shared with the gateway, by key id. */
  readonly secrets: ReadonlyMap<string, string>
  /** The name the gateway's configuration gives this upstream. */
  readonly audience: string
}

/** What a form asks for: a change of the session, or a sentence for the visitor. */
type Outcome = SessionChange | { readonly error: string }
type Action = (form: URLSearchParams, session: SessionView) => Outcome

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['/login', login],
  ['/logout', () => ({ control: ['destroy'] })],
  ['/count', (_form, session) => ({ patch: { count: countOf(session) + 1 } })],
  ['/list/add', addItem],
  ['/list/remove', (form, session) => removeItem(form.get('id') ?? '', session)],
])

/** The app, not yet listening. */
export function createLegacyApp(options: LegacyAppOptions): Server {
  return createServer((request, response) => {
    handle(request, response, options).catch(() => {
      if (response.headersSent) response.destroy()
      else sendPage(response, 400, notFoundPage())
    })
  })
}

async function handle(request: IncomingMessage, response: ServerResponse, options: LegacyAppOptions): Promise<void> {
  const session = readSession(request, options.secrets, options.audience)
  if (!session) return sendPage(response, 403, bypassedPage())

  const { pathname } = new URL(request.url ?? '/', 'http://app')
  if (pathname === '/' && (request.method === 'GET' || request.method === 'HEAD')) return sendPage(response, 200, homePage(session))
  const action = request.method === 'POST' ? ACTIONS.get(pathname) : undefined
  if (!action) return sendPage(response, 404, notFoundPage())

  const outcome = action(await readForm(request), session)
  if ('error' in outcome) return sendPage(response, 422, homePage(session, outcome.error))
  changeSession(response, outcome)
  response.writeHead(303, { location: '/', 'content-length': 0 }).end()
}

/** A new id for whoever gains rights, so that an id planted before the login is worth nothing after it. */
function login(form: URLSearchParams): Outcome {
  const name = (form.get('name') ?? '').trim().slice(0, 40)
  if (!name) return { error: 'Please enter your name.' }
  const user = { id: name.toLowerCase(), name }
  return { patch: { user }, control: ['rotate', form.has('remember') ? 'permanent' : 'transient'] }
}

/** Each item is a member of its own: two tabs that add at once both keep their item. */
function addItem(form: URLSearchParams, session: SessionView): Outcome {
  const text = (form.get('item') ?? '').trim().slice(0, 80)
  if (!text) return { error: 'Please enter an item.' }
  if (itemsOf(session).length >= MAX_ITEMS) return { error: `The list is full (${MAX_ITEMS} items).` }
  const id = `${Date.now().toString(36)}-${randomBytes(3).toString('hex')}`
  return { patch: { list: { [id]: text } } }
}

function removeItem(id: string, session: SessionView): Outcome {
  const ids = itemsOf(session).map(([existing]) => existing)
  if (!ids.includes(id)) return {}
  return { patch: { list: ids.length === 1 ? null : { [id]: null } } }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_FORM_BYTES) throw new Error('form too large')
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString())
}

function sendPage(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, {
    'content-length': Buffer.byteLength(html),
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
  })
  response.end(html)
}
