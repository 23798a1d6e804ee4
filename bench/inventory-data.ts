import pg from 'pg'

/**
 * A tenth of the manifests are indexes of four platforms, half are images of their own; an image has a configuration, some
 * layers of its own and three of a base that many share. Of every hundred images ten are in a second repository.
 * That makes about ten rows of blobs for each manifest.
 */
export const FULL_SIZE = { repositories: 10_000, manifests: 1_000_000, tags: 500_000 }

/** Numbers from 0 to 1, always the same for the same number and salt. */
const chance = (number: string, salt: number): string =>
  `((hashint8extended(${number}, ${salt}) & 1073741823) / 1073741824.0)`

const digest = (what: string, number: string): string =>
  `'sha256:' || encode(sha256(('${what} ' || ${number})::bytea), 'hex')`

/** Few repositories have very many images, and most have few: the n-th of them about n^-0.6. */
const repositoryOf = (number: string, repositories: number, salt = 1): string =>
  `1 + floor(${repositories} * power(${chance(number, salt)}, 2.5))::int`

/** A moment of the last two years. */
const moment = (number: string, salt: number): string =>
  `timestamptz '2026-11-21 00:00Z' - ${chance(number, salt)} * interval '730 days'`

type Size = typeof FULL_SIZE

const statements = ({ repositories, manifests, tags }: Size): string[] => {
  const indexes = Math.floor(manifests / 10)
  const alone = indexes * 5
  return [
    `insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
      select case when n % 10 = 0 then 'mirror.example' else 'registry.example' end,
        'group-' || n % 97 || '/project-' || n, timestamptz '2024-11-21 00:00Z', timestamptz '2026-11-21 00:00Z'
      from generate_series(1, ${repositories}) n`,

    // Numbers up to indexes are indexes; the four after them times their number are theirs; the rest stand alone.
    `create unlogged table bench_manifests as
      select n, n <= ${indexes} as is_index, ${digest('manifest', 'n')} as digest,
        ${repositoryOf(`(case when n > ${indexes} and n <= ${alone} then (n - ${indexes} - 1) / 4 + 1 else n end)::bigint`, repositories)} as repository_id,
        ${moment('n', 2)} as pushed_at, ${chance('n', 3)} < 0.02 as is_deleted
      from generate_series(1::bigint, ${manifests}) n`,
    `create unlogged table bench_places as
      select n, digest, repository_id, is_index, pushed_at, is_deleted from bench_manifests
      union all
      select n, digest, (repository_id + 6) % ${repositories} + 1, false, pushed_at + interval '1 hour', false
      from bench_manifests where n > ${alone} and n % 5 = 0`,

    `insert into inventory.manifests (digest, media_type, size, os, architecture, config_digest, contents_known, next_attempt_at)
      select digest,
        case when is_index then 'application/vnd.oci.image.index.v1+json' else 'application/vnd.oci.image.manifest.v1+json' end,
        700 + n % 900, case when not is_index then 'linux' end,
        case when not is_index then case n % 4 when 0 then 'arm64' when 1 then 's390x' else 'amd64' end end,
        case when not is_index then ${digest('blob', "n || ' 0'")} end, true, null
      from bench_manifests`,
    `insert into inventory.repository_manifests (repository_id, digest, pushed_at, pulled_at, checked_at, first_seen_at, deleted_at)
      select repository_id, digest, pushed_at, case when n % 3 > 0 then pushed_at + ${chance('n', 4)} * interval '300 days' end,
        pushed_at + interval '1 minute', pushed_at, case when is_deleted then pushed_at + interval '400 days' end
      from bench_places`,
    `insert into inventory.manifest_children (manifest_digest, position, digest, media_type, size, os, architecture)
      select ${digest('manifest', '(n - ' + String(indexes) + ' - 1) / 4 + 1')}, (n - ${indexes} - 1) % 4, digest,
        'application/vnd.oci.image.manifest.v1+json', 700 + n % 900, 'linux', case n % 4 when 0 then 'arm64' when 1 then 's390x' else 'amd64' end
      from bench_manifests where n > ${indexes} and n <= ${alone}`,

    // Position 0 is the configuration, 1 to 3 the base, the others its own.
    `insert into inventory.manifest_blobs (manifest_digest, position, digest, media_type, size)
      select m.digest, p,
        case when p between 1 and 3 then ${digest('base', `floor(2000 * power(${chance('m.n', 5)}, 3))::int || ' ' || p`)}
          else ${digest('blob', "m.n || ' ' || p")} end,
        case when p = 0 then 'application/vnd.oci.image.config.v1+json' else 'application/vnd.oci.image.layer.v1.tar+gzip' end,
        case when p between 1 and 3 then 30000000 + floor(2000 * power(${chance('m.n', 5)}, 3))::int * 1000 + p
          when p = 0 then 4000 + m.n % 1000 else 1000 + (m.n * 7919 + p * 104729) % 20000000 end
      from bench_manifests m cross join lateral generate_series(0, (10 + m.n % 4)::int) p
      where not is_index`,
    // The own blobs of an image are in its repositories once; those of a base as often as it is used, so they are united.
    `insert into inventory.repository_blobs (repository_id, digest, size, pushed_at, pulled_at, manifest_at, implied, first_seen_at, deleted_at)
      select r.repository_id, b.digest, b.size, r.pushed_at - interval '1 minute', r.pushed_at + interval '3 days', r.pushed_at, true,
        r.pushed_at - interval '1 minute', case when r.n % 50 = 7 and b.position = 5 then r.pushed_at + interval '500 days' end
      from bench_places r join inventory.manifest_blobs b on b.manifest_digest = r.digest
      where b.position not between 1 and 3`,
    `insert into inventory.repository_blobs (repository_id, digest, size, mounted_at, manifest_at, implied, first_seen_at)
      select r.repository_id, b.digest, max(b.size), max(r.pushed_at) - interval '1 minute', max(r.pushed_at), true, min(r.pushed_at)
      from bench_places r join inventory.manifest_blobs b on b.manifest_digest = r.digest
      where b.position between 1 and 3 group by 1, 2`,
    // Pushed for an image that never came.
    `insert into inventory.repository_blobs (repository_id, digest, size, pushed_at, first_seen_at)
      select ${repositoryOf('n', repositories)}, ${digest('orphan', 'n')}, 1000 + n * 7919 % 50000000, ${moment('n', 6)}, ${moment('n', 6)}
      from generate_series(1::bigint, ${manifests / 10}) n`,

    // Every third tag is at an index; every hundredth image has many tags.
    `insert into inventory.tags (repository_id, name, digest, pointed_at, pushed_at, pulled_at, checked_at, first_seen_at, deleted_at)
      select m.repository_id, 'v' || t.n / 1000 || '.' || t.n % 1000, m.digest, at, at,
        case when t.n % 4 > 0 then least(at + ${chance('t.n', 7)} * interval '500 days', timestamptz '2026-11-20 23:00Z') end,
        at + interval '1 minute', at,
        case when t.n % 50 = 3 then timestamptz '2026-11-20 23:30Z' end
      from (
        select n, ${moment('n', 8)} as at,
          case when n % 20 = 0 then ${alone} + 1 + n / 20 % 250 when n % 3 = 0 then 1 + n % ${indexes}
            else ${alone} + 1 + n * 7 % ${manifests - alone} end as manifest
        from generate_series(1::bigint, ${tags}) n
      ) t join bench_manifests m on m.n = t.manifest`,
    `insert into inventory.changes (event_id, repository_id, at, action, digest, tag, actor_id)
      select md5('push ' || repository_id || ' ' || name)::uuid, repository_id, pushed_at, 'push', digest, name, length(name) * 7 % 300
      from inventory.tags`,
    `insert into inventory.changes (event_id, repository_id, at, action, digest, tag, actor_id)
      select md5('delete ' || n)::uuid, ${repositoryOf('n', repositories, 9)}, ${moment('n', 10)}, 'delete',
        case when n % 2 = 0 then ${digest('manifest', 'n')} end, case when n % 2 = 1 then 'v' || n / 1000 || '.' || n % 1000 end,
        n % 300
      from generate_series(1::bigint, ${Math.floor(manifests / 5)}) n`,
    `insert into inventory.actors select n, '2026-11-20', 'user-' || n from generate_series(0, 299) n`,
    'drop table bench_places, bench_manifests',
  ]
}

