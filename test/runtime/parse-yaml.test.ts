import { expect, test } from '@jest/globals'
import { parseYaml, TooManyKeys } from '../../src/runtime/parse-yaml.js'
import { yamlProblem } from '../../src/runtime/yaml-problem.js'

const keys = (count: number): string => Array.from({ length: count }, (_, i) => `key-${i}: 1\n`).join('')
const problemOf = (text: string): string => {
  try {
    parseYaml(text)
    return 'none'
  } catch (error) {
    return yamlProblem(error)
  }
}

test('a map of a thousand keys is parsed, as text', () => {
  expect(Object.keys(parseYaml(keys(1_000)) as object)).toHaveLength(1_000)
  expect(parseYaml('a: 007')).toEqual({ a: '007' })
})

test('a map of so many keys that to compare them takes long is refused, with the reason', () => {
  expect(() => parseYaml(keys(20_000))).toThrow(TooManyKeys)
  expect(problemOf(keys(20_000))).toBe('a map has more than 3,000 keys')
})

test('a key that is there twice is refused, with its line', () => {
  expect(problemOf('a: 1\nb: 2\na: 3\n')).toBe('not YAML at line 3, column 1: this key occurs twice')
})

test('errors of a long line are refused without a look at the line for each of them', () => {
  const twice = Array.from({ length: 60_000 }, (_, i) => `"key-${i % 20_000}": "1"`).join(', ')
  expect(problemOf(`{${twice}}`)).toBe('a map has more than 3,000 keys')
  expect(problemOf(`a: 1\n{"b": "1", "b": "2"}`)).toMatch(/^not YAML at line 2, column \d+: this key occurs twice$/)
})
