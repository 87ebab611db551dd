import { createRequire } from 'node:module'
import type * as prometheus from 'prom-client'

/** The parts of prom-client that are used. Its index loads the default metrics and tracing as well: 40 ms of every start. */
const require = createRequire(import.meta.url)

export const Registry = require('prom-client/lib/registry.js') as typeof prometheus.Registry
export const Counter = require('prom-client/lib/counter.js') as typeof prometheus.Counter
export const Gauge = require('prom-client/lib/gauge.js') as typeof prometheus.Gauge
export const AggregatorRegistry = require('prom-client/lib/cluster.js') as typeof prometheus.AggregatorRegistry

export type Registry = prometheus.Registry
export type Counter<Label extends string> = prometheus.Counter<Label>
