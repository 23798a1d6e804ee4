import type { ContentsOf, DigestSet, ManifestContents } from '../fold/contents.js'
import type { Numbering } from './numbering.js'

/** Looks up contents by numbers. Each manifest is looked up once. */
export const contentsInNumbers = (
  contentsOf: ContentsOf,
  { numberOf, textOf }: Pick<Numbering, 'numberOf' | 'textOf'>,
): ContentsOf<number> => {
  const known = new Map<number, ManifestContents<number> | undefined>()
  const digests = (set: DigestSet): DigestSet<number> => ({ has: (digest) => set.has(textOf(digest)) })
  const read = (digest: number): ManifestContents<number> | undefined => {
    const contents = contentsOf(textOf(digest))
    if (!contents) return undefined
    if (contents.kind === 'index') return { kind: 'index', children: digests(contents.children) }
    if (contents.kind === 'artifact') {
      const { blobs, children } = contents
      return {
        kind: 'artifact',
        ...(blobs && { blobs: digests(blobs) }),
        ...(children && { children: digests(children) }),
      }
    }
    const { layers, config } = contents
    return { kind: 'image', layers: digests(layers), ...(config !== undefined && { config: numberOf(config) }) }
  }
  return (digest) => {
    if (!known.has(digest)) known.set(digest, read(digest))
    return known.get(digest)
  }
}
