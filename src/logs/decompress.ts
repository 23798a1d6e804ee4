import { Readable } from 'node:stream'
import { FileError, fileProblem } from '../runtime/file-error.js'
import { compressionOf, LONGEST_MAGIC } from './compression.js'
import { gunzip } from './gunzip.js'
import { unzstd } from './unzstd.js'

/** A log may always expand to so many bytes. */
const FREE_BYTES = 64 * 1024 * 1024
/**
 * A longer log may expand to so many times its compressed size. Measured: a log of an image registry expands 6 to 18 times; one that
 * contains nothing but equal health checks, of which only the time differs, 180 times (gzip) to 490 times (zstd).
 */
const MOST_TIMES = 1_000

type Bytes = AsyncIterable<Buffer>

/**
 * Decompresses a log, which is recognized by its first bytes; another log passes unchanged. All bytes before a defect are handed on
 * before the error.
 * @param raw is read once, and closed if the result is destroyed
 * @param name names the log in errors
 * @throws (as the stream's error) FileError, with what to do; DamagedLog if the bytes before may be wrong
 */
export const decompress = (raw: Bytes, name: string): Readable =>
  // A stream with an error drops what it has buffered. With this mark, it reads on only when the buffer is empty.
  Readable.from(decompressed(raw, name), { objectMode: false, highWaterMark: 1 })

async function* decompressed(raw: Bytes, name: string): AsyncGenerator<Buffer> {
  const counter = { bytes: 0 }
  const chunks = namedErrors(raw, name, counter)
  try {
    const head = await firstBytes(chunks)
    const compression = compressionOf(head)
    if ('other' in compression)
      throw new FileError(
        name,
        `is compressed with ${compression.other}, which Tallyman does not read: decompress it first, and import the result or pipe it to tallyman import -`,
      )
    const rest = withFirst(head, chunks)
    if (compression.reads === 'none') yield* rest
    else yield* limited((compression.reads === 'gzip' ? gunzip : unzstd)(rest, name), name, counter)
  } finally {
    await chunks.return(undefined)
  }
}

/** The bytes at the beginning: as few chunks as contain a magic number. */
const firstBytes = async (chunks: AsyncIterator<Buffer>): Promise<Buffer> => {
  const first: Buffer[] = []
  for (let length = 0; length < LONGEST_MAGIC;) {
    const next = await chunks.next()
    if (next.done === true) break
    first.push(next.value)
    length += next.value.length
  }
  const [only] = first
  return only && first.length === 1 ? only : Buffer.concat(first)
}

async function* withFirst(first: Buffer, rest: Bytes): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first
  yield* rest
}

async function* namedErrors(raw: Bytes, name: string, counter: { bytes: number }): AsyncGenerator<Buffer, undefined> {
  try {
    for await (const chunk of raw) {
      counter.bytes += chunk.length
      yield chunk
    }
  } catch (error) {
    if (error instanceof FileError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new FileError(name, `cannot be read to its end: ${fileProblem(error) ?? code ?? 'unknown error'}`, code)
  }
  return undefined
}

/** Stops a compressed file that is made to fill a disk or to keep a process busy. */
async function* limited(unpacked: Bytes, name: string, packed: { bytes: number }): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of unpacked) {
    bytes += chunk.length
    if (bytes > FREE_BYTES && bytes > MOST_TIMES * packed.bytes)
      throw new FileError(
        name,
        `expands to more than ${MOST_TIMES} times its size, as no usual log does. If it is a log, decompress it first, and pipe it to tallyman import -`,
      )
    yield chunk
  }
}
