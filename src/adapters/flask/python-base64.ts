const CLEAN = /^[A-Za-z0-9_-]*$/
const PAD = 0x3d

/** URL-safe base64 without padding, as itsdangerous writes it. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/**
 * Decodes exactly what Python's `itsdangerous.base64_decode` does: both alphabets, padding or none, other characters skipped (but
 * counted in the padding), all after complete padding ignored. Undefined when Python raises. So different texts can mean the same
 * bytes: never use the text as a key.
 */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 1 && CLEAN.test(text)) return Buffer.from(text, 'base64url')
  const bytes = Buffer.from(text, 'utf8')
  return decodeLeniently(Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4, PAD)]))
}

/** The automaton of CPython's binascii.a2b_base64 with strict_mode off. */
function decodeLeniently(text: Uint8Array): Uint8Array | undefined {
  const sextets: number[] = []
  let pads = 0
  for (const unit of text) {
    const position = sextets.length % 4
    if (unit === PAD) {
      if (position >= 2 && position + ++pads >= 4) return packSextets(sextets)
      continue
    }
    const sextet = sextetOf(unit)
    if (sextet < 0) continue
    pads = 0
    sextets.push(sextet)
  }
  return sextets.length % 4 === 0 ? packSextets(sextets) : undefined
}

function packSextets(sextets: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(Math.floor((sextets.length * 6) / 8))
  for (let at = 0; at < bytes.length; at++) {
    const first = Math.floor((at * 8) / 6)
    const pair = ((sextets[first] ?? 0) << 6) | (sextets[first + 1] ?? 0)
    bytes[at] = pair >> (4 - ((at * 8) % 6))
  }
  return bytes
}

function sextetOf(unit: number): number {
  if (unit >= 0x41 && unit <= 0x5a) return unit - 0x41
  if (unit >= 0x61 && unit <= 0x7a) return unit - 0x61 + 26
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30 + 52
  if (unit === 0x2b || unit === 0x2d) return 62
  if (unit === 0x2f || unit === 0x5f) return 63
  return -1
}
