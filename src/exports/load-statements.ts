import { resolve } from 'node:path'
import type { Column, ColumnType } from './columns.js'
import type { TableName } from './export-table.js'
import type { FormatName } from './row-writer.js'

type Loaded = { name: TableName; columns: readonly Column[]; directory: string; format: FormatName }

/** The statement that loads an export into a warehouse. */
export type LoadStatement = { warehouse: string; statement: string }

/** The statements that load the files of an export, with the type of each column. */
export const loadStatements = (loaded: Loaded): LoadStatement[] => [
  { warehouse: 'BigQuery', statement: bigQuery(loaded) },
  { warehouse: 'ClickHouse', statement: clickHouse(loaded) },
  { warehouse: 'DuckDB', statement: duckDb(loaded) },
]

const TYPES: Record<'bigQuery' | 'clickHouse' | 'duckDb', Record<ColumnType, string>> = {
  bigQuery: { timestamp: 'TIMESTAMP', text: 'STRING', int64: 'INTEGER', int32: 'INTEGER', boolean: 'BOOLEAN' },
  clickHouse: { timestamp: "DateTime64(6, 'UTC')", text: 'String', int64: 'Int64', int32: 'Int32', boolean: 'Bool' },
  duckDb: { timestamp: 'TIMESTAMPTZ', text: 'VARCHAR', int64: 'BIGINT', int32: 'INTEGER', boolean: 'BOOLEAN' },
}

const tableOf = ({ name }: Loaded): string => name.replace('-', '_')
const filesOf = ({ directory, name, format }: Loaded): string => `${resolve(directory, name)}/day=*/part-0.${format}`

/** The files must be in a bucket first. A Parquet file has its types itself. https://cloud.google.com/bigquery/docs/hive-partitioned-loads-gcs */
const bigQuery = (loaded: Loaded): string => {
  const { name, columns, directory, format } = loaded
  const source = { parquet: 'PARQUET', ndjson: 'NEWLINE_DELIMITED_JSON', csv: 'CSV --skip_leading_rows=1' }[format]
  const types = columns.map((column) => `${column.name}:${TYPES.bigQuery[column.type]}`).join(',')
  return [
    ...(format === 'parquet' ? [`# day:DATE,${types}`] : []),
    `gcloud storage cp --recursive ${shellText(resolve(directory, name))} gs://BUCKET/`,
    `bq load --source_format=${source} --hive_partitioning_mode=AUTO \\`,
    `  --hive_partitioning_source_uri_prefix=gs://BUCKET/${name}/ \\`,
    `  DATASET.${tableOf(loaded)} 'gs://BUCKET/${name}/*.${format}'${format === 'parquet' ? '' : ` ${types}`}`,
  ].join('\n')
}

/**
 * `clickhouse local` reads any path; a server reads files below its `user_files` alone.
 * https://clickhouse.com/docs/sql-reference/table-functions/file
 */
const clickHouse = (loaded: Loaded): string => {
  const { columns, format } = loaded
  const typed = columns.map(({ name, type, isNullable }) => {
    const plain = TYPES.clickHouse[type]
    return `${name} ${isNullable ? `Nullable(${plain})` : plain}`
  })
  const source = { parquet: 'Parquet', ndjson: 'JSONEachRow', csv: 'CSVWithNames' }[format]
  // ClickHouse reads a backslash as an escape.
  const files = sqlText(filesOf(loaded)).replaceAll('\\', '\\\\')
  return [
    `CREATE TABLE ${tableOf(loaded)} (day Date, ${typed.join(', ')})`,
    'ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (registry, repository, day);',
    `INSERT INTO ${tableOf(loaded)}`,
    `SELECT toDate(extract(_path, 'day=([0-9-]+)')), ${columns.map(({ name }) => name).join(', ')}`,
    `FROM file(${files}, '${source}', ${sqlText(typed.join(', '))})`,
    "SETTINGS date_time_input_format = 'best_effort';",
  ].join('\n')
}

/** https://duckdb.org/docs/stable/data/partitioning/hive_partitioning */
const duckDb = (loaded: Loaded): string => {
  const { columns, format } = loaded
  const types = columns.map(({ name, type }) => `${name}: '${TYPES.duckDb[type]}'`).join(', ')
  const hive = 'hive_partitioning = true, hive_types = {day: DATE}'
  const files = sqlText(filesOf(loaded))
  const rows = {
    parquet: `read_parquet(${files}, ${hive})`,
    ndjson: `read_json(${files}, format = 'newline_delimited', columns = {${types}}, ${hive})`,
    csv: `read_csv(${files}, header = true, columns = {${types}}, ${hive})`,
  }[format]
  return `CREATE TABLE ${tableOf(loaded)} AS SELECT * FROM ${rows};`
}

const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`

const shellText = (text: string): string => (/^[\w./=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
