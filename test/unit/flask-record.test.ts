import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readMsgpack } from '../../src/adapters/flask/msgpack-reader.ts'
import { writeMsgpack } from '../../src/adapters/flask/msgpack-writer.ts'
import { membersOfValues } from '../../src/adapters/flask/members.ts'
import { readPickle } from '../../src/adapters/flask/pickle.ts'
import { NumberText } from '../../src/adapters/flask/python-value.ts'
import type { PyValue } from '../../src/adapters/flask/python-value.ts'
import { readFlaskRecord, writeFlaskRecord } from '../../src/adapters/flask/record.ts'
import { createSignedIdCodec } from '../../src/adapters/flask/signed-id.ts'
import { typedOf, valueOfTyped } from '../../src/adapters/flask/typed-json.ts'
import type { Json, JsonObject } from '../../src/session/session.ts'

interface RecordVector {
  id: string, kind: string, note: string, secret: string, cookie: string, valid: boolean, reason: string, typed: JsonObject | null
  use_signer: boolean, sid: string, key_prefix: string, redis_key: string, redis_value_b64: string, store_format: string
}
const all = JSON.parse(readFileSync(new URL('../vectors/flask-cookie-vectors.json', import.meta.url), 'utf8')) as RecordVector[]
const vectors = all.filter(({ kind }) => kind === 'flask-session-redis')
const bytesOf = (vector: RecordVector) => Buffer.from(vector.redis_value_b64, 'base64')
const normalised = (json: Json) => typedOf(valueOfTyped(json))

test('all 24 record vectors are here', () => expect(vectors).toHaveLength(24))

test.each(vectors)('reads the record of $id: $note', (vector) => {
  const record = readFlaskRecord(bytesOf(vector))
  if (!record.ok) return expect.fail(record.reason)
  expect(record.format).toBe(vector.store_format.replace(/\d/, ''))
  if (vector.typed) expect(typedOf(record.values)).toEqual(normalised(vector.typed))
  expect(vector.redis_key).toBe(vector.key_prefix + vector.sid)
})

test.each(vectors.filter(({ use_signer }) => use_signer))('unsigns the id of $id: $note', (vector) => {
  const codec = createSignedIdCodec({ secrets: [vector.secret] })
  const isOurs = vector.reason !== 'bad_signature'
  expect(codec.unsign(vector.cookie)).toBe(isOurs ? vector.sid : undefined)
  expect(codec.sign(vector.sid) === vector.cookie).toBe(isOurs)
})

test.each(vectors.filter(({ store_format }) => store_format !== 'pickle4'))('writes $id back byte for byte', (vector) => {
  const record = readFlaskRecord(bytesOf(vector))
  if (!record.ok || record.format === 'pickle') return expect.fail()
  const written = writeFlaskRecord(record.values, record.format)
  expect(written.ok && Buffer.from(written.bytes).toString('base64')).toBe(vector.redis_value_b64)
})

test('what msgpack cannot say degrades as in msgspec, in JSON as well', () => {
  const rich = readFlaskRecord(bytesOf(vectors.find(({ id }) => id === 'fs032-pickle-rich') as RecordVector))
  const written = rich.ok ? writeFlaskRecord(rich.values, 'msgpack') : rich
  const expected = vectors.find(({ id }) => id === 'fs08-msgpack-rich') as RecordVector
  expect(written.ok && Buffer.from(written.bytes).toString('base64')).toBe(expected.redis_value_b64)
  const json = rich.ok ? writeFlaskRecord(rich.values, 'json') : rich
  const expectedJson = vectors.find(({ id }) => id === 'fs08-json-rich') as RecordVector
  expect(json.ok && Buffer.from(json.bytes).toString()).toBe(bytesOf(expectedJson).toString())
})

test('a record becomes the tagged members a Flask cookie app would hold', () => {
  const record = readFlaskRecord(bytesOf(vectors.find(({ id }) => id === 'fs032-pickle-rich') as RecordVector))
  expect(record.ok && Object.fromEntries(membersOfValues(record.values))).toMatchObject({
    _permanent: 'true', tup: '{" t":[1,"a"]}', by: '{" b":"/wA="}', when: '{" d":"Mon, 06 May 2024 07:08:09 GMT"}',
    id: '{" u":"00000000000000000000000000000007"}', one: '1.0', big: '9223372036854775808', set: '[1,2]',
  })
})

// What msgspec 0.19 wrote for the same values.
test.each([
  [[0, 0, 0], 'P0D'], [[1, 0, 0], 'P1D'], [[0, 1, 500_000], 'PT1.5S'], [[-1, 5, 0], '-PT86395S'],
  [[3, 3600, 10], 'P3DT3600.00001S'], [[-2, 0, 0], '-P2D'], [[-1, 86_399, 999_999], '-PT0.000001S'],
])('the timedelta %j is %s', ([days = 0, seconds = 0, microseconds = 0], text) => {
  expect(Buffer.from(writeMsgpack({ kind: 'timedelta', days, seconds, microseconds })).subarray(1).toString()).toBe(text)
})

