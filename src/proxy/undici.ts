import { createRequire } from 'node:module'
import type * as undici from 'undici'
import type { Dispatcher } from 'undici'

/** The parts of undici that are used. Its index loads fetch, caches and mocks as well: 60 ms of every start. */
const require = createRequire(import.meta.url)

export const Pool = require('undici/lib/dispatcher/pool.js') as typeof undici.Pool
export const buildConnector = require('undici/lib/core/connect.js') as typeof undici.buildConnector
export const errors = require('undici/lib/core/errors.js') as typeof undici.errors
/** `dispatcher.request` of the whole undici: its index adds it. */
export const request = require('undici/lib/api/api-request.js') as (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>
