import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate with its key: PEM texts, and the files they are in. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

/** A leaf for loopback and the authority that signed it. `server` can be given to node:tls as it is. */
export interface TestCertificates {
  readonly ca: string
  readonly caFile: string
  readonly server: Certificate
}

export interface LeafOptions {
  /** DNS names and IP addresses. Default: localhost, 127.0.0.1 and ::1. */
  readonly names?: readonly string[]
  /** Days from now until it expires; zero is already too late. Default 2. */
  readonly days?: number
}

let directory: string | undefined
let authority: Certificate | undefined
let defaultLeaf: Certificate | undefined
let made = 0

/** The certificates of this test process, made by the `openssl` command at the first call and removed when the process ends. */
export function testCertificates(): TestCertificates {
  const { cert: ca, certFile: caFile } = ensureAuthority()
  return { ca, caFile, server: (defaultLeaf ??= makeLeaf()) }
}

/** Another leaf of the same authority, for wrong names, expiry, or client certificates. */
export function makeLeaf({ names = ['localhost', '127.0.0.1', '::1'], days = 2 }: LeafOptions = {}): Certificate {
  const signer = ensureAuthority()
  const files = newFiles()
  const extensions = `${files.certFile}.ext`
  writeFileSync(extensions, `basicConstraints=CA:FALSE\nsubjectAltName=${names.map(alternativeName).join(',')}\n`)
  openssl('req', '-new', ...newKey(files.keyFile), '-subj', '/CN=leaf', '-out', `${files.certFile}.csr`)
  openssl('x509', '-req', '-in', `${files.certFile}.csr`, '-CA', signer.certFile, '-CAkey', signer.keyFile, '-CAcreateserial',
    '-days', String(days), '-extfile', extensions, '-out', files.certFile)
  return readCertificate(files)
}

/** A certificate that no authority vouches for. */
export function makeSelfSigned(name = 'localhost'): Certificate {
  const files = newFiles()
  openssl('req', '-x509', ...newKey(files.keyFile), '-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${alternativeName(name)}`, '-out', files.certFile)
  return readCertificate(files)
}

function ensureAuthority(): Certificate {
  if (authority !== undefined) return authority
  const files = newFiles()
  openssl('req', '-x509', ...newKey(files.keyFile), '-days', '3', '-subj', '/CN=test authority', '-addext', 'keyUsage=keyCertSign,cRLSign', '-out', files.certFile)
  return (authority = readCertificate(files))
}

function newFiles(): Pick<Certificate, 'certFile' | 'keyFile'> {
  if (directory === undefined) {
    const created = directory = mkdtempSync(join(tmpdir(), 'certificates-'))
    process.once('exit', () => { rmSync(created, { recursive: true, force: true }) })
  }
  made++
  return { certFile: join(directory, `${made}.crt`), keyFile: join(directory, `${made}.key`) }
}

function newKey(keyFile: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
}

function readCertificate(files: Pick<Certificate, 'certFile' | 'keyFile'>): Certificate {
  return { ...files, cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') }
}

function alternativeName(name: string): string {
  return /^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
