/** Digests of which only the membership is asked for: of a large manifest, not all are in memory. */
export type DigestSet = Pick<ReadonlySet<string>, 'has'>

/** What is known of a manifest in a repository. Events that contradict each other, or a reading of the manifest, may change it. */
export type ManifestContents =
  | { kind: 'index'; children: DigestSet }
  | { kind: 'image'; layers: DigestSet; config?: string; platform?: string }
  /** A signature, an attestation, a bill of materials: never an image. */
  | { kind: 'artifact'; blobs?: DigestSet; children?: DigestSet }

/** Looks up a manifest by its digest; undefined when nobody has read it yet. */
export type ContentsOf = (digest: string) => ManifestContents | undefined

/** Whether a manifest is known to list another one. */
export const listsManifest = (contents: ManifestContents | undefined, digest: string): boolean =>
  contents !== undefined && contents.kind !== 'image' && contents.children?.has(digest) === true

/** Whether a manifest is known to list a blob. */
export const listsBlob = (contents: ManifestContents | undefined, digest: string): boolean => {
  if (contents?.kind === 'artifact') return contents.blobs?.has(digest) === true
  return contents?.kind === 'image' && (contents.layers.has(digest) || contents.config === digest)
}
