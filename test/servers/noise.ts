import { createHash } from 'node:crypto'

/** Text that PostgreSQL cannot compress, so that an entry of an index has all of its bytes. The same seed gives the same text. */
export const noise = (length: number, seed: string): string => {
  let text = ''
  for (let i = 0; text.length < length; i++) text += createHash('sha512').update(`${seed}${i}`).digest('base64url')
  return text.slice(0, length)
}
