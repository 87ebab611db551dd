import type { BarResult } from './bars.ts'
import type { Report } from './report.ts'

/** The report for a terminal. */
export function tableOf(report: Report): string {
  const head = ['', 'CPU us/req', 'half within', 'x http-proxy', 'x no session', 'req/s', 'p50 ms', 'p99 ms', 'peak MB']
  const rows = report.rows.map((row) => [
    row.label,
    row.cpuMicros?.toFixed(1) ?? '-',
    row.cpuSpread?.map((micros) => micros.toFixed(0)).join('..') ?? '-',
    row.againstHttpProxy?.toFixed(2) ?? '-',
    row.againstNoSession?.toFixed(2) ?? '-',
    row.perSecond.toFixed(0),
    row.p50Ms.toFixed(1),
    row.p99Ms.toFixed(1),
    row.peakRssBytes === undefined ? '-' : (row.peakRssBytes / 2 ** 20).toFixed(0),
  ])
  return aligned([head, ...rows])
}

/** The promises and whether the run kept them. */
export function barsText(bars: readonly BarResult[]): string {
  const judged = bars.filter(({ ratio }) => ratio !== undefined)
  if (judged.length === 0) return ''
  return aligned(judged.map(({ id, against, atMost, ratio, met }) =>
    [met ? 'ok' : 'MISSED', id, `${ratio!.toFixed(2)} x ${against}`, `at most ${atMost.toFixed(2)}`]))
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => row.map((cell, column) => isNumeric(rows, column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n')
}

function isNumeric(rows: readonly (readonly string[])[], column: number): boolean {
  return column > 0 && rows.slice(1).every((row) => /^[-\d. ]+$/.test(row[column]!))
}
