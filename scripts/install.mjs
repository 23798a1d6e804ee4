// Installs dependencies when they are missing or the lock file has changed since.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

const modules = (...path) => join(root, 'node_modules', ...path)
const changedAt = (file) => (existsSync(file) ? statSync(file).mtimeMs : -Infinity)

/** @param {'run' | 'develop'} purpose running needs no development dependencies */
export const installDependencies = (purpose) => {
  const current = changedAt(modules('.package-lock.json')) >= changedAt(join(root, 'package-lock.json'))
  const forDevelopment = existsSync(modules('jest', 'package.json'))
  if (current && (forDevelopment || purpose === 'run')) return
  const scope = purpose === 'run' && !forDevelopment ? ['--omit=dev'] : []
  console.error(`Installing dependencies (${['npm ci', ...scope].join(' ')}) …`)
  const { status } = spawnSync('npm', ['ci', ...scope, '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status === 0) return
  console.error('npm ci failed: is the package registry reachable?')
  process.exit(1)
}