/** The indexes and keys of the inventory, to be made after the rows. */
const INDEXES = `
  select quote_ident(n.nspname) || '.' || quote_ident(t.relname) as table, quote_ident(i.relname) as name,
    c.conname is not null as is_key, coalesce(pg_get_constraintdef(c.oid), pg_get_indexdef(x.indexrelid)) as definition
  from pg_index x
    join pg_class t on t.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
    join pg_namespace n on n.oid = t.relnamespace left join pg_constraint c on c.conindid = x.indexrelid
  where n.nspname = 'inventory' and t.relname in
    ('repository_manifests', 'repository_blobs', 'tags', 'manifests', 'manifest_blobs', 'manifest_children', 'changes')`

type Index = { table: string; name: string; is_key: boolean; definition: string }

/** Fills an inventory that is migrated and empty; the same size gives the same rows. Indexes are made at the end. */
export const fillInventory = async (url: string, size: Size, tell: (line: string) => void): Promise<void> => {
  const client = new pg.Client(url)
  await client.connect()
  const run = async (text: string): Promise<void> => {
    const start = performance.now()
    await client.query(text)
    tell(`${((performance.now() - start) / 1000).toFixed(1)} s  ${text.trim().split('\n')[0] ?? ''}`)
  }
  try {
    await client.query("set synchronous_commit = off; set work_mem = '512MB'; set maintenance_work_mem = '1GB'")
    await client.query('set max_parallel_maintenance_workers = 2')
    const { rows: indexes } = await client.query<Index>(INDEXES)
    for (const { table, name, is_key } of indexes) {
      await client.query(is_key ? `alter table ${table} drop constraint ${name}` : `drop index inventory.${name}`)
    }
    for (const statement of statements(size)) await run(statement)
    for (const { table, name, is_key, definition } of indexes) {
      await run(is_key ? `alter table ${table} add constraint ${name} ${definition}` : definition)
    }
    await run('vacuum analyze')
  } finally {
    await client.end()
  }
}
