import { PickleDict, PickleGlobal, PickleTuple, PickleUuid, PickleZone, Unreadable } from './pickle-nodes.ts'
import type { PickleNode } from './pickle-nodes.ts'
import { instantOfIso } from './python-datetime.ts'
import { isIntegerText } from './python-number.ts'
import { NumberText } from './python-value.ts'

/** The only names a pickle may use. What they build is written out below; nothing is imported, looked up or called. */
const ALLOWED: ReadonlySet<string> = new Set([
  'datetime.datetime', 'datetime.timezone', 'datetime.timedelta', 'uuid.UUID', 'markupsafe.Markup',
])

export function allowedGlobal(module: string, name: string): PickleGlobal {
  const full = `${module}.${name}`
  if (!ALLOWED.has(full)) throw new Unreadable(`the class ${JSON.stringify(full.slice(0, 80))} is not allowed`)
  return new PickleGlobal(full)
}

/** REDUCE: `callable(*args)`, for the three datetime classes. */
export function reduce(callable: PickleNode, args: PickleNode): PickleNode {
  const values = args instanceof PickleTuple ? args.items : []
  switch (callable instanceof PickleGlobal ? callable.name : '') {
    case 'datetime.datetime': return datetimeOf(values)
    case 'datetime.timedelta': return timedeltaOf(values)
    case 'datetime.timezone': return zoneOf(values)
    default: throw new Unreadable('REDUCE calls something that is not a datetime class')
  }
}

/** NEWOBJ: `cls.__new__(cls, *args)`. */
export function newObject(callable: PickleNode, args: PickleNode): PickleNode {
  const values = args instanceof PickleTuple ? args.items : undefined
  const name = callable instanceof PickleGlobal ? callable.name : undefined
  const [first] = values ?? []
  if (name === 'uuid.UUID' && values?.length === 0) return new PickleUuid()
  if (name === 'markupsafe.Markup' && values?.length === 1 && typeof first === 'string') return { kind: 'markup', text: first }
  throw new Unreadable('NEWOBJ makes something that is neither a UUID nor a Markup')
}

/** BUILD: the state of a UUID, `{'int': n}`. */
export function build(target: PickleNode | undefined, state: PickleNode): void {
  const value = state instanceof PickleDict ? state.get('int') : undefined
  if (!(target instanceof PickleUuid) || !(value instanceof NumberText) || !/^\d{1,39}$/.test(value.text)) {
    throw new Unreadable('BUILD sets something that is not the number of a UUID')
  }
  const hex = BigInt(value.text).toString(16).padStart(32, '0')
  if (hex.length > 32) throw new Unreadable('a UUID has more than 128 bits')
  target.hex = hex
}

/** The ten bytes of datetime.__reduce__: year (2), month (its high bit is `fold`), day, hour, minute, second, microsecond (3). */
function datetimeOf([state, zone, ...others]: readonly PickleNode[]): PickleNode {
  const isZone = zone === undefined || zone instanceof PickleZone
  if (!(state instanceof Uint8Array) || state.length !== 10 || !isZone || others.length > 0) throw new Unreadable('a datetime has an unknown state')
  const bytes = Buffer.from(state)
  const [month = 0, day, hour, minute, second] = bytes.subarray(2, 7)
  const date = `${pad(bytes.readUInt16BE(0), 4)}-${pad(month & 0x7f)}-${pad(day)}T${pad(hour)}:${pad(minute)}:${pad(second)}`
  const microseconds = bytes.readUIntBE(7, 3)
  const iso = `${date}${microseconds === 0 ? '' : `.${pad(microseconds, 6)}`}${zone ? zoneText(zone) : ''}`
  if (!instantOfIso(iso)) throw new Unreadable('a datetime is no real date')
  return { kind: 'datetime', iso }
}

function timedeltaOf(args: readonly PickleNode[]): PickleNode {
  const [days = NaN, seconds = NaN, microseconds = NaN] = args.map((arg) => {
    return arg instanceof NumberText && isIntegerText(arg.text) ? Number(arg.text) : NaN
  })
  const isNormal = args.length === 3 && Math.abs(days) < 1e9 && seconds >= 0 && seconds < 86_400 && microseconds >= 0 && microseconds < 1e6
  if (!isNormal) throw new Unreadable('a timedelta has an unknown state')
  return { kind: 'timedelta', days, seconds, microseconds }
}

/** A named zone loses its name: what counts in a session is the instant. */
function zoneOf([delta, name, ...others]: readonly PickleNode[]): PickleNode {
  const isDelta = typeof delta === 'object' && delta !== null && 'kind' in delta && delta.kind === 'timedelta'
  const isName = name === undefined || typeof name === 'string'
  if (!isDelta || !isName || others.length > 0 || delta.microseconds !== 0) throw new Unreadable('a timezone has an unknown state')
  const offsetSeconds = delta.days * 86_400 + delta.seconds
  if (Math.abs(offsetSeconds) >= 86_400) throw new Unreadable('a timezone is a day or more away')
  return new PickleZone(offsetSeconds)
}

function zoneText({ offsetSeconds }: PickleZone): string {
  if (offsetSeconds === 0) return 'Z'
  const offset = Math.abs(offsetSeconds)
  const seconds = offset % 60 === 0 ? '' : `:${pad(offset % 60)}`
  return `${offsetSeconds < 0 ? '-' : '+'}${pad(Math.floor(offset / 3600))}:${pad(Math.floor(offset / 60) % 60)}${seconds}`
}

function pad(value: number | undefined, width = 2): string {
  return String(value).padStart(width, '0')
}
