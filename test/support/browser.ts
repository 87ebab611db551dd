import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium'

const ARGUMENTS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
]

/** Why there is no browser here and how to get one, or undefined when there is. */
export const browserMissing = existsSync(EXECUTABLE) ? undefined : `no Chromium at ${EXECUTABLE}: apt-get install -y chromium`

export interface TestBrowser extends AsyncDisposable {
  /** A visitor of their own: new cookie jar, new page. */
  visitor(options?: BrowserContextOptions): Promise<Visitor>
}

export interface Visitor {
  readonly context: BrowserContext
  readonly page: Page
}

/** A real headless Chromium. Dispose it: its processes and its profile are removed. */
export async function startBrowser(): Promise<TestBrowser> {
  if (browserMissing) throw new Error(browserMissing)
  const profile = await mkdtemp(join(tmpdir(), 'sessiongate-chromium-'))
  // Chromium keeps crash reports and caches under HOME whatever its profile is.
  const browser: Browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS, env: { ...process.env as Record<string, string>, HOME: profile } })
  return {
    async visitor(options) {
      const context = await browser.newContext(options)
      context.setDefaultTimeout(10_000)
      return { context, page: await context.newPage() }
    },
    async [Symbol.asyncDispose]() {
      await browser.close()
      await rm(profile, { recursive: true, force: true })
    },
  }
}
