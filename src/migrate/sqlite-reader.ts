import { DatabaseSync } from '@photostructure/sqlite'
import type { SqlReader } from './sql-source.ts'

const BUSY_TIMEOUT_MS = 30_000

/** Throws when there is no such file: it is never made. */
export function openSqliteReader(path: string): SqlReader {
  const database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS })
  return {
    // async, so that whatever is thrown rejects
    // eslint-disable-next-line @typescript-eslint/require-await
    async select(text, values) {
      const statement = database.prepare(text)
      statement.setReturnArrays(true)
      return statement.all(...values) as unknown[][]
    },
    quote: (identifier) => `"${identifier}"`,
    msOf: (column) => `strftime('%s', ${column}) * 1000`,
    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      database.close()
    },
  }
}
