import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist/', 'data/', 'node_modules/'] },
  {
    files: ['**/*.ts'],
    extends: [js.configs.recommended, ...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-definitions': ['error', 'type'],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    // Arrays of numbers, read a hundred million times a second: an undefined cannot be, and a check would cost.
    files: [
      'src/storage/sketches/hyperloglog/*.ts',
      'src/logs/line-hash.ts',
      'src/logs/part-memory.ts',
      'src/pulls/day-fold/day-columns.ts',
      'src/pulls/fold/columns.ts',
      'src/pulls/fold/fold-columns.ts',
      'src/pulls/fold/sorted-rows.ts',
      'src/sources/access-logs/scan-*.ts',
    ],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    // A test that does this fails on another day, or on a busy machine. These helpers offer the clocks and limit waits.
    files: ['test/**/*.ts'],
    ignores: ['test/servers/clock.ts', 'test/servers/process.ts', 'test/servers/service.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'NewExpression[callee.name="Date"][arguments.length=0]',
          message:
            'A test chooses its time: use NOW or fixedClock of test/servers/clock.ts, or say machineClock if a program outside the test needs the real one.',
        },
        {
          selector:
            ':matches(CallExpression[callee.name="Date"], MemberExpression[object.name="Date"][property.name="now"])',
          message:
            'A test chooses its time: use NOW or fixedClock of test/servers/clock.ts, or say machineClock if a program outside the test needs the real one.',
        },
        {
          selector:
            'CallExpression[callee.object.name="fc"][callee.property.name=/^(assert|check)$/]' +
            ':not([arguments.1.callee.name=/^runs(On)?$/])' +
            ':not([arguments.1.properties.0.argument.callee.name=/^runs(On)?$/])',
          message:
            'A property is tried with the seed of the run, and as often as it says: give runs(…) or runsOn(…) of test/servers/runs.ts.',
        },
        {
          selector: 'MemberExpression[object.name=/^(performance|process)$/][property.name=/^(now|hrtime|uptime)$/]',
          message:
            'A test does not measure how long something takes: a busy machine is slower. Speed belongs to bench/.',
        },
      ],
    },
  },
  {
    files: ['**/*.mjs'],
    extends: [js.configs.recommended],
    languageOptions: {
      globals: {
        process: 'readonly',
        performance: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        fetch: 'readonly',
      },
    },
  },
)
