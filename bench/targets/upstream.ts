import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { announce } from '../child.ts'

/**
 * The application behind every target: node:http, 1 KB answers, keep-alive. It costs the same whoever asks.
 *
 *   GET /plain    the page
 *   GET /write    the page, and a session mutation with a number that grows with each answer
 *   POST /seed    the page, and a session mutation that stores the request's body
 *   GET /echo     the request's method, target and header fields as JSON
 */
const PAGE = Buffer.alloc(1024, 'sessiongate bench page. ')
const PLAIN = ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(PAGE.length)]
let written = 0

const server = createServer((request, response) => {
  switch (request.url ?? '') {
    case '/plain': return void response.writeHead(200, PLAIN).end(PAGE)
    case '/write': return void response.writeHead(200, [...PLAIN, 'X-Session-Patch', `{"n":${++written}}`]).end(PAGE)
    case '/seed': return void seed(request, response)
    case '/echo': return echo(request, response)
    default: response.writeHead(404).end()
  }
})

async function seed(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  response.writeHead(200, [...PLAIN, 'X-Session-Patch', Buffer.concat(pieces).toString()]).end(PAGE)
}

function echo({ method, url, rawHeaders }: IncomingMessage, response: ServerResponse): void {
  const body = JSON.stringify({ method, url, rawHeaders, written })
  response.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body))]).end(body)
}

server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', 1024, () => announce((server.address() as AddressInfo).port))
