import { expect, test } from 'vitest'
import { createRecent } from '../../src/recent.ts'
import { createCookieSigner } from '../../src/signing/cookie-signer.ts'
import { mintSessionId } from '../../src/signing/ids.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'

test('what is set is found until twice the bound was set after it', () => {
  const recent = createRecent<number>(10)
  for (let i = 0; i < 10; i++) recent.set(`k${i}`, i, 1)
  expect(recent.get('k0')).toBe(0)
  for (let i = 10; i < 20; i++) recent.set(`k${i}`, i, 1)
  expect([recent.get('k0'), recent.get('k10'), recent.get('k19')]).toEqual([0, 10, 19])
  recent.set('k20', 20, 1)
  expect([recent.get('k0'), recent.get('k9'), recent.get('k10'), recent.get('k20')]).toEqual([undefined, undefined, 10, 20])
})

test('the bound counts what the values weigh', () => {
  const recent = createRecent<string>(100)
  for (const name of ['a', 'b', 'c']) recent.set(name, name, 80)
  expect([recent.get('a'), recent.get('b'), recent.get('c')]).toEqual([undefined, 'b', 'c'])
})

test('a cookie is remembered by the ring that signed it alone', () => {
  const id = mintSessionId()
  const [one, other] = ['one', 'other'].map((secret) => createCookieSigner(createKeyRing([{ id: 'k1', secret: secret.repeat(16) }])))
  const value = one!.sign(id)

  expect(one!.unsign(value)).toEqual({ id, isCurrentKey: true })
  expect(one!.unsign(value)).toEqual({ id, isCurrentKey: true })
  expect(other!.unsign(value)).toBeUndefined()
  const forged = value.replace(/.$/, (last) => last === 'A' ? 'B' : 'A')
  expect([one!.unsign(forged), one!.unsign(forged)]).toEqual([undefined, undefined])
})
