import type { Digest } from '../../src/events/reference.js'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import type { Descriptor } from '../../src/events/descriptor.js'
import { anEvent } from './events.js'

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** A digest that says what it is of. */
export const digestOf = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest

const part = (name: string, mediaType: string, size: number): Descriptor => ({
  digest: digestOf(name),
  mediaType,
  size,
})
const image = (name: string, layers: Descriptor[]): Descriptor[] => [part(`c${name}`, CONFIG, 5), ...layers]
const base = part('ba5e', LAYER, 1000)
const child = (name: string, architecture: string): Descriptor => ({
  ...part(name, IMAGE, 20),
  platform: { os: 'linux', architecture },
})

type Wanted = Parameters<typeof anEvent>[0]

/**
 * OCI images in three repositories. team/app: 1.0 and latest are image a1, 2.0 is the index a5 of a2 and a3, old was image a4
 * until it was deleted by digest. team/lib: image b1, which shares its base with team/app, and lacks its own layer since a
 * delete; 0.9 was deleted by tag. other/tool, at another registry: a blob without manifest.
 */
export const knownHistory = (): RegistryEvent[] => {
  let id = 0
  const told = (wanted: Wanted): RegistryEvent => anEvent({ id: ++id, name: 'alice', ...wanted })
  const blob = (repository: string, at: string, { digest, size }: Descriptor): RegistryEvent =>
    told({ repository, at, object: 'blob', digest, size: size ?? 0, mediaType: 'application/octet-stream' })
  const manifest = (wanted: Wanted & { of: string }, references: Descriptor[]): RegistryEvent =>
    told({ object: 'manifest', mediaType: IMAGE, size: 20, references, ...wanted, digest: digestOf(wanted.of) })
  const app = { repository: 'team/app' }
  const lib = { repository: 'team/lib' }
  const layers = (name: string, size: number): Descriptor[] => image(name, [base, part(`1a${name}`, LAYER, size)])
  const pushed = (
    repository: string,
    at: string,
    of: string,
    tag: string | undefined,
    size: number,
  ): RegistryEvent[] => [
    ...layers(of, size).map((one) => blob(repository, at, one)),
    manifest({ repository, at, of, ...(tag !== undefined && { tag }) }, layers(of, size)),
  ]
  return [
    ...pushed('team/app', '2026-01-10T10:00:00Z', 'a4', 'old', 400),
    ...pushed('team/app', '2026-02-10T10:00:00Z', 'a1', '1.0', 100),
    manifest({ ...app, of: 'a1', at: '2026-02-11T10:00:00Z', tag: 'latest' }, layers('a1', 100)),
    ...pushed('team/app', '2026-06-10T10:00:00Z', 'a2', undefined, 200),
    ...pushed('team/app', '2026-06-10T10:00:00Z', 'a3', undefined, 300),
    manifest({ ...app, of: 'a5', at: '2026-06-10T10:00:01Z', tag: '2.0', mediaType: INDEX, size: 30 }, [
      child('a2', 'amd64'),
      child('a3', 'arm64'),
    ]),
    told({
      ...app,
      action: 'pull',
      object: 'manifest',
      at: '2026-09-01T10:00:00Z',
      tag: '1.0',
      digest: digestOf('a1'),
    }),
    told({
      ...app,
      action: 'pull',
      object: 'manifest',
      at: '2026-03-01T10:00:00Z',
      tag: 'old',
      digest: digestOf('a4'),
    }),
    told({ ...app, action: 'delete', at: '2026-11-01T10:00:00Z', digest: digestOf('a4'), name: 'bob' }),
    ...pushed('team/lib', '2026-03-10T10:00:00Z', 'b1', '1.0', 50),
    manifest({ ...lib, of: 'b1', at: '2026-03-11T10:00:00Z', tag: '0.9' }, layers('b1', 50)),
    told({ ...lib, action: 'delete', at: '2026-11-02T10:00:00Z', tag: '0.9', name: 'bob' }),
    told({ ...lib, action: 'delete', at: '2026-11-03T10:00:00Z', digest: digestOf('1ab1'), name: 'carol' }),
    ...pushed('team/lib', '2026-04-10T10:00:00Z', 'b2', undefined, 60),
    told({
      registry: 'mirror.example',
      repository: 'other/tool',
      at: '2026-05-10T10:00:00Z',
      object: 'blob',
      digest: digestOf('100se'),
      size: 7000,
    }),
  ]
}
