import { createHash } from 'node:crypto'
import type { Digest, RepositoryPath, Tag } from '../src/events/reference.js'
import type { ManifestContents } from '../src/pulls/fold/contents.js'
import type { FoldRequest } from '../src/pulls/fold/state.js'

const REPOSITORIES = 500
const ORIGINS = 20_000
const LAYERS = 5

/** As they come from a file: each string in one piece. */
const texts = new Map<string, string>()
const text = (value: string): string => {
  const known = texts.get(value)
  if (known !== undefined) return known
  const flat = JSON.parse(JSON.stringify(value)) as string
  texts.set(flat, flat)
  return flat
}

const digestOf = (kind: string, number: number): Digest =>
  text(`sha256:${createHash('sha256').update(`${kind}${number}`).digest('hex')}`) as Digest

/** What every manifest holds. */
export const contentsOfAll = (): Map<string, ManifestContents> => {
  const known = new Map<string, ManifestContents>()
  for (let repository = 0; repository < REPOSITORIES; repository++) {
    const image = digestOf('a', repository)
    const layers = Array.from({ length: LAYERS }, (_, i) => digestOf('d', repository * LAYERS + i))
    known.set(digestOf('1', repository), { kind: 'index', children: new Set([image]) })
    known.set(image, { kind: 'image', layers: new Set(layers), config: digestOf('c', repository) })
  }
  return known
}

/** Pulls as containerd makes them, HEAD, index, manifest, configuration and layers, among checks: three of four. */
export const pullsOf = (count: number): FoldRequest[] => {
  const requests: FoldRequest[] = []
  for (let n = 0; requests.length < count; n++) {
    const number = (n * 7_919) % REPOSITORIES
    const place = {
      registry: 'registry.example',
      repository: text(`team/app-${number}`) as RepositoryPath,
      origin: text(`origin-${(n * 104_729) % ORIGINS}`),
      status: 200,
    }
    const [index, image] = [digestOf('1', number), digestOf('a', number)]
    const add = (request: Pick<FoldRequest, 'object' | 'method'> & Partial<FoldRequest>): void => {
      requests.push({ ...place, ...request, id: String(requests.length), at: n * 20_000 + requests.length })
    }
    add({ object: 'manifest', method: 'HEAD', tag: 'latest' as Tag, digest: index })
    if (n % 4 > 0) continue
    add({ object: 'manifest', method: 'GET', digest: index })
    add({ object: 'manifest', method: 'GET', digest: image })
    add({ object: 'blob', method: 'GET', digest: digestOf('c', number) })
    for (let i = 0; i < LAYERS; i++) add({ object: 'blob', method: 'GET', digest: digestOf('d', number * LAYERS + i) })
  }
  return requests
}
