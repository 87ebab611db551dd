import { clearCookieLine, splitCookies } from '../http/cookie.ts'
import { NO_LINES, type AppRequest } from './adapter.ts'

/** A cookie the app itself used to keep in browsers, and ours, which may have the same name. */
export interface OldCookies {
  readonly name: string
  readonly path: string
  readonly domain: string | undefined
  readonly own: { readonly name: string; readonly path: string; readonly domain: string | undefined }
  /** Whether a value under our own name is one of ours. */
  readonly isOurs: (value: string) => boolean
}

/** What browsers still hold of the time before the gateway. */
export interface OldCookieFinder {
  /** The values under the app's name, ours left out. */
  presented(request: AppRequest): readonly string[]
  /** The Set-Cookie lines that delete them, where setting ours does not replace them anyway. */
  deletions(request: AppRequest): readonly string[]
}

export function createOldCookies({ name, path, domain, own, isOurs }: OldCookies): OldCookieFinder {
  const hasOurName = name === own.name
  const isReplaced = hasOurName && path === own.path && domain?.replace(/^\./, '') === own.domain
  const deletion = [clearCookieLine({ name, path, domain, secure: name.startsWith('__'), httpOnly: true, sameSite: 'omit', partitioned: false })]

  function presented({ lines, candidates }: AppRequest): readonly string[] {
    return hasOurName ? candidates.filter((value) => !isOurs(value)) : splitCookies(lines, name).candidates
  }

  return {
    presented,
    deletions: (request) => (!isReplaced && presented(request).length > 0 ? deletion : NO_LINES),
  }
}
