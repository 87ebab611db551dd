import { z } from 'zod'
import { keyRing, mutationKey } from './keys-schema.ts'
import { duration, positiveDuration } from './units.ts'

/** Where an upstream listens. `origin` says where and how to connect; `socketPath` replaces host and port. */
export interface Target {
  readonly text: string
  readonly origin: string
  readonly socketPath: string | undefined
}

function parseTarget(text: string): Target | undefined {
  if (/^unix:\/.+/.test(text)) return { text, origin: 'http://localhost', socketPath: text.slice('unix:'.length) }
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.pathname !== '/' || url.search || url.hash || url.username) return undefined
  return { text, origin: url.origin, socketPath: undefined }
}

export const target = z.string().transform((text, context): Target => {
  const parsed = parseTarget(text)
  if (parsed) return parsed
  context.addIssue({ code: 'custom', message: 'expected http://host:port, https://host:port or unix:/path, without a path, user or query' })
  return z.NEVER
})

export const timeouts = z.strictObject({
  connect: positiveDuration.prefault('1s').describe('To have a connection'),
  firstByte: positiveDuration.prefault('30s').describe('From the request sent to the response head'),
  idle: duration.prefault('60s').describe('Between two pieces of the response body; 0ms: no limit'),
  total: duration.prefault('0ms').describe('For the whole exchange; 0ms: no limit'),
})

export const upstream = z.strictObject({
  targets: z.array(target).min(1, 'at least one target is needed').describe('Equal servers of one app, used in turn'),
  maxHeaderBytes: z.int().min(512).max(65_536).prefault(7_168).describe('What that server accepts for one header field; a session that cannot be delivered is refused when stored'),
  timeouts: timeouts.prefault({}).describe('How long the upstream may take'),
  connections: z.int().min(1).max(10_000).prefault(256).describe('At most, per target and worker'),
  host: z.enum(['pass', 'target']).prefault('pass').describe('Host header: as the browser sent it, or the target\'s own'),
  tls: z.strictObject({
    caFile: z.string().optional().describe('PEM of the authority that signed the upstream\'s certificate'),
    servername: z.string().optional().describe('Name the certificate must carry, when it is not the target\'s host'),
    rejectUnauthorized: z.boolean().prefault(true).describe('false accepts any certificate: only ever for a test'),
  }).optional().describe('For https targets'),
  health: z.strictObject({
    failures: z.int().min(1).prefault(3).describe('Failed connections in a row that take a target out of turn'),
    cooldown: duration.prefault('5s').describe('How long, unless a probe says it is back'),
    path: z.string().startsWith('/').optional().describe('Probe this path; a 2xx or 3xx answer is healthy'),
    interval: duration.prefault('5s').describe('Between two probes'),
    timeout: duration.prefault('2s').describe('Of one probe'),
  }).prefault({}).describe('When a target is left out'),
  mutationKeys: keyRing(mutationKey).prefault([]).describe('Verify this upstream\'s signed mutations'),
})
export type UpstreamConfig = z.output<typeof upstream>
