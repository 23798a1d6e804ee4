/** A registry that the operator named. */
export type Registry = {
  /** The name in all tables and answers: usually the host in the names of its images. */
  name: string
  /** Other hosts under which clients reach it. */
  aliases: readonly string[]
  /** Its address, for example https://host:port. Without an address, Tallyman sends no requests to it. */
  url?: string
  /** The host of its token server, if that is on another site than `url`; with a port unless that is the scheme's default. */
  tokenHost?: string
  /** For basic authentication, or for requests to the token server. */
  username?: string
  password?: string
  /**
   * Whether it is a pull-through cache, which fetches requested objects from its upstream. Tallyman never requests tags, manifests or
   * blobs from a cache. Missing if it is not configured.
   */
  cache?: boolean
}

/** The names of the pull-through caches among registries. */
export const cachesIn = (registries: readonly Registry[]): string[] =>
  registries.flatMap(({ name, cache }) => (cache === true ? [name] : []))

/** The registries that the operator named. A host in an event or a query means the registry of the host. */
export type Registries = {
  /** The name of a host's registry. A host without a configured or learned registry is a registry itself. */
  nameOf: (host: string) => string
  list: () => readonly Registry[]
  /** All aliases, with the name of their registry. */
  aliases: () => ReadonlyMap<string, string>
}

/** The aliases of one registry. */
export const aliasesOfRegistry = ({ aliases }: Pick<Registries, 'aliases'>, registry: string): string[] =>
  [...aliases()].flatMap(([alias, name]) => (name === registry ? [alias] : []))

/** The registries of the configuration, which can be reloaded. */
export type ConfiguredRegistries = Registries & {
  /** The configured registry of a host; undefined if the configuration does not contain the host. */
  configuredName: (host: string) => string | undefined
  /** Reads the registries again. @throws the error of `read`; the previous registries then stay */
  reload: () => void
}

/** @param names further names that the operator chose, such as the names of notification tokens; aliases apply to them, too */
export const createRegistries = (
  read: () => readonly Registry[],
  names: readonly string[] = [],
): ConfiguredRegistries => {
  let registries = read()
  let aliases = aliasesIn(registries)
  let owners = ownersIn(registries, aliases, names)
  return {
    nameOf: (host) => aliases.get(host) ?? host,
    list: () => registries,
    aliases: () => aliases,
    configuredName: (host) => owners.get(host),
    reload: () => {
      registries = read()
      aliases = aliasesIn(registries)
      owners = ownersIn(registries, aliases, names)
    },
  }
}

const aliasesIn = (registries: readonly Registry[]): Map<string, string> =>
  new Map(
    registries.flatMap(({ name, aliases }) =>
      aliases.filter((alias) => alias !== name).map((alias) => [alias, name] as const),
    ),
  )

const ownersIn = (
  registries: readonly Registry[],
  aliases: ReadonlyMap<string, string>,
  names: readonly string[],
): Map<string, string> =>
  new Map([
    ...[...names, ...registries.map(({ name }) => name)].map((name) => [name, aliases.get(name) ?? name] as const),
    ...aliases,
  ])
