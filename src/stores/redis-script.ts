import { createHash } from 'node:crypto'

/** A Lua script and the digest EVALSHA knows it by. It works on KEYS[1] alone, so any node of a cluster can run it. */
export interface RedisScript {
  readonly source: string
  readonly sha1: string
}

function script(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

// A value is one string: kind (R record, T tombstone), 16 characters of version, 16 digits of expiry, the bytes. ARGV[1] is always
// the gateway's now: a value it holds for expired is as good as absent, whether or not Redis has removed it. A first character as
// answer: S stored, M missing, C conflict (then the value that won), E ended (then the value), N nothing there, F not a value of ours.
const READ_HEAD = `
local head = redis.call('GETRANGE', KEYS[1], 0, 32)
local kind = string.sub(head, 1, 1)
local expiry = tonumber(string.sub(head, 18))
if head ~= '' and ((kind ~= 'R' and kind ~= 'T') or not expiry or #head < 33) then return 'F' end
local live = head ~= '' and expiry > tonumber(ARGV[1])
local version = string.sub(head, 2, 17)`

/** ARGV: now, value, its expiry. */
export const CREATE = script(`${READ_HEAD}
if live and kind == 'T' then return 'M' end
if live and version == string.sub(ARGV[2], 2, 17) then return 'S' end -- our own write, sent again after a lost reply
if live then return 'C' .. redis.call('GET', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 'S'`)

/** ARGV: now, value, its expiry, the expected version. */
export const REPLACE = script(`${READ_HEAD}
if not live or kind == 'T' then return 'M' end
if version == string.sub(ARGV[2], 2, 17) then return 'S' end -- our own write, sent again after a lost reply
if version ~= ARGV[4] then return 'C' .. redis.call('GET', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 'S'`)

/** ARGV: now, the new expiry in 16 digits, the same as a number. */
export const TOUCH = script(`${READ_HEAD}
if not live or kind == 'T' then return 'N' end
redis.call('SETRANGE', KEYS[1], 17, ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 'S'`)

/**
 * ARGV: now, the tombstone, its expiry. A server out of memory takes no new value but does delete: then the session ends without a
 * tombstone, and a late replace still finds nothing.
 */
export const DESTROY = script(`${READ_HEAD}
if live and kind == 'T' and expiry >= tonumber(ARGV[3]) then return 'N' end
local answer = 'N'
if live and kind == 'R' then answer = 'E' .. redis.call('GET', KEYS[1]) end
local stored = redis.pcall('SET', KEYS[1], ARGV[2])
if stored.err then redis.call('DEL', KEYS[1]) else redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
return answer`)
