import { expect, test } from 'vitest'
import { slotOf } from '../../src/stores/redis-slot.ts'

test.each([
  ['123456789', 0x31c3],                                            // the check value of the specification
  ['', 0],
  ['foo', 12_182], ['{foo}', 12_182], ['bar{foo}', 12_182], ['{foo}{bar}', 12_182],
])('the slot of %o is %i', (key, slot) => {
  expect(slotOf(key)).toBe(slot)
})

test('only what stands between the first braces counts, if anything does', () => {
  expect(slotOf('{user1000}.following')).toBe(slotOf('{user1000}.followers'))
  expect(slotOf('foo{}{bar}')).not.toBe(slotOf('bar'))
  expect(slotOf('foo{{bar}}zap')).toBe(slotOf('{bar'))
  expect(slotOf('foo}{bar')).not.toBe(slotOf('bar'))
})
