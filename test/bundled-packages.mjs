/** Each suite loads its packages again. These have hundreds of files, so the tests use one file of each, which global-setup makes. */
export const BUNDLED = ['ioredis', 'kysely', 'yaml']
