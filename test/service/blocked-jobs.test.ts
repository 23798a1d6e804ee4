import { afterEach, expect, test } from '@jest/globals'
import { writeFileSync } from 'node:fs'
import { blockedJobsFile } from '../../src/blocked-jobs.js'
import { machineClock } from '../servers/clock.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

const folder = embeddedFolder()
let service: Service | undefined
afterEach(async () => {
  await service?.process.end()
  folder.remove()
})

test('a service says which jobs rest, as the last process was ended while they were under way', async () => {
  writeFileSync(
    blockedJobsFile(folder.path),
    JSON.stringify({ at: machineClock().toISOString(), jobs: 'summarize\nfold pulls' }),
  )
  service = await startService(folder.path)
  const { warnings } = (await (await service.get('/status')).json()) as { warnings: string[] }
  expect(warnings).toContainEqual(
    expect.stringMatching(/while these jobs were under way: summarize, fold pulls\. They rest until 20\d\d-/),
  )
  expect(service.process.output()).toMatch(/"level":"warn".*these jobs were under way/)
})
