import { afterEach, expect, test } from '@jest/globals'
import { writeFileSync } from 'node:fs'
import { blockedJobsFile } from '../../src/service/job-rests.js'
import { machineClock } from '../servers/clock.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

const folder = embeddedFolder()
let service: Service | undefined
afterEach(async () => {
  await service?.process.end()
  folder.remove()
})

test('a service says which jobs rest, and until when, as a process was ended while they were under way', async () => {
  const now = machineClock().getTime()
  const noted = [
    ['summarize', 5, 20],
    ['fold pulls', 30, 40],
    ['settle', 21, 20],
  ] as const
  const blocked = noted.map(([job, ago, minutes]) => ({ job, at: new Date(now - ago * 60_000).toISOString(), minutes }))
  writeFileSync(blockedJobsFile(folder.path), JSON.stringify(blocked))
  service = await startService(folder.path)
  const { warnings } = (await (await service.get('/status')).json()) as { warnings: string[] }
  expect(warnings).toContainEqual(
    expect.stringMatching(/^these jobs rest, .*: summarize until 20[^ ]*Z, fold pulls until 20[^ ]*Z\. /),
  )
  expect(service.process.output()).toMatch(/"level":"warn".*these jobs rest/)
})
