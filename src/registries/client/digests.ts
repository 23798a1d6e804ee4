import { createHash, getHashes } from 'node:crypto'
import { DIGEST_ALGORITHMS } from '../../events/reference.js'

/** The registered digest algorithms that this runtime supports: all but BLAKE3. */
const ALGORITHMS: ReadonlySet<string> = new Set(getHashes().filter((name) => DIGEST_ALGORITHMS.has(name)))

const algorithmOf = (digest: string): string => digest.slice(0, digest.indexOf(':'))

/** Whether this runtime can verify a digest. */
export const isVerifiable = (digest: string): boolean => ALGORITHMS.has(algorithmOf(digest))

/** Whether a digest is the digest of these bytes. */
export const isDigestOf = (digest: string, bytes: Buffer): boolean =>
  isVerifiable(digest) && digest === digestOf(bytes, algorithmOf(digest))

export const digestOf = (bytes: Buffer, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
