import { inputSchema } from './json-schema.ts'
import { sectionsOf, type Section } from './reference.ts'

const INTRODUCTION = `# Configuration

<!-- Made from src/config by "npm run docs"; change the schema, not this file. -->

One YAML file, [\`config.example.yaml\`](../config.example.yaml) has every key with its default. \`sessiongate init\` writes a short one to
start from, \`sessiongate check\` lists every problem at once with its line, \`sessiongate check --print\` shows what is in force.

- **Units.** A duration is a number and a unit: \`500ms\`, \`30s\`, \`15m\`, \`24h\`, \`30d\`. A size likewise: \`512B\`, \`16KB\`, \`10MB\` (1 KB = 1024 bytes).
  A bare number is refused.
- **Variables.** \`\${NAME}\` and \`\${NAME:-default}\` take environment variables in any text; one that is not set is a problem. \`$\${\` is a literal \`\${\`.
- **Secrets.** \`secret\`, \`privateKey\`, \`publicKey\` and \`password\` each have a \`...File\` form. One trailing newline is dropped, nothing else. Weak and
  well-known secrets are refused. No message, log line or \`--print\` ever shows a secret.
- **Relative paths** in the file start at the file's directory; in flags at the working directory.
- **Flags.** Any single value is a flag by its path, over the file: \`--session.idle 20m --routes.0.session read --no-admin\`. A list of values is the
  flag repeated. \`--store.url redis://...\` chooses the kind of store too.
- **Unknown keys are errors**, and so is a key given twice.
- **Reload.** SIGHUP, or a change of the file or of a file it names, builds the new configuration and swaps it in whole; a bad one changes nothing.

\`N\` stands for a position in a list (from 0), \`NAME\` for a name of your choice.

The session cookie is \`__Host-session\` and Secure where browsers come by HTTPS: with \`tls\`, or with \`trustedProxies\`, which say that HTTPS ends in
front of the gateway. With a \`domain\` or another \`path\` it is \`__Secure-session\`, since browsers allow neither in a \`__Host-\` cookie. On plain-HTTP
loopback and unix listeners without \`trustedProxies\` it is \`session\`, not Secure. Plain HTTP beyond loopback is refused unless
\`session.cookie.secure: false\` says that you mean it.
`

/** docs/configuration.md, whole. */
export function manualText(): string {
  return `${INTRODUCTION}${sectionsOf(inputSchema()).map(sectionText).join('')}`
}

function sectionText({ title, description, rows }: Section): string {
  const heading = title === '' ? 'The top' : `\`${title}\``
  const table = rows.map(({ key, type, default: value, meaning }) => `| \`${key}\` | ${cell(type)} | ${cell(value)} | ${cell(meaning)} |\n`).join('')
  return `\n## ${heading}\n\n${description ? `${description}.\n\n` : ''}| key | type | default | meaning |\n|---|---|---|---|\n${table}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
