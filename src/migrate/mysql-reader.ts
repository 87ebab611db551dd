import { createConnection } from 'mysql2/promise'
import type { SqlReader } from './sql-source.ts'

const TIMEOUT_MS = 30_000

export async function openMysqlReader(uri: string): Promise<SqlReader> {
  const connection = await createConnection({ uri, connectTimeout: TIMEOUT_MS })
  connection.on('error', () => undefined)                              // every query rejects with it
  return {
    async select(sql, values) {
      const [rows] = await connection.query({ sql, values: [...values], rowsAsArray: true, timeout: TIMEOUT_MS })
      return rows as unknown[][]
    },
    quote: (identifier) => `\`${identifier}\``,
    msOf: (column) => `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) DIV 1000`,
    close: () => connection.end(),
  }
}
