import { createHash, randomUUID } from 'node:crypto'

const REPOSITORIES = 500
const ADDRESSES = 5_000
const LAYERS = 2
const DAYS_MS = 3 * 86_400_000
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const HOST = 'registry.example.com'

const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

type Request = { action: string; method: string; repository: string; address: string; target: object }

const repositoryOf = (number: number): string => `team/app-${number % REPOSITORIES}`
const addressOf = (number: number): string => `203.0.${Math.floor((number % ADDRESSES) / 250)}.${number % 250}:34560`
const manifest = (digest: string): object => ({ mediaType: MANIFEST, size: 582, length: 582, digest })
const layersOf = (image: string): string[] => Array.from({ length: LAYERS }, (_, i) => digestOf(`${image} layer ${i}`))

/** A push of an image, whose manifest lists three blobs. */
const push = (number: number, image: string): Request[] => {
  const references = [
    { mediaType: CONFIG, size: 1_470, digest: digestOf(`${image} config`) },
    ...layersOf(image).map((digest) => ({ mediaType: LAYER, size: 3_401, digest })),
  ]
  const target = { ...manifest(digestOf(image)), references, tag: image.split(' ').at(-1) }
  return [{ action: 'push', method: 'PUT', repository: repositoryOf(number), address: addressOf(number), target }]
}

/** A pull as containerd makes it: the tag, the manifest, the configuration and the layers; or a check of the tag alone. */
const pull = (number: number, isCheck: boolean): Request[] => {
  const image = `${number % REPOSITORIES} latest`
  const of = { action: 'pull', repository: repositoryOf(number), address: addressOf(number * 7_919) }
  const byTag = { ...of, method: 'HEAD', target: { ...manifest(digestOf(image)), tag: 'latest' } }
  if (isCheck) return [byTag]
  const blob = (digest: string): Request => ({
    ...of,
    method: 'GET',
    target: { mediaType: 'application/octet-stream', size: 3_401, length: 3_401, digest },
  })
  return [
    byTag,
    { ...of, method: 'GET', target: manifest(digestOf(image)) },
    blob(digestOf(`${image} config`)),
    ...layersOf(image).map(blob),
  ]
}

const deletion = (number: number): Request[] => [
  {
    action: 'delete',
    method: 'DELETE',
    repository: repositoryOf(number),
    address: addressOf(number),
    target: { digest: digestOf(`${number} new-${number}`) },
  },
]

/** A push of each repository, then of twelve: nine pulls or checks, two pushes of new images, and a deletion. */
const requestsOf = (number: number): Request[] => {
  if (number < REPOSITORIES) return push(number, `${number} latest`)
  const kind = number % 12
  if (kind < 9) return pull(number, kind % 2 === 0)
  return kind < 11 ? push(number, `${number} new-${number}`) : deletion(number - 1)
}

const urlOf = ({ repository, target }: Request): string => {
  const { mediaType, digest } = target as { mediaType?: string; digest: string }
  const kind = mediaType === undefined || mediaType === MANIFEST ? 'manifests' : 'blobs'
  return `http://${HOST}/v2/${repository}/${kind}/${digest}`
}

/**
 * What a registry reports of pulls, pushes and deletions, one event with each call.
 * @param total the number of events over which the last three days are spread, so that there are days to roll up.
 */
export const createMixedEvents = (total: number): (() => object) => {
  const started = Date.now() - DAYS_MS
  let number = 0
  let made = 0
  let pending: Request[] = []
  return () => {
    while (pending.length === 0) pending = requestsOf(number++)
    const [request] = pending.splice(0, 1) as [Request]
    const { action, method, repository, address, target } = request
    return {
      id: randomUUID(),
      timestamp: new Date(started + (made++ / total) * DAYS_MS).toISOString(),
      action,
      target: { ...target, repository, url: urlOf(request) },
      request: { id: randomUUID(), addr: address, host: HOST, method, useragent: 'containerd/1.7.21' },
      actor: { name: `user-${number % 1_000}`, user_type: 'gitlab_or_ldap' },
      source: { addr: 'vm:5700', instanceID: 'cba1c10d-d701-44d3-9da3-9d760abec8d0' },
    }
  }
}
