import type { Clock } from '../../clock.ts'
import { MutationRefusedError } from '../../errors.ts'
import { splitCookies } from '../../http/cookie.ts'
import { isWithinLimits } from '../../session/json.ts'
import type { Loaded } from '../../session/loader.ts'
import { checkAllowed, joinMutations, NO_MUTATION, type Mutation, type MutationRules } from '../../session/mutation.ts'
import { project, type DataPath } from '../../session/paths.ts'
import type { Session } from '../../session/session.ts'
import { NO_LINES, type Adapter } from '../adapter.ts'
import { createOldCookies, type OldCookies } from '../old-cookies.ts'
import { createRecent } from '../../recent.ts'
import { diffMembers, isEmptyDiff } from './diff.ts'
import type { ItsdangerousSigner } from './itsdangerous.ts'
import { createKeptTexts } from './kept-texts.ts'
import type { Members } from './lossless-json.ts'
import { membersOfTyped, typedOfMembers } from './members.ts'
import { readOldCookie } from './old-cookie.ts'
import { decodeFlaskCookie, isPermanent, membersOfPayload, payloadOfMembers } from './session-cookie.ts'
import type { ForeignTags } from './tagged-json.ts'
import { encodeBody } from './url-safe-body.ts'

export interface FlaskAdapterOptions {
  readonly signer: ItsdangerousSigner
  /** Where the app keeps, or kept, its cookie in browsers. */
  readonly cookie: OldCookies
  readonly sortKeys: boolean
  readonly foreignTags: ForeignTags
  /** PERMANENT_SESSION_LIFETIME. */
  readonly lifetimeSeconds: number
  /** Whether an app's own cookie is taken over. */
  readonly adopts: boolean
  readonly expose: readonly DataPath[]
  readonly rules: MutationRules
  /** Whether a session is permanent before anybody says so. */
  readonly permanentByDefault: boolean
  readonly clock: Clock
}

/** A cookie as the app gets it, and what is in it. */
interface Handed {
  readonly payloadText: string
  /** The part before the timestamp: an answer with the same one has changed nothing. */
  readonly body: string
  readonly pair: string
  /** Earlier, the clock was ahead when this was signed: Flask refuses what is signed in a time to come. */
  readonly signedAtSeconds: number
  readonly renewAtSeconds: number
}

/** Flask refuses what is signed one second ahead of its own clock, so we sign in the past. */
const SKEW_SECONDS = 5
/** The same signed value is handed down for so long, or a quarter of its life. */
const REUSE_SECONDS = 60
const COMPRESS_FROM_BYTES = 2_048
const MAX_HANDED_CHARS = 8_000_000
const SIGNATURE_CHARS = 40

/**
 * An unchanged Flask app: the session's data is handed to it as its own signed cookie, and its Set-Cookie is read as the change. What
 * it changed is the difference to what was sent down, member by member, so that parallel requests both keep theirs.
 */
