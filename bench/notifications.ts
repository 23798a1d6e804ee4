/** Notifications as registries send them, made for one workload of a benchmark. */
import { createHash, randomUUID } from 'node:crypto'

/** A tag that is there, or will be. */
export type Place = { registry: string; repository: string; tag: string; digest: string }

/**
 * What a registry is told to do again and again: `push-tag` pushes small manifests by one tag; `push-blob` blobs that nobody
 * has seen; `pull-tag` pulls the tags of all places in turn; `push-manifest` pushes new manifests with a new tag each, in a
 * random place, of which `push-manifest-told` says the contents: three blobs, one of them one of four that many have.
 */
export type Workload = 'push-tag' | 'push-blob' | 'pull-tag' | 'push-manifest' | 'push-manifest-told'

const USERS = 1_000
const SHARED_BLOBS = 4
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip'

const newDigest = (): string => `sha256:${randomUUID().replaceAll('-', '')}${randomUUID().replaceAll('-', '')}`

/** So many places, the same each time. */
export const somePlaces = (number: number): Place[] =>
  Array.from({ length: number }, (_, i) => {
    const repository = `team/app-${i}`
    const digest = `sha256:${createHash('sha256').update(repository).digest('hex')}`
    return { registry: '127.0.0.1:5700', repository, tag: '1.0', digest }
  })

/** Makes the events of a workload, one with each call. */
export const createEvents = (workload: Workload, places: readonly Place[]): (() => object) => {
  let made = 0
  const event = (place: Place, action: string, method: string, target: object): object => ({
    id: randomUUID(),
    timestamp: new Date().toISOString().replace('Z', '759891Z'),
    action,
    target: { ...target, repository: place.repository },
    request: { id: randomUUID(), addr: '127.0.0.1:34560', host: place.registry, method, useragent: 'skopeo/1.9.3' },
    actor: { name: `user-${Math.floor(Math.random() * USERS)}`, user_type: 'gitlab_or_ldap' },
    source: { addr: 'vm:5700', instanceID: 'cba1c10d-d701-44d3-9da3-9d760abec8d0' },
  })
  const place = (i: number): Place => {
    const found = places[i % places.length]
    if (!found) throw new Error('there are no places to send events about')
    return found
  }
  const anywhere = (): Place => place(Math.floor(Math.random() * places.length))
  const manifest = ({ registry, repository }: Place, digest: string, tag: string): object => ({
    mediaType: MANIFEST,
    size: 582,
    digest,
    length: 582,
    url: `http://${registry}/v2/${repository}/manifests/${digest}`,
    tag,
  })
  const makers: Record<Workload, () => object> = {
    'push-tag': () => {
      const at = anywhere()
      return event(at, 'push', 'PUT', manifest(at, newDigest(), '1.0'))
    },
    'push-blob': () => {
      const [at, digest] = [anywhere(), newDigest()]
      const url = `http://${at.registry}/v2/${at.repository}/blobs/${digest}`
      return event(at, 'push', 'PUT', {
        mediaType: 'application/octet-stream',
        size: 3_401,
        digest,
        length: 3_401,
        url,
      })
    },
    'pull-tag': () => {
      const at = place(made++)
      return event(at, 'pull', 'GET', manifest(at, at.digest, at.tag))
    },
    'push-manifest': () => {
      const at = anywhere()
      return event(at, 'push', 'PUT', manifest(at, newDigest(), randomUUID()))
    },
    'push-manifest-told': () => {
      const at = anywhere()
      const shared = `sha256:${String(made++ % SHARED_BLOBS).padStart(64, '0')}`
      const references = [newDigest(), newDigest(), shared].map((digest) => ({ mediaType: LAYER, size: 3_401, digest }))
      return event(at, 'push', 'PUT', { ...manifest(at, newDigest(), randomUUID()), references })
    },
  }
  return makers[workload]
}
