import { isIndex, type Descriptor } from '../../src/events/descriptor.js'
import type { FetchedManifest, ListPage, RegistryClient } from '../../src/registries/client/registry-client.js'

export type StubRepository = {
  tags: Map<string, string>
  manifests: Map<string, FetchedManifest>
  /** Digests and sizes. */
  blobs: Map<string, number>
}

export type StubRegistry = RegistryClient & {
  repositories: Map<string, StubRepository>
  /** Each request, as `tags team/app`. */
  asked: string[]
  repository: (name: string) => StubRepository
}

/** A registry in memory, whose lists have pages of a few names. `before` is called before each answer. */
export const stubRegistry = (
  pageSize = 2,
  before: (request: string) => void | Promise<void> = () => undefined,
): StubRegistry => {
  const repositories = new Map<string, StubRepository>()
  const asked: string[] = []
  const answer = async <T>(request: string, value: () => T): Promise<T> => {
    asked.push(request)
    await Promise.resolve()
    await before(request)
    return value()
  }
  const page = (names: string[], next: string | undefined): ListPage => {
    const start = Number(next ?? 0)
    const end = start + pageSize
    return { names: names.slice(start, end), ...(end < names.length && { next: String(end) }) }
  }
  return {
    repositories,
    asked,
    repository: (name) => {
      const known = repositories.get(name) ?? { tags: new Map(), manifests: new Map(), blobs: new Map() }
      repositories.set(name, known)
      return known
    },
    catalog: async (next) => answer('catalog', () => page([...repositories.keys()].sort(), next)),
    tags: async (name, next) =>
      answer(`tags ${name}`, () => page([...(repositories.get(name)?.tags.keys() ?? [])].sort(), next)),
    manifest: async (name, reference) =>
      answer(`manifest ${name} ${reference}`, () => {
        const repository = repositories.get(name)
        return repository?.manifests.get(repository.tags.get(reference) ?? reference)
      }),
    digestOf: async (name, reference) =>
      answer(`digest ${name} ${reference}`, () => {
        const repository = repositories.get(name)
        const digest = repository?.tags.get(reference) ?? reference
        return repository?.manifests.has(digest) ? digest : undefined
      }),
    blob: async (name, digest) =>
      answer(`blob ${name} ${digest}`, () => {
        const size = repositories.get(name)?.blobs.get(digest)
        return size === undefined ? undefined : { size }
      }),
  }
}

/** Puts a manifest, and all the blobs it lists, into a repository. */
export const put = (repository: StubRepository, manifest: FetchedManifest, tag?: string): void => {
  repository.manifests.set(manifest.digest, manifest)
  if (!isIndex(manifest.mediaType))
    for (const { digest, size } of manifest.contents) repository.blobs.set(digest, size ?? 0)
  if (tag !== undefined) repository.tags.set(tag, manifest.digest)
}

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'

export const digestNamed = (name: string): Descriptor['digest'] =>
  `sha256:${name.padStart(64, '0')}` as Descriptor['digest']
const blobNamed = (name: string): Descriptor => ({
  digest: digestNamed(name),
  mediaType: 'application/octet-stream',
  size: 10,
})
export const imageNamed = (name: string, blobs: string[]): FetchedManifest => ({
  digest: digestNamed(name),
  mediaType: IMAGE,
  size: 20,
  contents: blobs.map(blobNamed),
})
export const indexNamed = (name: string, images: FetchedManifest[]): FetchedManifest => ({
  digest: digestNamed(name),
  mediaType: INDEX,
  size: 30,
  contents: images.map(({ digest, mediaType, size }) => ({ digest: digest as Descriptor['digest'], mediaType, size })),
})
