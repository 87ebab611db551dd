/** Real servers for tests, on free ports, in directories of their own, gone with the test. */
export { startMemcached } from './servers/memcached.ts'
export type { Server, ServerProcess } from './servers/process.ts'
export { startRedisCluster } from './servers/redis-cluster.ts'
export type { RedisCluster } from './servers/redis-cluster.ts'
export { startRedisSentinel } from './servers/redis-sentinel.ts'
export type { RedisSentinel } from './servers/redis-sentinel.ts'
export { startRedis } from './servers/redis.ts'
export type { RedisServer } from './servers/redis.ts'
