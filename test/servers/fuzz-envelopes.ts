import fc from 'fast-check'
import { SIDE_FIELDS } from '../../src/events/side-fields.js'
import { hostileText } from './fuzz.js'
import { fixture } from './service.js'
import { setField, whole } from './side-fields.js'

const FIELDS = [
  ...SIDE_FIELDS,
  'timestamp',
  'action',
  'target.repository',
  'target.tag',
  'target.digest',
  'target',
] as const
const DIGESTS = [
  'sha256:',
  `sha256:${'g'.repeat(64)}`,
  `SHA256:${'a'.repeat(64)}`,
  `sha512:${'a'.repeat(128)}`,
  'md5:aa',
  `sha256:${'a'.repeat(64)}\0`,
]
const TIMES = [
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999999999Z',
  '2016-12-31T23:59:60Z',
  '-271821-04-20T00:00:00Z',
  '1969-12-31T23:59:59Z',
  '2026-11-21T10:00:00',
]
const anyValue = fc.oneof<fc.Arbitrary<unknown>[]>(
  hostileText,
  fc.jsonValue({ maxDepth: 3 }),
  fc.double(),
  fc.constantFrom(...DIGESTS, ...TIMES),
  fc.constantFrom<unknown>(undefined, null, 0, -0, 1e308, 2 ** 53, {}, [], [null], { __proto__: null, toString: 1 }),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
)
const mutated = fc
  .tuple(
    fc.constantFrom('push', 'pull', 'mount', 'delete', 'rename', 'fly'),
    fc.option(fc.uuid(), { nil: undefined }),
    fc.array(fc.tuple(fc.constantFrom(...FIELDS), anyValue), { maxLength: 4 }),
  )
  .map(([action, id, changes]) =>
    changes.reduce((event, [field, value]) => setField(event, field as (typeof SIDE_FIELDS)[number], value), {
      ...whole(action),
      ...(id !== undefined && { id }),
    }),
  )
/** Events that registries sent. */
export const REAL_EVENTS = fixture('registry-notifications.jsonl')
  .trim()
  .split('\n')
  .flatMap((line) => (JSON.parse((JSON.parse(line) as { body: string }).body) as { events: Event[] }).events)
type Event = Record<string, unknown>

/** All paths to values in a structure. */
const pathsOf = (structure: unknown): string[][] =>
  typeof structure === 'object' && structure !== null
    ? Object.entries(structure).flatMap(([name, inner]) => [[name], ...pathsOf(inner).map((path) => [name, ...path])])
    : []
const setPath = (structure: unknown, [first = '', ...rest]: string[], changed: unknown): unknown => {
  const copy = (Array.isArray(structure) ? [...(structure as unknown[])] : { ...(structure as Event) }) as Event
  copy[first] = rest.length === 0 ? changed : setPath(copy[first], rest, changed)
  return copy
}
/** A real event with other values at some of its places, often with a new identity, so that it is not only repeated. */
const realMutated = fc
  .tuple(
    fc.constantFrom(...REAL_EVENTS),
    fc.option(fc.uuid(), { nil: undefined }),
    fc.array(fc.tuple(fc.nat(), anyValue), { maxLength: 3 }),
  )
  .map(([event, id, changes]) =>
    changes.reduce<unknown>(
      (changed, [at, one]) => {
        const paths = pathsOf(changed)
        return setPath(changed, paths[at % paths.length] ?? ['id'], one)
      },
      { ...event, ...(id !== undefined && { id }) },
    ),
  )
const item = fc.oneof<fc.Arbitrary<unknown>[]>(
  { weight: 8, arbitrary: mutated } as never,
  { weight: 8, arbitrary: realMutated } as never,
  anyValue,
)
/** Some items, sometimes with one of them twice. */
const items = fc
  .tuple(fc.array(item, { maxLength: 3 }), fc.boolean())
  .map(([events, isRepeated]) => (isRepeated ? [...events, ...events.slice(0, 1)] : events))
const envelope = items.map((events) => JSON.stringify({ events }))
/** An envelope with some of its bytes changed or cut off. */
const spoilt = fc
  .tuple(envelope, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
  .map(([text, changes, end]) => {
    const bytes = Buffer.from(text)
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte
    return changes.length > 0 ? bytes : bytes.subarray(0, end % bytes.length)
  })
const SMALL = ['', '[]', 'null', '{"events":{}}', '['.repeat(10_000)]
/** Each takes as much work as hundreds of others. */
const LARGE = [
  `{"events":[${'1,'.repeat(300_000)}1]}`,
  `{"events":[{"target":${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}}]}`,
  `{"events":[{"id":${'9'.repeat(100_000)}}]}`,
  'x'.repeat(1_500_000),
  `{"events":[${'['.repeat(5_000)}${']'.repeat(5_000)}]}`,
]
/** The body of a request to the webhook: most can be read. */
export const envelopeBody = fc.oneof<fc.Arbitrary<string | Buffer>[]>(
  { weight: 800, arbitrary: envelope } as never,
  { weight: 200, arbitrary: spoilt } as never,
  { weight: 50, arbitrary: fc.constantFrom(...SMALL) } as never,
  { weight: 1, arbitrary: fc.constantFrom(...LARGE) } as never,
)
