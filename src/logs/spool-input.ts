import { randomUUID } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { FileError, fileProblem } from '../runtime/file-error.js'
import { decompress } from './decompress.js'
import type { LogSource } from './log-source.js'
import { bytesOf } from './open-log.js'

type Spooled = { source: LogSource; close: () => Promise<void> }

const NAME = 'standard input'

/**
 * Writes standard input to a temporary file, because an import reads a log several times. Only this user can read the file, and it has no
 * name: it is gone when it is closed, or when the process ends, however that ends.
 * @throws FileError, for example if the disk is full
 */
export const spoolInput = async (input: Readable): Promise<Spooled> => {
  const path = join(tmpdir(), `tallyman-import-${randomUUID()}`)
  try {
    const file = await open(path, 'wx+', 0o600)
    try {
      await unlink(path)
      for await (const chunk of input) await file.writeFile(chunk as Buffer)
    } catch (error) {
      await file.close()
      throw error
    }
    return {
      source: { name: NAME, open: async () => Promise.resolve(decompress(bytesOf(file, NAME), NAME)) },
      close: async () => file.close(),
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = `cannot be copied to ${tmpdir()}: ${fileProblem(error) ?? code ?? 'unknown error'}`
    throw new FileError(NAME, `${reason}. TMPDIR names another folder`, code)
  }
}
