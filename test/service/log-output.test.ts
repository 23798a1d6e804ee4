import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createLog, reportDropped } from '../../src/service/log.js'
import { createLogOutput, droppedLineWarnings, type LogOutput } from '../../src/service/log-output.js'
import { NOW } from '../servers/clock.js'

/** A device whose room and state a test sets. */
let device: { text: string; room: number; code: string | undefined; calls: number }
let output: LogOutput
beforeEach(() => {
  jest.useFakeTimers()
  device = { text: '', room: Infinity, code: undefined, calls: 0 }
  output = createLogOutput({
    writeSome: (bytes) => {
      device.calls++
      if (device.code !== undefined && device.room === 0) throw Object.assign(new Error('write'), { code: device.code })
      const written = Math.min(device.room, bytes.length)
      device.text += bytes.toString('utf8', 0, written)
      device.room -= written
      return written
    },
    report: (lines, reason) => `dropped ${lines}: ${reason}\n`,
    now: () => NOW,
  })
})
afterEach(() => {
  jest.useRealTimers()
})

const fail = (code: string, room = 0): void => {
  device.code = code
  device.room = room
}
const recover = (): void => {
  device.code = undefined
  device.room = Infinity
}

describe('the output of the log', () => {
  test('is written at once, so that a killed process loses no line', () => {
    output.write('one\n')
    output.write('two\n')
    expect(device.text).toBe('one\ntwo\n')
    expect(output.dropped()).toEqual({ lines: 0 })
    expect(jest.getTimerCount()).toBe(0)
  })

  test.each([
    ['ENOSPC', 'no space is left on the disk (ENOSPC)'],
    ['EIO', 'the disk reported an error (EIO)'],
    ['EPIPE', 'its reader is gone (EPIPE)'],
    ['EBADF', 'it is closed (EBADF)'],
    ['EFOO', '(EFOO)'],
  ])('drops lines after the error %s, and reports them when writing works again', (code, reason) => {
    fail(code)
    for (const line of ['one\n', 'two\n', 'three\n']) output.write(line)
    expect(output.dropped()).toEqual({ lines: 3, last: { at: NOW, reason } })
    jest.advanceTimersByTime(60_000)
    expect(output.dropped().lines).toBe(3)
    recover()
    jest.advanceTimersByTime(1_000)
    expect(device.text).toBe(`dropped 3: ${reason}\n`)
    output.write('four\n')
    jest.advanceTimersByTime(60_000)
    expect(device.text).toBe(`dropped 3: ${reason}\nfour\n`)
    expect(output.dropped().lines).toBe(3)
  })

  test('reports dropped lines before the next line', () => {
    fail('ENOSPC')
    output.write('one\n')
    recover()
    output.write('two\n')
    expect(device.text).toMatch(/^dropped 1: .*\ntwo\n$/)
  })

  test('completes a line whose beginning was written before the disk was full', () => {
    fail('ENOSPC', 2)
    output.write('one\n')
    output.write('two\n')
    expect(device.text).toBe('on')
    expect(output.dropped().lines).toBe(1)
    recover()
    output.write('three\n')
    expect(device.text).toMatch(/^one\ndropped 1: .*\nthree\n$/)
  })

  test('completes a report whose beginning was written, and counts its lines once', () => {
    fail('ENOSPC')
    output.write('one\n')
    fail('ENOSPC', 4)
    output.write('two\n')
    recover()
    jest.advanceTimersByTime(1_000)
    expect(device.text).toMatch(/^dropped 1: .*\ndropped 1: .*\n$/)
    expect(output.dropped().lines).toBe(2)
  })

  test('keeps the lines of a slow reader, a bounded number of them', () => {
    fail('EAGAIN')
    const line = `${'x'.repeat(1023)}\n`
    for (let i = 0; i < 1_500; i++) output.write(line)
    expect(output.dropped()).toEqual({ lines: 476, last: { at: NOW, reason: 'its reader is too slow (EAGAIN)' } })
    recover()
    jest.advanceTimersByTime(1_100)
    expect(device.text).toBe(`${line.repeat(1_024)}dropped 476: its reader is too slow (EAGAIN)\n`)
  })

  test('writes what a reader makes room for, in order and without a hole', () => {
    fail('EAGAIN', 5)
    const lines = Array.from({ length: 50 }, (_, i) => `line ${i}\n`)
    for (const line of lines) {
      output.write(line)
      device.room += 3
      jest.advanceTimersByTime(100)
    }
    recover()
    jest.advanceTimersByTime(100)
    expect(device.text).toBe(lines.join(''))
    expect(output.dropped().lines).toBe(0)
  })

  test('does not repeat a write for ever to a device that takes nothing and reports no error', () => {
    device.room = 0
    output.write('one\n')
    expect(device.calls).toBe(1)
    recover()
    jest.advanceTimersByTime(100)
    expect(device.text).toBe('one\n')
  })

  test('writes the pending lines at the end, and does not wait for ever for a reader', () => {
    jest.useRealTimers()
    fail('EAGAIN')
    output.write('one\n')
    output.flush()
    recover()
    output.flush()
    expect(device.text).toBe('one\n')
  })

  test('is a warning of the status for a day', () => {
    const dropped = { lines: 7, last: { at: NOW, reason: 'no space is left on the disk (ENOSPC)' } }
    expect(droppedLineWarnings({ lines: 0 }, NOW)).toEqual([])
    expect(droppedLineWarnings(dropped, new Date(NOW.getTime() + 86_400_000))).toEqual([
      `7 lines of the log were dropped since the start, the last at ${NOW.toISOString()}, because standard output could not be ` +
        'written: no space is left on the disk (ENOSPC)',
    ])
    expect(droppedLineWarnings(dropped, new Date(NOW.getTime() + 86_400_001))).toEqual([])
  })

  test('reports dropped lines in the form of the log', () => {
    const line = reportDropped(3, 'its reader is gone (EPIPE)')
    expect(line).toMatch(/^\{.*\}\n$/)
    expect(JSON.parse(line)).toMatchObject({ level: 'warn', lines: 3, reason: 'its reader is gone (EPIPE)' })
  })

  test('does not let a failed write reach the caller of the log', () => {
    fail('ENOSPC')
    createLog('info', output).fatal('the database failed')
    expect(output.dropped().lines).toBe(1)
  })
})
