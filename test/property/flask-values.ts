import fc from 'fast-check'
import { floatText } from '../../src/adapters/flask/python-number.ts'
import type { Json, JsonObject } from '../../src/session/session.ts'

const text = fc.string({ unit: 'binary', maxLength: 12 })
const anyName = fc.oneof(text.filter((name) => !name.startsWith(' ')), fc.constantFrom('__proto__', 'constructor', 'toString', '_permanent', '_flashes', '10', '9', '\uff5e', '\u{1f600}', '$tuple', '$dict', ' x', ' t__'))
const anyInteger = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 130n), max: 2n ** 130n }).map((value) => {
  return value >= -(2n ** 53n) + 1n && value < 2n ** 53n ? Number(value) : { $int: String(value) }
}))
const anyFloat = fc.double({ noNaN: false }).map((value): Json => ({ $float: floatText(value) }))
const pad = (value: number, width = 2) => String(value).padStart(width, '0')
/** From the year 100: Python reads back an earlier one as 19xx or 20xx. */
const anyDate = fc.tuple(fc.integer({ min: 100, max: 9999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }), fc.integer({ min: 0, max: 86_399 }))
  .map(([year, month, day, second]) => {
    return `${pad(year, 4)}-${pad(month)}-${pad(day)}T${pad(Math.floor(second / 3600))}:${pad(Math.floor(second / 60) % 60)}:${pad(second % 60)}`
  })
const anyUuid = fc.uuid().map((uuid): Json => ({ $uuid: uuid }))
const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes): Json => ({ $bytes: Buffer.from(bytes).toString('base64') }))
const scalar: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 0, '', { $datetime: '2024-02-29T23:59:59Z' }), anyInteger, anyFloat, text, anyUuid, anyBytes,
  text.map((markup): Json => ({ $markup: markup })), anyDate.map((date): Json => ({ $datetime: `${date}Z` })),
)
const storedScalar: fc.Arbitrary<Json> = fc.oneof(
  scalar,
  fc.tuple(anyDate, fc.integer({ min: 0, max: 999_999 }), fc.constantFrom('', 'Z', '+05:30', '-11:59', '+00:00:07'))
    .map(([date, micro, zone]): Json => ({ $datetime: `${date}${micro ? `.${pad(micro, 6)}` : ''}${zone}` })),
  fc.tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.integer({ min: 0, max: 86_399 }), fc.integer({ min: 0, max: 999_999 })).map((parts): Json => ({ $timedelta: parts })),
  fc.uniqueArray(fc.integer(), { maxLength: 1 }).map((items): Json => ({ $set: items })),
  fc.uniqueArray(fc.integer({ min: 2, max: 1000 }), { minLength: 1, maxLength: 4 }).map((keys): Json => ({ $map: keys.map((key) => [key, 'x']) })),
)

/** A dict of one key that looks like one of our markers is written inside `$dict`. */
function dictOf(entries: [string, Json][]): JsonObject {
  const json = Object.fromEntries(entries)
  return entries.length === 1 && entries[0]?.[0].startsWith('$') ? { $dict: json } : json
}

function nested(leaf: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  const { value } = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf,
      fc.array(tie('value'), { maxLength: 3 }), fc.array(tie('value'), { maxLength: 3 }).map((items): Json => ({ $tuple: items })),
      fc.uniqueArray(fc.tuple(fc.oneof(anyName, fc.constantFrom(' t', ' b', ' m', ' u', ' d', ' di')), tie('value')), { selector: ([name]) => name, maxLength: 3 }).map(dictOf)),
  }))
  return value
}

/** A session of one key that looks like a tag but is none is escaped by us and not by Flask; both read it alike (unit test). */
function sessionOf(leaf: fc.Arbitrary<Json>): fc.Arbitrary<JsonObject> {
  return fc.uniqueArray(fc.tuple(anyName, nested(leaf)), { selector: ([name]) => name, maxLength: 5 })
    .filter((entries) => entries.length !== 1 || !/^(\$| x$| t__$)/.test(entries[0]?.[0] ?? ''))
    .map((entries) => Object.fromEntries(entries))
}

/** Typed data of every kind a Flask cookie can carry exactly. */
export const anySession = sessionOf(scalar)
/** And of every kind a pickle can. */
export const anyStoredSession = sessionOf(storedScalar)
