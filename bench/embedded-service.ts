/**
 * The service on the embedded stores, whose jobs that come seldom come often: a roll-up every 20 s, deletion of old rows every
 * minute, and a dump at SIGUSR2.
 */
import type { AddressInfo } from 'node:net'
import { createApp } from '../src/service/app.js'
import { readConfig } from '../src/config/config.js'
import { home } from '../src/home.js'
import { deleteExpiredRows } from '../src/service/expire-rows.js'
import { retentionOf } from '../src/service/job-table.js'
import { startJobs } from '../src/runtime/jobs.js'
import { createLog, createServiceLogOutput } from '../src/service/log.js'
import { rollUp } from '../src/pulls/roll-up/roll-up.js'
import { summarizePulls } from '../src/pulls/roll-up/summarize.js'
import { keepHeapSmall } from '../src/runtime/small-heap.js'

const config = readConfig(process.env, home)
const now = (): Date => new Date()
keepHeapSmall()
const app = await createApp(config, createLog(config.log_level, createServiceLogOutput(now)), now)
const { database, dumps } = app.core.stores

const say = (what: string, since: number): void => {
  console.log(`${what} in ${Math.round(performance.now() - since)} ms`)
}

startJobs(
  [
    {
      name: 'roll up often',
      cron: '*/20 * * * * *',
      run: async () => {
        const since = performance.now()
        await rollUp({ database, windows: config.windows })
        await summarizePulls(database)
        say('rolled up', since)
      },
    },
    {
      name: 'forget often',
      cron: '30 * * * * *',
      run: async () => deleteExpiredRows(database, retentionOf(config), now()),
    },
  ],
  {
    onError: (job, error) => {
      console.error(`${job} failed`, error)
    },
  },
)
process.on('SIGUSR2', () => {
  const since = performance.now()
  dumps?.write().then(
    () => {
      say('dumped', since)
    },
    (error: unknown) => {
      console.error('the dump failed', error)
    },
  )
})
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    app.http.closeAllConnections()
    app.http.close()
    void app.close().then(() => process.exit(0))
  })
}
app.http.listen(config.listen.port, config.listen.host, () => {
  console.log(`Tallyman serves on http://127.0.0.1:${(app.http.address() as AddressInfo).port}`)
})
