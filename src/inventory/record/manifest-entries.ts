import { isIndex, type Descriptor } from '../../events/target.js'

/** What one manifest holds at one position. */
export type Entry = Descriptor & { manifest: string; position: number }

type Manifest = { digest: string; mediaType?: string; contents?: readonly Descriptor[] }

/** What manifests hold: blobs of images, manifests of indexes. */
export const entriesOf = (manifests: readonly Manifest[]): { blobs: Entry[]; children: Entry[] } => {
  const entries = (some: readonly Manifest[]): Entry[] =>
    some.flatMap(({ digest: manifest, contents = [] }) =>
      contents.map((entry, position) => ({ ...entry, manifest, position })),
    )
  return {
    blobs: entries(manifests.filter(({ mediaType }) => !isIndex(mediaType))),
    children: entries(manifests.filter(({ mediaType }) => isIndex(mediaType))),
  }
}
