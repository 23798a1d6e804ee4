// npm start: installs what is missing, builds what has changed, and serves. Arguments go to `tallyman serve`.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { installDependencies, root } from './install.mjs'

const newest = (folder) =>
  Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  )

const main = join(root, 'dist', 'main.js')
const isCurrent = () =>
  existsSync(main) &&
  statSync(main).mtimeMs > Math.max(newest(join(root, 'src')), statSync(join(root, 'package-lock.json')).mtimeMs)

installDependencies('run')
if (!isCurrent()) {
  console.error('Building …')
  const { bundleService } = await import('./build.mjs')
  await bundleService()
}
console.error('Starting … (a first start also creates the database)')
process.argv.splice(1, 1, main, 'serve')
await import(pathToFileURL(main).href)
