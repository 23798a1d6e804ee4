import { comparable, type UserDirectory } from './directory.js'
import type { UserIds } from './read-user-file.js'

type UserFileDeps = {
  /** Reads the file without blocking the event loop. @throws UserFileError */
  read: (file: string, signal: AbortSignal) => Promise<UserIds>
  /** Calls back when one of the files has changed. @returns a function that stops watching */
  watchFiles: (files: () => readonly string[], onChange: () => void) => () => void
  /** Called if the file changed and is invalid or unreadable. */
  onProblem: (error: Error) => void
}

/**
 * Reads ids from a file of names. The file is read again when it changes. The previous ids stay until the whole file is read, and if
 * it is invalid or unreadable.
 * @throws UserFileError from the first reading
 */
export const openUserFile = async (
  file: string,
  { read, watchFiles, onProblem }: UserFileDeps,
): Promise<UserDirectory> => {
  const closing = new AbortController()
  const { signal } = closing
  let ids: UserIds
  let isQueued = false
  const readAgain = async (): Promise<void> => {
    isQueued = false
    try {
      if (!signal.aborted) ids = await read(file, signal)
    } catch (error) {
      if (!signal.aborted) onProblem(error as Error)
    }
  }
  const unwatch = watchFiles(
    () => [file],
    () => {
      // A change during a reading is read afterwards. That reading includes all further changes until it begins.
      if (!isQueued) reading = reading.then(readAgain)
      isQueued = true
    },
  )
  const close = (): void => {
    closing.abort()
    unwatch()
  }
  const first = read(file, signal)
  let reading: Promise<void> = first.then(
    () => undefined,
    () => undefined,
  )
  try {
    ids = await first
  } catch (error) {
    close()
    throw error
  }
  return { kind: 'file', idOf: (name) => ids.get(comparable(name)), close }
}
