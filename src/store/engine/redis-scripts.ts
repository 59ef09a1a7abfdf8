/** The scripts that run in Redis, each in one step that nothing comes between. */

/**
 * `fence` is what Redis is: its run id changes with each start, its replication id with each promotion, so that a server
 * that followed another for a while is not what it was before.
 */
const IDENTITY = `
local function info(section, name)
  return string.match(redis.call('INFO', section), '\\n' .. name .. ':([^\\r\\n]*)') or ''
end
local fence = info('server', 'run_id') .. '/' .. info('replication', 'master_replid')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/**
 * Redis forgets by its clock. One that was turned back by more than SLACK was ahead before, and may have forgotten what
 * lives: then the keys go, and with them all that was sealed under them. KEYS are those of the shared keys and of the
 * latest time.
 */
const TIME_WATCH = `
local function watch_time(keys, clock)
  local latest = tonumber(redis.call('GET', clock) or '0')
  if now + 10000 < latest then
    redis.call('DEL', keys)
    redis.call('SET', clock, now)
  elseif now > latest + 1000 then
    redis.call('SET', clock, now)
  end
end
`

/**
 * What Redis is, the time, and the shared keys. KEYS: shared keys, latest time. A replica is not written to, and a full
 * server is looked at all the same.
 */
export const LOOK = `${IDENTITY}${TIME_WATCH}
local role = info('replication', 'role')
if role == 'master' then pcall(watch_time, KEYS[1], KEYS[2]) end
return {
  {
    'fence', fence,
    'role', role,
    'mode', info('server', 'redis_mode'),
    'policy', info('memory', 'maxmemory_policy')
  },
  now,
  redis.call('HGETALL', KEYS[1])
}
`

/** Stores a shared key unless there is one. KEYS: shared keys. ARGV: use and period, record. */
export const CLAIM = `return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])`

/** Removes the shared keys of periods before one. KEYS: shared keys. ARGV: the period. */
export const FORGET = `
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local period = tonumber(string.match(field, ':(%d+)$'))
  if period and period < tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], field) end
end
return 0
`

/**
 * Uses something once, or counts a use. KEYS: what is used, shared keys, latest time. ARGV: spend or count, until when it
 * is remembered (ms since 1970), whether it was sealed; then under which fence, and the id of the key (8 bytes, in each
 * record behind the salt of 16).
 */
export const USE = `${IDENTITY}${TIME_WATCH}
watch_time(KEYS[2], KEYS[3])
if ARGV[3] ~= 'free' then
  if ARGV[4] ~= fence then return {'fenced'} end
  local held = false
  for i, part in ipairs(redis.call('HGETALL', KEYS[2])) do
    if i % 2 == 0 and string.sub(part, 17, 24) == ARGV[5] then held = true end
  end
  if not held then return {'fenced'} end
end
local left = tonumber(ARGV[2]) - now
if left <= 0 then return {'over'} end
if ARGV[1] == 'spend' then
  if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', left) then return {'spent'} end
  return {'used', 1, now}
end
local uses = redis.call('INCR', KEYS[1])
if uses == 1 then redis.call('PEXPIRE', KEYS[1], left) end
return {'used', uses, now}
`
