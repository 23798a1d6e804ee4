import type { Micros } from '../../events/calendar.js'
import type { EventId, Rename } from '../../events/registry-event.js'
import type { SeenActor } from './actors.js'
import type { ManifestStatement } from './manifest-statements.js'

/** The newest time of each thing that can happen to an object, a tag or a repository, and the oldest time of any. */
export type Times = {
  pushed?: Micros
  pulled?: Micros
  checked?: Micros
  /** Of a manifest: it was there, which is no use. */
  confirmed?: Micros
  mounted?: Micros
  deleted?: Micros
  first?: Micros
}
export type ObservationKind = Exclude<keyof Times, 'first' | 'confirmed'>

export type SeenRepository = {
  number: number
  registry: string
  name: string
  first: Micros
  last: Micros
  deleted?: Micros
}
export type SeenObject = Times & {
  repository: number
  digest: string
  size?: number
  /** Of a blob: the newest push of a manifest that has it. */
  manifest?: Micros
  /** Of a blob: a manifest that is there has it. */
  implied?: boolean
}
export type SeenTag = Times & { repository: number; name: string; digest?: string; pointed?: Micros; asked?: Micros }
export type SeenManifest = ManifestStatement & {
  digest: string
  /** Registries of the batch that show the manifest, those that state its list, that state it with all that the batch knows of it, and that state its media type. */
  shownBy: ReadonlySet<string>
  statedBy: ReadonlySet<string>
  completedBy: ReadonlySet<string>
  typedBy: ReadonlySet<string>
  /** Whether events of the batch contradict each other about the manifest, so that nothing else is here. */
  contested?: boolean
}
export type Change = {
  event: EventId
  repository: number
  at: Micros
  /** `gone`: a registry that was asked did not have it any more; nobody told when or by whom it was deleted. */
  action: 'push' | 'delete' | 'gone'
  digest?: string
  tag?: string
  actor?: SeenActor
}
/** A HEAD of a manifest, or a GET by digest that may belong to a HEAD by tag. */
export type SeenLookup = {
  event: EventId
  method: 'HEAD' | 'GET'
  repository: number
  digest: string
  tag?: string
  origin: string
  at: Micros
}
/** A push of a manifest, to be found by the HEAD that a client sends before it. */
export type SeenPush = {
  repository: number
  /** The tag, or the digest of a manifest that was pushed without one. */
  reference: string
  origin: string
  at: Micros
}
export type SeenRename = Rename & { event: EventId; registry: string; at: Micros; actor?: SeenActor }

export type ShownManifest = {
  /** Of the repository in the batch. */
  number: number
  registry: string
  name: string
  digest: string
  /** What it holds is among the blobs of the batch, or the batch does not know it. */
  isCovered: boolean
}

/** What a batch of events says about registries, each row once, whatever the order of the events. */
export type Observations = {
  repositories: SeenRepository[]
  manifestsInRepositories: SeenObject[]
  blobsInRepositories: SeenObject[]
  tags: SeenTag[]
  manifests: SeenManifest[]
  changes: Change[]
  renames: SeenRename[]
  lookups: SeenLookup[]
  pushes: SeenPush[]
  /** When the events arrived. */
  received: Micros
  /** Manifests about which an event states something that this process has not stored yet. */
  described: SeenManifest[]
  /** Manifests that were pushed, or shown for the first time: what they hold is in that repository, too. */
  shown: ShownManifest[]
}
