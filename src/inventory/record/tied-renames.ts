import type { Sql } from '../../storage/database.js'
import { isLeftFor, renamesOfMoment, type KeptRename } from './read-renames.js'

/**
 * The rename of the same moment that moves what is at the new path of another one, and so has to be carried out before that one: what
 * a rename brings, no other one of its moment moves on. In a circle of them, the one with the first event id begins.
 * @param target where the other one moves a repository to
 * @returns undefined if there is none, or nothing is left for it.
 */
export const tiedBefore = async (db: Sql, target: string, kept: KeptRename): Promise<KeptRename | undefined> => {
  const tied = await renamesOfMoment(db, kept)
  const next = covering(tied, target)
  if (!next || next.event === kept.event || beginsCircle(tied, target, kept)) return undefined
  return (await isLeftFor(db, target, next)) ? next : undefined
}

/** The first of some renames that moves a repository. */
const covering = (renames: readonly KeptRename[], name: string): KeptRename | undefined =>
  renames.find(
    ({ what, from, to }) => from !== to && (name === from || (what === 'namespace' && name.startsWith(`${from}/`))),
  )

const beginsCircle = (tied: readonly KeptRename[], target: string, kept: KeptRename): boolean => {
  const path: KeptRename[] = []
  let name = target
  for (let next = covering(tied, name); next; next = covering(tied, name)) {
    if (next.event === kept.event) return path.every(({ event }) => kept.event < event)
    if (path.includes(next)) return false
    path.push(next)
    name = next.to + name.slice(next.from.length)
  }
  return false
}
