import { memoizeByName } from '../../http/field-names.ts'
import type { BrowserPlace } from './left-behind.ts'

/** What becomes of a cookie: kept beside the session, sealed in the browser, left alone, or taken out of both directions. */
export type CookieAction = 'store' | 'encrypt' | 'pass' | 'drop'

export interface CookieRule {
  /** The names it is for. Names are told apart by case (RFC 6265 section 5.3). */
  readonly names: RegExp
  readonly do: CookieAction
  /** With `store`: whether a value the browser still holds may be taken over; undefined: none may. */
  readonly adopts: ((value: string) => boolean) | undefined
  /** How long an app honours such a value, ms. */
  readonly lifetimeMs: number
  /** With `store`: where browsers hold it from before, to be deleted there; undefined: not by this rule. */
  readonly leftAt?: readonly BrowserPlace[] | undefined
}

const PASS: CookieRule = { names: /^/, do: 'pass', adopts: undefined, lifetimeMs: 0 }

/** The first rule that fits a name; without one, it passes. */
export function createRuleFinder(rules: readonly CookieRule[]): (cookieName: string) => CookieRule {
  return memoizeByName((name) => rules.find(({ names }) => names.test(name)) ?? PASS)
}

/** Exactly this name. */
export function nameExactly(name: string): RegExp {
  return new RegExp(`^${escape(name)}$`)
}

/** Any name of this form, where `*` stands for any characters. */
export function nameLike(pattern: string): RegExp {
  return new RegExp(`^${pattern.split('*').map(escape).join('.*')}$`, 's')
}

function escape(text: string): string {
  return text.replace(/[*.+?^${}()|[\]\\]/g, '\\$&')
}
