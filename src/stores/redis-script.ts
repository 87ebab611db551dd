import { createHash } from 'node:crypto'

/** A Lua script and the digest EVALSHA knows it by. */
export interface RedisScript {
  readonly source: string
  readonly sha1: string
}

function script(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

// A value is one string: kind (R record, T tombstone), 16 characters of version, 16 digits of expiry, the bytes. ARGV[1] is always
// the gateway's now: a value it holds for expired is as good as absent, whether or not Redis has removed it. What follows is `width` of
// arguments for each key, and the reply has one answer for each, by its first character: S stored, M missing, C conflict (then the value
// that is there), N nothing there, F not a value of ours. It is one string where each is a character alone.
// No key's answer depends on another; in a cluster there is one.
function perKey(width: number, answer: string): RedisScript {
  return script(`
local now = tonumber(ARGV[1])
local function read(key)
  local head = redis.call('GETRANGE', key, 0, 32)
  if head == '' then return true, false end
  local kind = string.sub(head, 1, 1)
  local expiry = tonumber(string.sub(head, 18))
  if (kind ~= 'R' and kind ~= 'T') or not expiry or #head < 33 then return false end
  return true, expiry > now, kind, string.sub(head, 2, 17), expiry
end
local function expireAt(key, digits) redis.call('PEXPIREAT', key, string.format('%.0f', tonumber(digits))) end
local function store(key, value)
  redis.call('SET', key, value)
  expireAt(key, string.sub(value, 18, 33))
  return 'S'
end
local function answer(key, at)
  local isOurs, live, kind, version, expiry = read(key)
  if not isOurs then return 'F' end
${answer}
end
local answers, length = {}, 0
for i = 1, #KEYS do
  answers[i] = answer(KEYS[i], 2 + (i - 1) * ${width})
  length = length + #answers[i]
end
if length == #KEYS then return table.concat(answers) end
return answers`)
}

/** For each key: the value. */
export const CREATE = perKey(1, `
  if live and kind == 'T' then return 'M' end
  if live and version == string.sub(ARGV[at], 2, 17) then return 'S' end -- our own write, sent again after a lost reply
  if live then return 'C' .. redis.call('GET', key) end
  return store(key, ARGV[at])`)

/** For each key: the value, the expected version. */
export const REPLACE = perKey(2, `
  if not live or kind == 'T' then return 'M' end
  if version == string.sub(ARGV[at], 2, 17) then return 'S' end -- our own write, sent again after a lost reply
  if version ~= ARGV[at + 1] then return 'C' .. redis.call('GET', key) end
  return store(key, ARGV[at])`)

/** For each key: the new expiry in 16 digits. */
export const TOUCH = perKey(1, `
  if not live or kind == 'T' then return 'N' end
  redis.call('SETRANGE', key, 17, ARGV[at])
  expireAt(key, ARGV[at])
  return 'S'`)

/**
 * For each key: the tombstone, the version of the record to end or nothing. S says that it is gone, C shows the record that is there
 * instead. A server out of memory takes no new value but does delete: then the session ends without a tombstone, and a late replace still
 * finds nothing.
 */
export const DESTROY = perKey(2, `
  local digits = string.sub(ARGV[at], 18, 33)
  if live and version == string.sub(ARGV[at], 2, 17) then return 'S' end -- our own, as above
  if live and kind == 'T' and expiry >= tonumber(digits) then return 'N' end
  if live and kind == 'R' and version ~= ARGV[at + 1] then return 'C' .. redis.call('GET', key) end
  local stored = redis.pcall('SET', key, ARGV[at])
  if stored.err then redis.call('DEL', key) else expireAt(key, digits) end
  return live and kind == 'R' and 'S' or 'N'`)
