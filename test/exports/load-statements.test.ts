import { expect, test } from '@jest/globals'
import { optional, required } from '../../src/exports/columns.js'
import { loadStatements } from '../../src/exports/load-statements.js'

const COLUMNS = [required('requested_at', 'timestamp'), optional('tag', 'text')]

const statementsOf = (options: Partial<Parameters<typeof loadStatements>[0]>): Record<string, string> =>
  Object.fromEntries(
    loadStatements({ name: 'requests', columns: COLUMNS, directory: '/out', format: 'parquet', ...options }).map(
      ({ warehouse, statement }) => [warehouse, statement],
    ),
  )

test('each warehouse gets the statement that loads the files, with types', () => {
  expect(statementsOf({ name: 'pull-days' })).toEqual({
    BigQuery: `# day:DATE,requested_at:TIMESTAMP,tag:STRING
gcloud storage cp --recursive /out/pull-days gs://BUCKET/
bq load --source_format=PARQUET --hive_partitioning_mode=AUTO \\
  --hive_partitioning_source_uri_prefix=gs://BUCKET/pull-days/ \\
  DATASET.pull_days 'gs://BUCKET/pull-days/*.parquet'`,
    ClickHouse: `CREATE TABLE pull_days (day Date, requested_at DateTime64(6, 'UTC'), tag Nullable(String))
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (registry, repository, day);
INSERT INTO pull_days
SELECT toDate(extract(_path, 'day=([0-9-]+)')), requested_at, tag
FROM file('/out/pull-days/day=*/part-0.parquet', 'Parquet', 'requested_at DateTime64(6, ''UTC''), tag Nullable(String)')
SETTINGS date_time_input_format = 'best_effort';`,
    DuckDB:
      "CREATE TABLE pull_days AS SELECT * FROM read_parquet('/out/pull-days/day=*/part-0.parquet', hive_partitioning = true, hive_types = {day: DATE});",
  })
})

test('formats without types get them from the statement', () => {
  expect(statementsOf({ format: 'csv' })).toMatchObject({
    BigQuery: expect.stringMatching(/=CSV --skip_leading_rows=1 [^]*'gs:.*\.csv' requested_at:TIMESTAMP,tag:STRING$/),
    DuckDB: expect.stringContaining(
      "read_csv('/out/requests/day=*/part-0.csv', header = true, columns = {requested_at: 'TIMESTAMPTZ', tag: 'VARCHAR'}",
    ),
  })
  expect(statementsOf({ format: 'ndjson' })).toMatchObject({
    BigQuery: expect.stringContaining('=NEWLINE_DELIMITED_JSON '),
    ClickHouse: expect.stringContaining("'JSONEachRow'"),
    DuckDB: expect.stringContaining("read_json('/out/requests/day=*/part-0.ndjson', format = 'newline_delimited'"),
  })
})

test('a directory cannot end its quotes', () => {
  const { BigQuery, ClickHouse, DuckDB } = statementsOf({ directory: "/a'; rm \\" })
  expect(BigQuery).toContain("cp --recursive '/a'\\''; rm \\/requests' gs:")
  expect(ClickHouse).toContain("file('/a''; rm \\\\/requests/day=")
  expect(DuckDB).toContain("read_parquet('/a''; rm \\/requests/day=")
})
