import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface FlaskPeer {
  /** One question, one answer. An exception in Python is an exception here. */
  ask<Answer>(op: string, question: object): Promise<Answer>
  stop(): Promise<void>
}

/** The real Flask in one Python process (flask-peer.py). Fails with the name of the Debian package when there is none. */
export async function startFlaskPeer(): Promise<FlaskPeer> {
  const python = process.env['FLASK_PYTHON'] ?? '/usr/bin/python3'
  const child = spawn(python, ['-X', 'utf8', fileURLToPath(new URL('flask-peer.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.on('error', (cause) => lines.emit('line', JSON.stringify({ missing: String(cause) })))
  const lines = createInterface({ input: child.stdout })
  const answers = lines[Symbol.asyncIterator]()
  const next = async () => JSON.parse((await answers.next()).value ?? '{"missing":"Python ended"}') as Record<string, string | undefined>

  const first = await next()
  if (first['missing']) throw new Error(`${python} cannot run Flask (${first['missing']}): apt-get install python3-flask`)
  return {
    ask: async (op, question) => {
      child.stdin.write(`${JSON.stringify({ op, ...question })}\n`)
      const answer = await next()
      if (answer['error'] !== undefined) throw new Error(`Python: ${answer['error']}`)
      return answer as never
    },
    stop: async () => {
      child.stdin.end()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
