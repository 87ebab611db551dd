const INTEGER = /^-?\d+$/

/** The text Python's `json` writes for a float: `repr`, so `1.0`, `1e+16`, `1e-07`, `-0.0`, and `NaN`, `Infinity`. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  if (Object.is(value, -0)) return '-0.0'
  const [digits = '', power = ''] = value.toExponential().split('e')
  const exponent = Number(power)
  if (exponent < -4 || exponent >= 16) return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

export function isIntegerText(text: string): boolean {
  return INTEGER.test(text)
}

/** What Python writes after having read the number `text`; equal for two texts exactly when Python cannot tell them apart. */
export function canonicalNumber(text: string): string {
  if (isIntegerText(text)) return text === '-0' ? '0' : text
  return floatText(Number(text))
}
