import fc from 'fast-check'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { FramingError, readBody, readHead, requestFraming, responseFraming, type HeaderList } from '../support/http-framing.ts'
import { chunkedBody } from '../support/raw-answers.ts'
import { SocketReader } from '../support/socket-reader.ts'

const ask = (method: string, status: number, headers: HeaderList) => responseFraming(status, headers, method)

describe('how a body is framed', () => {
  test.each([
    ['nothing declared', [], { kind: 'none' }],
    ['a length', [['content-length', '5']], { kind: 'length', bytes: 5 }],
    ['chunked', [['Transfer-Encoding', 'Chunked']], { kind: 'chunked' }],
    ['chunked last', [['transfer-encoding', 'gzip'], ['transfer-encoding', 'chunked']], { kind: 'chunked' }],
  ] as const)('a request with %s', (_name, headers, framing) => {
    expect(requestFraming(headers)).toEqual(framing)
  })

  test.each([
    ['both', [['content-length', '5'], ['transfer-encoding', 'chunked']]],
    ['two lengths', [['content-length', '5'], ['content-length', '5']]],
    ['a signed length', [['content-length', '+5']]],
    ['a hexadecimal length', [['content-length', '0x5']]],
    ['an empty length', [['content-length', '']]],
    ['chunked not last', [['transfer-encoding', 'chunked, gzip']]],
    ['a look-alike coding', [['transfer-encoding', 'xchunked']]],
  ] as const)('%s is refused', (_name, headers) => {
    expect(() => requestFraming(headers)).toThrow(FramingError)
    expect(() => ask('GET', 200, headers)).toThrow(FramingError)
  })

  test.each([
    ['HEAD', 200, 'none'], ['GET', 204, 'none'], ['GET', 304, 'none'], ['GET', 103, 'none'], ['CONNECT', 200, 'none'],
    ['CONNECT', 404, 'length'], ['GET', 200, 'length'],
  ])('the answer %s %d has framing %s', (method, status, kind) => {
    expect(ask(method, status, [['Content-Length', '3']]).kind).toBe(kind)
  })

  test('a response that declares nothing runs to the close', () => {
    expect(ask('GET', 200, [])).toEqual({ kind: 'close' })
  })
})

describe('reading from a socket', () => {
  test('a chunked body comes back whole, however the bytes are cut', async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 }), fc.integer({ min: 1, max: 30 }),
      async (chunks, size) => {
        await using pair = await socketPair()
        const coded = Buffer.concat([chunkedBody(chunks, [['X-Sum', '1']]), Buffer.from('rest')])
        const writing = (async () => {
          for (let at = 0; at < coded.length; at += size) {
            pair.far.write(coded.subarray(at, at + size))
            await new Promise(setImmediate)
          }
          pair.far.end()
        })()
        const read = await readBody(pair.reader, { kind: 'chunked' })
        await writing
        expect(read).toEqual({ body: Buffer.concat(chunks), trailers: [['X-Sum', '1']], truncated: false })
        expect((await pair.reader.readToEnd()).toString()).toBe('rest')
      },
    ), { numRuns: 30 })
  })

  test('any proper prefix of a chunked body is seen as truncated', async () => {
    const coded = chunkedBody(['hello', 'world'], [['T', 'v']])
    for (let cut = 0; cut < coded.length; cut++) {
      await using pair = await socketPair()
      pair.far.end(coded.subarray(0, cut))
      expect(await readBody(pair.reader, { kind: 'chunked' }), `cut at ${cut}`).toMatchObject({ truncated: true })
    }
  })

  test.each(['5\nhello\r\n0\r\n\r\n', '0x5\r\nhello\r\n0\r\n\r\n', '5\r\nhelloX\r\n0\r\n\r\n', '-1\r\n\r\n', ' 5\r\nhello\r\n0\r\n\r\n', '\r\n'])(
    'bad chunk syntax %j is refused', async (bytes) => {
      await using pair = await socketPair()
      pair.far.end(bytes)
      await expect(readBody(pair.reader, { kind: 'chunked' })).rejects.toThrow(FramingError)
    })

  test('a head keeps order, case and duplicates; empty lines before it are skipped', async () => {
    await using pair = await socketPair()
    pair.far.end('\r\nGET / HTTP/1.1\r\nB: 1\r\na:2 \r\nB: \xe9\r\n\r\nbody', 'latin1')
    await pair.reader.readThrough('\r\n')
    expect(await readHead(pair.reader)).toEqual({
      startLine: 'GET / HTTP/1.1', headers: [['B', '1'], ['a', '2'], ['B', '\xe9']],
      raw: 'GET / HTTP/1.1\r\nB: 1\r\na:2 \r\nB: \xe9\r\n\r\n',
    })
  })

  test.each(['No-Colon', ' folded: 1', 'Space : 1', ': nameless'])('the field line %j marks the head as broken', async (line) => {
    await using pair = await socketPair()
    pair.far.end(`GET / HTTP/1.1\r\nA: 1\r\n${line}\r\n\r\n`)
    const head = await readHead(pair.reader)
    expect(head?.broken).toBeInstanceOf(FramingError)
    expect(head?.headers).toEqual([['A', '1']])
  })

  test('a FIN, a reset and our own close are told apart', async () => {
    await using orderly = await socketPair()
    orderly.far.end()
    expect(await orderly.reader.ended).toBe('fin')
    await using reset = await socketPair()
    reset.far.resetAndDestroy()
    expect(await reset.reader.ended).toBe('reset')
    await using resetWithData = await socketPair()
    resetWithData.far.write('last words', () => resetWithData.far.resetAndDestroy())
    expect(await resetWithData.reader.ended).toBe('reset')
    await using own = await socketPair()
    own.near.destroy()
    expect(await own.reader.ended).toBe('local')
  })

  test('a close-delimited body is complete after a FIN and truncated after a reset', async () => {
    await using orderly = await socketPair()
    orderly.far.end('abc')
    expect(await readBody(orderly.reader, { kind: 'close' })).toMatchObject({ body: Buffer.from('abc'), truncated: false })
    await using reset = await socketPair()
    reset.far.write('abc', () => reset.far.resetAndDestroy())
    expect(await readBody(reset.reader, { kind: 'close' })).toMatchObject({ body: Buffer.from('abc'), truncated: true })
  })
})

async function socketPair(): Promise<AsyncDisposable & { near: Socket; far: Socket; reader: SocketReader }> {
  const server = createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [[far]] = await Promise.all([accepted, once(near, 'connect')])
  far.on('error', () => {})
  return {
    near, far, reader: new SocketReader(near),
    async [Symbol.asyncDispose]() {
      near.destroy()
      far.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
