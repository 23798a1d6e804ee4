import { lstatSync, realpathSync, statSync, type Stats } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { isNativeError } from 'node:util/types'
import { fileProblem } from '../../runtime/file-error.js'
import { isStorageUnavailable } from '../../storage/unavailable.js'
import { CommandError } from './failure.js'
import { standardOutput } from './output.js'

/**
 * Lets `write` fill a file that only its owner may read (`-` is standard output). An existing file keeps its content until the new
 * one is complete: the new file is written beside it, and then replaces it.
 * @throws CommandError if the file cannot be written; the error of `write`
 */
export const writeWhole = async (
  file: string,
  write: (target: NodeJS.WritableStream) => Promise<unknown>,
): Promise<void> => {
  if (file === '-') {
    await write(standardOutput())
    return
  }
  const found = statOf(file)
  if (found && !found.isFile()) {
    // A device or a pipe has no content to keep, and must not be replaced by a file.
    await fill(await opened(file, 'w'), file, write)
    return
  }
  // A link stays, and its target is replaced.
  const target = found ? realpathSync(file) : file
  const draft = `${target}.${process.pid}.part`
  try {
    await fill(await opened(draft, 'wx'), file, write)
    await rename(draft, target).catch((error: unknown) => {
      throw unusable(file, 'written', error)
    })
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw error
  }
}

/** The state of an existing file; undefined if there is no file. @throws CommandError */
const statOf = (file: string): Stats | undefined => {
  try {
    const found = statSync(file, { throwIfNoEntry: false })
    if (found || !lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) return found
  } catch (error) {
    throw unusable(file, 'written', error)
  }
  throw new CommandError(`${file}: is a link to a file that does not exist; remove the link, or name the file itself`)
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
    // For example a full disk. Errors of sockets belong to stores.
    if (isNativeError(error) && 'syscall' in error && !isStorageUnavailable(error))
      throw unusable(file, 'written', error)
    throw error
  } finally {
    target.destroy()
  }
}

/** Opens a file (`-` is standard input) and passes its lines to `read` as they arrive. @throws CommandError */
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
    yield* textLines(input, LONGEST_LINE)
  } catch (error) {
    if (error instanceof CommandError) throw new CommandError(`${file}: ${error.message}`)
    throw unusable(file, 'read', error)
  }
}

/** The largest number of characters of a line. The longest lines of exports, of repositories and of sketches, have some 17,000. */
const LONGEST_LINE = 1_048_576

/**
 * The lines of a text in UTF-8 that arrives in pieces.
 * @param longest the largest number of characters of a line
 * @throws CommandError for a longer line, and for bytes that are not UTF-8
 */
export async function* textLines(input: AsyncIterable<Uint8Array | string>, longest: number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let number = 0
  let rest = ''
  const checked = (line: string): string => {
    if (line.length <= longest) return line
    throw new CommandError(`line ${number + 1} is longer than ${longest} characters; Tallyman writes no such lines`)
  }
  const decoded = (chunk?: Uint8Array): string => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw new CommandError(`line ${number + 1} or one of those that follow it is not UTF-8`)
    }
  }
  for await (const chunk of input) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoded(chunk))).split(/\r?\n/)
    rest = checked(lines.pop() ?? '')
    for (const line of lines) {
      yield checked(line)
      number++
    }
  }
  rest += decoded()
  if (rest !== '') yield checked(rest)
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
  return new CommandError(`${file}: cannot be ${done}: ${fileProblem(error) ?? code}`)
}
