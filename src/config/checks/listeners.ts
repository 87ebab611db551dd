import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { type Address, isLoopback, parseAddress } from '../address.ts'
import type { Config } from '../schema.ts'
import type { Judge } from './judge.ts'

/** Addresses that cannot all be bound, proxies that are no addresses, and a store that several processes cannot share. */
export function checkListeners(config: Config, judge: Judge): void {
  checkDistinct(config, judge)
  checkAdmin(config, judge)
  checkTrustedProxies(config, judge)
  checkWorkers(config, judge)
  checkLoops(config, judge)
}

function checkDistinct({ listen, admin }: Config, judge: Judge): void {
  listen.forEach((address, index) => {
    const twin = listen.slice(0, index).findIndex((earlier) => overlaps(earlier, address))
    if (twin >= 0) judge.problem(`listen.${index}`, `cannot be bound beside listen.${twin}: the same address`, `listen.${twin}`)
  })
  if (admin === false) return
  if (listen.some((address) => overlaps(address, admin))) {
    judge.problem('admin', 'is the same address as a listener; the admin listener needs its own, so that no visitor reaches it', 'listen')
  }
}

function checkAdmin({ admin, keys }: Config, judge: Judge): void {
  if (admin !== false && !isLoopback(admin)) {
    judge.warn('admin', 'can be reached from other machines and asks for no password; keep it on 127.0.0.1, or let only your monitoring reach it')
  }
  if (admin === false && keys.assertion.some(({ alg }) => alg !== 'HS256')) {
    judge.warn('admin', 'is off, so the public keys are served nowhere: hand them to the apps yourself', 'keys.assertion')
  }
}

function checkTrustedProxies({ trustedProxies }: Config, judge: Judge): void {
  trustedProxies.forEach((text, index) => {
    const path = `trustedProxies.${index}`
    if (!isNetwork(text)) judge.problem(path, 'expected an IP address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8, or unix for unix sockets')
    else if (/\/0$/.test(text)) judge.warn(path, 'trusts everyone: any client can then claim any address and protocol')
  })
}

/** `10.0.0.5`, `10.0.0.0/8`, `fd00::/8`, and `unix` for whoever can open our unix socket. */
export function isNetwork(text: string): boolean {
  if (text === 'unix') return true
  const [, address = '', bits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && (bits === undefined || Number(bits) <= (version === 4 ? 32 : 128))
}

function checkWorkers({ workers, store }: Config, judge: Judge): void {
  const processes = workers === 'auto' ? availableParallelism() : workers
  if (store.kind === 'memory' && processes > 1) {
    judge.problem('store.kind', `memory cannot be shared by ${processes} worker processes; use file, or workers: 1`, 'workers')
  }
}

function checkLoops({ listen, upstreams }: Config, judge: Judge): void {
  for (const [name, upstream] of Object.entries(upstreams)) {
    upstream.targets.forEach((target, index) => {
      const address = target.socketPath === undefined ? addressOf(new URL(target.origin)) : parseAddress(target.text)
      if (address && listen.some((own) => overlaps(own, address))) {
        judge.problem(`upstreams.${name}.targets.${index}`, 'is the gateway\'s own listener: every request would go round in a circle', 'listen')
      }
    })
  }
}

function addressOf(url: URL): Address | undefined {
  return parseAddress(`${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`)
}

/** Whether both cannot be bound at once, or a connection to one reaches the other. Port 0 is any free port. */
function overlaps(a: Address, b: Address): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return a.kind === 'unix' && b.kind === 'unix' && a.path === b.path
  if (a.port !== b.port || a.port === 0) return false
  if (a.host.toLowerCase() === b.host.toLowerCase()) return true
  const [one, other] = [a, b].map(({ host }) => (['0.0.0.0', '::', '0:0:0:0:0:0:0:0'].includes(host) ? 'any' : host))
  if (one === 'any' || other === 'any') return (one === 'any' && other === 'any') || isLoopback(one === 'any' ? b : a) || isIP((one === 'any' ? b : a).host) !== 0
  return (a.host === 'localhost' && isLoopback(b)) || (b.host === 'localhost' && isLoopback(a))
}
