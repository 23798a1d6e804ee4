import { messageOf } from '../../runtime/error-message.js'
import type { Dumps } from './dumps.js'
import { UserError } from '../../runtime/user-error.js'

/** A requested dump could not be written. The message contains the reason. */
class DumpFailed extends UserError {
  override readonly kind = 'unavailable'
}

/** The newest dump. Times are UTC. */
export type NewestDump = { lastAt: Date | string }

/**
 * Writes a dump. A dump of the same day is replaced.
 * @throws DumpFailed
 */
export const dumpNow = async (dumps: Pick<Dumps, 'write' | 'state'>): Promise<NewestDump> => {
  try {
    await dumps.write()
  } catch (error) {
    throw new DumpFailed(`the dump could not be written: ${messageOf(error)}`, { cause: error })
  }
  const { lastAt } = await dumps.state()
  if (lastAt === null) throw new DumpFailed('the dump could not be written; the log of the service has the reason')
  return { lastAt }
}
