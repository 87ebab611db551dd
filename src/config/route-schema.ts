import { z } from 'zod'
import { adapter, cookieRule, migrated, requireValue } from './adapter-schema.ts'
import { dataPath } from './session-schema.ts'
import { duration, positiveDuration, size } from './units.ts'

const mutationKind = z.enum(['patch', 'rotate', 'destroy', 'lifetime'])

export const route = z
  .strictObject({
    path: z.string().regex(/^\/[^\s?#\\]*$/, 'expected a path that starts with /').prefault('/').describe('Matches itself and everything below it; the longest wins'),
    host: z.string().regex(/^[A-Za-z0-9.-]+(:\d+)?$/, 'expected a host name').transform((host) => host.toLowerCase()).optional().describe('Only for this Host'),
    upstream: z.string().min(1).describe('Name of an upstream'),
    stripPrefix: z.boolean().prefault(false).describe('The app does not know the path prefix: it is taken off, and put back on Location and cookie paths'),
    session: z.enum(['none', 'read', 'use', 'require']).prefault('use')
      .describe('none: not even looked at; read: handed over, changes refused; use: handed over and changed; require: as use, but 401 (or loginUrl) without one'),
    loginUrl: z.string().regex(/^(\/(?!\/)|https?:\/\/)[\x21-\x7e]*$/, 'expected a path or an http(s) URL').optional().describe('With session: require, where a browser is sent to log in'),
    requireValue: requireValue.optional().describe('With session: require, the session must also hold this value'),
    adapter: adapter.optional().describe('For an app that keeps its own session and is not changed: its cookie becomes ours'),
    migrated: migrated.optional().describe('Sessions brought by "sessiongate migrate": found, once, by the cookie their visitors still have'),
    cookies: z.array(cookieRule).prefault([]).describe('What becomes of the app\'s own cookies; the first rule that fits counts, and without one they pass'),
    expose: z.array(dataPath).min(1).prefault(['*']).describe('Paths of the data this upstream may see'),
    writable: z.array(dataPath).prefault(['*']).describe('Paths it may change'),
    mutations: z.strictObject({
      allow: z.array(mutationKind).prefault(['patch', 'rotate', 'destroy', 'lifetime']).describe('What this upstream may do to the session'),
      signed: z.boolean().prefault(false).describe('Accept only X-Session-Mutation, signed by one of the upstream\'s mutationKeys'),
    }).prefault({}).describe('How this upstream may change the session'),
    touch: z.enum(['always', 'threshold', 'never']).prefault('threshold').describe('Whether a request here counts as use; never suits polling'),
    onStoreError: z.enum(['fail', 'anonymous']).prefault('fail').describe('fail: 503; anonymous: go on without a session, change nothing'),
    onCommitFailure: z.enum(['fail', 'forward']).prefault('fail').describe('fail: 503 instead of the answer; forward: the answer without its change, counted'),
    persistOn: z.enum(['always', 'non-5xx']).prefault('always').describe('On which answers a change counts'),
    cache: z.enum(['private', 'upstream']).prefault('private').describe('private: shared caches may not keep answers made for a session; upstream: leave Cache-Control alone'),
    timeouts: z.strictObject({
      connect: positiveDuration.optional().describe('To have a connection'),
      firstByte: positiveDuration.optional().describe('From the request sent to the response head'),
      idle: duration.optional().describe('Between two pieces of the response body; 0ms: no limit'),
      total: duration.optional().describe('For the whole exchange; 0ms: no limit'),
    }).prefault({}).describe('Instead of the upstream\'s'),
    maxBody: size.optional().describe('Instead of limits.maxBody'),
    websocket: z.strictObject({
      origins: z.array(z.string()).prefault(['same']).describe('Allowed Origin values; same: the Host asked for; "*": any'),
      idle: duration.prefault('1h').describe('Closed after this long without a byte'),
      maxAge: duration.prefault('24h').describe('Closed at this age'),
      recheck: positiveDuration.prefault('5s').describe('How soon it is noticed that the session has expired, or was ended by another process'),
    }).prefault({}).describe('Upgraded connections'),
  })
  .refine((value) => value.loginUrl === undefined || value.session === 'require', { path: ['loginUrl'], error: 'only has a meaning with session: require' })
  .refine((value) => value.requireValue === undefined || value.session === 'require', { path: ['requireValue'], error: 'only has a meaning with session: require' })
  .refine((value) => value.adapter === undefined || value.session !== 'none', { path: ['adapter'], error: 'needs a session: the app\'s is kept in it' })
  .refine((value) => value.migrated === undefined || value.session !== 'none', { path: ['migrated'], error: 'needs a session: it becomes one' })
  .refine((value) => value.cookies.length === 0 || value.session !== 'none', { path: ['cookies'], error: 'needs a session; without one every cookie passes' })
export type RouteConfig = z.output<typeof route>
