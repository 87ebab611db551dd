import { execFile } from 'node:child_process'
import { mkdtemp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { HttpClient } from '../../support/http-client.ts'
import { startMariadb } from '../../support/servers/mariadb.ts'
import { PYTHON, startProgram, type RunningApp } from '../adapters/toolchains.ts'

const run = promisify(execFile)
const here = fileURLToPath(new URL('.', import.meta.url))
const TOMCAT = '/usr/share/java/tomcat10-embed-core.jar:/usr/share/java/jakarta-annotation-api.jar'
const WORDPRESS = '/usr/share/wordpress'

/** One framework with a recipe: how its app is started, and what a visitor does in it. */
export interface RecipeApp {
  /** docs/recipes/NAME.md */
  readonly name: string
  readonly probe: readonly [string, ...string[]]
  readonly install: string
  start(directory: string): Promise<RunningApp>
  /** Resolves when the visitor is logged in. */
  login(client: HttpClient, user: string): Promise<void>
  /** The same, for longer than the browser runs; undefined where the app has no such thing. */
  readonly loginForLong: ((client: HttpClient, user: string) => Promise<void>) | undefined
  /** An ordinary login ends with the browser. */
  readonly endsWithBrowser: boolean
  logout(client: HttpClient): Promise<void>
  whoami(client: HttpClient): Promise<string>
  /** How many times this visitor has asked; undefined where the app has no such thing. */
  readonly count: ((client: HttpClient) => Promise<number>) | undefined
  /** The names of the cookies the app gets. */
  cookiesSeen(client: HttpClient): Promise<string[]>
  /** The app's own cookies that a browser may hold, after a login. */
  readonly visible: readonly (string | RegExp)[]
  /** Its login, which no browser may see; the first has to be there. */
  readonly hidden: readonly RegExp[]
  /** The app's cookies that it still gets after a logout. */
  readonly leftAfterLogout: readonly (string | RegExp)[]
}

const form = (fields: Record<string, string>, headers: Record<string, string> = {}) => ({
  headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(fields).toString(),
})

async function ok(reply: Promise<{ status: number; body: string }>): Promise<string> {
  const { status, body } = await reply
  if (status >= 400) throw new Error(`${status}: ${body.slice(0, 500)}`)
  return body
}

/** The small app that most of them are: /login, /logout, /whoami, /count, /cookies. `field` carries a token against CSRF from GET /login. */
function smallApp(base = '', field?: string): Pick<RecipeApp, 'login' | 'loginForLong' | 'endsWithBrowser' | 'logout' | 'whoami' | 'count' | 'cookiesSeen'> {
  const token = async (client: HttpClient): Promise<Record<string, string>> => (field === undefined ? {} : { [field]: await ok(client.get(`${base}/login`)) })
  return {
    loginForLong: undefined,
    endsWithBrowser: true,
    async login(client, user) { await ok(client.post(`${base}/login`, form({ user, password: 'right', ...await token(client) }))) },
    async logout(client) { await ok(client.post(`${base}/logout`, form(await token(client)))) },
    whoami: (client) => ok(client.get(`${base}/whoami`)),
    count: async (client) => Number(await ok(client.get(`${base}/count`))),
    cookiesSeen: async (client) => (await ok(client.get(`${base}/cookies`))).split(' ').filter((name) => name !== ''),
  }
}

export const recipeApps: readonly RecipeApp[] = [
  {
    name: 'express', probe: [process.execPath, '--version'], install: 'npm ci', ...smallApp(),
    start: () => startProgram([process.execPath, join(here, 'express_app.js')]),
    async loginForLong(client, user) { await ok(client.post('/login', form({ user, password: 'right', remember: 'yes' }))) },
    visible: ['theme', 'xsrf'], hidden: [/^connect\.sid$/], leftAfterLogout: ['theme', 'xsrf'],
  },
  {
    name: 'django', probe: [PYTHON, '-c', 'import django'], install: 'apt-get install -y python3-django', ...smallApp('', 'csrfmiddlewaretoken'),
    endsWithBrowser: false,
    start: (directory) => startProgram([PYTHON, join(here, 'django_app.py'), join(directory, 'django.sqlite')], {}, '/whoami'),
    visible: ['csrftoken'], hidden: [/^sessionid$/], leftAfterLogout: ['csrftoken'],
  },
  {
    name: 'php', probe: ['php', '-r', 'exit(extension_loaded("session") ? 0 : 1);'], install: 'apt-get install -y php-cli', ...smallApp('', 'token'),
    start: (directory) => startProgram(['php', '-d', `session.save_path=${directory}`, '-d', 'session.use_strict_mode=1', '-d', 'session.cookie_httponly=1', '-S', '127.0.0.1:$PORT', join(here, 'php/index.php')], { PHP_CLI_SERVER_WORKERS: '4' }, '/whoami'),
    // The page after a logout begins a new session, as every page here does.
    visible: [], hidden: [/^PHPSESSID$/], leftAfterLogout: ['PHPSESSID'],
  },
  {
    name: 'tomcat', probe: ['bash', '-c', `javac -version && test -f ${TOMCAT.replace(':', ' && test -f ')}`], install: 'apt-get install -y default-jdk-headless libtomcat10-embed-java libjakarta-annotation-api-java', ...smallApp('/shop'),
    async start(directory) {
      await run('javac', ['-nowarn', '-d', directory, '-cp', TOMCAT, join(here, 'TomcatApp.java')])
      return startProgram(['java', '-cp', `${directory}:${TOMCAT}`, 'TomcatApp', directory], {}, '/shop/whoami')
    },
    // A servlet container does not delete the cookie of a session that has ended: what is left opens nothing.
    visible: [], hidden: [/^JSESSIONID$/], leftAfterLogout: ['JSESSIONID'],
  },
  {
    name: 'rails', probe: ['ruby', '-e', 'require "rails"; require "action_controller/railtie"; require "webrick"'], install: 'apt-get install -y ruby-railties ruby-webrick', ...smallApp('', 'authenticity_token'),
    start: () => startProgram(['ruby', join(here, 'rails_app.rb')], {}, '/whoami'),
    visible: [], hidden: [/^_app_session$/], leftAfterLogout: ['_app_session'],
  },
  {
    name: 'wordpress', probe: ['bash', '-c', `test -f ${WORDPRESS}/wp-login.php && php -r 'exit(extension_loaded("mysqli") ? 0 : 1);'`], install: 'apt-get install -y wordpress php-cli mariadb-server',
    start: startWordpress,
    endsWithBrowser: true,
    login: (client, user) => loginToWordpress(client, { log: user }),
    loginForLong: (client, user) => loginToWordpress(client, { log: user, rememberme: 'forever' }),
    async logout(client) {
      const page = (await client.get('/wp-login.php?action=logout')).body
      const [, nonce] = /_wpnonce=([0-9a-f]+)/.exec(page) ?? []
      await ok(client.get(`/wp-login.php?action=logout&_wpnonce=${nonce ?? ''}`))
    },
    async whoami(client) {
      const { status, body } = await client.get('/wp-admin/profile.php')
      const [, user] = /id="user_login" value="([^"]*)"/.exec(body) ?? []
      if (status === 200 && user === undefined) throw new Error(`no profile: ${body.slice(0, 500)}`)
      return status === 302 ? 'nobody' : user ?? String(status)
    },
    count: undefined,
    cookiesSeen: async (client) => (await ok(client.get('/cookies.php'))).split(' ').filter((name) => name !== ''),
    visible: ['wordpress_test_cookie', /^wp-settings-(time-)?\d+$/], hidden: [/^wordpress_logged_in_/, /^wordpress_(sec_)?[0-9a-f]{32}$/],
    leftAfterLogout: ['wordpress_test_cookie', /^wp-settings-/],
  },
]

