import { createGunzip, type Gunzip } from 'node:zlib'
import { FileError } from '../runtime/file-error.js'
import { DamagedLog } from './damaged-log.js'
import { endsTooEarly } from './ends-too-early.js'

const CHUNK = 1024 * 1024

/**
 * Decompresses gzip (RFC 1952): several members, also with zeros after the last one, as tapes have them.
 * @throws FileError after all that was read, if the file is cut; DamagedLog
 */
export async function* gunzip(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  const stream = createGunzip({ chunkSize: CHUNK })
  const packed = chunks[Symbol.asyncIterator]()
  let last: Buffer = Buffer.alloc(0)
  let fed = 0
  let failure: unknown

  const feed = async (): Promise<void> => {
    for (let next = await packed.next(); next.done !== true; next = await packed.next()) {
      last = next.value
      fed += last.length
      await written(stream, last)
      // The stream ends by itself at zeros after a member.
      if (stream.destroyed || stream.bytesWritten < fed) return
    }
    stream.end()
  }
  const fail = (error: unknown): void => {
    failure ??= error
    // What was fed before is still decompressed.
    stream.end()
  }
  stream.on('error', fail)
  const feeding = feed().catch(fail)
  try {
    for (;;) {
      const unpacked = stream.read() as Buffer | null
      if (unpacked !== null) yield unpacked
      else if (stream.readableEnded || stream.destroyed) break
      else await nextChange(stream)
    }
  } finally {
    stream.destroy()
    await feeding
  }
  if (failure !== undefined) throw problemOf(failure, name)
  const unread = last.subarray(last.length - (fed - stream.bytesWritten))
  if (!isZero(unread) || !(await areZero(packed)))
    throw new DamagedLog(name, 'after the end of the compressed data, other data follows')
}

/** Resolves when the chunk is decompressed, and what it expands to is read, or when nothing more is read. */
const written = async (stream: Gunzip, chunk: Buffer): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      stream.off('close', done)
      resolve()
    }
    stream.on('close', done)
    stream.write(chunk, done)
  })

const CHANGES = ['readable', 'end', 'close']

const nextChange = async (stream: Gunzip): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      for (const change of CHANGES) stream.off(change, done)
      resolve()
    }
    for (const change of CHANGES) stream.on(change, done)
  })

const problemOf = (failure: unknown, name: string): FileError => {
  if (failure instanceof FileError) return failure
  const { code, message } = failure as NodeJS.ErrnoException
  return code === 'Z_BUF_ERROR' ? endsTooEarly(name) : new DamagedLog(name, message)
}

const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0)

const areZero = async (chunks: AsyncIterator<Buffer>): Promise<boolean> => {
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    if (!isZero(next.value)) return false
  }
  return true
}
