/** Prints the JSON Schema that editors complete and check a sessiongate.yaml with. */
export async function runSchema(): Promise<number> {
  const { configJsonSchema } = await import('../../src/config/manual/json-schema.ts')
  process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`)
  return 0
}
