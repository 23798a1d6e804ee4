import { join } from 'node:path'
import { afterAll, test } from '@jest/globals'
import { eventually, inherited, startProcess, temporaryFolder } from './servers/process.js'
import { ROOT } from './servers/service.js'

const folder = temporaryFolder('build')
afterAll(() => {
  folder.remove()
})

test('no process of the bundler stays beside a service that was built by its start', async () => {
  const script = `
    const { bundleService } = await import(${JSON.stringify(join(ROOT, 'scripts', 'build.mjs'))})
    await bundleService(${JSON.stringify(join(folder.path, 'dist'))})
    setInterval(() => console.log(process.getActiveResourcesInfo().includes('ProcessWrap') ? 'beside' : 'alone'), 100)
  `
  const running = startProcess(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: ROOT,
    env: inherited(),
  })
  try {
    await eventually('the process is alone', async () => Promise.resolve(running.output().includes('alone')))
  } finally {
    await running.end()
  }
})
