import { Client } from 'pg'
import type { SqlReader } from './sql-source.ts'

const TIMEOUT_MS = 30_000

export async function openPostgresReader(url: string): Promise<SqlReader> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: TIMEOUT_MS, query_timeout: TIMEOUT_MS, application_name: 'sessiongate migrate' })
  client.on('error', () => undefined)                                  // every query rejects with it
  await client.connect()
  return {
    async select(text, values) {
      let position = 0
      const numbered = text.replace(/\?/g, () => `$${++position}`)
      return (await client.query<unknown[]>({ text: numbered, values: [...values], rowMode: 'array' })).rows
    },
    quote: (identifier) => `"${identifier}"`,
    msOf: (column) => `extract(epoch FROM ${column}) * 1000`,
    close: () => client.end(),
  }
}
