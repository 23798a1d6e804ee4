import { join } from 'node:path'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { parse } from 'yaml'
import { FileError } from '../runtime/file-error.js'
import { readTextFile } from '../runtime/read-file.js'
import { UserError } from '../runtime/user-error.js'

/** The size limit in bytes of a file of rules, metrics or clients. The shipped files have at most 40,000. */
const LARGEST_FILE = 1_048_576

/** A file of definitions (rules, metrics) is invalid. The message has a line for each error: file, key, and expected value. */
export class DefinitionError extends UserError {
  override readonly kind = 'setup'
  constructor(
    readonly file: string,
    readonly problems: string[],
  ) {
    super(problems.map((problem) => `${file}: ${problem}`).join('\n'))
  }
}

/** Reads a YAML file and checks it against one of the JSON Schemas in definitions/schema. */
export type ReadDefinition = (file: string, schema: string) => unknown

/** @param schemaFolder the directory of the files `<schema>.json` (JSON Schema draft-07) */
export const createDefinitionReader = (schemaFolder: string): ReadDefinition => {
  const ajv = new Ajv({ allErrors: true, verbose: true })
  const checks = new Map<string, ValidateFunction>()
  const checkFor = (schema: string): ValidateFunction => {
    const known = checks.get(schema)
    if (known) return known
    const check = ajv.compile(
      JSON.parse(readTextFile(join(schemaFolder, `${schema}.json`), { bytes: LARGEST_FILE })) as object,
    )
    checks.set(schema, check)
    return check
  }
  return (file, schema) => {
    const document = readYaml(file)
    const check = checkFor(schema)
    if (!check(document)) throw new DefinitionError(file, [...new Set((check.errors ?? []).flatMap(inWords))])
    return document
  }
}

const readYaml = (file: string): unknown => {
  let source
  try {
    source = readTextFile(file, { bytes: LARGEST_FILE })
  } catch (error) {
    throw new DefinitionError(file, [error instanceof FileError ? error.reason : String(error)])
  }
  try {
    return parse(source) as unknown
  } catch (error) {
    throw new DefinitionError(file, [`not YAML: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`])
  }
}

const inWords = (error: ErrorObject): string[] => {
  const key = keyOf(error.instancePath)
  const params = error.params as Record<string, unknown>
  switch (error.keyword) {
    case 'if':
      return []
    case 'required':
      return [`${joinKey(key, String(params.missingProperty))} is missing`]
    case 'additionalProperties':
      return [`${joinKey(key, String(params.additionalProperty))} is not a key known here`]
    case 'enum':
      return [`${key} is ${found(error.data)}, expected one of ${(params.allowedValues as unknown[]).join(', ')}`]
    case 'const':
      return [`${key} is ${found(error.data)}, expected ${String(params.allowedValue)}`]
    case 'type':
      return [`${key} is ${found(error.data)}, expected ${String(params.type)}`]
    case 'pattern':
      return [`${key} is ${found(error.data)}, expected text like ${String(params.pattern)}`]
    case 'not':
      // The description in the schema explains why the key is not allowed.
      return [`${key} ${error.parentSchema?.description as string}`]
    default:
      return [`${key} ${error.message ?? 'is wrong'}`]
  }
}

/** `/events/3/when` → `events[3].when`. */
const keyOf = (path: string): string =>
  path
    .split('/')
    .slice(1)
    .reduce((key, part) => (/^\d+$/.test(part) ? `${key}[${part}]` : joinKey(key, part)), '') || 'the document'

const joinKey = (key: string, name: string): string => (key === '' || key === 'the document' ? name : `${key}.${name}`)

const found = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined
  return text === undefined ? 'missing' : text.length > 80 ? `${text.slice(0, 80)}…` : text
}
