import type { SessionStore } from './store.ts'

/** Stands where sessions are in their cookies: it is always there, holds nothing, and nothing may be put into it. */
export function createCookieStore(): SessionStore {
  const refuse = (): Promise<never> => Promise.reject(new Error('the cookie store keeps nothing at the server'))
  return {
    kind: 'cookie',
    load: () => Promise.resolve(undefined),
    create: refuse,
    replace: refuse,
    touch: refuse,
    destroy: refuse,
    ping: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
