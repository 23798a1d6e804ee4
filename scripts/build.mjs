// Bundles the service and the command line into dist/: one file to load instead of a thousand halves the start.
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, stop } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

/** CommonJS packages in the bundle ask for `require`, which an ES module does not have. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

export const bundle = async (entryPoints, outdir) => {
  rmSync(outdir, { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    logLevel: 'warning',
    // Finds its WebAssembly beside its own files.
    external: ['@electric-sql/pglite', 'pg-native'],
    banner: { js: REQUIRE },
  })
  // A process of esbuild would stay beside the service as long as it runs.
  await stop()
}

/** The program, and the thread that reads the users file (`src/service/identification.ts` has its path). */
export const bundleService = async (outdir = 'dist') => bundle(['src/main.ts', 'src/users/user-file-thread.ts'], outdir)

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleService()