async function loginToWordpress(client: HttpClient, fields: Record<string, string>): Promise<void> {
  await ok(client.get('/wp-login.php'))
  const { status } = await client.post('/wp-login.php', form({ pwd: 'right', testcookie: '1', 'wp-submit': 'Log In', ...fields }))
  if (status !== 302) throw new Error(`no login: ${status}`)
}

/** Debian's WordPress as it is, in a directory of links, on a MariaDB of its own. */
async function startWordpress(directory: string): Promise<RunningApp> {
  const database = await startMariadb()
  try {
    const root = join(directory, 'root')
    await mkdir(root)
    for (const name of await readdir(WORDPRESS)) if (name !== 'wp-config.php') await symlink(join(WORDPRESS, name), join(root, name))
    await symlink(join(here, 'wordpress-config.php'), join(root, 'wp-config.php'))
    // Before every script: the links lead to Debian's directory, but the configuration is the one here.
    const prepended = join(directory, 'prepend.php')
    await writeFile(prepended, `<?php define('ABSPATH', '${root}/');`)
    await writeFile(join(root, 'cookies.php'), '<?php echo implode(" ", array_keys($_COOKIE));')
    await database.query('CREATE DATABASE wordpress')
    await database.query('GRANT ALL ON wordpress.* TO gate@\'%\'')
    const env = { DB_NAME: 'wordpress', DB_USER: 'gate', DB_PASSWORD: 'a/b', DB_HOST: `127.0.0.1:${database.port}`, PHP_CLI_SERVER_WORKERS: '4' }
    await run('php', ['-d', `auto_prepend_file=${prepended}`, join(here, 'wordpress-install.php')], { env: { ...process.env, ...env } })
    const app = await startProgram(['php', '-d', `auto_prepend_file=${prepended}`, '-S', '127.0.0.1:$PORT', '-t', root], env, '/cookies.php')
    return { ...app, async [Symbol.asyncDispose]() { await app[Symbol.asyncDispose](); await database[Symbol.asyncDispose]() } }
  } catch (error) {
    await database[Symbol.asyncDispose]()
    throw error
  }
}

/** A directory for one app, removed afterwards. */
export async function workDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'recipe-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
