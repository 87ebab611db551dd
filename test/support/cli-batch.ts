// Runs the command lines given as JSON in its first argument, each perhaps with variables before it (`NAME=value`), as in a shell;
// prints each one's exit code and output as JSON.
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
  const variables = args.slice(0, args.findIndex((word) => !/^[A-Z_]+=/.test(word)))
  const before = { ...process.env }
  for (const [name, value] of variables.map((word) => word.split('=', 2))) process.env[name as string] = value
  const code = await runCommandLine(args.slice(variables.length))
  process.env = before
  results.push({ code, ...output })
}
write(JSON.stringify(results))