test.each([
  ['2024-05-06T07:08:09.123400Z', 'd7ff1d6bbd00663881d9'], ['2024-05-06T07:08:09+05:30', 'd6ff66383481'],
  ['1969-05-06T07:08:09.000005-05:00:07', 'c70cff00001388fffffffffec442b0'], ['2024-05-06T00:00:00Z', 'd6ff66381d80'],
  ['0009-05-06T07:08:09.000005', 'ba303030392d30352d30365430373a30383a30392e303030303035'],
])('the datetime %s is msgpack %s', (iso, hex) => {
  expect(Buffer.from(writeMsgpack({ kind: 'datetime', iso })).toString('hex')).toBe(hex)
})

test.each(['0', '127', '128', '255', '256', '65535', '65536', '4294967295', '4294967296', '18446744073709551615', '-1', '-32', '-33', '-128',
  '-129', '-32768', '-32769', '-2147483648', '-2147483649', '-9223372036854775808', '1.0', '1e+16', '-0.0', 'NaN', 'Infinity', '5e-324'])('msgpack carries %s exactly', (text) => {
  expect(readMsgpack(writeMsgpack(new NumberText(text)))).toEqual({ ok: true, value: new NumberText(text) })
})

test.each<[string, PyValue]>([
  ['more than 64 bits', new NumberText('18446744073709551616')], ['less than -2^63', new NumberText('-9223372036854775809')], ['a lone surrogate', '\ud800'],
])('refuses to write %s instead of changing it', (_name, value) => {
  expect(writeFlaskRecord(new Map([['a', value]]), 'msgpack')).toMatchObject({ ok: false })
})

test('refuses a lone surrogate and writes null for NaN in JSON', () => {
  expect(writeFlaskRecord(new Map([['a', '\udc00']]), 'json')).toMatchObject({ ok: false })
  const written = writeFlaskRecord(new Map([['a', new NumberText('NaN')], ['b', new NumberText('1e999')]]), 'json')
  expect(written.ok && Buffer.from(written.bytes).toString()).toBe('{"a":null,"b":null}')
})

test.each([
  ['nothing', ''], ['garbage', 'ff00'], ['a msgpack list', '9101'], ['a bare msgpack int', '07'], ['a cut msgpack map', '82a161'], ['a map, then more', '8000'],
  ['an unknown extension', '81a161d40500'], ['a huge array header', '81a161ddffffffff'], ['a huge text header', '81a161dbffffffff'],
  ['invalid UTF-8', '81a1ff01'], ['a key that is no text', '810101'], ['a reserved byte', '81a161c1'], ['a JSON list in braces', '7b5b5d'],
])('%s is unreadable, with a reason', (_name, hex) => {
  expect(readFlaskRecord(Buffer.from(hex, 'hex'))).toEqual({ ok: false, reason: expect.stringMatching(/^(unreadable|it is)/) })
})

const pickle = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))))

test.each<[string, Buffer]>([
  ['os.system', pickle('cos\nsystem\n(S\'id\'\ntR.')],
  ['os.system by STACK_GLOBAL', pickle('\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.')],
  ['builtins.eval', pickle('\x80\x04cbuiltins\neval\n\x8c\x011\x85R.')],
  ['an attribute of an allowed class', pickle('\x80\x04\x8c\x08datetime\x8c\x0fdatetime.utcnow\x93)R.')],
  ['a subclass trick', pickle('\x80\x04cuuid\nUUID\n)\x81cuuid\nUUID\nb.')],
  ['REDUCE of a UUID', pickle('\x80\x04cuuid\nUUID\n\x8c\x01a\x85R.')],
  ['REDUCE of a text', pickle('\x80\x04\x8c\x01a)R.')],
  ['an allowed class as data', pickle('\x80\x04cuuid\nUUID\n.')],
  ['a UUID without a number', pickle('\x80\x04cuuid\nUUID\n)\x81.')],
  ['a UUID of 129 bits', pickle('\x80\x04cuuid\nUUID\n)\x81}\x8c\x03int\x8a\x11', Array<number>(16).fill(0), [1], 'sb.')],
  ['INST', pickle('(ios\nsystem\n.')], ['OBJ', pickle('(cos\nsystem\no.')], ['PERSID', pickle('Pid\n.')], ['BINPERSID', pickle('\x80\x04NQ.')],
  ['EXT1', pickle('\x80\x04\x82\x01.')], ['NEWOBJ_EX', pickle('\x80\x04\x92.')], ['DUP', pickle('N2.')], ['POP', pickle('NN0.')],
  ['BINPUT', pickle('\x80\x03}q\x00.')], ['a newer protocol', pickle('\x80\x06}.')], ['BYTEARRAY8', pickle('\x80\x05\x96', Array<number>(8).fill(0), '.')],
  ['an empty stack', pickle('\x80\x04.')], ['two values', pickle('\x80\x04NN.')], ['no STOP', pickle('\x80\x04N')], ['an open mark', pickle('\x80\x04N(.')],
  ['a pop below its mark', pickle('\x80\x04]N(a.')], ['an unknown memo entry', pickle('\x80\x04h\x07.')], ['an unhashable key', pickle('\x80\x04}]Ns.')],
  ['an odd number of items', pickle('\x80\x04}(Nu.')], ['a list that contains itself', pickle('\x80\x04]\x94h\x00a.')],
  ['a dict that contains itself', pickle('\x80\x04}\x94\x8c\x01ah\x00s.')], ['a text longer than the rest', pickle('\x80\x04X\xff\xff\xff\xff.')],
  ['a frame longer than the rest', pickle('\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.')],
  ['the 31st of February', pickle('\x80\x04cdatetime\ndatetime\nC\x0a\x07\xe8\x02\x1f\x00\x00\x00\x00\x00\x00\x85R.')],
  ['a bare time zone', pickle('\x80\x04cdatetime\ntimezone\ncdatetime\ntimedelta\nK\x00K\x00K\x00\x87R\x85R.')],
  ['10 000 nested tuples', pickle('\x80\x04N', Array<number>(10_000).fill(0x85), '.')],
  ['more than a megabyte', pickle('\x80\x04X', [0, 0, 16, 0], Array<number>(1 << 20).fill(0x61), '.')],
])('a pickle of %s is unreadable', (_name, bytes) => {
  expect(readPickle(bytes)).toEqual({ ok: false, reason: expect.any(String) })
})

