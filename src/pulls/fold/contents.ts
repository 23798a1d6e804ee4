/** A set of digests that can only be tested for membership: not all digests of a large manifest are in memory. */
export type DigestSet = Pick<ReadonlySet<string>, 'has'>

/** The known contents of a manifest in a repository. Contradicting events, or a read of the manifest, may change them. */
export type ManifestContents =
  | { kind: 'index'; children: DigestSet }
  | { kind: 'image'; layers: DigestSet; config?: string; platform?: string }
  /** A signature, an attestation, a bill of materials: never an image. */
  | { kind: 'artifact'; blobs?: DigestSet; children?: DigestSet }

/** Looks up the contents of a manifest by its digest; undefined if they are unknown. */
export type ContentsOf = (digest: string) => ManifestContents | undefined

/** Whether a manifest is known to list another one. */
export const listsManifest = (contents: ManifestContents | undefined, digest: string): boolean =>
  contents !== undefined && contents.kind !== 'image' && contents.children?.has(digest) === true

/** Whether a manifest is known to list a blob. */
export const listsBlob = (contents: ManifestContents | undefined, digest: string): boolean => {
  if (contents?.kind === 'artifact') return contents.blobs?.has(digest) === true
  return contents?.kind === 'image' && (contents.layers.has(digest) || contents.config === digest)
}
