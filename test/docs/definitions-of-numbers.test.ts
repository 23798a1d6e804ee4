import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { DIMENSION_NAMES } from '../../src/pulls/model/dimensions.js'
import { measure, MEASURE_NAMES, type MeasureName } from '../../src/pulls/model/measures.js'
import { ROOT } from '../servers/service.js'

const PAGE = readFileSync(join(ROOT, 'docs', 'definitions-of-numbers.md'), 'utf8')
const { vectors } = JSON.parse(readFileSync(join(ROOT, 'test', 'fixtures', 'pull-vectors.json'), 'utf8')) as {
  vectors: { id: string; expected: Record<string, number> & { docker_actions: Record<string, number> } }[]
}

/** Rows of all tables below a heading, up to the next. */
const rowsBelow = (heading: string): string[][] => {
  const [, section = ''] = PAGE.split(`\n### ${heading}\n`)
  const lines = (section.split(/\n##+ /)[0] ?? '').split('\n').filter((line) => line.startsWith('| `'))
  return lines.map((line) => line.split(' | ').map((cell) => cell.replace(/^\| |\|$/g, '').trim()))
}
const named = (heading: string): string[] => rowsBelow(heading).map(([name = '']) => name.replaceAll('`', ''))

/** The number of a measure in a worked case, which `test/pulls/fold/vectors.test.ts` runs. */
const numberIn = (id: string, measure: MeasureName): number | undefined => {
  const { expected } = vectors.find((one) => one.id === id) ?? {}
  if (!expected) return undefined
  if (measure === 'downloads') return (expected.downloads_confirmed ?? 0) + (expected.downloads_assumed ?? 0)
  if (measure === 'unique_origins') return expected.unique_pullers
  if (measure === 'platform_pulls') return expected.hub_platform_pulls
  return expected.docker_actions[measure] ?? expected[measure]
}

/** Of which the worked cases have no number. */
const TOLD_ALONE: readonly MeasureName[] = ['orphan_blob_sessions', 'bytes', 'unique_endpoints']

describe('docs/definitions-of-numbers.md', () => {
  test('has every measure and every dimension of pulls, and no other', () => {
    expect(named('Measures').sort()).toEqual([...MEASURE_NAMES].sort())
    expect(named('Dimensions').sort()).toEqual([...DIMENSION_NAMES].sort())
  })

  const rows = rowsBelow('By example, and elsewhere')

  test.each(MEASURE_NAMES)('tells of %s by an example that holds, and what others show', (name) => {
    const [, example = '', elsewhere = ''] = rows.find(([cell]) => cell === `\`${name}\``) ?? []
    expect(elsewhere).not.toBe('')
    const cases = [...example.matchAll(/`([a-z-]+\/[\w-]+)`: (\d+)/g)]
    if (TOLD_ALONE.includes(name)) expect(example).toMatch(/: [\d,]+/)
    else expect(cases.length).toBeGreaterThan(0)
    for (const [, id = '', number] of cases) {
      expect([id, numberIn(id, name)]).toEqual([id, Number(number)])
      expect(rows.map(([cell]) => cell)).toContain(`\`${id}\``)
    }
  })
})

test('README.md prints the measures as the command does', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const printed = [...readme.matchAll(/^(\w+) \((counted|estimated)\): (.+)$/gm)].map(([, ...one]) => one)
  expect(printed.length).toBeGreaterThan(3)
  expect(printed).toEqual(
    printed.map(([name]) => {
      const it = measure(name as MeasureName)
      return [name, 'distinct' in it ? 'estimated' : 'counted', it.definition]
    }),
  )
})
