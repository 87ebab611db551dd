// The second half of `npm run build`: the command line in a few files instead of some hundred modules, because finding, reading and
// compiling those is most of the time between the start and the first request. Optional drivers, and what works out paths from its own
// place, stay outside.
import { build } from 'esbuild'

await build({
  entryPoints: ['dist/bin/sessiongate.js'],
  outdir: 'dist/bin',
  allowOverwrite: true,
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
  external: ['lmdb', 'ioredis', 'pg', 'mysql2', 'mongodb', '@photostructure/sqlite', 'autocannon', 'http-proxy', 'pino', 'pino-pretty', 'prom-client', '../../bench/*'],
  // Bundled CommonJS asks for Node's own modules by require.
  banner: { js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);' },
})
