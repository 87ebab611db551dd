import { connect, createServer, type AddressInfo, type NetConnectOpts, type Server, type Socket } from 'node:net'
import { RelayPipe, type Toxics } from './relay-pipe.ts'
import { waitFor } from './wait-for.ts'

export type { Toxics } from './relay-pipe.ts'

/** `up` is from the client to the server, `down` from the server to the client. */
export type Direction = 'up' | 'down' | 'both'

interface Link {
  readonly client: Socket
  readonly server: Socket
  readonly up: RelayPipe
  readonly down: RelayPipe
}

/**
 * A TCP relay in front of any server, whose network can be made bad at run time. Toxics apply to open and to new connections
 * until `heal()`. Ends and resets of one side reach the other, after the bytes before them.
 */
export class Relay {
  /** How many connections were ever accepted. */
  connectionCount = 0
  readonly #links = new Set<Link>()
  readonly #toxics: Record<'up' | 'down', Toxics> = { up: {}, down: {} }
  #server: Server | undefined
  #port = 0

  constructor(private readonly target: NetConnectOpts) {}

  get port(): number { return this.#port }
  get host(): string { return '127.0.0.1' }
  /** `127.0.0.1:port`, to be put into a URL of any scheme. */
  get address(): string { return `${this.host}:${this.port}` }
  get openConnections(): number { return this.#links.size }

  /** Adds toxics to those in force; a member set to undefined is switched off. */
  set(toxics: Toxics, direction: Direction = 'both'): void {
    for (const side of sidesOf(direction)) {
      this.#toxics[side] = { ...this.#toxics[side], ...toxics }
      for (const link of this.#links) link[side].set(this.#toxics[side])
    }
  }

  /** Removes every toxic. What was held is delivered; a connection that lost bytes to a black hole is reset. */
  heal(): void {
    for (const side of sidesOf('both')) {
      this.#toxics[side] = {}
      for (const link of this.#links) link[side].set({})
    }
    for (const link of this.#links) if (link.up.hasLost || link.down.hasLost) this.#reset(link)
  }

  /** RST to both sides of every open connection. Bytes on their way are lost. */
  resetAll(): void { for (const link of this.#links) this.#reset(link) }

  /** FIN into one direction of every open connection: `down` tells clients that the server will send no more. */
  halfClose(direction: Direction): void {
    for (const link of this.#links) for (const side of sidesOf(direction)) link[side].finish()
  }

  /** Closes the listener, so that new connections are refused. Open ones stay. */
  refuse(): void {
    this.#server?.close()
    this.#server = undefined
  }

  /** Listens (again) on the relay's port. */
  async accept(): Promise<this> {
    if (this.#server !== undefined) return this
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => { this.#connect(client) })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, this.host, resolve)
    })
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
    return this
  }

  /** Resolves once `count` connections were accepted. */
  async waitForConnections(count: number, timeoutMs = 5_000): Promise<void> {
    await waitFor(() => this.connectionCount >= count, () => `${count} connections (${this.connectionCount} came)`, timeoutMs)
  }

  async close(): Promise<void> {
    this.refuse()
    for (const { client, server } of [...this.#links]) for (const socket of [client, server]) socket.destroy()
    await waitFor(() => this.#links.size === 0, 'closed connections')
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.close() }

  #connect(client: Socket): void {
    this.connectionCount++
    const server = connect({ ...this.target, allowHalfOpen: true, noDelay: true } as NetConnectOpts)
    const link: Link = {
      client, server,
      up: new RelayPipe(client, server, () => this.#reset(link)),
      down: new RelayPipe(server, client, () => this.#reset(link)),
    }
    link.up.set(this.#toxics.up)
    link.down.set(this.#toxics.down)
    this.#links.add(link)
    const forget = (): void => { if (client.destroyed && server.destroyed) this.#links.delete(link) }
    client.on('close', forget)
    server.on('close', forget)
  }

  #reset({ client, server }: Link): void {
    for (const socket of [client, server]) {
      if (socket.remoteAddress === undefined || socket.connecting) socket.destroy()
      else socket.resetAndDestroy()
    }
  }
}

/** A relay on a fresh loopback port to `target`: a port, `host:port`, any URL with a host and port, or `{path}` of a unix socket. */
export async function startRelay(target: number | string | NetConnectOpts): Promise<Relay> {
  return await new Relay(targetOf(target)).accept()
}

function targetOf(target: number | string | NetConnectOpts): NetConnectOpts {
  if (typeof target === 'object') return target
  if (typeof target === 'number') return { host: '127.0.0.1', port: target }
  if (target.startsWith('unix:')) return { path: target.slice('unix:'.length) }
  const { hostname, port } = new URL(target.includes('://') ? target : `tcp://${target}`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function sidesOf(direction: Direction): ReadonlyArray<'up' | 'down'> {
  return direction === 'both' ? ['up', 'down'] : [direction]
}
