import { expect, test } from '@jest/globals'
import { NotADelivery } from '../../src/sources/sender.js'
import { createLog } from '../../src/service/log.js'
import { observeNotifications, onceAMinute } from '../../src/service/observe.js'
import { anEvent } from '../servers/events.js'

test('of each status the log has one line a minute, whatever comes of others', () => {
  let clock = Date.parse('2026-11-23T09:00:00Z')
  const isToBeTold = onceAMinute(() => new Date(clock))
  expect([401, 503, 401, 500, 503, 500].map(isToBeTold)).toEqual([true, true, false, true, false, false])
  clock += 60_000
  expect([503, 503].map(isToBeTold)).toEqual([true, false])
  // The clock was ahead.
  clock -= 365 * 86_400_000
  expect([503, 503].map(isToBeTold)).toEqual([true, false])
})

test('a refused request is logged with its reason, a defect with its stack', () => {
  const lines: string[] = []
  const { refused } = observeNotifications({
    receptions: { refused: () => undefined },
    prometheus: { refused: () => undefined },
    writes: { failed: () => undefined },
    log: createLog('info', { write: (line: string) => void lines.push(line) }),
    now: () => new Date('2026-11-23T09:00:00Z'),
  } as unknown as Parameters<typeof observeNotifications>[0])
  refused(400, new NotADelivery('the body is not JSON'))
  refused(500, new Error('a defect'))
  const [wrong, defect] = lines.map((line) => JSON.parse(line) as { reason?: string; err?: { stack?: string } })
  expect([wrong?.reason, wrong?.err]).toEqual(['the body is not JSON', undefined])
  expect(defect?.err?.stack).toContain('a defect')
})

test('an event that the database refused does not show that its registry was heard', () => {
  const heard: unknown[] = []
  const written: string[] = []
  const { stored } = observeNotifications({
    receptions: { heard: (events: unknown[]) => heard.push(...events) },
    prometheus: { lastEvent: () => undefined, events: () => undefined, unreadableField: () => undefined },
    writes: { succeeded: () => written.push('succeeded') },
    now: () => new Date('2026-11-23T09:00:00Z'),
  } as unknown as Parameters<typeof observeNotifications>[0])
  const [first, second] = [anEvent({ id: 1 }), anEvent({ id: 2 })]
  stored([first], ['not_storable'])
  expect([heard, written]).toEqual([[], []])
  stored([first, second], ['not_storable', 'recorded'])
  expect([heard, written]).toEqual([[second], ['succeeded']])
})
