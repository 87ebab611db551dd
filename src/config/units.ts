import { z } from 'zod'

const MS_PER: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES_PER: Readonly<Record<string, number>> = { B: 1, KB: 1_024, MB: 1_048_576, GB: 1_073_741_824 }

function quantity(text: string, units: Readonly<Record<string, number>>): number {
  const [, digits = '', unit = ''] = /^(\d+)([A-Za-z]+)$/.exec(text) ?? []
  return Number(digits) * (units[unit] ?? Number.NaN)
}

/** A duration such as `500ms`, `30s`, `15m`, `24h`, `30d`; becomes milliseconds. */
export const duration = z
  .string({ error: 'expected a duration with a unit, such as "30m" (ms, s, m, h, d)' })
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, 'expected a number and a unit, such as "30m" (ms, s, m, h, d)')
  .transform((text) => quantity(text, MS_PER))

/** A duration for what cannot be switched off. */
export const positiveDuration = duration.refine((ms) => ms > 0, 'must be more than zero')

/** A size such as `512B`, `16KB`, `10MB`; becomes bytes (1 KB = 1024 bytes). */
export const size = z
  .string({ error: 'expected a size with a unit, such as "16KB" (B, KB, MB, GB)' })
  .regex(/^\d{1,9}(B|KB|MB|GB)$/, 'expected a number and a unit, such as "16KB" (B, KB, MB, GB)')
  .transform((text) => quantity(text, BYTES_PER))

/** 1800000 -> `30m`: the largest unit that loses nothing. */
export function durationText(ms: number): string {
  return textOf(ms, MS_PER, 'ms')
}

/** 16384 -> `16KB`. */
export function sizeText(bytes: number): string {
  return textOf(bytes, BYTES_PER, 'B')
}

function textOf(amount: number, units: Readonly<Record<string, number>>, smallest: string): string {
  const [unit, per] = Object.entries(units).findLast(([, size]) => amount >= size && amount % size === 0) ?? [smallest, 1]
  return `${amount / per}${unit}`
}
