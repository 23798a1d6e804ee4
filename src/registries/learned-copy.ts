import type { Database, Sql } from '../storage/sql/database.js'
import { createLearned, type Learned } from './learned.js'
import { lockLearned, readLearned, writeLearned, type LearnedChanges, type Learnings } from './learned-tables.js'
import type { ConfiguredRegistries } from './registries.js'

/** The copy that a process has of the learned hosts and processes. */
type LearnedCopy = {
  current: () => Learned
  /** Whether nothing was read yet, or a connection was lost since. */
  isUnread: () => boolean
  /** Reads everything once for all events that arrive meanwhile, on a connection that reports do not use. */
  readAll: () => Promise<void>
  /** Applies the changes that other processes have stored. */
  refresh: () => Promise<void>
  /** Changes the learned hosts and processes in one transaction, under their lock. */
  change: (
    decide: (current: Learned, tx: Sql) => Learnings | Promise<Learnings>,
    options: { isPermanent: boolean },
  ) => Promise<void>
  /** Applies new names of the configuration. */
  rename: () => void
}

type LearnedCopyDeps = { database: Database; configured: ConfiguredRegistries; now: () => Date }

/** A copy that is empty at first. */
export const createLearnedCopy = ({ database, configured, now }: LearnedCopyDeps): LearnedCopy => {
  const { losses } = database
  let learned = createLearned(configured)
  let revision = UNREAD
  let reading: Promise<void> | undefined
  // A database that was restored may have a lower revision, and others after it that this process has not seen.
  losses.onLoss(() => {
    revision = UNREAD
    reading = undefined
  })

  /**
   * Applies changes after a revision that this process has. Applying them twice changes nothing.
   * @param readAt the count of losses when reading began
   */
  const take = (changes: LearnedChanges, readAt: number): void => {
    // This process has already applied newer changes.
    if (changes.revision <= revision || losses.count() !== readAt) return
    learned = updated(changes)
    revision = changes.revision
  }
  const updated = (changes: LearnedChanges): Learned =>
    (changes.isWhole ? createLearned(configured) : learned).with(changes)
  const refresh = async (): Promise<void> => {
    const readAt = losses.count()
    take(await readLearned(database.sql, revision), readAt)
  }

  const readAll = async (): Promise<void> => {
    const readAt = losses.count()
    take(await database.transaction(async (tx) => readLearned(tx, UNREAD), readAt), readAt)
  }
  const readAllTogether = async (): Promise<void> => {
    const current = (reading ??= readAll())
    await current.finally(() => {
      if (reading === current) reading = undefined
    })
  }

  const change: LearnedCopy['change'] = async (decide, { isPermanent }) => {
    const preparedAt = losses.count()
    const changes = await database.transaction(async (tx) => {
      await lockLearned(tx)
      const read = await readLearned(tx, revision)
      const learnings = await decide(updated(read), tx)
      if (learnings.hosts.size + learnings.processes.size === 0) return read
      await writeLearned(tx, learnings, { revision: read.revision + 1, now: now(), isPermanent })
      return {
        hosts: new Map([...read.hosts, ...learnings.hosts]),
        processes: new Map([...read.processes, ...learnings.processes]),
        revision: read.revision + 1,
        isWhole: read.isWhole,
      }
    }, preparedAt)
    take(changes, preparedAt)
  }

  return {
    current: () => learned,
    isUnread: () => revision === UNREAD,
    readAll: readAllTogether,
    refresh,
    change,
    rename: () => {
      learned = learned.with(NOTHING)
    },
  }
}

/** Before the first revision: all hosts and processes are still to be read. */
const UNREAD = -1

const NOTHING: Learnings = { hosts: new Map(), processes: new Map() }
