// Chooses the seed of a run, and starts the servers that its suites share, unless TALLYMAN_TEST_SERVERS is "none".
import { randomInt } from 'node:crypto'
import { readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { bundle } from '../scripts/build.mjs'
import { BUNDLED } from './bundled-packages.mjs'

const modules = fileURLToPath(new URL('../node_modules', import.meta.url))
const cache = join(modules, '.cache', 'tallyman')
const { version } = JSON.parse(readFileSync(join(modules, '@electric-sql', 'pglite', 'package.json'), 'utf8'))

export default async () => {
  process.env.SEED ??= String(randomInt(2 ** 31))
  console.log(`\nRandom cases are made with SEED=${process.env.SEED}`)
  // Servers end with their parent only if it exits, which a signal alone does not make it do.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))
  await bundlePackages()
  // Jest does not compile what it runs here. Two runs may do this at the same time.
  const bundled = join(cache, `setup-${process.pid}`)
  await bundle(['test/servers/start-shared.ts'], bundled)
  const { startShared } = await import(pathToFileURL(join(bundled, 'start-shared.js')).href)
  rmSync(bundled, { recursive: true })
  const { environment, stop } = await startShared(
    join(cache, `pglite-${version}`),
    process.env.TALLYMAN_TEST_SERVERS !== 'none',
  )
  Object.assign(process.env, environment)
  globalThis.stopShared = stop
}

const bundlePackages = async () => {
  for (const name of BUNDLED) {
    const draft = join(cache, `${name}.${process.pid}`)
    await build({
      entryPoints: [name],
      outfile: draft,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
    })
    renameSync(draft, join(cache, `${name}.cjs`))
  }
}
