// Runs the command lines given as JSON in its first argument; prints each one's exit code and output as JSON.
import { runCommandLine } from '../../bin/command-line.ts'

const write = process.stdout.write.bind(process.stdout)
const results: object[] = []
for (const args of JSON.parse(process.argv[2] ?? '[]') as string[][]) {
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].write = (chunk: string | Uint8Array): boolean => {
      output[name] += chunk.toString()
      return true
    }
  }
  const code = await runCommandLine(args)
  results.push({ code, ...output })
}
write(JSON.stringify(results))
