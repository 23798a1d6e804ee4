type Magic = { bytes: Buffer; name: string }

const GZIP = Buffer.of(0x1f, 0x8b)
const ZSTD = Buffer.of(0x28, 0xb5, 0x2f, 0xfd)
/** A skippable frame begins with 0x50 to 0x5f, and then these bytes. `pzstd` begins its files with one. */
const SKIPPABLE = Buffer.of(0x2a, 0x4d, 0x18)

const OTHERS: readonly Magic[] = [
  { name: 'bzip2', bytes: Buffer.from('BZh') },
  { name: 'xz', bytes: Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00) },
  { name: 'lz4', bytes: Buffer.of(0x04, 0x22, 0x4d, 0x18) },
  { name: 'compress', bytes: Buffer.of(0x1f, 0x9d) },
  { name: 'zip', bytes: Buffer.of(0x50, 0x4b, 0x03, 0x04) },
  { name: '7-Zip', bytes: Buffer.of(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c) },
]

/** How many bytes `compressionOf` needs. */
export const LONGEST_MAGIC = 6

/** A compression that Tallyman reads, `none`, or the name of another one. */
export type Compression = { reads: 'gzip' | 'zstd' | 'none' } | { other: string }

/**
 * The compression of a log by its first bytes: gzip (RFC 1952, section 2.3.1), Zstandard (RFC 8878, section 3.1). A log that begins with
 * the bytes of another known compression is no text.
 */
export const compressionOf = (head: Buffer): Compression => {
  const begins = (magic: Buffer, at = 0): boolean => head.subarray(at, at + magic.length).equals(magic)
  if (begins(GZIP)) return { reads: 'gzip' }
  if (begins(ZSTD) || ((head[0] ?? 0) >> 4 === 5 && begins(SKIPPABLE, 1))) return { reads: 'zstd' }
  const other = OTHERS.find(({ bytes }) => begins(bytes))
  return other ? { other: other.name } : { reads: 'none' }
}
