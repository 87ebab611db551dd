import { request, type IncomingMessage } from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'

/** What node:http's client makes of a response. */
export type NodeReading = { readonly status: number; readonly reason: string; readonly headers: readonly string[]; readonly body: string } | 'refused'

export interface NodeReader {
  /** The answer to one request on a connection of its own, which ends after `bytes`. */
  read(bytes: Buffer, method: string): Promise<NodeReading>
  close(): void
}

/** A second reader of responses: the parser of node:http's client, over real sockets. Lengths that never end count as refused. */
export async function startNodeReader(): Promise<NodeReader> {
  const answers = new Map<string, Buffer>()
  let count = 0
  const server = createServer((socket: Socket) => {
    socket.on('error', () => undefined).once('data', (bytes: Buffer) => {
      const target = bytes.toString('latin1').split(' ', 2)[1] ?? ''
      socket.end(answers.get(target) ?? '')
      answers.delete(target)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    read(bytes, method) {
      const path = `/${count++}`
      answers.set(path, bytes)
      return new Promise((resolve) => {
        const asked = request({ host: '127.0.0.1', port, path, method, agent: false }, (response) => void bodyOf(response).then(resolve))
        asked.on('error', () => resolve('refused')).on('upgrade', (_response, socket) => {
          socket.destroy()
          resolve('refused')
        })
        asked.end()
      })
    },
    close: () => void server.close(),
  }
}

async function bodyOf(response: IncomingMessage): Promise<NodeReading> {
  let body = ''
  try {
    for await (const piece of response) body += (piece as Buffer).toString('latin1')
  } catch {
    return 'refused'
  }
  if (!response.complete) return 'refused'
  return { status: response.statusCode ?? 0, reason: response.statusMessage ?? '', headers: response.rawHeaders, body }
}
