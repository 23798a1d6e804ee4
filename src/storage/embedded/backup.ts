import { createInTurn } from '../../runtime/in-turn.js'

/** The result of a backup of PostgreSQL. */
type Backup = {
  /** The names of the first and the last segment of the write-ahead log that a restore replays. */
  first: string
  last: string
  /** The content of the file `backup_label`, which contains the start of the replay of the log. */
  label: string
}

/**
 * Runs work during a backup. Pages that change during a backup are completely in the log, so files may be copied while statements
 * run. A backup belongs to the one session, which all statements share, so only one backup runs at a time.
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
