import { writeFileSync } from 'node:fs'
import { configJsonSchema } from './json-schema.ts'
import { manualText } from './markdown.ts'

// npm run docs: what is made from the schema, written again. A test fails while they differ.
const root = new URL('../../../', import.meta.url)
writeFileSync(new URL('config.schema.json', root), `${JSON.stringify(configJsonSchema(), null, 2)}\n`)
writeFileSync(new URL('docs/configuration.md', root), manualText())
