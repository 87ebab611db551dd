import type { Clock } from '../../clock.ts'
import { cookieNameOf } from '../../http/response-headers.ts'
import { claimOf, type OldSession } from '../../session/adoption.ts'
import type { Loaded } from '../../session/loader.ts'
import { changedData, joinMutations, NO_MUTATION, type MemberEdits, type Mutation } from '../../session/mutation.ts'
import { valueAt, type DataPath } from '../../session/paths.ts'
import type { EpochMs, Json, JsonObject, Session } from '../../session/session.ts'
import { NO_LINES, type Adapter, type AppRequest } from '../adapter.ts'
import { createOldCookies, type OldCookies } from '../old-cookies.ts'
import { bySendingOrder, createJarShelf, isSentTo, parseSetCookie, type StoredCookie } from './jar.ts'
import { deletionsOf, type BrowserPlace } from './left-behind.ts'
import { mapCookiePairs } from './request-pairs.ts'
import type { CookieRule } from './rules.ts'
import type { CookieSealer } from './seal.ts'

export interface CookieAdapterOptions {
  readonly upstream: string
  readonly ruleOf: (cookieName: string) => CookieRule
  readonly sealer: CookieSealer
  /** Where the data says who the user is. */
  readonly subject: DataPath | undefined
  readonly clock: Clock
  /** Whether a session is permanent before anybody says so, and whether a cookie may say so. */
  readonly permanentByDefault: boolean
  readonly maySetPermanence: boolean
  /** The one cookie whose permanence is the session's, as of an app with a session cookie alone; and where browsers had it. */
  readonly session: OldCookies | undefined
}

const NO_PLACES: readonly BrowserPlace[] = []

/** No browser keeps more for one site (RFC 6265bis section 6.1 asks for 50 at least). */
const MAX_STORED = 50

/**
 * Cookies of any app by rule: what it sets is kept beside the session and sent to it again by domain, path and expiry, or sealed in
 * the browser. A later Set-Cookie replaces an earlier one of the same name, domain and path, whatever happens to the data meanwhile.
 */
