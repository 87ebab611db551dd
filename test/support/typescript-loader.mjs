// Lets plain node run the project's TypeScript: `node --import ./test/support/typescript-loader.mjs file.ts`. Types are removed,
// not checked. What was removed once is kept by content, so that a second start does not load the compiler.
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'

// This file is both the --import entry and the hooks; the hooks run on a thread of their own, where nothing is registered again.
if (!new URL(import.meta.url).searchParams.has('hooks') && isMainThread) register(`${import.meta.url}?hooks`)

const CACHE = new URL('../../node_modules/.cache/typescript-loader/', import.meta.url)

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
  if (!/^file:.*\.ts$/.test(url) || url.includes('/node_modules/')) return await nextLoad(url, context)
  const text = await readFile(new URL(url), 'utf8')
  const cached = new URL(`${createHash('sha256').update(url).update('\0').update(text).digest('hex')}.js`, CACHE)
  const source = await readFile(cached, 'utf8').catch(() => transpile(url, text, cached))
  return { format: 'module', source, shortCircuit: true }
}

async function transpile(url, text, cached) {
  const { default: typescript } = await import('typescript')
  const { outputText } = typescript.transpileModule(text, {
    compilerOptions: {
      target: typescript.ScriptTarget.ES2022, module: typescript.ModuleKind.ESNext, verbatimModuleSyntax: true, inlineSourceMap: true,
    },
    fileName: new URL(url).pathname,
  })
  await mkdir(CACHE, { recursive: true })
  const fresh = new URL(`${cached.href}.${process.pid}.new`)
  await writeFile(fresh, outputText)
  await rename(fresh, cached)                        // other processes see the whole file or none
  return outputText
}
