import { sql, type RawBuilder } from 'kysely'

/** By what outcomes `o` can be grouped and filtered. */
export type Dimension = {
  help: string
  /** @param local the time of an outcome in the time zone that was asked for. */
  value: (local: RawBuilder<unknown>) => RawBuilder<unknown>
  /** Groups of times are shown in their order, all others with the largest first. */
  isTime?: true
}

const column = (name: string, help: string): Dimension => ({
  help,
  value: () => sql`coalesce(${sql.raw(`o.${name}`)}, 'unknown')`,
})

const time = (format: string, help: string): Dimension => ({
  help,
  value: (local) => sql`to_char(${local}, ${sql.lit(format)})`,
  isTime: true,
})

export const DIMENSIONS = {
  hour: time('YYYY-MM-DD"T"HH24:00', 'hour of the time zone'),
  day: time('YYYY-MM-DD', 'day of the time zone'),
  week: time('IYYY-"W"IW', 'ISO week, from Monday'),
  month: time('YYYY-MM', 'calendar month'),
  weekday: time('ID', 'day of the week: 1 is Monday'),
  registry: column('registry', 'registry'),
  repository: column('repository', 'repository'),
  tag: { help: 'tag that was asked for; - of what was asked for by digest', value: () => sql`coalesce(o.tag, '-')` },
  digest: column('digest', 'digest of what was asked for'),
  platform: column('platform', 'platform of the image, as linux/arm64'),
  platform_from: column('platform_from', 'how the platform is known: index, config or client'),
  os: column('os', 'operating system of the client'),
  arch: column('arch', 'architecture of the client'),
  client: column('client', 'client, as docker or containerd'),
  client_version: column('client_version', 'version of the client'),
  kind: column('kind', 'kind of client: runtime, builder, updater, scanner, mirror, cli, gitops, bot'),
  country: column('country', 'country of the address (ISO 3166-1)'),
  network: column('network', 'network of the address'),
  network_kind: column('network_kind', 'kind of network'),
  signed_in: {
    help: 'signed-in or anonymous',
    value: () => sql`case when o.signed_in then 'signed-in' else 'anonymous' end`,
  },
  source: column('source', 'where it was heard of: notification'),
} as const satisfies Record<string, Dimension>

export const dimension = (name: DimensionName): Dimension => DIMENSIONS[name]

export type DimensionName = keyof typeof DIMENSIONS
export const DIMENSION_NAMES = Object.keys(DIMENSIONS) as DimensionName[]
