import { erase, type Erased } from '../pulls/roll-up/erase.js'
import { eraseAlsoFrom } from '../storage/embedded/dumps.js'
import { CommandError } from './terminal/failure.js'
import { askOrOpen, configNow } from './stores/open.js'
import { printJson, printLine, printNotes } from './terminal/print.js'
import { parametersOf } from './stores/parameters.js'
import type { PullsOptions } from './pulls.js'

/** Erases the data of an origin or a repository. */
export const forgetPulls = async ({ json, ...options }: PullsOptions): Promise<void> => {
  const { origin, repository, registry } = parametersOf(options)
  if (origin === undefined && repository === undefined)
    throw new CommandError('name what to erase: --origin, --repository, or both')
  const erasure = { origin, repository, registry }
  const erased = await askOrOpen(
    configNow(),
    async (service) => (await service.post('/pulls/forget', erasure)) as Erased,
    async ({ stores, registryNames }) => {
      const registries = registry === undefined ? undefined : await registryNames.recordedAs(registry)
      if (json !== true) stores.dumps?.onNotice(printLine)
      return eraseAlsoFrom(stores.dumps, async () => erase(stores.database, { origin, repository, registries }))
    },
  )
  if (erased.invocations + erased.requests + erased.imported_requests + erased.days === 0)
    printNotes([notRecorded({ origin, repository })])
  if (json === true) printJson(erased)
  else {
    const { invocations, requests, imported_requests, days, not_rewritten } = erased
    printLine(
      `Erased: ${invocations} invocations, ${requests} pending requests, ${imported_requests} imported requests, ${days} rows of days`,
    )
    if (not_rewritten.length > 0)
      printLine(
        `The files of ${not_rewritten.join(', ')} still contain what was erased: the embedded store rewrites them at its next ` +
          'start, PostgreSQL reuses their space in time.',
      )
  }
}

/** An origin or a repository may be misspelt: an erasure that erased nothing must not look like one that is done. */
const notRecorded = ({
  origin,
  repository,
}: {
  origin?: string | undefined
  repository?: string | undefined
}): string => {
  const named = [
    ...(origin === undefined ? [] : [`the origin "${origin}"`]),
    ...(repository === undefined ? [] : [`the repository "${repository}"`]),
  ]
  const lists = [
    ...(origin === undefined ? [] : ['"tallyman pulls pullers" lists origins.']),
    ...(repository === undefined ? [] : ['"tallyman pulls --group-by repository" lists repositories.']),
  ]
  return `Nothing is recorded for ${named.join(' and ')}; check the spelling. ${lists.join(' ')}`
}
