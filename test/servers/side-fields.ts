import fc from 'fast-check'
import { SIDE_FIELDS, type SideField } from '../../src/events/side-fields.js'
import { digestNamed } from './stub-registry.js'

type Json = Record<string, unknown>

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** An event with every field that a registry sends, as JSON has it. */
export const whole = (action: string): Json & { id: string } => ({
  id: '88bd8d68-f8c2-446d-bca0-218a0c6dc671',
  timestamp: '2026-11-21T10:49:34.648759891Z',
  action,
  target: {
    mediaType: IMAGE,
    size: 582,
    digest: digestNamed('a1'),
    repository: 'team/app',
    url: `https://registry.example/v2/team/app/manifests/${digestNamed('a1')}`,
    ...(action !== 'rename' && { tag: '1.0' }),
    references: [
      { mediaType: 'application/vnd.oci.image.config.v1+json', size: 5, digest: digestNamed('c1') },
      { mediaType: LAYER, size: 100, digest: digestNamed('b1') },
    ],
    ...(action === 'rename' && { rename: { type: 'name', from: 'team/app', to: 'team/web' } }),
  },
  request: {
    id: 'r1',
    addr: '203.0.113.9:34560',
    host: 'registry.example',
    method: action === 'pull' ? 'GET' : 'PUT',
    useragent: 'containerd/v1.7.13',
  },
  actor: { name: 'alice', user_type: 'build', user: 'a.b.c' },
  source: { addr: 'registry-0:5000', instanceID: 'i' },
})

/** The event with another value in the place of a field; undefined takes the field away. */
export const setField = <Event extends Json>(event: Event, field: SideField, value: unknown): Event => {
  const [first = '', second] = field.split('.')
  return second === undefined
    ? { ...event, [first]: value }
    : { ...event, [first]: { ...(event[first] as Json), [second]: value } }
}

/** Values that no field of an event can have. */
const nonsense = fc.oneof(
  fc.constantFrom<unknown>(true, false, 0.5, -1, 1e300, 'nul \0', 'half \ud800', 'x'.repeat(20_000), [[]], ['x'], [7]),
  fc.jsonValue().filter((value) => Array.isArray(value) && value.length > 0),
)
const notText = fc.constantFrom<unknown>(7, {}, { a: 1 })
const EXACT: ReadonlySet<SideField> = new Set([
  ...(['id', 'request.id', 'actor.name', 'request.host', 'source.instanceID', 'target.mediaType'] as const),
])

/** Lists are legal there, and numbers; objects have side fields of their own. */
const valuesOf = (field: SideField): fc.Arbitrary<unknown> => {
  if (field === 'target.references') return fc.oneof(notText, fc.constantFrom<unknown>('x', ['x'], [{ digest: 'x' }]))
  if (field === 'target.size') return fc.oneof(nonsense, fc.constantFrom<unknown>('582', {}))
  if (['request', 'actor', 'source'].includes(field)) return fc.oneof(nonsense, fc.constantFrom<unknown>('x', 7))
  if (field === 'target.rename') return fc.oneof(nonsense, fc.constantFrom<unknown>({}, { from: 'a', to: 'No Path' }))
  const lost = EXACT.has(field) ? fc.constant<unknown>('j\ufffdrg') : notText
  return fc.oneof(nonsense, notText, lost)
}

/** A field of an event of some action, and what was sent in its place. */
export const corrupted: fc.Arbitrary<{ action: string; field: SideField; value: unknown }> = fc
  .constantFrom(...SIDE_FIELDS)
  .chain((field) =>
    fc.record({
      action: field === 'target.rename' ? fc.constant('rename') : fc.constantFrom('push', 'pull', 'delete', 'mount'),
      field: fc.constant(field),
      // A long user agent is cut, not refused, and a long URL is read at its end.
      value: valuesOf(field).filter(
        (value) => typeof value !== 'string' || field !== 'request.useragent' || value.length < 512,
      ),
    }),
  )
