import { describe, expect, test } from '@jest/globals'
import { joinerOf, type FinalSelect, type StatementPart } from '../../../src/storage/sql/statement-parts.js'

const part = (name: string, provides: string[], requires: string[] = []): StatementPart => ({
  name,
  provides,
  requires,
  text: (p) => `${provides.join()} as (select ${p(1)}::text, ${p(2)}::text)`,
})
const select = (...requires: string[]): FinalSelect => ({ requires, text: () => 'select 1' })

const ids: StatementPart = { ...part('ids', ['fresh']), parameters: { ids: 2 } }
const requests = part('requests', ['kept'], ['fresh'])
const fill = (filled: StatementPart) => ({ part: filled, values: ['a', ['b', null]] })

describe('the parts of a statement', () => {
  test('are joined with their parameters in order, in front of the select', () => {
    const join = joinerOf([ids, requests], { requires: ['ids'], text: (p) => `select ${p('ids')}` })
    const { statement, values } = join([fill(ids), fill(requests)])
    expect(statement.text).toBe(
      'with fresh as (select $1::text, $2::text),kept as (select $3::text, $4::text) select $2',
    )
    expect(values).toEqual(['a', '{"b",null}', 'a', '{"b",null}'])
  })

  test('have a statement of its own for each combination, which is built once', () => {
    const join = joinerOf([ids, requests], select())
    const [both, one] = [join([fill(ids), fill(requests)]), join([fill(ids)])]
    expect(join([fill(ids)]).statement).toBe(one.statement)
    expect(one.statement.name).not.toBe(both.statement.name)
    expect(one.statement.name).toMatch(/^record_\w{16}$/)
  })

  test('are refused if none of the earlier parts provides what one requires', () => {
    const error = 'the statement part "requests" requires "fresh", which no earlier part of the statement provides'
    expect(() => joinerOf([requests], select())).toThrow(error)
    expect(() => joinerOf([requests, ids], select())).toThrow(error)
    expect(() => joinerOf([ids, requests], select())([fill(requests)])).toThrow(error)
  })

  test('are refused if none provides what the select requires', () => {
    expect(() => joinerOf([ids], select('fresh', 'kept'))).toThrow(
      'the final select requires "kept", which no earlier part of the statement provides',
    )
    expect(() => joinerOf([ids], { requires: [], text: (p) => p('days') })([fill(ids)])).toThrow(
      'the final select uses the parameter "days", which no part has',
    )
  })

  test('are refused if two provide one name', () => {
    expect(() => joinerOf([ids, part('other ids', ['fresh'])], select())).toThrow(
      'the statement parts "ids" and "other ids" both provide "fresh"',
    )
    expect(() => joinerOf([ids, part('names', ['ids'])], select())).toThrow(
      'the statement parts "ids" and "names" both provide "ids"',
    )
  })
})
