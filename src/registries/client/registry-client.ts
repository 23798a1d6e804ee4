import type { Descriptor, Platform } from '../../events/descriptor.js'

/** A manifest as a registry served it, its digest verified. */
export type FetchedManifest = {
  digest: string
  mediaType: string
  /** Bytes of the manifest itself: of those that the digest is of. */
  size: number
  artifactType?: string
  /** The digest that it refers to (OCI image-spec 1.1, "subject"). */
  subject?: string
  /** The digest of the config of an image. */
  config?: string
  /** Blobs of an image, the config first and then the layers in their order; manifests of an index. */
  contents: readonly Descriptor[]
  /** What the config of an image says; an index says it in its contents. */
  platform?: Platform
}

/** One page of a list, and what to ask the next one with; undefined when it was the last. */
export type ListPage = { names: string[]; next?: string }

/** Asks one registry (OCI distribution-spec 1.1). */
export type RegistryClient = {
  catalog: (next?: string) => Promise<ListPage>
  tags: (repository: string, next?: string) => Promise<ListPage>
  /** @returns undefined when the registry does not have it. */
  manifest: (repository: string, reference: string) => Promise<FetchedManifest | undefined>
  /** The digest a tag points to. @returns undefined when the registry does not have it. */
  digestOf: (repository: string, tag: string) => Promise<string | undefined>
  /** Whether the repository has the blob, and its bytes. */
  blob: (repository: string, digest: string) => Promise<{ size?: number } | undefined>
}
