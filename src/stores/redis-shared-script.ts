import { createHash } from 'node:crypto'
import type { RedisScript } from './redis-script.ts'

function script(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

// KEYS[1] holds what the app and we both read and write: nothing of ours has room in it. KEYS[2], which the app never looks at, holds what
// we must know besides: `T` (and a token) the session has ended, `A` and a mark, or `W` and the token of our last write, for a few seconds. A first
// character as answer: S stored, M missing, C conflict, R and A the milliseconds left in 16 digits and the bytes, N nothing there.
const READ = `
local aside = redis.call('GET', KEYS[2]) or ''
local kind = string.sub(aside, 1, 1)
local bytes = redis.call('GET', KEYS[1])
if bytes == '' then bytes = false end
local function shown(kind, key, content) return kind .. string.format('%016d', redis.call('PTTL', key)) .. content end`

export const LOAD_SHARED = script(`${READ}
if kind == 'T' then return 'M' end
if kind == 'A' then return shown('A', KEYS[2], string.sub(aside, 2)) end
return bytes and shown('R', KEYS[1], bytes) or 'M'`)

const PUT = `
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], 'W' .. ARGV[3], 'PX', ARGV[4])
return 'S'`

/** ARGV: bytes, their ms to live, the token of this write, its ms to live. */
export const CREATE_SHARED = script(`${READ}
if kind == 'T' then return 'M' end
if aside == 'W' .. ARGV[3] then return 'S' end -- our own write, sent again after a lost reply
if kind == 'A' or bytes then return 'C' end
${PUT}`)

/** ARGV: as above, and the SHA-1 of the bytes to be replaced. */
export const REPLACE_SHARED = script(`${READ}
if kind == 'T' then return 'M' end
if aside == 'W' .. ARGV[3] then return 'S' end -- our own write, sent again after a lost reply
if kind == 'A' then return 'C' end
if not bytes then return 'M' end
if redis.sha1hex(bytes) ~= ARGV[5] then return 'C' end
${PUT}`)

/** ARGV: what is put aside in place of the record, its ms to live, the SHA-1 of the bytes to be replaced. */
export const END_SHARED = script(`${READ}
if aside == ARGV[1] then return 'S' end -- our own write, as above
if kind == 'T' then return 'M' end
if kind == 'A' then return 'C' end
if not bytes then return 'M' end
if redis.sha1hex(bytes) ~= ARGV[3] then return 'C' end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
return 'S'`)

/** ARGV: ms to live. */
export const TOUCH_SHARED = script(`${READ}
if kind ~= 'T' and kind ~= 'A' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 'S'`)

/**
 * ARGV: the tombstone's ms to live, its token, the SHA-1 of the bytes to end or nothing. S says that they are gone; other bytes are shown.
 * What an app has written over a tombstone goes too. A server out of memory does delete, without a tombstone.
 */
export const DESTROY_SHARED = script(`${READ}
if aside == 'T' .. ARGV[2] then return 'S' end -- our own, as above
local mark = kind == 'A' and string.sub(aside, 2)
local found = mark or kind ~= 'T' and bytes
if found and redis.sha1hex(found) ~= ARGV[3] then return mark and shown('A', KEYS[2], mark) or shown('R', KEYS[1], bytes) end
redis.call('DEL', KEYS[1])
if kind == 'T' and redis.call('PTTL', KEYS[2]) >= tonumber(ARGV[1]) then return 'N' end
redis.pcall('SET', KEYS[2], 'T' .. ARGV[2], 'PX', ARGV[1])
return found and 'S' or 'N'`)
