// Prints "N passed, N failed" from the report that test/run.sh leaves behind. Argument: the exit status so far.
import { readFileSync } from 'node:fs'

const status = Number(process.argv[2] ?? 0)

/** The counts of a finished run; a run that left no report counts as one failure. */
function countsOf(file) {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(file, 'utf8'))
    const brokenFiles = testResults.filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0)
    return { passed: numPassedTests, failed: numFailedTests + brokenFiles.length }
  } catch {
    return { passed: 0, failed: 1 }
  }
}

const { passed, failed } = countsOf('coverage/report.json')
console.log(`${passed} passed, ${status !== 0 && failed === 0 ? 1 : failed} failed`)
