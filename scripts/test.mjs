// npm test: gets what the tests need, builds, and runs all of them. Arguments go to jest.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { installDependencies, root } from './install.mjs'
import { installServers } from './servers.mjs'
import { temporaryFiles } from './temporary-files.mjs'

installServers()
installDependencies('develop')
const { bundle } = await import('./build.mjs')
await bundle(['src/main.ts'], 'dist')
const flags = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  // Suites of the embedded database are over before it pays to optimise its WebAssembly.
  '--liftoff-only',
]
const { status } = spawnSync(
  process.execPath,
  [...flags, join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...process.argv.slice(2)],
  {
    cwd: root,
    env: { ...process.env, ...temporaryFiles() },
    stdio: 'inherit',
  },
)
process.exit(status ?? 1)
