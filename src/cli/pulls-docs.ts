import { DIMENSIONS } from '../pulls/model/dimensions.js'
import { measure, MEASURE_NAMES } from '../pulls/model/measures.js'
import { markdownTable } from './terminal/markdown-table.js'
import { write } from './terminal/output.js'

/** Prints the tables of measures and dimensions for docs/definitions-of-numbers.md. */
export const pullsDocs = (): void => {
  const measures = MEASURE_NAMES.map((name) => {
    const { definition } = measure(name)
    return [`\`${name}\``, definition, 'distinct' in measure(name) ? 'estimated' : 'counted']
  })
  const dimensions = Object.entries(DIMENSIONS).map(([name, { help }]) => [`\`${name}\``, help])
  write(
    [
      markdownTable([['Measure', 'What it is', 'Made'], ...measures]),
      '### Dimensions',
      'Numbers can be grouped and filtered by these dimensions. A value that is not known is `unknown`.',
      `${markdownTable([['Dimension', 'What it is'], ...dimensions])}\n`,
    ].join('\n\n'),
  )
}
