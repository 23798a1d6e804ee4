import type { Descriptor, Platform } from '../../events/descriptor.js'

/** A manifest from a registry, with a verified digest. */
export type FetchedManifest = {
  digest: string
  mediaType: string
  /** The number of bytes from which the digest is computed. */
  size: number
  artifactType?: string
  /** The digest of the manifest's subject (OCI image-spec 1.1, "subject"). */
  subject?: string
  /** The digest of the config of an image. */
  config?: string
  /** The blobs of an image, first the config and then the layers in order; or the manifests of an index. */
  contents: readonly Descriptor[]
  /** The platform in the config of an image. An index has platforms in its contents. */
  platform?: Platform
}

/** One page of a list, and the parameter for the next page; undefined on the last page. */
export type ListPage = { names: string[]; next?: string }

/** Reads from one registry (OCI distribution-spec 1.1). */
export type RegistryClient = {
  catalog: (next?: string) => Promise<ListPage>
  tags: (repository: string, next?: string) => Promise<ListPage>
  /** @returns undefined if the registry does not have the manifest */
  manifest: (repository: string, reference: string) => Promise<FetchedManifest | undefined>
  /** The digest that a tag points to. @returns undefined if the registry does not have the tag */
  digestOf: (repository: string, tag: string) => Promise<string | undefined>
  /** The size of a blob in bytes, if it is known. @returns undefined if the repository does not have the blob */
  blob: (repository: string, digest: string) => Promise<{ size?: number } | undefined>
}
