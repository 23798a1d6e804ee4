import { validateHeaderValue } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import type { Response } from 'express'
import { setAnswerHeaders } from '../../src/http/answer-headers.js'

const headersOf = (besides: Parameters<typeof setAnswerHeaders>[1]): Record<string, string> => {
  const headers: Record<string, string> = {}
  const response = { set: (name: string, value: string) => (headers[name] = value) }
  setAnswerHeaders(response as unknown as Pick<Response, 'set'>, besides)
  return headers
}

describe('the headers of an answer', () => {
  test('have what rows have no room for', () => {
    expect(
      headersOf({
        as_of: null,
        provisional: { since: '2026-11-21T10:00:00.000000Z' },
        unknown: { contents: 3 },
        notes: ['one', 'two'],
      }),
    ).toEqual({
      'Tallyman-As-Of': 'never',
      'Tallyman-Provisional-Since': '2026-11-21T10:00:00.000000Z',
      'Tallyman-Unknown': '{"contents":3}',
      'Tallyman-Notes': '["one","two"]',
    })
    expect(headersOf({ notes: [] })).toEqual({})
  })

  test('are ASCII, whatever a note quotes', () => {
    const notes = ['a\r\nSet-Cookie: b', 'größer als 容器 👩‍👩‍👧', '\u007f\u0000"\\']
    const { 'Tallyman-Notes': value = '' } = headersOf({ notes })
    expect(value).toMatch(/^[\x20-\x7e]+$/)
    validateHeaderValue('Tallyman-Notes', value)
    expect(JSON.parse(value)).toEqual(notes)
  })

  test.each([
    ['many notes', Array.from({ length: 100 }, (_, i) => `note ${i} ${'x'.repeat(100)}`)],
    ['one long note', ['容'.repeat(5_000)]],
  ])('have a bounded size: %s', (_, notes) => {
    const { 'Tallyman-Notes': value = '' } = headersOf({ notes })
    expect(value.length).toBeLessThanOrEqual(2_600)
    const kept = JSON.parse(value) as string[]
    expect(kept.at(-1)).toBe(`${notes.length - kept.length + 1} more notes are in the format json.`)
  })
})
