/**
 * How the fold names a tag, a digest or a request: by its text, or by a number that stands for the text. The fold only tests whether
 * two names are equal, so that it does the same with both. Numbers take a small part of the time.
 */
export type Name = string | number

/** A set of digests that can only be tested for membership: not all digests of a large manifest are in memory. */
export type DigestSet<N extends Name = string> = Pick<ReadonlySet<N>, 'has'>

/** The known contents of a manifest in a repository. Contradicting events, or a read of the manifest, may change them. */
export type ManifestContents<N extends Name = string> =
  | { kind: 'index'; children: DigestSet<N> }
  | { kind: 'image'; layers: DigestSet<N>; config?: N; platform?: string }
  /** A signature, an attestation, a bill of materials: never an image. */
  | { kind: 'artifact'; blobs?: DigestSet<N>; children?: DigestSet<N> }

/** Looks up the contents of a manifest by its digest; undefined if they are unknown. */
export type ContentsOf<N extends Name = string> = (digest: N) => ManifestContents<N> | undefined

/** Whether a manifest is known to list another one. */
export const listsManifest = <N extends Name>(contents: ManifestContents<N> | undefined, digest: N): boolean =>
  contents !== undefined && contents.kind !== 'image' && contents.children?.has(digest) === true

/** Whether a manifest is known to list a blob. */
export const listsBlob = <N extends Name>(contents: ManifestContents<N> | undefined, digest: N): boolean => {
  if (contents?.kind === 'artifact') return contents.blobs?.has(digest) === true
  return contents?.kind === 'image' && (contents.layers.has(digest) || contents.config === digest)
}
