import { expect, test } from 'vitest'
import { parseRedisNode, parseRedisUrl } from '../../src/stores/redis-url.ts'

test.each([
  ['redis://', { host: '127.0.0.1', port: 6379, db: 0, secure: false }],
  ['redis://cache.example', { host: 'cache.example', port: 6379, db: 0, secure: false }],
  ['redis://cache.example:7000/15', { host: 'cache.example', port: 7000, db: 15, secure: false }],
  ['rediss://cache.example:7000/', { host: 'cache.example', port: 7000, db: 0, secure: true }],
  ['redis://:p%40ss%2Fword@cache.example', { host: 'cache.example', port: 6379, password: 'p@ss/word', db: 0, secure: false }],
  ['redis://user:pw@[::1]:7000', { host: '::1', port: 7000, username: 'user', password: 'pw', db: 0, secure: false }],
  ['unix:///run/redis.sock', { path: '/run/redis.sock', db: 0, secure: false }],
  ['unix:///run/my%20redis.sock?db=2', { path: '/run/my redis.sock', db: 2, secure: false }],
])('%s', (url, address) => {
  expect(parseRedisUrl(url)).toEqual(address)
})

test.each(['', 'cache.example', 'http://cache.example', 'redis://host/sessions', 'redis://host/-1', 'unix:///s?db=x', 'redis://host:port'])(
  'refuses %j', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(TypeError)
  })

test('an error does not repeat the password', () => {
  expect(() => parseRedisUrl('redis://user:hunter2@host:port')).toThrow(/^(?!.*hunter2)/)
})

test('nodes are host:port', () => {
  expect(parseRedisNode('cache.example:26379')).toEqual({ host: 'cache.example', port: 26379 })
  expect(parseRedisNode('[::1]:26379')).toEqual({ host: '::1', port: 26379 })
  expect(() => parseRedisNode('cache.example')).toThrow(/host:port/)
})
