import { DEFAULT_MEASURES } from '../pulls/query/parameters.js'
import { DIMENSION_NAMES, dimension, type DimensionName } from '../pulls/model/dimensions.js'
import { TIME_EXAMPLES } from '../pulls/model/time-values.js'
import { MEASURE_NAMES } from '../pulls/model/measures.js'

/** The heading under which the help lists each dimension. A new dimension does not compile without its line here. */
const SUBJECT_OF: Record<DimensionName, 'what' | 'who' | 'where' | 'when' | 'how'> = {
  registry: 'what',
  repository: 'what',
  tag: 'what',
  digest: 'what',
  platform: 'what',
  platform_from: 'what',
  client: 'who',
  client_version: 'who',
  kind: 'who',
  os: 'who',
  arch: 'who',
  signed_in: 'who',
  country: 'where',
  network: 'where',
  network_kind: 'where',
  source: 'where',
  hour: 'when',
  day: 'when',
  week: 'when',
  month: 'when',
  weekday: 'when',
  behaviour: 'how',
  likely: 'how',
}

const INDENT = '  '
/** The width of the help, in terminal columns. */
const WIDTH = 80

/** The option that filters by a dimension. */
export const flagOf = (name: string): string => `--${name.replaceAll('_', '-')}`

const TIMES = Object.entries(TIME_EXAMPLES)
  .map(([name, example]) => `${flagOf(name)} ${example}`)
  .join('; ')

/**
 * The filters of a query about pulls as one list for its help: the options by subject, how to write their values, and the
 * values of the filters that take only some.
 * @param note a remark on the names of the filters, for the heading
 */
export const filterHelp = (note?: string): string => {
  const subjects = [...new Set(DIMENSION_NAMES.map((name) => SUBJECT_OF[name]))].sort()
  const lists = subjects.map((subject) => [
    subject,
    DIMENSION_NAMES.filter((name) => SUBJECT_OF[name] === subject).map(flagOf),
  ]) as [string, string[]][]
  const closed = DIMENSION_NAMES.flatMap((name) => {
    const { values = [] } = dimension(name)
    const isShown = values.length > 2 && name !== 'weekday'
    return isShown ? [[flagOf(name), values] as [string, readonly string[]]] : []
  })
  return [
    `\nFilters${note === undefined ? '' : ` (${note})`}:`,
    ...aligned(lists),
    "Values: names separated by commas; * at the end matches any ending: 'team/*'.",
    '--tag - is a pull by digest; --weekday 1 is Monday; --signed-in anonymous.',
    `${TIMES}.`,
    ...aligned(closed),
  ].join('\n')
}

/** All measures, for the help of a query about pulls; an asterisk marks the default measures. */
export const measureHelp = (): string => {
  const defaults = new Set(DEFAULT_MEASURES.split(','))
  const names = MEASURE_NAMES.map((name) => (defaults.has(name) ? `${name}*` : name))
  return ['\nMeasures (* without --measures):', ...aligned([['', names]], '')].join('\n')
}

/** Formats one line for each name, followed by its parts and wrapped between parts. */
const aligned = (rows: readonly [string, readonly string[]][], indent = INDENT): string[] => {
  const column = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows.flatMap(([name, parts]) => {
    const lines: string[] = []
    for (const part of parts) {
      const last = lines.at(-1)
      if (last !== undefined && indent.length + column + last.length + 1 + part.length <= WIDTH)
        lines[lines.length - 1] = `${last} ${part}`
      else lines.push(part)
    }
    return lines.map((line, i) => `${indent}${(i === 0 ? name : '').padEnd(column)}${line}`)
  })
}
