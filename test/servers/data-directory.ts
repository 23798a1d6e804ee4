import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** PostgreSQL's compression (pglz) copies at most 8 bytes of new text between two bytes of its own. */
const PIECE = 8
const ANCHOR = 4

/**
 * The files of a directory that contain a text, or a piece of it: as it is, compressed by PostgreSQL, in hexadecimal digits, or
 * in base64. Dumps are unpacked first.
 * @param text of random characters, so that no piece of it is there by chance
 */
export const filesWith = (directory: string, text: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => {
      const bytes = readFileSync(file)
      return containsPiece(file.endsWith('.gz') ? gunzipSync(bytes) : bytes, text)
    })
    .map((file) => relative(directory, file))

const containsPiece = (bytes: Buffer, text: string): boolean => {
  const has = (part: string): boolean => bytes.includes(part)
  return anchorsOf(text).some(has) ? formsOf(text).some(has) : encodedFormsOf(text).some(has)
}

/** Parts of a text, of which each piece contains one: a file with none of them is searched for no piece, which takes three times as long. */
const anchorsOf = (text: string): string[] => {
  const every = PIECE - ANCHOR + 1
  return Array.from({ length: Math.ceil((text.length - ANCHOR + 1) / every) }, (_, i) =>
    text.slice(i * every, i * every + ANCHOR),
  )
}

const formsOf = (text: string): string[] => [
  ...Array.from({ length: text.length - PIECE + 1 }, (_, i) => text.slice(i, i + PIECE)),
  ...encodedFormsOf(text),
]

const encodedFormsOf = (text: string): string[] => {
  // Base64 of the three positions that a text can have in groups of three bytes, without the characters at its ends.
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from('x'.repeat(shift) + text)
      .toString('base64')
      .slice(4, -4),
  )
  return [Buffer.from(text).toString('hex'), ...base64]
}
