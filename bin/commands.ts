import yargs from 'yargs'
import type { Argv } from 'yargs'
import type { ConfigArguments, TakenFlags } from './arguments.ts'
import { UsageError } from './errors.ts'
import { explainMistake } from './explain-mistake.ts'
import { packageVersion } from './version.ts'

const HELP_WIDTH = 110
const CONFIG_GROUP = 'Configuration, over the file (any key of docs/configuration.md, by its path):'

/** The keys worth showing in --help; all others work the same way. */
const SHOWN_KEYS: Readonly<Record<string, string>> = {
  listen: 'host:port or unix:/path',
  admin: 'Address of health, metrics and public keys; --no-admin turns it off',
  workers: 'Processes, or auto',
  'tls.certFile': 'HTTPS with this certificate (and --tls.keyFile)',
  trustedProxies: 'Whose X-Forwarded-* is believed',
  'store.kind': 'memory, file, redis, ...',
  'store.url': 'For example redis://127.0.0.1:6379',
  'session.idle': 'Lifetime without use, for example 20m',
  'routes.0.session': 'none, read, use or require',
  'log.level': 'debug, info, warn, ...',
}

/** Parses everything that is not plainly a `serve`: other commands, help, mistakes. Resolves to the exit code. */
export async function runCommand({ flags, rest }: TakenFlags): Promise<number> {
  let code = 0
  const words = rest[0] === 'sessions' ? rest.map(escapeHandle) : rest
  const cli = commandLine({ flags, rest: words }, (exitCode) => {
    code = exitCode
  })
  const output = await parse(cli, words)
  if (output !== '') process.stdout.write(`${output}\n`)
  return code
}

/** One session handle in 64 begins with a dash, and yargs would take it for an option. */
function escapeHandle(word: string): string {
  return /^-[\w-]{21}$/.test(word) ? `\\${word}` : word
}

function unescapeHandle(word: string): string {
  return word.replace(/^\\/, '')
}

/** yargs prints through its callback, so that help goes to standard output and mistakes become UsageError. */
async function parse(cli: Argv, rest: readonly string[]): Promise<string> {
  let output = ''
  await cli.parseAsync([...rest], {}, (_error: unknown, _argv: unknown, text: string) => {
    output = text
  })
  return output
}

