import type { EventDefinition } from '../counters/rules.js'
import type { LoadedMetric } from './definition.js'

const FRAMES = {
  '7d': 'last complete ISO week',
  '28d': 'last four complete ISO weeks',
  month: 'last complete calendar month',
  all: 'since counting began',
  none: 'now',
} as const

/** Every event and metric, as a Markdown page. */
export const metricsDictionary = (events: readonly EventDefinition[], metrics: readonly LoadedMetric[]): string =>
  [
    '# Metrics and events',
    '',
    'Generated from `metrics/` and `definitions/events/` by `npm run docs`; do not edit.',
    '',
    `## Metrics (${metrics.length})`,
    '',
    'Unique users are estimated with HyperLogLog (standard error 0.81 %); all other numbers are exact.',
    '',
    table(
      ['Key path', 'Meaning', 'Period', 'Source', 'Category'],
      metrics.map(({ definition }) => [
        `\`${definition.key_path}\``,
        definition.description,
        FRAMES[definition.time_frame],
        definition.data_source,
        definition.data_category,
      ]),
    ),
    '',
    `## Events (${events.length})`,
    '',
    table(
      ['Event', 'Meaning', 'Counted when', 'Unique', 'Numbers'],
      events.map((event) => [
        `\`${event.name}\``,
        event.description,
        conditionOf(event),
        event.unique ?? '',
        event.aggregations.join(', '),
      ]),
    ),
    '',
  ].join('\n')

const conditionOf = ({ when }: EventDefinition): string => {
  if (!when) return 'only through the API'
  const { action, actor_types: types, ...presences } = when
  const parts = Object.entries(presences).map(([what, state]) => `${what} ${state}`)
  return [action, ...parts, ...(types ? [`actor type ${types.join(' or ')}`] : [])].join(', ')
}

const table = (heading: string[], rows: string[][]): string =>
  [heading, heading.map(() => '---'), ...rows]
    .map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
