import { describe, expect, test } from 'vitest'
import { createTrust, networkOf, plainAddress } from '../../src/http/addresses.ts'
import { createRateLimiter } from '../../src/gateway/rate-limit.ts'

describe('trusted networks', () => {
  const isTrusted = createTrust(['10.0.0.0/8', '192.0.2.7', 'fd00::/8', '::1'])
  test.each<[string, boolean]>([
    ['10.255.0.1', true], ['11.0.0.1', false], ['192.0.2.7', true], ['192.0.2.8', false], ['fd12::1', true], ['fe80::1', false], ['::1', true], ['::ffff:10.0.0.1', true], ['::ffff:11.0.0.1', false],
    ['', false], ['unknown', false], ['_hidden', false], ['10.0.0.1:80', false], ['10.0.0', false],
  ])('%s: %s', (address, expected) => expect(isTrusted(address)).toBe(expected))

  test('a unix socket only when it is named', () => {
    expect([createTrust(['unix'])(''), createTrust([])(''), createTrust(['unix'])('10.0.0.1')]).toEqual([true, false, false])
  })
})

test.each([['::ffff:127.0.0.1', '127.0.0.1'], ['127.0.0.1', '127.0.0.1'], ['::ffff:1', '::ffff:1'], ['fd00::1', 'fd00::1']])('%s is plainly %s', (address, plain) => expect(plainAddress(address)).toBe(plain))

test.each([['192.0.2.7', '192.0.2.7'], ['2001:db8:1:2:3::4', networkOf('2001:db8:1:2::')], ['unknown', 'unknown'], ['a:b', 'a:b']])('%s comes from %s', (address, network) => expect(networkOf(address)).toBe(network))

test('a rate is counted per client: a burst of twice the rate, then no more; others are not held up', () => {
  const limiter = createRateLimiter(5)
  expect(Array.from({ length: 11 }, () => limiter.allows('192.0.2.1'))).toEqual([...Array(10).fill(true) as boolean[], false])
  expect(limiter.allows('192.0.2.2')).toBe(true)
  expect(Array.from({ length: 11 }, (_, i) => limiter.allows(`2001:db8::${i}`)).at(-1)).toBe(false)
  expect(limiter.allows('2001:db8:0:1::1')).toBe(true)
})
