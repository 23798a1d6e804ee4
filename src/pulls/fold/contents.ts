/** What is known of a manifest. A digest has one content, so this never changes once it is known. */
export type Contents =
  | { kind: 'index'; children: ReadonlySet<string> }
  | { kind: 'image'; layers: ReadonlySet<string>; config?: string; platform?: string }
  /** A signature, an attestation, a bill of materials: never an image. */
  | { kind: 'artifact' }

/** Looks up a manifest by its digest; undefined when nobody has read it yet. */
export type ContentsOf = (digest: string) => Contents | undefined
