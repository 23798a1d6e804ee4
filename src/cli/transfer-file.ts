import { realpathSync, statSync } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { isNativeError } from 'node:util/types'
import { isStorageAway } from '../storage/away.js'
import { CommandError } from './failure.js'
import { standardOutput } from './output.js'

/**
 * Lets `write` fill a file that only its owner may read (`-` is standard output). A file that is there already keeps its
 * content until the new one is whole: the new one is written beside it and takes its place.
 * @throws CommandError when the file cannot be written; what `write` throws
 */
export const writeWhole = async (
  file: string,
  write: (target: NodeJS.WritableStream) => Promise<unknown>,
): Promise<void> => {
  if (file === '-') {
    await write(standardOutput())
    return
  }
  const found = statSync(file, { throwIfNoEntry: false })
  if (found && !found.isFile()) {
    // A device or a pipe has no content to keep, and must stay what it is.
    await fill(await opened(file, 'w'), file, write)
    return
  }
  const target = found ? realpathSync(file) : file
  const draft = `${target}.${process.pid}.part`
  try {
    await fill(await opened(draft, 'wx'), file, write)
    await rename(draft, target)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

const fill = async (
  handle: FileHandle,
  file: string,
  write: (target: NodeJS.WritableStream) => Promise<unknown>,
): Promise<void> => {
  const target = handle.createWriteStream()
  try {
    await write(target)
  } catch (error) {
    // Of a full disk, say; errors of sockets are those of stores.
    if (isNativeError(error) && 'syscall' in error && !isStorageAway(error)) throw unusable(file, 'written', error)
    throw error
  } finally {
    target.destroy()
  }
}

/** Opens a file (`-` is standard input) and gives its lines to `read`, as they are read. @throws CommandError */
export const readLines = async (file: string, read: (lines: AsyncIterable<string>) => Promise<void>): Promise<void> => {
  const input = file === '-' ? process.stdin : (await opened(file, 'r')).createReadStream()
  try {
    await read(linesIn(file, input))
  } finally {
    input.destroy()
  }
}

async function* linesIn(file: string, input: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  try {
    yield* textLines(input)
  } catch (error) {
    throw unusable(file, 'read', error)
  }
}

/** The lines of a text that comes in pieces. */
export async function* textLines(input: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of input) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))).split(/\r?\n/)
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

const opened = async (file: string, flags: 'r' | 'w' | 'wx'): Promise<FileHandle> => {
  try {
    return await open(file, flags, 0o600)
  } catch (error) {
    throw unusable(file, flags === 'r' ? 'read' : 'written', error)
  }
}

const unusable = (file: string, done: 'read' | 'written', error: unknown): CommandError => {
  const code = isNativeError(error) && 'code' in error ? String(error.code) : 'unknown error'
  return new CommandError(
    `${file}: cannot be ${done} (${code}); check the path, its permissions and the space on the disk`,
  )
}