export function createCookieAdapter(options: CookieAdapterOptions): Adapter {
  const { ruleOf, sealer, clock } = options
  const shelf = createJarShelf(options.upstream)
  const old = options.session && createOldCookies(options.session)

  function subjectOf(data: JsonObject | undefined): string | undefined {
    const value = options.subject && valueAt(data, options.subject)
    return value === undefined || value === null ? undefined : JSON.stringify(value)
  }

  function cookieLinesFor(request: AppRequest, loaded: Loaded | undefined): readonly string[] {
    const lines = mapCookiePairs(request.lines, ({ name, value }) => {
      const action = ruleOf(name).do
      if (action === 'pass') return undefined
      const opened = action === 'encrypt' ? sealer.open(name, value, subjectOf(loaded?.session.data)) : undefined
      return opened === undefined ? '' : `${name}=${opened}`
    })
    const stored = shelf.read(loaded?.session.jar)
    if (stored.length === 0) return lines
    const now = clock()
    const sent = stored.filter((cookie) => isSentTo(cookie, request, now)).sort(bySendingOrder)
    return [...lines, ...sent.map(({ name, value }) => `${name}=${value}`)]
  }

  function readStored(lines: readonly string[], request: AppRequest, session: Session | undefined): Mutation {
    const now = clock()
    const known = new Map(shelf.read(session?.jar).map((cookie) => [shelf.nameOf(cookie), cookie]))
    const edits = new Map<string, Json | undefined>()
    let permanent: boolean | undefined
    for (const line of lines) {
      const cookie = parseSetCookie(line, request, now)
      if (!cookie) continue
      for (const [entry, { name, isAdopted }] of known) if (isAdopted && name === cookie.name) edits.set(entry, undefined)
      const entry = shelf.nameOf(cookie)
      const before = known.get(entry)
      if (isGone(cookie, now)) {
        if (before) edits.set(entry, undefined)
        continue
      }
      if (!before || before.isAdopted || isWorthWriting(before, cookie, now)) edits.set(entry, shelf.entryOf({ ...cookie, createdAt: before?.createdAt ?? now }))
      permanent = permanenceOf(cookie) ?? permanent
    }
    if (edits.size > 0) makeRoom(known, edits, now)
    const isPermanenceNew = options.maySetPermanence && permanent !== undefined && permanent !== (session?.permanent ?? options.permanentByDefault)
    return edits.size > 0 || isPermanenceNew ? changeOf(edits, isPermanenceNew ? permanent : undefined) : NO_MUTATION
  }

  /** A cookie that outlives the browser needs a session that does. */
  function permanenceOf({ name, expiresAt }: StoredCookie): boolean | undefined {
    if (expiresAt !== undefined) return true
    return name === options.session?.name ? false : undefined
  }

  /** Expired ones go, and the oldest where there are too many. */
  function makeRoom(known: ReadonlyMap<string, StoredCookie>, edits: Map<string, Json | undefined>, now: EpochMs): void {
    const kept = [...known].filter(([entry]) => !edits.has(entry))
    for (const [entry, cookie] of kept) if (isGone(cookie, now)) edits.set(entry, undefined)
    const live = kept.filter(([, cookie]) => !isGone(cookie, now)).sort(([, a], [, b]) => a.createdAt - b.createdAt)
    const added = [...edits.values()].filter((value) => value !== undefined).length
    for (const [entry] of live.slice(0, Math.max(0, live.length + added - MAX_STORED))) edits.set(entry, undefined)
  }

  /** Whoever the answer makes the user may open what the answer seals. */
  function sealed(lines: readonly string[], loaded: Loaded | undefined, asked: Mutation): string[] {
    const data = loaded?.session.data ?? {}
    const subject = asked.kind === 'destroy' ? undefined : subjectOf(asked.kind === 'none' ? data : changedData(data, asked))
    return lines.map((line) => line.replace(/^([^=;]*=)([^;]*)/, (whole, name: string, value: string) => {
      return value.trim() === '' ? whole : name + sealer.seal(cookieNameOf(line), value.trim(), subject)
    }))
  }

  /** What the browser still has of cookies that are stored now. */
  function findOld(request: AppRequest): OldSession | undefined {
    const now = clock()
    const found = new Map<string, { readonly cookie: StoredCookie; readonly until: EpochMs }>()
    const consider = (name: string, value: string): void => {
      const { adopts, lifetimeMs } = ruleOf(name)
      if (!adopts?.(value) || found.has(name)) return
      const cookie = { name, value, domain: request.host, isHostOnly: true, path: '/', expiresAt: undefined, createdAt: now, isAdopted: true }
      found.set(name, { cookie, until: now + lifetimeMs as EpochMs })
    }
    if (old && options.session) for (const value of old.presented(request)) consider(options.session.name, value)
    mapCookiePairs(request.lines, ({ name, value }) => {
      consider(name, value)
      return undefined
    })
    if (found.size === 0) return undefined
    const all = [...found.values()]
    return {
      claim: claimOf(`cookies ${options.upstream} ${all.map(({ cookie }) => `${cookie.name}=${cookie.value}`).sort().join('; ')}`),
      data: {},
      jar: Object.fromEntries(all.map(({ cookie }) => [shelf.nameOf(cookie), shelf.entryOf(cookie)])),
      permanent: false,
      until: Math.max(...all.map(({ until }) => until)) as EpochMs,
    }
  }

  /** What is stored is never the browser's, so what it has of it is from before: where its rule says, or where the app sets it now. */
  function deletionsFor(request: AppRequest, loaded: Loaded | undefined): readonly string[] {
    const ofRules = deletionsOf(request.lines, (name) => {
      const { leftAt } = ruleOf(name)
      return leftAt ? [...leftAt, ...placesInJar(name, loaded)] : NO_PLACES
    })
    return old ? [...old.deletions(request), ...ofRules] : ofRules
  }

  function placesInJar(cookieName: string, loaded: Loaded | undefined): BrowserPlace[] {
    return shelf.read(loaded?.session.jar).filter(({ name, isAdopted }) => name === cookieName && !isAdopted)
      .map(({ path, domain, isHostOnly }) => ({ path, domain: isHostOnly ? undefined : domain }))
  }

  return {
    claims: (name) => ruleOf(name).do !== 'pass',
    findOld,
    cookieLinesFor,
    readAnswer(setCookies, request, loaded, asked) {
      const deletions = deletionsFor(request, loaded)
      if (setCookies.length === 0) return { mutation: asked, setCookies: NO_LINES, deletions }
      const by = (action: string): string[] => setCookies.filter((line) => ruleOf(cookieNameOf(line)).do === action)
      const own = readStored(by('store'), request, loaded?.session)
      return { mutation: joinMutations(asked, own), setCookies: sealed(by('encrypt'), loaded, asked), deletions }
    },
    sizeOf: ({ jar }) => shelf.read(jar).reduce((bytes, { name, value }) => bytes + name.length + value.length + '=; '.length, 0),
  }
}

function isGone({ expiresAt }: StoredCookie, now: EpochMs): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** An app that sends its cookie with every answer only moves its expiry: written when half of what was left is used up. */
function isWorthWriting(before: StoredCookie, cookie: StoredCookie, now: EpochMs): boolean {
  if (before.value !== cookie.value || before.isHostOnly !== cookie.isHostOnly) return true
  if (before.expiresAt === undefined || cookie.expiresAt === undefined) return before.expiresAt !== cookie.expiresAt
  return before.expiresAt > cookie.expiresAt || before.expiresAt - now < (cookie.expiresAt - now) / 2
}

function changeOf(jar: MemberEdits, permanent: boolean | undefined): Mutation {
  return {
    kind: 'change', patch: {}, base: 'keep', rotate: false, ifVersion: undefined, jar,
    lifetime: { permanent, idleMs: undefined, absoluteMs: undefined },
  }
}
