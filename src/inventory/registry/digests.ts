import { createHash } from 'node:crypto'

/** The registered algorithms of the OCI image specification (1.1, "Digests"). */
const ALGORITHMS: ReadonlySet<string> = new Set(['sha256', 'sha512'])

const algorithmOf = (digest: string): string => digest.slice(0, digest.indexOf(':'))

/** Whether bytes can be told to be those of this digest. */
export const isVerifiable = (digest: string): boolean => ALGORITHMS.has(algorithmOf(digest))

/** Whether these are the bytes of the digest. */
export const isDigestOf = (digest: string, bytes: Buffer): boolean =>
  isVerifiable(digest) && digest === digestOf(bytes, algorithmOf(digest))

export const digestOf = (bytes: Buffer, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
