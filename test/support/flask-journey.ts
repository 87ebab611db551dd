import type { HttpClient, HttpReply } from './http-client.ts'

export interface Step {
  readonly what: string
  readonly method: string
  readonly path: string
  readonly form?: Readonly<Record<string, string>>
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

const step = (method: string, path: string, more: Partial<Step> = {}): Step => ({ what: `${method} ${path}`, method, path, ...more })
const put = (name: string, json: string): Step => step('GET', `/put?k=${encodeURIComponent(name)}&v=${encodeURIComponent(json)}`)

/** Values that JavaScript would spoil, and names that look like something else. */
const values: readonly (readonly [string, string])[] = [
  ['float', '1.0'], ['big float', '1e16'], ['small', '1e-7'], ['minus zero', '-0.0'], ['not a number', 'NaN'], ['endless', '-Infinity'],
  ['long', '123456789012345678901234567890'], ['safe', '9007199254740993'], ['nothing', 'null'], ['truth', 'true'],
  ['text', '"王芳 😀 \\u2028 \\" \\\\ / \\u0000\\u007f <b>&"'], ['list', '[1, [], {}, "", null, 0.5]'],
  ['order', '{"b": 1, "a": {"10": 1, "9": 2, "z": 3}, "": 4}'], ['tag', '{" t": [1, 2]}'], ['marker', '{"$int": "5"}'], ['__proto__', '{"__proto__": 1}'],
  ['constructor', '"x"'], ['10', '"ten"'], ['9', '"nine"'], ['naïve', '"é"'],
]

/** What a visitor of the counter app can do, once through: every route of it, in an order in which each has something to show. */
export const counterJourney: readonly Step[] = [
  step('GET', '/'), step('GET', '/ping'), step('GET', '/count'), step('GET', '/count'), step('GET', '/whoami'),
  step('GET', '/login'), step('POST', '/login', { form: { username: '' } }), step('POST', '/login', { form: { username: '王芳' } }),
  step('GET', '/'), step('GET', '/'), step('GET', '/peek'), step('GET', '/strict'), step('GET', '/whoami'),
  ...values.flatMap(([name, json]) => [put(name, json), step('GET', '/whoami')]),
  step('GET', '/drop?k=order'), step('GET', '/drop?k=never-was'), put('text', '"another"'), step('GET', '/whoami'),
  step('GET', '/append-untracked'), step('GET', '/append-untracked'), put('list', '[1]'), step('GET', '/append-untracked'), step('GET', '/whoami'),
  step('GET', '/permanent/1'), step('GET', '/whoami'), step('GET', '/ping'), step('GET', '/permanent/0'), step('GET', '/whoami'),
  step('GET', '/boom'), step('GET', '/whoami'), step('GET', '/deny'), step('GET', '/deny'), step('GET', '/whoami'),
  step('POST', '/upload', upload(1_000)), step('POST', '/upload', upload(80_000)), step('GET', '/whoami'),
  step('GET', '/cookie/set'), step('GET', '/cookie/get'), step('GET', '/cookie/del'), step('GET', '/cookie/get'),
  step('GET', '/stream'), step('HEAD', '/'), step('OPTIONS', '/login'), step('GET', '/nowhere'), step('DELETE', '/count'),
  step('GET', '/logout'), step('GET', '/'), step('GET', '/strict'), step('GET', '/whoami'),
  step('POST', '/login', { form: { username: 'ann', remember: '1' } }), step('GET', '/whoami'), step('GET', '/logout'), step('GET', '/whoami'),
  step('GET', '/clear'), step('GET', '/whoami'), step('GET', '/clear'), step('GET', '/count'), step('GET', '/drop?k=hits'), step('GET', '/whoami'),
]

export const studentsJourney: readonly Step[] = [
  step('GET', '/health'), step('GET', '/student?id=3'), step('GET', '/login'),
  step('POST', '/login', { form: { username: 'teacher', password: 'wrong' } }), step('POST', '/login', { form: { username: 'Teacher', password: 'chalk' } }),
  step('GET', '/student?id=3'), step('GET', '/student?id=9'), step('GET', '/students'), step('GET', '/logout'), step('GET', '/students'), step('GET', '/student?id=1'),
]

function upload(bytes: number): Partial<Step> {
  const boundary = 'a-boundary'
  const body = `--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n${'x'.repeat(bytes)}\r\n--${boundary}--\r\n`
  return { what: `upload of ${bytes} bytes`, headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body }
}

/** One answer as a visitor sees it, and how long the browser keeps the session. */
export interface Seen {
  readonly what: string
  readonly status: number
  readonly type: string | undefined
  readonly location: string | undefined
  readonly allow: string | undefined
  readonly body: string
  /** The app's other cookies, as set. */
  readonly cookies: readonly string[]
}

/** Goes through the steps; hosts and ports are left out of what is seen. */
export async function walk(client: HttpClient, steps: readonly Step[], sessionCookie: string): Promise<Seen[]> {
  const seen: Seen[] = []
  for (const { what, method, path, form, body, headers } of steps) {
    const reply = await client.request(method, path, {
      ...(form ? { body: new URLSearchParams(form).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } } : {}),
      ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}),
    })
    seen.push(seenOf(what, reply, sessionCookie))
  }
  return seen
}

function seenOf(what: string, reply: HttpReply, sessionCookie: string): Seen {
  return {
    what, status: reply.status, type: reply.header('content-type'), location: withoutHost(reply.header('location')), allow: reply.header('allow')?.split(', ').sort().join(', '),
    body: withoutHost(reply.body) ?? '',
    cookies: reply.all('set-cookie').filter((line) => !line.startsWith(`${sessionCookie}=`)).map((line) => line.replace(/Expires=[^;]*/, 'Expires=...')),
  }
}

function withoutHost(text: string | undefined): string | undefined {
  return text?.replace(/https?:\/\/127\.0\.0\.1:\d+/g, '')
}
