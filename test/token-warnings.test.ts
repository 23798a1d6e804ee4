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
  ['x'.repeat(15), 'token 2 has fewer than 16 characters and can be guessed'],
  ['"tm0123456789abcdef"', 'token 2 begins and ends with a quote, which is a part of the token'],
  [
    'Bearer tm0123456789abcdef',
    'token 2 begins with "Bearer ", which is not a part of a token: write only the text after "Bearer "',
  ],
])('the token %s is named by its setting and position, without its text', (token, sentence) => {
  expect(warnings('tm0123456789abcdef', token)).toEqual([`notification_tokens: ${sentence}`])
})

test('tokens that were made are no matter for a warning', () => {
  expect(warnings(`tm${'0'.repeat(40)}`, 'x'.repeat(16), "it's")).toEqual([
    'notification_tokens: token 3 has fewer than 16 characters and can be guessed',
  ])
  expect(warnings(`tm${'0'.repeat(40)}`)).toEqual([])
})

test('each weak token is named, by its registry or scope if it has one', () => {
  const [long, short] = ['x'.repeat(16), 'y'.repeat(9)]
  expect(
    tokenWarnings({
      notificationTokens: [
        { token: short, registry: 'a.example' },
        { token: long, registry: 'b.example' },
        { token: `${short}z`, registry: 'b.example' },
      ],
      apiTokens: [
        { token: short, scope: 'admin' },
        { token: `${short}w`, scope: 'read' },
      ],
      usersKey: '',
      unshown: [],
    }),
  ).toEqual(
    [
      'notification_tokens: the token of a.example',
      'notification_tokens: token 2 of b.example',
      'api_tokens: the token of admin',
      'api_tokens: the token of read',
    ].map((which) => `${which} has fewer than 16 characters and can be guessed`),
  )
})
