import type { JsonObject } from './session.ts'

let lastData: JsonObject | undefined
let lastText = ''

/**
 * The JSON text of a session's data. A state is measured and then stored: the text is made once for both. Only the last is kept:
 * with a table by state the garbage collector costs more than making it again.
 */
export function dataTextOf(data: JsonObject): string {
  if (data !== lastData) {
    lastText = JSON.stringify(data)
    lastData = data
  }
  return lastText
}
