import { pipeline } from 'node:stream/promises'
import { keysFor, listCounters, uniqueUsers, type CounterRow } from '../counters/read.js'
import { notUnique } from '../counters/not-unique.js'
import { createRepositories } from '../counters/repositories.js'
import { exportCounters } from '../counters/export-counters.js'
import { importCounters } from '../counters/import-counters.js'
import { startOfDay, type Micros } from '../events/calendar.js'
import { endSketchLoss } from '../schema/bound-sketches.js'
import { CommandError } from './terminal/failure.js'
import { askOrOpen, clock, configNow, warnOfEmbedded, withCore } from './stores/open.js'
import { printJson, printLine, printTable } from './terminal/print.js'
import { progressLine } from './terminal/progress.js'
import { ServiceError } from './stores/service-client.js'
import { readLines, writeWhole } from './terminal/transfer-file.js'

type UniqueOptions = { events: string; start: string; end: string; monthly?: boolean; json?: boolean }

export const unique = async ({ events, start, end, monthly, json }: UniqueOptions): Promise<void> => {
  const names = events.split(',').map((name) => name.trim())
  const range = { start: dayOf('--start', start), end: dayOf('--end', end) }
  if (range.end < range.start) throw new CommandError('--end: expected a day that is not before --start')
  const aggregation = monthly ? 'monthly' : 'weekly'
  const found = await askOrOpen(
    configNow(),
    async (service) => {
      const query = new URLSearchParams({ event_names: names.join(), start_date: start, end_date: end, aggregation })
      const answer = service.get(`/usage_data/unique_events?${query.toString()}`).catch(byOption)
      return (await answer) as { value: number; keys: string[] }
    },
    async ({ rules, stores }) => {
      const problem = notUnique(rules, names)
      if (problem !== undefined) throw new CommandError(`--events: ${problem}`)
      return uniqueUsers(stores.sketches, keysFor(names, aggregation, range))
    },
  )
  if (json) {
    printJson({
      value: found.value,
      event_names: names,
      aggregation,
      start_date: start,
      end_date: end,
      keys: found.keys,
    })
    return
  }
  printLine(String(found.value))
  printLine(
    found.keys.length === 0
      ? monthly
        ? 'no complete month lies between these days'
        : 'no complete week lies between --start and the week of --end, which does not count'
      : `unique users (estimated, standard error 0.81 %) from ${found.keys.join(', ')}`,
  )
}

/** Replaces the name of the service's parameter in an error by the name of the option. */
const byOption = (error: unknown): never => {
  if (error instanceof ServiceError) throw new CommandError(error.message.replace(/^event_names: /, '--events: '))
  throw error
}

const dayOf = (option: string, text: string): Micros => {
  const at = startOfDay(text)
  if (at === undefined) throw new CommandError(`${option}: "${text}" is not a day, expected one like 2026-11-21`)
  return at
}

export const list = async ({ json, wide }: { json?: boolean; wide?: boolean }): Promise<void> => {
  const rows = await askOrOpen<CounterRow[]>(
    configNow(),
    async (service) => ((await service.get('/usage_data/counters')) as { counters: CounterRow[] }).counters,
    async ({ stores }) => listCounters(stores.sketches),
  )
  if (json) printJson(rows)
  else if (rows.length === 0) printLine('no counters yet: no event with a known user has arrived')
  else {
    printTable(
      ['event', 'period', 'unique users'],
      rows.map(({ event, period, count }) => [event, period, count]),
      { wide },
    )
  }
}

export const exportTo = async (file: string): Promise<void> =>
  writeWhole(file, async (target) =>
    askOrOpen(
      configNow(),
      async (service) => pipeline(service.lines('/usage_data/counters/export'), target).catch(byService),
      async ({ stores, rules, config, fingerprint, identity }) => {
        const { rebuildStale } = createRepositories({ ...stores, rules, lifetimes: config.lifetimes })
        await pipeline(
          exportCounters({ ...stores, rebuildStale }, { fingerprint, registryIdentity: identity.mode }),
          target,
        )
      },
    ),
  )

/** The error of an export that the service ended early: after the beginning of an answer, it can report no other error. */
const byService = (error: unknown): never => {
  if (!(error instanceof TypeError) || error.message !== 'terminated') throw error
  throw new CommandError('the service stopped the export before its end, and its log has the reason; export again')
}

export const importFrom = async (file: string, { otherUsers }: { otherUsers?: boolean }): Promise<void> => {
  const config = configNow()
  warnOfEmbedded(config)
  return readLines(file, async (lines) =>
    withCore(config, async ({ stores, fingerprint, claimUsersKey }) => {
      const progress = progressLine()
      const done = await importCounters(stores, lines, {
        fingerprint: otherUsers ? undefined : fingerprint,
        now: clock(),
        onAccepted: claimUsersKey,
        onProgress: (count) => {
          progress.show(`${count} lines`)
        },
      }).finally(progress.end)
      await endSketchLoss(stores)
      const parts = Object.entries(done).map(([kind, count]) => `${kind.replace('_', ' ')} ${count}`)
      printLine(`imported ${parts.join(', ')}`)
    }),
  )
}
