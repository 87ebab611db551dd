import { createRequire } from 'node:module'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Clock } from '../clock.ts'
import { ConfigInvalidError } from '../errors.ts'
import type { SessionStore } from './store.ts'

/** The default export of a custom store's module. `options` is `store.options` of the configuration, as written. */
export type OpenCustomStore = (options: Readonly<Record<string, unknown>>, context: { readonly clock: Clock }) => Promise<SessionStore> | SessionStore

const METHODS = ['load', 'create', 'replace', 'touch', 'destroy', 'ping', 'close'] as const

/** Opens a store from the operator's own module: a path (relative to the working directory) or a package. */
export async function openCustomStore(
  module: string, options: Readonly<Record<string, unknown>>, context: { readonly clock: Clock },
): Promise<SessionStore> {
  const { default: open } = await importModule(module)
  if (typeof open !== 'function') throw invalid(`"${module}" has no function as its default export`)
  const store: unknown = await (open as OpenCustomStore)(options, context)
  const missing = METHODS.filter((name) => typeof (store as Record<string, unknown> | undefined)?.[name] !== 'function')
  if (missing.length > 0) throw invalid(`the store of "${module}" lacks ${missing.join(', ')}`)
  return 'kind' in (store as object) ? store as SessionStore : Object.assign(store as SessionStore, { kind: 'custom' })
}

async function importModule(module: string): Promise<{ default?: unknown }> {
  const isPath = module.startsWith('.') || isAbsolute(module)
  try {
    return await (isPath ? import(pathToFileURL(resolve(module)).href) : importPackage(module)) as { default?: unknown }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw invalid(`"${module}" cannot be loaded: ${message}`)
    throw invalid(isPath ? `"${module}" cannot be found from ${process.cwd()} (${message})` : `"${module}" cannot be found: run npm install ${module}`)
  }
}

/** A package beside the gateway, or one of the project in the working directory. */
async function importPackage(name: string): Promise<unknown> {
  try {
    return await import(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    return await import(pathToFileURL(createRequire(join(process.cwd(), 'package.json')).resolve(name)).href)
  }
}

function invalid(message: string): ConfigInvalidError {
  return new ConfigInvalidError([{ path: 'store.module', message }])
}
