import type { Config } from '../schema.ts'
import type { Judge } from './judge.ts'

/** Fields that HTTP, browsers, proxies and apps need. The gateway removes every field under its prefix, so none may be one of these. */
const NEEDED = `
accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-origin age allow alt-svc authorization
cache-control connection content-disposition content-encoding content-language content-length content-location content-range
content-security-policy content-type cookie cross-origin-opener-policy date early-data etag expect expires forwarded from host
if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive last-event-id last-modified link location max-forwards
origin permissions-policy pragma priority proxy-authenticate proxy-authorization proxy-connection range referer referrer-policy
refresh retry-after sec-fetch-site sec-websocket-key server set-cookie strict-transport-security te trace-id traceparent tracestate
trailer transfer-encoding upgrade user-agent vary via warning www-authenticate x-content-type-options x-csrf-token
x-forwarded-for x-forwarded-host x-forwarded-proto x-frame-options x-http-method-override x-real-ip x-request-id x-requested-with
x-xsrf-token`.trim().split(/\s+/)

/** Families somebody else owns: browsers (Sec-), proxies, the framing of messages. */
const FAMILIES = ['x-forwarded-', 'sec-', 'proxy-', 'content-', 'access-control-', 'if-', 'accept-', 'transfer-', 'cookie-', 'set-']

const OURS = ['Assertion', 'Patch', 'Control', 'Mutation']

/** The prefix becomes the gateway's alone, in any spelling (case, `_` or `.` for `-`), so nothing HTTP needs may lie under it. */
export function checkHeaderPrefix({ headerPrefix }: Config, judge: Judge): void {
  const prefix = canonical(headerPrefix)
  const hit = NEEDED.find((name) => name.startsWith(prefix) || OURS.some((own) => canonical(`${headerPrefix}${own}`) === name))
  const family = FAMILIES.find((known) => prefix.startsWith(known))
  if (hit !== undefined) judge.problem('headerPrefix', `the header ${hit} lies under it and would be removed; choose a prefix of your own, such as X-Session-`)
  else if (family !== undefined) judge.problem('headerPrefix', `headers that start with ${family} belong to HTTP or to other proxies; choose a prefix of your own, such as X-Session-`)
}

function canonical(name: string): string {
  return name.toLowerCase().replace(/[_.]/g, '-')
}
