import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/** A repair would delete most of a registry from the inventory. The message says what was found, and what to do. */
export class TooMuchGone extends Error {}

/** So few may vanish from any registry. */
const FEW = 20

type Weight = { gone: number; kept: number }
/** What a repository has lost and kept of the tags and manifests that live in the inventory. */
export type Weights = { tags: Weight; manifests: Weight }

/** Weighs what a registry has lost against what it has kept, before anything is taken for deleted. */
export type MassDeletionGuard = {
  /** Adds one more repository. @throws TooMuchGone once it is sure that most is gone */
  add: (weights: Weights) => void
  /** All repositories were added: what was neither lost nor kept counts as lost. @throws TooMuchGone */
  end: () => void
  /** Whether so many were kept that no more than half can vanish any more. */
  isHarmless: () => boolean
}

/**
 * A registry with an empty storage, or another one at its address, answers well and has nothing: its inventory should not end
 * with it. Its tags decide. Of a registry with only a few tags, the manifests are weighed, unless half of these tags are there:
 * garbage collection removes any number of untagged manifests, and reports none.
 * @param done repositories that this run has walked before
 */
export const createMassDeletionGuard = async (
  db: Sql,
  { registry, done, force }: { registry: string; done: ReadonlySet<string>; force: boolean },
): Promise<MassDeletionGuard> => {
  const tags = weighing(await liveTags(db, registry), done)
  const manifests = weighing(tags.live > FEW ? [] : await liveManifests(db, registry), done)
  const areTagsThere = (): boolean => tags.live > 0 && tags.kept * 2 >= tags.live

  const refuseIfLost = (tagsToCome: number): void => {
    const isDecidedByTags = tags.live > FEW
    const weighed = isDecidedByTags ? tags : manifests
    if (force || weighed.gone <= FEW || weighed.gone * 2 <= weighed.live) return
    if (!isDecidedByTags && tags.live > 0 && (tags.kept + tagsToCome) * 2 >= tags.live) return
    const objects = isDecidedByTags ? 'tags' : 'manifests'
    throw new TooMuchGone(
      `${registry} lacks ${weighed.gone} of the ${weighed.live} ${objects} that live in the inventory, more than half of them, and none of these ` +
        'was deleted from it. Check that the address in the configuration is that of this registry, and that its storage is ' +
        `there; when the ${objects} are to go, run reconcile --apply --force (over HTTP: force=true)`,
    )
  }

  return {
    add: (weights) => {
      tags.add(weights.tags)
      manifests.add(weights.manifests)
      refuseIfLost(tags.live - tags.kept - tags.gone)
    },
    end: () => {
      refuseIfLost(0)
    },
    isHarmless: () => {
      if (force || areTagsThere()) return true
      return tags.live <= FEW && (manifests.live <= FEW || manifests.kept * 2 >= manifests.live)
    },
  }
}

/** The sums of all repositories. */
type Weighing = Weight & { live: number; add: (weight: Weight) => void }

const weighing = (counts: readonly Count[], done: ReadonlySet<string>): Weighing => {
  const sum = (some: readonly Count[]): number => some.reduce((all, { objects }) => all + objects, 0)
  const all: Weighing = {
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

/** Objects that live in one repository. */
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
