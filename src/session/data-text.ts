import type { JsonObject } from './session.ts'

let lastData: JsonObject | undefined
let lastText = ''

/** The JSON text of a session's data, which never changes. A state is measured and then stored: the last text is kept for that. */
export function dataTextOf(data: JsonObject): string {
  if (data !== lastData) {
    lastText = JSON.stringify(data)
    lastData = data
  }
  return lastText
}