function commandLine({ flags, rest }: TakenFlags, done: (exitCode: number) => void): Argv {
  const configOf = (argv: { config?: string | undefined; upstream?: string[] | undefined }): ConfigArguments => ({ config: argv.config, upstream: argv.upstream ?? [], flags })
  const noFlags = (command: string): void => {
    const [first] = Object.keys(flags)
    if (first !== undefined) throw new UsageError(`${command} takes no configuration options such as --${first}`)
  }

  const adminOf = (argv: { config?: string | undefined }): ConfigArguments => {
    const { admin: _admin, ...others } = flags
    const [first] = Object.keys(others)
    if (first !== undefined) throw new UsageError(`sessions takes no configuration options such as --${first}`)
    return { config: argv.config, upstream: [], flags }
  }

  return yargs()
    .scriptName('sessiongate')
    .locale('en')
    .parserConfiguration({ 'dot-notation': false, 'camel-case-expansion': false, 'strip-dashed': true, 'greedy-arrays': false })
    .usage('A reverse proxy that owns the session.\n\nUsage: $0 [command] [options]')
    .command(['serve', '$0'], 'Run the gateway (the default)', withConfig, async (argv) => {
      done(await (await import('./commands/serve.ts')).runServe(configOf(argv)))
    })
    .command('check', 'Check the configuration; print every problem, or what would run', (args) => withConfig(args)
      .option('print', { type: 'boolean', describe: 'Print the effective configuration, secrets redacted' })
      .example('$0 check -c /etc/sessiongate/sessiongate.yaml', 'Before a reload: exit code 78 when it is not valid'),
    async (argv) => {
      done(await (await import('./commands/check.ts')).runCheck(configOf(argv), { print: argv.print ?? false }))
    })
    .command('init [directory]', 'Write a commented sessiongate.yaml and its keys', (args) => args
      .positional('directory', { type: 'string', default: '.', describe: 'Where; made when missing. Nothing is ever overwritten' })
      .option('upstream', { type: 'string', default: 'http://127.0.0.1:5000', describe: 'The app' })
      .option('alg', { choices: ['HS256', 'EdDSA', 'ES256'] as const, default: 'HS256' as const, describe: 'Of the session header: HS256 shares a secret with the app, the others publish a key' })
      .example('$0 init --upstream http://127.0.0.1:8000', 'Then: sessiongate check'),
    async (argv) => {
      noFlags('init')
      done(await (await import('./commands/init.ts')).runInit(argv))
    })
    .command('keys <command>', 'Make and rotate keys', (args) => args
      .command('generate', 'Print a new entry for a key ring', (more) => more
        .option('alg', { choices: ['HS256', 'EdDSA', 'ES256'] as const, default: 'HS256' as const, describe: 'EdDSA and ES256 are for assertion keys' })
        .option('ring', { choices: ['cookie', 'assertion', 'record'] as const, describe: 'What it is for; default assertion with EdDSA and ES256, else cookie' })
        .option('id', { type: 'string', describe: 'Its name; default: one from the date' })
        .option('out', { type: 'string', describe: 'Write the secret to this new file (mode 0600) and print an entry that points there' })
        .example('$0 keys generate --ring assertion --alg EdDSA --out /etc/sessiongate/a2.pem', ''),
      async (argv) => {
        noFlags('keys generate')
        done(await (await import('./commands/keys-generate.ts')).runKeysGenerate(argv))
      })
      .command('rotate', 'Add, promote or retire a key in the configuration file; comments stay', (more) => more
        .option('config', { alias: 'c', type: 'string', demandOption: true, requiresArg: true, describe: 'The YAML file to edit' })
        .option('ring', { choices: ['cookie', 'assertion', 'record'] as const, demandOption: true, describe: 'Which ring' })
        .option('step', { choices: ['publish', 'promote', 'retire'] as const, demandOption: true, describe: 'publish: a new key that verifies only; promote: the newest signs; retire: drop the oldest that no longer signs' })
        .example('$0 keys rotate -c sessiongate.yaml --ring assertion --step publish', 'Reload every gateway, give the app the key, then:')
        .example('$0 keys rotate -c sessiongate.yaml --ring assertion --step promote', ''),
      async (argv) => {
        noFlags('keys rotate')
        done(await (await import('./commands/keys-rotate.ts')).runKeysRotate(argv))
      })
      .demandCommand(1, 'keys needs one of: generate, rotate'))
    .command('assertion <command>', 'Look at session headers', (args) => args
      .command('verify [token]', 'Verify an X-Session-Assertion with the configuration\'s keys; print its claims or the reason', (more) => withConfig(more)
        .positional('token', { type: 'string', describe: 'The header\'s value; read from standard input when left out' })
        .option('audience', { type: 'string', requiresArg: true, describe: 'The upstream it must be for; default: any of the configuration' }),
      async (argv) => {
        done(await (await import('./commands/assertion-verify.ts')).runAssertionVerify(configOf(argv), argv))
      })
      .demandCommand(1, 'assertion needs: verify'))
    .command('sessions <command>', 'Look at the sessions of a running gateway, and end them', (args) => args
      .command('list', 'Who is logged in, since when and until when', (more) => withAdmin(more)
        .option('subject', { type: 'string', requiresArg: true, describe: 'Of this user alone' })
        .option('limit', { type: 'number', default: 100, describe: 'At most so many' })
        .option('json', { type: 'boolean', describe: 'One JSON object a line' }),
      async (argv) => {
        done(await (await import('./commands/sessions.ts')).runSessionsList(adminOf(argv), { ...argv, json: argv.json ?? false }))
      })
      .command('show <handle>', 'One session as JSON, its values redacted', (more) => withAdmin(more)
        .positional('handle', { type: 'string', demandOption: true, describe: 'As list and the log show it' })
        .option('values', { type: 'boolean', describe: 'With its values; the gateway logs that you looked' }),
      async (argv) => {
        done(await (await import('./commands/sessions.ts')).runSessionsShow(adminOf(argv), { handle: unescapeHandle(argv.handle), values: argv.values ?? false }))
      })
      .command('revoke [handle]', 'End one session, or those of a user, or all', (more) => withAdmin(more)
        .positional('handle', { type: 'string', describe: 'The session to end' })
        .option('subject', { type: 'string', requiresArg: true, describe: 'Log this user out everywhere' })
        .option('all', { type: 'boolean', describe: 'Log everybody out' })
        .example('$0 sessions revoke --subject ann', ''),
      async (argv) => {
        done(await (await import('./commands/sessions.ts')).runSessionsRevoke(adminOf(argv), { subject: argv.subject, handle: argv.handle === undefined ? undefined : unescapeHandle(argv.handle), all: argv.all ?? false }))
      })
      .demandCommand(1, 'sessions needs one of: list, show, revoke'))
    .command('migrate', 'Copy the sessions of a Flask-Session app into the configured store', (args) => withConfig(args)
      .option('from', { choices: ['flask-session'] as const, demandOption: true, describe: 'Whose sessions' })
      .option('source', { type: 'string', demandOption: true, requiresArg: true, describe: 'Where they are: redis://, unix://, the app\'s SQLALCHEMY_DATABASE_URI, mongodb://, or the directory of SESSION_TYPE filesystem' })
      .option('table', { type: 'string', default: 'sessions', requiresArg: true, describe: 'The app\'s SESSION_SQLALCHEMY_TABLE or SESSION_MONGODB_COLLECT' })
      .option('key-prefix', { type: 'string', default: 'session:', requiresArg: true, describe: 'The app\'s SESSION_KEY_PREFIX' })
      .option('dry-run', { type: 'boolean', describe: 'Read and count; write nothing' })
      .example('$0 migrate -c sessiongate.yaml --from flask-session --source redis://127.0.0.1:6379/0 --dry-run', ''),
    async (argv) => {
      done(await (await import('./commands/migrate.ts')).runMigrate(configOf(argv), { source: argv.source, table: argv.table, keyPrefix: argv['key-prefix'], dryRun: argv['dry-run'] ?? false }))
    })
    .command('learn', 'Run in front of an app for a while, unchanged, and propose what to do with its cookies (route.cookies)', (args) => args
      .option('upstream', { type: 'string', demandOption: true, requiresArg: true, describe: 'The running app' })
      .option('listen', { type: 'string', describe: 'Where the browser goes meanwhile; default 127.0.0.1:8080. Other keys of the configuration work too, --tls.certFile for example' })
      .option('for', { type: 'string', requiresArg: true, describe: 'How long, for example 10m; without it until Ctrl-C' })
      .option('out', { type: 'string', requiresArg: true, describe: 'Write the rules to this new file; default: standard output' })
      .example('$0 learn --upstream http://127.0.0.1:8000 --out cookies.yaml', 'Log in, look around, log out, press Ctrl-C'),
    async (argv) => {
      done(await (await import('./commands/learn.ts')).runLearn({ ...argv, flags }))
    })
    .command('bench', 'Measure what the gateway costs in front of your own app', (args) => args
      .option('upstream', { type: 'string', demandOption: true, requiresArg: true, describe: 'The running app' })
      .option('path', { type: 'string', default: '/', describe: 'What is asked for' })
      .option('rounds', { type: 'number', default: 3, describe: 'Interleaved rounds' })
      .option('duration', { type: 'number', default: 4, describe: 'Seconds of load per target and round' })
      .option('concurrency', { type: 'number', default: 50, describe: 'Connections' })
      .example('$0 bench --upstream http://127.0.0.1:5000 --path /index.html', ''),
    async (argv) => {
      noFlags('bench')
      done(await (await import('./commands/bench.ts')).runBenchCommand(argv))
    })
    .command('schema', 'Print the JSON Schema of the configuration, for editors', (args) => args, async () => {
      noFlags('schema')
      done(await (await import('./commands/schema.ts')).runSchema())
    })
    .example('$0 --upstream http://127.0.0.1:5000', 'Try it on a running app, without a file')
    .example('$0 -c sessiongate.yaml', 'Run with a configuration')
    .example('$0 -c sessiongate.yaml --session.idle 20m', '... and one key changed')
    .example('$0 init', 'Write a first configuration')
    .epilogue('Exit codes: 0 done, 1 failed, 64 command line not understood, 78 configuration not valid.\nManual: docs/configuration.md, docs/cli.md')
    .version(packageVersion()).help().alias('help', 'h')
    .wrap(Math.min(HELP_WIDTH, process.stdout.columns || HELP_WIDTH))
    .strict().showHelpOnFail(false).exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      // yargs's own complaints about the command line, and not what a command threw.
      if (error !== undefined && error.name !== 'YError') throw error
      throw new UsageError(explainMistake(message ?? error?.message ?? '', rest))
    })
}

/** The options of what asks a running gateway. `--admin` is listed for --help alone: as a key of the configuration it is taken off before. */
function withAdmin<T>(args: Argv<T>) {
  return args
    .option('config', { alias: 'c', type: 'string', requiresArg: true, describe: 'Where the admin address is read when --admin is not given' })
    .option('admin', { type: 'string', describe: 'The admin listener, for example http://127.0.0.1:9090' })
}

/** The options of every command that reads the configuration. The keys are listed for --help alone: they are taken off before. */
function withConfig<T>(args: Argv<T>) {
  const shown = Object.fromEntries(Object.entries(SHOWN_KEYS).map(([key, describe]) => [key, { describe, group: CONFIG_GROUP, type: 'string' as const }]))
  const known = args
    .option('config', { alias: 'c', type: 'string', requiresArg: true, describe: 'YAML file; default $SESSIONGATE_CONFIG, ./sessiongate.yaml, /etc/sessiongate/sessiongate.yaml' })
    .option('upstream', { type: 'string', array: true, requiresArg: true, describe: 'Start without a file: one app at this URL, generated keys, sessions in ~/.local/state/sessiongate' })
  known.options(shown)
  return known
}
