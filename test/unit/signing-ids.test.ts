import { createHash } from 'node:crypto'
import { sign } from 'cookie-signature'
import { describe, expect, test } from 'vitest'
import { createCookieSigner } from '../../src/signing/cookie-signer.ts'
import { handleOf, mintSessionId, openSuccessor, sealSuccessor, storeKeyOf } from '../../src/signing/ids.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'
import type { SessionId } from '../../src/session/session.ts'

const K1 = { id: 'c1', secret: 'cookie-one-a1b2c3d4e5f60718293a4b5c6d7e8f90' }
const K2 = { id: 'c2', secret: 'cookie-two-f0e1d2c3b4a5968778695a4b3c2d1e0f' }

test('a hundred thousand ids: 256 bits each, none twice, every character used at every place', () => {
  const ids = Array.from({ length: 100_000 }, mintSessionId)
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of ids.slice(0, 1_000)) expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/)
  for (let place = 0; place < 42; place++) expect(new Set(ids.map((id) => id[place])).size).toBe(64)
})

test('the store key is the SHA-256 of the id; the handle is keyed and tells neither id nor store key', () => {
  const id = mintSessionId()
  expect(storeKeyOf(id)).toBe(createHash('sha256').update(id).digest('base64url'))
  expect(handleOf(id, K1.secret)).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(handleOf(id, K1.secret)).toBe(handleOf(id, K1.secret))
  expect(handleOf(id, K2.secret)).not.toBe(handleOf(id, K1.secret))
  expect(storeKeyOf(id)).not.toContain(handleOf(id, K1.secret).slice(0, 8))
})

describe('the cookie value', () => {
  const signer = createCookieSigner(createKeyRing([K1]))
  const id = mintSessionId()

  test('is the key id, the id and the signature of cookie-signature', () => {
    expect(signer.sign(id)).toBe(sign(`c1.${id}`, K1.secret))
    expect(signer.sign(id)).toMatch(/^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/)
    expect(signer.unsign(signer.sign(id))).toEqual({ id, isCurrentKey: true })
  })

  test('does not open with any of its characters changed, cut, quoted or encoded', () => {
    const value = signer.sign(id)
    const spoiled = [
      ...Array.from(value, (c, i) => value.slice(0, i) + (c === 'A' ? 'B' : 'A') + value.slice(i + 1)),
      '', value.slice(1), value.slice(0, -1), `${value}A`, `"${value}"`, ` ${value}`, `${value}=`, encodeURIComponent(value).replace(/\./g, '%2E'), `s:${value}`,
      value.replace('c1.', ''), value.replace('c1.', '.'), value.replace('c1.', 'c2.'), value.replace('c1.', '__proto__.'), value.replace('c1.', 'constructor.'), `${value}\0`, `${value}\n`,
    ]
    for (const one of spoiled) expect(signer.unsign(one), one).toBeUndefined()
  })

  test('what is signed but no session id does not open', () => {
    for (const text of ['c1', 'c1.', 'c1.short', `c1.${id}x`, `c1.${id}.more`, id]) expect(signer.unsign(sign(text, K1.secret))).toBeUndefined()
  })

  test('an older key of the ring opens and is told apart; a dropped one does not', () => {
    const value = signer.sign(id)
    expect(createCookieSigner(createKeyRing([K2, K1])).unsign(value)).toEqual({ id, isCurrentKey: false })
    expect(createCookieSigner(createKeyRing([K2])).unsign(value)).toBeUndefined()
    expect(createCookieSigner(createKeyRing([{ ...K2, id: 'c1' }])).unsign(value)).toBeUndefined()
  })
})

describe('the pointer a rotation leaves', () => {
  const [old, successor] = [mintSessionId(), mintSessionId()]

  test('opens with the old id alone, and holds the new one in no readable form', () => {
    const sealed = sealSuccessor(old, successor)
    expect(openSuccessor(old, sealed)).toBe(successor)
    expect(() => openSuccessor(successor, sealed)).toThrow()
    expect(Buffer.from(sealed, 'base64url').includes(successor)).toBe(false)
    expect(sealSuccessor(old, successor)).not.toBe(sealed)
  })

  test('does not open when cut or changed', () => {
    const sealed = sealSuccessor(old, successor)
    for (const one of ['', 'AAAA', sealed.slice(0, -4), sealed.slice(4), `A${sealed.slice(1)}`]) {
      if (one !== sealed) expect(() => openSuccessor(old, one as SessionId)).toThrow()
    }
  })
})
