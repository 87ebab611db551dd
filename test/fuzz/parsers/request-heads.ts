import assert from 'node:assert/strict'
import { LoopDetectedError, RequestInvalidError } from '../../../src/errors.ts'
import { createTrust } from '../../../src/http/addresses.ts'
import { canonicalName, ownNames } from '../../../src/http/field-names.ts'
import { parseForwarded } from '../../../src/http/forwarded-field.ts'
import { createRequestHeadersReader, isHost } from '../../../src/http/request-headers.ts'
import { appendForwarded, checkLoop, publicViewOf } from '../../../src/proxy/forwarded.ts'
import { fieldLines, unlessRefused, type FuzzedParser } from '../parser.ts'

const isTrusted = createTrust(['10.0.0.0/8', 'fd00::/8', '127.0.0.1'])
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FORBIDDEN = /^(?:x-session-|connection$|keep-alive$|transfer-encoding$|te$|trailer$|upgrade$|proxy$|proxy-(?:authorization|connection)$|host$|content-length$|cookie$|x-forwarded|forwarded$|x-request-id$)/

/** One line of a head each, as node:http splits it. Nothing of ours, nothing between hops and no stranger's word goes on. */
export const parser: FuzzedParser = {
  seeds: [
    'Host: shop.example\nCookie: a=1\nX-A: b', 'Host: [::1]:80\nX_Session-Assertion: forged\nConnection: x-a, close\nX-A: 1', 'Content-Length: 5', 'Transfer-Encoding: chunked\nTE: trailers', 'Content-Length: 1\nContent-Length: 1',
    'Host: a\nX-Forwarded-For: 1.2.3.4, 10.0.0.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: b', 'Host: a\nForwarded: for="[2001:db8::1]:47";proto=https;host=b, for=10.0.0.2', 'Forwarded: for=_x;by="a\\"b";;,', 'Via: 1.1 sessiongate, 1.0 b\nMax-Forwards: 3',
    'Expect: 100-continue\nUpgrade: websocket\nOrigin: http://a\nAccept: text/html', 'Proxy: http://evil\nHTTP2-Settings: x\nContent_Length: 9\nX.Forwarded.For: 1',
  ],
  words: ['Host: ', 'Connection: ', 'Content-Length: ', 'Transfer-Encoding: chunked', 'X-Session-Assertion: ', 'X_Session_', 'X-Forwarded-For: ', 'X-Forwarded-Host: ', 'X-Forwarded-Proto: ', 'Forwarded: ', 'for=', 'host=', 'proto=', 'https', '"', '\\', ';', ',', '[::1]', '10.0.0.1', '1.2.3.4:5', 'Via: ', '1.1 sessiongate', 'Expect: 100-continue', '\n', '_', '.', ': ', 'close', 'keep-alive'],
  check(input) {
    const raw = fieldLines(input).flatMap((line) => {
      const colon = line.indexOf(':')
      const name = line.slice(0, Math.max(0, colon))
      return TOKEN.test(name) ? [name, line.slice(colon + 1).replace(/^[ \t]+/, '')] : []
    })
    const headers = unlessRefused((error) => error instanceof RequestInvalidError, () => createRequestHeadersReader(ownNames('X-Session-'))(raw))
    if (!headers) return
    for (let i = 0; i < headers.fields.length; i += 2) assert.doesNotMatch(canonicalName(headers.fields[i] as string), FORBIDDEN)
    if (headers.host !== '') assert.ok(isHost(headers.host))
    unlessRefused((error) => error instanceof LoopDetectedError, () => checkLoop(headers.via, 'sessiongate'))
    for (const address of ['192.0.2.1', '10.0.0.9']) {
      const peer = { address, isTls: false, isTrusted: isTrusted(address) }
      const view = publicViewOf(headers, peer, isTrusted)
      if (!peer.isTrusted) assert.deepEqual(view, { clientAddress: address, host: headers.host, proto: 'http' })
      assert.ok(view.host === '' || isHost(view.host))
      const fields: string[] = []
      appendForwarded(fields, headers, peer, view, { via: '1.1 sessiongate', strippedPrefix: undefined })
      for (const value of fields) assert.doesNotMatch(value, /[\r\n\0]/)
      const said = fields.filter((_, i) => i % 2 === 1 && fields[i - 1] === 'Forwarded')
      assert.equal(said.length, 1)
      if (!peer.isTrusted) assert.equal(parseForwarded(said)?.length, 1)
    }
  },
}
