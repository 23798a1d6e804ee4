import { expect, test } from '@jest/globals'
import { tokenWarnings } from '../src/token-warnings.js'

const warnings = (...tokens: string[]): string[] =>
  tokenWarnings({
    notificationTokens: tokens.map((token) => ({ token })),
    apiTokens: [{ token: 'a-token-of-17-char', scope: 'admin' }],
    usersKey: '',
    unshown: [],
  })

test.each([
  ['x'.repeat(15), 'a token has fewer than 16 characters and can be guessed'],
  ['"tm0123456789abcdef"', 'a token begins and ends with a quote, which is a part of it'],
  ['Bearer tm0123456789abcdef', 'a token begins with "Bearer ", which is no part of a token: write what follows it'],
])('the token %s is named with its setting and without its text', (token, sentence) => {
  expect(warnings('tm0123456789abcdef', token)).toEqual([`notification_tokens: ${sentence}`])
})

test('tokens that were made are no matter for a warning', () => {
  expect(warnings(`tm${'0'.repeat(40)}`, 'x'.repeat(16), "it's")).toEqual([
    'notification_tokens: a token has fewer than 16 characters and can be guessed',
  ])
  expect(warnings(`tm${'0'.repeat(40)}`)).toEqual([])
})
