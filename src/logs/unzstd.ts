import { ZSTDDecoder } from 'zstddec/stream'
import { messageOf } from '../runtime/error-message.js'
import { DamagedLog } from './damaged-log.js'
import { endsTooEarly } from './ends-too-early.js'

/** What the decoder is given at once, in bytes. */
const PORTION = 16 * 1024
/** The smallest frame is a skippable one (RFC 8878, section 3.1.2). */
const SMALLEST_FRAME = 8
/** When the caller stops early, the decoder is brought to its end if the rest of the portion expands to no more than this. */
const MOST_DRAINED = 64 * 1024 * 1024

/**
 * Decompresses Zstandard (RFC 8878): several frames, also skippable ones. The decoder is the one of the reference implementation, which
 * checks the checksums and refuses windows of more than 128 MiB.
 * @throws FileError after all that was read, if the file is cut; DamagedLog
 */
export async function* unzstd(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  const decoder = new ZSTDDecoder()
  await decoder.init()
  const packed = portionsOf(chunks)
  /** The decoder asks for a portion at once, so the next one is read before. */
  let ahead: Buffer | undefined
  let emptyOutputs = 0
  const input = function* (): Generator<Buffer> {
    while (ahead) {
      const portion = ahead
      ahead = undefined
      emptyOutputs = 0
      yield portion
    }
  }
  const output = decoder.decodeStreaming(input())
  let isOpen = true as boolean
  /** @returns undefined at the end */
  const next = (): Buffer | undefined => {
    isOpen = false
    const unpacked = nextOf(output, name)
    if (!unpacked) return undefined
    emptyOutputs = unpacked.length === 0 ? emptyOutputs + 1 : 0
    // The decoder does not report errors. It goes on forever without output; a frame without content has no output, either.
    if (emptyOutputs > PORTION / SMALLEST_FRAME + 1) throw new DamagedLog(name, 'it is not valid Zstandard data')
    isOpen = true
    return unpacked
  }
  try {
    for (;;) {
      ahead ??= (await packed.next()).value
      const unpacked = next()
      if (!unpacked) break
      if (unpacked.length > 0) yield unpacked
    }
  } finally {
    ahead = undefined
    if (isOpen) drain(next)
    await packed.return(undefined)
  }
}

const nextOf = (output: Generator<Uint8Array>, name: string): Buffer | undefined => {
  try {
    const { value } = output.next() as IteratorResult<Uint8Array, undefined>
    return value && Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  } catch (error) {
    const message = messageOf(error)
    throw message.startsWith('Incomplete stream') ? endsTooEarly(name) : new DamagedLog(name, message)
  }
}

/** The decoder frees its memory only at its end. */
const drain = (next: () => Buffer | undefined): void => {
  try {
    let bytes = 0
    for (let unpacked = next(); unpacked && bytes < MOST_DRAINED; unpacked = next()) bytes += unpacked.length
  } catch {
    // The input ends too early, of course.
  }
}

async function* portionsOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PORTION) yield chunk.subarray(at, at + PORTION)
  }
  return undefined
}
