const ISO = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{6}))?(?:(Z)|([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/
const HTTP_DATE = /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** The instant of a Python datetime. */
export interface Instant {
  /** Whole seconds since the epoch, UTC. */
  readonly epochSeconds: number
  readonly microseconds: number
  /** False for a naive datetime, which then was taken as UTC. */
  readonly isAware: boolean
}

/** The instant of `2024-05-06T07:08:09[.ffffff][Z|+hh:mm[:ss]]`, or undefined when it is not such a text or not a real date. */
export function instantOfIso(iso: string): Instant | undefined {
  const match = ISO.exec(iso)
  if (!match) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number)
  const local = epochSecondsOf([year, month, day, hour, minute, second])
  if (local === undefined) return undefined
  const [utc, sign, hours, minutes, seconds] = match.slice(8)
  const offset = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)
  if (offset >= 86_400) return undefined
  return {
    epochSeconds: sign === '-' ? local + offset : local - offset,
    microseconds: Number(match[7] ?? 0),
    isAware: utc !== undefined || sign !== undefined,
  }
}

/** `2024-05-06T07:08:09[.ffffff]Z`. */
export function isoOfInstant(epochSeconds: number, microseconds = 0): string {
  const seconds = new Date(epochSeconds * 1000).toISOString().slice(0, -5)
  return `${seconds}${microseconds === 0 ? '' : `.${String(microseconds).padStart(6, '0')}`}Z`
}

/** The IMF-fixdate (RFC 9110 section 5.6.7) Flask writes for a datetime: UTC, whole seconds. Undefined outside years 1 to 9999. */
export function httpDateOfIso(iso: string): string | undefined {
  const instant = instantOfIso(iso)
  if (!instant) return undefined
  const date = new Date(instant.epochSeconds * 1000)
  const year = date.getUTCFullYear()
  if (year < 1 || year > 9999) return undefined
  const day = `${DAYS[date.getUTCDay()]}, ${pad(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]} ${pad(year, 4)}`
  return `${day} ${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())} GMT`
}

/** The reverse, for exactly what Flask writes; undefined for anything else. */
export function isoOfHttpDate(text: string): string | undefined {
  const match = HTTP_DATE.exec(text)
  if (!match) return undefined
  const [, day, month = '', year, hour, minute, second] = match
  const iso = `${year}-${pad(MONTHS.indexOf(month) + 1)}-${day}T${hour}:${minute}:${second}Z`
  return httpDateOfIso(iso) === text ? iso : undefined
}

function epochSecondsOf([year, month, day, hour, minute, second]: [number, number, number, number, number, number]): number | undefined {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  const isReal = year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
    && hour < 24 && minute < 60 && second < 60
  return isReal ? date.getTime() / 1000 : undefined
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, '0')
}
