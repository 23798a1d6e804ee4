import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The folder with package.json, metrics/ and definitions/: the parent of src/, where this file is, and of dist/, where its bundle is. */
export const home = fileURLToPath(new URL('..', import.meta.url))

export const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}
