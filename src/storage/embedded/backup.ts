import { createInTurn } from '../../runtime/in-turn.js'

/** What PostgreSQL says of a backup when it ends. */
type Backup = {
  /** The names of the first and the last segment of the write-ahead log that a restore replays. */
  first: string
  last: string
  /** The content of the file `backup_label`, which says from where the log is replayed. */
  label: string
}

/**
 * Runs work during a backup: pages that change meanwhile are in the log as a whole, so files may be copied while statements are
 * executed. A backup belongs to the session, which all statements share, so one is made at a time.
 */
export type DuringBackup = (work: () => Promise<void>) => Promise<Backup>

type Query = (statement: string) => Promise<{ rows: unknown[] }>

/** @param query executes a statement in the one session of the embedded database */
export const duringBackupOn = (query: Query): DuringBackup => {
  const inTurn = createInTurn()
  const backUp: DuringBackup = async (work) => {
    await query("select pg_backup_start('tallyman', fast => true)")
    try {
      await work()
    } catch (error) {
      await query(STOP).catch(() => undefined)
      throw error
    }
    const { rows } = await query(STOP)
    return rows[0] as Backup
  }
  return async (work) => inTurn(async () => backUp(work))
}

const STOP = `
  select substring(labelfile from 'START WAL LOCATION: .* \\(file ([0-9A-F]{24})\\)') as first, pg_walfile_name(lsn) as last,
    labelfile as label
  from pg_backup_stop(wait_for_archive => false)
`
