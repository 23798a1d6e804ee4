// npm run bench: gets what the benchmarks need, builds, and measures. Arguments go to bench/run.ts.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { installDependencies, root } from './install.mjs'
import { installServers } from './servers.mjs'

installServers(['Redis', 'PostgreSQL'])
installDependencies('develop')
const { bundle } = await import('./build.mjs')
await bundle(['src/main.ts'], 'dist')
await bundle(['bench/run.ts', 'bench/load.ts', 'bench/bare-server.ts'], join('dist', 'bench'))
await import(pathToFileURL(join(root, 'dist', 'bench', 'run.js')).href)
