import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'

/** A repair would delete most of a registry from the inventory. The message says what was found, and what to do. */
export class TooMuchGone extends Error {}

/** So few may vanish from any registry. */
const FEW = 20

/** What is weighed: the tags, or the manifests of a registry that has only a few tags. */
type Weighed = 'tag' | 'manifest'

/** Weighs what a registry has lost against what it has kept, before anything is taken for deleted. */
export type Vanishing = {
  weighed: Weighed
  /** Objects of the weighed kind that live in the inventory: those of one more repository. @throws TooMuchGone when most of them are gone */
  add: (objects: { gone: number; kept: number }) => void
  /** Whether so many were kept that no more than half can vanish any more. */
  isHarmless: () => boolean
}

/**
 * A registry with an empty storage, or another one at its address, answers well and has nothing: its inventory should not end
 * with it.
 * @param done repositories that this run has walked before
 */
export const createVanishing = async (
  db: Sql,
  { registry, done, force }: { registry: string; done: ReadonlySet<string>; force: boolean },
): Promise<Vanishing> => {
  const tags = await liveTags(db, registry)
  const weighed = sum(tags) > FEW ? 'tag' : 'manifest'
  const counts = weighed === 'tag' ? tags : await liveManifests(db, registry)
  const live = sum(counts)
  let kept = sum(counts.filter(({ repository }) => done.has(repository)))
  let gone = 0
  return {
    weighed,
    add: (objects) => {
      kept += objects.kept
      gone += objects.gone
      if (force || gone <= FEW || gone * 2 <= live) return
      throw new TooMuchGone(
        `${registry} lacks ${gone} of the ${live} ${weighed}s that live in the inventory, more than half of them, and none of these ` +
          'was deleted from it. Check that the address in the configuration is that of this registry, and that its storage is ' +
          `there; when the ${weighed}s are to go, run reconcile --apply --force (over HTTP: force=true)`,
      )
    },
    isHarmless: () => force || live <= FEW || kept * 2 >= live,
  }
}

/** Objects that live in one repository. */
type Count = { repository: string; objects: number }

const sum = (counts: readonly Count[]): number => counts.reduce((all, { objects }) => all + objects, 0)

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
