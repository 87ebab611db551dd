import { machineText } from './machine.ts'
import type { Report } from './report.ts'

const WIDTH = 760
const LABEL = 250
const BAR = 400
const ROW = 28
const TOP = 64

/** The report as one SVG: a bar of CPU microseconds per request for each target that is a process of its own. */
export function chartOf(report: Report): string {
  const rows = report.rows.flatMap(({ id, label, cpuMicros, againstHttpProxy }) =>
    cpuMicros === undefined ? [] : [{ id, label, cpuMicros, againstHttpProxy }])
  const largest = Math.max(...rows.map(({ cpuMicros }) => cpuMicros))
  const height = TOP + rows.length * ROW + 44
  const bars = rows.map((row, index) => {
    const y = TOP + index * ROW
    const width = Math.max(1, Math.round((row.cpuMicros / largest) * BAR))
    const ratio = row.againstHttpProxy === undefined ? '' : `  (${row.againstHttpProxy.toFixed(2)} x)`
    return `<text x="${LABEL - 10}" y="${y + 15}" text-anchor="end">${escaped(row.label)}</text>`
      + `<rect x="${LABEL}" y="${y + 2}" width="${width}" height="18" rx="3" class="${row.id.startsWith('gate') ? 'ours' : 'peer'}"/>`
      + `<text x="${LABEL + width + 8}" y="${y + 15}">${row.cpuMicros.toFixed(0)} µs${ratio}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH + 20} ${height}" role="img" aria-labelledby="title">
<title id="title">CPU time of the proxy process per request</title>
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-size: 16px; font-weight: 600 } .note { font-size: 11px; fill: #59636e }
.ours { fill: #1f6feb } .peer { fill: #9aa4af }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .note { fill: #9198a1 } .ours { fill: #4493f8 } .peer { fill: #6e7681 } }
</style>
<text x="10" y="24" class="title">CPU time of the proxy process per request</text>
<text x="10" y="44" class="note">1 KB answers, ${report.options.connections} connections, median of ${report.options.rounds} interleaved rounds; in brackets: against bare http-proxy</text>
${bars.join('\n')}
<text x="10" y="${height - 14}" class="note">${escaped(machineText(report.machine))}</text>
</svg>
`
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}
