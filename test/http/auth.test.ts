import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createAuthorize } from '../../src/http/auth.js'
import { runs } from '../servers/runs.js'

describe('a token', () => {
  const long = 'x'.repeat(3_000)

  test.each([
    ['as a bearer token', { authorization: 'Bearer secret' }, 'granted'],
    ['bare, as the registry of GitLab sends it', { authorization: 'secret' }, 'granted'],
    ['as the private token of GitLab', { 'private-token': 'secret' }, 'granted'],
    ['the second of two, while tokens are changed', { authorization: 'Bearer next' }, 'granted'],
    ['longer than usual', { authorization: `Bearer ${long}` }, 'granted'],
    ['that differs after its usual length', { authorization: `Bearer ${long.slice(0, -1)}y` }, 'wrong'],
    ['with something behind it', { authorization: 'Bearer secrets' }, 'wrong'],
    ['that is only the beginning', { authorization: 'Bearer secre' }, 'wrong'],
    ['with zeros behind it', { authorization: 'Bearer secret\0\0' }, 'wrong'],
    ['that is empty', { authorization: 'Bearer ' }, 'missing'],
    ['that is not there', {}, 'missing'],
  ])('%s', (_, headers, expected) => {
    expect(createAuthorize(['secret', 'next', long])(headers)).toBe(expected)
  })

  test('is granted when it is equal, and only then', () => {
    const token = fc.string({ minLength: 1, maxLength: 600, unit: fc.constantFrom('a', 'b', 'é') })
    fc.assert(
      fc.property(token, token, (accepted, given) => {
        const answer = createAuthorize([accepted])({ authorization: `Bearer ${given}` })
        expect(answer).toBe(accepted === given ? 'granted' : 'wrong')
        expect(createAuthorize([accepted])({ authorization: `Bearer ${accepted}` })).toBe('granted')
      }),
      runs(500),
    )
  })
})
