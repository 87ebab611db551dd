import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { currentRevocations, parseRevocations, revocationLine } from '../../src/session/revocations.ts'
import type { EpochMs } from '../../src/session/session.ts'

const NOW = Date.UTC(2030, 0, 31, 12) as EpochMs
const HOUR = 3_600_000

describe('lines', () => {
  test('of one instant each, for everybody or a subject; the latest counts', () => {
    expect(parseRevocations('2030-01-31T12:00:00Z')).toEqual({ everybody: NOW, bySubject: new Map() })
    expect(parseRevocations('2030-01-31T13:00+01:00\r\n\n2030-01-31T11:00:00.5Z\n2030-01-31T11:00Z "ann"\n2030-01-31T12:00Z "ann"\n2030-01-31T11:00Z "ann"\n2030-01-31T12:00Z  "a \\"b\\" c"')).toEqual({
      everybody: NOW, bySubject: new Map([['ann', NOW], ['a "b" c', NOW]]),
    })
    expect(parseRevocations('')).toEqual({ everybody: undefined, bySubject: new Map() })
  })

  test.each(['now', '2030-01-31', '2030-01-31T12:00:00', '2030-13-31T12:00:00Z', '2030-01-31T12:00:00Z ann', '2030-01-31T12:00:00Z "ann', '2030-01-31T12:00:00Z "a"b"', '2030-01-31T12:00:00Z\n# note', ' 2030-01-31T12:00:00Z', '1893499200000'])(
    'that are anything else are refused whole: %s', (text) => expect(parseRevocations(text)).toBeUndefined(),
  )
})

test('what is written is read, whatever a subject is called', () => {
  fc.assert(fc.property(fc.uniqueArray(fc.tuple(fc.string(), fc.nat(86_400_000)), { selector: ([name]) => name, maxLength: 5 }), fc.option(fc.nat(86_400_000), { nil: undefined }), (subjects, all) => {
    const text = (all === undefined ? '' : revocationLine(NOW + all as EpochMs)) + subjects.map(([name, offset]) => revocationLine(NOW + offset as EpochMs, name)).join('')
    const parsed = parseRevocations(text)
    expect(parsed).toEqual({ everybody: all === undefined ? undefined : NOW + all, bySubject: new Map(subjects.map(([name, offset]) => [name, NOW + offset])) })
    expect(parsed && parseRevocations(currentRevocations(parsed, NOW, HOUR))).toEqual(parsed)
  }))
  const awkward = 'a\u2028b\nc "d" \\'
  expect(parseRevocations(revocationLine(NOW, awkward))?.bySubject.get(awkward)).toBe(NOW)
})

test('a subject\'s line is left out when every session it could end has ended by age', () => {
  const parsed = parseRevocations(revocationLine(NOW) + revocationLine(NOW, 'ann') + revocationLine(NOW + 1 as EpochMs, 'bob'))
  expect(parsed && currentRevocations(parsed, NOW + HOUR as EpochMs, HOUR)).toBe(revocationLine(NOW) + revocationLine(NOW + 1 as EpochMs, 'bob'))
})
