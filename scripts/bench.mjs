// npm run bench: gets what the benchmarks need, builds, and measures. Arguments go to bench/run.ts.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { installDependencies, root } from './install.mjs'
import { installServers } from './servers.mjs'

installServers(['Redis', 'PostgreSQL'])
installDependencies('develop')
const { bundle } = await import('./build.mjs')
// The second is the service with jobs that come more often; it must be as deep as the first to find its files.
await bundle(
  {
    main: 'src/main.ts',
    'users/user-file-thread': 'src/users/user-file-thread.ts',
    'bench-service': 'bench/embedded-service.ts',
  },
  'dist',
)
await bundle(['bench/run.ts', 'bench/load.ts', 'bench/bare-server.ts'], join('dist', 'bench'))
await import(pathToFileURL(join(root, 'dist', 'bench', 'run.js')).href)
