import type { EpochMs } from './session.ts'

/** What has ended though nothing at a server says so: by when it began. */
export interface Revocations {
  /** Sessions that began before it. */
  readonly everybody: EpochMs | undefined
  /** Sessions of a subject that logged in before it. */
  readonly bySubject: ReadonlyMap<string, EpochMs>
}

const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))(?: +("[^\n]*"))?$/

/**
 * A line is an instant, for everybody, or an instant and a subject as JSON text: `2030-01-31T12:00:00Z "ann"`. Of several for one the
 * latest counts. Undefined when a line is anything else: what was meant by it would not be done.
 */
export function parseRevocations(text: string): Revocations | undefined {
  let everybody: EpochMs | undefined
  const bySubject = new Map<string, EpochMs>()
  for (const line of linesOf(text)) {
    const [, instant = '', quoted] = LINE.exec(line) ?? []
    const subject = quoted === undefined ? undefined : textIn(quoted)
    const at = Date.parse(instant) as EpochMs
    if (Number.isNaN(at) || (quoted !== undefined && subject === undefined)) return undefined
    if (subject === undefined) everybody = Math.max(everybody ?? at, at) as EpochMs
    else bySubject.set(subject, Math.max(bySubject.get(subject) ?? at, at) as EpochMs)
  }
  return { everybody, bySubject }
}

/** The line that revokes everybody or a subject. */
export function revocationLine(at: EpochMs, subject?: string): string {
  return `${new Date(at).toISOString()}${subject === undefined ? '' : ` ${JSON.stringify(subject)}`}\n`
}

/** The lines that still end something: no session is as old as `absoluteMs`. The latest for everybody stays, so that there is one line at least. */
export function currentRevocations({ everybody, bySubject }: Revocations, now: EpochMs, absoluteMs: number): string {
  const subjects = [...bySubject].filter(([, at]) => at + absoluteMs > now)
  return [...(everybody === undefined ? [] : [revocationLine(everybody)]), ...subjects.map(([subject, at]) => revocationLine(at, subject))].join('')
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '')
}

function textIn(quoted: string): string | undefined {
  try {
    const value: unknown = JSON.parse(quoted)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}
