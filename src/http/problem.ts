import { STATUS_CODES } from 'node:http'
import { GatewayError } from '../errors.ts'

/** A complete answer of the gateway's own. */
export interface OwnAnswer {
  readonly status: number
  /** Flat list of field lines, framing included. */
  readonly headers: string[]
  readonly body: string
}

/**
 * The answer for an error: problem+json (RFC 9457), or a small page where a browser asks. Only client errors explain themselves;
 * of everything else the client learns the code and the request id, never an internal.
 */
export function problemOf(error: unknown, requestId: string, acceptsHtml: boolean): OwnAnswer {
  const status = error instanceof GatewayError ? error.status : 500
  const code = error instanceof GatewayError ? error.code : 'ERR_INTERNAL'
  const title = STATUS_CODES[status] ?? 'Error'
  const detail = error instanceof GatewayError && error.source === 'client' ? error.message : undefined
  const body = acceptsHtml
    ? `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${status} ${title}</h1><p>${escapeHtml(detail ?? explanationOf(status))}</p><p><small>${code} ${requestId}</small></p>\n`
    : `${JSON.stringify({ type: 'about:blank', title, status, ...(detail === undefined ? {} : { detail }), code, requestId })}\n`
  return {
    status,
    body,
    headers: [
      'Content-Type', acceptsHtml ? 'text/html; charset=utf-8' : 'application/problem+json',
      'Content-Length', String(Buffer.byteLength(body)),
      'Cache-Control', 'no-store',
      'X-Content-Type-Options', 'nosniff',
    ],
  }
}

function explanationOf(status: number): string {
  if (status === 503) return 'The service is busy or partly away. Your session is safe; please try again.'
  if (status === 504) return 'The application did not answer in time.'
  return 'The application could not be reached or gave an unusable answer.'
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** Whether the client would rather see a page: a browser navigating. */
export function prefersHtml(accept: string | undefined): boolean {
  return accept?.includes('text/html') ?? false
}
