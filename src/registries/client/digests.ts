import { createHash, getHashes } from 'node:crypto'
import { DIGEST_ALGORITHMS } from '../../events/reference.js'

/** The registered algorithms that this runtime can compute: BLAKE3 is not among them. */
const ALGORITHMS: ReadonlySet<string> = new Set(getHashes().filter((name) => DIGEST_ALGORITHMS.has(name)))

const algorithmOf = (digest: string): string => digest.slice(0, digest.indexOf(':'))

/** Whether bytes can be told to be those of this digest. */
export const isVerifiable = (digest: string): boolean => ALGORITHMS.has(algorithmOf(digest))

/** Whether these are the bytes of the digest. */
export const isDigestOf = (digest: string, bytes: Buffer): boolean =>
  isVerifiable(digest) && digest === digestOf(bytes, algorithmOf(digest))

export const digestOf = (bytes: Buffer, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
