// Prints "N passed, N failed" from the report that test/run.sh leaves behind. Argument: the exit status so far.
import { readFileSync } from 'node:fs'

const status = Number(process.argv[2] ?? 0)
let passed = 0
let failed = 0
try {
  const report = JSON.parse(readFileSync('coverage/report.json', 'utf8'))
  passed = report.numPassedTests
  failed = report.numFailedTests + report.testResults.filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0).length
} catch {
  failed = 1
}
console.log(`${passed} passed, ${status !== 0 && failed === 0 ? 1 : failed} failed`)
