import { BUNDLED } from './test/bundled-packages.mjs'

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    [`^(${BUNDLED.join('|')})$`]: '<rootDir>/node_modules/.cache/tallyman/$1.cjs',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'nodenext' },
        sourceMaps: 'inline',
      },
    ],
  },
  globalSetup: '<rootDir>/test/global-setup.mjs',
  globalTeardown: '<rootDir>/test/global-teardown.mjs',
  testSequencer: '<rootDir>/test/sequencer.mjs',
  reporters: ['default', '<rootDir>/test/closing-line.mjs'],
  // Ends a test that hangs. At least ten times what any test needs on a quiet machine: no test may fail because the machine is
  // busy. A long run (CONTRIBUTING.md) tries more cases.
  testTimeout: 600_000 * Math.max(1, Number(process.env.RUNS_FACTOR ?? 1)),
  // One more than the cores of a small machine: suites with servers of their own often wait for the time of a job.
  maxWorkers: 3,
}
