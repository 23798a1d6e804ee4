import type { Micros } from '../../events/calendar.js'
import type { EventId, Rename } from '../../events/registry-event.js'
import type { SeenActor } from './actors.js'
import type { ManifestStatement } from './manifest-statements.js'

/** The newest time of each kind of observation of an object, a tag or a repository, and the oldest time of any. */
export type Times = {
  pushed?: Micros
  pulled?: Micros
  checked?: Micros
  /** Of a manifest: it existed. That is no use. */
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
  /** The newest push, pull or check of which the event does not show the manifest or blob. */
  undecided?: Micros
}
export type SeenObject = Times & {
  repository: number
  digest: string
  size?: number
  /** Of a blob: the newest push of a manifest that has it. */
  manifest?: Micros
  /** Of a blob: a manifest that exists has it. */
  implied?: boolean
}
export type SeenTag = Times & {
  repository: number
  name: string
  digest?: string
  pointed?: Micros
  asked?: Micros
  /** The newest request by the name of the tag of which the event has no digest. */
  undecided?: Micros
}
/** Pulls and checks of a digest that may be a manifest or a blob. */
export type UndecidedUse = Pick<Times, 'pulled' | 'checked'> & { registry: string; name: string; digest: string }
export type SeenManifest = ManifestStatement & {
  digest: string
  /**
   * Registries of the batch that show the manifest (shownBy), state its list (statedBy), state all fields of the list that the
   * batch knows (completedBy), and state its media type (typedBy).
   */
  shownBy: ReadonlySet<string>
  statedBy: ReadonlySet<string>
  completedBy: ReadonlySet<string>
  typedBy: ReadonlySet<string>
  /** Whether events of the batch contradict each other about the manifest. It has no other statements then. */
  contested?: boolean
}
export type Change = {
  event: EventId
  repository: number
  at: Micros
  /** `gone`: reconcile found that the registry no longer has it; no event reported when or by whom it was deleted. */
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
/** A push of a manifest, which is looked up for the HEAD that the client sent before it. */
export type SeenPush = {
  repository: number
  /** The tag, or the digest of a manifest that was pushed without a tag. */
  reference: string
  origin: string
  at: Micros
}
export type SeenRename = Rename & { event: EventId; registry: string; at: Micros; actor?: SeenActor }

export type ShownManifest = {
  /** The number of the repository in the batch. */
  number: number
  registry: string
  name: string
  digest: string
  /** Whether the statement of the batch adds all blobs of the manifest, or the batch does not know its contents. */
  isCovered: boolean
}

/** What a batch of events states about registries, each row once. The order of the events does not matter. */
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
  undecided: UndecidedUse[]
  /** When the events arrived. */
  received: Micros
  /** Manifests about which an event states something that this process has not stored yet. */
  described: SeenManifest[]
  /** Manifests that were pushed, or shown for the first time: their blobs are in that repository, too. */
  shown: ShownManifest[]
}
