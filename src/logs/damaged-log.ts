import { FileError } from '../runtime/file-error.js'

/**
 * A compressed log is damaged. A checksum follows the data that it protects, so lines before the damage may be wrong, too. A log that
 * only ends too early is no damaged log: its lines are right.
 */
export class DamagedLog extends FileError {
  constructor(name: string, problem: string) {
    super(name, `is damaged: ${problem}. Get a whole copy, and import it again`)
  }
}
