import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { microsOf } from '../../src/events/calendar.js'
import { readEnvelope } from '../../src/sources/distribution/envelope.js'
import type { ReportedEvent } from '../../src/events/reported-item.js'
import { SIDE_FIELDS, type SideField } from '../../src/events/side-fields.js'
import { digestNamed } from '../servers/stub-registry.js'
import { runs } from '../servers/runs.js'
import { corrupted, setField, whole } from '../servers/side-fields.js'

const NOW = microsOf(new Date('2026-11-21T12:00:00Z'))

const read = (event: object): ReportedEvent => {
  const [one] = readEnvelope(Buffer.from(JSON.stringify({ events: [event] })), NOW)
  if (!one || 'unreadable' in one) throw new Error(`the event is not read: ${JSON.stringify(one)}`)
  return one
}

/** Without the id, and without the note that a field was sent and could not be read. */
const contentsOf = (event: ReportedEvent): object => ({
  ...event,
  ...{ id: '', contentsHash: undefined, earlierIds: undefined, unreadableFields: undefined },
})

describe('a side field that cannot be read', () => {
  test('leaves the event as if it had not been sent, and is noted', () => {
    fc.assert(
      fc.property(corrupted, ({ action, field, value }) => {
        // The address of the process is read only if the client's host is not known.
        const event = field === 'source.addr' ? setField(whole(action), 'request.host', undefined) : whole(action)
        const found = read(setField(event, field, value))
        expect(contentsOf(found)).toEqual(contentsOf(read(setField(event, field, undefined))))
        expect(found.unreadableFields).toEqual([field])
        if (field !== 'id') expect(found.id).toBe(event.id)
      }),
      runs(2_000),
    )
  })

  test.each<[SideField, unknown]>([
    ['actor.name', 'j\ufffdrg'],
    ['actor.name', 'al\0ice'],
    ['actor.name', 'al\ud800ice'],
    ['actor.name', 'a'.repeat(2_049)],
    ['actor.name', 'é'.repeat(1_025)],
    // In lower case, in which names are compared and stored, the letter has three bytes.
    ['actor.name', 'Ⱥ'.repeat(1_024)],
    ['actor', 17],
    ['actor', []],
    ['actor.user', 'x'.repeat(1024 * 1024)],
    ['actor.user_type', 7],
    ['request', 'x'],
    ['request.id', {}],
    ['request.host', 'x'.repeat(10_000)],
    ['request.host', 'evil <script>'],
    ['request.addr', 'somewhere:80'],
    ['request.useragent', 'a\ud800'],
    ['request.method', ['PUT']],
    ['source', []],
    ['id', 7],
    ['id', 'x'.repeat(2_000)],
    ['target.mediaType', 'a/b\ufffd'],
    ['target.size', -1],
    ['target.size', '582'],
    ['target.url', {}],
    ['target.references', 'x'],
    ['target.references', [{ digest: 'x' }]],
    ['target.references', [{ digest: digestNamed('a'), platform: { os: 'a'.repeat(65), architecture: 'amd64' } }]],
    ['target.references', [{ digest: digestNamed('a'), platform: { os: 'linux', architecture: 'a/b' } }]],
    ['target.references', [{ digest: digestNamed('a'), platform: { os: 'linux', architecture: 'arm', variant: 7 } }]],
    ['target.references', Array.from({ length: 50_001 }, () => ({ digest: digestNamed('a') }))],
  ])('%s', (field, value) => {
    expect(read(setField(whole('push'), field, value)).unreadableFields).toEqual([field])
  })

  test('is nothing that registries send: an empty field is a missing one', () => {
    for (const field of SIDE_FIELDS) {
      for (const nothing of [undefined, null, '']) {
        expect(read(setField(whole('push'), field, nothing)).unreadableFields).toBeUndefined()
      }
    }
  })

  test('does not take the readable part of a descriptor along', () => {
    const event = setField(whole('push'), 'target.references', [
      { digest: digestNamed('a'), size: 'x', mediaType: 7, platform: { os: 'linux' } },
      { digest: digestNamed('b'), size: 9, annotations: 'x' },
    ])
    const found = read(event)
    expect(found.references).toEqual([
      { digest: digestNamed('a'), platform: { os: 'linux' } },
      { digest: digestNamed('b'), size: 9 },
    ])
    expect(found.unreadableFields).toEqual(['target.references'])
  })

  test.each([
    [
      { os: 'windows', architecture: 'amd64', variant: '' },
      { os: 'windows', architecture: 'amd64' },
    ],
    [
      { os: 'a'.repeat(64), architecture: 'x86-64_v2.1' },
      { os: 'a'.repeat(64), architecture: 'x86-64_v2.1' },
    ],
    [{ os: 'linux', architecture: 'arm', variant: 'v'.repeat(65) }, undefined],
    [{ os: 'linux\n', architecture: 'arm' }, undefined],
    [{ os: 'linux', architecture: 'ärm' }, undefined],
  ])('of the platform %j is read whole, or the platform is unknown', (platform, expected) => {
    const found = read(setField(whole('push'), 'target.references', [{ digest: digestNamed('a'), platform }]))
    expect(found.references).toEqual([{ digest: digestNamed('a'), ...(expected && { platform: expected }) }])
  })

  test('bytes that are no UTF-8 are those of one field alone', () => {
    const body = Buffer.from(JSON.stringify({ events: [setField(whole('push'), 'actor.name', 'j#rg')] }))
    body[body.indexOf('j#rg') + 1] = 0xf6
    const [found] = readEnvelope(body, NOW)
    expect(found).toMatchObject({ action: 'push', tag: '1.0', actor: {}, unreadableFields: ['actor.name'] })
  })

  test('an id that cannot be read tells events apart all the same', () => {
    const idOf = (id: unknown): string => read(setField(whole('push'), 'id', id)).id
    expect(idOf(7)).toBe(idOf(7))
    expect(new Set([idOf(7), idOf(8), idOf({}), idOf(undefined), idOf('7')]).size).toBe(5)
    const deep = `{"events":[${JSON.stringify(setField(whole('push'), 'id', 0)).replace('"id":0', `"id":${'['.repeat(100_000)}${']'.repeat(100_000)}`)}]}`
    expect(readEnvelope(Buffer.from(deep), NOW)[0]).toMatchObject({ action: 'push', unreadableFields: ['id'] })
  })
})
