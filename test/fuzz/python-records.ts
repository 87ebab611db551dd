import assert from 'node:assert/strict'
import { membersOfTyped, membersOfValues, typedOfMembers } from '../../src/adapters/flask/members.ts'
import { isDict, type PyValue } from '../../src/adapters/flask/python-value.ts'
import { readFlaskRecord, writeFlaskRecord } from '../../src/adapters/flask/record.ts'
import { typedOf, valueOfTyped } from '../../src/adapters/flask/typed-json.ts'

/** What a record reader gave: our own typed form keeps it exactly; both formats write it so that it is read again, or say why not. */
export function assertWritable(value: PyValue): void {
  const typed = typedOf(value)
  assert.deepStrictEqual(JSON.parse(JSON.stringify(typed)), typed)
  assert.deepStrictEqual(typedOf(valueOfTyped(typed)), typed)
  if (!isDict(value)) return
  const members = membersOfValues(value)
  assert.equal(members.size, value.size)
  assert.deepStrictEqual(typedOfMembers(membersOfTyped(typedOfMembers(members))), typedOfMembers(members))
  for (const format of ['msgpack', 'json'] as const) {
    const written = writeFlaskRecord(value, format)
    if (!written.ok) assert.notEqual(written.reason, '')
    else assert.ok(readFlaskRecord(written.bytes).ok)
  }
}
