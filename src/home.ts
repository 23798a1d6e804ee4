import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * The directory with package.json, metrics/ and definitions/. It is the parent of src/, which contains this file, and of dist/,
 * which contains the bundle.
 */
export const home = fileURLToPath(new URL('..', import.meta.url))

export const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}
