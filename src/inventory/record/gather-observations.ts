import { microsOf, type Micros } from '../../events/calendar.js'
import type { EventId, RegistryEvent } from '../../events/registry-event.js'
import { isImplied, isIndexManifest, type Descriptor } from '../../events/descriptor.js'
import type { Actors } from './actors.js'
import { describeManifest, startManifest, type DescribedManifest } from './describe-manifest.js'
import { isLarge } from './manifest-entries.js'
import { statementOf } from './manifest-statements.js'
import type { RecentlyStored } from './recently-stored.js'
import type {
  Change,
  ObservationKind,
  SeenLookup,
  SeenObject,
  SeenPush,
  SeenRename,
  SeenRepository,
  SeenTag,
  UndecidedUse,
  ShownManifest,
  Observations,
  Times,
} from './observations.js'

type GatherDeps = {
  remembered: RecentlyStored
  /** A keyed hash that distinguishes clients; undefined if the event does not identify the client. */
  lookupOriginOf: (event: RegistryEvent) => string | undefined
  now: () => Date
}

type ShownThere = { shown: ShownManifest; contents?: readonly Descriptor[] }

/** Blobs that the statement of a batch adds because manifests imply them. Further blobs are propagated later, in steps. */
const MOST_IMPLIED = 20_000

/**
 * Collects what the events of a batch state, without reading what is stored. A statement may change a row only once, so the
 * statements about one row are merged here.
 */
export const gatherObservations = (
  events: readonly RegistryEvent[],
  { remembered, lookupOriginOf, now }: GatherDeps,
): Observations => {
  const repositories = new Map<string, SeenRepository>()
  const manifestsInRepositories = new Map<string, SeenObject>()
  const blobsInRepositories = new Map<string, SeenObject>()
  const tags = new Map<string, SeenTag>()
  const manifests = new Map<string, DescribedManifest>()
  const changes = new Map<EventId, Change>()
  const renames = new Map<EventId, SeenRename>()
  const lookups = new Map<EventId, SeenLookup>()
  const pushes: SeenPush[] = []
  const undecided = new Map<string, UndecidedUse>()
  const described = new Set<string>()
  const shown = new Map<string, ShownThere>()

  const repositoryOf = ({ registry, repository: name, at }: RegistryEvent): SeenRepository => {
    const key = `${registry} ${name}`
    const seen = repositories.get(key) ?? { number: repositories.size + 1, registry, name, first: at, last: at }
    seen.first = Math.min(seen.first, at)
    seen.last = Math.max(seen.last, at)
    repositories.set(key, seen)
    return seen
  }

  const objectIn = (objects: Map<string, SeenObject>, repository: number, digest: string): SeenObject =>
    entry(objects, `${repository} ${digest}`, () => ({ repository, digest }))
  const tagIn = (repository: number, name: string): SeenTag =>
    entry(tags, `${repository} ${name}`, () => ({ repository, name }))

  const addDelete = (event: RegistryEvent): void => {
    const repository = repositoryOf(event)
    const { at, digest, tag } = event
    if (digest !== undefined) {
      // The event does not show whether a manifest or a blob was deleted, so both are marked as deleted. Which of them exists follows
      // from the times (`live` of migration 0002, for tags model/is-live-tag.ts); questions/deletions.ts names it.
      setTime(objectIn(manifestsInRepositories, repository.number, digest), 'deleted', at)
      setTime(objectIn(blobsInRepositories, repository.number, digest), 'deleted', at)
    }
    if (tag !== undefined) setTime(tagIn(repository.number, tag), 'deleted', at)
    if (digest === undefined && tag === undefined) repository.deleted = latest(repository.deleted, at)
    changes.set(event.id, changeOf(event, { repository: repository.number, action: 'delete' }, remembered.actors))
  }

  const addRename = ({ id, registry, at, actor, rename }: RegistryEvent): void => {
    if (rename)
      renames.set(id, {
        ...rename,
        event: id,
        registry,
        at,
        ...(actor.name !== undefined && { actor: remembered.actors.of(actor.name, at) }),
      })
  }

  /** @returns whether the event is a HEAD that is a check only if the same client does not push now (check-before-push.ts). */
  const addLookup = (event: RegistryEvent, repository: number, digest: string, what: ObservationKind): boolean => {
    const { id, at, tag } = event
    if (what === 'mounted' || (what === 'pulled' && tag !== undefined)) return false
    const origin = lookupOriginOf(event)
    if (origin === undefined) return false
    if (what === 'pushed') {
      pushes.push({ repository, reference: tag ?? digest, origin, at })
      return false
    }
    const method = what === 'checked' ? 'HEAD' : 'GET'
    lookups.set(id, {
      ...{ event: id, method, repository, digest, origin, at },
      ...(tag !== undefined && { tag }),
    })
    return method === 'HEAD'
  }

  const addManifest = (event: RegistryEvent, digest: string, what: ObservationKind): void => {
    const { number, registry, name } = repositoryOf(event)
    const isPendingCheck = addLookup(event, number, digest, what)
    setTime(objectIn(manifestsInRepositories, number, digest), isPendingCheck ? 'confirmed' : what, event.at)
    const isDescribed = remembered.describes(event)
    const isShown = what !== 'pushed' && remembered.implies(event)
    // Compared again even if its blobs are stored: the list that this process remembers may have been contested since.
    const { contents } = statementOf(event)
    if (!isDescribed || (!isShown && contents)) described.add(digest)
    if (!isShown) {
      const one = entry<ShownThere>(shown, `${number} ${digest}`, () => ({
        shown: { number, registry, name, digest, isCovered: false },
      }))
      if (contents) one.contents ??= contents
    }
    // Even if the event adds nothing new, the row of the manifest is needed: transactions that propagate its blobs wait for
    // each other at this row.
    if (!isShown || !isDescribed) {
      describeManifest(
        entry(manifests, digest, () => startManifest(digest)),
        event,
      )
    }
    if (event.tag === undefined) return
    const tag = tagIn(number, event.tag)
    if (isPendingCheck) {
      tag.first = Math.min(tag.first ?? event.at, event.at)
      tag.asked = latest(tag.asked, event.at)
    } else setTime(tag, what, event.at)
    pointTag(tag, digest, event.at)
    if (what === 'pushed')
      changes.set(event.id, changeOf(event, { repository: number, action: 'push' }, remembered.actors))
  }

  const addBlob = (event: RegistryEvent, digest: string, what: ObservationKind): void => {
    const blob = objectIn(blobsInRepositories, repositoryOf(event).number, digest)
    setTime(blob, what, event.at)
    if (event.size !== undefined) blob.size = Math.max(blob.size ?? 0, event.size)
  }

  /** An event that does not show which manifest or blob it is about. A tag that it names is used, whatever it points to. */
  const addUndecided = (event: RegistryEvent): void => {
    const what = observationKindOf(event)
    const { at, tag, digest } = event
    const seen = repositoryOf(event)
    const { number, registry, name } = seen
    seen.undecided = latest(seen.undecided, at)
    if (tag !== undefined) {
      const named = tagIn(number, tag)
      setTime(named, what, at)
      named.undecided = latest(named.undecided, at)
    }
    if ((what !== 'pulled' && what !== 'checked') || digest === undefined) return
    const use = entry(undecided, `${number} ${digest}`, () => ({ registry, name, digest }))
    use[what] = latest(use[what], at)
  }

  for (const event of events) {
    const { action, digest, object } = event
    if (action === 'delete') addDelete(event)
    else if (action === 'rename') addRename(event)
    else if (digest !== undefined && object !== undefined) {
      const what = observationKindOf(event)
      if (object === 'manifest') addManifest(event, digest, what)
      else addBlob(event, digest, what)
    } else if (action === 'push' || action === 'pull') {
      addUndecided(event)
    }
  }
  // The blobs of a manifest are in the repository that showed the manifest.
  let implied = 0
  for (const [key, { shown: one, contents }] of shown) {
    const manifest = manifests.get(one.digest)
    if (manifest?.contested) {
      one.isCovered = true
      continue
    }
    if (isLarge({ contents })) continue
    // The list, completed by all events of the batch. A contradicting list would make the manifest contested.
    const impliedEntries = (contents && (manifest?.contents ?? contents))?.filter(isImplied) ?? []
    implied += impliedEntries.length
    if (contents === undefined) {
      one.isCovered = manifest?.contents === undefined
      continue
    }
    if (implied > MOST_IMPLIED) continue
    one.isCovered = true
    if (isIndexManifest({ mediaType: manifest?.mediaType, contents })) continue
    for (const { digest, size } of impliedEntries) {
      const blob = objectIn(blobsInRepositories, one.number, digest)
      blob.implied = true
      const pushed = manifestsInRepositories.get(key)?.pushed
      if (pushed !== undefined) blob.manifest = latest(blob.manifest, pushed)
      if (size !== undefined) blob.size = Math.max(blob.size ?? 0, size)
    }
  }
  return {
    repositories: [...repositories.values()],
    manifestsInRepositories: [...manifestsInRepositories.values()],
    blobsInRepositories: [...blobsInRepositories.values()],
    tags: [...tags.values()],
    manifests: [...manifests.values()],
    changes: [...changes.values()],
    renames: [...renames.values()],
    lookups: [...lookups.values()],
    pushes,
    undecided: [...undecided.values()],
    received: microsOf(now()),
    described: [...manifests.values()].filter(({ digest }) => described.has(digest)),
    shown: [...shown.values()].map((one) => one.shown),
  }
}

