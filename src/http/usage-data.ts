import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isNativeError } from 'node:util/types'
import { Router, type Request } from 'express'
import { stringify } from 'yaml'
import { z } from 'zod'
import { notUnique } from '../counters/not-unique.js'
import { keysFor, uniqueUsers, type CounterRow } from '../counters/read.js'
import type { Rules } from '../counters/rules.js'
import { MICROS_PER_DAY, startOfDay, type Micros } from '../events/calendar.js'
import type { LoadedMetric } from '../metrics/definition.js'
import type { ServicePings } from '../ping/service-ping.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import { noBody, noQuery } from './expected-parameters.js'
import { checked } from './parameters.js'
import { RefusedRequest } from './problem.js'
import { requireScope } from './require-scope.js'
import { usageDataPaths } from './usage-data-paths.js'

type UsageDataDeps = {
  rules: Rules
  sketches: SketchStore
  metrics: readonly LoadedMetric[]
  pings: ServicePings
  listCounters: () => Promise<CounterRow[]>
  exportCounters: () => AsyncIterable<string>
}

const LARGEST_UNION = 5_000
const LONGEST_RANGE = 20 * 366 * MICROS_PER_DAY

/** Routes that need no token: the definitions of the metrics. */
export const publicUsageData = ({ metrics }: Pick<UsageDataDeps, 'metrics'>): Router => {
  // Built once, because the route needs no token, and building the text takes time.
  const without = stringify(metrics.map(({ definition }) => definition))
  const withPaths = stringify(metrics.map(({ definition, file }) => ({ ...definition, file_path: `metrics/${file}` })))
  return Router().get(usageDataPaths('/metric_definitions'), (request, response) => {
    const includePaths = ['true', '1'].includes(request.query.include_paths as string)
    response.type('application/yaml').send(includePaths ? withPaths : without)
  })
}

/** Routes for counters, unique users and pings. */
export const usageData = (deps: UsageDataDeps): Router => {
  const { sketches, rules, pings } = deps
  return Router()
    .get(usageDataPaths('/unique_events'), async (request, response) => {
      const query = uniqueEventsQuery(request, rules)
      const keys = keysFor(query.events, query.aggregation, query)
      if (keys.length > LARGEST_UNION)
        throw new RefusedRequest(
          400,
          `that is a union of ${keys.length} keys; at most ${LARGEST_UNION} are counted at once`,
        )
      const { value } = await uniqueUsers(sketches, keys)
      response.json({
        value,
        event_names: query.events,
        aggregation: query.aggregation,
        start_date: query.start_date,
        end_date: query.end_date,
        keys,
        estimate: { method: 'HyperLogLog', standard_error: 0.0081 },
      })
    })
    .get(usageDataPaths('/counters'), async (_request, response) => {
      response.json({ counters: await deps.listCounters() })
    })
    .get(usageDataPaths('/counters/export'), requireScope('admin'), async (_request, response) => {
      response.type('application/x-ndjson')
      try {
        await pipeline(Readable.from(deps.exportCounters()), response)
      } catch (error) {
        // A client that disconnects is not an error.
        if (!isNativeError(error) || !('code' in error) || error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
      }
    })
    .get(usageDataPaths('/service_ping'), async (_request, response) => {
      response.json((await pings.build()).payload)
    })
    .post(usageDataPaths('/service_ping'), noQuery, noBody, async (_request, response) => {
      const { ping, sent } = await pings.sendNow()
      response.json({ sent, ...ping })
    })
    .get(usageDataPaths('/queries'), async (_request, response) => {
      response.json((await pings.build('queries')).payload)
    })
    .get(usageDataPaths('/non_sql_metrics'), async (_request, response) => {
      response.json((await pings.build('non_sql')).payload)
    })
}

const day = z
  .string()
  .regex(/^\d{4}-\d\d-\d\d$/, 'is a day like 2026-11-21')
  .refine((text) => startOfDay(text) !== undefined, 'is a day of the calendar')

const uniqueEvents = z.object({
  event_names: z.string().min(1, 'is missing, expected names of events separated by commas'),
  start_date: day,
  end_date: day,
  aggregation: z.enum(['weekly', 'monthly']).default('weekly'),
})

type UniqueEventsQuery = {
  events: string[]
  aggregation: 'weekly' | 'monthly'
  start: Micros
  end: Micros
  start_date: string
  end_date: string
}

const uniqueEventsQuery = ({ query }: Request, rules: Rules): UniqueEventsQuery => {
  const names = [query.event_names, query['event_names[]']].flat().filter((name) => typeof name === 'string')
  const { event_names, start_date, end_date, aggregation } = checked(uniqueEvents, {
    ...query,
    event_names: names.join(','),
  })
  const events = [...new Set(event_names.split(',').map((name) => name.trim()))]
  const problem = notUnique(rules, events)
  if (problem !== undefined) throw new RefusedRequest(400, `event_names: ${problem}`)
  const range = { start: startOfDay(start_date) ?? 0, end: startOfDay(end_date) ?? 0 }
  if (range.end < range.start) throw new RefusedRequest(400, 'end_date: expected a day that is not before start_date')
  if (range.end - range.start > LONGEST_RANGE) throw new RefusedRequest(400, 'the range is longer than 20 years')
  return { events, aggregation, start_date, end_date, ...range }
}
