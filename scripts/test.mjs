// npm test: gets what the tests need, builds, and runs all of them. Arguments go to jest.
import { spawnSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { installDependencies, root } from './install.mjs'
import { installServers } from './servers.mjs'

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
/** Where there is much memory, data directories are in it: each has over 1,000 files, and copying them took a fifth of the run. */
const IN_MEMORY = '/dev/shm'
const hasRoom = () => {
  try {
    const { bavail, bsize } = statfsSync(IN_MEMORY)
    return bavail * bsize > 4 * 2 ** 30 && freemem() > 8 * 2 ** 30
  } catch {
    return false
  }
}
const { status } = spawnSync(
  process.execPath,
  [...flags, join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...process.argv.slice(2)],
  {
    cwd: root,
    env: { ...process.env, ...(process.env.TMPDIR === undefined && hasRoom() && { TMPDIR: IN_MEMORY }) },
    stdio: 'inherit',
  },
)
process.exit(status ?? 1)