/** A HEAD is a check: it is no pull, but it shows that the object exists. */
const observationKindOf = ({ action, method }: RegistryEvent): ObservationKind => {
  if (action === 'push') return 'pushed'
  if (action === 'mount') return 'mounted'
  return method === 'HEAD' ? 'checked' : 'pulled'
}

const entry = <T>(map: Map<string, T>, key: string, make: () => T): T => {
  const known = map.get(key)
  if (known) return known
  const made = make()
  map.set(key, made)
  return made
}

const latest = (a: Micros | undefined, b: Micros): Micros => (a === undefined || b > a ? b : a)

const setTime = (seen: Times, what: ObservationKind | 'confirmed', at: Micros): void => {
  seen[what] = latest(seen[what], at)
  if (what !== 'deleted') seen.first = Math.min(seen.first ?? at, at)
}

/**
 * A tag points to the digest that was stated last. If two times are equal, the greater digest wins, so that the order of events
 * does not matter.
 */
const pointTag = (tag: SeenTag, digest: string, at: Micros): void => {
  const before = tag.pointed ?? -Infinity
  if (at < before || (at === before && digest <= (tag.digest ?? ''))) return
  tag.digest = digest
  tag.pointed = at
}

const changeOf = (event: RegistryEvent, what: Pick<Change, 'repository' | 'action'>, actors: Actors): Change => {
  const { id, at, digest, tag, actor } = event
  return {
    event: id,
    at,
    ...what,
    ...(digest !== undefined && { digest }),
    ...(tag !== undefined && { tag }),
    ...(actor.name !== undefined && { actor: actors.of(actor.name, at) }),
  }
}
