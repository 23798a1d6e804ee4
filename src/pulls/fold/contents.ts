/** Digests of which only the membership is asked for: of a large manifest, not all are in memory. */
export type Digests = Pick<ReadonlySet<string>, 'has'>

/**
 * What is known of a manifest. A digest has one content. Contents that no bytes prove may become unknown again, if another
 * notification contradicts them.
 */
export type Contents =
  | { kind: 'index'; children: Digests }
  | { kind: 'image'; layers: Digests; config?: string; platform?: string }
  /** A signature, an attestation, a bill of materials: never an image. */
  | { kind: 'artifact'; blobs?: Digests; children?: Digests }

/** Looks up a manifest by its digest; undefined when nobody has read it yet. */
export type ContentsOf = (digest: string) => Contents | undefined

/** Whether a manifest is known to list another one. */
export const listsManifest = (contents: Contents | undefined, digest: string): boolean =>
  contents !== undefined && contents.kind !== 'image' && contents.children?.has(digest) === true

/** Whether a manifest is known to list a blob. */
export const listsBlob = (contents: Contents | undefined, digest: string): boolean => {
  if (contents?.kind === 'artifact') return contents.blobs?.has(digest) === true
  return contents?.kind === 'image' && (contents.layers.has(digest) || contents.config === digest)
}