test('a refused class is named, and cut short', () => {
  expect(readFlaskRecord(pickle('\x80\x04cos\nsystem\n.'))).toEqual({ ok: false, reason: 'unreadable pickle: the class "os.system" is not allowed' })
  const long = readPickle(pickle('\x80\x04c', 'a'.repeat(10_000), '\nb\n.'))
  expect(!long.ok && long.reason.length).toBeLessThan(200)
})

test('FZ3: a dict that is a key is refused, as by Python: written as text it would double with every level', () => {
  const nested = (levels: number): Buffer => Buffer.concat([...Array.from({ length: levels }, () => Buffer.of(0x81)), Buffer.of(0x80), Buffer.alloc(levels, 1)])
  for (const levels of [1, 60, 400]) expect(readMsgpack(nested(levels))).toEqual({ ok: false, reason: 'a dict key is itself a dict, or holds one' })
  expect(readMsgpack(Buffer.of(0x81, 0x91, 0x80, 1)).ok).toBe(false)
  expect(readMsgpack(Buffer.of(0x81, 0x92, 1, 0xa1, 0x61, 1)).ok).toBe(true)
})

test.each<[string, (inner: Json) => Json]>([['with a dict as its key', (inner) => ({ $map: [[inner, 1]] })], ['that is none', (inner) => ({ $map: [[1, inner], [1]] })]])('FZ4: a typed $map %s, 200 levels of it, is a dict', (_what, wrap) => {
  let data: Json = 1
  for (let level = 0; level < 200; level++) data = wrap(data)
  const written = [...membersOfValues(new Map([['a', valueOfTyped(data)]])).values()].join('')
  expect(written.length).toBeLessThan(10_000)
})

test('a few bytes that unfold to billions of values are refused in milliseconds', () => {
  const doubling = pickle('\x80\x04]\x94', ...Array.from({ length: 100 }, (_, level) => `]\x94(h${String.fromCharCode(level)}h${String.fromCharCode(level)}e`), '\x85.')
  const startedAt = performance.now()
  expect(readPickle(doubling)).toMatchObject({ ok: false })
  expect(performance.now() - startedAt).toBeLessThan(500)
})

test.each([
  ['long text', '\x80\x04X\x00\x00\x08\x00' + 'k'.repeat(1 << 19) + '\x94}', 'h\x00Ns'],
  ['long line', '(' + 'V' + 'k'.repeat(1 << 19) + '\np0\nd', 'g0\nNs'],
])('a %s recalled as a key a hundred thousand times costs no more than once', (_name, head, step) => {
  const bytes = pickle(head, step.repeat(Math.floor(((1 << 19) - 100) / step.length)), '.')
  const startedAt = performance.now()
  readPickle(bytes)
  expect(performance.now() - startedAt).toBeLessThan(500)
})

test('BINPUT, which Python before 3.8 wrote, is read when asked for', () => {
  const bytes = pickle('\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s.')
  expect(readPickle(bytes)).toMatchObject({ ok: false })
  expect(readPickle(bytes, { isProtocol2and3: true })).toEqual({ ok: true, value: new Map([['a', new NumberText('1')]]) })
})
