import { cookieNameOf } from '../http/response-headers.ts'
import type { OldSession } from '../session/adoption.ts'
import type { Loaded } from '../session/loader.ts'
import type { Mutation } from '../session/mutation.ts'
import type { Session } from '../session/session.ts'

/** What an adapter may know of a request. */
export interface AppRequest {
  /** The browser's Cookie lines without the gateway's own cookie. */
  readonly lines: readonly string[]
  /** What came under the gateway's own name: where the app's cookie has the same name, an old one of the app's may be among them. */
  readonly candidates: readonly string[]
  /** As the browser knows it: lower case, without the port. */
  readonly host: string
  /** As the app knows it, without the query. */
  readonly path: string
}

/** What an app's answer means. */
export interface AppAnswer {
  readonly mutation: Mutation
  /** Set-Cookie lines for the browser in place of claimed ones. */
  readonly setCookies: readonly string[]
  /** Set-Cookie lines that delete what a browser still holds of the app's own. Not to be sent while the store is away. */
  readonly deletions: readonly string[]
}

export const NO_LINES: readonly string[] = []

/**
 * Stands between the session and an app that keeps its own cookies and is not changed: takes them out of both directions and keeps
 * what they hold in the session. Stateless between request and answer, so both may ask with the same `loaded`.
 */
export interface Adapter {
  /** Whether a Set-Cookie of this name is the adapter's to read. The browser never gets it as it is. */
  claims(cookieName: string): boolean
  /** The app's own session that a visitor without one of ours brings along; undefined when there is none that may be taken over. */
  findOld(request: AppRequest): OldSession | undefined
  /** The Cookie lines for the app. */
  cookieLinesFor(request: AppRequest, loaded: Loaded | undefined): readonly string[]
  /**
   * What the claimed Set-Cookie lines change, joined to what the app has `asked` for by header. Throws MutationRefusedError; then
   * nothing of the answer counts.
   */
  readAnswer(setCookies: readonly string[], request: AppRequest, loaded: Loaded | undefined, asked: Mutation): AppAnswer
  /** Bytes of the Cookie line an app would get for this session, without the browser's own cookies. */
  sizeOf(session: Session): number
}

/** Several adapters as one, each with what it claims; the earlier one has the first say. */
export function chainAdapters(adapters: readonly Adapter[]): Adapter | undefined {
  const [first, ...rest] = adapters
  return first && rest.reduce(chain, first)
}

function chain(first: Adapter, second: Adapter): Adapter {
  return {
    claims: (name) => first.claims(name) || second.claims(name),
    findOld: (request) => first.findOld(request) ?? second.findOld(request),
    cookieLinesFor: (request, loaded) => second.cookieLinesFor({ ...request, lines: first.cookieLinesFor(request, loaded) }, loaded),
    readAnswer(setCookies, request, loaded, asked) {
      const isFirst = (line: string): boolean => first.claims(cookieNameOf(line))
      const before = first.readAnswer(setCookies.filter(isFirst), request, loaded, asked)
      const after = second.readAnswer(setCookies.filter((line) => !isFirst(line)), request, loaded, before.mutation)
      return {
        mutation: after.mutation,
        setCookies: [...before.setCookies, ...after.setCookies],
        deletions: [...before.deletions, ...after.deletions],
      }
    },
    sizeOf: (session) => first.sizeOf(session) + second.sizeOf(session),
  }
}
