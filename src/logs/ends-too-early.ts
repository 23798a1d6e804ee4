import { FileError } from '../runtime/file-error.js'

/** A compressed log is cut. What was read of it is right. */
export const endsTooEarly = (name: string): FileError =>
  new FileError(
    name,
    'ends in the middle of its compressed data: it was cut, or is still being written. Import it again when it is whole',
  )