export function createFlaskAdapter(options: FlaskAdapterOptions): Adapter {
  const { signer, cookie, foreignTags, clock, rules } = options
  const { name } = cookie
  const old = createOldCookies(cookie)
  const texts = createKeptTexts(name)
  const handed = createRecent<Handed>(MAX_HANDED_CHARS)
  const skewSeconds = Math.min(SKEW_SECONDS, Math.floor(options.lifetimeSeconds / 2))
  const reuseSeconds = Math.min(REUSE_SECONDS, Math.floor(options.lifetimeSeconds / 4))
  const writtenPayload = (members: Members): string => payloadOfMembers(members, options.sortKeys)

  /** `_permanent` is how Flask keeps what for us is a fact beside the data; where somebody else has changed that fact, it follows. */
  function membersOf({ data, jar, permanent }: Session): Members {
    const members = membersOfTyped(project(data, options.expose), texts.textsIn(jar))
    if (members.size === 0 || isPermanent(members) === permanent) return members
    return new Map([...members, ['_permanent', String(permanent)]])
  }

  function handDown({ session, version }: Loaded): Handed {
    const key = `${session.handle}.${version}`
    const known = handed.get(key)
    const nowSeconds = Math.floor(clock() / 1_000)
    if (known && nowSeconds < known.renewAtSeconds && nowSeconds >= known.signedAtSeconds) return known
    const payloadText = known?.payloadText ?? writtenPayload(membersOf(session))
    const body = known?.body ?? encodeBody(payloadText, COMPRESS_FROM_BYTES)
    const pair = payloadText === '{}' ? '' : `${name}=${signer.signAt(body, nowSeconds - skewSeconds)}`
    const fresh = { payloadText, body, pair, signedAtSeconds: nowSeconds, renewAtSeconds: nowSeconds + reuseSeconds }
    handed.set(key, fresh, payloadText.length + body.length + pair.length)
    return fresh
  }

  function readOwn(line: string, loaded: Loaded | undefined): Mutation {
    const value = valueOf(line)
    if (value === undefined) return { kind: 'destroy' }
    const sent = loaded && handDown(loaded)
    if (sent && value.startsWith(sent.body) && isStamp(value.slice(sent.body.length))) return NO_MUTATION
    const decoded = decodeFlaskCookie(value, { signer, foreignTags })
    if (!decoded.ok) throw refusalOf(decoded.reason, name)
    if (decoded.payloadText === sent?.payloadText) return NO_MUTATION
    if (decoded.members.size === 0) return { kind: 'destroy' }
    return changeOf(sentMembers(sent), decoded.members, loaded?.session)
  }

  function changeOf(sent: Members, returned: Members, session: Session | undefined): Mutation {
    const diff = diffMembers(sent, returned)
    if (isEmptyDiff(diff)) return NO_MUTATION
    const set = typedOfMembers(diff.set)
    if (!isWithinLimits(set, rules.limits)) throw new MutationRefusedError('depth', `the app's session is nested deeper than ${rules.limits.maxDepth} or has more than ${rules.limits.maxMembers} members`)
    const wasPermanent = session ? session.permanent : options.permanentByDefault
    const permanent = isPermanent(returned)
    const jar = texts.editsFor(diff, session?.jar)
    return {
      kind: 'change', patch: {}, base: 'keep', rotate: false, ifVersion: undefined,
      lifetime: { permanent: permanent === wasPermanent ? undefined : permanent, idleMs: undefined, absoluteMs: undefined },
      members: new Map([...Object.entries(set), ...[...diff.removed].map((removed) => [removed, undefined] as const)]),
      ...(jar.size > 0 ? { jar } : {}),
    }
  }

  return {
    claims: (cookieName) => cookieName === name,
    findOld(request) {
      if (!options.adopts) return undefined
      const now = clock()
      for (const value of old.presented(request)) {
        const session = readOldCookie(value, now, { signer, texts, foreignTags, lifetimeSeconds: options.lifetimeSeconds })
        if (session && isWithinLimits(session.data ?? {}, rules.limits)) return session
      }
      return undefined
    },
    cookieLinesFor({ lines }, loaded) {
      const { rest } = splitCookies(lines, name)
      const pair = loaded ? handDown(loaded).pair : ''
      return pair === '' ? rest : [...rest, pair]
    },
    readAnswer(setCookies, request, loaded, asked) {
      const line = setCookies.at(-1)
      const own = line === undefined ? NO_MUTATION : readOwn(line, loaded)
      checkAllowed(own, rules)
      return { mutation: joinMutations(asked, own), setCookies: NO_LINES, deletions: old.deletions(request) }
    },
    sizeOf: (session) => name.length + 1 + encodeBody(writtenPayload(membersOf(session)), COMPRESS_FROM_BYTES).length + SIGNATURE_CHARS,
  }

  function sentMembers(sent: Handed | undefined): Members {
    return (sent && membersOfPayload(sent.payloadText, { foreignTags: 'carry' })) ?? new Map()
  }
}

/** The value of a Set-Cookie line; undefined when it deletes the cookie. */
function valueOf(line: string): string | undefined {
  const [pair = '', ...attributes] = line.split(';')
  const value = pair.slice(pair.indexOf('=') + 1).trim()
  const isDeleted = value === '' || attributes.some((attribute) => /^\s*max-age\s*=\s*(0|-\d+)\s*$/i.test(attribute))
  return isDeleted ? undefined : value
}

/** `.timestamp.signature`, and nothing before it that would belong to the body. */
function isStamp(rest: string): boolean {
  return rest.startsWith('.') && rest.split('.').length === 3
}

function refusalOf(reason: string, name: string): MutationRefusedError {
  return reason === 'bad_payload'
    ? new MutationRefusedError('json', `the app's cookie "${name}" does not hold a Flask session`)
    : new MutationRefusedError('signature', `the app's cookie "${name}" is not signed by the configured secretKey (${reason})`)
}
