// npm test: gets what the tests need, builds, and runs all of them. Arguments go to jest.
import { spawnSync } from 'node:child_process'
import { installDependencies, root } from './install.mjs'
import { JEST } from './jest.mjs'
import { installServers } from './servers.mjs'
import { temporaryFiles } from './temporary-files.mjs'

installServers()
installDependencies('develop')
const { bundleService } = await import('./build.mjs')
await bundleService()
const { status } = spawnSync(process.execPath, [...JEST, ...process.argv.slice(2)], {
  cwd: root,
  env: { ...process.env, ...temporaryFiles() },
  stdio: 'inherit',
})
process.exit(status ?? 1)
