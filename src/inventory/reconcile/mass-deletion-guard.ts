import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { UserError } from '../../runtime/user-error.js'

/** A repair would delete most of a registry from the inventory. The message contains the numbers, and what to do. */
export class MassDeletionRefused extends UserError {
  override readonly kind = 'conflict'
}

/** So many objects may vanish from any registry. */
const TOLERATED_LOSSES = 20

type Loss = { gone: number; kept: number }
/** How many of the live tags and manifests of a repository the registry has lost and kept. */
export type LossCounts = { tags: Loss; manifests: Loss }

/** Compares what a registry has lost with what it has kept, before anything is marked as deleted. */
export type MassDeletionGuard = {
  /**
   * Adds one more repository.
   * @throws MassDeletionRefused once it is certain that most is gone
   */
  add: (losses: LossCounts) => void
  /**
   * Must be called after all repositories were added: objects that were neither lost nor kept then count as lost.
   * @throws MassDeletionRefused
   */
  end: () => void
  /** Whether so many objects were kept that at most half can be lost. */
  isHarmless: () => boolean
}

/**
 * A registry with an empty storage, or a different registry at its address, answers without errors and has nothing: the
 * inventory must not be deleted with it. The tags decide. If a registry has only a few tags, the manifests decide, unless half
 * of these tags exist: garbage collection deletes any number of untagged manifests, and reports none.
 * @param done repositories that this run has compared before
 */
export const createMassDeletionGuard = async (
  db: Sql,
  { registry, done, force }: { registry: string; done: ReadonlySet<string>; force: boolean },
): Promise<MassDeletionGuard> => {
  const tags = createTotals(await liveTags(db, registry), done)
  const manifests = createTotals(tags.live > TOLERATED_LOSSES ? [] : await liveManifests(db, registry), done)
  const areTagsThere = (): boolean => tags.live > 0 && tags.kept * 2 >= tags.live

  const refuseIfLost = (tagsToCome: number): void => {
    const isDecidedByTags = tags.live > TOLERATED_LOSSES
    const weighed = isDecidedByTags ? tags : manifests
    if (force || weighed.gone <= TOLERATED_LOSSES || weighed.gone * 2 <= weighed.live) return
    if (!isDecidedByTags && tags.live > 0 && (tags.kept + tagsToCome) * 2 >= tags.live) return
    const objects = isDecidedByTags ? 'tags' : 'manifests'
    throw new MassDeletionRefused(
      `${registry} lacks ${weighed.gone} of the ${weighed.live} ${objects} that live in the inventory, more than half of them, and none of these ` +
        'was deleted from it. Check that the address in the configuration is that of this registry, and that its storage is ' +
        `there; when the ${objects} are to go, run reconcile --apply --force (over HTTP: force=true)`,
    )
  }

  return {
    add: (losses) => {
      tags.add(losses.tags)
      manifests.add(losses.manifests)
      refuseIfLost(tags.live - tags.kept - tags.gone)
    },
    end: () => {
      refuseIfLost(0)
    },
    isHarmless: () => {
      if (force || areTagsThere()) return true
      return (
        tags.live <= TOLERATED_LOSSES && (manifests.live <= TOLERATED_LOSSES || manifests.kept * 2 >= manifests.live)
      )
    },
  }
}

/** The sums over all repositories. */
type Totals = Loss & { live: number; add: (weight: Loss) => void }

const createTotals = (counts: readonly Count[], done: ReadonlySet<string>): Totals => {
  const sum = (some: readonly Count[]): number => some.reduce((all, { objects }) => all + objects, 0)
  const all: Totals = {
    live: sum(counts),
    kept: sum(counts.filter(({ repository }) => done.has(repository))),
    gone: 0,
    add: ({ gone, kept }) => {
      all.gone += gone
      all.kept += kept
    },
  }
  return all
}

/** Live objects of one repository. */
type Count = { repository: string; objects: number }

const liveTags = async (db: Sql, registry: string): Promise<Count[]> => {
  const { rows } = await sql<Count>`
    select repository, count(*)::int as objects from inventory.live_tags where registry = ${registry} group by repository
  `.execute(db)
  return rows
}

const liveManifests = async (db: Sql, registry: string): Promise<Count[]> => {
  const { rows } = await sql<Count>`
    select r.name as repository, count(*)::int as objects
    from inventory.repositories r join inventory.repository_manifests o on o.repository_id = r.id
    where r.registry = ${registry} and o.live
    group by r.name
  `.execute(db)
  return rows
}
