import { isIndexManifest, type Descriptor } from '../../events/descriptor.js'

/** An entry of a manifest at one position. */
export type Entry = Descriptor & { manifest: string; position: number }

type Manifest = { digest: string; mediaType?: string; contents?: readonly Descriptor[] }

/** Entries that one statement stores, well within the timeout of a registry. */
const IN_ONE_STATEMENT = 5_000

/** Whether the entries of a manifest need statements of their own. */
export const isLarge = ({ contents }: { contents?: readonly Descriptor[] | undefined }): boolean =>
  contents !== undefined && contents.length > IN_ONE_STATEMENT

/** Splits entries into parts of one statement each. */
export const inStatements = (entries: readonly Entry[]): Entry[][] =>
  Array.from({ length: Math.ceil(entries.length / IN_ONE_STATEMENT) }, (_, i) =>
    entries.slice(i * IN_ONE_STATEMENT, (i + 1) * IN_ONE_STATEMENT),
  )

/** The entries of manifests: blobs of images, manifests of indexes. */
export const entriesOf = (manifests: readonly Manifest[]): { blobs: Entry[]; children: Entry[] } => {
  const entries = (some: readonly Manifest[]): Entry[] =>
    some.flatMap(({ digest: manifest, contents = [] }) =>
      contents.map((entry, position) => ({ ...entry, manifest, position })),
    )
  return {
    blobs: entries(manifests.filter((manifest) => !isIndexManifest(manifest))),
    children: entries(manifests.filter(isIndexManifest)),
  }
}
